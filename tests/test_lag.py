"""How late an event loop is."""

from __future__ import annotations

import asyncio

from streaming.core.messages import Ack
from streaming.lag import EVERY_S, LEAST_S, LoopLag
from tests.fakes import VirtualLoop, virtual_time
from tests.viewers import Viewer


def spend(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.spend(seconds)


@virtual_time
async def test_it_is_what_the_last_turn_took_beyond_its_time() -> None:
    lag = LoopLag(asyncio.get_running_loop().time)
    lag.start()
    await asyncio.sleep(10 * EVERY_S)
    assert lag.late_s == 0.0
    spend(EVERY_S + 0.3)
    await asyncio.sleep(0.001)
    assert 0.29 < lag.late_s <= 0.3 + EVERY_S
    await asyncio.sleep(2 * EVERY_S)
    assert lag.late_s == 0.0
    lag.close()


@virtual_time
async def test_a_little_is_nothing() -> None:
    lag = LoopLag(asyncio.get_running_loop().time)
    lag.start()
    await asyncio.sleep(0)
    spend(EVERY_S + LEAST_S / 2)
    await asyncio.sleep(0.001)
    assert lag.late_s == 0.0
    lag.close()


@virtual_time
async def test_a_round_trip_is_shorter_by_what_the_process_was_late() -> None:
    viewer = Viewer()
    viewer.subscriber.tell('{"type":"time"}')
    await asyncio.sleep(0.05)
    viewer.subscriber.acked(Ack(1, 0.0, 0))
    viewer.subscriber.tell('{"type":"time"}')
    await asyncio.sleep(0.5)
    viewer.subscriber.acked(Ack(2, 0.0, 0), late_s=0.2)
    assert abs(viewer.subscriber.window.network.latest_rtt_s - 0.1) < 1e-9
    await viewer.subscriber.aclose()
