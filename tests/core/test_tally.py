"""What became of one group's messages, over all viewers."""

from __future__ import annotations

from streaming.core.items import LOST, Drop, DropReason, Item, Span
from streaming.core.priority import MessagePriority
from streaming.core.tally import GroupTally

SPAN = Span("a", 1, 0, 50)


def item(size: int = 100, *, span: Span | None = None, control: bool = False) -> Item:
    return Item(b"", MessagePriority.HIGH, 0.0, size, span=span, control=control)


def test_messages_and_bytes_are_counted_as_they_are_sent() -> None:
    tally = GroupTally()
    tally.count_sent(item(100, span=SPAN), 0.0)
    tally.count_sent(item(50), 0.0)
    assert (tally.sent, tally.sent_bytes, tally.gaps) == (2, 150, 0)


def test_only_a_gap_counts_as_a_gap() -> None:
    tally = GroupTally()
    tally.count_sent(item(span=SPAN, control=True), 0.0)
    tally.count_sent(item(control=True), 0.0)
    assert tally.gaps == 1


def test_the_rate_is_over_the_last_ten_seconds() -> None:
    tally = GroupTally()
    for second in range(10):
        for _ in range(5):
            tally.count_sent(item(), float(second))
    assert 4.0 <= tally.rate.per_second(10.0) <= 6.0
    assert tally.rate.per_second(60.0) == 0.0


def test_replaced_and_abandoned_messages_are_not_dropped_ones() -> None:
    tally = GroupTally()
    tally.offered = 40
    for count, reason in enumerate(DropReason, start=1):
        tally.by_reason[reason] = count
    assert tally.dropped == sum(tally.by_reason[reason] for reason in LOST) == 15
    assert tally.drop_rate == 15 / 40


def test_nothing_offered_is_nothing_dropped() -> None:
    assert GroupTally().drop_rate == 0.0


def test_what_is_shared_counts_for_every_viewer_and_as_sent_where_it_left() -> None:
    tally = GroupTally()
    tally.count_shared(item(100, span=SPAN), 3, 2, 0.0)
    tally.count_shared(item(10, span=SPAN, control=True), 2, 0, 0.0)
    tally.count_shared(item(10, span=SPAN), 0, 4, 0.0)
    assert (tally.offered, tally.sent, tally.sent_bytes, tally.gaps) == (9, 3, 320, 2)


def test_a_gap_that_joins_another_is_no_drop() -> None:
    tally = GroupTally()
    tally.count_drop(Drop(item(span=SPAN, control=True), DropReason.COALESCED))
    tally.count_drop(Drop(item(span=SPAN), DropReason.EXPIRED))
    assert tally.by_reason[DropReason.COALESCED] == 0
    assert tally.dropped == 1


def test_what_another_tally_counted_is_added_but_for_its_rate() -> None:
    total, one = GroupTally(), GroupTally()
    one.count_shared(item(100, span=SPAN), 3, 2, 0.0)
    one.count_sent(item(10, span=SPAN, control=True), 0.0)
    one.count_drop(Drop(item(), DropReason.QUOTA))
    for _ in range(2):
        total.absorb(one)
    assert (total.offered, total.sent, total.sent_bytes, total.gaps) == (10, 6, 620, 2)
    assert total.by_reason == {reason: 2 * (reason is DropReason.QUOTA) for reason in DropReason}
    assert total.rate.per_second(1.0) == 0.0
