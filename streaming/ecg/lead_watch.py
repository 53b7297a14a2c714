"""What one lead shows now: whether it carries a signal, its beats, and what its waves look like."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from streaming.ecg.beats import BEAT_SCORE, MIN_AMPLITUDE_UV, Beat, BeatDetector
from streaming.ecg.fibrillation import RUN_S
from streaming.ecg.filters import ExactFir, FloatArray, MovingMedian, band_pass
from streaming.ecg.holes import Holes
from streaming.ecg.lead_waves import LeadWaves
from streaming.ecg.own_beats import ROOM_S, OwnBeats, likenesses, shapes_of
from streaming.ecg.quality import WITHOUT_SIGNAL, LeadState
from streaming.ecg.window_features import WAVE_HZ

SETTLE_S = 1.0
"""When a lead comes back its baseline steps by millivolts: learnt as a beat, that hides the true ones."""
QRS_HZ, FILTER_S = (8.0, 20.0), 0.2
"""The band in which beats have their amplitude; its filter is longer than the detector's, and rings less."""
QUIET_SHARE = 0.25
QUIET_AT_MOST_UV = 200.0
"""A QRS-band deflection below a quarter of the lead's usual beat, 50 to 200 microvolts, is no beat."""
SPIKE_S = 0.02
"""A deflection shorter than half of this is a pacemaker's spike, and not the heart's: no QRS is."""
KEPT_BEATS = 40
USUAL_OF = 16
FIRST_BEATS = 8
"""The usual beat is the median of the last 16. From the eighth on none counts that is as small as what is no
beat, unless it is the patient's own: where the ventricles stand still, P waves would become the usual."""
LEARN_BELOW = -2.0
"""Beats are remembered as the patient's own while the log odds of a ventricular run are below this."""
SEARCHED = 1 / (1 + math.exp(-BEAT_SCORE))
"""A beat that is surer has been found at once, one that is not by search-back."""
TALL = 0.4
TALL_APART_S = 0.2
"""Waves of a run: this part of the tallest of the last seconds, and so far apart. A detector of QRS complexes
overlooks wide ones, the more the better it is at telling them from noise."""


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
    apart: bool = False
    """A hole lies between it and the beat before it, and may hide another one."""


@dataclass(frozen=True, slots=True)
class LeadView:
    """One lead as of sample index `now`; log odds are natural logarithms, None where the lead is flat,
    or has not been seen for long enough."""

    lead: int
    now: int
    state: LeadState
    clean_since: int
    """Since this sample the lead has had a signal; `now` while it has none."""
    good_until: int
    """Up to this sample it had one last; `now` while it has."""
    active_at: int
    """The last sample with a deflection that may be a QRS complex."""
    beats: tuple[SeenBeat, ...]
    waves: tuple[SeenBeat, ...]
    """Where the window looks a little like a ventricular run: its tall waves, as if they were beats."""
    is_flat: bool
    fibrillation: float | None
    run: float | None
    doubtful: tuple[SeenBeat, ...] = ()
    """What looks like a beat, and touches a hole: it is not counted, but it may be one."""
    missing: int = 0
    """So many samples since `active_at` have not been seen."""

    @property
    def is_usable(self) -> bool:
        """Noise, wander and a flat line are judged by what is seen in them."""
        return self.state not in WITHOUT_SIGNAL


class LeadWatch:
    """Follows one lead tick by tick: number `place` of those that are followed, `lead` of the stream's."""

    def __init__(
        self, place: int, lead: int, rate_hz: float, first_sample: int, holes: Holes | None = None
    ) -> None:
        self.found: list[Beat] = []
        """The beats that became certain at the last tick, as of lead `place`."""
        self._place = place
        self._lead = lead
        self._rate_hz = rate_hz
        self._holes = holes or Holes(rate_hz)
        self._detector = BeatDetector(rate_hz, lead=place)
        self._detector.reset(first_sample)
        self._without_spikes = MovingMedian(round(SPIKE_S * rate_hz) | 1)
        self._band_pass = ExactFir(band_pass(*QRS_HZ, rate_hz, FILTER_S)[np.newaxis])
        self._own = OwnBeats()
        self._last_shape: FloatArray | None = None
        self._now = self._clean_since = self._good_until = self._active_at = first_sample
        self._beats: deque[SeenBeat] = deque(maxlen=KEPT_BEATS)
        self._doubtful: deque[SeenBeat] = deque(maxlen=KEPT_BEATS)
        self._last_found = first_sample
        self._amplitudes: deque[float] = deque(maxlen=USUAL_OF)
        self._waves: tuple[SeenBeat, ...] = ()
        self._is_off = False
        self._beats_from = first_sample
        """Before this sample the lead is left to settle."""

    def push(
        self, samples_uv: FloatArray, state: LeadState, waves: LeadWaves, *, stands_still: bool = False
    ) -> LeadView:
        """Take the next tick, (n,), which `waves` has taken already; nothing that is seen while the heart
        `stands_still`, as an alarm says, is usual."""
        self._now += len(samples_uv)
        if state in WITHOUT_SIGNAL:
            self._clean_since = self._now
        else:
            self._good_until = self._now
        self._note_activity(samples_uv)
        self.found = self._without_holes(self._find(samples_uv, state))
        if self.found:
            self._see(self.found, waves, stands_still=stands_still)
        if waves.has_looked:
            self._waves = self._tall_waves(waves)
        return LeadView(
            self._lead,
            self._now,
            state,
            self._clean_since,
            self._good_until,
            self._active_at,
            tuple(self._beats),
            self._waves,
            waves.is_flat(self._place),
            waves.fibrillation[self._place],
            waves.run[self._place],
            tuple(self._doubtful),
            self._holes.missing(self._active_at, self._now),
        )

    def _find(self, samples_uv: FloatArray, state: LeadState) -> list[Beat]:
        """The beats that are certain by now; none while the lead is off, nor until it has settled again."""
        was_off, self._is_off = self._is_off, state is LeadState.OFF
        if self._is_off:
            return []
        if was_off:
            self._amplitudes.clear()
            self._active_at = self._now
            self._beats_from = self._now + round(SETTLE_S * self._rate_hz)
            self._detector.reset(self._beats_from)
        first = self._now - len(samples_uv)
        return self._detector.push(samples_uv[max(0, self._beats_from - first) :])

    def _without_holes(self, found: Sequence[Beat]) -> list[Beat]:
        """The beats that were seen whole, and none that search-back found because a hole hid another."""
        seen: list[Beat] = []
        for beat in found:
            last, self._last_found = self._last_found, beat.sample
            if self._holes.touch(beat.sample):
                self._doubtful.append(SeenBeat(beat.sample, own=False, likeness=0.0, apart=True))
            elif beat.confidence > SEARCHED or not self._holes.between(last, beat.known_at):
                seen.append(beat)
        return seen

    def _note_activity(self, samples_uv: FloatArray) -> None:
        band = self._band_pass.push(self._without_spikes.push(samples_uv))[0]
        active = np.flatnonzero(np.abs(band) >= self._least_uv())
        if len(active):
            delay = self._band_pass.delay + self._without_spikes.delay
            at = self._now - len(samples_uv) + int(active[-1]) - delay
            self._active_at = max(self._active_at, at)

    def _least_uv(self) -> float:
        """What is smaller is no beat."""
        usual = sorted(self._amplitudes)[len(self._amplitudes) // 2] if self._amplitudes else 0.0
        return min(max(MIN_AMPLITUDE_UV, QUIET_SHARE * usual), QUIET_AT_MOST_UV)

    def _see(self, found: Sequence[Beat], waves: LeadWaves, *, stands_still: bool) -> None:
        """Beats that the detector has just found."""
        run = waves.run[self._place]
        for beat in found:
            shape = self._shape_of(beat, waves)
            own, alike = False, 0.0
            if shape is not None:
                (own,) = self._own.have(shape)
                if self._last_shape is not None:
                    (alike,) = likenesses(shape, self._last_shape)
            apart = bool(self._beats) and self._holes.between(self._beats[-1].sample, beat.sample)
            self._beats.append(SeenBeat(beat.sample, own, alike, beat.confidence, apart))
            self._last_shape = shape
            is_first = len(self._amplitudes) < FIRST_BEATS
            if own or (not stands_still and (is_first or beat.amplitude_uv >= self._least_uv())):
                self._amplitudes.append(beat.amplitude_uv)
                if shape is not None and run is not None and run < LEARN_BELOW:
                    self._own.remember(shape[0])

    def _shape_of(self, beat: Beat, waves: LeadWaves) -> FloatArray | None:
        """Its surroundings, (1, 41), if they are known."""
        at_s = waves.kept_s - (self._now - beat.sample) / self._rate_hz
        if not ROOM_S <= at_s <= waves.kept_s - ROOM_S:
            return None
        return shapes_of(waves.wave(self._place), [at_s])

    def _tall_waves(self, waves: LeadWaves) -> tuple[SeenBeat, ...]:
        """By amplitude alone, on the side of the line where the waves are taller."""
        run = waves.run[self._place]
        if run is None or run < LEARN_BELOW:
            return ()
        wave = waves.wave(self._place)
        recent = wave[-round(RUN_S * WAVE_HZ) :]
        upright = wave if recent.max() >= -recent.min() else -wave
        tall = _peaks(upright, TALL * float(np.abs(recent).max()), round(TALL_APART_S * WAVE_HZ))
        at_s = [at / WAVE_HZ for at in tall if ROOM_S * WAVE_HZ <= at < len(wave) - ROOM_S * WAVE_HZ]
        if not at_s:
            return ()
        shapes = shapes_of(wave, at_s)
        alike = [0.0, *likenesses(shapes[1:], shapes[:-1])]
        start = self._now - round(waves.kept_s * self._rate_hz)
        samples = [start + round(at * self._rate_hz) for at in at_s]
        apart = [False, *(self._holes.between(last, at) for last, at in pairwise(samples))]
        return tuple(
            SeenBeat(at, own, likeness, apart=is_apart)
            for at, own, likeness, is_apart in zip(samples, self._own.have(shapes), alike, apart, strict=True)
        )


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
