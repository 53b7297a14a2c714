"""The writer of one connection, for tests: what makes it, and what it is given."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from streaming.backpressure import (
    BackpressureHandler,
    MessagePriority,
)
from streaming.core.outbox import Item, Span
from streaming.core.window import SendWindow


def now() -> float:
    return asyncio.get_running_loop().time()


def handler_of(websocket: Any, window: SendWindow | None = None, **options: Any) -> BackpressureHandler:
    loop = asyncio.get_running_loop()
    return BackpressureHandler(websocket, window, clock=loop.time, rng=random.Random(1), **options)


def item(payload: bytes | str, priority: MessagePriority = MessagePriority.HIGH, **fields: Any) -> Item:
    return Item(payload, priority, now(), len(payload), **fields)


def frame(index: int, size: int = 400) -> Item:
    return item(b"f" * size, span=Span("s", 1, 50 * index, 50 * index + 50))


async def turns(count: int = 20) -> None:
    """Let every other task run until it waits."""
    for _ in range(count):
        await asyncio.sleep(0)


async def fill(handler: BackpressureHandler) -> None:
    """Use up the window of a client that has not acked anything: it is two messages at least."""
    for _ in range(2):
        handler.offer(item(b"x" * 5000))
    await turns()


async def begun(websocket: Any, **options: Any) -> BackpressureHandler:
    """One that has sent its first message."""
    handler = handler_of(websocket, SendWindow(), **options)
    handler.offer(item(b"first"))
    await turns()
    return handler
