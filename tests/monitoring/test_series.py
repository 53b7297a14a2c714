"""Lines of charts: each figure as it should be, from whatever rows there are, in few queries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from monitoring.models import MetricsSnapshot, Resolution
from monitoring.periods import Period
from monitoring.rollup import Limits, upkeep
from monitoring.series import STEPS_S, busiest_group, seen, series, step_s
from streaming.core.stats import GroupStats
from tests.monitoring.some_snapshots import snapshots

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = Period(NOON, NOON + timedelta(hours=1))
NOW = HOUR.stop


def snapshot(seconds: float, group: str = "ecg.a", *, process: str = "p1", **values: Any) -> MetricsSnapshot:
    lost = values.pop("lost_snapshots", 0)
    stats = GroupStats(group=group, viewers=values.pop("viewers", 3), **values)
    return MetricsSnapshot.of(
        stats, at=NOON + timedelta(seconds=seconds), process=process, lost_snapshots=lost
    )


def store(rows: Iterable[MetricsSnapshot]) -> None:
    MetricsSnapshot.objects.bulk_create(rows)


def lines(period: Period = HOUR, points: int = 61, *, process: str | None = None) -> dict[str, Any]:
    return series("ecg.a", process, period, points, NOW)


def known(told: dict[str, Any], name: str) -> list[float]:
    return [value for value in told["lines"][name] if value is not None]


def test_steps_are_the_smallest_that_fit_and_of_which_rows_are_kept() -> None:
    def step(span: timedelta, ago: timedelta = timedelta(0), points: int = 400) -> int:
        return step_s(Period(NOW - ago - span, NOW - ago), points, NOW)

    assert step(timedelta(minutes=5)) == 20
    assert step(timedelta(hours=1)) == 20
    assert step(timedelta(hours=1), points=100) == 60
    assert step(timedelta(hours=24)) == 300
    assert step(timedelta(days=365)) == 86_400
    assert step(timedelta(hours=1), timedelta(days=3)) == 60
    assert step(timedelta(hours=1), timedelta(days=40)) == 3600
    assert step(timedelta(days=36_000)) == STEPS_S[-1]


def test_counters_become_rates_and_ratios_of_each_step(snapshots_db: str) -> None:
    store(
        [
            snapshot(-50, sent_messages=0, bytes_sent=0, drops_quota=0, waveform_bytes_out=0),
            snapshot(
                10,
                bytes_sent=7_500_000,
                drops_quota=6,
                waveform_bytes_out=100,
                waveform_json_bytes=1000,
                bytes_in=400,
                bytes_out=100,
                compress_s=0.5,
                messages_processed=1000,
            ),
            snapshot(
                70,
                bytes_sent=7_500_000,
                drops_quota=6,
                waveform_bytes_out=400,
                waveform_json_bytes=2000,
                bytes_in=500,
                bytes_out=125,
                compress_s=0.6,
                messages_processed=1100,
            ),
        ]
    )
    told = lines()
    assert known(told, "saved_vs_json") == [90.0, 70.0]
    assert known(told, "saved") == [75.0, 75.0]
    assert known(told, "compress_ms") == [0.5, 1.0]
    assert known(told, "sent_mbps") == [1.0, 0.0]
    assert known(told, "drops_quota_per_min") == [6.0, 0.0]


def test_a_counter_that_began_anew_counts_from_zero(snapshots_db: str) -> None:
    store([snapshot(0, drops_expired=100), snapshot(60, drops_expired=4), snapshot(120, drops_expired=5)])
    assert known(lines(), "drops_expired_per_min") == [4.0, 1.0]


def test_processes_count_together(snapshots_db: str) -> None:
    for process, rate, age in (("p1", 10.0, 40.0), ("p2", 30.0, 60.0)):
        store(
            snapshot(
                seconds,
                process=process,
                messages_per_second=rate,
                age_p50_ms=age,
                age_p99_ms=2 * age,
                rss_mb=age,
                viewers=2,
                viewers_good=1,
            )
            for seconds in (0, 30)
        )
    told = lines()
    expected = {
        "messages_per_second": 40,
        "age_p50_ms": 50,
        "age_p99_ms": 120,
        "rss_mb": 60,
        "viewers": 4,
        "viewers_good": 2,
    }
    assert {name: known(told, name) for name in expected} == {
        name: [value] for name, value in expected.items()
    }
    assert known(lines(process="p1"), "messages_per_second") == [10.0]


def test_what_is_not_stored_is_a_hole(snapshots_db: str) -> None:
    store(snapshot(60 * n) for n in range(60) if not 20 <= n < 30)
    viewers = lines()["lines"]["viewers"]
    assert [n for n, value in enumerate(viewers) if value is None] == list(range(20, 30))
    assert known(lines(), "age_p50_ms") == []


def test_rates_are_right_at_the_edges_of_a_gap(snapshots_db: str) -> None:
    taken = [10 * n for n in range(360) if not 123 <= n < 150]
    store(snapshot(seconds, bytes_sent=125_000 * seconds) for seconds in taken)
    assert set(known(lines(), "sent_mbps")) == {1.0}


def test_snapshots_that_were_lost_are_told(snapshots_db: str) -> None:
    store([snapshot(0, lost_snapshots=2), snapshot(600, lost_snapshots=9)])
    assert lines()["lost_snapshots"] == 7


def test_rows_of_minutes_and_full_ones_make_one_line(snapshots_db: str) -> None:
    begin = NOON - timedelta(hours=6)
    store(snapshots(begin, 6 * 360, 10))
    whole = Period(begin + timedelta(minutes=10), NOON)
    full = series("ecg.a", None, whole, 400, NOON)
    list(upkeep(Limits(timedelta(hours=2), timedelta(days=31), timedelta(days=366)), NOON))
    assert MetricsSnapshot.objects.filter(resolution=Resolution.FULL).count() < 6 * 360
    told = series("ecg.a", None, whole, 400, NOON)
    assert {
        name: pytest.approx(values, abs=2e-4, nan_ok=True) for name, values in full["lines"].items()
    } == told["lines"]
    assert told["t"] == full["t"]
    assert (told["step_s"], told["resolution"]) == (60, "per minute")


def test_rows_of_minutes_that_a_clock_ahead_has_left_hide_no_full_ones(snapshots_db: str) -> None:
    left = snapshot(3 * 86_400)
    left.resolution = Resolution.MINUTE
    store([left, *(snapshot(10 * n) for n in range(360))])
    assert len(known(lines(), "viewers")) == 60


def test_points_are_bounded(snapshots_db: str) -> None:
    store(snapshot(10 * n) for n in range(360))
    for points in (10, 61, 500):
        told = lines(points=points)
        assert {len(values) for values in told["lines"].values()} == {len(told["t"])}
        assert len(told["t"]) <= points


def test_groups_and_processes_that_were_seen_are_told(snapshots_db: str) -> None:
    store(snapshots(NOON - timedelta(hours=3), 60, 60, groups=("ecg.old",), process="p0"))
    list(upkeep(Limits(timedelta(hours=1), timedelta(days=31), timedelta(days=366)), NOON))
    store([snapshot(0, messages_per_second=1.0), snapshot(0, "ecg.b", process="p2", messages_per_second=2.0)])
    whole = Period(NOON - timedelta(hours=3), NOW)
    assert seen("group", whole, NOW) == ["ecg.a", "ecg.b", "ecg.old"]
    assert seen("process", whole, NOW) == ["p0", "p1", "p2"]
    assert seen("group", HOUR, NOW) == ["ecg.a", "ecg.b"]
    assert busiest_group(HOUR, NOW) == "ecg.b"
    store([snapshot(10, group, messages_per_second=0.0) for group in ("control", "ecg.b")])
    assert busiest_group(Period(NOON + timedelta(seconds=10), NOW), NOW) == "ecg.b"
    assert busiest_group(Period(NOON - timedelta(days=9), NOON - timedelta(days=8)), NOW) is None


class TestPlans:
    """No page reads the table from end to end, or sorts more than one moment's rows."""

    @pytest.fixture(autouse=True)
    def _rows(self, snapshots_db: str) -> None:
        self.vendor = snapshots_db
        store(snapshots(NOON, 400, 10, groups=[f"ecg.{n}" for n in range(5)]))
        if snapshots_db == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE monitoring_metricssnapshot")
                cursor.execute("SET enable_seqscan = off")  # so few rows are read faster in a row

    def plans(self, captured: CaptureQueriesContext) -> list[str]:
        told = []
        for query in captured.captured_queries:
            explain = "EXPLAIN QUERY PLAN " if self.vendor == "sqlite" else "EXPLAIN "
            with connection.cursor() as cursor:
                cursor.execute(explain + query["sql"])
                told.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
        return told

    def check(self, captured: CaptureQueriesContext) -> None:
        for plan in self.plans(captured):
            scans = re.findall(
                r"SCAN monitoring_metricssnapshot(?! USING (?:COVERING )?INDEX)|Seq Scan on", plan
            )
            assert scans == [], plan

    def test_charts_ask_a_bounded_number_of_questions_of_indexes(self) -> None:
        for period in (HOUR, Period(NOON - timedelta(days=6), NOW), Period(NOON - timedelta(days=300), NOW)):
            with CaptureQueriesContext(connection) as captured:
                series("ecg.a", None, period, 400, NOW)
            assert len(captured) <= 5, "the newest of two resolutions, and the rows of three"
            self.check(captured)

    def test_filters_read_indexes_alone(self) -> None:
        with CaptureQueriesContext(connection) as captured:
            seen("group", HOUR, NOW)
            seen("process", HOUR, NOW)
            busiest_group(HOUR, NOW)
        assert len(captured) <= 16
        self.check(captured)

    @pytest.mark.parametrize(
        ("conditions", "index"),
        [
            ({}, "snapshot_resolution_at"),
            ({"group": "ecg.1"}, "snapshot_group_at"),
            ({"state": 3}, "snapshot_state_at"),
            ({"network_condition": "poor"}, "snapshot_condition_at"),
        ],
    )
    def test_each_filter_has_its_index(self, conditions: dict[str, Any], index: str) -> None:
        rows = MetricsSnapshot.objects.filter(
            resolution=Resolution.FULL, at__gte=HOUR.start, at__lt=HOUR.stop, **conditions
        )
        with CaptureQueriesContext(connection) as captured:
            list(rows.order_by("-at", "group", "process", "resolution")[:60])
            rows.order_by()[:10_000].count()
        self.check(captured)
        if self.vendor == "sqlite":
            for plan in self.plans(captured):
                assert index in plan or (not conditions and "sqlite_autoindex" in plan), plan
