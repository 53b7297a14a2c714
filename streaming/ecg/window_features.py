"""What a few seconds of ECG look like in numbers that do not depend on rate, gain or size."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from streaming.ecg.filters import FloatArray

WAVE_HZ = 125.0
"""Every window is brought to this rate: what is looked at ends at 30 Hz."""
LOW_HZ, HIGH_HZ = 1.0, 30.0
LOW_EDGE_HZ, HIGH_EDGE_HZ = 0.5, 35.0
"""The pass band, and where it is shut: gains fall in straight lines between."""
DOMINANT_HZ = (1.5, 9.0)
NEAR_HZ = 1.0
SLOW_HZ, FAST_HZ, FASTEST_HZ = 0.9, 2.4, 9.0
"""Fibrillation and flutter lie above 2.4 Hz, 144 waves a minute; sinus waves, T waves and wander below."""
PERIOD_S = (0.1, 0.45)
FEATURES = (
    "leakage",
    "above a quarter",
    "dominant frequency",
    "first spectral moment",
    "share near the dominant",
    "spectral entropy",
    "typical slope",
    "kurtosis",
    "isoelectric share",
    "periodicity",
    "mobility",
    "fast to slow",
    "fast to QRS",
    "median frequency",
    "lowest tenth",
)
"""What `features` returns, in its order."""


def wave_of(window_uv: FloatArray, rate_hz: float) -> FloatArray:
    """The window, (n,) in microvolts, without trend, from 1 to 30 Hz, at 125 Hz: (n * 125 / rate,).

    By its spectrum, so that nothing is remembered from one window to the next.
    """
    n = len(window_uv)
    line = np.linspace(-1.0, 1.0, n)
    level = window_uv - window_uv.mean()
    level = level - line * ((line * level).sum() / (line * line).sum())
    spectrum = np.fft.rfft(level)
    hz = np.fft.rfftfreq(n, 1.0 / rate_hz)
    rise = np.clip((hz - LOW_EDGE_HZ) / (LOW_HZ - LOW_EDGE_HZ), 0.0, 1.0)
    fall = np.clip((HIGH_EDGE_HZ - hz) / (HIGH_EDGE_HZ - HIGH_HZ), 0.0, 1.0)
    spectrum *= rise * fall
    m = round(WAVE_HZ * n / rate_hz)
    kept = np.zeros(m // 2 + 1, np.complex128)
    shared = min(len(kept), len(spectrum))
    kept[:shared] = spectrum[:shared]
    wave: FloatArray = np.fft.irfft(kept, m) * (m / n)
    return wave


def features(wave: FloatArray) -> FloatArray:
    """Numbers named in FEATURES of a `wave_of` that is not flat, (15,).

    leakage: Kuo and Dillman 1978, what is left when the wave is added to itself half a period later;
    above a quarter: after the threshold crossing counts of Thakor et al. 1990 and Arafat et al. 2011, the
    share of samples above a quarter of the third largest;
    dominant frequency, first spectral moment, share near the dominant: Barro et al. 1989;
    spectral entropy: of power from 1 to 30 Hz;
    typical slope: the median slope to the fifth largest, small where a QRS stands on a quiet line;
    kurtosis; isoelectric share: samples within a tenth of the third largest;
    periodicity: the largest autocorrelation at 0.1 to 0.45 s;
    mobility: Hjorth 1970, by sample; fast to slow, fast to QRS: power of 2.4-9 Hz to that below and above;
    median frequency, and that below which a tenth of the power of 0.9-20 Hz lies.
    Ratios are natural logarithms.
    """
    size = np.abs(wave)
    slope = np.abs(np.diff(wave))
    high = np.partition(size, -3)[-3]
    steepest = np.sort(slope)
    deviation = wave.std()
    hz = _frequencies(len(wave))
    power: FloatArray = np.abs(np.fft.rfft(wave * _hann(len(wave)))) ** 2
    dominant_hz, moment, near, entropy = _peak(hz, power)
    slow, fast, sharp = (
        power[(hz >= low) & (hz < top)].sum()
        for low, top in ((SLOW_HZ, FAST_HZ), (FAST_HZ, FASTEST_HZ), (FASTEST_HZ, HIGH_HZ))
    )
    little = 1e-3 * (slow + fast + sharp)
    median_hz, tenth_hz = _quantiles(hz, power)
    return np.array(
        [
            _leakage(wave),
            (size > 0.25 * high).mean(),
            dominant_hz,
            moment,
            near,
            entropy,
            math.log(steepest[len(slope) // 2] / steepest[-5] + 0.01),
            math.log((wave**4).mean() / deviation**4),
            (size < 0.1 * high).mean(),
            _periodicity(wave),
            math.log(math.sqrt((slope**2).mean()) / deviation),
            math.log((fast + little) / (slow + little)),
            math.log((fast + little) / (sharp + little)),
            median_hz,
            tenth_hz,
        ]
    )


def _leakage(wave: FloatArray) -> float:
    half_period = math.floor(math.pi * np.abs(wave).sum() / np.abs(np.diff(wave)).sum() + 0.5)
    shift = min(max(half_period, 1), len(wave) // 2)
    late, early = wave[shift:], wave[:-shift]
    return float(np.abs(late + early).sum() / (np.abs(late) + np.abs(early)).sum())


def _peak(hz: FloatArray, power: FloatArray) -> tuple[float, float, float, float]:
    """Dominant frequency, first moment of the amplitudes by it, share of power near it, entropy."""
    inside = np.where((hz >= LOW_HZ) & (hz <= HIGH_HZ), power, 0.0)
    total = inside.sum()
    searched = (hz >= DOMINANT_HZ[0]) & (hz <= DOMINANT_HZ[1])
    dominant_hz = float(hz[np.where(searched, inside, 0.0).argmax()])
    amplitudes = np.sqrt(inside)
    moment = float((amplitudes * hz).sum() / (amplitudes.sum() * max(dominant_hz, DOMINANT_HZ[0])))
    near = float(inside[np.abs(hz - dominant_hz) <= NEAR_HZ].sum() / total)
    shares = inside[inside > 0] / total
    entropy = float(-(shares * np.log(shares)).sum() / math.log(len(shares)))
    return dominant_hz, moment, near, entropy


def _periodicity(wave: FloatArray) -> float:
    n = len(wave)
    products = np.fft.irfft(np.abs(np.fft.rfft(wave, 2 * n)) ** 2)[:n]
    first, last = (round(at * WAVE_HZ) for at in PERIOD_S)
    lags = np.arange(first, last)
    return float((products[first:last] / (products[0] * (1.0 - lags / n))).max())


def _quantiles(hz: FloatArray, power: FloatArray) -> tuple[float, float]:
    sums = np.cumsum(np.where((hz >= SLOW_HZ) & (hz <= 20.0), power, 0.0))
    half, tenth = (float(hz[np.searchsorted(sums, share * sums[-1])]) for share in (0.5, 0.1))
    return half, tenth


@cache
def _hann(n: int) -> FloatArray:
    return np.hanning(n)


@cache
def _frequencies(n: int) -> FloatArray:
    """Of the spectrum of n samples at WAVE_HZ, in Hz."""
    hz: FloatArray = np.fft.rfftfreq(n, 1.0 / WAVE_HZ).astype(np.float64)
    return hz
