"""The step behind samples that were written in a finer unit is found, and only where there is one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.ecg.grid import Grid, find_grid

STEPS = st.integers(1001, 65_535)
CONVERTERS = [2440, 2500, 3052, 4880, 4883, 5000, 9766]


@given(step=STEPS, truncates=st.booleans(), counts=st.lists(st.integers(-30_000, 30_000), min_size=1))
def test_values_and_counts_are_inverses(step: int, truncates: bool, counts: list[int]) -> None:
    grid = Grid(step, truncates)
    there = grid.values(np.array(counts))
    back = grid.counts(there)
    assert back is not None
    assert np.array_equal(grid.values(back), there)
    if step >= 2000:
        assert back.tolist() == counts


def test_half_steps_are_rounded_as_whole_ones() -> None:
    assert Grid(4880, truncates=True).half_values(np.array([-15, -1, 0, 1, 15])).tolist() == [
        -36,
        -2,
        0,
        2,
        36,
    ]
    assert Grid(4880, truncates=False).half_values(np.array([-15, -1, 0, 1, 15])).tolist() == [
        -37,
        -2,
        0,
        2,
        37,
    ]


def test_one_value_off_the_grid_is_enough() -> None:
    grid = Grid(4880, truncates=False)
    assert grid.counts(np.array([0, 5, 10, 15])) is not None
    assert grid.counts(np.array([0, 5, 11, 15])) is None


@settings(max_examples=60)
@given(
    step=st.sampled_from([2440, 2500, 3052, 4880, 4883, 5000, 9766]),
    truncates=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_finds_a_grid_that_fits(step: int, truncates: bool, seed: int) -> None:
    counts = np.random.default_rng(seed).integers(-120, 121, 600)
    values = Grid(step, truncates).values(counts)
    found = find_grid(values)
    assert found is not None
    assert found.counts(values) is not None
    assert abs(found.step - step) <= 12, "what 120 steps cannot tell apart"


@pytest.mark.parametrize(
    "values",
    [
        np.arange(-50, 50),
        np.arange(0, 200, 10),  # on a grid of 10, but twenty values are few
        np.random.default_rng(1).integers(-2000, 2000, 900),
        np.zeros(500, np.int64),
        np.concatenate([np.arange(0, 500, 7), [5]]),
    ],
)
def test_finds_none_where_there_is_none(values: np.ndarray) -> None:
    assert find_grid(values) is None


def test_a_step_beyond_a_payload_is_not_found() -> None:
    assert find_grid(np.arange(0, 7000, 70)) is None
