"""What is open is what the entries say: what is deleted from the table of it, or changed there, is found."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from streaming.core.alarm_record import AlarmEntry, AlarmState, AlarmStep
from streaming.models_journal import OpenAlarm
from streaming.store import chain, checkpoints, journal_rows, open_alarms, retention, verification
from streaming.store.chain import Head
from streaming.store.head_log import HeadLog
from streaming.store.journal_news import News
from streaming.store.journal_rows import line_of
from streaming.store.routing import JOURNAL
from streaming.store.trails import ALARMS
from tests.store.journals import START_MS, change, closed, entry, facts_of, raised

pytestmark = pytest.mark.usefixtures("journal_db")

START = datetime.fromtimestamp(START_MS / 1000, UTC)
UPDATED = entry(
    AlarmStep.UPDATED, "updated", 50, facts=replace(facts_of("updated"), revision=1, value=5.5, text="5.5 s")
)


def store(*entries: AlarmEntry, head: Head | None = None) -> Head:
    return journal_rows.store([line_of(each) for each in entries], head or chain.new_head())


def write() -> None:
    """Alarms in every state."""
    store(raised("active"), raised("updated"), UPDATED, entry(AlarmStep.DISPLAYED, "updated", 90))
    store(raised("acknowledged"), entry(AlarmStep.ACKNOWLEDGED, "acknowledged", 90, by="Robin"))
    store(raised("ended"), entry(AlarmStep.CLEARED, "ended", 90))
    store(*closed("closed"), entry(AlarmStep.CLEARED, "never raised", 5))
    brief = raised("brief", facts=facts_of("brief", latching=False))
    store(brief, entry(AlarmStep.CLEARED, "brief", 90))


OPEN = ["acknowledged", "active", "ended", "updated"]


def found() -> list[str]:
    return [str(each) for each in open_alarms.differences()]


def begun() -> dict[str, AlarmState]:
    """What a process that starts takes for open."""
    return {record.alarm: record.state for record in News().read()}


def tamper(alarm: str, **changes: Any) -> None:
    """Change what the table says of an alarm."""
    row = OpenAlarm.objects.get(alarm=alarm)
    OpenAlarm.objects.filter(alarm=alarm).update(record=json.dumps({**json.loads(row.record), **changes}))


def test_a_table_that_nobody_has_touched_is_whole() -> None:
    write()
    assert found() == []
    assert open_alarms.repair() == []
    assert sorted(begun()) == OPEN


@pytest.mark.parametrize(
    ("alarm", "state"), [("active", "active"), ("acknowledged", "acknowledged"), ("ended", "ended")]
)
def test_a_row_that_is_deleted_is_found_and_put_back_and_a_start_has_the_alarm(
    alarm: str, state: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    write()
    row = OpenAlarm.objects.get(alarm=alarm).record
    OpenAlarm.objects.filter(alarm=alarm).delete()
    text = f"open alarm {alarm}: it is not in the table, and its entries have it {state}"
    assert found() == [text]
    assert [str(fault) for fault in verification.verify(HeadLog(tmp_path / "log"), [ALARMS]).faults] == [
        f"alarms: {text}"
    ]
    assert begun()[alarm].value == state
    assert sorted(begun()) == OPEN
    assert "is wrong about 1" in caplog.text
    assert [str(each) for each in open_alarms.repair()] == [text]
    assert found() == []
    assert OpenAlarm.objects.get(alarm=alarm).record == row


def test_an_emptied_table_leaves_all_that_is_open() -> None:
    write()
    OpenAlarm.objects.all().delete()
    assert sorted(begun()) == OPEN
    assert sorted(each.alarm for each in open_alarms.repair()) == OPEN
    assert found() == []


@pytest.mark.parametrize(
    ("alarm", "changes"),
    [
        ("active", {"raised_ms": 1.0}),
        ("active", {"cleared_ms": START_MS}),
        ("active", {"acknowledged_ms": START_MS}),
        ("acknowledged", {"acknowledged_ms": None}),
        ("acknowledged", {"acknowledged_by": "Sam"}),
        ("updated", {"displayed_ms": None}),
        ("updated", {"facts": facts_of("updated").to_dict()}),
        ("updated", {"facts": replace(UPDATED.facts or facts_of(""), value=4.0).to_dict()}),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_a_row_that_is_changed_is_found_by_what_is_another_and_repaired(
    alarm: str, changes: dict[str, Any]
) -> None:
    write()
    tamper(alarm, **changes)
    (name,) = changes
    text = f"open alarm {alarm}: its row in the table has another {name} than its entries"
    assert found() == [text]
    assert [str(each) for each in open_alarms.repair()] == [text]
    assert found() == []


@pytest.mark.parametrize("changes", [{"cleared_ms": START_MS}, {"acknowledged_ms": START_MS}], ids=str)
def test_a_start_believes_no_end_or_acknowledgement_that_no_entry_has(changes: dict[str, Any]) -> None:
    write()
    tamper("active", **changes)
    assert begun()["active"] is AlarmState.ACTIVE


def test_a_row_that_cannot_be_read_is_found_and_repaired() -> None:
    write()
    tamper("active", facts={})
    assert found() == ["open alarm active: its row in the table cannot be read"]
    assert len(open_alarms.repair()) == 1
    assert (found(), sorted(begun())) == ([], OPEN)


def test_a_row_of_an_alarm_that_is_closed_is_found_and_taken_away() -> None:
    write()
    OpenAlarm.objects.create(alarm="closed", record=OpenAlarm.objects.get(alarm="active").record)
    assert found() == ["open alarm closed: it is in the table, and its entries have it closed"]
    assert len(open_alarms.repair()) == 1
    assert found() == []


def test_a_row_of_an_alarm_that_no_entry_raises_is_found_and_left() -> None:
    write()
    OpenAlarm.objects.create(alarm="unknown", record=OpenAlarm.objects.get(alarm="active").record)
    text = "open alarm unknown: it is in the table, and no entry raises it"
    assert found() == [text]
    assert open_alarms.repair() == []
    assert found() == [text]


def test_what_another_version_wrote_is_not_judged() -> None:
    store(raised())
    change(1, facts='{"latching":true}')
    assert found() == []
    OpenAlarm.objects.all().delete()
    assert (found(), begun()) == ([], {})


def test_what_is_just_being_written_is_looked_at_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    monkeypatch.setattr(open_alarms, "_suspects", lambda: [*OPEN, "closed", "never raised"])
    assert found() == []


def test_an_alarm_whose_end_was_pruned_with_another_chain_is_not_open_again(tmp_path: Path) -> None:
    log = HeadLog(tmp_path / "log")
    store(raised("kept"))
    other = store(entry(AlarmStep.CLEARED, "kept", 5), entry(AlarmStep.ACKNOWLEDGED, "kept", 9, by="Robin"))
    checkpoints.mark(ALARMS, other, log)
    assert sum(retention.prune(ALARMS, START + timedelta(days=1), log)) == 2
    assert (found(), begun()) == ([], {})
    now_ms = timezone.now().timestamp() * 1000 + 1000
    store(replace(raised("later"), at_ms=now_ms))
    OpenAlarm.objects.all().delete()
    assert (len(found()), list(begun())) == (1, ["later"])


def test_a_start_looks_at_the_newest_entries_and_asks_as_often_whatever_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connections[JOURNAL]) as asked:
            open_alarms.at_start()
        return len(asked)

    write()
    few = queries()
    for number in range(20):
        store(raised(f"more-{number}"), entry(AlarmStep.ACKNOWLEDGED, f"more-{number}", 5, by="Robin"))
    assert queries() == few <= 6
    OpenAlarm.objects.filter(alarm__in=["active", "more-19"]).delete()
    monkeypatch.setattr(open_alarms, "START_ROWS", 2)
    assert "active" not in begun()
    assert "more-19" in begun()
    assert len(found()) == 2
