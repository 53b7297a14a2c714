"""What became of one group's logical messages in this process, over all of its viewers."""

from __future__ import annotations

from streaming.core.items import LOST, Drop, DropReason, Item
from streaming.core.network import SlidingRate


class GroupTally:
    """Counters since the process started; viewers that left are in them.

    GAPs count as `gaps` alone, and their bytes: they speak for messages that are counted as dropped.
    """

    __slots__ = ("by_reason", "gaps", "offered", "rate", "sent", "sent_bytes")

    def __init__(self) -> None:
        self.offered = 0
        self.sent = 0
        self.sent_bytes = 0
        self.gaps = 0
        self.by_reason = dict.fromkeys(DropReason, 0)
        self.rate = SlidingRate()

    def count_sent(self, item: Item, now: float) -> None:
        """`item` has been written."""
        self._count_sent(item, 1, now)

    def count_shared(self, item: Item, left: int, waits: int, now: float) -> None:
        """`item` was offered with others: to so many viewers it left at once, for so many more it waits."""
        if not item.control:
            self.offered += left + waits
        if left:
            self._count_sent(item, left, now)

    def count_drop(self, drop: Drop) -> None:
        """`drop.item` will not be sent."""
        if not drop.item.control:
            self.by_reason[drop.reason] += 1

    def absorb(self, other: GroupTally) -> None:
        """Count what `other` has counted as well, but for its present rate."""
        self.offered += other.offered
        self.sent += other.sent
        self.sent_bytes += other.sent_bytes
        self.gaps += other.gaps
        for reason, count in other.by_reason.items():
            self.by_reason[reason] += count

    def _count_sent(self, item: Item, times: int, now: float) -> None:
        self.sent_bytes += times * item.size_bytes
        if not item.control:
            self.sent += times
            self.rate.add(times, now)
        elif item.span is not None:
            self.gaps += times

    @property
    def dropped(self) -> int:
        """Messages that a bound kept from being sent; coalesced and abandoned ones are not lost data."""
        return sum(self.by_reason[reason] for reason in LOST)

    @property
    def drop_rate(self) -> float:
        """Dropped and expired / offered."""
        return self.dropped / self.offered if self.offered else 0.0
