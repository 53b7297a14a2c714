"""Which beats of a lead look like one another, and like those that this patient's heart makes otherwise."""

from __future__ import annotations

from collections import deque

import numpy as np

from streaming.ecg.filters import FloatArray
from streaming.ecg.window_features import WAVE_HZ

REACH_S = 0.12
"""A shape reaches this far to both sides of the beat's sample: a wide QRS is 0.16 s long."""
SHIFT_S = 0.04
"""How far a shape is shifted to meet another: where the detector puts a beat varies with its form."""
ALIKE = 0.9
"""The least correlation of two shapes of one kind."""
SIZE = 1.6
"""Two shapes of one kind differ in size by less than this factor."""
REMEMBERED = 32
OWN_SHARE = 0.25
"""A beat that resembles a quarter of the remembered ones is the patient's own: two rhythms have room."""
LEAST = 8
"""Fewer remembered beats say nothing."""
SHARP = 0.33
"""The mobility of a beat that is not wide: slope to size, each root mean square, by sample of 125 Hz.

Ventricular beats have at most 0.3 on all leads, narrow ones more on one lead at least.
"""
_REACH = round(REACH_S * WAVE_HZ)
_SHIFT = round(SHIFT_S * WAVE_HZ)
_AT = np.arange(-_REACH - _SHIFT, _REACH + _SHIFT + 1)
_CENTRE = slice(_SHIFT, _SHIFT + 2 * _REACH + 1)
_SHIFTED = [slice(at, at + 2 * _REACH + 1) for at in range(2 * _SHIFT + 1)]
ROOM_S = REACH_S + SHIFT_S + 1.0 / WAVE_HZ
"""What a shape needs to both sides of its beat."""


def shape_of(wave: FloatArray, at_s: float) -> FloatArray:
    """The surroundings of a beat `at_s` after the start of a `wave_of`, with room to be shifted."""
    shape: FloatArray = np.interp(at_s * WAVE_HZ + _AT, np.arange(len(wave)), wave)
    return shape


def is_sharp(shape: FloatArray) -> bool:
    """Whether a beat is too quick to have begun in a ventricle."""
    slope = np.diff(shape)
    level = shape - shape.mean()
    return bool((slope * slope).mean() > SHARP**2 * (level * level).mean())


def likeness(shape: FloatArray, other: FloatArray) -> float:
    """The largest correlation of two shapes, -1 to 1, as one is shifted against the other."""
    return float(_correlations(shape, _centre_of(other)[np.newaxis]).max())


class OwnBeats:
    """The shapes of a lead's last beats outside of ventricular runs."""

    def __init__(self) -> None:
        self._known: deque[FloatArray] = deque(maxlen=REMEMBERED)

    def remember(self, shape: FloatArray) -> None:
        """The shape of a beat outside of a run."""
        self._known.append(_centre_of(shape))

    def has(self, shape: FloatArray) -> bool:
        """Whether it resembles enough of the remembered ones."""
        if len(self._known) < LEAST:
            return False
        known = np.array(self._known)
        sizes = known.std(axis=1)
        size = _centre_of(shape).std()
        alike = _correlations(shape, known).max(axis=0) > ALIKE
        return bool((alike & (size < SIZE * sizes) & (sizes < SIZE * size)).mean() >= OWN_SHARE)


def _centre_of(shape: FloatArray) -> FloatArray:
    centre = shape[_CENTRE]
    level: FloatArray = centre - centre.mean()
    return level


def _correlations(shape: FloatArray, centres: FloatArray) -> FloatArray:
    """Of each shift of `shape`, (shifts,), with each of `centres`, (n, samples): (shifts, n)."""
    moved = np.array([shape[part] for part in _SHIFTED])
    moved -= moved.mean(axis=1, keepdims=True)
    products = (moved[:, np.newaxis] * centres).sum(axis=2)
    sizes = np.sqrt((moved * moved).sum(axis=1)[:, np.newaxis] * (centres * centres).sum(axis=1))
    correlations: FloatArray = products / np.maximum(sizes, 1e-9)
    return correlations
