"""The shape of one heartbeat: a sum of Gaussians in Frank's three axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

from streaming.ecg.leads import DOWER

MILLIVOLTS_PER_AREA = 4.0
"""Scales McSharry's a * b^2 (his equation, integrated over a beat) so that R is 1.2 mV in lead II."""
REACH_SIGMAS = 4.5
"""Where a Gaussian is cut: 1.2 mV has fallen to 0.05 microvolt, a hundredth of an ADC step."""


class BeatShape(Enum):
    """Where a beat starts, which is what it looks like."""

    SINUS = auto()
    NO_P = auto()
    VENTRICULAR = auto()


@dataclass(frozen=True, slots=True)
class _Wave:
    """One wave of a beat; `direction` is X, Y, Z of the dipole, of any length."""

    center_s: float
    sigma_s: float
    lead_ii_mv: float
    direction: tuple[float, float, float]


def render_beat(
    shape: BeatShape, *, time_s: float, rr_s: float, scale: float, rate_hz: float
) -> tuple[int, NDArray[np.float64]]:
    """Index of the first sample, and X, Y, Z in millivolts (3, n), of a beat whose R peak is at `time_s`.

    `rr_s` is the interval of the rate that the beat belongs to: it sets the PR, QRS and QT times. `scale`
    multiplies the amplitude.
    """
    waves = _ventricular(rr_s) if shape is BeatShape.VENTRICULAR else _sinus(rr_s)
    if shape is BeatShape.NO_P:
        waves = waves[1:]
    centers = np.array([[time_s + wave.center_s] for wave in waves])
    sigmas = np.array([[wave.sigma_s] for wave in waves])
    first = math.ceil(float(np.min(centers - REACH_SIGMAS * sigmas)) * rate_hz)
    stop = math.ceil(float(np.max(centers + REACH_SIGMAS * sigmas)) * rate_hz)
    times = np.arange(first, stop) / rate_hz
    bells = np.exp(-0.5 * ((times - centers) / sigmas) ** 2)
    dipoles = np.array([_dipole(wave) for wave in waves])
    return first, scale * (dipoles.T @ bells)


def _dipole(wave: _Wave) -> NDArray[np.float64]:
    """The peak of a wave in X, Y, Z, as long as its amplitude in lead II asks for."""
    direction = np.array(wave.direction)
    return direction * (wave.lead_ii_mv / float(direction @ np.array(DOWER["II"])))


def _sinus(rr_s: float) -> tuple[_Wave, ...]:
    """P, Q, R, S, T after McSharry et al. 2003, Table 1 (ECGSYN), with the heart rate's effect on each.

    Deviations: the angular velocity is constant within a beat, which turns his differential equation into
    Gaussians in time; the slow return to the baseline is left out; P has half his height (0.15 mV in lead
    II). The directions are ours, for a normal R progression from V1 to V6.
    """
    h = math.sqrt(1.0 / rr_s)
    root = math.sqrt(h)
    seconds_per_degree = rr_s / 360
    table = (
        # degrees, a, b, direction
        (-70.0 * root, 0.6, 0.25, (0.50, 0.80, -0.10)),
        (-15.0 * h, -5.0, 0.10, (0.25, 0.25, 0.12)),
        (0.0, 30.0, 0.10, (0.80, 0.75, 0.50)),
        (15.0 * h, -7.5, 0.10, (0.20, 0.35, -0.10)),
        (100.0 * root, 0.75, 0.40, (0.60, 0.55, -0.35)),
    )
    return tuple(
        _Wave(
            center_s=degrees * seconds_per_degree,
            sigma_s=b * h * rr_s / math.tau,
            lead_ii_mv=MILLIVOLTS_PER_AREA * a * b * b,
            direction=direction,
        )
        for degrees, a, b, direction in table
    )


def _ventricular(rr_s: float) -> tuple[_Wave, ...]:
    """A premature or tachycardic beat: no P, a broad QRS (about 140 ms), and T against it."""
    qt_s = 0.36 * math.sqrt(min(rr_s, 1.0))
    return (
        _Wave(0.0, 0.030, 1.9, (-0.60, 1.00, -0.40)),
        _Wave(0.065, 0.022, -0.5, (-0.60, 1.00, -0.40)),
        _Wave(0.85 * qt_s, 0.19 * qt_s, -0.6, (-0.20, 1.00, -0.45)),
    )
