"""How good the signal of each lead is, and what is wrong with it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from streaming.ecg.filters import FloatArray
from streaming.ecg.pattern import NOISE_SHARE

BLOCK_S = 0.25
BLOCKS = 8
"""The quality is that of the last 8 quarters of a second, anew at the end of each."""
BEND_S = 0.008
"""Noise is measured by second differences over this step: most sensitive at 62 Hz, whatever the rate."""
FLAT_UV = 10.0
"""A height that no electrode on a body has: in asystole noise and wander of 5-20 microvolts remain."""
RAIL_UV = 2000.0
RAIL_SHARE = 0.5
"""Half of the samples at one and the same extreme, this far from zero: a saturated amplifier."""
CONSTANT_S = 1.0
"""A lead whose value has not changed for so long has no electrode: a body is never silent to the last bit."""
STUCK_S, STUCK_UV = 0.2, 500.0
STUCK_BLOCKS = 16
"""Where a lead stands still to the last bit for 0.2 s, half a millivolt away from where it mostly is, it was
at its rail; for the next four seconds that is part of what is looked at. The line between beats may do so."""
WANDER_UV = 1500.0
"""By so much the medians of the blocks differ; by 1000, mitdb 217's do for its wide paced complexes."""


class LeadState(StrEnum):
    """What is wrong with a lead, if anything is."""

    GOOD = "good"
    WANDER = "wander"
    NOISE = "noise"
    FLAT = "flat"
    RAIL = "rail"
    OFF = "lead-off"


WITHOUT_SIGNAL = frozenset({LeadState.RAIL, LeadState.OFF})
"""States in which a lead says nothing about the heart: a flat line may be its standstill."""
UNUSABLE = WITHOUT_SIGNAL | {LeadState.FLAT}
"""States in which a lead has no beats."""


@dataclass(frozen=True, slots=True)
class LeadQuality:
    """State and index of one lead: 1 is a clean signal, 0.5 the limit of noise or wander, 0 no signal.

    It is of the electrodes, not of the heart: ventricular fibrillation may have a good signal.
    """

    state: LeadState
    index: float


UNKNOWN = LeadQuality(LeadState.GOOD, 1.0)
"""Before the first quarter of a second: there is no complaint yet."""
_OFF, _RAIL = LeadQuality(LeadState.OFF, 0.0), LeadQuality(LeadState.RAIL, 0.0)


def block_samples(rate_hz: float) -> int:
    """The length of a block."""
    return max(4, round(BLOCK_S * rate_hz))


class QualityMeter:
    """Follows all leads of one epoch, chunk by chunk: its blocks begin where the signal does."""

    def __init__(self, rate_hz: float, leads: int) -> None:
        self._leads = leads
        self._size = block_samples(rate_hz)
        self._step = max(1, round(BEND_S * rate_hz))
        self._stuck, self._constant = round(STUCK_S * rate_hz), round(CONSTANT_S * rate_hz)
        self._off: frozenset[int] = frozenset()
        self.reset()

    def reset(self) -> None:
        """Samples are missing: nothing before them counts any more."""
        self._before = np.empty((self._leads, 0))
        self._waiting = np.empty((self._leads, 0))
        self._blocks: deque[FloatArray] = deque(maxlen=STUCK_BLOCKS)
        """Of each, (7, leads): lowest and highest value, shares of the samples that have them, median, median
        bend, and whether all values are finite."""
        self._stuck_at: deque[FloatArray] = deque(maxlen=STUCK_BLOCKS)
        """Of each, (leads,): the value that has not changed for STUCK_S, NaN where there is none."""
        self._last: FloatArray | None = None
        self._unchanged = [0] * self._leads
        """For how many samples each lead has had its value."""
        self._measured = (UNKNOWN,) * self._leads

    def set_leads_off(self, leads: Collection[int]) -> None:
        """The device says that these leads carry no signal."""
        self._off = frozenset(leads)

    def push(self, microvolts: FloatArray) -> None:
        """Take the next samples, (leads, n); one that is no finite number makes its lead off."""
        waiting = np.concatenate((self._waiting, microvolts), axis=1)
        whole = int(waiting.shape[1]) // self._size * self._size
        for at in range(0, whole, self._size):
            self._take(waiting[:, at : at + self._size])
        self._waiting = waiting[:, whole:]
        if whole:
            self._measured = self._measure()

    def value(self) -> tuple[LeadQuality, ...]:
        """Of each lead, as of the last whole block."""
        if not self._off:
            return self._measured
        return tuple(_OFF if at in self._off else each for at, each in enumerate(self._measured))

    def _take(self, samples: FloatArray) -> None:
        finite = np.isfinite(samples)
        complete: npt.NDArray[np.bool_] = np.logical_and.reduce(finite, axis=1)
        if not complete.all():
            samples = np.where(finite, samples, 0.0)
        ordered = np.sort(samples, axis=1)
        stretch = np.concatenate((self._before, samples), axis=1)
        step = self._step
        bends = stretch[:, 2 * step :] - 2 * stretch[:, step:-step] + stretch[:, : -2 * step]
        self._before = samples[:, -2 * step :]
        self._stuck_at.append(self._stand_still(samples))
        self._blocks.append(
            np.array(
                [
                    ordered[:, 0],
                    ordered[:, -1],
                    np.count_nonzero(ordered == ordered[:, :1], axis=1) / self._size,
                    np.count_nonzero(ordered == ordered[:, -1:], axis=1) / self._size,
                    ordered[:, self._size // 2],
                    np.sort(np.abs(bends), axis=1)[:, bends.shape[1] // 2],
                    complete,
                ]
            )
        )

    def _stand_still(self, samples: FloatArray) -> FloatArray:
        """Count on for how long the leads have not changed, and find where one stood still for STUCK_S."""
        last = samples[:, :1] if self._last is None else self._last
        stretch = np.concatenate((last, samples), axis=1)
        changes = stretch[:, 1:] != stretch[:, :-1]
        self._last = samples[:, -1:]
        stuck_at = np.full(self._leads, np.nan)
        ends = zip(
            np.count_nonzero(changes, axis=1).tolist(),
            changes.argmax(axis=1).tolist(),
            changes[:, ::-1].argmax(axis=1).tolist(),
            strict=True,
        )
        for lead, (count, first, since) in enumerate(ends):
            until = self._unchanged[lead] + (first if count else self._size)
            self._unchanged[lead] = since + 1 if count else until
            if until >= self._stuck:
                stuck_at[lead] = last[lead, 0]
            elif self._size - count + 1 >= self._stuck:
                at = np.flatnonzero(changes[lead])
                runs = np.diff(at, append=self._size)
                if runs.max() >= self._stuck:
                    stuck_at[lead] = samples[lead, at[runs.argmax()]]
        return stuck_at

    def _measure(self) -> tuple[LeadQuality, ...]:
        recent = np.array(self._blocks)
        low, high, at_low, at_high, middles, bends, complete = recent[-BLOCKS:].transpose(1, 0, 2)
        lowest, highest = low.min(axis=0), high.max(axis=0)
        # White noise of deviation 1 has second differences of deviation sqrt(6), the median of whose sizes is
        # 0.6745 times that.
        noise = np.sort(bends, axis=0)[len(bends) // 2] / (0.6745 * math.sqrt(6))
        columns = (
            lowest,
            highest,
            middles.max(axis=0) - middles.min(axis=0),
            noise,
            (at_low * (low == lowest)).sum(axis=0) / len(low),
            (at_high * (high == highest)).sum(axis=0) / len(high),
            complete.min(axis=0),
        )
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return tuple(
            _OFF if unchanged >= self._constant else _RAIL if is_stuck else _quality(*row)
            for unchanged, is_stuck, row in zip(
                self._unchanged, self._were_stuck(recent[:, 4]), rows, strict=True
            )
        )

    def _were_stuck(self, middles: FloatArray) -> list[bool]:
        """Whether each lead stood still far from where it mostly is."""
        stuck_at = np.array(self._stuck_at)
        if np.isnan(stuck_at).all():
            return [False] * self._leads
        is_far = np.abs(stuck_at - np.median(middles, axis=0)) > STUCK_UV
        far: list[bool] = np.logical_or.reduce(is_far, axis=0).tolist()
        return far


def _quality(
    low: float, high: float, wander: float, noise: float, at_low: float, at_high: float, complete: float
) -> LeadQuality:
    if not complete:
        return _OFF
    if (high >= RAIL_UV and at_high >= RAIL_SHARE) or (low <= -RAIL_UV and at_low >= RAIL_SHARE):
        return _RAIL
    height = high - low
    if height <= FLAT_UV:
        return LeadQuality(LeadState.FLAT, 0.0)
    noisy, wandering = noise / (NOISE_SHARE * height), wander / WANDER_UV
    index = 1 / (1 + max(noisy, wandering) ** 2)
    if max(noisy, wandering) < 1:
        return LeadQuality(LeadState.GOOD, index)
    return LeadQuality(LeadState.NOISE if noisy >= wandering else LeadState.WANDER, index)
