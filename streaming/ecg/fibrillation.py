"""How much a few seconds of one lead look like ventricular fibrillation, or like a ventricular run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streaming.ecg import fibrillation_trained as trained
from streaming.ecg.filters import FloatArray
from streaming.ecg.window_features import features

FIBRILLATION_S = 4.0
"""The rule's own span: a fibrillatory waveform for 4 s."""
RUN_S = 2.4
"""Five beats at 100 to 125 a minute; a faster run fills less of it."""
LIVE_UV = 150.0
"""What is lower than this, peak to peak from 1 to 30 Hz, is no wave to judge: standstill is decided first.

Fibrillation counts as fine below 200 microvolts; an idle amplifier has less than 50.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A logistic regression on `features`: the weights of their standardised values, and a constant."""

    mean: FloatArray
    deviation: FloatArray
    weights: FloatArray
    constant: float

    def log_odds(self, waves: FloatArray) -> list[float | None]:
        """Of waves as of `wave_of`, (n, samples), natural logarithms; above 0 it is more likely than not.

        None where a wave is flat.
        """
        odds: list[float | None] = [None] * len(waves)
        live = np.flatnonzero(np.ptp(waves, axis=1) >= LIVE_UV)
        if len(live):
            values = features(waves if len(live) == len(waves) else waves[live])
            for at, each in zip(live.tolist(), self.of(values), strict=True):
                odds[at] = each
        return odds

    def of(self, values: FloatArray) -> list[float]:
        """Of features, (n, 15)."""
        standard = (values - self.mean) / self.deviation
        odds: list[float] = ((standard * self.weights).sum(axis=1) + self.constant).tolist()
        return odds


@dataclass(frozen=True, slots=True)
class RhythmModels:
    """What windows of FIBRILLATION_S and of RUN_S are judged by."""

    fibrillation: Model
    run: Model


def _model(table: str) -> Model:
    rows = np.array([row.split() for row in table.strip().splitlines()], np.float64)
    mean, deviation, weights = rows.T
    return Model(mean[:-1], deviation[:-1], weights[:-1], float(weights[-1]))


TRAINED = RhythmModels(_model(trained.FIBRILLATION), _model(trained.RUN))
"""What bench/training/fibrillation.py found."""
