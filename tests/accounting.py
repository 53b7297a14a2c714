"""DESIGN's identity: what became of every logical message, of each class, at this very moment."""

from __future__ import annotations

from streaming.backpressure import BackpressureHandler, BackpressureMetrics
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


def accounted(metrics: BackpressureMetrics) -> bool:
    """The same of all classes together, as the metrics say it."""
    return metrics.in_flight_messages >= 0 and metrics.offered_messages == (
        metrics.acked_messages
        + metrics.in_flight_messages
        + metrics.buffer_size
        + metrics.coalesced_messages
        + metrics.expired_messages
        + metrics.dropped_messages
        + metrics.abandoned_messages
    )


def assert_metrics_account(handler: BackpressureHandler) -> None:
    """As `accounted`."""
    assert accounted(handler.get_metrics())
