"""Whether a signal has held together for long enough to be judged, over gaps and over epochs."""

from __future__ import annotations

UNBROKEN_S = 6.0
"""What every rule but those of slow rates can do with: an asystole takes 4 s, and 2 s to know the beats."""
WITHIN_S = 10.0
"""Without that for so long there are no alarms worth the name."""
GAP_COUNTS_S = 3.0
"""So much of a gap counts at most: one that is long is told otherwise, and one alone is no fault."""


class Continuity:
    """Counts the seconds of a signal that have come, and how they hang together; a bridge is no break."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        """The longest stretch since it held together for UNBROKEN_S last."""
        self._unbroken_s = 0.0
        self._without_s = 0.0

    @property
    def is_lost(self) -> bool:
        """It has not held together for UNBROKEN_S within the last WITHIN_S."""
        return self._without_s > WITHIN_S

    def goes_on(self, seconds: float) -> None:
        """So much more has come."""
        self._unbroken_s += seconds
        self.longest_s = max(self.longest_s, self._unbroken_s)
        self._without_s += seconds
        if self._unbroken_s >= UNBROKEN_S:
            self.longest_s = self._without_s = 0.0

    def breaks(self, missing_s: float = GAP_COUNTS_S) -> None:
        """The analysis begins anew, after so much that is missing: a lot, where that is not known."""
        self._unbroken_s = 0.0
        self._without_s += min(missing_s, GAP_COUNTS_S)
