"""Whether this process has more to do than it can, and what it gives up first."""

from __future__ import annotations

import math
from enum import StrEnum

from streaming.core.priority import MessagePriority
from streaming.core.renditions import Quality

MIB = 1024 * 1024
SHEDDING_LAG_S, EMERGENCY_LAG_S = 0.25, 0.6
"""How late the event loop's timers are, smoothed. A sample is to be on its screen within 0.25 s; from 0.6 s
on acks come too late for the ladder to judge a network by them."""
SHEDDING_BYTES, EMERGENCY_BYTES = 128 * MIB, 384 * MIB
"""What waits in all outboxes. One principal may hold 64 connections of 2 MiB: all of them stalled shed what
is LOW, and no more; nobody alone can bring others an emergency."""
CALM_SHARE = 0.5
"""A state ends below this share of the bounds that it began at."""
CALM_S, MAX_CALM_S = 5.0, 60.0
"""So long below, then one step; doubled by each relapse, so that a load which comes back with the quality
does not swing."""
RELAPSE_S = 30.0
"""What comes back within this time was left too early."""
LASTING_S = 10.0
"""An emergency that is as bad after this takes more."""
_MAX_READING_S = 1.0
"""One stall, however long, is over when it is read: two in a row shed, four are an emergency."""
_WEIGHT = 0.25


class OverloadState(StrEnum):
    """How much a process gives up."""

    NORMAL = "normal"
    SHEDDING = "shedding"
    """LOW and BULK."""
    EMERGENCY = "emergency"
    """Quality as well: nobody is sent more than `display`, then `overview`. Numbers and CRITICAL stay."""


_STEPS = (
    (OverloadState.NORMAL, Quality.LOSSLESS),
    (OverloadState.SHEDDING, Quality.LOSSLESS),
    (OverloadState.EMERGENCY, Quality.DISPLAY),
    (OverloadState.EMERGENCY, Quality.OVERVIEW),
)
_LASTING = len(_STEPS) - 1


class Overload:
    """Up at once, down one step at a time after a calm while; `read` it some times a second. Pure.

    It never sticks: with nothing to complain of it is normal again within three times `MAX_CALM_S` and
    the few seconds that the smoothed lag takes to fall.
    """

    def __init__(self) -> None:
        self.lag_s = 0.0
        """How late the loop's timers are, smoothed over four readings."""
        self.queued_bytes = 0
        """As last read."""
        self._step = 0
        self._calm_s = CALM_S
        self._calm_since = math.inf
        self._emergency_since = math.inf
        self._left_at = -math.inf

    def read(self, late_s: float, queued_bytes: int, now: float) -> bool:
        """Take one reading: a timer's lateness, and the bytes in all outboxes; whether something changed."""
        self.lag_s += _WEIGHT * (min(max(late_s, 0.0), _MAX_READING_S) - self.lag_s)
        self.queued_bytes = queued_bytes
        before = self._step
        if (demanded := self._demanded(now)) > before:
            self._rise(demanded, now)
        elif before:
            self._settle(now)
        elif now - self._left_at > MAX_CALM_S:
            self._calm_s = CALM_S
        return self._step != before

    @property
    def state(self) -> OverloadState:
        """The present one."""
        return _STEPS[self._step][0]

    @property
    def best(self) -> Quality:
        """The best quality that any viewer may be sent."""
        return _STEPS[self._step][1]

    @property
    def allows_bulk(self) -> bool:
        """Whether there is time for history; a cursor pauses while there is not."""
        return self._step == 0

    @property
    def sheds_from(self) -> MessagePriority | None:
        """The most urgent priority that is given up, with all below it; None while nothing is."""
        return MessagePriority.LOW if self._step else None

    def _demanded(self, now: float) -> int:
        """The step that the reading asks for at once."""
        if self._exceeds(EMERGENCY_LAG_S, EMERGENCY_BYTES):
            return _LASTING if now - self._emergency_since >= LASTING_S else 2
        return int(self._exceeds(SHEDDING_LAG_S, SHEDDING_BYTES))

    def _exceeds(self, lag_s: float, size_bytes: float) -> bool:
        return self.lag_s >= lag_s or self.queued_bytes >= size_bytes

    def _rise(self, step: int, now: float) -> None:
        if now - self._left_at < RELAPSE_S:
            self._calm_s = min(2 * self._calm_s, MAX_CALM_S)
            self._left_at = -math.inf
        if step >= 2 > self._step:
            self._emergency_since = now
        self._step, self._calm_since = step, math.inf

    def _settle(self, now: float) -> None:
        bounds = (SHEDDING_LAG_S, SHEDDING_BYTES) if self._step == 1 else (EMERGENCY_LAG_S, EMERGENCY_BYTES)
        if self._exceeds(*(CALM_SHARE * bound for bound in bounds)):
            self._calm_since = math.inf
        elif self._calm_since == math.inf:
            self._calm_since = now
        elif now - self._calm_since >= self._calm_s:
            self._step -= 1
            self._left_at = now
            self._calm_since = math.inf
            if self._step < 2:
                self._emergency_since = math.inf
