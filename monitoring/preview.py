"""What other settings would have done to a stretch of stored snapshots: an estimate, and where there is none.

It judges what was measured by the new bounds, as if devices, viewers and networks had done the same. A queue
that had more room might have held more, and one with less would have dropped sooner: where that matters the
answer is a range, or a bound on one side. What no snapshot tells (which priorities waited, how long messages
are, what another window saves) is not estimated at all.

Three laws hold: the same settings leave every figure as it was measured; more room, later watermarks and
longer ages never raise what is lost in all, and their opposites never lower it; a larger buffer is no fuller.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from itertools import pairwise
from statistics import median

from monitoring.counters import growth
from streaming.core.priority import MessagePriority
from streaming.core.profiles import CompressionProfile, GroupProfile
from streaming.core.renditions import SHARE_OF_INT16, Quality

REASONS = ("expired", "dropped", "quota", "emergency", "overload")
LEAST_SPELLS = 6
"""Times between two snapshots in which a rendition was sent alone, until its bytes count as measured."""
LEAST_DEFLATED = 10_000
"""Bytes that were deflated at a level, until what they became counts as measured."""
_P95 = 0.05
_BEST_FIRST = tuple(Quality)


@dataclass(frozen=True, slots=True)
class Reading:
    """One snapshot of a group by a process, as far as an estimate needs it; counters are since its start."""

    process: str
    at: float
    viewers: int
    by_quality: tuple[int, ...]
    """Viewers that are sent the stream as each quality, best first."""
    utilization: float
    pressure: float
    queue_p95_s: float | None
    level: int
    offered: int
    sent: int
    bytes_sent: int
    drops: tuple[int, ...]
    """By reason, as in REASONS."""
    bytes_in: int
    bytes_out: int
    waveform_out: int
    """Of `bytes_out` those of live ECG."""
    compress_s: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between what a figure would have been, as far as that is known; None: no bound on that side."""

    low: float | None
    high: float | None

    @classmethod
    def exactly(cls, value: float) -> Bounds:
        """No doubt."""
        return cls(value, value)


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: what was measured, what it is estimated with the new settings, and why."""

    name: str
    unit: str
    measured: float | None
    estimate: Bounds | None
    """None: it cannot be estimated."""
    why: str = ""
    is_bound: bool = False
    """Whether it is a bound that the settings themselves say, and no estimate."""

    @property
    def is_unchanged(self) -> bool:
        """Whether the new settings leave it as it was."""
        return self.measured is not None and self.estimate == Bounds.exactly(self.measured)


class Way(Enum):
    """How several bounds change together."""

    SAME = auto()
    MORE = auto()
    LESS = auto()
    MIXED = auto()


@dataclass(frozen=True, slots=True)
class Spell:
    """The time between two snapshots that follow each other in one process."""

    before: Reading
    after: Reading

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.after.at - self.before.at

    def grown(self, read: Callable[[Reading], float]) -> float:
        """By how much a counter grew."""
        return growth(read(self.before), read(self.after))


def estimate(readings: Sequence[Reading], old: GroupProfile, new: GroupProfile) -> list[Line]:
    """Every figure of one group over the readings, which may be of several processes; none without any."""
    if not readings:
        return []
    spells = _spells(readings)
    losses = _losses(readings, spells, old, new)
    return [
        *_room(old, new),
        *_queue(readings, spells, old, new),
        *losses,
        *_bytes(spells, losses[-1], old, new),
        *_deflated(spells, old.compression, new.compression),
    ]


def _spells(readings: Sequence[Reading]) -> list[Spell]:
    by_process: dict[str, list[Reading]] = {}
    for reading in sorted(readings, key=lambda reading: reading.at):
        by_process.setdefault(reading.process, []).append(reading)
    return [Spell(*pair) for of_one in by_process.values() for pair in pairwise(of_one)]


# -- how bounds change


def way(pairs: Iterable[tuple[float, float]]) -> Way:
    """What these old and new bounds have in common."""
    ways = {Way.MORE if new > old else Way.LESS for old, new in pairs if new != old}
    return Way.SAME if not ways else Way.MIXED if len(ways) > 1 else ways.pop()


def _together(ways: Iterable[Way]) -> Way:
    kinds = set(ways) - {Way.SAME}
    return Way.SAME if not kinds else kinds.pop() if len(kinds) == 1 else Way.MIXED


def _count_cap(profile: GroupProfile, priority: MessagePriority) -> int:
    """As a lane computes it."""
    backpressure = profile.backpressure
    return max(1, math.floor(backpressure.quotas[priority] * backpressure.max_buffer_size))


def _age(profile: GroupProfile, priority: MessagePriority) -> float:
    age_s = profile.backpressure.bounds[priority].max_age_s
    return math.inf if age_s is None else age_s


def _sizes(old: GroupProfile, new: GroupProfile) -> list[tuple[float, float]]:
    """Every bound in messages and bytes."""
    both = [(old.backpressure, new.backpressure)]
    pairs: list[tuple[float, float]] = [(a.max_buffer_size, b.max_buffer_size) for a, b in both]
    pairs.append((old.connection.max_total_bytes, new.connection.max_total_bytes))
    for priority in MessagePriority:
        pairs.append((_count_cap(old, priority), _count_cap(new, priority)))
        pairs += [(a.bounds[priority].max_bytes, b.bounds[priority].max_bytes) for a, b in both]
    return pairs


def _ages(old: GroupProfile, new: GroupProfile) -> list[tuple[float, float]]:
    return [(_age(old, priority), _age(new, priority)) for priority in MessagePriority]


def _watermarks(old: GroupProfile, new: GroupProfile) -> list[tuple[float, float]]:
    a, b = old.backpressure, new.backpressure
    return [
        (a.low_watermark, b.low_watermark),
        (a.high_watermark, b.high_watermark),
        (a.critical_watermark, b.critical_watermark),
    ]


def pressure_factors(old: GroupProfile, new: GroupProfile) -> tuple[float, float]:
    """Between what a pressure is multiplied by the new bounds.

    Pressure is the greatest of several shares of bounds, and which one it was is not stored: each is scaled
    by its old bound to the new one, so that the greatest is scaled by no less than the least of these ratios,
    and by no more than the greatest. Infinite where ages were unbounded: nothing tells how old messages were.
    """
    ratios = [a / b for a, b in _sizes(old, new)]
    for a, b in _ages(old, new):
        if a < math.inf:
            ratios.append(a / b)
        elif b < math.inf:
            ratios.append(math.inf)
    return min(ratios), max(ratios)


# -- figures of the queue


def _room(old: GroupProfile, new: GroupProfile) -> Iterator[Line]:
    """What may wait at the most; bounds, and so known exactly."""
    reads: tuple[tuple[str, str, Callable[[GroupProfile], float]], ...] = (
        ("Most messages that may wait for one viewer", "messages", lambda p: p.backpressure.max_buffer_size),
        ("Most bytes that may wait for one viewer", "bytes", _most_bytes),
        ("Longest that live ECG may wait", "s", lambda p: _age(p, MessagePriority.HIGH)),
    )
    why = "What the settings say, and no estimate."
    for name, unit, read in reads:
        yield Line(name, unit, read(old), Bounds.exactly(read(new)), why, is_bound=True)


def _most_bytes(profile: GroupProfile) -> float:
    of_classes = sum(bounds.max_bytes for bounds in profile.backpressure.bounds.values())
    return min(of_classes, profile.connection.max_total_bytes)


def _queue(
    readings: Sequence[Reading], spells: Sequence[Spell], old: GroupProfile, new: GroupProfile
) -> Iterator[Line]:
    ratio = old.backpressure.max_buffer_size / new.backpressure.max_buffer_size
    crowded = any(spell.grown(_lost) > 0 for spell in spells)
    why = "The same messages as a share of the new size."
    if crowded and ratio < 1:
        why += " Messages were dropped, and some of them would have waited: up to what it was."
    for name, summary in (("Fullest queue, at most", max), ("Fullest queue, mean", _mean)):
        measured = summary([reading.utilization for reading in readings])
        # More messages than fit cannot wait; a control message may stand above the bound as it is.
        scaled = summary([min(each * ratio, max(each, 1.0)) for each in (r.utilization for r in readings)])
        yield Line(
            name, "share", measured, Bounds(scaled, measured if crowded and ratio < 1 else scaled), why
        )
    least, most = pressure_factors(old, new)
    why = "Snapshots see a moment every few seconds; shorter peaks are missed, before and after."
    if least != most:
        why = "Which bound the pressure was of is not stored: all of them are tried. " + why
    for name, mark in (("high", 1), ("critical", 2)):
        was, will = _watermarks(old, new)[mark]
        measured = _mean([reading.pressure >= was for reading in readings])
        low = _mean([reading.pressure * least >= will for reading in readings])
        high = _mean([_at_most(reading.pressure, most) >= will for reading in readings])
        yield Line(f"Time at or above the {name} watermark", "share", measured, Bounds(low, high), why)


def _lost_for(reason: str, reading: Reading) -> float:
    return reading.drops[REASONS.index(reason)]


def _lost(reading: Reading) -> float:
    return sum(reading.drops)


def _at_most(pressure: float, factor: float) -> float:
    """A full queue is not fuller than full."""
    return max(pressure, 1.0) if factor == math.inf else min(pressure * factor, max(pressure, 1.0))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


# -- messages that were lost


def _losses(
    readings: Sequence[Reading], spells: Sequence[Spell], old: GroupProfile, new: GroupProfile
) -> list[Line]:
    """Offered, then each reason, then all of them together."""
    offered = sum(spell.grown(lambda r: r.offered) for spell in spells)
    frames_change = old.best_rendition != new.best_rendition
    first = Line(
        "Messages offered",
        "messages",
        offered,
        None if frames_change else Bounds.exactly(offered),
        "How long the frames of each viewer are is not stored." if frames_change else "",
    )
    lost = {reason: sum(spell.grown(partial(_lost_for, reason)) for spell in spells) for reason in REASONS}
    total = sum(lost.values())
    if frames_change and _together([_tightness(old, new)]) is Way.SAME:
        why = "Another rendition makes other messages, and these other queues."
        unknown = [Line(_dropped(reason), "messages", count, None, why) for reason, count in lost.items()]
        return [first, *unknown, Line("Lost in all", "messages", total, None, why)]
    match _tightness(old, new):
        case Way.SAME:
            found = {reason: Bounds.exactly(count) for reason, count in lost.items()}
            return _told(first, lost, found, Bounds.exactly(total), "")
        case Way.MORE:
            return _relieved(first, lost, old, new)
        case Way.LESS:
            return _strained(first, lost, readings, spells, old, new)
        case _:
            why = "Some bounds are wider and others narrower: what these lose and those save cannot be told."
            return _told(first, lost, {"overload": Bounds.exactly(lost["overload"])}, None, why)


def _tightness(old: GroupProfile, new: GroupProfile) -> Way:
    """MORE: nothing is narrower, earlier or sooner than before, and something is not the same."""
    emergency = (not old.backpressure.emergency_mode, not new.backpressure.emergency_mode)
    return _together(
        [
            way(_sizes(old, new)),
            way(_ages(old, new)),
            way(_watermarks(old, new)),
            way([(float(emergency[0]), float(emergency[1]))]),
        ]
    )


def _relieved(first: Line, lost: Mapping[str, float], old: GroupProfile, new: GroupProfile) -> list[Line]:
    """What is kept from one loss may meet another later, but nothing is lost that was not before."""
    room, ages = way(_sizes(old, new)) is Way.MORE, way(_ages(old, new)) is Way.MORE
    marks = way(_watermarks(old, new)) is Way.MORE
    no_emergency = old.backpressure.emergency_mode and not new.backpressure.emergency_mode
    eased = {
        "expired": ages,
        "dropped": room or ages or marks,
        "quota": room,
        "emergency": room or marks or no_emergency,
        "overload": False,
    }
    saved = sum(count for reason, count in lost.items() if eased[reason])
    found = {}
    for reason, count in lost.items():
        others = saved - (count if eased[reason] else 0)
        found[reason] = Bounds(0.0 if eased[reason] else count, count + others)
    if not new.backpressure.emergency_mode:
        found["emergency"] = Bounds.exactly(0.0)
    found["overload"] = Bounds.exactly(lost["overload"])
    total = sum(lost.values())
    why = "Up to all that had to do with these bounds would not be lost, or be lost later for another reason."
    return _told(first, lost, found, Bounds(total - saved, total), why)


def _strained(
    first: Line,
    lost: Mapping[str, float],
    readings: Sequence[Reading],
    spells: Sequence[Spell],
    old: GroupProfile,
    new: GroupProfile,
) -> list[Line]:
    """Nothing is lost less; how much more is bounded by the 95th percentile of the wait, for ages alone."""
    total = sum(lost.values())
    only_ages = way(_sizes(old, new)) is way(_watermarks(old, new)) is Way.SAME
    same_emergency = old.backpressure.emergency_mode == new.backpressure.emergency_mode
    found: dict[str, Bounds] = {"overload": Bounds.exactly(lost["overload"])}
    high = None
    why = "At least what was lost; how many more is not stored, nor which reason would come first."
    if only_ages and same_emergency:
        narrowed = min(b for a, b in _ages(old, new) if b < a)
        waits = [reading.queue_p95_s for reading in readings if reading.queue_p95_s is not None]
        if waits and max(waits) <= narrowed:
            high = total + _P95 * sum(spell.grown(lambda r: r.sent) for spell in spells)
            why = (
                f"95 % of the messages that were followed waited no longer than {1000 * max(waits):.0f} ms: "
                "at most the other 5 % would have expired as well."
            )
        found["expired"] = Bounds(lost["expired"], None if high is None else lost["expired"] + high - total)
    return _told(first, lost, found, Bounds(total, high), why)


def _told(
    first: Line, lost: Mapping[str, float], found: Mapping[str, Bounds], total: Bounds | None, why: str
) -> list[Line]:
    lines = [
        Line(_dropped(reason), "messages", count, bounds := found.get(reason), _unless_exact(bounds, why))
        for reason, count in lost.items()
    ]
    whole = Line("Lost in all", "messages", sum(lost.values()), total, _unless_exact(total, why))
    return [first, *lines, whole]


def _unless_exact(bounds: Bounds | None, why: str) -> str:
    return "" if bounds is not None and bounds.low == bounds.high else why


def _dropped(reason: str) -> str:
    return f"Lost: {reason}"


# -- bytes


def _bytes(spells: Sequence[Spell], lost: Line, old: GroupProfile, new: GroupProfile) -> Iterator[Line]:
    measured = sum(spell.grown(lambda r: r.bytes_sent) for spell in spells)
    line = Line("Bytes sent to viewers", "bytes", measured, Bounds.exactly(measured))
    if old.best_rendition != new.best_rendition:
        yield _as_rendition(line, spells, old, new)
    elif old.compression != new.compression and not _has_no_level(spells):
        why = "Which of these bytes were deflated here is not stored; live ECG is coded without a level."
        yield replace(line, estimate=None, why=why)
    elif lost.is_unchanged or not measured:
        yield line
    elif lost.estimate is None:
        yield replace(line, estimate=None, why=lost.why)
    else:
        sent = sum(spell.grown(lambda r: r.sent) for spell in spells)
        each, was = measured / max(sent, 1), lost.measured or 0.0
        low, high = lost.estimate.low, lost.estimate.high
        bounds = Bounds(
            None if high is None else max(0.0, measured - each * (high - was)),
            None if low is None else measured + each * (was - low),
        )
        yield replace(
            line, estimate=bounds, why="By the mean size of a message, for each that is lost or not."
        )


def _as_rendition(line: Line, spells: Sequence[Spell], old: GroupProfile, new: GroupProfile) -> Line:
    """What viewers would get of the stream if nothing better than the new rendition were sent."""
    was, will = old.best_rendition.quality, new.best_rendition.quality
    if was is will:
        longer = new.best_rendition.frame_s > old.best_rendition.frame_s
        measured = line.measured or 0.0
        bounds = Bounds(None, measured) if longer else Bounds(measured, None)
        return replace(line, estimate=bounds, why="Longer frames have fewer headers; how many is not stored.")
    rates = rates_by_quality(spells)
    seconds = viewer_seconds(spells)
    coarser = _BEST_FIRST.index(will) > _BEST_FIRST.index(was)
    affected = [q for q in Quality if seconds[q] and (_BEST_FIRST.index(q) < _BEST_FIRST.index(will))]
    if not coarser:
        affected = [was] if seconds[was] else []
    measured = line.measured or 0.0
    if not affected:
        if coarser:
            return replace(line, why="Nobody was sent anything better than that.")
        why = "Nobody was sent the best that was allowed: better is not what they lacked."
        return replace(line, estimate=Bounds.exactly(measured), why=why)
    change = 0.0
    sources = set()
    for quality in affected:
        found = _scaled_rate(quality, will, rates)
        if found is None:
            why = f"Nobody was sent {will} alone within the hour, and nothing else tells what it takes here."
            return replace(line, estimate=None, why=why)
        rate, target, source = found
        change += seconds[quality] * (target - rate)
        sources.add(source)
    estimated = max(0.0, measured + change)
    bounds = Bounds.exactly(estimated) if coarser else Bounds(measured, max(measured, estimated))
    return replace(line, estimate=bounds, why=" ".join(sorted(sources)))


def rates_by_quality(spells: Iterable[Spell]) -> dict[Quality, float]:
    """Bytes a second and viewer, median over the times when all viewers were sent one quality throughout."""
    seen: dict[Quality, list[float]] = {}
    for spell in spells:
        alone = {quality for reading in (spell.before, spell.after) for quality in _sent(reading)}
        viewers = (spell.before.viewers + spell.after.viewers) / 2
        if len(alone) == 1 and spell.before.viewers and spell.after.viewers and spell.seconds > 0:
            rate = spell.grown(lambda r: r.bytes_sent) / spell.seconds / viewers
            seen.setdefault(alone.pop(), []).append(rate)
    return {quality: median(rates) for quality, rates in seen.items() if len(rates) >= LEAST_SPELLS}


def viewer_seconds(spells: Iterable[Spell]) -> dict[Quality, float]:
    """For how long viewers were sent each quality, all of them together."""
    seconds = dict.fromkeys(Quality, 0.0)
    for spell in spells:
        for n, quality in enumerate(Quality):
            viewers = (spell.before.by_quality[n] + spell.after.by_quality[n]) / 2
            seconds[quality] += viewers * spell.seconds
    return seconds


def _sent(reading: Reading) -> list[Quality]:
    return [quality for quality, viewers in zip(Quality, reading.by_quality, strict=True) if viewers]


def _scaled_rate(
    quality: Quality, will: Quality, rates: Mapping[Quality, float]
) -> tuple[float, float, str] | None:
    """The measured rate of `quality`, that of `will`, and where the second is from; None where unknown."""
    rate = rates.get(quality)
    if rate is None:
        return None
    if will in rates:
        return rate, rates[will], "By what viewers of both renditions were sent within the hour."
    if quality in SHARE_OF_INT16 and will in SHARE_OF_INT16:
        ratio = SHARE_OF_INT16[will] / SHARE_OF_INT16[quality]
        source = "By the ratio that was measured on PTB-XL (12 leads, 500 Hz); other signals have others."
        return rate, rate * ratio, source
    return None


# -- what is compressed


def _has_no_level(spells: Sequence[Spell]) -> bool:
    """Whether all that was compressed is live ECG: its codec has neither level nor window."""
    return all(
        spell.grown(lambda r: r.bytes_out) == spell.grown(lambda r: r.waveform_out) for spell in spells
    )


def _deflated(spells: Sequence[Spell], old: CompressionProfile, new: CompressionProfile) -> Iterator[Line]:
    given = sum(spell.grown(lambda r: r.bytes_in) for spell in spells)
    if not given:
        return
    became = sum(spell.grown(lambda r: r.bytes_out) for spell in spells)
    spent = sum(spell.grown(lambda r: r.compress_s) for spell in spells)
    size = Line("Bytes after compression", "bytes", became, Bounds.exactly(became))
    time = Line("Time spent on compressing", "s", spent, Bounds.exactly(spent))
    if old == new:
        yield from (size, time)
    elif _has_no_level(spells):
        why = "All of it is live ECG, whose codec has none of these settings."
        yield from (replace(size, why=why), replace(time, why=why))
    elif (
        new == replace(old, threshold_bytes=new.threshold_bytes) and new.threshold_bytes > old.threshold_bytes
    ):
        why = "Shorter messages would be sent as they are: at most all of them, at least none."
        yield replace(size, estimate=Bounds(became, max(became, given)), why=why)
        yield replace(time, estimate=Bounds(0.0, spent), why=why)
    elif (found := _at_level(spells, old, new)) is not None:
        share, each_s, tried = found
        why = (
            f"By {tried / 1000:,.0f} kB that were compressed within the hour while the level was {new.level}."
        )
        yield replace(size, estimate=Bounds.exactly(given * share), why=why)
        yield replace(time, estimate=Bounds.exactly(given * each_s), why=why)
    else:
        why = "Nothing tells: no message was compressed by these settings within the hour."
        yield from (replace(size, estimate=None, why=why), replace(time, estimate=None, why=why))


def _at_level(
    spells: Iterable[Spell], old: CompressionProfile, new: CompressionProfile
) -> tuple[float, float, float] | None:
    """Of what was compressed at the new level: bytes out and seconds, to a byte in, and how many bytes in.

    None where the level is chosen for each message, before or after, or more than the level is another.
    """
    only_level = new == replace(
        old, level=new.level, adaptive=new.adaptive, min_level=new.min_level, max_level=new.max_level
    )
    if old.adaptive or new.adaptive or not only_level:
        return None
    at_level = [spell for spell in spells if spell.before.level == spell.after.level == new.level]
    given = sum(spell.grown(lambda r: r.bytes_in) for spell in at_level)
    if given < LEAST_DEFLATED:
        return None
    became = sum(spell.grown(lambda r: r.bytes_out) for spell in at_level)
    return became / given, sum(spell.grown(lambda r: r.compress_s) for spell in at_level) / given, given
