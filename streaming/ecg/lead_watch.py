"""What one lead shows now: whether it carries a signal, its beats, and what its waves look like."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from streaming.ecg.beats import MIN_AMPLITUDE_UV, Beat, BeatDetector
from streaming.ecg.fibrillation import FIBRILLATION_S, RUN_S, RhythmModels
from streaming.ecg.filters import ExactFir, FloatArray, band_pass
from streaming.ecg.heart_rate import HeartRate
from streaming.ecg.own_beats import ROOM_S, OwnBeats, is_sharp, likeness, shape_of
from streaming.ecg.quality import UNUSABLE, LeadState
from streaming.ecg.window_features import WAVE_HZ, wave_of

QRS_HZ, FILTER_S = (8.0, 20.0), 0.2
"""The band in which beats have their amplitude, and the length of its filter."""
CONSTANT_S = 1.0
"""A lead whose value has not changed for so long has no electrode: a body is never silent to the last bit."""
STUCK_S = 0.2
STUCK_RANGE_UV = 500.0
"""Where a lead moves by half a millivolt, and stands still to the last bit for 0.2 s, it is at its rail."""
QUIET_SHARE = 0.25
QUIET_AT_MOST_UV = 200.0
"""A QRS-band deflection below a quarter of the lead's usual beat, 50 to 200 microvolts, is no beat."""
KEPT_BEATS = 40
USUAL_OF = 16
LEARN_BELOW = -2.0
"""Beats are remembered as the patient's own while the log odds of a ventricular run are below this."""
TALL = 0.4
TALL_APART_S = 0.2
"""Waves of a run: this part of the tallest of the last seconds, and so far apart. A detector of QRS complexes
overlooks wide ones, the more the better it is at telling them from noise."""
WAKE_LOG_ODDS = -3.0
"""A window that looks less than this like a ventricular run is not asked for fibrillation."""


@dataclass(frozen=True, slots=True)
class SeenBeat:
    """A beat of this lead."""

    sample: int
    own: bool
    """It is narrow, and looks like this patient's beats outside of ventricular runs."""
    likeness: float
    """The correlation of its shape with that of the beat before it; 0 where it is not known."""
    confidence: float = 1.0
    """How surely it is a beat (see `Beat`)."""


@dataclass(frozen=True, slots=True)
class LeadView:
    """One lead as of sample index `now`; log odds are natural logarithms, None where the lead is flat,
    or has not been seen for long enough."""

    lead: int
    now: int
    state: LeadState
    """GOOD, RAIL or OFF: noise, wander and a flat line are judged by what is seen in them."""
    clean_since: int
    """Since this sample the state has been GOOD; `now` while it is not."""
    good_until: int
    """Up to this sample it was GOOD last; `now` while it is."""
    active_at: int
    """The last sample with a deflection that may be a QRS complex."""
    beats: tuple[SeenBeat, ...]
    waves: tuple[SeenBeat, ...]
    """Where the window looks a little like a ventricular run: its tall waves, as if they were beats."""
    is_flat: bool
    fibrillation: float | None
    run: float | None
    heart_rate: int | None

    @property
    def is_usable(self) -> bool:
        return self.state not in UNUSABLE


class LeadWatch:
    """Follows one lead tick by tick; all ticks have the same number of samples."""

    def __init__(self, lead: int, rate_hz: float, models: RhythmModels, first_sample: int) -> None:
        self._lead = lead
        self._rate_hz = rate_hz
        self._models = models
        self._detector = BeatDetector(rate_hz)
        self._detector.reset(first_sample)
        self._band_pass = ExactFir(band_pass(*QRS_HZ, rate_hz, FILTER_S)[np.newaxis])
        self._rate = HeartRate(rate_hz)
        self._own = OwnBeats()
        self._last_shape: FloatArray | None = None
        self._kept = round((FIBRILLATION_S + 1.0) * rate_hz)
        self._past: FloatArray = np.empty(0)
        self._now = self._clean_since = self._good_until = self._active_at = first_sample
        self._beats: deque[SeenBeat] = deque(maxlen=KEPT_BEATS)
        self._amplitudes: deque[float] = deque(maxlen=USUAL_OF)
        self._constant = 0
        self._run: float | None = None

    def push(self, samples_uv: FloatArray, *, is_off: bool) -> LeadView:
        """Take the next tick; `is_off` is what the device says."""
        self._count_constant(samples_uv)
        self._past = np.concatenate((self._past, samples_uv))[-self._kept :]
        self._now += len(samples_uv)
        self._note_activity(samples_uv)
        state = self._state(is_off)
        if state is LeadState.GOOD:
            self._good_until = self._now
        else:
            self._clean_since = self._now
        self._run = self._models.run.log_odds(self._wave(RUN_S)) if self._has(RUN_S) else None
        beats = self._detector.push(samples_uv)
        if beats:
            wave = wave_of(self._past, self._rate_hz)
            for beat in beats:
                self._see(beat, wave)
        return LeadView(
            self._lead,
            self._now,
            state,
            self._clean_since,
            self._good_until,
            self._active_at,
            tuple(self._beats),
            self._tall_waves(),
            self._run is None and self._has(RUN_S),
            self._fibrillation(),
            self._run,
            self._rate.value(self._now),
        )

    def _count_constant(self, samples_uv: FloatArray) -> None:
        """How many samples up to now have had the same value."""
        before = self._past[-1:] if len(self._past) else samples_uv[:1]
        changes = np.flatnonzero(np.diff(np.concatenate((before, samples_uv))))
        self._constant = (
            len(samples_uv) - 1 - int(changes[-1]) if len(changes) else self._constant + len(samples_uv)
        )

    def _note_activity(self, samples_uv: FloatArray) -> None:
        usual = float(np.median(self._amplitudes)) if self._amplitudes else 0.0
        least = min(max(MIN_AMPLITUDE_UV, QUIET_SHARE * usual), QUIET_AT_MOST_UV)
        active = np.flatnonzero(np.abs(self._band_pass.push(samples_uv)[0]) >= least)
        if len(active):
            at = self._now - len(samples_uv) + int(active[-1]) - self._band_pass.delay
            self._active_at = max(self._active_at, at)

    def _state(self, is_off: bool) -> LeadState:
        if is_off or self._constant >= CONSTANT_S * self._rate_hz:
            return LeadState.OFF
        window = self._past[-round(FIBRILLATION_S * self._rate_hz) :]
        if np.ptp(window) > STUCK_RANGE_UV and _longest_constant(window) >= STUCK_S * self._rate_hz:
            return LeadState.RAIL
        return LeadState.GOOD

    def _see(self, beat: Beat, wave: FloatArray) -> None:
        """A beat that the detector has just found; `wave` is that of all that is kept."""
        self._rate.beat(beat.sample)
        self._amplitudes.append(beat.amplitude_uv)
        kept_s = len(self._past) / self._rate_hz
        at_s = kept_s - (self._now - beat.sample) / self._rate_hz
        if not ROOM_S <= at_s <= kept_s - ROOM_S:
            self._beats.append(SeenBeat(beat.sample, own=False, likeness=0.0, confidence=beat.confidence))
            self._last_shape = None
            return
        shape = shape_of(wave, at_s)
        own = is_sharp(shape) and self._own.has(shape)
        alike = 0.0 if self._last_shape is None else likeness(shape, self._last_shape)
        self._beats.append(SeenBeat(beat.sample, own, alike, beat.confidence))
        self._last_shape = shape
        if self._run is not None and self._run < LEARN_BELOW:
            self._own.remember(shape)

    def _tall_waves(self) -> tuple[SeenBeat, ...]:
        """By amplitude alone, on the side of the line where the waves are taller."""
        if self._run is None or self._run < LEARN_BELOW:
            return ()
        wave = wave_of(self._past, self._rate_hz)
        recent = wave[-round(RUN_S * WAVE_HZ) :]
        upright = wave if recent.max() >= -recent.min() else -wave
        start_s = (self._now - len(self._past)) / self._rate_hz
        waves: list[SeenBeat] = []
        last: FloatArray | None = None
        for at in _peaks(upright, TALL * float(np.abs(recent).max()), round(TALL_APART_S * WAVE_HZ)):
            if ROOM_S * WAVE_HZ <= at < len(wave) - ROOM_S * WAVE_HZ:
                shape = shape_of(wave, at / WAVE_HZ)
                own = is_sharp(shape) and self._own.has(shape)
                alike = 0.0 if last is None else likeness(shape, last)
                sample = round((start_s + at / WAVE_HZ) * self._rate_hz)
                waves.append(SeenBeat(sample, own, alike))
                last = shape
        return tuple(waves)

    def _fibrillation(self) -> float | None:
        if self._run is None or not self._has(FIBRILLATION_S):
            return None
        if self._run < WAKE_LOG_ODDS:
            return self._run
        return self._models.fibrillation.log_odds(self._wave(FIBRILLATION_S))

    def _has(self, seconds: float) -> bool:
        return len(self._past) >= round(seconds * self._rate_hz)

    def _wave(self, seconds: float) -> FloatArray:
        return wave_of(self._past[-round(seconds * self._rate_hz) :], self._rate_hz)


def _peaks(wave: FloatArray, least: float, apart: int) -> list[int]:
    """Local maxima of at least this height in rising order; of two too close to each other the taller."""
    tops = np.flatnonzero((wave[1:-1] >= least) & (wave[1:-1] > wave[:-2]) & (wave[1:-1] >= wave[2:])) + 1
    kept: list[int] = []
    for top in tops.tolist():
        if not kept or top - kept[-1] >= apart:
            kept.append(top)
        elif wave[top] > wave[kept[-1]]:
            kept[-1] = top
    return kept


def _longest_constant(samples_uv: FloatArray) -> int:
    """The most samples in a row of one value."""
    changes = np.flatnonzero(np.diff(samples_uv))
    edges = np.concatenate(([-1], changes, [len(samples_uv) - 1]))
    return int(np.diff(edges).max())
