"""What a process used is stored with its groups' figures, and condensed like them; what a machine has."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connections

from monitoring import machine
from monitoring.figures import USAGE
from monitoring.models import MetricsSnapshot, Resolution, UsageSnapshot
from monitoring.rollup import BATCH_ROWS, Limits, Step, upkeep
from monitoring.snapshots import Row, SnapshotWriter, store_rows
from streaming.core.stats import GroupStats, ProcessUsage
from tests.monitoring.some_usage import usage

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
USED = ProcessUsage(
    cpu_s=2.0,
    rss_mb=100.0,
    loop_lag_ms=1.0,
    overload="normal",
    streams=2,
    viewers=3,
    viewer_streams=6,
    chunks=10,
    lead_samples=1000,
    sent_messages=50,
    websocket_messages=20,
    bytes_sent=1_000_000,
    queued_bytes=7,
)


def group(**values: Any) -> GroupStats:
    return GroupStats(group="ecg.a", viewers=1, **values)


class Taking:
    """A writer that is asked for rows by hand, and what it would have stored."""

    def __init__(self, stats: list[GroupStats]) -> None:
        self.used = USED
        self.now = 0.0
        self.rows: list[Any] = []
        self.writer = SnapshotWriter(
            lambda: stats,
            usage=lambda: self.used,
            interval_s=10,
            process_id="p1",
            clock=lambda: self.now,
            now=lambda: NOON + timedelta(seconds=self.now),
        )

    def take(self) -> UsageSnapshot:
        self.writer.take()
        row = self.writer._backlog[-1][-1]
        assert isinstance(row, UsageSnapshot)
        return row


def test_every_column_has_a_rule_and_every_rule_a_column() -> None:
    columns = {field.name for field in UsageSnapshot._meta.get_fields()}
    assert {figure.name for figure in USAGE} == columns - {"id", "at", "resolution", "samples", "process"}
    assert {field.name for field in fields(ProcessUsage)} <= columns


def test_row_of_the_process_comes_behind_those_of_its_groups() -> None:
    row = Taking([group(pressure=0.3, buffer_utilization=0.01), group(pressure=0.7)]).take()
    assert (row.at, row.process, row.viewers, row.lead_samples) == (NOON, "p1", 3, 1000)
    assert (row.pressure, row.buffer_utilization) == (0.7, 0.01)
    assert (row.cpu_share, row.sent_mbps) == (None, None)


def test_rates_are_those_since_the_row_before() -> None:
    taking = Taking([])
    taking.take()
    taking.now, taking.used = 20.0, replace(USED, cpu_s=7.0, bytes_sent=6_000_000)
    row = taking.take()
    assert (row.cpu_share, row.sent_mbps) == (0.25, 2.0)


def test_usage_that_cannot_be_read_costs_one_tick_only(caplog: pytest.LogCaptureFixture) -> None:
    taking = Taking([])

    def broken() -> ProcessUsage:
        raise RuntimeError("changed during iteration")

    taking.writer._usage = broken
    taking.writer.take()
    assert not taking.writer._backlog
    assert "changed during iteration" in caplog.text


def test_row_is_stored_with_what_the_machine_says(snapshots_db: str) -> None:
    rows: list[Row] = [
        MetricsSnapshot.of(group(), at=NOON, process="p1"),
        UsageSnapshot.of(USED, at=NOON, process="p1"),
    ]
    store_rows(rows)
    assert MetricsSnapshot.objects.count() == 1
    row = UsageSnapshot.objects.get()
    assert row.cores is not None
    assert row.cores >= 0.1
    assert row.memory_limit_mb is not None
    assert row.memory_limit_mb > 100
    assert row.database_mb is not None
    assert row.database_mb > 0.01


def test_rows_of_groups_alone_ask_the_machine_nothing(
    snapshots_db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "facts", lambda: pytest.fail("asked"))
    store_rows([MetricsSnapshot.of(group(), at=NOON, process="p1")])
    assert MetricsSnapshot.objects.count() == 1


def test_usage_is_condensed_by_process_and_deleted_when_old(snapshots_db: str) -> None:
    limits = Limits(timedelta(days=1), timedelta(days=31), timedelta(days=366))
    for process in ("p1", "p2"):
        UsageSnapshot.objects.bulk_create(usage(NOON, 60, 10, process=process))
    UsageSnapshot.objects.filter(process="p1", at=NOON + timedelta(seconds=70)).update(
        cpu_share=0.9, overload="shedding", history_mb=None
    )
    done = Step()
    for step in upkeep(limits, NOON + timedelta(hours=3)):
        assert step.made + step.deleted <= BATCH_ROWS
        done += step
    assert done == Step(made=2 * 10 + 2)
    minute = UsageSnapshot.objects.get(
        resolution=Resolution.MINUTE, process="p1", at=NOON + timedelta(minutes=1)
    )
    last = UsageSnapshot.objects.get(
        resolution=Resolution.FULL, process="p1", at=NOON + timedelta(seconds=110)
    )
    assert (minute.cpu_share, minute.overload, minute.samples) == (0.9, "shedding", 6)
    assert (minute.cpu_s, minute.chunks, minute.history_mb) == (last.cpu_s, last.chunks, last.history_mb)
    hours = UsageSnapshot.objects.filter(resolution=Resolution.HOUR)
    assert {(row.process, row.samples) for row in hours} == {("p1", 60), ("p2", 60)}
    assert sum(step.deleted for step in upkeep(limits, NOON + timedelta(days=2))) == 120


def test_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    within(monkeypatch, tmp_path, "0::/vital/one")
    assert machine.cores() >= 1
    (tmp_path / "vital" / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "vital" / "one" / "cpu.max").write_text("max 100000\n")
    assert machine.cores() == 0.5


def test_memory_is_limited_by_the_narrowest_group_or_the_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    within(monkeypatch, tmp_path, "0::/vital/one")
    whole = machine.memory_limit_mb()
    assert whole is not None
    (tmp_path / "vital" / "one" / "memory.max").write_text("max\n")
    assert machine.memory_limit_mb() == whole
    (tmp_path / "vital" / "memory.max").write_text("5000000\n")
    assert machine.memory_limit_mb() == 5.0


def test_machine_without_control_groups_has_its_own_limits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "_CGROUP", tmp_path / "none")
    monkeypatch.setattr(machine, "_OF_SELF", tmp_path / "nothing")
    assert machine.cores() >= 1
    assert (machine.memory_limit_mb() or 0) > 100


def within(monkeypatch: pytest.MonkeyPatch, root: Path, told: str) -> None:
    """The process lies in this control group."""
    (root / told.partition("::/")[2]).mkdir(parents=True)
    own = root / "self"
    own.write_text(f"{told}\n")
    monkeypatch.setattr(machine, "_CGROUP", root)
    monkeypatch.setattr(machine, "_OF_SELF", own)


def test_database_that_cannot_be_asked_has_no_size(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def __getitem__(self, alias: str) -> Away:
            return self

        def cursor(self) -> Any:
            raise DatabaseError("gone")

    monkeypatch.setattr(machine, "connections", Away())
    assert machine._server_mb("history") is None


def test_databases_that_are_one_count_once(snapshots_db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    same = {**dict.fromkeys(("default", "history", "journal"), connections["default"])}
    monkeypatch.setattr(machine, "connections", same)
    found = machine.sizes()
    assert found["database_mb"]
    assert (found["history_mb"], found["journal_mb"]) == (None, None)
