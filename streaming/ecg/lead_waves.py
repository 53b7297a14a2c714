"""What the last seconds of several leads look like: how much like fibrillation, how much like a run."""

from __future__ import annotations

import numpy as np

from streaming.ecg.fibrillation import FIBRILLATION_S, RUN_S, RhythmModels
from streaming.ecg.filters import FloatArray
from streaming.ecg.window_features import wave_of

LOOK_EVERY = 2
"""Ticks: a window of seconds says little new after a quarter of one."""
KEPT_S = FIBRILLATION_S + 1.0
WAKE_LOG_ODDS = -3.0
"""A window that looks less than this like a ventricular run is not asked for fibrillation."""


class LeadWaves:
    """Follows leads tick by tick, all of them in the same steps; log odds are natural logarithms."""

    def __init__(self, leads: int, rate_hz: float, models: RhythmModels) -> None:
        self.rate_hz = rate_hz
        self.has_looked = False
        """Whether what follows is of this tick; else it is of the one before."""
        self.run: list[float | None] = [None] * leads
        """Log odds of a ventricular run, None where the lead is flat or has not been seen for long enough."""
        self.fibrillation: list[float | None] = [None] * leads
        """The same of fibrillation."""
        self._models = models
        self._kept = round(KEPT_S * rate_hz)
        self._past: FloatArray = np.empty((leads, 0))
        self._waves: FloatArray | None = None
        self._ticks = 0

    @property
    def kept_s(self) -> float:
        """So many seconds are known."""
        return int(self._past.shape[1]) / self.rate_hz

    def is_flat(self, lead: int) -> bool:
        """Nothing is seen in it, although it was looked at."""
        return self.run[lead] is None and self._has(RUN_S)

    def wave(self, lead: int) -> FloatArray:
        """All that is known of a lead, as `wave_of` has it."""
        if self._waves is None:
            self._waves = wave_of(self._past, self.rate_hz)
        wave: FloatArray = self._waves[lead]
        return wave

    def push(self, samples_uv: FloatArray) -> None:
        """Take the next tick, (leads, n)."""
        self._past = np.concatenate((self._past, samples_uv), axis=1)[:, -self._kept :]
        self._waves = None
        self._ticks += 1
        self.has_looked = self._ticks % LOOK_EVERY == 0
        if self.has_looked and self._has(RUN_S):
            self._look()

    def _look(self) -> None:
        self.run = self._models.run.log_odds(self._last(RUN_S))
        if not self._has(FIBRILLATION_S):
            return
        self.fibrillation = list(self.run)
        awake = [lead for lead, odds in enumerate(self.run) if odds is not None and odds >= WAKE_LOG_ODDS]
        if awake:
            odds = self._models.fibrillation.log_odds(self._last(FIBRILLATION_S, awake))
            for lead, each in zip(awake, odds, strict=True):
                self.fibrillation[lead] = each

    def _has(self, seconds: float) -> bool:
        return int(self._past.shape[1]) >= round(seconds * self.rate_hz)

    def _last(self, seconds: float, leads: list[int] | None = None) -> FloatArray:
        window = self._past[:, -round(seconds * self.rate_hz) :]
        return wave_of(window if leads is None else window[leads], self.rate_hz)
