"""What an alert rule may watch, and what that comes to: levels as they are, counters by their last growth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from monitoring.counters import growth
from monitoring.figures import FIGURES, Figure, Keep
from streaming.core.overload import OverloadState
from streaming.core.stats import GroupStats, ProcessUsage

_Read = Callable[[Any, Any, float], float | None]
"""Figures now, those of the tick before (None at the first one), and the seconds between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFigures(ProcessUsage):
    """One process at one tick. Counters are since it started."""

    offered_messages: int
    dropped_messages: int
    layer_away: bool
    layer_lost_messages: int
    journal_away: bool
    history_away: bool
    history_lost_s: float
    lost_snapshots: int


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure that a rule may watch; `words` are what its values 0, 1, 2 ... mean, best first."""

    name: str
    label: str
    unit: str
    of_process: bool
    read: _Read
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """All figures of one process at one tick, and those of the tick before for what has to grow."""

    at: float
    """Seconds, on any clock that only goes on."""
    groups: Mapping[str, GroupStats]
    process: ProcessFigures
    before: Sample | None = None

    def after(self, before: Sample | None) -> Sample:
        """This one, following that one, whose own past is let go."""
        past = None if before is None else Sample(before.at, before.groups, before.process)
        return Sample(self.at, self.groups, self.process, past)

    def value(self, metric: Metric, group: str) -> float | None:
        """The metric of a group, or of the process where it is one of that; None where it is not known."""
        now: Any = self.process if metric.of_process else self.groups.get(group)
        if now is None:
            return None
        if self.before is None:
            return metric.read(now, None, 0.0)
        was: Any = self.before.process if metric.of_process else self.before.groups.get(group)
        return metric.read(now, was, self.at - self.before.at)


def spoken(value: float, metric: Metric) -> str:
    """A value with its unit, or as the word that it stands for."""
    if metric.words:
        index = min(max(round(value), 0), len(metric.words) - 1)
        return metric.words[index]
    if metric.unit == "share":
        return f"{plain(100 * value)} %"
    return f"{plain(value)} {metric.unit}".rstrip()


def plain(value: float) -> str:
    """Four digits, all of them where there are more before the point; never a power of ten."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def spoken_of(name: str, value: float) -> str:
    """The same of a metric by its name, which an older release may have had alone."""
    metric = METRICS.get(name)
    return plain(value) if metric is None else spoken(value, metric)


# -- how each is read


def _level(name: str) -> _Read:
    def read(now: Any, _was: Any, _seconds: float) -> float | None:
        value = getattr(now, name)
        return None if value is None else float(value)

    return read


def _word(name: str, order: tuple[str, ...]) -> _Read:
    def read(now: Any, _was: Any, _seconds: float) -> float | None:
        value = getattr(now, name)
        return float(order.index(value)) if value in order else None

    return read


def _growth(now: Any, was: Any, name: str) -> float:
    """Since the tick before."""
    return growth(float(getattr(was, name)), float(getattr(now, name)))


def _rate(name: str, per_s: float = 1.0) -> _Read:
    """Growth in so many seconds."""

    def read(now: Any, was: Any, seconds: float) -> float | None:
        return _growth(now, was, name) * per_s / seconds if was is not None and seconds > 0 else None

    return read


def _loss(now: Any, was: Any, _seconds: float) -> float | None:
    """Of what was offered since the tick before, the share that was dropped since then."""
    if was is None:
        return None
    dropped, offered = _growth(now, was, "dropped_messages"), _growth(now, was, "offered_messages")
    if not dropped:
        return 0.0 if offered else None
    return min(dropped / offered, 1.0) if offered else 1.0


def _saved(out: str, given: str) -> _Read:
    """Percent that was saved since the tick before; None when nothing was compressed."""

    def read(now: Any, was: Any, _seconds: float) -> float | None:
        if was is None or not (before := _growth(now, was, given)):
            return None
        return 100 * (1 - _growth(now, was, out) / before)

    return read


def _compression_ms(now: Any, was: Any, _seconds: float) -> float | None:
    if was is None or not (messages := _growth(now, was, "messages_processed")):
        return None
    return 1000 * _growth(now, was, "compress_s") / messages


def _gravest(now: Any, _was: Any, _seconds: float) -> float | None:
    return float(max(3 * now.emergency_mode, 2 * now.backpressure_active, 1 * now.paused))


def _megabytes(name: str) -> _Read:
    def read(now: Any, _was: Any, _seconds: float) -> float | None:
        return float(getattr(now, name)) / 1e6

    return read


# -- which there are

YES_NO = ("no", "yes")
_OF_PROCESS = frozenset({"overload", "loop_lag_ms", "rss_mb", "lost_snapshots"})
"""Figures of a snapshot that are the same in each group's row, because they are the process's."""
_LEVELS = frozenset({"high_watermark", "current_level"})
"""Of those of which the last stands for a minute, the ones that do not count since the start."""
_JUDGED: Mapping[str, tuple[str, str, _Read]] = {
    "drop_rate": ("loss", "share", _loss),
    "average_compression_ratio": ("compression ratio", "%", _saved("bytes_out", "bytes_in")),
    "ratio_vs_json": ("ratio against JSON", "%", _saved("waveform_bytes_out", "waveform_json_bytes")),
    "average_latency_ms": ("compression latency", "ms", _compression_ms),
    "gaps": ("gaps", "messages/min", _rate("gaps", 60)),
    "lost_snapshots": ("lost snapshots", "snapshots/min", _rate("lost_snapshots", 60)),
    "compress_s": ("CPU time of compressing", "s/s", _rate("compress_s")),
}
"""Label, unit and reading of what is since the start in a snapshot, and is judged by the last interval."""
_LABELS = {
    "loop_lag_ms": "event-loop lag",
    "rss_mb": "memory",
    "age_p50_ms": "age p50",
    "age_p95_ms": "age p95",
    "age_p99_ms": "age p99",
    "encode_p95_ms": "time until encoded, p95",
    "queue_p95_ms": "time in the queue, p95",
    "throughput_mbps": "throughput",
    "current_level": "compression level",
    "space_saved_mb": "space saved",
    "messages_per_second": "messages sent, mean of 10 s",
    "viewers_lossless": "viewers sent lossless",
    "viewers_diagnostic": "viewers sent diagnostic",
    "viewers_display": "viewers sent display",
    "viewers_overview": "viewers sent overview",
    "viewers_vitals": "viewers sent vitals",
    "viewers_excellent": "viewers with excellent network",
    "viewers_good": "viewers with good network",
    "viewers_fair": "viewers with fair network",
    "viewers_poor": "viewers with poor network",
    "viewers_critical": "viewers with critical network",
    "waveform_json_bytes": "waveform bytes as JSON",
}
_STATES = ("normal", "paused", "backpressure", "emergency")


def _metric_of(figure: Figure) -> Metric:
    """How a snapshot's figure is judged; one that is not listed here by what stands for a minute of it."""
    name, of_process = figure.name, figure.name in _OF_PROCESS
    label = _LABELS.get(name, name.replace("_", " "))
    if name in _JUDGED:
        told, unit, read = _JUDGED[name]
        return Metric(name, told, unit, of_process, read)
    if name == "state":
        return Metric(name, label, "", of_process, _gravest, _STATES)
    if figure.order:
        order = tuple(map(str, figure.order))
        return Metric(name, label, "", of_process, _word(name, order), order)
    if figure.keep is Keep.LAST and name not in _LEVELS:
        slow = name.startswith(("dropped", "drops_"))
        unit, seconds = (f"{figure.unit}/min", 60.0) if slow else (f"{figure.unit}/s", 1.0)
        return Metric(name, label, unit, of_process, _rate(name, seconds))
    words = YES_NO if not figure.unit else ()
    return Metric(name, label, figure.unit, of_process, _level(name), words)


def _of_process(name: str, label: str, unit: str, read: _Read, words: tuple[str, ...] = ()) -> Metric:
    return Metric(name, label, unit, True, read, words)


_PROCESS = (
    _of_process("process_viewers", "viewers of the process", "viewers", _level("viewers")),
    _of_process("process_streams", "streams of the process", "streams", _level("streams")),
    _of_process("process_cpu", "CPU of the process", "% of a core", _rate("cpu_s", 100)),
    _of_process("process_queued_mb", "memory of what waits for viewers", "MB", _megabytes("queued_bytes")),
    _of_process("process_loss", "loss of the process", "share", _loss),
    _of_process(
        "process_messages_per_second", "throughput of the process", "messages/s", _rate("sent_messages")
    ),
    _of_process("process_sent_mbps", "bandwidth of the process", "Mbit/s", _rate("bytes_sent", 8e-6)),
    _of_process("layer_away", "channel layer away", "", _level("layer_away"), YES_NO),
    _of_process(
        "layer_lost_messages", "messages lost by the layer", "messages/min", _rate("layer_lost_messages", 60)
    ),
    _of_process("journal_away", "alarm journal not stored", "", _level("journal_away"), YES_NO),
    _of_process("history_away", "history not stored", "", _level("history_away"), YES_NO),
    _of_process("history_lost_s", "ECG lost to the history", "s/min", _rate("history_lost_s", 60)),
)
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in (*map(_metric_of, FIGURES), *_PROCESS)}
"""By name: every figure of a snapshot, and what only the whole process has."""
assert METRICS["overload"].words == tuple(OverloadState)
