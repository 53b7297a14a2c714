"""When what has failed is tried again."""

from __future__ import annotations

from streaming.core.breaker import Breaker


def breaker() -> Breaker:
    return Breaker(first_s=5.0, longest_s=30.0)


def test_lets_all_through_while_nothing_fails() -> None:
    fuse = breaker()
    assert all(fuse.lets_through(0.0) for _ in range(10))
    assert not fuse.is_open


def test_a_failure_is_not_repeated_for_a_while_and_then_by_one_alone() -> None:
    fuse = breaker()
    fuse.failed(0.0)
    assert fuse.is_open
    assert not fuse.lets_through(4.9)
    assert [fuse.lets_through(5.0) for _ in range(3)] == [True, False, False]
    assert fuse.lets_through(10.0), "whoever tried has gone without a word"


def test_the_pause_doubles_to_a_bound() -> None:
    fuse = breaker()
    now, pauses = 0.0, []
    for _ in range(5):
        fuse.failed(now)
        began = now
        while not fuse.lets_through(now):
            now += 0.5
        pauses.append(now - began)
    assert pauses == [5.0, 10.0, 20.0, 30.0, 30.0]


def test_one_that_works_closes_it_and_the_next_pause_is_short_again() -> None:
    fuse = breaker()
    for now in (0.0, 5.0, 15.0):
        fuse.failed(now)
    fuse.worked()
    assert not fuse.is_open
    assert [fuse.lets_through(16.0) for _ in range(3)] == [True] * 3
    fuse.failed(16.0)
    assert not fuse.lets_through(20.9)
    assert fuse.lets_through(21.0)
