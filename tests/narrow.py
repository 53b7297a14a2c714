"""A path between a client and a server that carries as many bytes a second as a test says."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

PIECE_BYTES = 512
"""At 2 kB/s that is a quarter of a second: what is read at once is late at once."""
BUFFER_BYTES = 4096


class NarrowPath:
    """Forwards TCP; towards the client `bytes_per_s` at most, with next to no buffer of its own."""

    def __init__(self, host: str, port: int, bytes_per_s: float) -> None:
        self.bytes_per_s = bytes_per_s
        self.url = ""
        """Of its own end, as http."""
        self._upstream = (host, port)
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there = socket.socket()
        there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        there.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(there, self._upstream)
            answers, requests = await asyncio.open_connection(sock=there, limit=BUFFER_BYTES)
            both = (self._forward(reader, requests, None), self._forward(answers, writer, self))
            ways = [asyncio.create_task(way) for way in both]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            requests.close()
        finally:
            there.close()
            writer.close()
            self._tasks.discard(task)

    async def end(self) -> None:
        """Close what is open."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @staticmethod
    async def _forward(
        source: asyncio.StreamReader, target: asyncio.StreamWriter, pace: NarrowPath | None
    ) -> None:
        loop = asyncio.get_running_loop()
        free_at = loop.time()
        while piece := await source.read(PIECE_BYTES if pace else 2**16):
            target.write(piece)
            await target.drain()
            if pace is not None and math.isfinite(pace.bytes_per_s):
                free_at = max(loop.time(), free_at) + len(piece) / pace.bytes_per_s
                await asyncio.sleep(free_at - loop.time())


@asynccontextmanager
async def narrow_path(url: str, bytes_per_s: float) -> AsyncIterator[NarrowPath]:
    """A path to the server at `url`; what is open when it ends is closed."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    path = NarrowPath(parts.hostname, parts.port, bytes_per_s)
    listening = await asyncio.start_server(path.accept, "127.0.0.1", 0)
    path.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield path
    finally:
        listening.close()
        await path.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await listening.wait_closed()
