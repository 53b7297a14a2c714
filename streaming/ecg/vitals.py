"""The numbers beside a trace: heart rate, and the lead that it was counted on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streaming.ecg.beat_finder import BeatFinder
from streaming.ecg.heart_rate import HeartRate


@dataclass(frozen=True, slots=True)
class Vitals:
    """Heart rate in beats a minute, None while it is not valid; `source` is the lead's name."""

    hr: int | None
    source: str | None


class VitalsMonitor:
    """Follows one epoch, chunk by chunk; `source` is the lead that is in use.

    A gap, or a change of lead, starts the count anew: no interval is measured across either.
    """

    def __init__(self, rate_hz: float, leads: Sequence[str]) -> None:
        self._leads = leads
        self._finder = BeatFinder(rate_hz, len(leads))
        self._rate = HeartRate(rate_hz)
        self._lead = self._finder.lead
        self._next_sample = 0

    def push(self, first: int, microvolts: npt.NDArray[np.float64]) -> None:
        """Take samples in uV, shape (leads, n), from sample index `first` on; a jump is a gap."""
        if first != self._next_sample:
            self.reset(first)
        self._next_sample = first + microvolts.shape[1]
        for beat in self._finder.push(first, microvolts):
            self._rate.beat(beat.sample)
        self._count_on(self._finder.lead)

    def reset(self, at_sample: int) -> None:
        """Samples before `at_sample` are missing."""
        self._next_sample = at_sample
        self._finder.reset(at_sample)
        self._rate.reset()

    def set_leads_off(self, names: Collection[str]) -> None:
        """These leads carry no signal now."""
        self._finder.set_leads_off([n for n, name in enumerate(self._leads) if name in names])
        self._count_on(self._finder.lead)

    def value(self) -> Vitals:
        """As of the newest sample."""
        hr = None if self._lead is None else self._rate.value(self._next_sample)
        return Vitals(hr, None if hr is None or self._lead is None else self._leads[self._lead])

    def _count_on(self, lead: int | None) -> None:
        if lead != self._lead:
            self._lead = lead
            self._rate.reset()
