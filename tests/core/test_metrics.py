"""The figures under the names that their users know."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from streaming.core.items import DropReason
from streaming.core.metrics import BackpressureMetrics
from streaming.core.network import NetworkCondition
from streaming.core.priority import MessagePriority
from streaming.core.profiles import BackpressureProfile
from streaming.core.stats import GroupStats


def reading(**known: Any) -> BackpressureMetrics:
    """All figures are 1 but those that are given."""
    ones: dict[str, Any] = {field.name: 1 for field in dataclasses.fields(BackpressureMetrics)}
    ones |= {"queued": dict.fromkeys(MessagePriority, 2), "drops": {DropReason.QUOTA: 3}}
    ones |= {"condition": None, "rtt_s": None}
    return BackpressureMetrics(**{**ones, **known})


def test_a_reading_is_plain_values_with_the_watermarks_beside_them() -> None:
    detailed = reading(buffer_size=7).detailed(BackpressureProfile(high_watermark=0.7))
    assert json.loads(json.dumps(detailed)) == detailed
    assert detailed["buffer"]["size"] == 7
    assert detailed["buffer"]["high_watermark"] == 0.7
    assert detailed["buffer"]["queued"] == {"critical": 2, "high": 2, "normal": 2, "low": 2, "bulk": 2}
    assert detailed["performance"]["dropped_by_reason"] == {"quota": 3}
    assert detailed["network"]["rtt_ms"] is None
    assert detailed["network"]["condition"] is None


def test_what_acks_tell_is_in_milliseconds_and_words() -> None:
    network = reading(rtt_s=0.25, condition=NetworkCondition.FAIR).detailed(BackpressureProfile())["network"]
    assert network["rtt_ms"] == pytest.approx(250)
    assert network["condition"] == "fair"


def test_a_group_has_what_is_documented_and_its_detail_beside_it() -> None:
    metrics = GroupStats(group="ecg.a", viewers=1, detail={"adaptive": {"current_level": 6}}).metrics
    documented = {"compression", "backpressure", "adaptive"}
    assert set(metrics) == documented | {"viewers", "network", "latency", "process"}
    assert set(metrics["backpressure"]) == {"buffer", "performance", "state"}
    assert metrics["compression"]["average_latency_ms"] is None
