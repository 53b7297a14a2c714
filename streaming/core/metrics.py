"""One reading of a connection's backpressure, and the nested names under which it is published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streaming.core.items import DropReason
from streaming.core.network import NetworkCondition
from streaming.core.priority import MessagePriority
from streaming.core.profiles import BackpressureProfile


@dataclass(frozen=True, slots=True)
class BackpressureMetrics:
    """One reading of a handler. Messages are logical ones, counted over the handler's life.

    offered = acked + in_flight + queued + coalesced + expired + dropped + abandoned, where `queued` is
    `buffer_size`. Without a window, a message counts as acked when the socket has taken it.
    """

    buffer_size: int
    buffer_bytes: int
    buffer_utilization: float
    pressure: float
    offered_messages: int
    sent_messages: int
    acked_messages: int
    in_flight_messages: int
    coalesced_messages: int
    expired_messages: int
    dropped_messages: int
    abandoned_messages: int
    retries: int
    drop_rate: float
    messages_per_second: float
    queued: Mapping[MessagePriority, int]
    drops: Mapping[DropReason, int]
    """Dropped and expired ones, by reason."""
    backpressure_active: bool
    emergency_mode: bool
    paused: bool
    window_bytes: int | None
    in_flight_bytes: int
    rtt_s: float | None
    goodput_bps: float | None
    condition: NetworkCondition | None

    def detailed(self, profile: BackpressureProfile) -> dict[str, dict[str, Any]]:
        """As nested plain values, beside the watermarks of `profile`, which governs the handler."""
        return {
            "buffer": {
                "size": self.buffer_size,
                "utilization": self.buffer_utilization,
                "high_watermark": profile.high_watermark,
                "low_watermark": profile.low_watermark,
                "critical_watermark": profile.critical_watermark,
                "max_size": profile.max_buffer_size,
                "size_bytes": self.buffer_bytes,
                "pressure": self.pressure,
                "queued": {priority.name.lower(): count for priority, count in self.queued.items()},
            },
            "performance": {
                "sent_messages": self.sent_messages,
                "dropped_messages": self.dropped_messages,
                "dropped_by_reason": {reason.value: count for reason, count in self.drops.items()},
                "drop_rate": self.drop_rate,
                "messages_per_second": self.messages_per_second,
                "offered_messages": self.offered_messages,
                "acked_messages": self.acked_messages,
                "in_flight_messages": self.in_flight_messages,
                "coalesced_messages": self.coalesced_messages,
                "expired_messages": self.expired_messages,
                "abandoned_messages": self.abandoned_messages,
                "retries": self.retries,
            },
            "state": {
                "backpressure_active": self.backpressure_active,
                "emergency_mode": self.emergency_mode,
                "paused": self.paused,
            },
            "network": {
                "window_bytes": self.window_bytes,
                "in_flight_bytes": self.in_flight_bytes,
                "rtt_ms": None if self.rtt_s is None else 1000 * self.rtt_s,
                "goodput_bps": self.goodput_bps,
                "condition": self.condition and self.condition.value,
            },
        }
