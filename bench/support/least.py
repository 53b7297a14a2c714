"""The least that an application on Daphne spends on a fan-out: a loop that sends to everybody."""

from __future__ import annotations

from typing import Any

from bench.support.schedule import PAYLOAD_BYTES, Schedule

schedule = Schedule()
viewers: set[Any] = set()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Viewers, and the start of the schedule."""
    if scope["type"] == "http":
        await schedule.respond(scope, send, publish)
        return
    await receive()
    await send({"type": "websocket.accept"})
    viewers.add(send)
    try:
        while (await receive())["type"] != "websocket.disconnect":
            pass
    finally:
        viewers.discard(send)


async def publish(_patient: str, number: int, _per_s: float) -> None:
    """One frame to everybody."""
    message = {
        "type": "websocket.send",
        "bytes": number.to_bytes(8, "little") + bytes(PAYLOAD_BYTES - 8),
    }
    for send in list(viewers):
        await send(message)
