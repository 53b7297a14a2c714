"""When an alarm is due for this patient, and whether any is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_RATE = (20, 300)
BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "hr_high": _RATE,
        "hr_low": _RATE,
        "extreme_tachycardia": _RATE,
        "extreme_bradycardia": _RATE,
        "asystole_s": (3.0, 10.0),
        "run_beats": (3, 15),
        "run_rate": _RATE,
        "hr_signal_delay_s": (0.0, 10.0),
    }
)
"""The least and the greatest value of each limit: beats a minute, seconds, beats."""


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
        for name, (least, greatest) in BOUNDS.items():
            if not least <= getattr(self, name) <= greatest:
                raise ValueError(f"{name} is {least:g} to {greatest:g}")


@dataclass(frozen=True, slots=True)
class AlarmSettings:
    """What has been set for one patient."""

    limits: AlarmLimits = field(default_factory=AlarmLimits)
    is_off: bool = False
    """No alarm is raised but the one that says so."""
