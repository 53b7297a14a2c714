"""A viewer behind a link whose rate changes over time, watched by the real Subscriber in virtual time."""

from __future__ import annotations

import asyncio
import json
import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

from streaming.compression import CompressionHandler
from streaming.core import messages
from streaming.core.cadence import OFTEN
from streaming.core.frames import FrameKind, decode_bundle, encode_frame, frame_text
from streaming.core.items import Item, Span
from streaming.core.ladder import CHOOSE_S, Decision, Ladder, Readings, Want
from streaming.core.messages import Ack
from streaming.core.priority import MessagePriority
from streaming.core.profiles import ProfileSet
from streaming.core.renditions import LADDER, Quality, Rendition, bytes_per_s, frame_bytes
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.core.tally import GroupTally
from streaming.exceptions import CloseCode
from streaming.subscriber import Announcement, Subscriber
from tests.fakes import ThrottledLink, VirtualLoop

RATE_HZ = 500.0
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
MESSAGE_BYTES = 66
"""Of each WebSocket message besides its payload: header 4, TLS record 22, TCP and IP 40."""
TICK_S = 0.05
REPORT_S = 2.0
WAVEFORM_AGE_S = 1.0
"""At which HIGH expires by default: the share of that is most of the pressure of a lane."""
_LAST_S = 3.0
"""What is on its way at the end has so long to arrive."""
_INSTANT_S = 1e-6
"""Timers of the very same time do not keep their order."""

Choose = Callable[[Subscriber, float], Mapping[str, Rendition]]
"""From the viewer's queue and window, at a time, to what each stream is sent as."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A path: bits a second from each time on (seconds from 0, ascending), and the round trip around them."""

    name: str
    rtt_s: float
    length_s: float
    steps: tuple[tuple[float, float], ...]
    jitter_s: float = 0.0
    """The most that a message may be held up besides; none overtakes another."""

    @property
    def outages(self) -> list[tuple[float, float]]:
        """When nothing passed: from, to."""
        ends = [*self.steps[1:], (self.length_s, 0.0)]
        return [(at, end) for (at, bps), (end, _) in zip(self.steps, ends, strict=True) if not bps]


class Bottleneck:
    """How many bytes pass by when; the last rate of the trace holds for ever, and must not be 0."""

    def __init__(self, steps: Sequence[tuple[float, float]]) -> None:
        self._starts = [at for at, _ in steps]
        self._rates = [bps / 8 for _, bps in steps]
        spans = [end - at for at, end in pairwise(self._starts)]
        self._passed = [0.0, *accumulate(s * r for s, r in zip(spans, self._rates, strict=False))]

    def passed(self, at: float) -> float:
        """Bytes that a link which is never idle has carried by `at`."""
        step = bisect_right(self._starts, at) - 1
        return self._passed[step] + (at - self._starts[step]) * self._rates[step]

    def through_at(self, start: float, size_bytes: float) -> float:
        """When as many bytes have passed since `start`."""
        passed = self.passed(start) + size_bytes
        step = bisect_left(self._passed, passed) - 1
        return self._starts[step] + (passed - self._passed[step]) / self._rates[step]


class TracedLink(ThrottledLink):
    """A ThrottledLink whose rate follows a trace, with a buffer as deep as anybody cares to fill.

    The client acks as it was asked last, at first after 4 messages or 100 ms, and says how long it held it.
    """

    def __init__(self, trace: Trace, *, rng: random.Random) -> None:
        super().__init__(0.0, delay_s=trace.rtt_s / 2, ack_messages=OFTEN.messages, ack_s=OFTEN.ms / 1000)
        self.acknowledge: Callable[[Ack], object] = lambda ack: None
        self._bottleneck = Bottleneck(trace.steps)
        self._jitter_s = trace.jitter_s
        self._rng = rng
        self._began = self._last_arrival = asyncio.get_running_loop().time()

    def through_at(self, start: float, size_bytes: int) -> float:
        """As the trace has it, headers included."""
        return self._began + self._bottleneck.through_at(start - self._began, size_bytes + MESSAGE_BYTES)

    def arrives_at(self, through: float) -> float:
        """Later by the jitter of its message, and by that of one before it."""
        jitter_s = self._rng.random() * self._jitter_s
        self._last_arrival = max(self._last_arrival + _INSTANT_S, super().arrives_at(through) + jitter_s)
        return self._last_arrival

    def decode(self, data: bytes | str) -> None:
        """Do as a `cadence` says."""
        for part in _parts(data):
            if isinstance(part, dict) and part["type"] == "cadence":
                self.ack_messages, self.ack_s = part["messages"], part["ms"] / 1000

    def tell(self, n: int, held_s: float) -> None:
        """Bring an ack with all its fields to the server."""
        ack = Ack(n=n, decoded_ms=0.0, backlog=0, held_ms=1000 * held_s)
        asyncio.get_running_loop().call_later(self.delay_s, self.acknowledge, ack)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Seconds `start_s` to `stop_s` of one stream, decoded at `at_s`."""

    stream: str
    rendition: Rendition
    start_s: float
    stop_s: float
    at_s: float


@dataclass(slots=True)
class Recording:
    """What one viewer was sent and got."""

    arrivals: list[Arrival] = field(default_factory=list)
    switches: list[tuple[float, str, Rendition]] = field(default_factory=list)
    """What each stream was sent as, and from when on; the first is where it began."""
    cut: CloseCode | None = None


def watch(trace: Trace, choose: Choose, *, streams: int = 1, seed: int = 0) -> Recording:
    """One viewer of so many streams (twelve leads, 500 Hz) over the length of the trace."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_watch(trace, choose, streams, random.Random(f"{trace.name} {seed}")))


async def _watch(trace: Trace, choose: Choose, streams: int, rng: random.Random) -> Recording:
    return await _Ward(trace, choose, streams, rng).watched()


def always(rendition: Rendition, streams: int = 1) -> Choose:
    """The same for all, whatever happens."""
    chosen = dict.fromkeys(map(_name, range(streams)), rendition)
    return lambda _subscriber, _now: chosen


def by_ladder(streams: int = 1, *, on_decision: Callable[[float, Decision], object] | None = None) -> Choose:
    """As the ladder decides, the first stream in focus."""
    ladder = Ladder()
    needs = tuple(bytes_per_s(rendition, leads=len(LEADS), rate_hz=RATE_HZ) for rendition in LADDER)
    wants = [Want(_name(number), needs, focused=number == 0) for number in range(streams)]

    def choose(subscriber: Subscriber, now: float) -> Mapping[str, Rendition]:
        decision = ladder.decide(wants, readings(subscriber, now), now)
        if on_decision is not None:
            on_decision(now, decision)
        return decision.renditions

    return choose


def readings(subscriber: Subscriber, now: float) -> Readings:
    """What the ladder wants to know of a viewer."""
    metrics = subscriber.handler.get_metrics()
    return Readings.of(
        subscriber.window,
        now,
        queued_s=metrics.pressure * WAVEFORM_AGE_S,
        queued_bytes=metrics.buffer_bytes,
        lost=metrics.expired_messages + metrics.dropped_messages,
    )


@dataclass(slots=True)
class _Stream:
    info: StreamInfo
    announcements: dict[Rendition, Announcement]
    phase: int
    """Ticks by which its frames fill earlier: devices do not begin together."""
    rendition: Rendition | None = None
    sent_tick: int = 0


class _Ward:
    """Streams whose frames are offered as they fill."""

    def __init__(self, trace: Trace, choose: Choose, streams: int, rng: random.Random) -> None:
        self._trace = trace
        self._choose = choose
        self._recording = Recording()
        self._frames: dict[tuple[int, int], tuple[_Stream, Rendition, float, float]] = {}
        self._link = TracedLink(trace, rng=rng)
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._subscriber = Subscriber(
            self._link,
            profiles=ProfileSet(),
            compression=CompressionHandler(),
            on_cut=self._on_cut,
            clock=self._loop.time,
            rng=rng,
        )
        self._link.acknowledge = self._subscriber.acked
        self._streams = [_stream(number) for number in range(streams)]

    async def watched(self) -> Recording:
        for tick in range(1, round(self._trace.length_s / TICK_S) + 1):
            await asyncio.sleep(self._began + tick * TICK_S - self._loop.time())
            self._tick(tick)
        await asyncio.sleep(_LAST_S)
        await self._subscriber.aclose()
        self._recording.arrivals = list(self._arrivals())
        return self._recording

    def _tick(self, tick: int) -> None:
        if _every(CHOOSE_S, tick - 1):
            self._subscriber.mind_cadence()
            chosen = self._choose(self._subscriber, self._loop.time())
            for stream in self._streams:
                if stream.rendition != (rendition := chosen[stream.info.stream]):
                    stream.rendition = rendition
                    self._recording.switches.append(((tick - 1) * TICK_S, stream.info.stream, rendition))
        for stream in self._streams:
            if stream.rendition is not None and _every(stream.rendition.frame_s, tick + stream.phase):
                self._offer_frame(stream, stream.rendition, tick)
            if _every(1.0, tick + stream.phase):
                self._offer_vitals(stream, tick)
        if _every(REPORT_S, tick):
            self._subscriber.report()

    def _offer_frame(self, stream: _Stream, rendition: Rendition, tick: int) -> None:
        since, stream.sent_tick = stream.sent_tick, tick
        if rendition.quality is Quality.VITALS:
            return
        first, stop = _sample(since), _sample(tick)
        size = frame_bytes(
            Rendition(rendition.quality, (tick - since) * TICK_S), leads=len(LEADS), rate_hz=RATE_HZ
        )
        announcement = stream.announcements[rendition]
        # frame_bytes counts the header (8) and the bundle (3) too, which are added elsewhere.
        payload = encode_frame(FrameKind.WAVEFORM, announcement.alias, first, bytes(round(size) - 11))
        self._frames[announcement.alias, first] = (stream, rendition, since * TICK_S, tick * TICK_S)
        span = Span(stream.info.stream, stream.info.epoch, first, stop)
        item = Item(payload, MessagePriority.HIGH, self._loop.time(), len(payload), span=span)
        self._subscriber.offer(item, announcement)

    def _offer_vitals(self, stream: _Stream, tick: int) -> None:
        assert stream.rendition is not None
        name = stream.info.stream
        text = messages.vitals(name, epoch=1, sample=_sample(tick), hr=72.0, hr_source="II")
        item = Item(text, MessagePriority.HIGH, self._loop.time(), len(text), key=(name, "vitals"))
        self._subscriber.offer(item, stream.announcements[stream.rendition])

    def _arrivals(self) -> Iterator[Arrival]:
        for at, message in self._link.received:
            at_s = at - self._began
            for part in _parts(message):
                if isinstance(part, tuple):
                    stream, rendition, start_s, stop_s = self._frames[part]
                    yield Arrival(stream.info.stream, rendition, start_s, stop_s, at_s)
                elif part["type"] == "vitals":
                    stop_s = part["sample"] / RATE_HZ
                    yield Arrival(part["stream"], LADDER[-1], max(0.0, stop_s - 1.0), stop_s, at_s)

    def _on_cut(self, code: CloseCode, _reason: str) -> None:
        self._recording.cut = code


def _parts(message: bytes | str) -> Iterator[tuple[int, int] | dict[str, Any]]:
    """Alias and first sample of each waveform frame, and what was said in JSON."""
    texts = [message] if isinstance(message, str) else []
    for frame in decode_bundle(message) if isinstance(message, bytes) else ():
        if frame.kind is FrameKind.JSON:
            texts.append(frame_text(frame))
        else:
            yield frame.alias, frame.first
    for text in texts:
        said = json.loads(text)
        yield from said if isinstance(said, list) else [said]


def _stream(number: int) -> _Stream:
    leads = tuple(Lead(name, 1.0) for name in LEADS)
    info = StreamInfo(_name(number), 1, f"P-{number:04}", "ward", Source.SIM, RATE_HZ, leads)
    announcements = {}
    for step, rendition in enumerate(LADDER):
        alias = number * len(LADDER) + step
        frame_ms = round(1000 * rendition.frame_s)
        text = messages.stream(info, alias, rendition=rendition.quality, frame_ms=frame_ms)
        announcements[rendition] = Announcement(alias, info, text, GroupTally(), lambda _alias, _viewer: None)
    return _Stream(info, announcements, phase=7 * number)


def _name(number: int) -> str:
    return f"bed-{number}"


def _every(seconds: float, tick: int) -> bool:
    return tick % round(seconds / TICK_S) == 0


def _sample(tick: int) -> int:
    return round(tick * TICK_S * RATE_HZ)
