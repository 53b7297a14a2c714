"""A patient made of numbers: an endless ECG of a given rhythm, with the truth about every beat."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.ecg import beat_times
from streaming.ecg.beat_times import BeatTimes
from streaming.ecg.leads import DOWER, LIMB, derive_leads, measured_leads
from streaming.ecg.waves import BeatShape, render_beat

MAX_LABELS = 20_000
"""Labels that a simulator keeps: more than four hours at 80 bpm, and a bound for one that runs for weeks."""
RAIL_UV = 10_000.0
"""Where the simulated amplifier saturates."""
BLOCK = 256
"""Samples made at once, whatever `read` asks for: the reason why chunking cannot change the signal."""
HORIZON_S = 1.0
"""How far ahead beats are planned: a P wave reaches 0.75 s back from its R peak at 20 bpm."""


@dataclass(frozen=True, slots=True)
class SimulatedBeat:
    """The sample index of an R peak, and whether the beat started in a ventricle."""

    sample: int
    ventricular: bool


@dataclass(frozen=True, slots=True)
class _Rhythm:
    description: str
    heart_rate: float
    beats: BeatTimes | None
    fibrillates: bool = False
    lead_comes_off: bool = False


_RHYTHMS = {
    "sinus": _Rhythm("Sinus rhythm", 72, beat_times.sinus),
    "af": _Rhythm("Atrial fibrillation", 92, beat_times.atrial_fibrillation, fibrillates=True),
    "pvc": _Rhythm("Premature ventricular beats", 74, beat_times.premature_beats),
    "bradycardia": _Rhythm("Sinus bradycardia", 42, beat_times.sinus),
    "tachycardia": _Rhythm("Sinus tachycardia", 128, beat_times.sinus),
    "vt": _Rhythm("Runs of ventricular tachycardia", 76, beat_times.ventricular_runs),
    "lead_off": _Rhythm("Sinus rhythm, lead comes off", 80, beat_times.sinus, lead_comes_off=True),
    "pulse": _Rhythm("Test pulse, 1 mV for 200 ms every second", 60, None),
}
RHYTHMS = {name: rhythm.description for name, rhythm in _RHYTHMS.items()}
"""What `Simulator` can play, with a name for people."""


@dataclass(frozen=True, slots=True)
class _LeadOff:
    """Samples during which an electrode is off: its leads read the rail, or nothing at all."""

    first: int
    stop: int
    at_rail: bool


class Simulator:
    """An endless ECG, the same for the same arguments, however it is read.

    A sum of Gaussians per beat (`waves`), placed by the rhythm (`beat_times`), seen by each lead through
    Dower's matrix (`leads`), with baseline wander, muscle noise and a little mains hum, and digitised as
    int16 with `gain_uv` microvolts per step and baseline 0. `leads` are names out of TWELVE_LEADS.
    `heart_rate` in bpm replaces the rhythm's own. Raises ValueError for an unknown rhythm or lead, or a
    rate, heart rate or gain out of bounds.
    """

    def __init__(
        self,
        rhythm: str,
        *,
        rate_hz: float,
        leads: tuple[str, ...] = ("II",),
        seed: int,
        heart_rate: float | None = None,
        gain_uv: float = 5.0,
    ) -> None:
        if rhythm not in _RHYTHMS:
            raise ValueError(f"unknown rhythm {rhythm!r}; choose one of {', '.join(_RHYTHMS)}")
        kind = _RHYTHMS[rhythm]
        heart_rate = kind.heart_rate if heart_rate is None else heart_rate
        if not 50 <= rate_hz <= 2000 or not 20 <= heart_rate <= 250 or not 0.1 <= gain_uv <= 100:
            raise ValueError("bounds: 50-2000 Hz, 20-250 bpm, 0.1-100 microvolts per step")
        self.rhythm = rhythm
        self.rate_hz = rate_hz
        self.leads = leads
        self.gain_uv = gain_uv
        self.position = 0
        """Sample index of the first sample that has not been read."""

        self._measured = measured_leads(leads)
        self._rail = min(32767, round(RAIL_UV / gain_uv))
        self._made = 0
        self._ready = np.empty((len(leads), 0), np.int16)
        self._labels: deque[SimulatedBeat] = deque(maxlen=MAX_LABELS)
        self._episodes: deque[_LeadOff] = deque()

        beats_rng, noise_rng, lead_off_rng = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(3))
        self._planned = iter(()) if kind.beats is None else kind.beats(beats_rng, 60.0 / heart_rate)
        self._next_beat = next(self._planned, None)
        self._dower = np.array([DOWER[name] for name in self._measured])
        self._dipole = np.zeros((3, 0))
        """Beats already drawn, from `_made` on, in millivolts; grows when a beat reaches further."""
        self._noise = _Noise(noise_rng, len(self._measured), rate_hz)
        self._fibrillation = _Fibrillation(noise_rng) if kind.fibrillates else None
        self._lead_off = _lead_off_episodes(lead_off_rng, rate_hz) if kind.lead_comes_off else iter(())
        self._next_episode = next(self._lead_off, None)

    @property
    def beats(self) -> list[SimulatedBeat]:
        """The true R peaks before `position`, oldest first; the last MAX_LABELS of them."""
        return [beat for beat in self._labels if beat.sample < self.position]

    @property
    def leads_off(self) -> tuple[str, ...]:
        """The leads whose electrode was off at the last sample read, which then is no ECG."""
        last = self.position - 1
        if any(episode.first <= last < episode.stop for episode in self._episodes):
            return self._loose_leads()
        return ()

    def read(self, n: int) -> NDArray[np.int16]:
        """The next `n` samples, (leads, n)."""
        blocks = [self._ready]
        while self._made - self.position < n:
            blocks.append(self._block())
        ready = np.concatenate(blocks, axis=1)
        self._ready = ready[:, n:]
        self.position += n
        while self._episodes and self._episodes[0].stop < self.position:
            self._episodes.popleft()
        return np.ascontiguousarray(ready[:, :n])

    def _block(self) -> NDArray[np.int16]:
        """BLOCK more samples, (leads, BLOCK)."""
        times = np.arange(self._made, self._made + BLOCK) / self.rate_hz
        block = self._test_pulse(times) if self.rhythm == "pulse" else self._ecg(times)
        self._take_leads_off(block)
        self._made += BLOCK
        return block

    def _test_pulse(self, times: NDArray[np.float64]) -> NDArray[np.int16]:
        """The same square wave on every lead, without noise: a ruler, not a signal of a body."""
        # A microsecond late, so that 1.2 s, which in floats is a little less, ends the pulse.
        pulse = self._digitise(np.where((times + 1e-6) % 1.0 < 0.2, 1.0, 0.0))
        return np.repeat(pulse[np.newaxis], len(self.leads), axis=0)

    def _ecg(self, times: NDArray[np.float64]) -> NDArray[np.int16]:
        self._draw_beats(before_s=float(times[-1]) + HORIZON_S)
        dipole, self._dipole = self._dipole[:, :BLOCK], self._dipole[:, BLOCK:]
        if self._fibrillation is not None:
            dipole = dipole + self._fibrillation.block(times)
        measured = self._digitise(self._dower @ dipole + self._noise.block(times))
        return derive_leads(self.leads, self._measured, measured)

    def _draw_beats(self, *, before_s: float) -> None:
        """Add every planned beat whose R peak comes before `before_s` to the dipole, and to the labels."""
        self._make_room(BLOCK)
        while self._next_beat is not None and self._next_beat.time_s < before_s:
            beat = self._next_beat
            first, wave = render_beat(
                beat.shape, time_s=beat.time_s, rr_s=beat.rr_s, scale=beat.scale, rate_hz=self.rate_hz
            )
            at = first - self._made
            if at < 0:  # only the first beat of all reaches back before the first sample
                wave, at = wave[:, -at:], 0
            self._make_room(at + wave.shape[1])
            self._dipole[:, at : at + wave.shape[1]] += wave
            ventricular = beat.shape is BeatShape.VENTRICULAR
            self._labels.append(SimulatedBeat(round(beat.time_s * self.rate_hz), ventricular))
            self._next_beat = next(self._planned, None)

    def _make_room(self, n: int) -> None:
        missing = n - self._dipole.shape[1]
        if missing > 0:
            self._dipole = np.pad(self._dipole, ((0, 0), (0, missing)))

    def _digitise(self, millivolts: NDArray[np.float64]) -> NDArray[np.int16]:
        steps = np.rint(millivolts * (1000.0 / self.gain_uv))
        return np.clip(steps, -self._rail, self._rail).astype(np.int16)

    def _take_leads_off(self, block: NDArray[np.int16]) -> None:
        """Replace, in place, what a loose electrode spoils in the block that starts at `_made`."""
        while self._next_episode is not None and self._next_episode.first < self._made + BLOCK:
            self._episodes.append(self._next_episode)
            self._next_episode = next(self._lead_off, None)
        loose = [self.leads.index(name) for name in self._loose_leads()]
        for episode in self._episodes:
            first, stop = max(episode.first - self._made, 0), episode.stop - self._made
            if first < BLOCK and stop > 0:
                block[loose, first:stop] = self._rail if episode.at_rail else 0

    def _loose_leads(self) -> tuple[str, ...]:
        """The first lead, and what is computed from it: without I or II there is no derived limb lead."""
        loose = self.leads[0]
        if loose in LIMB:
            loose = "II"
        if loose not in ("I", "II"):
            return (loose,)
        return tuple(name for name in self.leads if name == loose or name in LIMB)


def _lead_off_episodes(rng: np.random.Generator, rate_hz: float) -> Iterator[_LeadOff]:
    """An electrode off for 4 to 8 s, first after 10 to 20 s, then every 20 to 40 s."""
    time_s = rng.uniform(10.0, 20.0)
    while True:
        lasts_s = rng.uniform(4.0, 8.0)
        yield _LeadOff(round(time_s * rate_hz), round((time_s + lasts_s) * rate_hz), rng.random() < 0.5)
        time_s += lasts_s + rng.uniform(20.0, 40.0)


class _Fibrillation:
    """Atrial fibrillation's f-waves: 4-9 Hz of wandering pitch and size, 0.05-0.1 mV, largest in V1."""

    DIRECTION = np.array([[-0.10], [0.45], [-0.90]])

    def __init__(self, rng: np.random.Generator) -> None:
        self._pitch_hz = rng.uniform(5.0, 7.5)
        self._phases = rng.uniform(0.0, math.tau, 3)

    def block(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """X, Y, Z in millivolts, (3, n)."""
        # The deviation of +-1 Hz is the derivative of this phase: 8.3 rad * 2 pi 0.12 Hz / 2 pi.
        wandering = 8.3 * np.sin(math.tau * 0.12 * times + self._phases[0])
        angle = math.tau * self._pitch_hz * times + wandering + self._phases[1]
        size = 0.075 * (1.0 + 0.3 * np.sin(math.tau * 0.3 * times + self._phases[2]))
        wave: NDArray[np.float64] = size * (np.sin(angle) + 0.35 * np.sin(2 * angle))
        return self.DIRECTION * wave


class _Noise:
    """Baseline wander (0.05-0.5 Hz), muscle (20-100 Hz) and mains (50 Hz), of its own in every lead."""

    WANDER_MV = 0.04
    MUSCLE_MV = 0.008
    MAINS_MV = 0.003
    TAPS = 31

    def __init__(self, rng: np.random.Generator, leads: int, rate_hz: float) -> None:
        self._rng = rng
        self._wander_hz = rng.uniform(0.05, 0.5, 3)
        self._wander_phases = rng.uniform(0.0, math.tau, (leads, 3, 1))
        self._mains_phases = rng.uniform(0.0, math.tau, (leads, 1))
        # Below 112 Hz an anti-aliasing filter has taken the hum away.
        self._mains_mv = self.MAINS_MV if rate_hz > 2.24 * 50 else 0.0
        self._band = _band_pass(20.0, min(100.0, 0.45 * rate_hz), rate_hz, self.TAPS)
        self._white = rng.standard_normal((leads, self.TAPS - 1))

    def block(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The next stretch of noise in millivolts, (leads, n)."""
        wander = np.sin(math.tau * self._wander_hz[:, np.newaxis] * times + self._wander_phases).sum(axis=1)
        mains = np.sin(math.tau * 50.0 * times + self._mains_phases)
        fresh = self._rng.standard_normal((len(self._white), len(times)))
        white = np.concatenate((self._white, fresh), axis=1)
        self._white = white[:, -(self.TAPS - 1) :]
        muscle = np.stack([np.convolve(row, self._band, mode="valid") for row in white])
        noise: NDArray[np.float64] = self.WANDER_MV * wander + self._mains_mv * mains
        return noise + self.MUSCLE_MV * muscle


def _band_pass(low_hz: float, high_hz: float, rate_hz: float, taps: int) -> NDArray[np.float64]:
    """A windowed-sinc band-pass that passes white noise with unit power."""
    n = np.arange(taps) - (taps - 1) / 2
    ideal = [2 * edge / rate_hz * np.sinc(2 * edge / rate_hz * n) for edge in (low_hz, high_hz)]
    kernel = (ideal[1] - ideal[0]) * np.hamming(taps)
    unit: NDArray[np.float64] = kernel / np.linalg.norm(kernel)
    return unit
