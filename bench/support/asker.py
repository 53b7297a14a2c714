"""Asks of a patient's past what a page that zooms asks, in a process of its own, and draws nothing.

`python -m bench.support.asker URL STREAM SECONDS PAIRS_S LEAD...`, an API token on stdin: `PAIRS_S` times a
second, or as often as there are answers, a day of one lead in the columns of a wide screen and then a beat
somewhere in it. It prints a line once it is connected, and how many answers came at its end.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from itertools import count, cycle

from streaming.client.connection import Connector, Line
from streaming.client.viewer import PATH
from streaming.core.client_messages import ack, review, viewer_hello
from streaming.core.frames import FrameKind, decode_bundle, frame_text
from streaming.core.strict_json import parse_json

DAY_MS = 24 * 3600e3
BEAT_MS = 1250.0
COLUMNS = 1900


class Asker:
    """One connection, one question at a time, each message acknowledged at once."""

    def __init__(self, line: Line, stream: str) -> None:
        self._line = line
        self._stream = stream
        self._ids = count(1)
        self._taken = 0

    async def day(self, lead: str) -> None:
        """Up to now, in little; returns with the last piece of the answer."""
        number, now = next(self._ids), 1000 * time.time()
        text = review(
            number, self._stream, "overview", from_ms=now - DAY_MS, to_ms=now, columns=COLUMNS, lead=lead
        )
        await self._line.send(text)
        await self._answer(number)

    async def beat(self, ago_ms: float) -> None:
        """Every sample about a beat; returns with the last piece of the answer."""
        number, begin = next(self._ids), 1000 * time.time() - ago_ms
        await self._line.send(review(number, self._stream, "wave", from_ms=begin, to_ms=begin + BEAT_MS))
        await self._answer(number)

    async def _answer(self, number: int) -> None:
        while not await self._has_ended(number):
            pass

    async def _has_ended(self, number: int) -> bool:
        message = await self._line.receive()
        self._taken += 1
        await self._line.send(ack(self._taken, decoded_ms=0.0, backlog=0))
        items = message if isinstance(message, list) else _items(message)
        for item in items:
            if item["type"] in ("refused", "denied"):
                raise RuntimeError(f"the past was not told: {item}")
        return any(item["type"] == "review" and item["id"] == number and not item["more"] for item in items)


def _items(bundle: bytes) -> list[dict[str, object]]:
    frames = [frame for frame in decode_bundle(bundle) if frame.kind is FrameKind.JSON]
    return [parse_json(frame_text(frame)) for frame in frames]


async def ask_on(
    url: str, token: str, stream: str, *, seconds: float, pairs_s: float, leads: list[str]
) -> int:
    """How many answers came."""
    rng, answers = random.Random(1), 0

    async def talk(line: Line) -> None:
        nonlocal answers
        await line.greet(viewer_hello(token=token, client="bench"))
        asker = Asker(line, stream)
        print("asking", flush=True)
        started = time.monotonic()
        for pair, lead in enumerate(cycle(leads)):
            if (wait_s := started + pair / pairs_s - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            if time.monotonic() - started >= seconds:
                break
            await asker.day(lead)
            await asker.beat(DAY_MS * rng.uniform(0.02, 0.7))
            answers += 2

    await Connector(url, PATH).run(talk)
    return answers


if __name__ == "__main__":
    url, stream, seconds, pairs_s, *leads = sys.argv[1:]
    print(
        asyncio.run(
            ask_on(
                url,
                sys.stdin.readline().strip(),
                stream,
                seconds=float(seconds),
                pairs_s=float(pairs_s),
                leads=leads,
            )
        )
    )
