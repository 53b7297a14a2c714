"""How much of a signal must hang together, and how long it may not."""

from __future__ import annotations

import pytest

from streaming.ecg.continuity import UNBROKEN_S, WITHIN_S, Continuity


def test_a_signal_that_goes_on_is_not_lost() -> None:
    continuity = Continuity()
    for _ in range(1000):
        continuity.goes_on(0.25)
        assert not continuity.is_lost


@pytest.mark.parametrize("gap_s", [0.5, 10.0, 3600.0])
def test_one_gap_alone_loses_nothing(gap_s: float) -> None:
    continuity = Continuity()
    continuity.goes_on(60.0)
    continuity.breaks(gap_s)
    for _ in range(100):
        continuity.goes_on(0.25)
        assert not continuity.is_lost


@pytest.mark.parametrize(("stretch_s", "gap_s"), [(0.1, 0.4), (2.0, 0.5), (5.0, 0.5), (0.1, 9.0)])
def test_without_an_unbroken_stretch_it_is_lost_until_there_is_one(stretch_s: float, gap_s: float) -> None:
    continuity = Continuity()
    continuity.goes_on(60.0)
    passed_s = 0.0
    while not continuity.is_lost:
        continuity.breaks(gap_s)
        continuity.goes_on(stretch_s)
        passed_s += min(gap_s, 3.0) + stretch_s
    assert WITHIN_S < passed_s < WITHIN_S + 6.0
    assert continuity.longest_s == pytest.approx(stretch_s)
    continuity.breaks(gap_s)
    continuity.goes_on(UNBROKEN_S - 0.25)
    assert continuity.is_lost
    continuity.goes_on(0.25)
    assert not continuity.is_lost
