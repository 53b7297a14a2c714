"""Messages on a fixed schedule, made inside a server process: what the fan-out benches feed both sides."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

Publish = Callable[[str, int, float], Awaitable[None]]
"""Of a stream, the number of the message, from 0, and messages a second."""
FOR_EVER = 10**9
PATH = "/bench/start"
PAYLOAD_BYTES = 600


class Schedule:
    """Started by GET /bench/start?streams=a,b&per_s=50: each stream gets message n at began + n / per_s.

    With `&count=100` it ends after so many messages of each, with `&first=50` the first of them is number 50.
    The answer tells `began` in seconds of the monotonic clock, which all processes of a machine share: a
    message is late by its schedule, also where the publisher itself was held up.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    async def respond(self, scope: dict[str, Any], send: Any, publish: Publish) -> None:
        """Start as the query says, in place of what ran before, and tell when."""
        query = parse_qs(scope["query_string"].decode())
        began = time.monotonic() + 0.5
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.ensure_future(
            _run(
                publish,
                query["streams"][0].split(","),
                float(query["per_s"][0]),
                began,
                int(query.get("first", ["0"])[0]),
                int(query.get("count", [FOR_EVER])[0]),
            )
        )
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps({"began": began}).encode()})


async def _run(
    publish: Publish, streams: list[str], per_s: float, began: float, first: int, count: int
) -> None:
    for number in range(first, first + count):
        await asyncio.sleep(max(0.0, began + (number - first) / per_s - time.monotonic()))
        for stream in streams:
            await publish(stream, number, per_s)
