"""What one process did for one channel-layer group, in the numbers and names of the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStats:
    """Figures of one group in one process, over all of the group's local viewers.

    Sizes and counters are sums over the viewers' lanes (counters since the process started, or
    since the group had neither viewers nor a device here);
    `buffer_utilization` is the fullest lane's; a state is true when it is true for any viewer.
    An average of nothing is None. `detail` holds what has no field of its own, as plain JSON
    values; its key "adaptive", when there, is laid out as `AdaptiveCompression.get_adaptation_stats()`.
    """

    group: str
    viewers: int

    buffer_size: int = 0
    """Messages queued."""
    buffer_utilization: float = 0.0
    """Size / MAX_BUFFER_SIZE, 0 to 1."""
    high_watermark: float = 0.0

    sent_messages: int = 0
    dropped_messages: int = 0
    """Dropped or expired."""
    drop_rate: float = 0.0
    """(expired + dropped) / offered, 0 to 1."""
    messages_per_second: float = 0.0
    bytes_sent: int = 0
    gaps: int = 0
    """GAP messages sent in place of frames."""

    backpressure_active: bool = False
    emergency_mode: bool = False
    paused: bool = False

    current_level: int = 0
    """Deflate level, 1 to 9; 0 when nothing is compressed."""
    messages_processed: int = 0
    average_compression_ratio: float | None = None
    """100 * (1 - out / in) over the bytes given, percent."""
    ratio_vs_json: float | None = None
    """100 * (1 - out / the same samples as JSON), percent."""
    average_latency_ms: float | None = None
    space_saved_mb: float = 0.0

    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, Any]:
        """The same figures as the three dicts that the metrics' users know, and the detail beside them."""
        return {
            "compression": {
                "current_level": self.current_level,
                "messages_processed": self.messages_processed,
                "average_compression_ratio": self.average_compression_ratio,
                "ratio_vs_json": self.ratio_vs_json,
                "average_latency_ms": self.average_latency_ms,
                "space_saved_mb": self.space_saved_mb,
            },
            "backpressure": {
                "buffer": {
                    "size": self.buffer_size,
                    "utilization": self.buffer_utilization,
                    "high_watermark": self.high_watermark,
                },
                "performance": {
                    "sent_messages": self.sent_messages,
                    "dropped_messages": self.dropped_messages,
                    "drop_rate": self.drop_rate,
                    "messages_per_second": self.messages_per_second,
                    "bytes_sent": self.bytes_sent,
                    "gaps": self.gaps,
                },
                "state": {
                    "backpressure_active": self.backpressure_active,
                    "emergency_mode": self.emergency_mode,
                    "paused": self.paused,
                },
            },
            **self.detail,
        }
