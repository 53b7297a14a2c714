"""The documented names of a running handler's settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from streaming.core.config import BackpressureConfig
from streaming.core.profiles import BackpressureProfile


def test_reads_the_profile_in_force_and_assigns_by_its_field() -> None:
    profile = BackpressureProfile()

    def amend(field: str, value: Any) -> None:
        nonlocal profile
        profile = replace(profile, **{field: value})

    config = BackpressureConfig(lambda: profile, amend)
    assert config.MAX_RETRIES == 3
    config.MAX_RETRIES = 5
    assert (profile.max_retries, config.MAX_RETRIES) == (5, 5)
    quotas = config.PRIORITY_QUOTAS
    assert quotas is profile.quotas
