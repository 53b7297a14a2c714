"""The book finds what was lost and what was shown twice, and nothing where all is well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.chaos.book import CLOSED, Book, Verdict
from tests.chaos.screen import SETTLING_S

GOOD = Verdict(0, [], [], [], [], [], [], [], [], [])


def book() -> Book:
    """One viewer; `d-1` is over, `d-2` is open, and it shows that."""
    made = Book()
    made.begin("v")
    for number, name in enumerate(("d-1", "d-2")):
        made.raise_(name, float(number))
        made.drew("v", f"s.1.{name}", number + 0.5)
    made.end("d-1")
    made.removed("v", "s.1.d-1", 3.0, CLOSED)
    return made


def verdict_of(
    made: Book, *, stored: Mapping[str, int] | None = None, open_now: tuple[str, ...] = ("d-2",)
) -> Verdict:
    return made.verdict(
        stored=stored or {"s.1.d-1": 1, "s.1.d-2": 1},
        open_now=[f"s.1.{name}" for name in open_now],
        viewers=["v"],
        unconfirmed=0,
    )


def test_all_is_well() -> None:
    verdict = verdict_of(book())
    assert verdict == GOOD
    assert (verdict.lost, verdict.duplicates) == (0, 0)
    assert (book().progress, book().longest_s) == ((2, 1, 2), 0.5)


def test_what_is_not_stored_or_stored_twice_is_named() -> None:
    verdict = verdict_of(book(), stored={"s.1.d-2": 2})
    assert verdict == replace(GOOD, not_stored=["d-1"], raised_twice=["d-2"])
    assert (verdict.lost, verdict.duplicates) == (1, 0)


def test_what_nobody_saw_is_lost() -> None:
    made = book()
    made.raise_("d-3", 4.0)
    verdict = verdict_of(made, stored={f"s.1.d-{n}": 1 for n in (1, 2, 3)}, open_now=("d-2", "d-3"))
    assert verdict == replace(GOOD, never_shown=["d-3"], not_shown=["d-3 at v"])
    assert verdict.lost == 2


@pytest.mark.parametrize("why", [CLOSED, "not named"])
def test_what_is_drawn_again_in_one_life_was_shown_twice(why: str) -> None:
    made = book()
    made.removed("v", "s.1.d-2", 4.0, why)
    made.drew("v", "s.1.d-2", 4.5)
    verdict = verdict_of(made)
    assert verdict == replace(GOOD, shown_twice=[f"s.1.d-2 at v 0.5 s after it was {why}"])
    assert verdict.duplicates == 1


@pytest.mark.parametrize("late_s", [-0.1, 0.1])
def test_who_was_killed_may_show_what_is_open_again_but_not_what_was_closed(late_s: float) -> None:
    made = book()
    made.begin("v")
    made.drew("v", "s.1.d-2", 50.0)
    made.drew("v", "s.1.d-1", 3.0 + SETTLING_S + late_s)
    made.removed("v", "s.1.d-1", 60.0, CLOSED)
    assert len(verdict_of(made).came_back) == (late_s > 0)


def test_what_the_journal_has_open_and_shut_is_what_devices_left_on() -> None:
    verdict = verdict_of(book(), open_now=("d-1",))
    assert verdict == replace(
        GOOD, still_open=["d-1"], closed_early=["d-2"], wrongly_shown=["d-2 at v"], not_shown=["d-1 at v"]
    )


async def test_a_milestone_is_reached_by_the_alarm_of_that_number() -> None:
    made = book()
    assert made.reached(2).is_set()
    third = made.reached(3)
    assert not third.is_set()
    made.raise_("d-3", 4.0)
    assert third.is_set()
