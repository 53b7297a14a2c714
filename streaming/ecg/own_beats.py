"""Which beats of a lead look like one another, and like those that this patient's heart makes otherwise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

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
_SHIFTED = np.arange(2 * _SHIFT + 1)[:, np.newaxis] + np.arange(2 * _REACH + 1)
_CENTRE = slice(_SHIFT, _SHIFT + 2 * _REACH + 1)
_SMALL = 1e-9
ROOM_S = REACH_S + SHIFT_S + 2.0 / WAVE_HZ
"""What a shape needs to both sides of its beat."""


def shapes_of(wave: FloatArray, at_s: Sequence[float]) -> FloatArray:
    """The surroundings of beats so long after the start of a `wave_of`, with room to be shifted: (n, 41)."""
    at = np.asarray(at_s) * WAVE_HZ
    before = np.floor(at)
    index = before.astype(np.intp)[:, np.newaxis] + _AT
    part = (at - before)[:, np.newaxis]
    shapes: FloatArray = wave[index] * (1.0 - part) + wave[index + 1] * part
    return shapes


def are_sharp(shapes: FloatArray) -> npt.NDArray[np.bool_]:
    """Which of the beats, (n, 41), are too quick to have begun in a ventricle: (n,)."""
    slopes = np.diff(shapes)
    levels = shapes - shapes.mean(axis=1, keepdims=True)
    sharp: npt.NDArray[np.bool_] = (slopes * slopes).mean(axis=1) > SHARP**2 * (levels * levels).mean(axis=1)
    return sharp


def likenesses(shapes: FloatArray, others: FloatArray) -> list[float]:
    """The largest correlations of shapes, (n, 41), with others, one by one, as one of both is shifted."""
    centres = _centres_of(others)
    moved, sizes = _moved(shapes)
    products = (moved * centres[:, np.newaxis]).sum(axis=2)
    norms = np.sqrt((centres * centres).sum(axis=1))
    largest: list[float] = (products / np.maximum(sizes * norms[:, np.newaxis], _SMALL)).max(axis=1).tolist()
    return largest


class OwnBeats:
    """The shapes of a lead's last beats outside of ventricular runs."""

    def __init__(self) -> None:
        self._centres = np.zeros((REMEMBERED, 2 * _REACH + 1))
        self._sizes = np.zeros(REMEMBERED)
        self._count = 0

    def remember(self, shape: FloatArray) -> None:
        """The shape of a beat, (41,), outside of a run."""
        at = self._count % REMEMBERED
        self._centres[at] = _centres_of(shape)
        self._sizes[at] = np.sqrt((self._centres[at] ** 2).sum())
        self._count += 1

    def have(self, shapes: FloatArray) -> list[bool]:
        """Which of the beats, (n, 41), are sharp, and resemble enough of the remembered ones."""
        if self._count < LEAST:
            return [False] * len(shapes)
        return [sharp and self._has(shape) for sharp, shape in zip(are_sharp(shapes), shapes, strict=True)]

    def _has(self, shape: FloatArray) -> bool:
        known, sizes = self._centres[: self._count], self._sizes[: self._count]
        moved, moved_sizes = _moved(shape)
        products = (moved[:, np.newaxis] * known).sum(axis=2)
        alike = (products > ALIKE * np.maximum(moved_sizes[:, np.newaxis] * sizes, _SMALL)).any(axis=0)
        size = moved_sizes[_SHIFT]
        return bool((alike & (size < SIZE * sizes) & (sizes < SIZE * size)).mean() >= OWN_SHARE)


def _centres_of(shapes: FloatArray) -> FloatArray:
    centres = shapes[..., _CENTRE]
    levels: FloatArray = centres - centres.mean(axis=-1, keepdims=True)
    return levels


def _moved(shapes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shapes by each shift, level: (..., shifts, samples), and the size of each: (..., shifts)."""
    windows = shapes[..., _SHIFTED]
    moved: FloatArray = windows - windows.mean(axis=-1, keepdims=True)
    return moved, np.sqrt((moved * moved).sum(axis=-1))
