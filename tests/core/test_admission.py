"""Who may come in at once, and when the others are to come again."""

from __future__ import annotations

import random

from streaming.core.admission import Admission


def admission(**options: float) -> Admission:
    return Admission(now=0.0, rng=random.Random(1), **options)


def test_a_burst_comes_in_and_the_others_are_told_of_times_of_their_own() -> None:
    gate = admission()
    answers = [gate.retry_after_s(0.0) for _ in range(1000)]
    refused = [seconds for seconds in answers if seconds is not None]
    assert (answers.count(None), len(refused), gate.refused) == (200, 800, 800)
    by_second = [sum(int(seconds) == at for seconds in refused) for at in range(10)]
    assert sum(by_second) == 800
    assert all(60 <= count <= 140 for count in by_second[1:8]), by_second


def test_who_comes_when_told_is_let_in() -> None:
    gate = admission(per_s=10.0, burst=20.0)
    returning = sorted(seconds for _ in range(100) if (seconds := gate.retry_after_s(0.0)) is not None)
    again = sum(gate.retry_after_s(seconds) is not None for seconds in returning)
    assert len(returning) == 80
    assert again <= 8, "jitter may bring a few together"


def test_nobody_is_sent_away_for_longer_than_a_minute() -> None:
    gate = admission(per_s=1.0, burst=1.0)
    waits = [gate.retry_after_s(0.0) for _ in range(500)]
    assert max(seconds for seconds in waits if seconds is not None) <= 60.5


def test_time_that_nobody_used_is_not_promised_again() -> None:
    gate = admission(per_s=1.0, burst=1.0)
    for _ in range(10):
        gate.retry_after_s(0.0)
    assert gate.retry_after_s(100.0) is None
    wait = gate.retry_after_s(100.0)
    assert wait is not None
    assert wait <= 1.5


def test_who_turns_out_to_be_nobody_takes_no_place() -> None:
    gate = admission(per_s=1.0, burst=2.0)
    for _ in range(50):
        assert gate.retry_after_s(0.0) is None
        gate.give_back()
    assert [gate.retry_after_s(0.0) is None for _ in range(3)] == [True, True, False]
    gate.give_back()
    assert gate.retry_after_s(60.0) is None
    assert gate.retry_after_s(60.0) is None
    assert gate.retry_after_s(60.0) is not None, "the burst is as large as before"


def test_nobody_comes_in_while_there_is_too_much_to_do_and_all_are_told_of_times_of_their_own() -> None:
    gate = admission()
    waits = [gate.retry_after_s(0.0, overloaded=True) for _ in range(100)]
    known = [seconds for seconds in waits if seconds is not None]
    assert len(known) == 100
    assert 9.5 <= max(known) <= 10.5, "ten a second"
    assert gate.retry_after_s(0.0) is None, "no token was taken"
