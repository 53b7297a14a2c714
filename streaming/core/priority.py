"""Who goes first: the five transport priorities and their share of a buffer."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType


class MessagePriority(IntEnum):
    """Transport priority; a lower number leaves first. Clinical severity is another field."""

    CRITICAL = 1
    """Anomaly alerts, life-threatening arrhythmias."""
    HIGH = 2
    """Real-time ECG, vital signs."""
    NORMAL = 3
    """Status updates, patient information."""
    LOW = 4
    """Metrics, logs, non-critical data."""
    BULK = 5
    """Historical data, batches."""


PRIORITY_QUOTAS: Mapping[MessagePriority, float] = MappingProxyType(
    {
        MessagePriority.CRITICAL: 0.30,
        MessagePriority.HIGH: 0.40,
        MessagePriority.NORMAL: 0.20,
        MessagePriority.LOW: 0.08,
        MessagePriority.BULK: 0.02,
    }
)
"""Default share of the message buffer that each priority may hold; the shares sum to 1."""
