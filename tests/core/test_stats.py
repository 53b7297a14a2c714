"""What compressing has come to over groups that are there, and that are not any more."""

from __future__ import annotations

from typing import Any

from streaming.core.stats import CompressionTotals


def stats(messages: int, latency_ms: float) -> dict[str, Any]:
    return {
        "messages_processed": messages,
        "bytes_in": 100 * messages,
        "bytes_out": 30 * messages,
        "average_latency_ms": latency_ms,
    }


def test_totals_are_sums_and_time_is_the_mean_by_its_messages() -> None:
    totals = CompressionTotals().plus([stats(4, 0.5), stats(6, 1.0)])
    assert totals == CompressionTotals(10, 1000, 300, 0.008)
    assert totals.plus([stats(1, 2.0)]) == CompressionTotals(11, 1100, 330, 0.010)


def test_a_handler_that_did_nothing_adds_nothing() -> None:
    assert CompressionTotals().plus([stats(0, 0.0)]) == CompressionTotals().plus([]) == CompressionTotals()
