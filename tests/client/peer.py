"""The other end of the SDK's connections: a small real WebSocket server that does what a test says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from streaming.core import messages
from streaming.core.frames import FrameKind, decode_bundle
from streaming.core.streams import Lead, Source
from streaming.core.strict_json import parse_json
from streaming.ecg.codec import Samples, decode
from streaming.exceptions import CloseCode

Talk = Callable[[ServerConnection], Awaitable[None]]
LEAD = Lead("II", gain_uv=5.0)


class NoWait(random.Random):
    """Jitter of no length, and a record of the bounds that were asked for."""

    def __init__(self) -> None:
        super().__init__(1)
        self.bounds: list[float] = []

    def uniform(self, a: float, b: float) -> float:
        self.bounds.append(b)
        return a


@asynccontextmanager
async def server(talk: Talk, *, port: int = 0) -> AsyncIterator[str]:
    """A server whose every connection runs `talk`; yields its URL."""

    async def handle(socket: ServerConnection) -> None:
        try:
            await talk(socket)
        except ConnectionClosed:
            return

    subprotocols = [Subprotocol("vital.v1")]
    async with serve(handle, "127.0.0.1", port, subprotocols=subprotocols, ping_interval=None) as started:
        yield f"ws://127.0.0.1:{port_of(started)}"


def port_of(started: Any) -> int:
    """The port that the kernel chose."""
    return int(next(iter(started.sockets)).getsockname()[1])


async def say_bye(
    socket: ServerConnection, code: int, reason: str, retry_after_ms: int | None = None
) -> None:
    """Close as the server does under Daphne: `bye`, then a close frame that has the code alone."""
    await socket.send(messages.bye(code, reason, retry_after_ms=retry_after_ms))
    await socket.close(code)


async def until_bye(socket: ServerConnection) -> None:
    """Read and forget what the client says until it leaves; then close, as the server does."""
    async for message in socket:
        if isinstance(message, str) and parse_json(message)["type"] == "bye":
            await socket.close(CloseCode.GOING_AWAY, "bye")


def ramp(first: int, count: int, leads: int = 1) -> Samples:
    """Samples that tell their own index: lead k holds index * (k + 1), modulo 2^14."""
    index = np.arange(first, first + count)
    return np.stack([index * (lead + 1) % 2**14 for lead in range(leads)]).astype(np.int16)


class Ingest:
    """The server's side of devices: takes each session's chunks, checks them, confirms them.

    `cut_after`: chunk counts after which a connection is aborted, one per connection, before anything of it
    is confirmed if `silently`.
    """

    def __init__(self, *, confirms: bool = True, cut_after: list[int] | None = None) -> None:
        self.confirms = confirms
        self.hellos: list[messages.DeviceHello] = []
        self.next_sample: dict[str, int] = {}
        self.spans: list[tuple[int, int]] = []
        """(first, stop) of every chunk, in the order of arrival."""
        self.numbers: list[int] = []
        self.samples: list[Samples] = []
        self.reports: list[messages.DeviceQuality] = []
        self.bundles: list[int] = []
        """Frames in each binary message."""
        self.said_bye = 0
        self.sockets: list[ServerConnection] = []
        self._cut_after = list(cut_after or [])
        self._arrived = asyncio.Condition()

    async def talk(self, socket: ServerConnection) -> None:
        hello = messages.parse_device_message(str(await socket.recv()))
        assert isinstance(hello, messages.DeviceHello)
        self.sockets.append(socket)
        self.hellos.append(hello)
        session = hello.session
        stands_at = self.next_sample.setdefault(session, hello.next_sample)
        await socket.send(
            messages.device_welcome(
                stream="s1", epoch=len(self.next_sample), next_sample=stands_at, server_ms=0.0
            )
        )
        await self._note()
        cut_after = self._cut_after.pop(0) if self._cut_after else None
        chunks = 0
        async for message in socket:
            if isinstance(message, str):
                await self._on_text(message, socket)
                continue
            frames = list(decode_bundle(message))
            self.bundles.append(len(frames))
            for frame in frames:
                samples = decode(frame.payload)
                assert frame.kind is FrameKind.WAVEFORM
                assert frame.first >= self.next_sample[session], "sent again although it was confirmed"
                self.next_sample[session] = frame.first + samples.shape[1]
                self.spans.append((frame.first, frame.first + samples.shape[1]))
                self.numbers.append(frame.alias)
                self.samples.append(samples)
                chunks += 1
                if chunks == cut_after:
                    socket.transport.abort()
                    await self._note()
                    return
            await self._note()
            if self.confirms:
                await socket.send(messages.device_ack(self.next_sample[session]))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds after something arrived."""
        async with asyncio.timeout(10), self._arrived:
            await self._arrived.wait_for(condition)

    async def _on_text(self, text: str, socket: ServerConnection) -> None:
        message = messages.parse_device_message(text)
        if isinstance(message, messages.DeviceQuality):
            self.reports.append(message)
        elif isinstance(message, messages.Bye):
            self.said_bye += 1
            await socket.close(CloseCode.GOING_AWAY, "bye")
        await self._note()

    async def _note(self) -> None:
        async with self._arrived:
            self._arrived.notify_all()


ROSTER = messages.roster(
    [
        messages.RosterEntry("s1", "P-1", "Ann", "icu", "ICU", "1", Source.SIM, online=True),
        messages.RosterEntry("s2", "P-2", "Bob", "icu", "ICU", "2", Source.LIVE, online=False),
    ]
)


async def welcome_viewer(socket: ServerConnection) -> dict[str, Any]:
    """The beginning of a viewer's connection; what its hello said."""
    hello = parse_json(str(await socket.recv()))
    await socket.send(messages.welcome(connection="c1", server_ms=0.0))
    await socket.send(ROSTER)
    return hello
