"""The numbers that govern a channel-layer group, as frozen, validated values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from streaming.core.priority import PRIORITY_QUOTAS, MessagePriority
from streaming.exceptions import ProfileError

KIB = 1024


def _within(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ProfileError(f"{name} must be an integer from {low} to {high}, not {value!r}")


@dataclass(frozen=True, slots=True)
class CompressionProfile:
    """Deflate settings of one group; the defaults suit ECG (window 4 KiB, memory level 5)."""

    window_bits: int = 12
    mem_level: int = 5
    level: int = 6
    threshold_bytes: int = 1024

    def __post_init__(self) -> None:
        _within("window_bits", self.window_bits, 9, 15)
        _within("mem_level", self.mem_level, 1, 9)
        _within("level", self.level, 1, 9)
        _within("threshold_bytes", self.threshold_bytes, 0, 1024 * KIB)


@dataclass(frozen=True, slots=True)
class ClassBounds:
    """How much of one priority a lane may hold: bytes, and the age at which an item expires."""

    max_bytes: int
    max_age_s: float | None = None

    def __post_init__(self) -> None:
        _within("max_bytes", self.max_bytes, KIB, 64 * KIB * KIB)
        if self.max_age_s is not None and not 0.05 <= self.max_age_s <= 3600:
            raise ProfileError(f"max_age_s must be from 0.05 to 3600, not {self.max_age_s!r}")


DEFAULT_CLASS_BOUNDS: Mapping[MessagePriority, ClassBounds] = MappingProxyType(
    {
        MessagePriority.CRITICAL: ClassBounds(64 * KIB),
        MessagePriority.HIGH: ClassBounds(256 * KIB, 1.0),
        MessagePriority.NORMAL: ClassBounds(64 * KIB, 10.0),
        MessagePriority.LOW: ClassBounds(64 * KIB, 5.0),
        MessagePriority.BULK: ClassBounds(64 * KIB),
    }
)


@dataclass(frozen=True, slots=True)
class BackpressureProfile:
    """Bounds and watermarks of one lane of an outbox."""

    max_buffer_size: int = 10_000
    high_watermark: float = 0.8
    low_watermark: float = 0.2
    critical_watermark: float = 0.95
    max_retries: int = 3
    emergency_mode: bool = True
    quotas: Mapping[MessagePriority, float] = field(default_factory=lambda: PRIORITY_QUOTAS)
    bounds: Mapping[MessagePriority, ClassBounds] = field(default_factory=lambda: DEFAULT_CLASS_BOUNDS)

    def __post_init__(self) -> None:
        _within("max_buffer_size", self.max_buffer_size, 10, 1_000_000)
        _within("max_retries", self.max_retries, 0, 20)
        if not 0 < self.low_watermark < self.high_watermark < self.critical_watermark <= 1:
            raise ProfileError(
                "watermarks must be in order: 0 < low < high < critical <= 1, not "
                f"{self.low_watermark}, {self.high_watermark}, {self.critical_watermark}"
            )
        if set(self.quotas) != set(MessagePriority) or any(not 0 < q < 1 for q in self.quotas.values()):
            raise ProfileError("every priority needs a quota between 0 and 1")
        if not math.isclose(sum(self.quotas.values()), 1.0, abs_tol=1e-6):
            raise ProfileError(f"quotas must sum to 1, not {sum(self.quotas.values()):.4f}")
        if set(self.bounds) != set(MessagePriority):
            raise ProfileError("every priority needs bounds in bytes and age")


@dataclass(frozen=True, slots=True)
class ConnectionProfile:
    """What belongs to a connection as a whole, whatever groups it follows (of the default profile)."""

    max_window_bytes: int = 256 * KIB
    max_total_bytes: int = 2048 * KIB
    stall_s: float = 10.0
    """How long the oldest byte may stay unacked before the client is cut with 4008."""

    def __post_init__(self) -> None:
        _within("max_window_bytes", self.max_window_bytes, 4 * KIB, 64 * KIB * KIB)
        _within("max_total_bytes", self.max_total_bytes, 64 * KIB, 1024 * KIB * KIB)
        if not 1 <= self.stall_s <= 3600:
            raise ProfileError(f"stall_s must be from 1 to 3600, not {self.stall_s!r}")


@dataclass(frozen=True, slots=True)
class GroupProfile:
    """All that governs one channel-layer group."""

    compression: CompressionProfile = field(default_factory=CompressionProfile)
    backpressure: BackpressureProfile = field(default_factory=BackpressureProfile)
    connection: ConnectionProfile = field(default_factory=ConnectionProfile)


@dataclass(frozen=True, slots=True)
class ProfileSet:
    """One version of all settings: a default, and overrides by exact group name."""

    version: int = 0
    default: GroupProfile = field(default_factory=GroupProfile)
    overrides: Mapping[str, GroupProfile] = field(default_factory=dict)

    def for_group(self, group: str) -> GroupProfile:
        """The override of `group`, else the default."""
        return self.overrides.get(group, self.default)
