"""The numbers beside a trace: heart rate, and the lead that it was counted on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streaming.ecg.beats import BeatDetector
from streaming.ecg.heart_rate import HeartRate

SETTLE_S = 1.0
"""When a lead comes back its baseline steps by millivolts: learnt as a beat, that hides the true ones."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """Heart rate in beats a minute, None while it is not valid; `source` is the lead's name."""

    hr: int | None
    source: str | None


class VitalsMonitor:
    """Follows one epoch, chunk by chunk, on its first lead that is not off.

    A gap, or a change of lead, starts the count anew: no interval is measured across either.
    """

    def __init__(self, rate_hz: float, leads: Sequence[str]) -> None:
        self._leads = leads
        self._detector = BeatDetector(rate_hz)
        self._rate = HeartRate(rate_hz)
        self._lead: int | None = 0
        self._next_sample = 0
        self._settle_samples = round(SETTLE_S * rate_hz)
        self._settled_at = 0

    def push(self, first: int, microvolts: npt.NDArray[np.float64]) -> None:
        """Take samples in uV, shape (leads, n), from sample index `first` on; a jump is a gap."""
        if first != self._next_sample:
            self.reset(first)
        self._next_sample = first + microvolts.shape[1]
        if self._lead is None:
            return
        if first < self._settled_at:
            self._detector.reset(self._next_sample)
            return
        for beat in self._detector.push(microvolts[self._lead]):
            self._rate.beat(beat.sample)

    def reset(self, at_sample: int) -> None:
        """Samples before `at_sample` are missing."""
        self._next_sample = at_sample
        self._detector.reset(at_sample)
        self._rate.reset()

    def set_leads_off(self, names: Collection[str]) -> None:
        """These leads carry no signal now."""
        lead = next((n for n, name in enumerate(self._leads) if name not in names), None)
        if lead != self._lead:
            self._lead = lead
            self.reset(self._next_sample)
            self._settled_at = self._next_sample + self._settle_samples

    def value(self) -> Vitals:
        """As of the newest sample."""
        hr = None if self._lead is None else self._rate.value(self._next_sample)
        return Vitals(hr, None if hr is None or self._lead is None else self._leads[self._lead])
