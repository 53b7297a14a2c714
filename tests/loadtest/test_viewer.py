"""A load viewer against a server of the test: what it counts, when it acks, what it makes of bad bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from streaming.core import messages
from streaming.core.frames import FrameKind, encode_frame, encode_json_frame, pack_json_frame
from streaming.core.framing import encode_bundle
from streaming.core.items import DropReason
from streaming.core.messages import GapReason
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.ecg.codec import WaveformEncoder
from streaming.exceptions import CloseCode
from streaming.loadtest.crew import Crew, Order
from streaming.loadtest.viewer import LoadViewer, Origin, Shared

RATE_HZ = 250.0
INFO = StreamInfo("s1", 3, "P-1", "icu", Source.SIM, RATE_HZ, (Lead("II", 5.0),))
Talk = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def server(talk: Talk, **options: Any) -> AsyncIterator[str]:
    """A server that welcomes a viewer, and then says what the test says."""

    async def greet(socket: ServerConnection) -> None:
        hello = json.loads(await socket.recv())
        assert (hello["type"], hello["token"]) == ("hello", "T")
        await socket.send(messages.welcome(connection="c", server_ms=0.0))
        with suppress(ConnectionClosed):
            await talk(socket)

    async with serve(
        greet, "127.0.0.1", 0, subprotocols=[Subprotocol("vital.v1")], compression=None, **options
    ) as at:
        yield f"ws://127.0.0.1:{next(iter(at.sockets)).getsockname()[1]}"


def frame(first: int, count: int = 25, *, alias: int = 4, kind: FrameKind = FrameKind.WAVEFORM) -> bytes:
    samples = np.arange(count, dtype=np.int16)[None, :]
    return encode_frame(kind, alias, first, WaveformEncoder().encode(samples))


async def hear(socket: ServerConnection, kind: str) -> dict[str, Any]:
    """The next message of this type."""
    async with asyncio.timeout(10):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if message["type"] == kind:
                return message


async def watch(url: str, shared: Shared, **options: Any) -> tuple[int, str, float | None]:
    """One viewer until its connection ends; how that was."""
    viewer = LoadViewer(shared, "T", ["s1"], **options)
    async with asyncio.timeout(10):
        await viewer.open(urlsplit(url))
        return await viewer.ended


async def test_it_subscribes_counts_by_class_and_acks_after_four_messages_or_a_moment() -> None:
    acks: list[int] = []

    async def talk(socket: ServerConnection) -> None:
        assert (await hear(socket, "subscribe"))["streams"] == ["s1"]
        await socket.send(messages.stream(INFO, 4))
        await socket.send(encode_bundle([frame(0), pack_json_frame(messages.denied("s2"))]))
        stats = messages.stats(
            rtt_ms=None,
            goodput_bps=None,
            window_bytes=1,
            in_flight_bytes=0,
            queued={},
            dropped=2,
            expired=0,
            drops={DropReason.QUOTA: 2},
            condition="good",
            rendition="lossless",
            reason="steady",
            overload="shedding",
        )
        gap = messages.gap("s1", epoch=3, first=25, stop=50, reason=GapReason.EXPIRED, recoverable=False)
        await socket.send(encode_bundle([encode_json_frame(f"[{gap},{stats}]"), frame(50)]))
        acks.append((await hear(socket, "ack"))["n"])
        await socket.send(encode_bundle([frame(0, kind=FrameKind.BACKFILL)]))
        acks.append((await hear(socket, "ack"))["n"])
        await socket.send(messages.bye(CloseCode.SLOW, "too slow", retry_after_ms=1500))
        await socket.close(4008)

    shared = Shared()
    async with server(talk) as url:
        assert await watch(url, shared, decodes=True) == (4008, "too slow", 1500)
    tally = shared.tally
    assert acks == [3, 4]
    assert tally.by_class == {
        "high": 3,
        "critical": 5 - 1,
        "low": 1,
        "bulk": 1,
    }  # welcome, stream, denied, bye
    assert (tally.drops, tally.gaps, tally.gap_samples) == ({"quota": 2}, {"expired": 1}, {"expired": 25})
    assert (tally.overload, tally.renditions) == ({"shedding": 1}, {"lossless": 2})
    assert (tally.lost_samples, tally.malformed, tally.decoded_frames, tally.connected) == (0, 0, 3, 0)


async def test_the_age_of_a_stream_that_it_feeds_is_by_the_clock_and_others_by_the_promptest() -> None:
    async def talk(socket: ServerConnection) -> None:
        await hear(socket, "subscribe")
        await socket.send(messages.stream(INFO, 4))
        for first in (0, 25):
            await socket.send(encode_bundle([frame(first)]))
        await socket.close(1000)

    known = Shared(origins={"s1": Origin(asyncio.get_running_loop().time() - 5.0, RATE_HZ)})
    foreign = Shared()
    for shared in (known, foreign):
        async with server(talk) as url:
            await watch(url, shared)
    assert 4.8 <= (known.tally.newest.percentile_s(0.5) or 0) < 8
    assert known.tally.oldest.longest_s - known.tally.newest.longest_s == pytest.approx(0.1, abs=0.001)
    assert foreign.tally.newest.count == 2
    assert foreign.tally.newest.percentile_s(0.5) == pytest.approx(0, abs=0.0011)


async def test_it_asks_for_the_time_and_times_the_answer() -> None:
    async def talk(socket: ServerConnection) -> None:
        asked = await hear(socket, "time")
        await asyncio.sleep(0.02)
        await socket.send(messages.time(1.7e12, t0=asked["t0"]))
        await socket.close(1000)

    shared = Shared()
    async with server(talk) as url:
        await watch(url, shared)
    assert shared.tally.round_trips.longest_s >= 0.02


@pytest.mark.parametrize(
    "wrong",
    [
        b"\x02nothing",
        encode_bundle([frame(0, alias=99)]),
        "[1]",
        "{",
        '{"type":"gap"}',
        encode_bundle([encode_frame(FrameKind.WAVEFORM, 4, 0, b"\x10")]),
    ],
)
async def test_what_is_malformed_is_counted_and_ends_the_connection(wrong: bytes | str) -> None:
    async def talk(socket: ServerConnection) -> None:
        await socket.send(messages.stream(INFO, 4))
        await socket.send(wrong)
        await socket.wait_closed()

    shared = Shared()
    async with server(talk) as url:
        code, _, _ = await watch(url, shared)
    assert (code, shared.tally.malformed) == (4400, 1)


async def test_a_narrow_link_takes_its_time() -> None:
    size, rate = 20_000, 40_000.0
    took: list[float] = []

    async def talk(socket: ServerConnection) -> None:
        await socket.send(messages.denied("s" * size))
        began = asyncio.get_running_loop().time()
        await hear(socket, "ack")
        took.append(asyncio.get_running_loop().time() - began)

    async with server(talk) as url:
        viewer = LoadViewer(Shared(), "T", ["s1"])
        await viewer.open(urlsplit(url), rate)
        await viewer.ended
    assert took[0] >= 0.9 * size / rate  # all but the first piece; never less, however fast the machine is


async def test_messages_in_fragments_and_pings_are_taken_like_any_other() -> None:
    async def talk(socket: ServerConnection) -> None:
        await socket.send(messages.stream(INFO, 4))
        pong = await socket.ping()
        whole = encode_bundle([frame(0)])

        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, len(whole), 7):
                yield whole[at : at + 7]

        await socket.send(pieces())
        async with asyncio.timeout(10):
            await pong
        await hear(socket, "ack")
        await socket.close(1000)

    shared = Shared()
    async with server(talk) as url:
        await watch(url, shared)
    assert shared.tally.renditions == {"lossless": 1}


async def test_a_server_that_is_none_is_an_error_and_no_hang() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(refuse, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        with pytest.raises(ConnectionError, match="403 Forbidden"):
            await LoadViewer(Shared(), "T", []).open(urlsplit(url))
    with pytest.raises(OSError, match="onnect"):
        await LoadViewer(Shared(), "T", []).open(urlsplit(url))


async def test_a_crew_comes_back_when_it_is_cut_and_not_when_that_is_no_use() -> None:
    connections = 0

    async def talk(socket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await hear(socket, "subscribe")
        await socket.send(messages.stream(INFO, 4))
        await socket.send(encode_bundle([frame(0)]))
        await hear(socket, "ack")
        code = CloseCode.SLOW if connections == 1 else CloseCode.FORBIDDEN
        await socket.send(messages.bye(code, "why", retry_after_ms=1 if connections == 1 else None))
        await socket.close(code)

    async with server(talk) as url:
        crew = Crew(Order(url, 1, ("T",), ("s1",)))
        async with asyncio.timeout(20):
            await crew.start()
            (task,) = crew._tasks
            await task
        await crew.end()
    tally = crew.shared.tally
    assert connections == 2
    assert tally.closes == {"4008": 1, "4403": 1}
    assert (tally.reconnects, tally.connected) == (1, 0)
