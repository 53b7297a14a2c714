"""What became of one group's logical messages in this process, over all of its viewers."""

from __future__ import annotations

from streaming.core.network import SlidingRate
from streaming.core.outbox import DropReason, Item


class GroupTally:
    """Counters since the process started; viewers that left are in them."""

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
        self.sent += 1
        self.sent_bytes += item.size_bytes
        self.rate.add(1, now)
        if item.control and item.span is not None:
            self.gaps += 1

    @property
    def dropped(self) -> int:
        """Messages that a bound kept from being sent; coalesced and abandoned ones are not lost data."""
        lost = (DropReason.EXPIRED, DropReason.DROPPED, DropReason.QUOTA, DropReason.EMERGENCY)
        return sum(self.by_reason[reason] for reason in lost)

    @property
    def drop_rate(self) -> float:
        """Dropped and expired / offered."""
        return self.dropped / self.offered if self.offered else 0.0
