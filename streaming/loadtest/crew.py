"""Many viewers in one process, kept connected as real ones would be, and told what to do line by line.

`python -m streaming.loadtest.crew` reads JSON lines: first the order, then `{"do": "begin"}` (count from now
on) and `{"do": "count"}`. Each is answered at once by a line: whether all viewers have had a frame or have
failed, and the tally. It ends with its input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any
from urllib.parse import urlsplit

from streaming.client.connection import reconnect_delay
from streaming.exceptions import CloseCode
from streaming.loadtest.tally import Tally
from streaming.loadtest.viewer import LoadViewer, Origin, Shared

AT_ONCE = 16
"""Connections that are being made at the same time: a server is to be loaded, not rushed."""
WELCOME_S = 30.0
"""From the hello to the first frame, at the longest: a stream that nobody feeds has none."""
PATIENCE_S = 240.0
"""For how long a viewer comes back that was told to come later, before the others go on without it."""
LEAVE_S = 3.0


@dataclass(frozen=True, slots=True)
class Order:
    """What a crew is to do. `tokens` are used in turn; no `streams`: the first `patients` of the roster."""

    url: str
    viewers: int
    tokens: tuple[str, ...]
    streams: tuple[str, ...] = ()
    patients: int = 64
    bytes_per_s: float | None = None
    decoders: int = 0
    """How many of the viewers decode the samples."""
    origins: Mapping[str, tuple[float, float]] | None = None
    """By stream: when sample 0 was taken on the monotonic clock, and samples a second."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Order:
        """As it comes on standard input."""
        return cls(**{**value, "tokens": tuple(value["tokens"]), "streams": tuple(value["streams"])})


class Crew:
    """The viewers of one process."""

    def __init__(self, order: Order, rng: random.Random | None = None) -> None:
        origins = {name: Origin(*origin) for name, origin in (order.origins or {}).items()}
        self.shared = Shared(origins=origins)
        self.viewers: set[LoadViewer] = set()
        """Those that are connected."""
        self._order = order
        self._rng = rng or random.SystemRandom()
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._tasks: list[asyncio.Task[None]] = []
        self._leaving = asyncio.Event()

    async def start(self) -> None:
        """Connect them all; returns when each has had a frame, or has failed."""
        order = self._order
        tokens = islice(cycle(order.tokens), order.viewers)
        loop = asyncio.get_running_loop()
        first: list[asyncio.Future[None]] = [loop.create_future() for _ in range(order.viewers)]
        self._tasks = [
            asyncio.create_task(self._keep(token, number < order.decoders, settled))
            for number, (token, settled) in enumerate(zip(tokens, first, strict=True))
        ]
        await asyncio.gather(*first)

    def begin(self) -> None:
        """Forget what was counted so far."""
        fresh = Tally(connected=self.shared.tally.connected)
        self.shared.tally = fresh

    async def end(self) -> None:
        """Say bye, and wait a moment for the server to close."""
        self._leaving.set()
        ends = [viewer.ended for viewer in self.viewers]
        for viewer in self.viewers:
            viewer.leave()
        if ends:
            await asyncio.wait(ends, timeout=LEAVE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, token: str, decodes: bool, settled: asyncio.Future[None]) -> None:
        """One viewer, over as many connections as it takes, until a close code says that it is no use."""
        attempt, loop = 0, asyncio.get_running_loop()
        began = loop.time()
        while not self._leaving.is_set():
            viewer = LoadViewer(
                self.shared, token, self._order.streams, patients=self._order.patients, decodes=decodes
            )
            had_frames = False
            try:
                async with self._gate:
                    had_frames = await self._connect(viewer)
                if not (viewer.ended.done() or settled.done()):
                    settled.set_result(None)
                code, reason, retry_after_ms = await viewer.ended
            except OSError as error:
                code, reason, retry_after_ms = None, str(error) or type(error).__name__, None
            finally:
                self.viewers.discard(viewer)
                if viewer.wire is not None:
                    viewer.wire.close()
            if not settled.done() and (code != CloseCode.BUSY or loop.time() - began >= PATIENCE_S):
                settled.set_result(None)
            if self._leaving.is_set():
                return
            tally = self.shared.tally
            if had_frames:
                attempt = 0
                tally.closes[str(code)] += 1
            else:
                tally.refused[f"{code}: {reason}" if code else reason] += 1
            delay_s = reconnect_delay(code, attempt, retry_after_ms, self._rng)
            if delay_s is None:
                return
            attempt += 1
            await asyncio.sleep(delay_s)
            tally.reconnects += had_frames

    async def _connect(self, viewer: LoadViewer) -> bool:
        """Whether it has got a frame; False when it was closed before, or none came."""
        await viewer.open(urlsplit(self._order.url), self._order.bytes_per_s)
        self.viewers.add(viewer)
        waiting: asyncio.Future[Any] = asyncio.ensure_future(viewer.has_frames.wait())
        ends: set[asyncio.Future[Any]] = {waiting, viewer.ended}
        await asyncio.wait(ends, timeout=WELCOME_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return viewer.has_frames.is_set()


async def main() -> None:
    """Obey standard input until it ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**22)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    crew = Crew(Order.from_json(json.loads(await reader.readline())))
    starting = asyncio.create_task(crew.start())
    try:
        while line := await reader.readline():
            if json.loads(line)["do"] == "begin":
                crew.begin()
            answer = {"is_settled": starting.done(), "tally": crew.shared.tally.to_json()}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    finally:
        starting.cancel()
        await crew.end()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        asyncio.run(main())
