"""Shapes of beats: which are alike, which are sharp, which are the patient's own."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from streaming.ecg.filters import FloatArray
from streaming.ecg.own_beats import LEAST, REMEMBERED, OwnBeats, are_sharp, likenesses, shapes_of
from streaming.ecg.window_features import WAVE_HZ


def bell(width_s: float, *, at_s: float = 1.0, size_uv: float = 1000.0) -> FloatArray:
    t = np.arange(round(2 * WAVE_HZ)) / WAVE_HZ
    wave: FloatArray = size_uv * np.exp(-0.5 * ((t - at_s) / width_s) ** 2)
    return wave


def shape_of(wave: FloatArray, at_s: float) -> FloatArray:
    shape: FloatArray = shapes_of(wave, [at_s])[0]
    return shape


def is_sharp(shape: FloatArray) -> bool:
    (sharp,) = are_sharp(shape[np.newaxis])
    return bool(sharp)


def likeness(shape: FloatArray, other: FloatArray) -> float:
    (alike,) = likenesses(shape[np.newaxis], other[np.newaxis])
    return alike


NARROW, WIDE = shape_of(bell(0.012), 1.0), shape_of(bell(0.05), 1.0)


def test_width_makes_a_beat_sharp_or_not() -> None:
    assert is_sharp(NARROW)
    assert not is_sharp(WIDE)
    assert is_sharp(-3.0 * NARROW)


def test_likeness_forgives_a_shift_and_size_but_not_form() -> None:
    shifted = shape_of(bell(0.012), 1.03)
    assert likeness(NARROW, shifted) > 0.99
    assert likeness(NARROW, 5.0 * shifted) > 0.99
    assert likeness(NARROW, WIDE) < 0.8
    assert likeness(NARROW, -NARROW) < 0.5
    assert likeness(NARROW, shape_of(bell(0.012), 1.08)) < 0.9


def test_a_beat_is_own_when_enough_remembered_ones_are_like_it() -> None:
    own = OwnBeats()
    for _ in range(LEAST - 1):
        own.remember(NARROW)
    assert own.have(NARROW[np.newaxis]) == [False]
    own.remember(NARROW)
    assert own.have(shape_of(bell(0.012), 1.02)[np.newaxis]) == [True]
    assert own.have(WIDE[np.newaxis]) == [False]
    assert own.have((2.0 * NARROW)[np.newaxis]) == [False]
    assert own.have((0.5 * NARROW)[np.newaxis]) == [False]


@pytest.mark.parametrize(("inverse", "both"), [(6, False), (8, True)])
def test_a_quarter_is_enough(inverse: int, both: bool) -> None:
    own = OwnBeats()
    for shape in [NARROW] * (REMEMBERED - inverse) + [-NARROW] * inverse:
        own.remember(shape)
    assert own.have(np.array([NARROW, -NARROW])) == [True, both]


def test_what_is_wide_is_never_the_patients_own() -> None:
    own = OwnBeats()
    for _ in range(REMEMBERED):
        own.remember(WIDE)
    assert own.have(WIDE[np.newaxis]) == [False]


def test_old_beats_are_forgotten() -> None:
    own = OwnBeats()
    for shape in [NARROW] * 5 + [WIDE] * REMEMBERED:
        own.remember(shape)
    assert own.have(NARROW[np.newaxis]) == [False]


def test_several_are_judged_as_each_by_itself() -> None:
    own = OwnBeats()
    for _ in range(LEAST):
        own.remember(NARROW)
    shapes = np.array([NARROW, WIDE, -NARROW, 1.2 * NARROW])
    assert own.have(shapes) == [True, False, False, True]
    assert own.have(shapes) == [own.have(shape[np.newaxis])[0] for shape in shapes]
    one_by_one = [likeness(b, a) for a, b in pairwise(shapes)]
    assert likenesses(shapes[1:], shapes[:-1]) == pytest.approx(one_by_one, rel=1e-12)
    assert are_sharp(shapes).tolist() == [is_sharp(shape) for shape in shapes]
