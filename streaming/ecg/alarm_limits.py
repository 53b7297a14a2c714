"""When an alarm is due for this patient, and whether any is."""

from __future__ import annotations

from dataclasses import dataclass, field

RATE_BOUNDS = (20, 300)
"""Beats a minute that a limit may have."""
LONGEST_SIGNAL_DELAY_S = 10.0


@dataclass(frozen=True, slots=True)
class AlarmLimits:
    """Limits of one patient; the defaults are those of the PhysioNet/CinC Challenge 2015, rates in bpm.

    Raises ValueError for a limit out of bounds, or on the wrong side of another.
    """

    hr_high: int = 120
    hr_low: int = 50
    extreme_tachycardia: int = 140
    extreme_bradycardia: int = 40
    asystole_s: float = 4.0
    run_beats: int = 5
    """A ventricular run has at least so many beats, and at least this rate:"""
    run_rate: int = 100
    hr_signal_delay_s: float = 2.0
    """The signal of HR high and low waits for so long: what has passed by then makes no noise."""

    def __post_init__(self) -> None:
        order = (self.extreme_bradycardia, self.hr_low, self.hr_high, self.extreme_tachycardia)
        if list(order) != sorted(order) or self.hr_low == self.hr_high:
            raise ValueError("limits must rise: extreme bradycardia, HR low, HR high, extreme tachycardia")
        lowest, highest = RATE_BOUNDS
        if not all(lowest <= rate <= highest for rate in (*order, self.run_rate)):
            raise ValueError(f"rates are {lowest} to {highest} bpm")
        if not 3.0 <= self.asystole_s <= 10.0:
            raise ValueError("asystole_s is 3 to 10 s")
        if not 3 <= self.run_beats <= 15:
            raise ValueError("run_beats is 3 to 15")
        if not 0.0 <= self.hr_signal_delay_s <= LONGEST_SIGNAL_DELAY_S:
            raise ValueError(f"hr_signal_delay_s is 0 to {LONGEST_SIGNAL_DELAY_S:g} s")


@dataclass(frozen=True, slots=True)
class AlarmSettings:
    """What has been set for one patient."""

    limits: AlarmLimits = field(default_factory=AlarmLimits)
    is_off: bool = False
    """No alarm is raised but the one that says so."""
