"""A proxy that takes all that a server gives, without bound, and passes it on as a narrow link would."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_PIECE_S = 0.02
_SEND_BUFFER_BYTES = 4096


class Hoarder:
    """Between a client and the server at `url`; `hoarded` is the most that it held for one connection."""

    def __init__(self, url: str, bytes_per_s: float) -> None:
        parts = urlsplit(url)
        self._upstream = parts.hostname or "", parts.port or 0
        self._bytes_per_s = bytes_per_s
        self._tasks: set[asyncio.Task[None]] = set()
        self.hoarded = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        answers, requests = await asyncio.open_connection(*self._upstream)
        ways = [
            asyncio.create_task(self._pass(reader, requests)),
            asyncio.create_task(self._hoard(answers, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # `end` waits for what is below
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            requests.close()
            writer.close()
            self._tasks.discard(task)

    async def end(self) -> None:
        """Close what is open."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @staticmethod
    async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while piece := await source.read(2**16):
            target.write(piece)
            await target.drain()

    async def _hoard(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Take at once, give slowly; the client's own buffer is kept small by the client."""
        held: deque[bytes] = deque()
        there = asyncio.Event()

        async def give() -> None:
            loop = asyncio.get_running_loop()
            free_at = loop.time()
            size = max(256, int(_PIECE_S * self._bytes_per_s))
            while True:
                await there.wait()
                while held:
                    whole = held.popleft()
                    for at in range(0, len(whole), size):
                        piece = whole[at : at + size]
                        free_at = max(loop.time(), free_at) + len(piece) / self._bytes_per_s
                        await asyncio.sleep(free_at - loop.time())
                        target.write(piece)
                        await target.drain()
                there.clear()

        giving = asyncio.create_task(give())
        try:
            while piece := await source.read(2**16):
                held.append(piece)
                self.hoarded = max(self.hoarded, sum(map(len, held)))
                there.set()
        finally:
            giving.cancel()
            await asyncio.gather(giving, return_exceptions=True)


@asynccontextmanager
async def hoarder(url: str, bytes_per_s: float) -> AsyncIterator[tuple[str, Hoarder]]:
    """Its own address, as ws, and the proxy; what is open when it ends is closed."""
    proxy = Hoarder(url, bytes_per_s)
    listening = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    for each in listening.sockets:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    try:
        yield f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}", proxy
    finally:
        listening.close()
        await proxy.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await listening.wait_closed()
