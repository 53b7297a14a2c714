"""A patient made of numbers: an endless ECG of a rhythm or a scenario, with the truth about all of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from math import inf

import numpy as np
from numpy.typing import NDArray

from streaming.ecg.artefacts import LEAD_OFF, LEVELS_MV, Artefact, ArtefactSpan, Noise, carries
from streaming.ecg.fibrillatory_waves import AtrialFibrillation, VentricularFibrillation
from streaming.ecg.labels import Label, RhythmOnset, SimulatedBeat, sample_of
from streaming.ecg.leads import DOWER, LIMB, derive_leads, measured_leads
from streaming.ecg.rhythms import ASYSTOLE, PULSE, RHYTHMS, Chambers
from streaming.ecg.rhythms import LEAD_OFF as LEAD_COMES_OFF
from streaming.ecg.scenario import Disturbance, Phase, Scenario
from streaming.ecg.upcoming import BeatPlan, Upcoming
from streaming.ecg.waves import BeatShape, render_beat
from streaming.exceptions import ScenarioError

MAX_LABELS = 20_000
"""Beats, and as many other labels, that a simulator keeps: more than four hours at 80 bpm, and a bound for
one that runs for weeks."""
RAIL_UV = 10_000.0
"""Where the simulated amplifier saturates."""
BLOCK = 256
"""Samples made at once, whatever `read` asks for: the reason why chunking cannot change the signal."""
HORIZON_S = 1.0
"""How far ahead beats are planned: a P wave reaches 0.75 s back from its R peak at 20 bpm."""
NEVER = 2**62
FADE_S = 0.1
"""How long fibrillation takes to come and to go within its phase."""
LAST_BREATH_S = 1.0
"""How long the baseline takes to come to rest in a standstill, and to move again before its end."""


class Simulator:
    """An endless ECG, the same for the same arguments, however it is read.

    A sum of Gaussians per beat (`waves`), placed by the rhythm (`beat_times`), seen by each lead through
    Dower's matrix (`leads`), with baseline wander, muscle noise, a little mains hum and the scenario's
    artefacts (`artefacts`), and digitised as int16 with `gain_uv` microvolts per step and baseline 0. `plays`
    is one of RHYTHMS, or a scenario, whose last rhythm goes on when it has ended. `leads` are names out of
    TWELVE_LEADS. `heart_rate` in bpm replaces the own one of a rhythm. Raises ValueError for an unknown
    rhythm or lead, and a rate, heart rate or gain out of bounds; ScenarioError for an artefact that these
    leads or this rate cannot show.
    """

    def __init__(
        self,
        plays: str | Scenario,
        *,
        rate_hz: float,
        leads: tuple[str, ...] = ("II",),
        seed: int,
        heart_rate: float | None = None,
        gain_uv: float = 5.0,
    ) -> None:
        if not 50 <= rate_hz <= 2000 or not 0.1 <= gain_uv <= 100:
            raise ValueError("bounds: 50-2000 Hz, 0.1-100 microvolts per step")
        if isinstance(plays, Scenario) and heart_rate is not None:
            raise ValueError("a scenario has its own heart rates")
        scenario = plays if isinstance(plays, Scenario) else Scenario((Phase(0.0, inf, plays, heart_rate),))
        self.rate_hz = rate_hz
        self.leads = leads
        self.gain_uv = gain_uv
        self.position = 0
        """Sample index of the first sample that has not been read."""

        self._measured = measured_leads(leads)
        _require_visible(scenario, self._measured, rate_hz)
        self._rail = min(32767, round(RAIL_UV / gain_uv))
        self._made = 0
        self._ready = np.empty((len(leads), 0), np.int16)
        self._beats: deque[SimulatedBeat] = deque(maxlen=MAX_LABELS)
        self._onsets: deque[RhythmOnset | ArtefactSpan] = deque(maxlen=MAX_LABELS)

        beats_rng, noise_rng, lead_off_rng, heart_rng = map(
            np.random.default_rng, np.random.SeedSequence(seed).spawn(4)
        )
        self._plan = BeatPlan(beats_rng, scenario.played_phases())
        self._dower = np.array([DOWER[name] for name in self._measured])
        self._dipole = np.zeros((3, 0))
        """Beats already drawn, from `_made` on, in millivolts; grows when a beat reaches further."""
        self._noise = Noise(noise_rng, self._measured, rate_hz)
        self._fibrillation: dict[Chambers, AtrialFibrillation | VentricularFibrillation] = {
            Chambers.ATRIA: AtrialFibrillation(heart_rng),
            Chambers.VENTRICLES: VentricularFibrillation(heart_rng),
        }
        self._phases = Upcoming(scenario.played_phases(), self._index)
        comes_off = scenario.phases[0].rhythm == LEAD_COMES_OFF
        self._disturbances = Upcoming(
            _lead_off_episodes(lead_off_rng, leads[0]) if comes_off else scenario.played_disturbances(),
            self._index,
        )
        self._playing: deque[Phase] = deque()
        """The phases that the block in the making can lie in."""
        self._spans: list[ArtefactSpan] = []
        """The artefacts that have begun in what was made, and not ended in what was read."""

    @property
    def beats(self) -> list[SimulatedBeat]:
        """The true R peaks before `position`, oldest first; the last MAX_LABELS of them."""
        return [beat for beat in self._beats if beat.sample < self.position]

    @property
    def onsets(self) -> list[RhythmOnset | ArtefactSpan]:
        """Where rhythms and artefacts began before `position`, oldest first; the last MAX_LABELS of them."""
        return [onset for onset in self._onsets if sample_of(onset) < self.position]

    def labels_from(self, first: int) -> list[Label]:
        """All labels from sample index `first` up to `position`, in order: of one sample, onsets first."""
        found: list[Label] = []
        for kept in (self._beats, self._onsets):
            for label in reversed(kept):
                if sample_of(label) < first:
                    break
                if sample_of(label) < self.position:
                    found.append(label)
        found.reverse()
        return sorted(found, key=sample_of)

    @property
    def leads_off(self) -> tuple[str, ...]:
        """The leads whose electrode was off at the last sample read, which then is no ECG."""
        last = self.position - 1
        off = [span for span in self._spans if span.kind in LEAD_OFF and span.first <= last < span.stop]
        return tuple(name for name in self.leads if any(span.spoils(name) for span in off))

    def read(self, n: int) -> NDArray[np.int16]:
        """The next `n` samples, (leads, n)."""
        blocks = [self._ready]
        while self._made - self.position < n:
            blocks.append(self._block())
        ready = np.concatenate(blocks, axis=1)
        self._ready = ready[:, n:]
        self.position += n
        if self._spans:
            self._spans = [span for span in self._spans if span.stop >= self.position]
        return np.ascontiguousarray(ready[:, :n])

    def _block(self) -> NDArray[np.int16]:
        """BLOCK more samples, (leads, BLOCK)."""
        self._begin_what_is_due()
        times = np.arange(self._made, self._made + BLOCK) / self.rate_hz
        millivolts = self._dower @ self._heart(times)
        if any(phase.rhythm != PULSE for phase in self._playing):
            self._noise.spoil(millivolts, self._made, self._spans, self._breath(times))
        block = derive_leads(self.leads, self._measured, self._digitise(millivolts))
        self._play_test_pulse(block, times)
        self._take_leads_off(block)
        self._made += BLOCK
        return block

    def _begin_what_is_due(self) -> None:
        """Take in, and label, the phases and artefacts that begin in the block that starts at `_made`."""
        begun: list[RhythmOnset | ArtefactSpan] = []
        for phase in self._phases.before(self._made + BLOCK):
            self._playing.append(phase)
            heart_rate = RHYTHMS[phase.rhythm].heart_rate_or(phase.heart_rate)
            begun.append(RhythmOnset(self._index(phase.at_s), phase.rhythm, heart_rate))
        for one in self._disturbances.before(self._made + BLOCK):
            first, stop = self._index(one.at_s), self._index(one.at_s + one.for_s)
            level_mv = LEVELS_MV.get(one.kind) if one.level_mv is None else one.level_mv
            span = ArtefactSpan(first, stop, one.kind, one.lead, level_mv)
            self._spans.append(span)
            begun.append(span)
        self._onsets.extend(sorted(begun, key=sample_of))
        while self._index(self._playing[0].stop_s) <= self._made:
            self._playing.popleft()

    def _heart(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """X, Y, Z of the heart's dipole in millivolts, (3, BLOCK)."""
        self._draw_beats(before_s=float(times[-1]) + HORIZON_S)
        dipole, self._dipole = self._dipole[:, :BLOCK], self._dipole[:, BLOCK:]
        for phase in self._playing:
            chambers = RHYTHMS[phase.rhythm].fibrillating
            if chambers is not None:
                dipole = dipole + _share(phase, times, FADE_S) * self._fibrillation[chambers].block(times)
        return dipole

    def _breath(self, times: NDArray[np.float64]) -> NDArray[np.float64] | float:
        """How much of it there is: 1, but where the heart stands still."""
        still = [_share(phase, times, LAST_BREATH_S) for phase in self._playing if phase.rhythm == ASYSTOLE]
        return 1.0 - np.sum(still, axis=0) if still else 1.0

    def _draw_beats(self, *, before_s: float) -> None:
        """Add every planned beat whose R peak comes before `before_s` to the dipole, and to the labels."""
        self._make_room(BLOCK)
        for beat in self._plan.beats_before(before_s):
            first, wave = render_beat(
                beat.shape, time_s=beat.time_s, rr_s=beat.rr_s, scale=beat.scale, rate_hz=self.rate_hz
            )
            at = first - self._made
            if at < 0:  # only the first beat of all reaches back before the first sample
                wave, at = wave[:, -at:], 0
            self._make_room(at + wave.shape[1])
            self._dipole[:, at : at + wave.shape[1]] += wave
            ventricular = beat.shape is BeatShape.VENTRICULAR
            self._beats.append(SimulatedBeat(self._index(beat.time_s), ventricular))

    def _make_room(self, n: int) -> None:
        missing = n - self._dipole.shape[1]
        if missing > 0:
            self._dipole = np.concatenate((self._dipole, np.zeros((3, missing))), axis=1)

    def _digitise(self, millivolts: NDArray[np.float64]) -> NDArray[np.int16]:
        steps = np.rint(millivolts * (1000.0 / self.gain_uv))
        return np.clip(steps, -self._rail, self._rail).astype(np.int16)

    def _play_test_pulse(self, block: NDArray[np.int16], times: NDArray[np.float64]) -> None:
        """The same square wave on every lead, without noise: a ruler, not a signal of a body."""
        for phase in self._playing:
            if phase.rhythm == PULSE:
                during = self._part_of_block(self._index(phase.at_s), self._index(phase.stop_s))
                # A microsecond late, so that 1.2 s, which in floats is a little less, ends the pulse.
                begun_s = self._index(phase.at_s) / self.rate_hz - 1e-6
                block[:, during] = self._digitise(np.where((times - begun_s) % 1.0 < 0.2, 1.0, 0.0))[during]

    def _take_leads_off(self, block: NDArray[np.int16]) -> None:
        """Replace, in place, what a loose electrode spoils in the block that starts at `_made`."""
        for span in self._spans:
            if span.kind in LEAD_OFF:
                loose = [row for row, name in enumerate(self.leads) if span.spoils(name)]
                reads = self._rail if span.kind is Artefact.LEAD_OFF_RAIL else 0
                block[loose, self._part_of_block(span.first, span.stop)] = reads

    def _part_of_block(self, first: int, stop: int) -> slice:
        return slice(max(first - self._made, 0), max(stop - self._made, 0))

    def _index(self, time_s: float) -> int:
        """The nearest sample; of a time without end one that is never reached."""
        return round(time_s * self.rate_hz) if time_s < inf else NEVER


def _share(phase: Phase, times: NDArray[np.float64], fade_s: float) -> NDArray[np.float64]:
    """0 outside of the phase, 1 within it; it comes and goes within the phase, in `fade_s`."""
    inside_s = np.minimum(times - phase.at_s, phase.stop_s - times)
    share: NDArray[np.float64] = np.clip(inside_s / fade_s, 0.0, 1.0)
    return share


def _require_visible(scenario: Scenario, measured: tuple[str, ...], rate_hz: float) -> None:
    """Raise ScenarioError for an artefact that would be labelled and not there."""
    for number, one in enumerate(scenario.disturbances, start=1):
        table = f"artefact {number}"
        if one.lead is not None and one.lead not in measured:
            raise ScenarioError(table, "lead", f"{one.lead} is not among {', '.join(measured)}")
        if not carries(one.kind, rate_hz):
            raise ScenarioError(table, "kind", f"{one.kind} needs a higher rate than {rate_hz:g} Hz")


def _lead_off_episodes(rng: np.random.Generator, lead: str) -> Iterator[Disturbance]:
    """An electrode off for 4 to 8 s, first after 10 to 20 s, then every 20 to 40 s.

    A computed limb lead loses II.
    """
    lead = "II" if lead in LIMB else lead
    time_s = rng.uniform(10.0, 20.0)
    while True:
        lasts_s = rng.uniform(4.0, 8.0)
        kind = Artefact.LEAD_OFF_RAIL if rng.random() < 0.5 else Artefact.LEAD_OFF_FLAT
        yield Disturbance(time_s, lasts_s, kind, lead)
        time_s += lasts_s + rng.uniform(20.0, 40.0)
