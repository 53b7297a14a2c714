"""What the journal holds: each entry once, in a chain, and what is open, in whatever order steps come."""

from __future__ import annotations

import importlib
import itertools
import json
import math
import threading
from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connections, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streaming.core.alarm_record import AlarmEntry, AlarmState, AlarmStep, folded
from streaming.models_journal import JournalEntry, OpenAlarm
from streaming.store import chain, journal_rows, open_alarms
from streaming.store.chain import Head
from streaming.store.journal_rows import line_of
from streaming.store.routing import JOURNAL
from tests.store.journals import change, closed, entry, facts_of, problems, raised

pytestmark = pytest.mark.usefixtures("journal_db")

TRIGGERS = importlib.import_module("streaming.migrations.0007_journal")


def store(*entries: AlarmEntry, head: Head | None = None) -> Head:
    return journal_rows.store([line_of(each) for each in entries], head or chain.new_head())


def test_entries_come_back_as_they_were_in_their_order() -> None:
    store(*closed())
    rows = list(JournalEntry.objects.order_by("pk"))
    assert [journal_rows.entry_of(row) for row in rows] == closed()
    assert [row.seq for row in rows] == [1, 2, 3, 4, 5]
    assert {row.writer for row in rows} == {rows[0].writer}
    assert problems() == []


def test_steps_without_facts_carry_what_the_alarm_is_about() -> None:
    store(raised())
    store(entry(AlarmStep.DISPLAYED))
    store(entry(AlarmStep.CLEARED, "never raised"))
    rows = JournalEntry.objects.order_by("pk").values_list("stream", "ward", "kind", "severity")
    assert list(rows) == [("stream-a", "a", "asystole", "high")] * 2 + [("", "", "", "")]


def test_what_comes_twice_is_one_row_and_leaves_no_hole_in_the_chain() -> None:
    first, *others = closed()
    head = store(first, others[0])
    head = store(first, *others, *others, head=head)
    assert JournalEntry.objects.count() == 5
    assert (head.seq, problems()) == (5, [])
    assert store(*closed(), head=head) == head


@pytest.mark.parametrize("batches", [1, 2])
@pytest.mark.parametrize("steps", [1, 5])
def test_an_alarm_is_raised_once_whichever_process_says_so(batches: int, steps: int) -> None:
    known, again = closed()[:steps], replace(raised(), actor="system:taken-over", monotonic_s=9.0)
    if batches == 1:
        store(*known, again)
    else:
        store(again, head=store(*known))
    assert JournalEntry.objects.filter(step=AlarmStep.RAISED.value).count() == 1
    assert JournalEntry.objects.count() == steps
    assert problems() == []


def test_the_same_step_at_another_moment_is_another_entry() -> None:
    store(raised(), entry(AlarmStep.DISPLAYED, after_ms=1), entry(AlarmStep.DISPLAYED, after_ms=2))
    assert JournalEntry.objects.count() == 3


def test_an_alarm_is_open_until_what_is_known_of_it_closes_it() -> None:
    states = []
    for step in closed():
        store(step)
        states.append([record.state for record in journal_rows.open_alarms()])
    active, acknowledged = [AlarmState.ACTIVE], [AlarmState.ACKNOWLEDGED]
    assert states == [active, active, active, acknowledged, []]


def test_the_open_record_is_what_all_entries_add_up_to() -> None:
    new = replace(facts_of("alarm-1"), revision=1, value=5.5, text="Asystole 5.5 s")
    entries = [*closed()[:3], entry(AlarmStep.UPDATED, after_ms=50, facts=new)]
    for each in entries:
        store(each)
    assert journal_rows.open_alarms() == journal_rows.records(["alarm-1"]) == [folded(entries)]


def test_every_order_and_grouping_leaves_the_same_record() -> None:
    steps = [raised(), *closed()[2:]]
    for number, order in enumerate(itertools.permutations(range(len(steps)))):
        moved = [replace(steps[at], alarm=f"alarm-{number}") for at in order]
        moved = [replace(e, facts=e.facts and replace(e.facts, alarm=e.alarm)) for e in moved]
        for first in range(0, len(moved), 1 + number % 3):
            store(*moved[first : first + 1 + number % 3])
        assert journal_rows.records([f"alarm-{number}"]) == [folded(moved)]
        assert open_alarms.differences() == []
    assert journal_rows.open_alarms() == []


def test_an_alarm_that_was_never_raised_has_no_record() -> None:
    store(entry(AlarmStep.CLEARED), entry(AlarmStep.ACKNOWLEDGED, by="Robin"))
    assert journal_rows.open_alarms() == journal_rows.records(["alarm-1", "unknown"]) == []


@pytest.mark.parametrize("journal_url", ["postgresql"], indirect=True)
def test_two_processes_that_each_add_half_of_what_closes_an_alarm_close_it(journal_url: str) -> None:
    store(raised())
    begun, faults = threading.Event(), []

    def acknowledge() -> None:
        begun.set()
        try:
            store(entry(AlarmStep.ACKNOWLEDGED, by="Robin"))
        except Exception as error:  # noqa: BLE001  # told in the test's own thread
            faults.append(error)
        finally:
            connections[JOURNAL].close()

    other = threading.Thread(target=acknowledge, daemon=True)
    with transaction.atomic(using=JOURNAL):
        store(entry(AlarmStep.CLEARED))
        other.start()
        assert begun.wait(10)
        other.join(0.3)
        assert other.is_alive()
    other.join(10)
    assert not faults
    assert journal_rows.open_alarms() == []


def test_a_transaction_that_fails_changes_neither_entries_nor_what_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head = store(raised("kept"))

    def fail(*_args: object, **_kwargs: object) -> None:
        raise DatabaseError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(JournalEntry.objects, "bulk_create", fail)
        with pytest.raises(DatabaseError):
            store(raised("other"), *closed("kept"), head=head)
    assert [record.alarm for record in journal_rows.open_alarms()] == ["kept"]
    assert JournalEntry.objects.count() == 1


def test_texts_of_any_length_and_kind_are_stored() -> None:
    odd = "x" * 5000 + "\0\ud800 é"
    store(raised(actor=odd, facts=facts_of("alarm-1", text=odd, kind=odd)))
    store(entry(AlarmStep.ACKNOWLEDGED, by=odd))
    row = JournalEntry.objects.order_by("-pk")[0]
    assert row.by == row.kind == "x" * 5000 + "? é"
    assert problems() == []


@pytest.mark.parametrize(
    "change",
    [
        {"at_ms": float("nan")},
        {"at_ms": float("inf")},
        {"at_ms": 1e300},
        {"monotonic_s": float("nan")},
        {"monotonic_s": float("inf")},
        {"alarm": "a\0"},
    ],
    ids=str,
)
def test_what_could_never_be_stored_is_refused_at_once(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not an entry of the journal"):
        line_of(replace(raised(), **change))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at_ms=st.floats(0, 4e12),
    monotonic_s=st.floats(allow_nan=False, allow_infinity=False),
    value=st.floats() | st.none() | st.integers(-(10**30), 10**30),
)
def test_whatever_is_stored_verifies_and_comes_back(at_ms: float, monotonic_s: float, value: float) -> None:
    alarm = f"{at_ms!r} {monotonic_s!r} {value!r}"
    made = raised(alarm, facts=replace(facts_of(alarm), value=value))
    made = replace(made, at_ms=at_ms, monotonic_s=monotonic_s)
    store(made)
    row = JournalEntry.objects.get(alarm=alarm)
    assert chain.row_hash(row) == row.hash
    assert repr(journal_rows.entry_of(row)) == repr(line_of(made).entry)
    assert math.isnan(value or 0) or line_of(made).entry == made


def test_facts_of_another_version_are_passed_over_and_said_once(
    journal_db: str, caplog: pytest.LogCaptureFixture
) -> None:
    alarm = f"facts {journal_db}"
    store(raised(alarm))
    row = JournalEntry.objects.get()
    row.facts = json.dumps({**json.loads(row.facts), "colour": "red"})
    assert [journal_rows.entry_of(row).facts for _ in range(3)] == [None] * 3
    assert caplog.text.count(f"facts of alarm {alarm} that this version cannot read") == 1


def test_what_a_newer_version_wrote_stops_neither_reading_nor_storing(
    journal_db: str, caplog: pytest.LogCaptureFixture
) -> None:
    store(raised(journal_db), entry(AlarmStep.DISPLAYED, journal_db), raised("known"))
    row = OpenAlarm.objects.get(alarm=journal_db)
    row.record = row.record.replace('"kind"', '"colour"')
    row.save()
    change(1, facts=row.record)
    change(2, step="silenced")
    assert [record.alarm for record in journal_rows.open_alarms()] == ["known"]
    assert [record.alarm for record in journal_rows.records([journal_db, "known"])] == ["known"]
    store(entry(AlarmStep.CLEARED, journal_db, 5), entry(AlarmStep.CLEARED, "known", 5))
    assert JournalEntry.objects.count() == 5
    assert OpenAlarm.objects.get(alarm=journal_db).record == row.record
    assert caplog.text.count("that this version cannot read") == 1


def test_what_is_open_costs_one_query_of_what_is_open() -> None:
    store(*(step for n in range(20) for step in closed(f"old-{n}")), raised("open"))
    with CaptureQueriesContext(connections[JOURNAL]) as queries:
        assert [record.alarm for record in journal_rows.open_alarms()] == ["open"]
    assert len(queries) == 1
    assert "journalentry" not in queries[0]["sql"]


class TestAppendOnly:
    """Rows that exist stay as they are."""

    def test_an_entry_can_be_neither_saved_again_nor_deleted(self) -> None:
        store(raised())
        row = JournalEntry.objects.get()
        with pytest.raises(PermissionDenied):
            row.save()
        with pytest.raises(PermissionDenied):
            row.delete()

    def test_the_database_refuses_to_change_or_delete_rows(self) -> None:
        store(raised())
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(using=JOURNAL):
            JournalEntry.objects.update(by="nobody")
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(using=JOURNAL):
            JournalEntry.objects.all()._raw_delete(JOURNAL)
        assert JournalEntry.objects.count() == 1


def test_what_is_open_is_not_part_of_the_chain() -> None:
    """Any of it can be made again from the entries."""
    store(raised())
    OpenAlarm.objects.all().delete()
    assert [record.alarm for record in journal_rows.records(["alarm-1"])] == ["alarm-1"]
    store(entry(AlarmStep.DISPLAYED))
    assert [record.alarm for record in journal_rows.open_alarms()] == ["alarm-1"]
