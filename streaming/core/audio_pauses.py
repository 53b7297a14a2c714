"""Who has asked for silence, and for how long: a pause has an end, and a new alarm is one."""

from __future__ import annotations

from collections.abc import Container, Hashable


class AudioPauses:
    """Pauses by who asked. Sound is what there is without one.

    `now` is in seconds, of a clock that does not step: set back, a time of day would make a pause longer.
    """

    def __init__(self) -> None:
        self._until: dict[Hashable, float] = {}

    def pause(self, who: Hashable, seconds: float, now: float) -> None:
        """No sound for so long; 0 ends a pause."""
        self._until = {other: until for other, until in self._until.items() if until > now}
        if seconds > 0:
            self._until[who] = now + seconds
        else:
            self._until.pop(who, None)

    def left_s(self, who: Hashable, now: float) -> float | None:
        """How long the pause goes on; None where there is none."""
        left_s = self._until.get(who, now) - now
        return left_s if left_s > 0 else None

    def break_for(self, who: Hashable, now: float) -> bool:
        """End a pause before its time; whether there was one."""
        return self._until.pop(who, now) > now

    def break_but_for(self, present: Container[Hashable]) -> None:
        """End the pauses of all others."""
        self._until = {who: until for who, until in self._until.items() if who in present}
