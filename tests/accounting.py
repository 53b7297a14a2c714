"""DESIGN's identity: what became of every logical message, of each class, at this very moment."""

from __future__ import annotations

from streaming.backpressure import BackpressureHandler
from streaming.core.priority import MessagePriority


def assert_accounts(handler: BackpressureHandler) -> None:
    """offered = acked + in flight + queued + coalesced + expired + dropped + abandoned, class by class.

    What is in flight is counted from the window's own messages, and not as what is left over.
    """
    outbox, window = handler._queue, handler.window
    queued = outbox.queued()
    for index, counts in enumerate(outbox.counts()):
        acked, lost = handler._acked[index], handler._lost_in_flight[index]
        in_flight = counts.taken - acked - lost
        dropped = counts.dropped + counts.quota + counts.emergency
        assert counts.offered == (
            counts.taken + queued[index] + counts.coalesced + counts.expired + dropped + counts.abandoned
        ), f"{MessagePriority(index + 1).name}: {counts}, {queued[index]} queued"
        if handler._closed:
            assert in_flight == 0
            assert queued[index] == 0
        elif window is not None:
            written = sum(sent.classes[index] for sent in window._flight if sent.classes)
            assert in_flight == written


def assert_metrics_account(handler: BackpressureHandler) -> None:
    """The same of all classes together, as the metrics say it."""
    metrics = handler.get_metrics()
    assert metrics.in_flight_messages >= 0
    assert metrics.offered_messages == (
        metrics.acked_messages
        + metrics.in_flight_messages
        + metrics.buffer_size
        + metrics.coalesced_messages
        + metrics.expired_messages
        + metrics.dropped_messages
        + metrics.abandoned_messages
    )
