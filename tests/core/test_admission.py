"""Who may come in at once, and when the others are to come again."""

from __future__ import annotations

import random
from functools import partial

from streaming.core.admission import MAX_ADDRESSES, Admission
from streaming.core.overload import OverloadState

CROWD = "192.0.2.1"
"""From which all come, if nothing else is said."""


class Gate(Admission):
    """Everybody comes from the same address unless another is named."""

    def __init__(self, **options: float) -> None:
        super().__init__(now=0.0, rng=random.Random(1), **options)
        self.asked = partial(self.retry_after_s, CROWD)


def small(per_s: float, burst: float) -> Gate:
    return Gate(per_s=per_s, burst=burst, reserve=0.0)


def flood(gate: Admission, now: float, attempts: int = 100) -> int:
    """How many of one address are let in."""
    return sum(gate.retry_after_s("198.51.100.66", now) is None for _ in range(attempts))


def test_a_burst_comes_in_and_the_others_are_told_of_times_of_their_own() -> None:
    gate = Gate()
    answers = [gate.asked(0.0) for _ in range(1000)]
    refused = [seconds for seconds in answers if seconds is not None]
    assert (answers.count(None), len(refused), gate.refused) == (200, 800, 800)
    by_second = [sum(int(seconds) == at for seconds in refused) for at in range(10)]
    assert sum(by_second) == 800
    assert all(60 <= count <= 140 for count in by_second[1:8]), by_second


def test_who_comes_when_told_is_let_in() -> None:
    gate = small(10.0, 20.0)
    returning = sorted(seconds for _ in range(100) if (seconds := gate.asked(0.0)) is not None)
    again = sum(gate.asked(seconds) is not None for seconds in returning)
    assert len(returning) == 80
    assert again <= 8, "jitter may bring a few together"


def test_nobody_is_sent_away_for_longer_than_a_minute() -> None:
    gate = small(1.0, 1.0)
    waits = [gate.asked(0.0) for _ in range(500)]
    assert max(seconds for seconds in waits if seconds is not None) <= 60.5


def test_time_that_nobody_used_is_not_promised_again() -> None:
    gate = small(1.0, 1.0)
    for _ in range(10):
        gate.asked(0.0)
    assert gate.asked(100.0) is None
    wait = gate.asked(100.0)
    assert wait is not None
    assert wait <= 1.5


def test_who_turns_out_to_be_nobody_takes_no_place() -> None:
    gate = small(1.0, 2.0)
    for _ in range(50):
        assert gate.asked(0.0) is None
        gate.give_back()
    assert [gate.asked(0.0) is None for _ in range(3)] == [True, True, False]
    gate.give_back()
    assert gate.asked(60.0) is None
    assert gate.asked(60.0) is None
    assert gate.asked(60.0) is not None, "the burst is as large as before"


def test_nobody_comes_in_during_an_emergency_and_all_are_told_of_times_of_their_own() -> None:
    gate = Gate()
    waits = [gate.retry_after_s(f"10.0.0.{n}", 0.0, overload=OverloadState.EMERGENCY) for n in range(100)]
    known = [seconds for seconds in waits if seconds is not None]
    assert len(known) == 100
    assert 19.5 <= max(known) <= 20.5, "five a second"
    assert gate.asked(0.0) is None, "no token was taken"


def test_few_come_in_while_load_is_shed() -> None:
    gate = Gate()
    came = sum(
        gate.retry_after_s(f"10.0.{tenth}.{n}", tenth / 10, overload=OverloadState.SHEDDING) is None
        for tenth in range(100)
        for n in range(20)
    )
    assert 49 <= came <= 52, "of 200 a second"


def test_a_flood_of_one_address_keeps_nobody_else_out() -> None:
    gate = Gate()
    flooded = came = 0
    for tenth in range(600):
        flooded += flood(gate, tenth / 10)
        came += gate.retry_after_s(f"10.0.{tenth // 256}.{tenth % 256}", tenth / 10) is None
    assert came == 600
    assert flooded <= 200 + 60 * 100 - 600 + 50, "it has what the others leave"
    assert flooded >= 5000, "and nobody else wants that"


def test_nor_does_it_make_others_wait_for_long() -> None:
    gate = Gate()
    flood(gate, 0.0, 20_000)
    for n in range(50):
        assert gate.retry_after_s(f"10.0.0.{n}", 0.0) is None
    wait = gate.retry_after_s("10.0.1.1", 0.0)
    assert wait is not None
    assert wait <= 0.52


def test_nor_where_nobody_is_let_in() -> None:
    gate = Gate()
    for _ in range(20_000):
        gate.retry_after_s(CROWD, 0.0, overload=OverloadState.EMERGENCY)
    wait = gate.retry_after_s("10.0.0.1", 0.0, overload=OverloadState.EMERGENCY)
    assert wait is not None
    assert wait <= 4.7, "behind the share of that address"


def test_many_wrong_credentials_shut_their_address_out_for_as_long_as_they_come() -> None:
    gate = Gate()
    for _ in range(200):
        assert not gate.is_guessing(CROWD, 0.0)
        gate.was_wrong(CROWD, 0.0)
    gate.was_wrong(CROWD, 0.0)
    assert gate.is_guessing(CROWD, 0.0)
    assert not gate.is_guessing("10.0.0.1", 0.0)
    assert not gate.is_guessing(CROWD, 0.11), "ten a second"


def test_addresses_beyond_a_bound_are_forgotten_the_least_recent_first() -> None:
    gate = Gate()
    for address in ("first", "second"):
        for _ in range(200):
            gate.was_wrong(address, 0.0)
    for n in range(MAX_ADDRESSES - 1):
        gate.was_wrong(str(n), 0.0)
        assert gate.is_guessing("second", 0.0)
    assert not gate.is_guessing("first", 0.0)
    assert gate.is_guessing("second", 0.0)
