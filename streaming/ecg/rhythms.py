"""The rhythms that a simulated heart can have: where their beats come from, and at what rate."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from streaming.ecg import beat_times
from streaming.ecg.beat_times import BeatTimes

HEART_RATES = (20.0, 250.0)
"""Beats per minute that can be asked for."""


class Chambers(Enum):
    """What of the heart fibrillates."""

    ATRIA = auto()
    VENTRICLES = auto()


@dataclass(frozen=True, slots=True)
class Rhythm:
    """`heart_rate` in bpm, unless another of `heart_rates` is asked for; without it there are no beats."""

    description: str
    heart_rate: float | None = None
    beats: BeatTimes | None = None
    heart_rates: tuple[float, float] = HEART_RATES
    fibrillating: Chambers | None = None

    def heart_rate_or(self, asked: float | None) -> float | None:
        """What was asked for, or the rhythm's own. Raises ValueError for a rate that it cannot have."""
        if asked is None:
            return self.heart_rate
        if self.heart_rate is None:
            raise ValueError("a rhythm without beats has no heart rate")
        low, high = self.heart_rates
        if not low <= asked <= high:
            raise ValueError(f"heart rate out of bounds: must be from {low:g} to {high:g} bpm")
        return asked


ASYSTOLE = "asystole"
PULSE = "pulse"
LEAD_OFF = "lead_off"

RHYTHMS = {
    "sinus": Rhythm("Sinus rhythm", 72, beat_times.sinus),
    "af": Rhythm("Atrial fibrillation", 92, beat_times.atrial_fibrillation, fibrillating=Chambers.ATRIA),
    "pvc": Rhythm("Premature ventricular beats", 74, beat_times.premature_beats),
    "bradycardia": Rhythm("Sinus bradycardia", 42, beat_times.sinus),
    "tachycardia": Rhythm("Sinus tachycardia", 128, beat_times.sinus),
    "extreme_bradycardia": Rhythm("Extreme bradycardia", 30, beat_times.sinus, heart_rates=(20.0, 39.0)),
    "extreme_tachycardia": Rhythm("Extreme tachycardia", 170, beat_times.sinus, heart_rates=(141.0, 250.0)),
    "vt": Rhythm("Runs of ventricular tachycardia", 76, beat_times.ventricular_runs),
    "couplets": Rhythm("Premature ventricular beats in couplets", 74, beat_times.couplets),
    "bigeminy": Rhythm("Ventricular bigeminy", 74, beat_times.bigeminy),
    "vt_sustained": Rhythm(
        "Sustained ventricular tachycardia",
        170,
        beat_times.ventricular_tachycardia,
        heart_rates=(120.0, 220.0),
    ),
    "vf": Rhythm("Ventricular fibrillation", fibrillating=Chambers.VENTRICLES),
    ASYSTOLE: Rhythm("Asystole"),
    LEAD_OFF: Rhythm("Sinus rhythm, lead comes off", 80, beat_times.sinus),
    PULSE: Rhythm("Test pulse, 1 mV for 200 ms every second"),
}
"""What a simulated heart can play, by name."""

WARD_RHYTHMS = ("sinus", "af", "pvc", "bradycardia", "tachycardia", "vt", LEAD_OFF, PULSE)
"""What simulated patients take turns in where nobody names a rhythm. Loads and benches rest on it: a new
rhythm is not added here."""


def rhythm_named(name: str) -> Rhythm:
    """One of RHYTHMS. Raises ValueError for another name."""
    if name not in RHYTHMS:
        raise ValueError(f"unknown rhythm {name!r}; choose one of {', '.join(RHYTHMS)}")
    return RHYTHMS[name]
