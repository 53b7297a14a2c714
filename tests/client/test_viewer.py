"""The viewer of the SDK against a real WebSocket: what it yields, when it acknowledges, how it comes back."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection

from streaming.client.connection import CLOSE_TIMEOUT_S
from streaming.client.events import (
    Denied,
    Disconnected,
    Event,
    Frame,
    Gap,
    NumbersOnly,
    Quality,
    RosterChanged,
    Stats,
    Vitals,
)
from streaming.client.viewer import QUEUE_EVENTS, Viewer
from streaming.core import messages
from streaming.core.frames import FrameFlag, FrameKind, encode_frame
from streaming.core.framing import encode_bundle
from streaming.core.items import DropReason
from streaming.core.messages import BeatKind, GapReason, SignalState
from streaming.core.priority import MessagePriority
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.core.strict_json import parse_json
from streaming.ecg.planes import encode_planes
from streaming.exceptions import AuthenticationError, CloseCode, ProtocolError
from tests.client.peer import NoWait, ramp, say_bye, server, until_bye, welcome_viewer

LEADS = (Lead("II", 5.0), Lead("V1", 2.0, baseline=10))
INFO = StreamInfo("s1", 3, "P-1", "icu", Source.SIM, 250.0, LEADS)


def viewer(url: str, **options: Any) -> Viewer:
    return Viewer(url, token="secret", rng=NoWait(), **options)


def wave(first: int, count: int = 25, *, alias: int = 7, kind: FrameKind = FrameKind.WAVEFORM) -> bytes:
    payload = encode_planes(ramp(first, count, leads=2), level=6, window_bits=12, mem_level=5)
    return encode_frame(kind, alias, first, payload)


async def heard(url: str, count: int) -> list[Event]:
    """The first `count` events that a viewer yields after its roster."""
    async with asyncio.timeout(10), viewer(url) as watching:
        events = [await anext(watching) for _ in range(count + 1)]
    assert isinstance(events[0], RosterChanged)
    return events[1:]


def saying(*sent: str | bytes) -> Any:
    """A server that welcomes, says these messages, and then listens."""

    async def talk(socket: ServerConnection) -> None:
        await welcome_viewer(socket)
        for message in sent:
            await socket.send(message)
        await until_bye(socket)

    return talk


# -- what it yields


async def test_the_roster_is_there_after_entering() -> None:
    hellos: list[dict[str, Any]] = []

    async def talk(socket: ServerConnection) -> None:
        hellos.append(await welcome_viewer(socket))
        await until_bye(socket)

    async with server(talk) as url, viewer(url) as watching:
        assert [(entry.stream, entry.name, entry.source, entry.online) for entry in watching.roster] == [
            ("s1", "Ann", Source.SIM, True),
            ("s2", "Bob", Source.LIVE, False),
        ]
        assert watching.connected
    assert hellos[0]["token"] == "secret"


async def test_a_frame_has_samples_place_scale_and_age() -> None:
    live, late = wave(500), wave(100, kind=FrameKind.BACKFILL)
    async with server(saying(messages.stream(INFO, 7), encode_bundle([live, late]))) as url:
        first, second = await heard(url, 2)
    assert isinstance(first, Frame)
    assert isinstance(second, Frame)
    assert (first.stream, first.epoch, first.first, first.stop, first.live) == ("s1", 3, 500, 525, True)
    assert (second.first, second.live) == (100, False)
    assert np.array_equal(first.samples, ramp(500, 25, leads=2))
    assert (first.info.rate_hz, first.info.source, first.info.patient) == (250.0, Source.SIM, "P-1")
    assert [lead.name for lead in first.info.leads] == ["II", "V1"]
    assert first.microvolts()[:, 0] == pytest.approx([2500.0, 2 * (1000 - 10)])


async def test_events_come_typed() -> None:
    told = [
        messages.vitals(
            "s1", epoch=3, sample=500, hr=72.0, hr_source="II", beats=[(120, False), (333, True)]
        ),
        messages.vitals("s1", epoch=3, sample=750, hr=None, hr_source=None),
        messages.gap("s1", epoch=3, first=10, stop=20, reason=GapReason.EXPIRED, recoverable=True),
        messages.quality("s1", epoch=3, sample=5, state=SignalState.LIVE, leads_off=["V1"], rate_hz=249.9),
        messages.denied("s9"),
        messages.stats(
            rtt_ms=12.0,
            goodput_bps=None,
            window_bytes=4096,
            in_flight_bytes=10,
            queued={MessagePriority.HIGH: 2},
            dropped=1,
            expired=0,
            drops={DropReason.QUOTA: 1},
            condition="good",
            rendition="display",
            reason="trial",
            overload="shedding",
        ),
    ]
    everything = f"[{','.join(told)}]"
    async with server(saying(everything)) as url:
        events = await heard(url, 6)
    assert events[:5] == [
        Vitals("s1", 3, 500, 72.0, "II", beats=((120, BeatKind.OTHER), (333, BeatKind.VENTRICULAR))),
        Vitals("s1", 3, 750, None, None),
        Gap("s1", 3, 10, 20, GapReason.EXPIRED, recoverable=True),
        Quality("s1", 3, 5, SignalState.LIVE, ("V1",), 249.9),
        Denied("s9"),
    ]
    stats = events[5]
    assert isinstance(stats, Stats)
    assert (stats.rtt_ms, stats.goodput_bps, stats.queued["high"], stats.condition) == (12.0, None, 2, "good")
    assert (stats.rendition, stats.reason) == ("display", "trial")
    assert (stats.drops, stats.overload) == ({"quota": 1}, "shedding")


async def test_numbers_only_names_its_stream() -> None:
    async with server(saying(messages.stream(INFO, 7, rendition="vitals"))) as url:
        (told,) = await heard(url, 1)
    assert isinstance(told, NumbersOnly)
    assert (told.stream, told.info.rendition) == ("s1", "vitals")


@pytest.mark.parametrize("deflated", [True, False])
async def test_json_inside_a_bundle_counts_like_text(deflated: bool) -> None:
    text = f"[{messages.stream(INFO, 7)},{messages.denied('s9')}]".encode()
    deflate = zlib.compressobj(6, zlib.DEFLATED, -12, 5)
    payload = deflate.compress(text) + deflate.flush() if deflated else text
    flags = FrameFlag.DEFLATED if deflated else FrameFlag.NONE
    async with server(
        saying(encode_bundle([encode_frame(FrameKind.JSON, 0, 0, payload, flags), wave(0)]))
    ) as url:
        denied, frame = await heard(url, 2)
    assert denied == Denied("s9")
    assert isinstance(frame, Frame)


async def test_a_changed_roster_is_an_event_and_replaces_the_old_one() -> None:
    async with server(saying(messages.roster([]))) as url, viewer(url) as watching:
        await anext(watching)
        assert await anext(watching) == RosterChanged(())
        assert watching.roster == []


async def test_an_alias_given_anew_has_its_new_meaning() -> None:
    other = StreamInfo("s2", 1, "P-2", "icu", Source.LIVE, 500.0, LEADS)
    first, again = messages.stream(INFO, 7), messages.stream(other, 7)
    bundle = encode_bundle([wave(0)])
    async with server(saying(first, bundle, again, bundle)) as url:
        events = await heard(url, 2)
    assert [event.stream for event in events if isinstance(event, Frame)] == ["s1", "s2"]


async def test_keepalives_and_unknown_messages_are_passed_over() -> None:
    noise = (messages.time(1.0), '{"type":"later","x":1}', f"[{messages.time(2.0)}]")
    async with server(saying(*noise, messages.denied("s9"))) as url:
        assert await heard(url, 1) == [Denied("s9")]


BROKEN = {
    "a frame under an unknown alias": encode_bundle([wave(0)]),
    "a bundle of another version": b"\x02\x00",
    "a bundle that is cut off": encode_bundle([wave(0)])[:-1],
    "text that is no JSON": "{",
    "a message that must be understood": '{"type":"later","must_understand":true}',
    "a gap that ends before it begins": messages.gap(
        "s1", epoch=1, first=9, stop=3, reason=GapReason.DROPPED, recoverable=False
    ),
    "JSON that is not deflated": encode_bundle(
        [encode_frame(FrameKind.JSON, 0, 0, b"xx", FrameFlag.DEFLATED)]
    ),
    "JSON that inflates without end": encode_bundle(
        [encode_frame(FrameKind.JSON, 0, 0, zlib.compress(b" " * 8_000_000, wbits=-15), FrameFlag.DEFLATED)]
    ),
    "JSON that is not UTF-8": encode_bundle([encode_frame(FrameKind.JSON, 0, 0, b"\xff{}")]),
    "samples of one lead where there are two": (
        f"[{messages.stream(INFO, 7)}]",
        encode_bundle(
            [
                encode_frame(
                    FrameKind.WAVEFORM, 7, 0, encode_planes(ramp(0, 5), level=6, window_bits=12, mem_level=5)
                )
            ]
        ),
    ),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
async def test_a_server_that_breaks_the_protocol_ends_it_with_4400(broken: Any) -> None:
    codes: list[int | None] = []

    async def talk(socket: ServerConnection) -> None:
        await welcome_viewer(socket)
        for message in broken if isinstance(broken, tuple) else (broken,):
            await socket.send(message)
        await socket.wait_closed()
        codes.append(socket.close_code)

    async with asyncio.timeout(10), server(talk) as url, viewer(url) as watching:
        assert isinstance(await anext(watching), RosterChanged)
        with pytest.raises(ProtocolError):
            await anext(watching)
        with pytest.raises(ProtocolError):
            await anext(watching)
    assert codes == [CloseCode.PROTOCOL]


# -- acks


class Acks:
    """A server's view of a viewer's acks."""

    def __init__(self) -> None:
        self.acks: list[dict[str, Any]] = []
        self.said_bye = False
        self._came = asyncio.Condition()

    async def listen(self, socket: ServerConnection) -> None:
        async for message in socket:
            value = parse_json(str(message))
            if value["type"] == "bye":
                self.said_bye = True
                await socket.close(CloseCode.GOING_AWAY, "bye")
            elif value["type"] == "ack":
                async with self._came:
                    self.acks.append(value)
                    self._came.notify_all()

    async def until(self, n: int) -> None:
        async with asyncio.timeout(10), self._came:
            await self._came.wait_for(lambda: bool(self.acks) and self.acks[-1]["n"] >= n)


async def test_every_fourth_message_is_acknowledged_at_once_and_the_rest_in_time() -> None:
    acks = Acks()
    delays: list[float] = []

    async def talk(socket: ServerConnection) -> None:
        await welcome_viewer(socket)
        listening = asyncio.create_task(acks.listen(socket))
        await socket.send(messages.stream(INFO, 7))
        for number in range(8):
            await socket.send(encode_bundle([wave(25 * number), wave(25 * number + 10_000)]))
        await acks.until(10)
        loop = asyncio.get_running_loop()
        sent = loop.time()
        await socket.send(messages.time(1.0))
        await acks.until(11)
        delays.append(loop.time() - sent)
        await socket.close(CloseCode.PROTOCOL)
        await listening

    async with asyncio.timeout(10), server(talk) as url, viewer(url) as watching:
        with pytest.raises(ProtocolError):
            async for _ in watching:
                pass
    numbers = [ack["n"] for ack in acks.acks]
    assert numbers == sorted(set(numbers))
    assert all(later - earlier <= 4 for earlier, later in zip([0, *numbers], numbers, strict=False))
    assert numbers[-1] == 11
    assert 0.09 <= delays[0] < 1.0, "100 ms after a lone message"
    assert all(ack["decoded_ms"] >= 0 for ack in acks.acks)


async def test_the_cadence_is_the_one_that_the_welcome_names() -> None:
    acks = Acks()

    async def talk(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send('{"type":"welcome","protocol":"vital.v1","ack":{"messages":2,"ms":10000}}')
        await socket.send(messages.roster([]))
        await socket.send(messages.time(1.0))
        await acks.listen(socket)

    async with server(talk) as url, viewer(url):
        await acks.until(2)
    assert [ack["n"] for ack in acks.acks] == [2]


async def test_a_consumer_that_stops_reading_stops_the_acks() -> None:
    acks = Acks()
    total = 4 * QUEUE_EVENTS

    async def talk(socket: ServerConnection) -> None:
        await welcome_viewer(socket)
        listening = asyncio.create_task(acks.listen(socket))
        await socket.send(messages.time(1.0))
        for number in range(total):
            await socket.send(messages.denied(f"s{number}"))
        await listening

    async with asyncio.timeout(20), server(talk) as url, viewer(url) as watching:
        # The time is no event. The roster and what follows fill the queue; all that is in it is acknowledged.
        await acks.until(QUEUE_EVENTS + 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(acks.until(QUEUE_EVENTS + 2), 0.3)
        events = [await anext(watching) for _ in range(total + 1)]
        assert [event.stream for event in events[1:] if isinstance(event, Denied)] == [
            f"s{number}" for number in range(total)
        ]
        await acks.until(total + 2)
    assert any(ack["backlog"] > QUEUE_EVENTS / 2 for ack in acks.acks)


# -- subscribing and coming back


async def test_it_subscribes_again_after_each_of_twenty_cuts() -> None:
    wishes: list[dict[str, Any]] = []

    async def talk(socket: ServerConnection) -> None:
        await welcome_viewer(socket)
        wishes.append(parse_json(str(await socket.recv())))
        await socket.send(messages.stream(INFO, 7))
        await socket.send(encode_bundle([wave(25 * len(wishes))]))
        if len(wishes) <= 20:
            await socket.send(messages.time(1.0))  # the fourth message, and so an ack at once
            await socket.recv()
            socket.transport.abort()
        await until_bye(socket)

    frames: list[int] = []
    losses: list[Disconnected] = []
    async with asyncio.timeout(20), server(talk) as url, viewer(url) as watching:
        await watching.subscribe(["s1", "s2", "s1"], focus="s2")
        async for event in watching:
            if isinstance(event, Frame):
                frames.append(event.first)
            if isinstance(event, Disconnected):
                losses.append(event)
            if len(frames) == 21:
                break
        assert watching.reconnects == 20
    assert wishes == [{"type": "subscribe", "streams": ["s1", "s2"], "focus": "s2"}] * 21
    assert frames == [25 * number for number in range(1, 22)]
    assert losses == [Disconnected(None, "")] * 20


async def test_an_alias_does_not_outlive_its_connection() -> None:
    connections = 0

    async def talk(socket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await welcome_viewer(socket)
        if connections == 1:
            await socket.send(messages.stream(INFO, 7))
            await say_bye(socket, CloseCode.SLOW, "too slow", retry_after_ms=0)
        await socket.send(encode_bundle([wave(0)]))
        await until_bye(socket)

    events: list[Event] = []

    async def watch(url: str) -> None:
        async with viewer(url) as watching:
            async for event in watching:
                events.append(event)  # noqa: PERF401  # the iteration ends by an error

    async with asyncio.timeout(10), server(talk) as url:
        with pytest.raises(ProtocolError, match="alias"):
            await watch(url)
    assert Disconnected(CloseCode.SLOW, "too slow") in events


async def test_more_than_64_streams_or_a_foreign_focus_are_refused() -> None:
    async with server(saying()) as url, viewer(url) as watching:
        with pytest.raises(ValueError, match="64"):
            await watching.subscribe(f"s{number}" for number in range(65))
        with pytest.raises(ValueError, match="focus"):
            await watching.subscribe(["s1"], focus="s2")


async def test_a_refused_token_is_raised_on_entering() -> None:
    async def talk(socket: ServerConnection) -> None:
        await socket.recv()
        await say_bye(socket, CloseCode.UNAUTHENTICATED, "token is unknown")

    async with asyncio.timeout(10), server(talk) as url:
        with pytest.raises(AuthenticationError, match="token is unknown"):
            await viewer(url).__aenter__()


async def test_headers_go_with_the_handshake() -> None:
    seen: list[str | None] = []

    async def talk(socket: ServerConnection) -> None:
        assert socket.request is not None
        seen.extend((socket.request.path, socket.request.headers.get("Cookie")))
        await saying()(socket)

    async with server(talk) as url, viewer(url, headers={"Cookie": "vital-session=x"}):
        assert seen == ["/ws/viewer/", "vital-session=x"]


async def test_leaving_with_a_full_queue_ends_at_once_and_says_bye() -> None:
    acks = Acks()
    started = asyncio.get_running_loop().time()

    async def talk(socket: ServerConnection) -> None:
        await welcome_viewer(socket)
        listening = asyncio.create_task(acks.listen(socket))
        for number in range(2 * QUEUE_EVENTS):
            await socket.send(messages.denied(f"s{number}"))
        await listening

    async with asyncio.timeout(5), server(talk) as url:
        async with viewer(url) as watching:
            await acks.until(QUEUE_EVENTS - 4)
        with pytest.raises(StopAsyncIteration):
            await anext(watching)
    assert acks.said_bye
    assert asyncio.get_running_loop().time() - started < CLOSE_TIMEOUT_S
