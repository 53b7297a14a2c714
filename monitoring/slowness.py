"""Why a viewer is slow, in plain words: what one look at it and at its process tells. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from streaming.core.diagnostics import ViewerReading
from streaming.core.ladder import Reason
from streaming.core.overload import OverloadState
from streaming.core.renditions import LADDER, Quality

UNACKNOWLEDGED_S = 2.0
"""Acks come every tenth of a second, on a calm path every second: after two, something holds them up."""
LATE_LOOP_S = 0.1
"""Timers that are later than this are a good part of the age at which a sample is stale."""
LONG_TRIP_S = 0.3
"""From here on a round trip is no better than "fair"."""
QUEUE_SHARE = 0.5
"""More than this of a long round trip is a queue: the path itself is shorter."""
USED_SHARE = 0.9
"""The share of what the path carries that can be counted on, as the ladder does."""
SLOW_DECODING_MS = 100.0
BACKLOG = 4
LOST_LATELY_S = 30.0

_LOSSLESS = tuple(index for index, each in enumerate(LADDER) if each.quality is Quality.LOSSLESS)
_REASONS = {
    Reason.QUEUEING: "what it is sent waited too long on the way",
    Reason.EXPIRY: "messages for it were dropped or expired",
    Reason.RATE: "its network carries less than they need",
    Reason.OVERLOAD: "the server had too much to do",
    Reason.TRIAL: "it was sent less, and each step back up is tried first",
    Reason.KNOWN: "it was sent less, and goes back up to what its network carried before",
    Reason.SAMPLED: "one frame of the next better step was tried, and its time is awaited",
    Reason.STEADY: "that is what its network was found to carry; a step up is tried again later",
    Reason.STREAMS: "it has just begun to watch them, and begins with what any network carries",
    Reason.QUIET: "no acknowledgements come, so that nothing is changed",
}


class Cause(StrEnum):
    """What makes a viewer slow; the gravest and most certain first."""

    SILENT = "silent"
    OVERLOAD = "overload"
    LAYER = "layer"
    QUEUE = "queue"
    DISTANCE = "distance"
    RATE = "rate"
    CLIENT = "client"
    LOSS = "loss"
    LADDER = "ladder"
    PROFILE = "profile"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class ProcessNow:
    """What of the viewer's process bears on it."""

    overload: OverloadState
    lag_s: float
    layer_is_away: bool
    stall_s: float
    """After how long without an ack it cuts a viewer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause, and what was measured of it."""

    cause: Cause
    text: str


def why_slow(viewer: ViewerReading, process: ProcessNow) -> list[Finding]:
    """All that is found, in the order of `Cause`; never empty: that nothing is wrong is a finding too."""
    found = [*_now(viewer, process), *_sent_as_less(viewer)]
    sent = "it is sent all that it watches" if viewer.wants else "it watches no stream"
    return found or [Finding(Cause.NOTHING, f"Nothing is wrong: {sent}, and acknowledges in time.")]


def _now(viewer: ViewerReading, process: ProcessNow) -> Iterator[Finding]:
    stats, readings = viewer.stats, viewer.readings
    if (quiet_s := readings.quiet_s) >= UNACKNOWLEDGED_S:
        yield Finding(
            Cause.SILENT,
            f"It has acknowledged nothing for {quiet_s:.0f} s, with {_size(stats.in_flight_bytes)} on "
            "the way: its network is interrupted, its browser or machine sleeps, or its tab is frozen. "
            f"It is cut after {process.stall_s:g} s.",
        )
    if process.overload is not OverloadState.NORMAL:
        yield Finding(
            Cause.OVERLOAD,
            f"Its process has too much to do ({process.overload.value}, timers {_ms(process.lag_s)} late) "
            "and holds all of its viewers to less.",
        )
    elif process.lag_s >= LATE_LOOP_S:
        yield Finding(
            Cause.OVERLOAD, f"Its process is late itself: its timers come {_ms(process.lag_s)} late."
        )
    if process.layer_is_away:
        yield Finding(
            Cause.LAYER, "The channel layer is away: streams of other processes do not reach its process."
        )
    yield from _network(viewer)
    if viewer.decoded_ms >= SLOW_DECODING_MS or viewer.backlog >= BACKLOG:
        yield Finding(
            Cause.CLIENT,
            f"Its browser is slow: it took {viewer.decoded_ms:.0f} ms to decode a message, "
            f"and {_counted(viewer.backlog, 'message')} waited there.",
        )
    if viewer.lost_s is not None and viewer.lost_s <= LOST_LATELY_S:
        reasons = ", ".join(f"{count} {reason.value}" for reason, count in stats.drops.items() if count)
        yield Finding(
            Cause.LOSS,
            f"Messages for it were given up, last {viewer.lost_s:.0f} s ago; since it connected: {reasons}.",
        )


def _network(viewer: ViewerReading) -> Iterator[Finding]:
    stats, readings = viewer.stats, viewer.readings
    if (rtt_s := stats.rtt_s) is not None and rtt_s >= LONG_TRIP_S:
        queued_s = max(0.0, rtt_s - readings.rtt_s)
        if queued_s >= QUEUE_SHARE * rtt_s:
            yield Finding(
                Cause.QUEUE,
                f"Network: a round trip takes {_ms(rtt_s)}, and {_ms(readings.rtt_s)} on the empty path: "
                "something queues there, what it is sent or what others send on the same link.",
            )
        else:
            yield Finding(
                Cause.DISTANCE,
                f"Network: a round trip takes {_ms(rtt_s)}, and {_ms(readings.rtt_s)} also on the "
                "empty path: a long way, or a slow radio link.",
            )
    need = wanted_bytes_per_s(viewer)
    if need > USED_SHARE * readings.path_rate:
        goodput = "" if stats.goodput_bps is None else f"; {_rate(stats.goodput_bps / 8)} arrive now"
        yield Finding(
            Cause.RATE,
            f"Network: it carries about {_rate(readings.path_rate)}, below the {_rate(need)} that "
            f"{_what_it_watches(viewer)} at the best it may have{goodput}.",
        )


def _sent_as_less(viewer: ViewerReading) -> Iterator[Finding]:
    """Quality that it could have, and has not; quality that its settings keep from it."""
    best = {want.stream: want.best.quality for want in viewer.wants}
    order = tuple(Quality)
    less = [
        stream
        for stream, sent in viewer.sent_as.items()
        if order.index(sent.quality) > order.index(best.get(stream, Quality.LOSSLESS))
    ]
    if less:
        yield Finding(
            Cause.LADDER,
            f"{_counted(len(less), 'stream')} of {len(viewer.sent_as)} {'is' if len(less) == 1 else 'are'} "
            f"sent in less than the best quality: {_REASONS[viewer.stats.reason]}.",
        )
    capped = [quality for quality in best.values() if quality is not Quality.LOSSLESS]
    if capped:
        coarsest = max(capped, key=order.index)
        yield Finding(
            Cause.PROFILE,
            f"By their profile {_counted(len(capped), 'stream')} {'is' if len(capped) == 1 else 'are'} sent "
            f"as nothing better than {coarsest.value}.",
        )


def wanted_bytes_per_s(viewer: ViewerReading) -> float:
    """What all that it watches takes at the best quality that each may have, in its longest frames.

    Of lossless that is the least that carries every sample.
    """
    return sum(min(want.needs[index] for index in _frames_of(want.best.quality)) for want in viewer.wants)


def _frames_of(quality: Quality) -> tuple[int, ...]:
    if quality is Quality.LOSSLESS:
        return _LOSSLESS
    return tuple(index for index, each in enumerate(LADDER) if each.quality is quality)


def _what_it_watches(viewer: ViewerReading) -> str:
    one = len(viewer.wants) == 1
    return f"{_counted(len(viewer.wants), 'stream')} {'takes' if one else 'take'}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


def _size(size_bytes: float) -> str:
    return f"{size_bytes:.0f} bytes" if size_bytes < 1000 else f"{size_bytes / 1000:.1f} kB"


def _rate(bytes_per_s: float) -> str:
    return f"{bytes_per_s / 1000:.1f} kB/s" if bytes_per_s < 10_000 else f"{bytes_per_s / 1000:.0f} kB/s"
