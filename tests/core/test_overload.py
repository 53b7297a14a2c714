"""When a process gives up something, in which order, and that it takes it back."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.overload import (
    CALM_S,
    EMERGENCY_BYTES,
    LASTING_S,
    MAX_CALM_S,
    SHEDDING_BYTES,
    Overload,
    OverloadState,
)
from streaming.core.priority import MessagePriority
from streaming.core.renditions import Quality

TURN_S = 0.25
NORMAL, SHEDDING, EMERGENCY = OverloadState


def after(overload: Overload, seconds: float, *, late_s: float = 0.0, queued: int = 0, at: float) -> float:
    """Read the same for so long; the time then."""
    for _ in range(math.ceil(seconds / TURN_S)):
        at += TURN_S
        overload.read(late_s, queued, at)
    return at


def step_of(overload: Overload) -> int:
    """How much is given up, as a number."""
    return tuple(OverloadState).index(overload.state) + (overload.best is Quality.OVERVIEW)


def test_a_calm_process_gives_up_nothing() -> None:
    overload = Overload()
    after(overload, 60, late_s=0.02, queued=SHEDDING_BYTES - 1, at=0.0)
    assert (overload.state, overload.best) == (NORMAL, Quality.LOSSLESS)
    assert overload.allows_bulk
    assert overload.sheds_from is None


def test_one_stall_is_none_two_shed_and_four_are_an_emergency() -> None:
    overload = Overload()
    states = []
    for number in range(4):
        overload.read(30.0, 0, float(number))
        states.append(overload.state)
    assert states == [SHEDDING, SHEDDING, SHEDDING, EMERGENCY]
    once = Overload()
    once.read(0.9, 0, 0.0)
    assert once.state is NORMAL


@pytest.mark.parametrize(
    ("queued", "state"),
    [(SHEDDING_BYTES - 1, NORMAL), (SHEDDING_BYTES, SHEDDING), (EMERGENCY_BYTES, EMERGENCY)],
)
def test_bytes_count_at_once(queued: int, state: OverloadState) -> None:
    overload = Overload()
    assert overload.read(0.0, queued, 0.0) is (state is not NORMAL)
    assert overload.state is state


def test_history_and_low_go_first_then_quality_and_more_of_it_when_it_lasts() -> None:
    overload = Overload()
    overload.read(0.0, SHEDDING_BYTES, 0.0)
    assert (overload.sheds_from, overload.allows_bulk, overload.best) == (
        MessagePriority.LOW,
        False,
        Quality.LOSSLESS,
    )
    overload.read(0.0, EMERGENCY_BYTES, 1.0)
    assert (overload.sheds_from, overload.best) == (MessagePriority.LOW, Quality.DISPLAY)
    overload.read(0.0, EMERGENCY_BYTES, 1.0 + LASTING_S - 0.1)
    assert overload.best is Quality.DISPLAY
    overload.read(0.0, EMERGENCY_BYTES, 1.0 + LASTING_S)
    assert (overload.state, overload.best) == (EMERGENCY, Quality.OVERVIEW)


def test_it_goes_back_one_step_at_a_time_after_a_calm_while() -> None:
    overload = Overload()
    at = after(overload, LASTING_S + 1, queued=EMERGENCY_BYTES, at=0.0)
    steps = [step_of(overload)]
    began = at
    while steps[-1]:
        at = after(overload, TURN_S, at=at)
        if step_of(overload) != steps[-1]:
            steps.append(step_of(overload))
            assert at - began >= CALM_S
            began = at
    assert steps == [3, 2, 1, 0]


def test_between_its_bounds_a_state_stays() -> None:
    overload = Overload()
    at = after(overload, 1, queued=SHEDDING_BYTES, at=0.0)
    at = after(overload, 300, queued=SHEDDING_BYTES // 2, at=at)
    assert overload.state is SHEDDING
    after(overload, CALM_S + 1, queued=SHEDDING_BYTES // 2 - 1, at=at)
    assert overload.state is NORMAL


def test_a_load_that_comes_back_with_the_quality_is_believed_for_longer_each_time() -> None:
    overload = Overload()
    at, lasted = 0.0, []
    for _ in range(6):
        began = at = after(overload, TURN_S, queued=SHEDDING_BYTES, at=at)
        while overload.state is SHEDDING:
            at = after(overload, TURN_S, at=at)
        lasted.append(at - began)
    assert all(longer > before for before, longer in pairwise(lasted[:4]))
    assert lasted[5] == pytest.approx(MAX_CALM_S, abs=3 * TURN_S)
    at = after(overload, MAX_CALM_S + 1, at=at)
    began = at = after(overload, TURN_S, queued=SHEDDING_BYTES, at=at)
    while overload.state is SHEDDING:
        at = after(overload, TURN_S, at=at)
    assert at - began == pytest.approx(CALM_S, abs=3 * TURN_S)


readings = st.tuples(
    st.floats(-1, 100) | st.floats(0, 1), st.integers(0, 2 * EMERGENCY_BYTES), st.floats(0.01, 30)
)


@given(st.lists(readings, max_size=80))
def test_it_never_sticks_whatever_was_read(past: list[tuple[float, int, float]]) -> None:
    overload, at = Overload(), 0.0
    for late_s, queued, passed_s in past:
        at += passed_s
        before = step_of(overload)
        changed = overload.read(late_s, queued, at)
        assert changed is (step_of(overload) != before)
        assert step_of(overload) >= before - 1
        assert overload.allows_bulk is (step_of(overload) == 0)
        assert 0 <= overload.lag_s <= 1
    after(overload, 3 * (MAX_CALM_S + TURN_S) + 5, at=at)
    assert overload.state is NORMAL
    assert overload.best is Quality.LOSSLESS


@given(st.lists(readings, min_size=1, max_size=40), st.floats(0, 1), st.integers(0, EMERGENCY_BYTES))
def test_what_a_reading_demands_is_given_at_once(
    past: list[tuple[float, int, float]], late_s: float, queued: int
) -> None:
    overload, at = Overload(), 0.0
    for late, size, passed_s in past:
        at += passed_s
        overload.read(late, size, at)
    overload.read(late_s, queued, at + 1)
    if overload.lag_s >= 0.6 or queued >= EMERGENCY_BYTES:
        assert overload.state is EMERGENCY
    elif overload.lag_s >= 0.25 or queued >= SHEDDING_BYTES:
        assert overload.state is not NORMAL
