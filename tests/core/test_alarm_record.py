"""Records of alarms add up to the same, in whatever order and however often they come."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.alarm_record import (
    AlarmEntry,
    AlarmFacts,
    AlarmRecord,
    AlarmState,
    AlarmStep,
    folded,
)
from tests.make_vectors import ASYSTOLE

FACTS = replace(ASYSTOLE, alarm="a1", stream="s1")
times = st.none() | st.integers(0, 5).map(float)
facts = st.integers(0, 3).map(lambda n: replace(FACTS, revision=n, text=f"ASYSTOLE {n + 4}.0 >= 4 s"))
records = st.builds(
    AlarmRecord,
    facts=facts,
    raised_ms=st.integers(0, 5).map(float),
    cleared_ms=times,
    acknowledged_ms=times,
    acknowledged_by=st.sampled_from(["ann", "bob"]),
    displayed_ms=times,
    unstored=st.booleans(),
).map(lambda record: record if record.acknowledged_ms is not None else replace(record, acknowledged_by=""))


@given(records, records, records)
def test_merging_is_a_join(a: AlarmRecord, b: AlarmRecord, c: AlarmRecord) -> None:
    assert a.merged(a) == a
    assert a.merged(b) == b.merged(a)
    assert a.merged(b).merged(c) == a.merged(b.merged(c))


@given(records, records)
def test_a_merged_record_goes_on_and_never_back(a: AlarmRecord, b: AlarmRecord) -> None:
    both = a.merged(b)
    assert both.facts.revision == max(a.facts.revision, b.facts.revision)
    for name in ("cleared_ms", "acknowledged_ms", "displayed_ms"):
        known = [value for value in (getattr(a, name), getattr(b, name)) if value is not None]
        assert getattr(both, name) == min(known, default=None)
    assert both.unstored is (a.unstored and b.unstored)


@pytest.mark.parametrize(
    ("latching", "cleared", "acknowledged", "state"),
    [
        (True, None, None, AlarmState.ACTIVE),
        (True, None, 2.0, AlarmState.ACKNOWLEDGED),
        (True, 3.0, None, AlarmState.ENDED),
        (True, 3.0, 2.0, AlarmState.CLOSED),
        (False, None, None, AlarmState.ACTIVE),
        (False, None, 2.0, AlarmState.ACKNOWLEDGED),
        (False, 3.0, None, AlarmState.CLOSED),
        (False, 3.0, 2.0, AlarmState.CLOSED),
    ],
)
def test_only_a_latching_alarm_outlives_its_condition(
    latching: bool, cleared: float | None, acknowledged: float | None, state: AlarmState
) -> None:
    record = AlarmRecord(
        replace(FACTS, latching=latching), 1.0, cleared_ms=cleared, acknowledged_ms=acknowledged
    )
    assert record.state is state
    assert record.is_closed is (state is AlarmState.CLOSED)
    assert record.alarm == "a1"


def test_entries_add_up_in_any_order() -> None:
    entries = [
        AlarmEntry(AlarmStep.RAISED, "a1", 10.0, 1.0, "system", FACTS),
        AlarmEntry(AlarmStep.UPDATED, "a1", 11.0, 2.0, "system", replace(FACTS, revision=1, text="later")),
        AlarmEntry(AlarmStep.PUBLISHED, "a1", 12.0, 3.0, "system"),
        AlarmEntry(AlarmStep.DISPLAYED, "a1", 14.0, 5.0, "user:8", hidden=True),
        AlarmEntry(AlarmStep.DISPLAYED, "a1", 13.0, 4.0, "user:7"),
        AlarmEntry(AlarmStep.ACKNOWLEDGED, "a1", 15.0, 6.0, "user:7", by="ann"),
        AlarmEntry(AlarmStep.CLEARED, "a1", 16.0, 7.0, "system"),
    ]
    expected = AlarmRecord(replace(FACTS, revision=1, text="later"), 10.0, 16.0, 15.0, "ann", 13.0)
    assert folded(entries) == folded(reversed(entries)) == folded([*entries, *entries]) == expected


def test_entries_without_the_raised_one_are_no_record_yet() -> None:
    assert folded([AlarmEntry(AlarmStep.CLEARED, "a1", 16.0, 7.0, "system")]) is None
    assert folded([AlarmEntry(AlarmStep.UPDATED, "a1", 16.0, 7.0, "system", FACTS)]) is None
    assert folded([]) is None


@given(records)
def test_a_record_survives_the_layer(record: AlarmRecord) -> None:
    assert AlarmRecord.from_dict(record.to_dict()) == record


def test_what_another_version_wrote_is_refused() -> None:
    with pytest.raises(TypeError):
        AlarmFacts.from_dict(FACTS.to_dict() | {"colour": "red"})
    with pytest.raises(ValueError, match="grave"):
        AlarmFacts.from_dict(FACTS.to_dict() | {"severity": "grave"})
