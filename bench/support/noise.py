"""Noise such as an ambulatory ECG has, at a signal-to-noise ratio that the field measures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Signal = npt.NDArray[np.float64]

BURST_BAND_HZ, MUSCLE_BAND_HZ, WANDER_BAND_HZ = (1.0, 20.0), (20.0, 100.0), (0.05, 0.5)
MUSCLE, WANDER, MAINS = 0.5, 0.7, 0.3
"""Amplitudes beside the bursts' 1, each of a noise of unit variance."""
BURST_PIECE_S, BURST_SHARE, BURST_HEIGHT = 0.5, 0.15, 5.0
MAINS_HZ = 60.0
ORDER = 4
"""Of the Butterworth characteristics that shape the noise."""
QRS_REACH_S = 0.05


def noise(n: int, rate_hz: float, rng: np.random.Generator, *, order: int = ORDER) -> Signal:
    """Bursts in the QRS band, muscle noise, wander and mains hum, of unit variance in sum."""
    bursts = _band_noise(n, BURST_BAND_HZ, rate_hz, rng, order)
    piece = round(BURST_PIECE_S * rate_hz)
    stronger = rng.random(n // piece + 1) < BURST_SHARE
    bursts = _unit(bursts * np.where(stronger, BURST_HEIGHT, 1.0).repeat(piece)[:n])
    low_hz, high_hz = MUSCLE_BAND_HZ
    muscle = _band_noise(n, (low_hz, min(high_hz, 0.45 * rate_hz)), rate_hz, rng, order)
    wander = _band_noise(n, WANDER_BAND_HZ, rate_hz, rng, order)
    phase = 2 * np.pi * (MAINS_HZ / rate_hz * np.arange(n) + rng.random())
    return _unit(bursts + MUSCLE * muscle + WANDER * wander + MAINS * np.sqrt(2) * np.sin(phase))


def with_noise(
    microvolts: Signal, beats: npt.NDArray[np.int64], rate_hz: float, snr_db: float, unit_noise: Signal
) -> Signal:
    """One lead, (n,), with noise added at a signal-to-noise ratio as the MIT-BIH Noise Stress Test has it.

    The signal's power is an eighth of the square of the QRS complexes' peak-to-peak amplitude (a sine wave
    is that high), here their median within 50 ms of the annotations (Moody, Muldrow and Mark, A noise stress
    test for arrhythmia detectors, Computers in Cardiology 1984).
    """
    reach = round(QRS_REACH_S * rate_hz)
    heights = [float(np.ptp(microvolts[max(0, at - reach) : at + reach + 1])) for at in beats.tolist()]
    power = float(np.median(heights)) ** 2 / 8
    noisy: Signal = microvolts + unit_noise * np.sqrt(power / 10 ** (snr_db / 10))
    return noisy


def _band_noise(
    n: int, band_hz: tuple[float, float], rate_hz: float, rng: np.random.Generator, order: int
) -> Signal:
    """Gaussian noise of unit variance, shaped by a Butterworth high-pass and low-pass of this order."""
    frequencies = np.fft.rfftfreq(n, 1 / rate_hz)
    low_hz, high_hz = band_hz
    passed = np.zeros(len(frequencies))
    above = frequencies[1:]
    passed[1:] = 1 / np.sqrt((1 + (above / high_hz) ** (2 * order)) * (1 + (low_hz / above) ** (2 * order)))
    return _unit(np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * passed, n))


def _unit(values: Signal) -> Signal:
    unit: Signal = values / values.std()
    return unit
