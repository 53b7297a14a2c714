"""What one viewer shows, as docs/protocol.md has it: each alarm once, until it is closed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from streaming.core.alarm_record import AlarmState

SETTLING_S = 20.0
"""What `alarms` does not name is over, unless it is told within so long."""


class Told(Protocol):
    """What an `alarm` message says."""

    @property
    def alarm(self) -> str: ...

    @property
    def state(self) -> AlarmState: ...


class Screen:
    """From the start of a program until it ends, over all its connections. Pure."""

    def __init__(self) -> None:
        self._heard_at: dict[str, float] = {}
        """Those that are shown, and when each was last heard of."""
        self._doubted: dict[str, float] = {}
        """Those that `alarms` did not name, and when they go."""
        self._closed: set[str] = set()
        self.told_again = 0
        """Messages about alarms that were shown already, or over."""

    @property
    def shown(self) -> Collection[str]:
        """Ids of the alarms that stand there now."""
        return self._heard_at.keys()

    def hear(self, told: Told, now: float) -> bool | None:
        """True: it is drawn as new; False: it is taken away; None: neither."""
        alarm = told.alarm
        if alarm in self._closed:
            self.told_again += 1
            return None
        if told.state is AlarmState.CLOSED:
            self._closed.add(alarm)
            return False if self._remove(alarm) else None
        was_shown = alarm in self._heard_at
        self.told_again += was_shown
        self._heard_at[alarm] = now
        self._doubted.pop(alarm, None)
        return None if was_shown else True

    def keep(self, named: Collection[str], now: float) -> list[str]:
        """A connection has said which are open; the ones that are taken away at once."""
        self._doubted = {alarm: now + SETTLING_S for alarm in self._heard_at if alarm not in named}
        return self.settle(now)

    def settle(self, now: float) -> list[str]:
        """Time has passed: those that are taken away as nobody names them any more."""
        gone = [alarm for alarm, until in self._doubted.items() if now >= until]
        for alarm in gone:
            self._remove(alarm)
        return gone

    def _remove(self, alarm: str) -> bool:
        self._doubted.pop(alarm, None)
        return self._heard_at.pop(alarm, None) is not None
