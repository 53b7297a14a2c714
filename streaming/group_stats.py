"""The present figures of every group in this process, put together from its viewers, counters and codec."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from streaming.adaptive_compression import AdaptiveCompression
from streaming.backpressure import BackpressureHandler
from streaming.core.items import LOST
from streaming.core.lane import LaneState
from streaming.core.network import NetworkCondition
from streaming.core.renditions import Quality, Rendition
from streaming.core.stages import Percentiles, Stage
from streaming.core.stats import GroupStats
from streaming.core.streams import group_of, stream_of
from streaming.core.tally import GroupTally
from streaming.hub import Hub
from streaming.memory import resident_mb
from streaming.recorder import HistoryFigures
from streaming.subscriber import CONTROL_GROUP, Subscriber

VIEWERS_AT_ONCE = 200
"""Of one group between two pieces: about a millisecond."""
_COUNTED = (
    "current_level",
    "messages_processed",
    "average_compression_ratio",
    "ratio_vs_json",
    "average_latency_ms",
    "space_saved_mb",
    "compress_s",
    "bytes_in",
    "bytes_out",
    "waveform_bytes_out",
    "waveform_json_bytes",
)
"""Of the compression's statistics those that are fields by the same name."""


def group_stats(
    hub: Hub,
    adaptive: Mapping[str, AdaptiveCompression],
    history: Mapping[str, HistoryFigures],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[GroupStats]:
    """One entry per group that has viewers, had some, or is encoded here, in the order of their names.

    Never waits. `history` is by group as well, of those that are recorded here.

    What belongs to connections and no stream has one when anything was compressed for it.
    """
    pieces = group_pieces(hub, adaptive, history, clock=clock)
    return (stats for stats in pieces if stats is not None)


def group_pieces(
    hub: Hub,
    adaptive: Mapping[str, AdaptiveCompression],
    history: Mapping[str, HistoryFigures],
    *,
    detailed: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[GroupStats | None]:
    """The same, and None whenever so many viewers of a group were read: others may run between any two.

    Viewers that come or go meanwhile may be in it or not. Unless it is `detailed`, what has no field of its
    own is left out: that takes a quarter of the time.
    """
    now = clock()
    viewers, tallies = hub.viewers_by_group(), hub.tallies()
    groups = viewers.keys() | tallies.keys() | adaptive.keys()
    followed = {group_of(stream): stages for stream, stages in hub.stages_by_stream().items()}
    process, detail = _process(hub)
    looks = _Looks()
    control = adaptive.get(CONTROL_GROUP)
    if control is not None and not control.handler.get_compression_stats()["messages_processed"]:
        groups -= {CONTROL_GROUP}
    for group in sorted(groups):
        watching = _Watching(group, looks)
        for number, viewer in enumerate(viewers.get(group, ()), 1):
            watching.add(viewer)
            if number % VIEWERS_AT_ONCE == 0:
                yield None
        yield GroupStats(
            group=group,
            **watching.viewers(),
            **watching.backpressure(hub),
            **_messages(tallies.get(group) or GroupTally(), now),
            **_compression(adaptive.get(group)),
            **_latency(*followed.get(group, ({}, 0))),
            **process,
            detail=detail | _detail(tallies.get(group), adaptive.get(group), history.get(group))
            if detailed
            else {},
        )


def _process(hub: Hub) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is the process's own, and so is in the figures of each of its groups: fields, and detail."""
    overload = hub.overload
    fields = {
        "overload": overload.state.value,
        "loop_lag_ms": round(1000 * overload.lag_s, 1),
        "rss_mb": round(resident_mb(), 1),
    }
    detail = {
        "queued_bytes": overload.queued_bytes,
        "stages_ms": {
            stage: [round(1000 * value, 2) for value in (took.p50_s, took.p95_s, took.p99_s)]
            for stage, took in hub.stages().items()
        },
        "lost_messages": hub.link.lost_messages,
        "layer": "ok" if hub.link.healthy else "away",
        "settings_version": hub.profiles.version,
    }
    return fields, detail


class _Look(NamedTuple):
    """What one viewer says for all of its groups."""

    condition: NetworkCondition
    renditions: Mapping[str, Rendition]
    paused: bool
    busy: BackpressureHandler | None
    """None of the many for whom nothing waits: their groups have nothing to tell."""


class _Looks(dict[Subscriber, _Look]):
    """Each viewer is looked at once, when first one of its groups asks."""

    def __missing__(self, viewer: Subscriber) -> _Look:
        handler = viewer.handler
        look = self[viewer] = _Look(
            viewer.window.network.condition,
            viewer.renditions,
            handler.paused,
            None if handler.idle else handler,
        )
        return look


class _Watching:
    """The viewers of one group, read one by one."""

    def __init__(self, group: str, looks: _Looks) -> None:
        self._group = group
        self._looks = looks
        self._stream = stream_of(group) or ""
        self._count = 0
        self._conditions = Counter[NetworkCondition]()
        self._renditions = Counter[Quality]()
        self._lanes: list[LaneState] = []
        self._paused = False

    def add(self, viewer: Subscriber) -> None:
        """Read one more."""
        condition, renditions, paused, busy = self._looks[viewer]
        self._count += 1
        self._conditions[condition] += 1
        if (rendition := renditions.get(self._stream)) is not None:
            self._renditions[rendition.quality] += 1
        if busy is not None and (lane := busy.group_state(self._group)) is not None:
            self._lanes.append(lane)
        self._paused = self._paused or paused

    def viewers(self) -> dict[str, Any]:
        """How many, by what they are sent the stream as, and by the condition of their networks."""
        return {
            "viewers": self._count,
            **{f"viewers_{quality.value}": self._renditions[quality] for quality in Quality},
            **{f"viewers_{condition.value}": self._conditions[condition] for condition in NetworkCondition},
        }

    def backpressure(self, hub: Hub) -> dict[str, Any]:
        """What waits for them."""
        lanes = self._lanes
        return {
            "buffer_size": sum(lane.size for lane in lanes),
            "buffer_bytes": sum(lane.size_bytes for lane in lanes),
            "buffer_utilization": max((lane.utilization for lane in lanes), default=0.0),
            "pressure": max((lane.pressure for lane in lanes), default=0.0),
            "high_watermark": hub.profiles.for_group(self._group).backpressure.high_watermark,
            "backpressure_active": any(lane.backpressure_active for lane in lanes),
            "emergency_mode": any(lane.emergency for lane in lanes),
            "paused": self._paused,
        }


def _messages(tally: GroupTally, now: float) -> dict[str, Any]:
    return {
        "offered_messages": tally.offered,
        "sent_messages": tally.sent,
        "dropped_messages": tally.dropped,
        **{f"drops_{reason.value}": tally.by_reason[reason] for reason in LOST},
        "drop_rate": tally.drop_rate,
        "messages_per_second": tally.rate.per_second(now),
        "bytes_sent": tally.sent_bytes,
        "gaps": tally.gaps,
    }


def _compression(adaptive: AdaptiveCompression | None) -> dict[str, Any]:
    if adaptive is None:
        return {}
    stats = adaptive.handler.get_compression_stats()
    return {
        **{name: stats[name] for name in _COUNTED},
        "network_condition": adaptive.network_condition.value,
        "throughput_mbps": adaptive.throughput_mbps,
    }


def _latency(stages: Mapping[str, Percentiles], followed: int) -> dict[str, Any]:
    if not stages:
        return {}
    total, encoded, written = stages["total"], stages[Stage.ENCODED], stages[Stage.WRITTEN]
    return {
        "age_p50_ms": round(1000 * total.p50_s, 2),
        "age_p95_ms": round(1000 * total.p95_s, 2),
        "age_p99_ms": round(1000 * total.p99_s, 2),
        "encode_p95_ms": round(1000 * encoded.p95_s, 2),
        "queue_p95_ms": round(1000 * written.p95_s, 2),
        "followed_messages": followed,
    }


def _detail(
    tally: GroupTally | None, adaptive: AdaptiveCompression | None, history: HistoryFigures | None
) -> dict[str, Any]:
    """What has no field, as plain JSON values."""
    kept = {} if tally is None else {reason.value: tally.by_reason[reason] for reason in tally.by_reason}
    return {
        "not_lost": {reason: count for reason, count in kept.items() if reason not in LOST},
        **({"adaptive": adaptive.get_adaptation_stats()} if adaptive is not None else {}),
        **({"history": asdict(history)} if history is not None else {}),
    }
