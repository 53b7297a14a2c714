"""Snapshots as a server makes them: counters that grow, figures that go up and down with the hour."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from monitoring.models import MetricsSnapshot, Resolution
from streaming.core.network import NetworkCondition
from streaming.core.stats import GroupStats


def snapshots(
    start: datetime,
    count: int,
    step_s: int,
    *,
    groups: Iterable[str] = ("ecg.a",),
    process: str = "0123abcd",
    resolution: Resolution = Resolution.FULL,
    detail: dict[str, Any] | None = None,
) -> Iterator[MetricsSnapshot]:
    """`count` rows of each group, `step_s` apart, all groups of a moment together. Deterministic."""
    for n in range(count):
        at = start + timedelta(seconds=n * step_s)
        for number, group in enumerate(groups):
            row = MetricsSnapshot.of(figures(group, n, number, step_s, detail or {}), at=at, process=process)
            row.resolution = resolution
            row.samples = max(1, resolution // 10)
            yield row


def figures(group: str, n: int, number: int, step_s: int, detail: dict[str, Any]) -> GroupStats:
    """The nth figures of a group."""
    busy = 1 + math.sin(n * step_s / 900 + number) / 2
    seconds = n * step_s
    viewers = round(4 * busy) + number % 3
    messages = 45 * seconds * (1 + number % 3)
    dropped = seconds // 40
    crowded = (n + number) % 97 == 0
    return GroupStats(
        group=group,
        viewers=viewers,
        viewers_lossless=max(0, viewers - 2),
        viewers_display=min(2, viewers),
        viewers_good=max(0, viewers - 1),
        viewers_poor=min(1, viewers),
        buffer_size=round(6 * busy),
        buffer_bytes=round(900 * busy),
        buffer_utilization=0.001 * busy,
        pressure=0.95 if crowded else 0.2 * busy,
        high_watermark=0.8,
        offered_messages=messages + dropped,
        sent_messages=messages,
        dropped_messages=dropped,
        drops_expired=dropped // 2,
        drops_quota=dropped - dropped // 2,
        drop_rate=dropped / (messages + dropped) if messages else 0.0,
        messages_per_second=45.0 * busy,
        bytes_sent=9000 * seconds * (1 + number % 3),
        gaps=dropped // 3,
        backpressure_active=crowded,
        emergency_mode=crowded and n % 2 == 0,
        current_level=6,
        messages_processed=20 * seconds,
        average_compression_ratio=74.0,
        ratio_vs_json=91.0,
        average_latency_ms=0.2,
        space_saved_mb=0.0074 * seconds,
        compress_s=0.004 * seconds,
        bytes_in=10_000 * seconds,
        bytes_out=2600 * seconds + round(8000 * math.sin(n / 40)) + 8000,
        waveform_bytes_out=2500 * seconds,
        waveform_json_bytes=29_000 * seconds,
        network_condition=(NetworkCondition.POOR if crowded else NetworkCondition.GOOD).value,
        throughput_mbps=0.08,
        age_p50_ms=60.0 * busy,
        age_p95_ms=110.0 * busy,
        age_p99_ms=180.0 * busy,
        encode_p95_ms=101.0,
        queue_p95_ms=4.0 * busy,
        followed_messages=300,
        overload="normal",
        loop_lag_ms=2.0 * busy,
        rss_mb=90.0 + seconds / 86_400,
        detail=detail,
    )
