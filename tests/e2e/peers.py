"""Raw WebSocket peers: they say whatever a test wants, and keep what they hear."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from streaming.core.client_messages import device_hello, viewer_hello
from streaming.core.frames import Frame, FrameKind, decode_bundle, encode_frame, frame_text
from streaming.core.framing import encode_bundle
from streaming.core.streams import Lead, Source
from streaming.ecg.planes import Samples, encode_planes
from tests.servers import Server

DEADLINE_S = 20.0
"""What a test waits for at most; ten times what two busy cores take."""
LEAD = Lead("II", 5.0)
RATE_HZ = 250.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How the server ended a connection: its close code, what its `bye` said, and when it was heard."""

    code: int
    bye: Mapping[str, Any] | None
    at: float

    @property
    def reason(self) -> str:
        """The bye's words; empty without one."""
        return str(self.bye["reason"]) if self.bye else ""


class Peer:
    """One open connection. Acknowledges what it reads when it is a viewer and `acks` is set."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[Frame] = []
        """Binary frames heard so far."""
        self.heard: list[dict[str, Any]] = []
        """JSON messages heard so far."""
        self._messages = -1

    async def say(self, message: Mapping[str, Any] | str | bytes) -> None:
        """Send one message: bytes and text as they are, an object as JSON."""
        await self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def hear(self, kind: str) -> dict[str, Any]:
        """The next JSON message of this type; the others are kept in `heard`."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for item in await self._next():
                    if item["type"] == kind:
                        return item

    async def hear_frame(self) -> Frame:
        """The next binary frame."""
        known = len(self.frames)
        async with asyncio.timeout(DEADLINE_S):
            while len(self.frames) == known:
                await self._next()
        return self.frames[known]

    async def hear_any(self) -> None:
        """The next message, whatever it is."""
        async with asyncio.timeout(DEADLINE_S):
            await self._next()

    async def all_taken(self) -> None:
        """Wait until the server has acted on all that this peer has said: it answers in order."""
        await self.say({"type": "time", "t0": 0})
        await self.hear("time")

    async def ack(self) -> None:
        """Acknowledge everything read so far."""
        await self.say({"type": "ack", "n": max(self._messages, 0), "decoded_ms": 0, "backlog": 0})

    async def ended(self) -> Ending:
        """Read on until the server has closed."""
        async with asyncio.timeout(DEADLINE_S):
            return await self._until_closed(acks=False)

    async def stay(self) -> Ending:
        """Acknowledge all that comes, for as long as the server goes on."""
        return await self._until_closed(acks=True)

    async def _until_closed(self, *, acks: bool) -> Ending:
        code = 1006
        try:
            while True:
                await self._next()
                if acks:
                    with contextlib.suppress(ConnectionClosed):  # closed, and not all of it was read
                        await self.ack()
        except ConnectionClosed as closed:
            if closed.rcvd:
                code = closed.rcvd.code
        byes = [item for item in self.heard if item["type"] == "bye"]
        return Ending(code, byes[-1] if byes else None, time.monotonic())

    async def _next(self) -> list[dict[str, Any]]:
        message = await self.socket.recv()
        self._messages += 1
        items: list[dict[str, Any]] = []
        if isinstance(message, str):
            items = _items(message)
        else:
            for frame in decode_bundle(message):
                if frame.kind is FrameKind.JSON:
                    items += _items(frame_text(frame))
                else:
                    self.frames.append(frame)
        self.heard += items
        return items


@asynccontextmanager
async def opened(
    server: Server,
    path: str,
    *,
    subprotocols: Sequence[str] = ("vital.v1",),
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[Peer]:
    """A connection on which nothing was said yet."""
    async with connect(
        server.ws_url + path,
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        additional_headers=dict(headers or {}),
        compression=None,
        ping_interval=None,
        close_timeout=2,
        max_size=2**20,
        proxy=None,
    ) as socket:
        yield Peer(socket)


@asynccontextmanager
async def viewer(
    server: Server, token: str | None = None, *streams: str, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Peer]:
    """A viewer that is welcome, and watches `streams` when this begins."""
    async with opened(server, "/ws/viewer/", headers=headers) as peer:
        await peer.say(viewer_hello(token=token))
        await peer.hear("roster")
        await peer.ack()  # the alarms of a ward may fill the first window
        if streams:
            await watch(peer, *streams)
        yield peer


async def watch(peer: Peer, *streams: str) -> None:
    """Subscribe, and return when it is done: the denial of a stream that cannot be follows the rest."""
    await peer.say({"type": "subscribe", "streams": [*streams, "nobody"]})
    await peer.hear("denied")


def hello(token: str, session: str = "session-1", **changes: Any) -> dict[str, Any]:
    """A device's hello, one lead at 250 Hz; `changes` replace its fields."""
    text = device_hello(
        token=token, session=session, next_sample=0, source=Source.SIM, rate_hz=RATE_HZ, leads=[LEAD]
    )
    return {**json.loads(text), **changes}


@asynccontextmanager
async def device(
    server: Server, token: str, session: str = "session-1", **changes: Any
) -> AsyncIterator[Peer]:
    """A device that is welcome; `heard[0]` is what it was told."""
    async with opened(server, "/ws/device/") as peer:
        await peer.say(hello(token, session, **changes))
        await peer.hear("welcome")
        yield peer


def chunk(first: int, samples: Samples | int = 25, *, number: int = 0) -> bytes:
    """A bundle of one waveform frame; a number of samples stands for a ramp on one lead."""
    if isinstance(samples, int):
        samples = np.arange(samples, dtype=np.int16)[None, :]
    return encode_bundle([encode_frame(FrameKind.WAVEFORM, number & 0xFFFF, first, payload(samples))])


def payload(samples: Samples) -> bytes:
    """The samples as a waveform payload."""
    return encode_planes(samples, level=1, window_bits=12, mem_level=5)


def _items(text: str) -> list[dict[str, Any]]:
    value = json.loads(text)
    return value if isinstance(value, list) else [value]
