"""What one viewer is still to be told of: the gravest first, and of what is alike the first that came."""

from __future__ import annotations

import pytest

from streaming.core.alarm_queue import OLDEST_EVERY, URGENT, AlarmQueue, rank_of
from streaming.core.alarm_record import AlarmRecord, AlarmSeverity
from tests.store.journals import facts_of

ORDER = (AlarmSeverity.HIGH, AlarmSeverity.MEDIUM, AlarmSeverity.TECHNICAL, AlarmSeverity.LOW)


def record(
    severity: AlarmSeverity, *, cleared_ms: float | None = None, acknowledged_ms: float | None = None
) -> AlarmRecord:
    return AlarmRecord(facts_of("a", severity=severity), 1.0, cleared_ms, acknowledged_ms)


def test_what_holds_comes_by_severity_before_what_somebody_has_seen_to_or_is_over() -> None:
    active = [record(severity) for severity in ORDER]
    seen = [record(severity, acknowledged_ms=2.0) for severity in ORDER]
    over = [record(severity, cleared_ms=2.0) for severity in ORDER]
    assert rank_of(active[0]) == URGENT
    assert [rank_of(each) for each in active] == [0, 1, 2, 3]
    assert [rank_of(each) for each in seen] == [rank_of(each) for each in over] == [4, 5, 6, 7]


def test_the_lowest_rank_comes_first_and_of_one_rank_the_first() -> None:
    queue = AlarmQueue()
    for alarm, rank in (("a", 0), ("b", 3), ("c", 0), ("d", 3), ("b", 3)):
        queue.put(alarm, rank)
    assert len(queue) == 4
    assert drained(queue) == ["a", "c", "b", "d"]
    assert not queue


def test_now_and_then_comes_what_has_waited_longest_however_much_is_urgent() -> None:
    queue = AlarmQueue()
    queue.put("over", 4)
    taken = []
    for number in range(9):
        queue.put(f"begins {number}", URGENT)
        queue.put(f"begins too {number}", URGENT)
        taken.append(queue.take())
    assert taken.index("over") == OLDEST_EVERY - 1


def test_where_there_is_room_for_what_is_urgent_alone_nothing_else_is_taken() -> None:
    queue = AlarmQueue()
    queue.put("not urgent", 1)
    queue.put("urgent", URGENT)
    assert [queue.take(urgent_only=True) for _ in range(2)] == ["urgent", None]
    assert len(queue) == 1


def test_an_alarm_that_becomes_graver_moves_up() -> None:
    queue = AlarmQueue()
    for alarm, rank in (("a", 5), ("b", 2), ("a", 1)):
        queue.put(alarm, rank)
    assert drained(queue) == ["a", "b"]


@pytest.mark.parametrize("alarm", ["a", "not there"])
def test_what_is_discarded_does_not_come(alarm: str) -> None:
    queue = AlarmQueue()
    queue.put("a", 0)
    queue.discard(alarm)
    assert len(queue) == (alarm != "a")


def drained(queue: AlarmQueue) -> list[str]:
    return list(iter(queue.take, None))
