"""Whether what has failed may be tried again: for a while by nobody, then by one at a time."""

from __future__ import annotations

import math


class Breaker:
    """A circuit breaker (Nygard, "Release It!"): nobody waits for what is known to be away.

    A failure opens it for `first_s`. Then one attempt is let through, and the next as late again; each that
    fails doubles that time, to `longest_s`, and one that works closes it. Pure: every call carries its time.
    """

    def __init__(self, *, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._pause_s = 0.0
        self._due = -math.inf

    @property
    def is_open(self) -> bool:
        """Whether it has failed, and has not worked since."""
        return self._pause_s > 0

    def lets_through(self, now: float) -> bool:
        """Whether to try now."""
        if now < self._due:
            return False
        self._due = now + self._pause_s
        return True

    def worked(self) -> None:
        """An attempt has succeeded."""
        self._pause_s, self._due = 0.0, -math.inf

    def failed(self, now: float) -> None:
        """An attempt has failed."""
        self._pause_s = min(2 * self._pause_s, self._longest_s) if self.is_open else self._first_s
        self._due = now + self._pause_s
