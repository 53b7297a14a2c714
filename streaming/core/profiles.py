"""The numbers that govern a channel-layer group, as frozen, validated values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from streaming.core.priority import PRIORITY_QUOTAS, MessagePriority
from streaming.core.renditions import LADDER, Rendition
from streaming.exceptions import ProfileError

KIB = 1024


def _within(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ProfileError(f"{name} must be an integer from {low} to {high}, not {value!r}")


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ProfileError(f"{name} must be from {low:g} to {high:g}, not {value!r}")


@dataclass(frozen=True, slots=True)
class CompressionProfile:
    """Deflate settings of one group; the defaults suit ECG (window 4 KiB, memory level 5)."""

    window_bits: int = 12
    mem_level: int = 5
    level: int = 6
    threshold_bytes: int = 1024
    adaptive: bool = True
    """Whether level and method of what is no shared waveform follow network and data; else they are fixed."""
    min_level: int = 1
    max_level: int = 9
    hysteresis: float = 0.01
    """The share that another method has to save before it is taken."""
    explore_share: float = 0.01
    """Of all delivery time and CPU, what comparing methods may take."""
    cpu_weight: float = 1.0
    """How many seconds of delivery a second of CPU counts as."""

    def __post_init__(self) -> None:
        _within("window_bits", self.window_bits, 9, 15)
        _within("mem_level", self.mem_level, 1, 9)
        _within("level", self.level, 1, 9)
        _within("threshold_bytes", self.threshold_bytes, 0, 1024 * KIB)
        _between("hysteresis", self.hysteresis, 0, 0.5)
        _between("explore_share", self.explore_share, 0, 0.1)
        _between("cpu_weight", self.cpu_weight, 0.1, 10)
        if not 1 <= self.min_level <= self.level <= self.max_level <= 9:
            raise ProfileError(
                "levels must be in order: 1 <= min <= level <= max <= 9, not "
                f"{self.min_level}, {self.level}, {self.max_level}"
            )


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
    best_rendition: Rendition = LADDER[0]
    """Nothing better is sent of a stream, whatever the network carries, unless an arrhythmia is suspected."""


@dataclass(frozen=True, slots=True)
class ProfileSet:
    """One version of all settings, resolved: to look up a group's profile asks nobody and decides nothing.

    `core.precedence` makes it. A group is governed by the override of its name, else by what is `shared` by
    the groups of its ward and of the longest of the `prefixes` that it begins with, else by the default.
    """

    version: int = 0
    default: GroupProfile = field(default_factory=GroupProfile)
    overrides: Mapping[str, GroupProfile] = field(default_factory=dict)
    shared: Mapping[tuple[str | None, str], GroupProfile] = field(default_factory=dict)
    """By ward, or None, and prefix, or nothing."""
    prefixes: tuple[str, ...] = ()
    """Of all patterns, the longest first."""
    wards: frozenset[str] = frozenset()
    """Those that have settings of their own."""
    places: Mapping[str, str] = field(default_factory=dict)
    """The ward of each group that lies in one of these."""

    def for_group(self, group: str) -> GroupProfile:
        """What governs `group`; the default itself where nothing else does."""
        own = self.overrides.get(group)
        if own is not None:
            return own
        prefix = next((prefix for prefix in self.prefixes if group.startswith(prefix)), "")
        return self.shared.get((self.places.get(group), prefix), self.default)
