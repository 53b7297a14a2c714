"""Snapshots become rows of minutes and hours, each figure as it should, however often one is interrupted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import islice
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from monitoring import rollup
from monitoring.figures import FIGURES, Keep
from monitoring.management.commands import prune_snapshots
from monitoring.models import MetricsSnapshot, Resolution, State
from monitoring.rollup import BATCH_ROWS, Limits, Step, upkeep
from streaming.core.stats import GroupStats
from vital import env

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMITS = Limits(full=timedelta(days=1), minute=timedelta(days=31), hour=timedelta(days=366))
SETTLED = NOON + timedelta(hours=2)
"""When all that was taken within the hour after NOON is complete."""


def snapshot(seconds: float, group: str = "ecg.a", *, process: str = "p1", **values: Any) -> MetricsSnapshot:
    columns = {
        name: values.pop(name) for name in ("lost_snapshots", "resolution", "samples") if name in values
    }
    stats = GroupStats(group=group, viewers=values.pop("viewers", 3), **values)
    row = MetricsSnapshot.of(stats, at=NOON + timedelta(seconds=seconds), process=process)
    for name, value in columns.items():
        setattr(row, name, value)
    return row


def store(rows: Iterable[MetricsSnapshot]) -> None:
    MetricsSnapshot.objects.bulk_create(rows)


def run(now: datetime = SETTLED, limits: Limits = LIMITS) -> Step:
    done = Step()
    for step in upkeep(limits, now):
        assert step.made + step.deleted <= BATCH_ROWS
        done += step
    return done


def rows(resolution: Resolution) -> list[MetricsSnapshot]:
    return list(MetricsSnapshot.objects.filter(resolution=resolution).order_by("at", "group", "process"))


def told(resolution: Resolution) -> list[dict[str, Any]]:
    """The rows of a resolution without their keys."""
    kept = MetricsSnapshot.objects.filter(resolution=resolution).order_by("at", "group", "process").values()
    return [{name: value for name, value in row.items() if name != "id"} for row in kept]


def test_every_column_has_a_rule_and_every_rule_a_column() -> None:
    columns = {field.name for field in MetricsSnapshot._meta.get_fields()}
    keys = {"id", "at", "resolution", "samples", "process", "group", "detail"}
    assert {figure.name for figure in FIGURES} == columns - keys
    assert {field.name for field in fields(GroupStats)} <= columns


def test_a_minute_keeps_last_counters_extremes_and_means(snapshots_db: str) -> None:
    store(
        [
            snapshot(0, sent_messages=10, viewers=2, messages_per_second=10.0, age_p50_ms=None),
            snapshot(
                10,
                sent_messages=20,
                viewers=9,
                viewers_poor=4,
                messages_per_second=20.0,
                age_p50_ms=40.0,
                age_p99_ms=300.0,
                emergency_mode=True,
                network_condition="poor",
                overload="shedding",
            ),
            snapshot(
                50,
                sent_messages=35,
                viewers=4,
                messages_per_second=60.0,
                age_p50_ms=60.0,
                age_p99_ms=100.0,
                network_condition="good",
                overload="normal",
                detail={"layer": "ok"},
                lost_snapshots=7,
            ),
            snapshot(60, sent_messages=40, messages_per_second=5.0),
        ]
    )
    assert run() == Step(made=3, deleted=0)
    first, second = rows(Resolution.MINUTE)
    assert (first.at, second.at) == (NOON, NOON + timedelta(minutes=1))
    assert (first.samples, second.samples) == (3, 1)
    assert (first.group, first.process) == ("ecg.a", "p1")
    assert (first.sent_messages, second.sent_messages) == (35, 40)
    assert (first.viewers, first.viewers_poor) == (9, 4)
    assert first.messages_per_second == pytest.approx(30.0)
    assert (first.age_p50_ms, first.age_p99_ms) == (pytest.approx(50.0), 300.0)
    assert (second.age_p50_ms, second.age_p99_ms) == (None, None)
    assert first.emergency_mode is True
    assert first.paused is False
    assert (first.state, second.state) == (State.EMERGENCY, State.NORMAL)
    assert (first.network_condition, second.network_condition) == ("poor", "")
    assert (first.overload, first.lost_snapshots, first.detail) == ("shedding", 7, {})


def test_an_hour_weighs_its_minutes_by_their_snapshots(snapshots_db: str) -> None:
    store(
        [
            *(snapshot(10 * n, messages_per_second=10.0, age_p50_ms=10.0 if n else None) for n in range(6)),
            snapshot(600, messages_per_second=80.0, age_p50_ms=70.0, sent_messages=99),
        ]
    )
    run()
    (hour,) = rows(Resolution.HOUR)
    assert (hour.at, hour.samples, hour.sent_messages) == (NOON, 7, 99)
    assert hour.messages_per_second == pytest.approx((6 * 10 + 80) / 7)
    # A minute's rows weigh by all of its snapshots, of which one had no age.
    assert hour.age_p50_ms == pytest.approx((6 * 10 + 70) / 7)


def test_groups_and_processes_are_kept_apart(snapshots_db: str) -> None:
    store(
        snapshot(seconds, group, process=process, messages_per_second=rate)
        for seconds in (0, 30)
        for group, process, rate in (("ecg.a", "p1", 1.0), ("ecg.a", "p2", 2.0), ("ecg.b", "p1", 3.0))
    )
    run()
    for resolution in (Resolution.MINUTE, Resolution.HOUR):
        assert [(row.group, row.process, row.messages_per_second) for row in rows(resolution)] == [
            ("ecg.a", "p1", 1.0),
            ("ecg.a", "p2", 2.0),
            ("ecg.b", "p1", 3.0),
        ]


def test_a_minute_waits_until_late_rows_cannot_come_any_more(snapshots_db: str) -> None:
    store([snapshot(0), snapshot(60)])
    settle = LIMITS.settle
    assert run(NOON + timedelta(seconds=59) + settle) == Step()
    assert run(NOON + timedelta(seconds=60) + settle) == Step(made=1)
    assert run(NOON + timedelta(seconds=120) + settle) == Step(made=1)
    assert rows(Resolution.HOUR) == []
    assert run(NOON + timedelta(hours=1) + settle) == Step(made=1)


def test_what_is_done_is_not_done_again(snapshots_db: str) -> None:
    store(snapshot(10 * n) for n in range(720))
    run(NOON + timedelta(hours=3))
    before = told(Resolution.MINUTE), told(Resolution.HOUR)
    assert (len(before[0]), len(before[1])) == (120, 2)
    run(NOON + timedelta(hours=3))
    assert (told(Resolution.MINUTE), told(Resolution.HOUR)) == before


def test_what_a_clock_that_was_ahead_has_left_holds_up_nothing(snapshots_db: str) -> None:
    ahead = 3 * 86_400
    store([snapshot(ahead)])
    run(SETTLED + timedelta(seconds=ahead))
    store(snapshot(10 * n) for n in range(360))
    run()
    assert [len(rows(resolution)) for resolution in Resolution] == [361, 61, 2]
    run(NOON + timedelta(days=2))
    assert [len(rows(resolution)) for resolution in Resolution] == [1, 61, 2]


def test_long_pauses_cost_no_steps(snapshots_db: str) -> None:
    store([snapshot(0), snapshot(86_400 * 300)])
    steps = list(upkeep(LIMITS, NOON + timedelta(days=300, hours=2)))
    assert len(steps) == 2 + 2 + 2, "minutes, hours, and what was deleted: a full row and a minute"


def everything(steps: int | None) -> tuple[list[dict[str, Any]], ...]:
    """All rows after upkeep that was broken off after so many steps, and then done."""
    MetricsSnapshot.objects.all().delete()
    store(
        snapshot(10 * n, f"ecg.{g}", sent_messages=n, messages_per_second=float(n))
        for n in range(90)
        for g in "abc"
    )
    limits = Limits(full=timedelta(hours=1), minute=timedelta(hours=2), hour=timedelta(days=366))
    if steps is not None:
        list(islice(upkeep(limits, NOON + timedelta(hours=4)), steps))
    run(NOON + timedelta(hours=4), limits)
    return tuple(told(resolution) for resolution in Resolution)


def test_it_may_be_broken_off_anywhere(snapshots_db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "BATCH_ROWS", 20)
    monkeypatch.setattr(rollup, "WINDOW_BUCKETS", 7)
    whole = everything(None)
    assert [len(part) for part in whole] == [0, 0, 3]
    for steps in range(0, 24, 2 if snapshots_db == "sqlite" else 5):
        assert everything(steps) == whole, f"broken off after {steps} steps"


def test_what_is_half_deleted_is_not_condensed_anew(
    snapshots_db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup, "BATCH_ROWS", 4)
    store(snapshot(10 * n, messages_per_second=float(n)) for n in range(6))
    late = NOON + timedelta(days=3)
    for done in upkeep(LIMITS, late):
        if done.deleted:
            break
    assert len(rows(Resolution.FULL)) == 2
    run(late)
    (minute,) = rows(Resolution.MINUTE)
    assert (minute.samples, minute.messages_per_second) == (6, 2.5)


def test_two_processes_may_do_it_at_once(snapshots_db: str) -> None:
    store(snapshot(10 * n) for n in range(360))
    one, other = (upkeep(LIMITS, SETTLED) for _ in range(2))
    for _ in range(100):
        next(one, None), next(other, None)
    assert (len(rows(Resolution.MINUTE)), len(rows(Resolution.HOUR))) == (60, 1)


def test_each_resolution_is_deleted_by_its_own_age(snapshots_db: str) -> None:
    store([snapshot(0), snapshot(86_400 * 20)])
    now = NOON + timedelta(days=20, hours=12)
    run(now)
    assert [len(rows(resolution)) for resolution in Resolution] == [1, 2, 2]
    run(now + timedelta(days=20))
    assert [len(rows(resolution)) for resolution in Resolution] == [0, 1, 2]
    run(now + timedelta(days=365))
    assert [len(rows(resolution)) for resolution in Resolution] == [0, 0, 1]


def test_nothing_is_deleted_before_it_is_condensed(snapshots_db: str) -> None:
    limits = Limits(full=timedelta(0), minute=timedelta(0), hour=timedelta(days=1), settle=timedelta(hours=5))
    store(snapshot(60 * n) for n in range(120))
    run(NOON + timedelta(hours=6, minutes=30), limits)
    assert [len(rows(resolution)) for resolution in Resolution] == [30, 30, 1]
    assert rows(Resolution.FULL)[0].at == NOON + timedelta(minutes=90)


@pytest.mark.django_db
def test_command_condenses_deletes_and_says_how_far_it_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.VITAL_SNAPSHOT_FULL_DAYS = 2
    old = (timezone.now() - NOON - timedelta(days=3)).total_seconds() // 60 * 60
    store(snapshot(old + 10 * n) for n in range(12))
    monkeypatch.setattr(prune_snapshots, "TELL_EVERY_S", 0.0)
    said = StringIO()
    call_command("prune_snapshots", stdout=said)
    *so_far, last = said.getvalue().splitlines()
    assert so_far
    assert all(line.endswith(" so far ...") for line in so_far)
    assert last.startswith(("3 rows", "4 rows"))  # one hour, or two where its full minutes lie in both
    assert last.endswith(" of minutes and hours made, 12 old rows deleted.")


def test_limits_are_those_of_the_environment(settings: Settings) -> None:
    settings.VITAL_SNAPSHOT_INTERVAL_S = 3600
    limits = Limits.of_settings()
    assert (limits.full.days, limits.minute.days, limits.hour.days) == (1, 31, 366)
    assert limits.settle == timedelta(hours=8)


def test_what_is_coarser_must_be_kept_for_longer() -> None:
    env.refuse_descending(A=1, B=1, C=2)
    with pytest.raises(ImproperlyConfigured, match="C must be at least B, which is 31, not 30"):
        env.refuse_descending(A=1, B=31, C=30)


def test_figures_with_words_are_extremes() -> None:
    assert {figure.name for figure in FIGURES if figure.order} == {"network_condition", "overload"}
    assert all(figure.keep is Keep.MOST for figure in FIGURES if figure.order)
