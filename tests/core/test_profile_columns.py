"""A profile as flat columns and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streaming.core.priority import MessagePriority
from streaming.core.profile_columns import SETTINGS, TYPES, columns_of, fault_of, profile_of
from streaming.core.profiles import BackpressureProfile, CompressionProfile, GroupProfile
from streaming.exceptions import ProfileError


def test_columns_are_the_profile() -> None:
    profile = GroupProfile(
        CompressionProfile(level=3), replace(BackpressureProfile(), max_retries=0, emergency_mode=False)
    )
    assert profile_of(columns_of(profile)) == profile
    assert list(columns_of(profile)) == list(SETTINGS)


def test_age_of_zero_never_expires() -> None:
    profile = profile_of(columns_of(GroupProfile()) | {"age_low": 0.0})
    assert profile.backpressure.bounds[MessagePriority.LOW].max_age_s is None


def test_missing_values_are_named() -> None:
    values = columns_of(GroupProfile()) | {"mem_level": None}
    with pytest.raises(ProfileError, match="no value for mem_level"):
        profile_of(values)


def test_shipped_values_have_their_types_and_no_fault() -> None:
    for name, value in columns_of(GroupProfile()).items():
        assert type(value) is TYPES[name]
        assert fault_of(name, value) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_retries", -1),
        ("stall_s", 0.5),
        ("bytes_low", 1),
        ("age_high", 0.0),
        ("low_watermark", True),
        ("quota_low", 1.0),
        ("quota_low", float("nan")),
        ("emergency_mode", "yes"),
        ("best_rendition", "lossless"),
        ("min_level", 10),
        ("cpu_weight", 0.0),
    ],
)
def test_each_value_is_judged_alone(name: str, value: Any) -> None:
    assert fault_of(name, value) is not None
