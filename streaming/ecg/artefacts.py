"""What spoils an ECG: noise that is always there, and artefacts that come and go."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from streaming.ecg.leads import LIMB

EDGE_S = 0.25
"""How long wander, mains and muscle take to come up at their onset, and to die away before their end."""
NYQUIST = 2.24
"""Samples per period below which an anti-aliasing filter takes a hum away."""


class Artefact(StrEnum):
    """Kinds of artefacts."""

    WANDER = "wander"
    MAINS_50 = "mains_50"
    MAINS_60 = "mains_60"
    EMG = "emg"
    STEP = "step"
    CLIPPING = "clipping"
    LEAD_OFF_RAIL = "lead_off_rail"
    LEAD_OFF_FLAT = "lead_off_flat"


LEVELS_MV = {
    Artefact.WANDER: 0.5,
    Artefact.MAINS_50: 0.2,
    Artefact.MAINS_60: 0.2,
    Artefact.EMG: 0.1,
    Artefact.STEP: 1.0,
    Artefact.CLIPPING: 0.5,
}
"""What an artefact has when nobody says: a peak of wander, mains and step, the RMS of muscle, and the height,
above and below zero, at which a lead clips. A lead that is off has no level."""
LEAD_OFF = (Artefact.LEAD_OFF_RAIL, Artefact.LEAD_OFF_FLAT)
MAINS_HZ = {Artefact.MAINS_50: 50.0, Artefact.MAINS_60: 60.0}

_WANDER_MV, _STILL_WANDER_MV = 0.12, 0.012
_MUSCLE_MV, _HUM_MV = 0.008, 0.003
"""What is always there: peaks, and the RMS of muscle. Most of the wander is breath, which a standstill ends;
then 5 to 20 microvolts of noise and wander remain."""


@dataclass(frozen=True, slots=True)
class ArtefactSpan:
    """An artefact from sample index `first` up to but without `stop`; `lead` None is all of them."""

    first: int
    stop: int
    kind: Artefact
    lead: str | None = None
    level_mv: float | None = None

    def spoils(self, lead: str) -> bool:
        """Whether this lead, measured or computed, shows it."""
        return self.lead in (None, lead) or (self.lead in ("I", "II") and lead in LIMB)


class Noise:
    """Baseline wander (0.05-0.5 Hz), muscle (20-100 Hz) and mains (50, 60 Hz), of its own in every lead."""

    TAPS = 31

    def __init__(self, rng: np.random.Generator, leads: tuple[str, ...], rate_hz: float) -> None:
        self._rng = rng
        self._leads = leads
        self._rate_hz = rate_hz
        self._wander_hz = rng.uniform(0.05, 0.5, 3)
        self._wander_phases = rng.uniform(0.0, math.tau, (len(leads), 3, 1))
        self._mains_phases = rng.uniform(0.0, math.tau, (len(leads), 1))
        self._band = _band_pass(20.0, min(100.0, 0.45 * rate_hz), rate_hz, self.TAPS)
        self._white = rng.standard_normal((len(leads), self.TAPS - 1))

    def spoil(
        self,
        millivolts: NDArray[np.float64],
        first: int,
        spans: Collection[ArtefactSpan],
        breath: NDArray[np.float64] | float = 1.0,
    ) -> None:
        """Add, in place, noise and what `spans` bring to (leads, n), whose first sample has index `first`.

        `breath`, (n,) or a number, is how much of it moves the baseline: 0 is a standstill. Noise is a
        stream: call it for one stretch after the other.
        """
        indices = np.arange(first, first + millivolts.shape[1])
        units = self._units(indices / self._rate_hz, {Artefact.MAINS_50, *(span.kind for span in spans)})
        wander_mv = _STILL_WANDER_MV + (_WANDER_MV - _STILL_WANDER_MV) * breath
        millivolts += wander_mv * units[Artefact.WANDER]
        millivolts += _MUSCLE_MV * units[Artefact.EMG]
        millivolts += _HUM_MV * units[Artefact.MAINS_50]
        # What clips comes last: it clips the other artefacts too.
        for span in sorted(spans, key=lambda span: span.kind is Artefact.CLIPPING):
            if span.level_mv is None:  # the electrode is off
                continue
            rows = [row for row, lead in enumerate(self._leads) if span.lead in (None, lead)]
            during = slice(*(max(end - first, 0) for end in (span.first, span.stop)))
            part = millivolts[rows, during]
            if span.kind is Artefact.CLIPPING:
                part = np.clip(part, -span.level_mv, span.level_mv)
            elif span.kind is Artefact.STEP:
                part = part + span.level_mv
            else:
                rising_s = np.minimum(indices - span.first, span.stop - indices)[during] / self._rate_hz
                part = (
                    part + span.level_mv * np.minimum(rising_s / EDGE_S, 1.0) * units[span.kind][rows, during]
                )
            millivolts[rows, during] = part

    def _units(
        self, times: NDArray[np.float64], kinds: Collection[Artefact]
    ) -> Mapping[Artefact, NDArray[np.float64]]:
        """Noise of these kinds, (leads, n): wander and mains with a peak of 1, muscle with an RMS of 1."""
        wander = np.sin(math.tau * self._wander_hz[:, np.newaxis] * times + self._wander_phases).mean(axis=1)
        fresh = self._rng.standard_normal((len(self._white), len(times)))
        white = np.concatenate((self._white, fresh), axis=1)
        self._white = white[:, -(self.TAPS - 1) :]
        muscle = np.stack([np.convolve(row, self._band, mode="valid") for row in white])
        mains = {
            kind: np.sin(math.tau * MAINS_HZ[kind] * times + self._mains_phases)
            * carries(kind, self._rate_hz)
            for kind in MAINS_HZ.keys() & kinds
        }
        return {Artefact.WANDER: wander, Artefact.EMG: muscle, **mains}


def carries(kind: Artefact, rate_hz: float) -> bool:
    """Whether a recorder at this rate can see the artefact: of mains it needs NYQUIST samples a period."""
    return rate_hz > NYQUIST * MAINS_HZ.get(kind, 0.0)


def _band_pass(low_hz: float, high_hz: float, rate_hz: float, taps: int) -> NDArray[np.float64]:
    """A windowed-sinc band-pass that passes white noise with unit power."""
    n = np.arange(taps) - (taps - 1) / 2
    ideal = [2 * edge / rate_hz * np.sinc(2 * edge / rate_hz * n) for edge in (low_hz, high_hz)]
    kernel = (ideal[1] - ideal[0]) * np.hamming(taps)
    unit: NDArray[np.float64] = kernel / np.linalg.norm(kernel)
    return unit
