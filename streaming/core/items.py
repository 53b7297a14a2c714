"""A logical message on its way to a client: what it carries, how urgent it is, and why it was not sent."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from enum import StrEnum

from streaming.core.priority import MessagePriority


class DropReason(StrEnum):
    """Why an offered item was not, or will not be, sent."""

    EXPIRED = "expired"
    """It waited longer than its class may."""
    DROPPED = "dropped"
    """Backpressure was active, and its class gives way (NORMAL and LOW by chance, BULK always)."""
    QUOTA = "quota"
    """Its class, or the connection, is full."""
    EMERGENCY = "emergency"
    """The lane keeps only what is critical."""
    OVERLOAD = "overload"
    """The process has too much to do: LOW and BULK give way."""
    COALESCED = "coalesced"
    """A newer item with its key took its place, or a neighbouring gap took it in: nothing is missing."""
    ABANDONED = "abandoned"
    """It was queued when its lane, or the connection, ended."""


LOST = (
    DropReason.EXPIRED,
    DropReason.DROPPED,
    DropReason.QUOTA,
    DropReason.EMERGENCY,
    DropReason.OVERLOAD,
)
"""Those for which something is missing at the viewer."""


@dataclass(frozen=True, slots=True)
class Span:
    """Samples `first` (inclusive) to `stop` (exclusive) of one epoch of a stream."""

    stream: str
    epoch: int
    first: int
    stop: int

    def same_epoch(self, other: Span) -> bool:
        """Whether both count samples from the same start."""
        return self.epoch == other.epoch and self.stream == other.stream

    def touches(self, other: Span) -> bool:
        """Whether the two overlap or meet, so that one span says the same as both."""
        return self.same_epoch(other) and self.first <= other.stop and other.first <= self.stop

    def join(self, other: Span) -> Span:
        """The span from the first sample of either to the last of either."""
        return Span(self.stream, self.epoch, min(self.first, other.first), max(self.stop, other.stop))


@dataclass(slots=True, eq=False)
class Item:
    """One logical message on its way out. Never changed once offered, so viewers may share it.

    `offered_at` is in seconds of the outbox's clock. `key`: a newer item with the same key, class and
    lane takes its place in the queue, or the one behind all others if it is `control`. `span`: the samples
    that it carries (data) or speaks for (a GAP). `control` items are never dropped; one with a span stands
    where the samples it speaks for would stand, and joins a queued control item of the same key whose span
    it touches if it has a `render` that writes the payload of a longer span. `unwritten`: there is no payload
    yet, and `size_bytes` is about what it will have. A queued GAP grows with every frame that expires; it is
    `written` once, when it leaves.
    """

    payload: bytes | str
    priority: MessagePriority
    offered_at: float
    size_bytes: int
    key: Hashable | None = None
    span: Span | None = None
    control: bool = False
    render: Callable[[Span], bytes | str] | None = None
    unwritten: bool = False

    def written(self) -> Item:
        """With its payload."""
        if not self.unwritten:
            return self
        assert self.render is not None
        assert self.span is not None
        return replace(self, payload=self.render(self.span), unwritten=False)


@dataclass(frozen=True, slots=True)
class Drop:
    """One item that will not be sent, and why."""

    item: Item
    reason: DropReason
