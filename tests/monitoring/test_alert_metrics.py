"""What a figure comes to at a tick: levels as they are, counters by what they grew since the tick before."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.alert_metrics import METRICS, Metric, ProcessFigures, Sample, spoken
from monitoring.figures import FIGURES
from monitoring.models import MetricsSnapshot, State
from streaming.core.network import NetworkCondition
from streaming.core.stats import GroupStats


def process(**values: Any) -> ProcessFigures:
    zero: dict[str, Any] = {field.name: 0 for field in fields(ProcessFigures)}
    return ProcessFigures(**zero | {"overload": "normal"} | values)


def sample(at: float, of_process: ProcessFigures | None = None, **values: Any) -> Sample:
    group = GroupStats(group="ecg.a", viewers=1, **values)
    return Sample(at, {"ecg.a": group}, of_process or process())


def grown(name: str, before: dict[str, Any], now: dict[str, Any], seconds: float = 10.0) -> float | None:
    return sample(seconds, **now).after(sample(0.0, **before)).value(METRICS[name], "ecg.a")


def test_every_figure_of_a_snapshot_may_be_watched() -> None:
    assert {figure.name for figure in FIGURES} < METRICS.keys()
    stored = {field.name for field in MetricsSnapshot._meta.get_fields()}
    other = {"id", "at", "resolution", "samples", "process", "group", "detail"}
    assert stored - other == {figure.name for figure in FIGURES}


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_every_metric_is_readable_at_the_first_tick_and_at_the_next(metric: Metric) -> None:
    first, second = sample(0.0), sample(10.0)
    for one in (first, second.after(first), second.after(second)):
        value = one.value(metric, "" if metric.of_process else "ecg.a")
        assert value is None or isinstance(value, float)
    assert metric.label
    assert not metric.words or not metric.unit


def test_group_that_is_not_there_has_no_figure() -> None:
    assert sample(0.0).value(METRICS["viewers"], "ecg.b") is None


def test_level_is_as_it_is() -> None:
    assert sample(0.0, pressure=0.4).value(METRICS["pressure"], "ecg.a") == 0.4
    assert sample(0.0).value(METRICS["age_p95_ms"], "ecg.a") is None
    assert sample(0.0, paused=True).value(METRICS["paused"], "ecg.a") == 1.0


@pytest.mark.parametrize(
    ("states", "value"),
    [
        ({}, 0),
        ({"paused": True}, 1),
        ({"backpressure_active": True, "paused": True}, 2),
        ({"emergency_mode": True, "backpressure_active": True}, 3),
    ],
)
def test_state_is_the_gravest(states: dict[str, Any], value: int) -> None:
    one = sample(0.0, **states)
    assert one.value(METRICS["state"], "ecg.a") == value == State.of(one.groups["ecg.a"])
    assert METRICS["state"].words == tuple(each.label for each in State)


def test_words_count_from_the_best() -> None:
    worst = len(NetworkCondition) - 1
    assert sample(0.0, network_condition="critical").value(METRICS["network_condition"], "ecg.a") == worst
    assert sample(0.0, network_condition="").value(METRICS["network_condition"], "ecg.a") is None
    overloaded = sample(0.0, process(overload="emergency"))
    assert overloaded.value(METRICS["overload"], "") == 2.0


def test_loss_is_of_the_last_interval_and_not_since_the_start() -> None:
    before = {"offered_messages": 1_000_000, "dropped_messages": 0}
    now = {"offered_messages": 1_000_100, "dropped_messages": 50, "drop_rate": 0.00005}
    assert grown("drop_rate", before, now) == 0.5


def test_loss_without_anything_offered_is_unknown_and_with_drops_total() -> None:
    same = {"offered_messages": 10, "dropped_messages": 1}
    assert grown("drop_rate", same, same) is None
    assert grown("drop_rate", same, {"offered_messages": 10, "dropped_messages": 2}) == 1.0
    assert grown("drop_rate", same, {"offered_messages": 11, "dropped_messages": 9}) == 1.0
    assert grown("drop_rate", same, {"offered_messages": 20, "dropped_messages": 1}) == 0.0


def test_compression_is_judged_by_what_was_compressed_since() -> None:
    before = {"waveform_bytes_out": 1000, "waveform_json_bytes": 2000}
    now = {"waveform_bytes_out": 1100, "waveform_json_bytes": 3000, "ratio_vs_json": 63.3}
    assert grown("ratio_vs_json", before, now) == pytest.approx(90)
    assert grown("ratio_vs_json", now, now) is None
    assert grown(
        "average_latency_ms",
        {"compress_s": 5.0, "messages_processed": 1000},
        {"compress_s": 5.5, "messages_processed": 1010},
    ) == pytest.approx(50)


def test_counters_are_rates() -> None:
    assert grown("sent_messages", {"sent_messages": 100}, {"sent_messages": 200}) == 10.0
    assert METRICS["sent_messages"].unit == "messages/s"
    assert grown("drops_expired", {"drops_expired": 1}, {"drops_expired": 6}) == 30.0
    assert METRICS["drops_expired"].unit == "messages/min"


def test_counter_of_the_first_tick_or_of_a_new_group_is_unknown() -> None:
    assert sample(0.0, gaps=5).value(METRICS["gaps"], "ecg.a") is None
    nobody = Sample(0.0, {}, process())
    assert sample(10.0, gaps=5).after(nobody).value(METRICS["gaps"], "ecg.a") is None


def test_counter_that_began_anew_grew_by_what_it_is() -> None:
    assert grown("gaps", {"gaps": 500}, {"gaps": 5}) == 30.0


def test_rate_over_no_time_is_unknown() -> None:
    assert grown("gaps", {"gaps": 1}, {"gaps": 5}, seconds=0.0) is None


def test_process_has_figures_without_any_group() -> None:
    before = Sample(0.0, {}, process(cpu_s=1.0, bytes_sent=0, offered_messages=0))
    now = Sample(10.0, {}, process(cpu_s=6.0, bytes_sent=10_000_000, offered_messages=10, dropped_messages=1))
    one = now.after(before)
    assert one.value(METRICS["process_cpu"], "") == 50.0
    assert one.value(METRICS["process_sent_mbps"], "") == pytest.approx(8)
    assert one.value(METRICS["process_loss"], "") == 0.1
    assert one.value(METRICS["layer_away"], "") == 0.0


def test_a_sample_does_not_hold_on_to_all_that_came_before() -> None:
    one = sample(0.0)
    for at in range(1, 5):
        one = sample(float(at)).after(one)
    assert one.before is not None
    assert one.before.before is None


counts = st.integers(0, 10**9)


@given(counts, counts, counts, counts)
def test_loss_is_a_share(offered: int, dropped: int, offered_before: int, dropped_before: int) -> None:
    value = grown(
        "drop_rate",
        {"offered_messages": offered_before, "dropped_messages": dropped_before},
        {"offered_messages": offered, "dropped_messages": dropped},
    )
    assert value is None or 0 <= value <= 1


@given(counts, counts, st.floats(0.1, 1000))
def test_no_counter_has_a_rate_below_zero(before: int, now: int, seconds: float) -> None:
    value = grown("bytes_sent", {"bytes_sent": before}, {"bytes_sent": now}, seconds)
    assert value is not None
    assert value >= 0


def test_values_are_spoken_with_units_or_as_words() -> None:
    assert spoken(0.0012, METRICS["drop_rate"]) == "0.12 %"
    assert spoken(12.3456, METRICS["age_p95_ms"]) == "12.35 ms"
    assert spoken(100_000, METRICS["rss_mb"]) == "100000 MB"
    assert spoken(2, METRICS["overload"]) == "emergency"
    assert spoken(99, METRICS["overload"]) == "emergency"
    assert spoken(1, METRICS["paused"]) == "yes"
