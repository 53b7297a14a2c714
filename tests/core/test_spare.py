"""What is late uses the path to the full, and what is live does not feel it."""

from __future__ import annotations

import asyncio

import pytest

from streaming.backpressure import BackpressureHandler
from streaming.core.items import Item
from streaming.core.priority import MessagePriority
from streaming.core.window import SendWindow
from tests.fakes import ThrottledLink, virtual_time

LIVE_BYTES, LATE_BYTES = 1000, 700
EVERY_S = 0.1


async def ages_and_rate(
    rate: float, delay_s: float, seconds: float, *, late: bool = True
) -> tuple[list[float], float]:
    """Ages of live messages, and bytes a second of late ones over the second half."""
    loop = asyncio.get_running_loop()
    window = SendWindow()
    link = ThrottledLink(rate, delay_s=delay_s, ack_messages=4)
    handler = BackpressureHandler(
        link,
        window,
        clock=loop.time,
        pack=lambda items: [b"".join(bytes(i.payload) for i in items)],  # type: ignore[arg-type]
    )
    link.tell = lambda n, held_s: loop.call_later(delay_s, lambda: handler.on_ack(n, held_s=held_s))  # type: ignore[method-assign,assignment]

    def pull(limit_bytes: int) -> list[Item]:
        count = max(1, limit_bytes // LATE_BYTES)
        return [Item(b"b" * LATE_BYTES, MessagePriority.BULK, loop.time(), LATE_BYTES)] * count

    if late:
        handler.pull_from(pull)
    began = loop.time()
    for number in range(round(seconds / EVERY_S)):
        payload = b"L%07d" % number + b"." * (LIVE_BYTES - 8)
        handler.offer(Item(payload, MessagePriority.HIGH, loop.time(), LIVE_BYTES))
        await asyncio.sleep(EVERY_S)
    ages: list[float] = []
    late_bytes = 0
    for at, message in link.received:
        assert isinstance(message, bytes)
        if at > began + seconds / 2:
            late_bytes += message.count(b"b")
        place = message.find(b"L")
        while place >= 0:
            ages.append(at - began - EVERY_S * int(message[place + 1 : place + 8]))
            place = message.find(b"L", place + 1)
    metrics = handler.get_metrics()
    queued = metrics.buffer_size
    gone = metrics.acked_messages + metrics.in_flight_messages + metrics.coalesced_messages
    gone += metrics.expired_messages + metrics.dropped_messages + metrics.abandoned_messages
    assert metrics.offered_messages == gone + queued, "what is pulled is accounted for as well"
    await handler.aclose()
    return ages, late_bytes / (seconds / 2)


@pytest.mark.parametrize(
    ("rate", "delay_s"), [(1e6, 0.1), (1e6, 0.01), (64e3, 0.03), (5e6, 0.02)], ids=lambda value: f"{value:g}"
)
def test_late_data_fills_the_link_and_live_data_waits_for_a_piece_of_it(rate: float, delay_s: float) -> None:
    @virtual_time
    async def run() -> None:
        ages, late_rate = await ages_and_rate(rate, delay_s, 20.0)
        alone, _ = await ages_and_rate(rate, delay_s, 20.0, late=False)
        live_rate = LIVE_BYTES / EVERY_S
        assert late_rate + live_rate >= 0.8 * rate
        piece_s = min(16 * 1024 / rate, 0.05)
        settled = sorted(ages[len(ages) // 2 :])
        assert settled[int(0.95 * len(settled))] - max(alone) <= piece_s
        assert settled[-1] - max(alone) <= 2 * piece_s

    run()
