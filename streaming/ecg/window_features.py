"""What a few seconds of ECG look like in numbers that do not depend on rate, gain or size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from streaming.ecg.filters import FloatArray

WAVE_HZ = 125.0
"""Every window is brought to this rate: what is looked at ends at 30 Hz."""
LOW_HZ, HIGH_HZ = 1.0, 30.0
LOW_EDGE_HZ, HIGH_EDGE_HZ = 0.5, 35.0
"""The pass band, and where it is shut: gains fall in straight lines between."""
DOMINANT_HZ = (1.5, 9.0)
MEDIAN_UP_TO_HZ = 20.0
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


def wave_of(windows_uv: FloatArray, rate_hz: float) -> FloatArray:
    """Windows, (..., n) in microvolts, without trend, from 1 to 30 Hz, at 125 Hz: (..., n * 125 / rate).

    By their spectra, so that nothing is remembered from one window to the next.
    """
    way = _way(windows_uv.shape[-1], rate_hz)
    level = windows_uv - windows_uv.mean(axis=-1, keepdims=True)
    level = level - way.line * (way.line * level).sum(axis=-1, keepdims=True)
    spectrum = np.fft.rfft(level)[..., : len(way.gains)] * way.gains
    wave: FloatArray = np.fft.irfft(spectrum, way.samples) * way.scale
    return wave


@dataclass(frozen=True, slots=True, eq=False)
class _Way:
    """From n samples to WAVE_HZ: a straight line of size 1, the gains of what is kept of the spectrum."""

    line: FloatArray
    gains: FloatArray
    samples: int
    scale: float


@lru_cache(maxsize=64)
def _way(n: int, rate_hz: float) -> _Way:
    line = np.linspace(-1.0, 1.0, n)
    hz = np.fft.rfftfreq(n, 1.0 / rate_hz)
    rise = np.clip((hz - LOW_EDGE_HZ) / (LOW_HZ - LOW_EDGE_HZ), 0.0, 1.0)
    fall = np.clip((HIGH_EDGE_HZ - hz) / (HIGH_EDGE_HZ - HIGH_HZ), 0.0, 1.0)
    samples = round(WAVE_HZ * n / rate_hz)
    gains = (rise * fall)[: samples // 2 + 1]
    return _Way(line / math.sqrt((line * line).sum()), gains, samples, samples / n)


def features(waves: FloatArray) -> FloatArray:
    """Numbers named in FEATURES of waves as of `wave_of`, (..., n), that are not flat: (..., 15).

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
    n = waves.shape[-1]
    bins = _bins(n)
    size, slope = np.abs(waves), np.abs(np.diff(waves))
    high = np.partition(size, n - 3)[..., n - 3, np.newaxis]
    middle, steep = (n - 1) // 2, n - 1 - 5
    slopes = np.partition(slope, (middle, steep))
    squares = waves * waves
    mean = waves.mean(axis=-1)
    variance = squares.mean(axis=-1) - mean * mean
    spectrum = np.fft.rfft(waves * bins.hann)
    power: FloatArray = spectrum.real**2 + spectrum.imag**2
    slow, fast, sharp = (power[..., band].sum(axis=-1) for band in (bins.slow, bins.fast, bins.sharp))
    little = 1e-3 * (slow + fast + sharp)
    logarithms = np.log(
        [
            slopes[..., middle] / slopes[..., steep] + 0.01,
            (squares * squares).mean(axis=-1) / (variance * variance),
            (slope * slope).mean(axis=-1) / variance,
            (fast + little) / (slow + little),
            (fast + little) / (sharp + little),
        ]
    )
    return np.stack(
        [
            _leakage(waves, size, slope),
            (size > 0.25 * high).mean(axis=-1),
            *_peak(power, bins),
            logarithms[0],
            logarithms[1],
            (size < 0.1 * high).mean(axis=-1),
            _periodicity(waves, bins),
            0.5 * logarithms[2],
            logarithms[3],
            logarithms[4],
            *_quantiles(power, bins),
        ],
        axis=-1,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Bins:
    """Where in the spectrum of n samples at WAVE_HZ, or in their autocorrelation, what lies."""

    hann: FloatArray
    hz: FloatArray
    inside: slice
    searched: slice
    """LOW_HZ to HIGH_HZ; DOMINANT_HZ, counted from there."""
    slow: slice
    fast: slice
    sharp: slice
    lower: slice
    """SLOW_HZ to MEDIAN_UP_TO_HZ."""
    lags: slice
    overlap: FloatArray
    """The share of the samples that meet another at each of `lags`."""


@lru_cache(maxsize=64)
def _bins(n: int) -> _Bins:
    hz: FloatArray = np.fft.rfftfreq(n, 1.0 / WAVE_HZ).astype(np.float64)

    def between(first_hz: float, stop_hz: float, *, closed: bool = False) -> slice:
        stop = np.searchsorted(hz, stop_hz, "right") if closed else np.searchsorted(hz, stop_hz)
        return slice(int(np.searchsorted(hz, first_hz)), int(stop))

    inside, dominant = between(LOW_HZ, HIGH_HZ, closed=True), between(*DOMINANT_HZ, closed=True)
    lags = slice(*(round(at * WAVE_HZ) for at in PERIOD_S))
    return _Bins(
        np.hanning(n),
        hz,
        inside,
        slice(dominant.start - inside.start, dominant.stop - inside.start),
        between(SLOW_HZ, FAST_HZ),
        between(FAST_HZ, FASTEST_HZ),
        between(FASTEST_HZ, HIGH_HZ),
        between(SLOW_HZ, MEDIAN_UP_TO_HZ, closed=True),
        lags,
        1.0 - np.arange(lags.start, lags.stop) / n,
    )


def _leakage(waves: FloatArray, size: FloatArray, slope: FloatArray) -> FloatArray:
    n = waves.shape[-1]
    half_period = np.floor(
        math.pi * size.sum(axis=-1, keepdims=True) / slope.sum(axis=-1, keepdims=True) + 0.5
    )
    shift = np.minimum(np.maximum(half_period, 1), n // 2).astype(np.intp)
    at = np.arange(n) + shift
    meets = at < n
    late = np.take_along_axis(waves, np.minimum(at, n - 1), axis=-1)
    left, whole = np.abs(late + waves) * meets, (np.abs(late) + size) * meets
    leakage: FloatArray = left.sum(axis=-1) / whole.sum(axis=-1)
    return leakage


def _peak(power: FloatArray, bins: _Bins) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Dominant frequency, first moment of the amplitudes by it, share of power near it, entropy."""
    inside, hz = power[..., bins.inside], bins.hz[bins.inside]
    total = inside.sum(axis=-1)
    dominant_hz = hz[bins.searched][inside[..., bins.searched].argmax(axis=-1)]
    amplitudes = np.sqrt(inside)
    moment = (amplitudes * hz).sum(axis=-1) / (
        amplitudes.sum(axis=-1) * np.maximum(dominant_hz, DOMINANT_HZ[0])
    )
    is_near = np.abs(hz - dominant_hz[..., np.newaxis]) <= NEAR_HZ
    near = (inside * is_near).sum(axis=-1) / total
    shares = inside / total[..., np.newaxis]
    logarithms = np.log(np.maximum(shares, np.finfo(np.float64).tiny))
    entropy = -(shares * logarithms).sum(axis=-1) / np.log(np.count_nonzero(inside, axis=-1))
    return dominant_hz, moment, near, entropy


def _periodicity(waves: FloatArray, bins: _Bins) -> FloatArray:
    n = waves.shape[-1]
    spectrum = np.fft.rfft(waves, 2 * n)
    products = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)[..., :n]
    periodicity: FloatArray = (products[..., bins.lags] / (products[..., :1] * bins.overlap)).max(axis=-1)
    return periodicity


def _quantiles(power: FloatArray, bins: _Bins) -> list[FloatArray]:
    sums = np.add.accumulate(power[..., bins.lower], axis=-1)
    hz = bins.hz[bins.lower]
    return [hz[np.count_nonzero(sums < share * sums[..., -1:], axis=-1)] for share in (0.5, 0.1)]
