"""What each figure of a snapshot is: its unit, and what becomes of it where several snapshots become one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum, auto

from streaming.core.network import NetworkCondition
from streaming.core.overload import OverloadState
from streaming.core.stats import GroupStats


class Keep(Enum):
    """What stands for a minute, or an hour, of a figure."""

    LAST = auto()
    """Counters, what is computed from them since the start, and settings."""
    MOST = auto()
    """Extremes, and states: true when it was true at any moment."""
    MEAN = auto()
    """Rates: each snapshot weighs the same, and those without the figure nothing."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One column of figures; `order` lists the words of a figure that has words, best first."""

    name: str
    unit: str
    keep: Keep
    order: tuple[str, ...] = ()


_MESSAGES, _BYTES, _MS, _SHARE, _PERCENT = "messages", "bytes", "ms", "share", "%"
_VIEWERS = tuple(field.name for field in fields(GroupStats) if field.name.startswith("viewers"))
_COUNTERS = {
    "offered_messages": _MESSAGES,
    "sent_messages": _MESSAGES,
    "dropped_messages": _MESSAGES,
    "drops_expired": _MESSAGES,
    "drops_dropped": _MESSAGES,
    "drops_quota": _MESSAGES,
    "drops_emergency": _MESSAGES,
    "drops_overload": _MESSAGES,
    "drop_rate": _SHARE,
    "bytes_sent": _BYTES,
    "gaps": _MESSAGES,
    "messages_processed": _MESSAGES,
    "average_compression_ratio": _PERCENT,
    "ratio_vs_json": _PERCENT,
    "average_latency_ms": _MS,
    "space_saved_mb": "MB",
    "compress_s": "s",
    "bytes_in": _BYTES,
    "bytes_out": _BYTES,
    "waveform_bytes_out": _BYTES,
    "waveform_json_bytes": _BYTES,
}
_SETTINGS = {"high_watermark": _SHARE, "current_level": "level"}
_EXTREMES = {
    **dict.fromkeys(_VIEWERS, "viewers"),
    "buffer_size": _MESSAGES,
    "buffer_bytes": _BYTES,
    "buffer_utilization": _SHARE,
    "pressure": _SHARE,
    "backpressure_active": "",
    "emergency_mode": "",
    "paused": "",
    "age_p95_ms": _MS,
    "age_p99_ms": _MS,
    "encode_p95_ms": _MS,
    "queue_p95_ms": _MS,
    "followed_messages": _MESSAGES,
    "loop_lag_ms": _MS,
    "rss_mb": "MB",
}
_RATES = {"messages_per_second": "messages/s", "throughput_mbps": "Mbit/s", "age_p50_ms": _MS}

FIGURES: tuple[Figure, ...] = (
    *(Figure(name, unit, Keep.LAST) for name, unit in (_COUNTERS | _SETTINGS).items()),
    *(Figure(name, unit, Keep.MOST) for name, unit in _EXTREMES.items()),
    *(Figure(name, unit, Keep.MEAN) for name, unit in _RATES.items()),
    Figure("network_condition", "", Keep.MOST, tuple(NetworkCondition)),
    Figure("overload", "", Keep.MOST, tuple(OverloadState)),
    Figure("state", "", Keep.MOST),
    Figure("lost_snapshots", "snapshots", Keep.LAST),
)
"""Every column but those that say of what and when a row is, and `detail`."""

_OF_PROCESSES: tuple[tuple[Keep, dict[str, str]], ...] = (
    (
        Keep.LAST,
        {
            "cpu_s": "s",
            "chunks": _MESSAGES,
            "lead_samples": "samples",
            "sent_messages": _MESSAGES,
            "websocket_messages": _MESSAGES,
            "bytes_sent": _BYTES,
            "cores": "cores",
            "memory_limit_mb": "MB",
            "database_mb": "MB",
            "history_mb": "MB",
            "journal_mb": "MB",
            "disk_free_mb": "MB",
        },
    ),
    (
        Keep.MOST,
        {
            "cpu_share": "cores",
            "rss_mb": "MB",
            "loop_lag_ms": _MS,
            "streams": "streams",
            "viewers": "viewers",
            "viewer_streams": "streams",
            "sent_mbps": "Mbit/s",
            "queued_bytes": _BYTES,
            "buffer_utilization": _SHARE,
            "pressure": _SHARE,
        },
    ),
)
USAGE: tuple[Figure, ...] = (
    *(Figure(name, unit, keep) for keep, units in _OF_PROCESSES for name, unit in units.items()),
    Figure("overload", "", Keep.MOST, tuple(OverloadState)),
)
"""Every column of a process's usage but those that say of what and when a row is."""
