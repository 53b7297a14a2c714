"""Where the heart beats: a causal QRS detector that takes one lead chunk by chunk."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from streaming.ecg import qrs_model
from streaming.ecg.filters import FloatArray
from streaming.ecg.morphology import Morphology
from streaming.ecg.qrs_bands import FAST, QRS, QrsBands
from streaming.ecg.qrs_evidence import AFTER_S, BEFORE_S, Learned, Peak, Surroundings

REFRACTORY_S = 0.16
"""No heart beats twice within it. With 200 ms, a P wave taken for a beat hides the QRS that follows it."""
MIN_AMPLITUDE_UV = 50.0
"""A QRS of 0.15 mV and 100 ms has this size in the pass band; all true beats but one of twelve mitdb records
have 64 or more. It keeps noise from becoming beats when the heart stands still."""
FAINT = 0.08
"""What in both bands is less than this part of the usual height is no beat, and not worth a look."""
BEAT_SCORE = 0.4
"""A peak is a beat where the odds are 3 to 2: more would lose small beats in noise, less find P waves."""
SURE_SCORE = 1.5
"""A beat teaches its shape where the odds are 4.5 to 1."""
SEARCH_BACK_RR = 1.4
SEARCH_BACK_FROM_S, SEARCH_BACK_TO_RR = 0.30, 1.05
SEARCH_BACK_SCORE = -2.0
"""After 1.4 RR without a beat, the likeliest peak 0.3 s to 1.05 RR after it is one at odds of 1 to 7."""
LEARNING_S = 2.0
RELEARN_S = 4.0
"""Levels are learned from 2 s of peaks; anew after 4 s without a beat: an artefact may have raised them."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A QRS complex: where the band-passed signal is largest, and its absolute value there.

    `lead` is the index of the lead that `sample` and `amplitude_uv` were measured on; `confidence`, from
    0 to 1, says how surely this is a beat; `ventricular`, whether it began in a ventricle. `known_at` is the
    index of the sample that made it certain.
    """

    sample: int
    amplitude_uv: float
    lead: int = 0
    confidence: float = 1.0
    ventricular: bool = False
    known_at: int = 0


class BeatDetector:
    """Finds the beats of one lead, at 50 to 2000 Hz; any chunking gives the same beats, to the last bit.

    The order of Pan and Tompkins (A real-time QRS detection algorithm, 1985): band-pass, derivative, moving
    window, peaks, decision by levels that adapt, search-back. Deviations:

    - three bands in place of one: noise of movement lies below 20 Hz, the edges of a QRS complex above (see
      `qrs_bands`); linear-phase FIR filters in place of recursive ones, absolute values in place of squares;
    - in place of a threshold, a small network weighs 27 numbers of each peak: its height beside the last
      eight beats' (medians, as in Hamilton and Tompkins, Quantitative investigation of QRS detection rules,
      1986) and beside its surroundings, its likeness to a learned shape, the time since the last beat beside
      the usual interval (see `qrs_evidence`, `qrs_model`); so there is no rule of its own for T waves;
    - a quarter of a second after a peak is seen before it is judged;
    - search-back at 1.4 RR in place of 1.66, by the same odds;
    - levels are learned in 2 s, from the highest peak, and again after 4 s without a beat; nothing below
      50 microvolts in the pass band is a beat.

    Beats are told to be `ventricular` where `tells_ventricular`; that takes a tenth of the time.

    A beat is known 0.4 s after its R peak; one found by search-back later than that, by up to half an RR
    interval; those of the first 2 s, at their end.
    """

    def __init__(
        self,
        rate_hz: float,
        model: qrs_model.Model = qrs_model.log_odds,
        *,
        lead: int = 0,
        tells_ventricular: bool = True,
    ) -> None:
        self._rate_hz = rate_hz
        self._model = model
        self._lead = lead
        self._tells_ventricular = tells_ventricular
        self.reset(0)

    def reset(self, at_sample: int) -> None:
        """Samples before `at_sample` are missing: begin anew there, and find no beat across the gap."""
        self._bands = QrsBands(self._rate_hz, at_sample, BEFORE_S + AFTER_S)
        morphology = Morphology(self._rate_hz) if self._tells_ventricular else None
        self._rules = _Rules(self._rate_hz, self._model, self._lead, morphology, at_sample)
        self._next_sample = at_sample
        self._last_value = 0.0

    def push(self, samples_uv: FloatArray) -> list[Beat]:
        """Take the next samples, (n,), in microvolts; the beats that are certain by now, in rising order.

        A sample that is no finite number is missing: `finish`, then `reset` behind it.
        """
        if not len(samples_uv):
            return []
        if np.isfinite(samples_uv).all():
            self._next_sample += len(samples_uv)
            self._last_value = float(samples_uv[-1])
            return self._rules.push(self._bands, samples_uv)
        return self._push_around_holes(samples_uv)

    def finish(self) -> list[Beat]:
        """A gap follows, or nothing: the beats that were not certain yet. Then only `reset` is allowed."""
        rest = self._next_sample - self._bands.stop + self._rules.needs_after + 1
        found = self._rules.push(self._bands, np.full(rest, self._last_value))
        return [beat for beat in found if beat.sample < self._next_sample]

    def _push_around_holes(self, samples_uv: FloatArray) -> list[Beat]:
        finite = np.isfinite(samples_uv)
        cuts = np.flatnonzero(np.diff(finite)) + 1
        beats: list[Beat] = []
        for stretch in np.split(samples_uv, cuts):
            if np.isfinite(stretch[0]):
                beats += self.push(stretch)
            else:
                beats += self.finish()
                self.reset(self._next_sample + len(stretch))
        return beats


class _Rules:
    """From peaks to beats. Its time is that of the bands: chunks leave no trace."""

    def __init__(
        self,
        rate_hz: float,
        model: qrs_model.Model,
        lead: int,
        morphology: Morphology | None,
        first_sample: int,
    ) -> None:
        self._rate_hz = rate_hz
        self._lead = lead
        self._model = model
        self._morphology = morphology
        self._first_sample = first_sample
        self._surroundings = Surroundings(rate_hz)
        self.needs_after = self._surroundings.needs_after
        self._refractory = round(REFRACTORY_S * rate_hz)
        self._learning = round(LEARNING_S * rate_hz)
        self._relearning = round(RELEARN_S * rate_hz)
        self._search_from = round(SEARCH_BACK_FROM_S * rate_hz)
        self._pending: deque[int] = deque()
        """Peaks of which too little is known yet."""
        self._rejected: deque[tuple[Peak, float]] = deque()
        """Peaks since the last beat that were not taken for one, with their scores."""
        self._learned: Learned | None = None
        self._learn_at: float = first_sample + self._learning
        self._search_at = math.inf

    def push(self, bands: QrsBands, samples_uv: FloatArray) -> list[Beat]:
        """Let the bands take the samples, and do what falls due, in order."""
        self._pending += bands.push(samples_uv)
        now = bands.stop - 1 - self.needs_after
        lag = self.needs_after + bands.lag
        beats: list[Beat] = []
        while True:
            peak_at = self._pending[0] if self._pending else math.inf
            due = min(peak_at, self._learn_at, self._search_at)
            if due > now:
                return beats
            if due == peak_at:
                found = self._look_at(bands, self._pending.popleft())
            elif due == self._learn_at:
                found = self._learn()
            else:
                found = self._search_back()
            beats += [replace(beat, known_at=math.ceil(due) + lag) for beat in found]

    def _look_at(self, bands: QrsBands, at: int) -> list[Beat]:
        learned = self._learned
        if learned is not None:
            if learned.last is not None and at - learned.last.at <= self._refractory:
                return []
            qrs, fast, _ = bands.strengths[:, at - bands.strengths_from].tolist()
            if qrs < FAINT * learned.levels[QRS] and fast < FAINT * learned.levels[FAST]:
                return []
        peak = self._surroundings.peak(bands, at)
        if peak is None or peak.sample < self._first_sample:
            return []
        return self._decide(peak)

    def _decide(self, peak: Peak) -> list[Beat]:
        learned = self._learned
        if learned is None:
            self._reject(peak, 0.0)
            return []
        if learned.last is not None and peak.at - learned.last.at <= self._refractory:
            return []
        score = self._model(learned.evidence(peak, self._rate_hz))
        if score > BEAT_SCORE and peak.amplitude_uv >= MIN_AMPLITUDE_UV:
            return [self._accept(learned, peak, score)]
        self._reject(peak, score)
        return []

    def _reject(self, peak: Peak, score: float) -> None:
        self._rejected.append((peak, score))
        while self._rejected[0][0].at < peak.at - self._relearning:
            self._rejected.popleft()

    def _accept(self, learned: Learned, peak: Peak, score: float) -> Beat:
        last, interval = learned.last, learned.interval
        prematurity = (peak.at - last.at) / interval if last is not None and interval else 1.0
        ventricular = False
        if self._morphology is not None:
            ventricular = self._morphology.is_ventricular(peak.wave, prematurity)
        learned.accept(peak, sure=score > SURE_SCORE)
        while self._rejected and self._rejected[0][0].at <= peak.at:
            self._rejected.popleft()
        self._learn_at = peak.at + self._relearning
        self._search_at = peak.at + SEARCH_BACK_RR * learned.interval if learned.interval else math.inf
        confidence = 1 / (1 + math.exp(-score))
        return Beat(peak.sample, peak.amplitude_uv, self._lead, confidence, ventricular)

    def _search_back(self) -> list[Beat]:
        """The likeliest peak since the last beat, now that the next one is overdue."""
        learned = self._learned
        self._search_at = math.inf
        if learned is None or learned.last is None:
            return []
        first = learned.last.at + self._search_from
        last = learned.last.at + SEARCH_BACK_TO_RR * learned.interval
        likely = [
            each
            for each in self._rejected
            if first < each[0].at <= last
            and each[1] > SEARCH_BACK_SCORE
            and each[0].amplitude_uv >= MIN_AMPLITUDE_UV
        ]
        if not likely:
            return []
        peak, score = max(likely, key=lambda each: each[1])
        return [self._accept(learned, peak, score)]

    def _learn(self) -> list[Beat]:
        """Take the highest of the recent peaks for a QRS, and decide about all of them again."""
        first = self._learn_at - self._learning
        self._learn_at += self._learning
        self._search_at = math.inf
        recent = [peak for peak, _ in self._rejected if peak.at >= first]
        large = [peak for peak in recent if peak.amplitude_uv >= MIN_AMPLITUDE_UV]
        self._rejected.clear()
        beats: list[Beat] = []
        if large:
            self._learned = Learned(max(large, key=lambda peak: peak.heights[QRS]))
            for peak in recent:
                beats += self._decide(peak)
        return beats
