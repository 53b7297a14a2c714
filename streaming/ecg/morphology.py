"""Whether a beat began in a ventricle: by its shape beside the usual one, its width, its prematurity."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from streaming.ecg.filters import FloatArray

SHIFT_S = 0.02
"""Complexes are compared where they fit best, within so much."""
EDGE = 0.1
"""A complex is as wide as the time in which its slopes are, but for a tenth before and a tenth behind."""
SHAPES = 8
SAME_SHAPE = 0.45
"""So many shapes are remembered; what is at a greater distance from all of them is a new one."""
SHAPE_LEARNS = 0.1
MEMORY = 0.985
"""A shape's weight fades by this with each beat: to a half in 46."""
IN_TIME = 0.85
EARLY_WEIGHT = 0.4
COMMON = 0.1
WIDTH_SCALE_S = 0.03
"""The usual shape is the most common one, less so if it comes early, or is wider than another common one."""
USUAL_OF = 24
USUAL_DISTANCE = (0.05, 0.5)
UNLIKE = 4.0
"""A ventricular beat is four times as far from the usual shape as the most alike quarter of 24 beats."""
PREMATURE = 0.9
NARROWER_S = 0.01
"""It comes early, and is not narrower by this ..."""
MUCH_WIDER_S, RUN_WIDER_S = 0.05, 0.02
"""... or is wider by as much, by less if it follows another ventricular beat."""


@dataclass(slots=True, eq=False)
class _Shape:
    """What some beats have in common."""

    wave: FloatArray
    size: float
    width_s: float
    prematurity: float
    weight: float = 1.0
    beats: int = 1


class Morphology:
    """The shapes of one lead's complexes, stretches (n,) of it around where the QRS band is largest.

    After the clustering of complexes in Hamilton (Open source ECG analysis, Computers in Cardiology 2002),
    with rules of our own for what makes a shape ventricular. Distance is the sum of absolute differences to a
    shape beside the larger of both sums: 0 for the same, about 1 for nothing in common.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._shift = max(1, round(SHIFT_S * rate_hz))
        self._shapes: list[_Shape] = []
        self._distances: deque[float] = deque(maxlen=USUAL_OF)
        self._last_is_ventricular = False

    def is_ventricular(self, wave: FloatArray, prematurity: float) -> bool:
        """Judge the next beat; `prematurity` is its RR interval beside the median one."""
        width_s = _width(wave) / self._rate_hz
        self._remember(wave, width_s, min(1.2, prematurity))
        usual = self._usual()
        distance = self._distance(wave, usual)[0]
        least, most = USUAL_DISTANCE
        self._distances.append(distance)
        quarter = sorted(self._distances)[len(self._distances) // 4]
        wider_s = width_s - usual.width_s
        follows = self._last_is_ventricular
        self._last_is_ventricular = (
            distance > max(SAME_SHAPE, UNLIKE * min(most, max(least, quarter)))
            and wider_s > -NARROWER_S
            and (prematurity < PREMATURE or wider_s > (RUN_WIDER_S if follows else MUCH_WIDER_S))
        )
        return self._last_is_ventricular

    def _remember(self, wave: FloatArray, width_s: float, prematurity: float) -> None:
        """Let the beat teach the shape that it has, or be a new one in place of the rarest."""
        for shape in self._shapes:
            shape.weight *= MEMORY
        fits = [self._distance(wave, shape) for shape in self._shapes]
        nearest = min(range(len(fits)), key=lambda at: fits[at][0], default=None)
        if nearest is None or fits[nearest][0] >= SAME_SHAPE:
            if len(self._shapes) == SHAPES:
                self._shapes.remove(min(self._shapes, key=lambda shape: shape.weight))
            middle = wave[self._shift : -self._shift]
            self._shapes.append(_Shape(middle, _size(middle), width_s, prematurity))
            return
        shape, fitting = self._shapes[nearest], fits[nearest][1]
        shape.beats += 1
        learns = max(SHAPE_LEARNS, 1 / shape.beats)
        shape.wave = shape.wave + learns * (fitting - shape.wave)
        shape.size = _size(shape.wave)
        shape.width_s += learns * (width_s - shape.width_s)
        shape.prematurity += learns * (prematurity - shape.prematurity)
        shape.weight += 1

    def _usual(self) -> _Shape:
        total = sum(shape.weight for shape in self._shapes)
        narrowest_s = min(shape.width_s for shape in self._shapes if shape.weight >= COMMON * total)

        def usualness(shape: _Shape) -> float:
            in_time = 1.0 if shape.prematurity > IN_TIME else EARLY_WEIGHT
            return shape.weight * in_time * math.exp((narrowest_s - shape.width_s) / WIDTH_SCALE_S)

        return max(self._shapes, key=usualness)

    def _distance(self, wave: FloatArray, shape: _Shape) -> tuple[float, FloatArray]:
        """Of the part of the wave that fits the shape best; and that part."""
        at = int(np.correlate(wave, shape.wave, "valid").argmax())
        fitting = wave[at : at + len(shape.wave)]
        return _size(fitting - shape.wave) / max(shape.size, _size(fitting)), fitting


def _size(wave: FloatArray) -> float:
    return float(np.add.reduce(np.abs(wave)))


def _width(wave: FloatArray) -> float:
    """In samples."""
    sums = np.add.accumulate(np.abs(np.diff(wave)))
    first, last = np.interp((EDGE * sums[-1], (1 - EDGE) * sums[-1]), sums, np.arange(len(sums))).tolist()
    return float(last - first)
