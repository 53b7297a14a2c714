"""The waves of a heart whose atria or ventricles fibrillate."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


class AtrialFibrillation:
    """f-waves: 4-9 Hz of wandering pitch and size, 0.05-0.1 mV in V1, where they are largest."""

    DIRECTION = np.array([[-0.10], [0.45], [-0.90]])

    def __init__(self, rng: np.random.Generator) -> None:
        self._pitch_hz = rng.uniform(5.0, 7.5)
        self._phases = rng.uniform(0.0, math.tau, 3)

    def block(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """X, Y, Z in millivolts, (3, n)."""
        # The deviation of +-1 Hz is the derivative of this phase: 8.3 rad * 2 pi 0.12 Hz / 2 pi.
        wandering = 8.3 * np.sin(math.tau * 0.12 * times + self._phases[0])
        angle = math.tau * self._pitch_hz * times + wandering + self._phases[1]
        size = 0.068 * (1.0 + 0.3 * np.sin(math.tau * 0.3 * times + self._phases[2]))
        wave: NDArray[np.float64] = size * (np.sin(angle) + 0.35 * np.sin(2 * angle))
        return self.DIRECTION * wave


class VentricularFibrillation:
    """Four sinusoids of 4-7 Hz, each wandering in pitch and size, and each in a direction of its own.

    In lead II they reach 0.2 to 1 mV together.
    """

    DIRECTIONS = np.array(
        [[0.45, 0.75, -0.50], [-0.30, 0.85, -0.35], [0.80, 0.60, 0.30], [0.10, 0.80, -0.95]]
    ).T

    def __init__(self, rng: np.random.Generator) -> None:
        self._pitch_hz = np.array([[4.5], [5.1], [5.8], [6.4]]) + rng.uniform(-0.2, 0.2, (4, 1))
        self._pitch_wanders_hz = rng.uniform(0.05, 0.15, (4, 1))
        self._size_wanders_hz = rng.uniform(0.1, 0.3, (4, 1))
        self._phases = rng.uniform(0.0, math.tau, (3, 4, 1))

    def block(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """X, Y, Z in millivolts, (3, n)."""
        # The deviation is the derivative of this phase: 2 rad * 0.15 Hz = 0.3 Hz at most.
        wandering = 2.0 * np.sin(math.tau * self._pitch_wanders_hz * times + self._phases[0])
        angles = math.tau * self._pitch_hz * times + wandering + self._phases[1]
        sizes = 0.2 * (1.0 + 0.4 * np.sin(math.tau * self._size_wanders_hz * times + self._phases[2]))
        waves: NDArray[np.float64] = sizes * np.sin(angles)
        dipole: NDArray[np.float64] = self.DIRECTIONS @ waves
        return dipole
