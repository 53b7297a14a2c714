"""How likely a peak is a QRS complex: a small network over its evidence."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from streaming.ecg import qrs_weights
from streaming.ecg.qrs_evidence import Evidence

Model = Callable[[Evidence], float]
"""From the evidence to the logarithm of the odds that it is a QRS complex."""


class QrsModel:
    """One layer of tanh units, (features, units), beside a direct path.

    Its sums run in one order, whatever the machine's BLAS is.
    """

    def __init__(
        self,
        hidden: npt.ArrayLike,
        bias: npt.ArrayLike,
        output: npt.ArrayLike,
        direct: npt.ArrayLike,
        offset: float,
    ) -> None:
        self.hidden, self.bias = np.array(hidden, np.float64), np.array(bias, np.float64)
        self.output, self.direct = np.array(output, np.float64), np.array(direct, np.float64)
        self.offset = offset
        self._weights = np.column_stack((self.hidden, self.direct))
        self._biases = np.append(self.bias, offset).tolist()
        self._outputs: list[float] = self.output.tolist()

    def __call__(self, evidence: Evidence) -> float:
        """The logarithm of the odds."""
        sums = np.add.reduce(self._weights * np.array(evidence.values)[:, np.newaxis], axis=0).tolist()
        *units, odds = map(float.__add__, sums, self._biases)
        for unit, weight in zip(units, self._outputs, strict=True):
            odds += weight * math.tanh(unit)
        return odds


log_odds = QrsModel(
    qrs_weights.HIDDEN, qrs_weights.BIAS, qrs_weights.OUTPUT, qrs_weights.DIRECT, qrs_weights.OFFSET
)
