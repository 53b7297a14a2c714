"""Charts are honest: holes stay holes, processes add up, and the scale fits."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.trend import BOX, COLUMNS, Chart, Point, charts

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
STOP = START + timedelta(hours=1)
COLUMN = timedelta(hours=1) / COLUMNS


def point(column: float, **values: Any) -> Point:
    facts: dict[str, Any] = {
        "process": "p1",
        "ratio_vs_json": 90.0,
        "utilization": 0.1,
        "high_watermark": 0.8,
        "messages_per_second": 10.0,
    }
    return Point(at=START + column * COLUMN, **facts | values)


def drawn(*points: Point) -> dict[str, Chart]:
    return {chart.slug: chart for chart in charts(points, START, STOP)}


def places(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]


def test_nothing_stored_draws_no_line_and_claims_no_value() -> None:
    for chart in drawn().values():
        assert chart.path == ""
        assert chart.latest == "--"
        assert chart.limit == ""


def test_line_breaks_where_nothing_was_stored() -> None:
    path = drawn(point(0), point(1), point(3))["rate"].path
    assert [part[0] for part in re.findall(r"[ML][^ML]*", path)] == ["M", "L", "M"]


def test_lone_value_is_a_dot() -> None:
    assert drawn(point(5))["rate"].path.endswith("h0")


def test_ratio_of_nothing_is_a_hole_and_not_zero() -> None:
    shown = drawn(point(0), point(1, ratio_vs_json=None), point(2))
    assert shown["ratio"].path.count("M") == 2
    assert shown["rate"].path.count("M") == 1


def test_rates_of_processes_add_up_and_snapshots_of_one_do_not() -> None:
    shown = drawn(
        point(0, messages_per_second=10.0),
        point(0.5, messages_per_second=20.0),
        point(0.7, process="p2", messages_per_second=5.0),
    )
    assert shown["rate"].latest == "20/s"


def test_fullest_buffer_is_shown_with_its_watermark() -> None:
    shown = drawn(point(0, utilization=0.1), point(0.5, process="p2", utilization=0.6))["utilization"]
    assert shown.latest == "60 %"
    assert shown.limit_label == "high watermark 80 %"
    assert float(shown.limit) == pytest.approx(BOX.top + (BOX.bottom - BOX.top) * 0.2, abs=0.06)


def test_full_scale_is_at_the_top_and_zero_at_the_bottom() -> None:
    path = drawn(point(0, utilization=1.0), point(1, utilization=0.0))["utilization"].path
    assert [y for _, y in places(path)] == [BOX.top, BOX.bottom]


def test_data_that_grew_under_compression_stays_in_the_chart() -> None:
    shown = drawn(point(0, ratio_vs_json=-50.0))["ratio"]
    assert shown.latest == "-50 %"
    assert [row.label for row in shown.rows] == ["-50 %", "25 %", "100 %"]


@pytest.mark.parametrize(
    ("rate", "top"), [(0.2, "1/s"), (3, "5/s"), (10, "10/s"), (11, "20/s"), (700, "1000/s")]
)
def test_scale_of_the_rate_ends_at_a_round_number(rate: float, top: str) -> None:
    assert drawn(point(0, messages_per_second=rate))["rate"].rows[-1].label == top


def test_points_outside_the_period_are_not_drawn() -> None:
    assert drawn(point(-1), point(COLUMNS), point(COLUMNS + 5))["rate"].path == ""


@pytest.mark.parametrize(
    ("hours", "labels"),
    [
        (1, ["12:00", "12:10", "12:20", "12:30", "12:40", "12:50", "13:00"]),
        (6, ["12:00", "13:00", "14:00", "15:00", "16:00", "17:00", "18:00"]),
        (24, ["12:00", "16:00", "20:00", "00:00", "04:00", "08:00", "12:00"]),
        (25, ["12:00", "16:00", "20:00", "00:00", "04:00", "08:00", "12:00"]),
    ],
)
def test_time_axis_names_full_steps_of_the_clock(hours: int, labels: list[str]) -> None:
    for chart in charts([], START, START + timedelta(hours=hours)):
        assert [tick.label for tick in chart.columns] == labels


@settings(max_examples=60)
@given(
    st.lists(
        st.builds(
            point,
            st.floats(-5, COLUMNS + 5),
            process=st.sampled_from(["p1", "p2"]),
            ratio_vs_json=st.none() | st.floats(-500, 100),
            utilization=st.floats(0, 3),
            messages_per_second=st.floats(0, 1e7),
        ),
        max_size=40,
    )
)
def test_every_line_stays_inside_its_chart(points: list[Point]) -> None:
    for chart in drawn(*points).values():
        for x, y in places(chart.path):
            assert BOX.left <= x <= BOX.right
            assert BOX.top <= y <= BOX.bottom
