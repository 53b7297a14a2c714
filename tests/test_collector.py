"""The garbage collector of a server that has started."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from vital.collector import settle


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    gc.unfreeze()  # what a server that was started in this process has left
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


class Cycle:
    def __init__(self) -> None:
        self.me = self


def test_what_the_start_has_made_is_not_looked_at_again() -> None:
    gc.collect()
    before = len(gc.get_objects())
    settle()
    assert gc.get_freeze_count() > 0.9 * before
    assert len(gc.get_objects()) < 0.1 * before


def test_cycles_of_later_are_still_found() -> None:
    settle()
    for _ in range(10):
        Cycle()
    assert gc.collect() >= 10


def test_what_had_lasted_is_found_before_it_is_much() -> None:
    settle()
    lasting = Cycle()
    gc.collect(1)
    found = weakref.ref(lasting)
    del lasting
    connections = 0
    kept: list[list[object]] = []
    while found() is not None and connections < 5_000:
        kept += [[] for _ in range(300)]  # as many as one connection leaves behind
        connections += 1
    assert connections < 2_500
