"""The present figures of every group in this process, put together from its viewers, counters and codec."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from streaming.adaptive_compression import AdaptiveCompression
from streaming.core.stats import GroupStats
from streaming.core.tally import GroupTally
from streaming.hub import Hub
from streaming.recorder import HistoryFigures
from streaming.subscriber import CONTROL_GROUP, Subscriber


def group_stats(
    hub: Hub,
    adaptive: Mapping[str, AdaptiveCompression],
    history: Mapping[str, HistoryFigures],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> list[GroupStats]:
    """One entry per group that has viewers, had some, or is encoded here; never waits.

    `history` is by group as well, of those that are recorded here.

    What belongs to connections and no stream has one when anything was compressed for it.
    """
    now = clock()
    viewers, tallies = hub.viewers_by_group(), hub.tallies()
    groups = viewers.keys() | tallies.keys() | adaptive.keys()
    process = _process(hub)
    control = adaptive.get(CONTROL_GROUP)
    if control is not None and not control.handler.get_compression_stats()["messages_processed"]:
        groups -= {CONTROL_GROUP}
    return [
        _one(
            group,
            viewers.get(group, set()),
            tallies.get(group),
            adaptive.get(group),
            history.get(group),
            hub,
            process,
            now,
        )
        for group in sorted(groups)
    ]


def _process(hub: Hub) -> dict[str, Any]:
    """What is the process's own, and so is in the figures of each of its groups."""
    overload = hub.overload
    return {
        "overload": {
            "state": overload.state.value,
            "lag_ms": round(1000 * overload.lag_s, 1),
            "queued_bytes": overload.queued_bytes,
        },
        "stages_ms": {
            stage: [round(1000 * value, 2) for value in (took.p50_s, took.p95_s, took.p99_s)]
            for stage, took in hub.stages().items()
        },
    }


def _one(
    group: str,
    viewers: set[Subscriber],
    tally: GroupTally | None,
    adaptive: AdaptiveCompression | None,
    history: HistoryFigures | None,
    hub: Hub,
    process: Mapping[str, Any],
    now: float,
) -> GroupStats:
    profile = hub.profiles.for_group(group).backpressure
    tally = tally or GroupTally()
    lanes = [state for viewer in viewers if (state := viewer.handler.group_state(group)) is not None]
    waveform = adaptive.handler.get_compression_stats() if adaptive is not None else {}
    return GroupStats(
        group=group,
        viewers=len(viewers),
        buffer_size=sum(lane.size for lane in lanes),
        buffer_utilization=max((lane.utilization for lane in lanes), default=0.0),
        high_watermark=profile.high_watermark,
        sent_messages=tally.sent,
        dropped_messages=tally.dropped,
        drop_rate=tally.drop_rate,
        messages_per_second=tally.rate.per_second(now),
        bytes_sent=tally.sent_bytes,
        gaps=tally.gaps,
        backpressure_active=any(lane.backpressure_active for lane in lanes),
        emergency_mode=any(lane.emergency for lane in lanes),
        paused=any(viewer.handler.paused for viewer in viewers),
        current_level=waveform.get("current_level", 0),
        messages_processed=waveform.get("messages_processed", 0),
        average_compression_ratio=waveform.get("average_compression_ratio"),
        ratio_vs_json=waveform.get("ratio_vs_json"),
        average_latency_ms=waveform.get("average_latency_ms"),
        space_saved_mb=waveform.get("space_saved_mb", 0.0),
        detail={
            **process,
            "dropped_by_reason": {reason.value: count for reason, count in tally.by_reason.items()},
            "offered_messages": tally.offered,
            "lost_messages": hub.link.lost_messages,
            "layer": "ok" if hub.link.healthy else "away",
            "settings_version": hub.profiles.version,
        }
        | ({"adaptive": adaptive.get_adaptation_stats()} if adaptive is not None else {})
        | ({"history": asdict(history)} if history is not None else {}),
    )
