"""How good the signal of each lead is, and what is wrong with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

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


UNUSABLE = frozenset({LeadState.FLAT, LeadState.RAIL, LeadState.OFF})
"""States in which a lead says nothing about the heart."""


@dataclass(frozen=True, slots=True)
class LeadQuality:
    """State and index of one lead: 1 is a clean signal, 0.5 the limit of noise or wander, 0 no signal.

    It is of the electrodes, not of the heart: ventricular fibrillation may have a good signal.
    """

    state: LeadState
    index: float


UNKNOWN = LeadQuality(LeadState.GOOD, 1.0)
"""Before the first quarter of a second: there is no complaint yet."""
_OFF = LeadQuality(LeadState.OFF, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """A quarter of a second of all leads, (leads,) each."""

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    at_low: npt.NDArray[np.float64]
    at_high: npt.NDArray[np.float64]
    middle: npt.NDArray[np.float64]
    bend: npt.NDArray[np.float64]
    complete: npt.NDArray[np.bool_]


class QualityMeter:
    """Follows all leads of one epoch, chunk by chunk: its blocks begin where the signal does."""

    def __init__(self, rate_hz: float, leads: int) -> None:
        self._leads = leads
        self._size = max(4, round(BLOCK_S * rate_hz))
        self._step = max(1, round(BEND_S * rate_hz))
        self._off: frozenset[int] = frozenset()
        self.reset()

    def reset(self) -> None:
        """Samples are missing: nothing before them counts any more."""
        self._before = np.empty((self._leads, 0))
        self._waiting = np.empty((self._leads, 0))
        self._blocks: deque[_Block] = deque(maxlen=BLOCKS)
        self._measured = (UNKNOWN,) * self._leads

    def set_leads_off(self, leads: Collection[int]) -> None:
        """The device says that these leads carry no signal."""
        self._off = frozenset(leads)

    @property
    def until_next(self) -> int:
        """So many samples end the block: then there is a new value."""
        return self._size - self._waiting.shape[1]

    def push(self, microvolts: npt.NDArray[np.float64]) -> bool:
        """Take the next samples, (leads, n); one that is no finite number makes its lead off.

        Whether there is a new value.
        """
        waiting = np.concatenate((self._waiting, microvolts), axis=1)
        whole = int(waiting.shape[1]) // self._size * self._size
        for at in range(0, whole, self._size):
            self._take(waiting[:, at : at + self._size])
        self._waiting = waiting[:, whole:]
        if whole:
            self._measured = self._measure()
        return whole > 0

    def value(self) -> tuple[LeadQuality, ...]:
        """Of each lead, as of the last whole block."""
        if not self._off:
            return self._measured
        return tuple(_OFF if at in self._off else each for at, each in enumerate(self._measured))

    def _take(self, samples: npt.NDArray[np.float64]) -> None:
        finite = np.isfinite(samples)
        complete: npt.NDArray[np.bool_] = np.logical_and.reduce(finite, axis=1)
        if not complete.all():
            samples = np.where(finite, samples, 0.0)
        ordered = np.sort(samples, axis=1)
        low, high = ordered[:, 0], ordered[:, -1]
        stretch = np.concatenate((self._before, samples), axis=1)
        step = self._step
        bends = stretch[:, 2 * step :] - 2 * stretch[:, step:-step] + stretch[:, : -2 * step]
        self._before = samples[:, -2 * step :]
        self._blocks.append(
            _Block(
                low,
                high,
                (ordered == low[:, np.newaxis]).mean(axis=1),
                (ordered == high[:, np.newaxis]).mean(axis=1),
                ordered[:, self._size // 2],
                np.sort(np.abs(bends), axis=1)[:, bends.shape[1] // 2],
                complete,
            )
        )

    def _measure(self) -> tuple[LeadQuality, ...]:
        blocks = self._blocks
        low = np.min([block.low for block in blocks], axis=0)
        high = np.max([block.high for block in blocks], axis=0)
        middles = np.array([block.middle for block in blocks])
        wander = np.ptp(middles, axis=0)
        # White noise of deviation 1 has second differences of deviation sqrt(6), the median of whose sizes is
        # 0.6745 times that.
        bends = np.sort([block.bend for block in blocks], axis=0)[len(blocks) // 2]
        noise = bends / (0.6745 * np.sqrt(6))
        at_low = np.mean([block.at_low * (block.low == low) for block in blocks], axis=0)
        at_high = np.mean([block.at_high * (block.high == high) for block in blocks], axis=0)
        complete = np.all([block.complete for block in blocks], axis=0)
        rows = zip(
            *(each.tolist() for each in (low, high, wander, noise, at_low, at_high, complete)), strict=True
        )
        return tuple(_quality(*row) for row in rows)


def _quality(
    low: float, high: float, wander: float, noise: float, at_low: float, at_high: float, complete: bool
) -> LeadQuality:
    if not complete:
        return _OFF
    if (high >= RAIL_UV and at_high >= RAIL_SHARE) or (low <= -RAIL_UV and at_low >= RAIL_SHARE):
        return LeadQuality(LeadState.RAIL, 0.0)
    height = high - low
    if height <= FLAT_UV:
        return LeadQuality(LeadState.FLAT, 0.0)
    noisy, wandering = noise / (NOISE_SHARE * height), wander / WANDER_UV
    index = 1 / (1 + max(noisy, wandering) ** 2)
    if max(noisy, wandering) < 1:
        return LeadQuality(LeadState.GOOD, index)
    return LeadQuality(LeadState.NOISE if noisy >= wandering else LeadState.WANDER, index)
