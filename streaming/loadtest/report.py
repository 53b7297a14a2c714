"""What a load test found, for people and for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streaming.core.priority import MessagePriority
from streaming.loadtest.tally import Tally


@dataclass(frozen=True, slots=True)
class Outcome:
    """One measurement: what was asked for, how long it went on, and what was counted."""

    viewers: int
    patients: int
    seconds: float
    tally: Tally
    bytes_per_s: float | None = None
    server_cpu_s: float | None = None
    """Of a server on this machine."""
    feed_late_s: float | None = None
    """The most by which the load test's own devices were late; None when it had none."""
    device_reconnects: int = 0
    was_stopped: bool = False

    @property
    def is_good(self) -> bool:
        """Whether no sample is missing unnamed, none came twice, and nothing was malformed."""
        tally = self.tally
        return not (tally.lost_samples or tally.repeated_frames or tally.malformed)

    def to_json(self) -> dict[str, Any]:
        """One object for programs; times in milliseconds, rates a second, counts over the measurement."""
        tally, seconds = self.tally, max(self.seconds, 1e-9)
        classes = [priority.name.lower() for priority in MessagePriority]
        return {
            "viewers": self.viewers,
            "connected": tally.connected,
            "patients": self.patients,
            "seconds": round(self.seconds, 2),
            "was_stopped": self.was_stopped,
            "link_bytes_per_s": self.bytes_per_s,
            "websocket_messages_per_s": round(tally.messages / seconds, 1),
            "bytes_per_s": round(tally.size_bytes / seconds),
            "classes": {
                name: {
                    "messages_per_s": round(tally.by_class[name] / seconds, 1),
                    "bytes_per_s": round(tally.bytes_by_class[name] / seconds),
                }
                for name in classes
            },
            "age_newest_ms": tally.newest.summary_ms(),
            "age_oldest_ms": tally.oldest.summary_ms(),
            "age_is_absolute": self.feed_late_s is not None,
            "round_trip_ms": tally.round_trips.summary_ms(),
            "renditions": dict(tally.renditions),
            "drops": dict(tally.drops),
            "gaps": dict(tally.gaps),
            "gap_samples": dict(tally.gap_samples),
            "lost_samples": tally.lost_samples,
            "lost_holes": tally.lost_holes,
            "late_gap_samples": tally.late_gap_samples,
            "repeated_frames": tally.repeated_frames,
            "malformed": tally.malformed,
            "decoded_frames": tally.decoded_frames,
            "closes": dict(tally.closes),
            "reconnects": tally.reconnects,
            "refused": dict(tally.refused),
            "overload": dict(tally.overload),
            "server_cpu_percent": (
                None if self.server_cpu_s is None else round(100 * self.server_cpu_s / seconds, 1)
            ),
            "feed_late_ms": None if self.feed_late_s is None else round(1000 * self.feed_late_s, 1),
            "device_reconnects": self.device_reconnects,
        }

    def line(self) -> str:
        """The same as one line of JSON."""
        return json.dumps(self.to_json())

    def words(self) -> Iterator[str]:
        """The same in lines for people."""
        told, tally = self.to_json(), self.tally
        link = "" if self.bytes_per_s is None else f", each behind {self.bytes_per_s / 1000:g} kB/s"
        yield (
            f"{tally.connected} of {self.viewers} viewers connected{link}, {self.patients} patients, "
            f"{self.seconds:.0f} s{', stopped early' if self.was_stopped else ''}"
        )
        yield "  what came, to all of them together:"
        for name, rates in told["classes"].items():
            if rates["messages_per_s"]:
                yield (
                    f"  {name:<10}{rates['messages_per_s']:>12,.1f} messages/s"
                    f"{rates['bytes_per_s'] / 1000:>12,.1f} kB/s"
                )
        yield f"  in {told['websocket_messages_per_s']:,.1f} WebSocket messages/s"
        beyond = "" if told["age_is_absolute"] else ", beyond the promptest frame of its stream"
        yield _delays(f"age of a frame's newest sample{beyond}", told["age_newest_ms"])
        yield _delays(f"age of its oldest sample{beyond}", told["age_oldest_ms"])
        yield _delays("round trip of a CRITICAL message", told["round_trip_ms"])
        yield f"  sent as: {_counts(tally.renditions, total=True)}"
        yield f"  dropped by the server: {_counts(tally.drops)}"
        yield f"  GAPs: {_counts(tally.gaps)}; samples they name: {_counts(tally.gap_samples)}"
        yield (
            f"  missing without a GAP: {tally.lost_samples} samples; "
            f"with one that came late: {tally.late_gap_samples}; "
            f"frames that came twice: {tally.repeated_frames}; malformed: {tally.malformed}; "
            f"decoded whole: {tally.decoded_frames}"
        )
        yield (
            f"  connections cut: {_counts(tally.closes)}; came back: {tally.reconnects}; "
            f"refused: {_counts(tally.refused)}"
        )
        states = Counter({state: count for state, count in tally.overload.items() if state != "normal"})
        if states:
            yield f"  the server said that it is overloaded: {_counts(states)}"
        if told["server_cpu_percent"] is not None:
            yield f"  server: {told['server_cpu_percent']:.0f} % of a core"
        if told["feed_late_ms"] is not None:
            yield (
                f"  this machine's own devices were late by at most {told['feed_late_ms']:.0f} ms, "
                f"and reconnected {self.device_reconnects} times"
            )


def _delays(name: str, summary: dict[str, float] | None) -> str:
    if summary is None:
        return f"  {name}: none"
    return f"  {name}: " + ", ".join(f"{key} {value:g} ms" for key, value in summary.items())


def _counts(counts: Counter[str], *, total: bool = False) -> str:
    if not counts:
        return "none"
    if total:
        whole = sum(counts.values())
        return ", ".join(f"{name} {100 * count / whole:.1f} %" for name, count in counts.most_common())
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
