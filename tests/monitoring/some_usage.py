"""Rows of what processes used: a load with a daily rhythm that grows, and counters that grow with it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from monitoring.models import Resolution, UsageSnapshot

CPU = (0.02, 500e-6, 0.2e-6, 4e-6, 80e-6, 1e-9)
"""What the load below costs: being there, chunks, lead-samples, messages, WebSocket messages, bytes."""


def usage(
    start: datetime,
    count: int,
    step_s: int,
    *,
    process: str = "0123abcd",
    resolution: Resolution = Resolution.FULL,
    streams: int = 8,
    viewers: int = 40,
    growth_a_day: float = 0.0,
    **columns: Any,
) -> Iterator[UsageSnapshot]:
    """`count` rows, `step_s` apart; `growth_a_day` is of CPU's share and of the databases' sizes."""
    totals = [0.0] * 6
    for n in range(count):
        at = start + timedelta(seconds=n * step_s)
        days = n * step_s / 86_400
        busy = 1 + 0.5 * math.sin(2 * math.pi * days)
        watching = round(viewers * busy)
        rates = (
            10 * streams,
            500 * streams,
            10 * streams * watching,
            10 * watching,
            900 * streams * watching,
        )
        cpu = CPU[0] + sum(cost * rate for cost, rate in zip(CPU[1:], rates, strict=True))
        share = cpu + growth_a_day * days
        totals = [total + rate * step_s for total, rate in zip(totals, (*rates, share), strict=True)]
        values: dict[str, Any] = {
            "cpu_s": totals[5],
            "cpu_share": share,
            "rss_mb": 110 + 0.5 * streams + 0.1 * watching,
            "loop_lag_ms": 2.0,
            "overload": "normal",
            "streams": streams,
            "viewers": watching,
            "viewer_streams": streams * watching,
            "chunks": round(totals[0]),
            "lead_samples": round(totals[1]),
            "sent_messages": round(totals[2]),
            "websocket_messages": round(totals[3]),
            "bytes_sent": round(totals[4]),
            "sent_mbps": 8e-6 * rates[4],
            "queued_bytes": 500,
            "buffer_utilization": 0.001 * busy,
            "pressure": 0.2 * busy,
            "cores": 2.0,
            "memory_limit_mb": 4000.0,
            "database_mb": 50.0 * (1 + growth_a_day * days),
            "history_mb": 1000.0 * (1 + growth_a_day * days),
            "journal_mb": 1.0,
            "disk_free_mb": 20_000.0,
        }
        yield UsageSnapshot(
            at=at,
            process=process,
            resolution=resolution,
            samples=max(1, resolution // 10),
            **values | columns,
        )
