"""The numbers that govern a group: the defaults of the documentation, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from streaming.core.priority import PRIORITY_QUOTAS, MessagePriority
from streaming.core.profiles import (
    DEFAULT_CLASS_BOUNDS,
    BackpressureProfile,
    ClassBounds,
    CompressionProfile,
    ConnectionProfile,
    GroupProfile,
    ProfileSet,
)
from streaming.exceptions import ProfileError

KIB = 1024


def test_defaults_are_those_of_the_documentation() -> None:
    profile = BackpressureProfile()
    assert profile.max_buffer_size == 10_000
    assert (profile.high_watermark, profile.low_watermark, profile.critical_watermark) == (0.8, 0.2, 0.95)
    assert profile.max_retries == 3
    assert dict(profile.quotas) == {
        MessagePriority.CRITICAL: 0.30,
        MessagePriority.HIGH: 0.40,
        MessagePriority.NORMAL: 0.20,
        MessagePriority.LOW: 0.08,
        MessagePriority.BULK: 0.02,
    }
    compression = CompressionProfile()
    assert (compression.window_bits, compression.mem_level, compression.level) == (12, 5, 6)
    assert compression.threshold_bytes == 1024


def test_default_bounds_are_those_of_the_design() -> None:
    assert {
        priority.name: (bounds.max_bytes, bounds.max_age_s)
        for priority, bounds in DEFAULT_CLASS_BOUNDS.items()
    } == {
        "CRITICAL": (64 * KIB, None),
        "HIGH": (256 * KIB, 1.0),
        "NORMAL": (64 * KIB, 10.0),
        "LOW": (64 * KIB, 5.0),
        "BULK": (64 * KIB, None),
    }


def test_the_production_settings_of_the_documentation_make_a_profile() -> None:
    settings = {"max_buffer_size": 20000, "high_watermark": 0.75, "emergency_mode": True}
    profile = BackpressureProfile(**settings)  # type: ignore[arg-type]
    assert profile.max_buffer_size == 20_000


@pytest.mark.parametrize(
    "fields",
    [
        {"max_buffer_size": 9},
        {"max_buffer_size": 1_000_001},
        {"max_buffer_size": 100.0},
        {"max_buffer_size": True},
        {"max_retries": -1},
        {"max_retries": 21},
        {"low_watermark": 0.0},
        {"low_watermark": 0.8},
        {"high_watermark": 0.95},
        {"high_watermark": math.nan},
        {"critical_watermark": 1.01},
        {"quotas": {**PRIORITY_QUOTAS, MessagePriority.BULK: 0.03}},
        {"quotas": {**PRIORITY_QUOTAS, MessagePriority.BULK: 0.0, MessagePriority.LOW: 0.10}},
        {"quotas": {**PRIORITY_QUOTAS, MessagePriority.BULK: math.nan}},
        {"quotas": {MessagePriority.CRITICAL: 1.0}},
        {"bounds": {MessagePriority.HIGH: ClassBounds(1024)}},
    ],
)
def test_backpressure_out_of_bounds_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ProfileError):
        BackpressureProfile(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"window_bits": 8},
        {"window_bits": 16},
        {"mem_level": 10},
        {"level": 0},
        {"threshold_bytes": -1},
        {"min_level": 7},
        {"max_level": 5},
        {"min_level": 0},
        {"max_level": 10},
        {"hysteresis": 0.6},
        {"explore_share": -0.1},
        {"cpu_weight": math.nan},
    ],
)
def test_compression_out_of_bounds_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ProfileError):
        CompressionProfile(**fields)


@pytest.mark.parametrize(
    "fields", [{"max_window_bytes": 1024}, {"max_total_bytes": 0}, {"stall_s": 0.5}, {"stall_s": math.nan}]
)
def test_connection_out_of_bounds_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ProfileError):
        ConnectionProfile(**fields)


@pytest.mark.parametrize("bounds", [(0, 1.0), (1023, None), (1024, 0.0), (1024, math.nan), (1024, math.inf)])
def test_class_bounds_out_of_bounds_are_refused(bounds: tuple[int, float | None]) -> None:
    with pytest.raises(ProfileError):
        ClassBounds(*bounds)


def test_a_profile_error_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="max_retries"):
        BackpressureProfile(max_retries=-1)


def test_a_group_without_override_has_the_default() -> None:
    special = GroupProfile(backpressure=BackpressureProfile(max_buffer_size=50))
    profiles = ProfileSet(version=3, overrides={"ecg.bed7": special})
    assert profiles.for_group("ecg.bed7") is special
    assert profiles.for_group("ecg.bed8") is profiles.default
