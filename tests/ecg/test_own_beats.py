"""Shapes of beats: which are alike, which are sharp, which are the patient's own."""

from __future__ import annotations

import numpy as np
import pytest

from streaming.ecg.filters import FloatArray
from streaming.ecg.own_beats import LEAST, REMEMBERED, OwnBeats, is_sharp, likeness, shape_of
from streaming.ecg.window_features import WAVE_HZ


def bell(width_s: float, *, at_s: float = 1.0, size_uv: float = 1000.0) -> FloatArray:
    t = np.arange(round(2 * WAVE_HZ)) / WAVE_HZ
    wave: FloatArray = size_uv * np.exp(-0.5 * ((t - at_s) / width_s) ** 2)
    return wave


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
    assert not own.has(NARROW)
    own.remember(NARROW)
    assert own.has(shape_of(bell(0.012), 1.02))
    assert not own.has(WIDE)
    assert not own.has(2.0 * NARROW)
    assert not own.has(0.5 * NARROW)


@pytest.mark.parametrize(("wide", "both"), [(6, False), (8, True)])
def test_a_quarter_is_enough(wide: int, both: bool) -> None:
    own = OwnBeats()
    for shape in [NARROW] * (REMEMBERED - wide) + [WIDE] * wide:
        own.remember(shape)
    assert own.has(NARROW)
    assert own.has(WIDE) is both


def test_old_beats_are_forgotten() -> None:
    own = OwnBeats()
    for shape in [NARROW] * 5 + [WIDE] * REMEMBERED:
        own.remember(shape)
    assert not own.has(NARROW)
