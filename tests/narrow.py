"""A path between a client and a server that carries as many bytes a second as a test says.

`python -m tests.narrow URL BYTES_PER_S [buffering]` is one in a process of its own, which may be stopped or
killed; it prints the address of its end, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol
from urllib.parse import urlsplit

PIECE_BYTES = 512
"""At 2 kB/s that is a quarter of a second: what is read at once is late at once."""
BUFFER_BYTES = 4096


class NarrowPath:
    """Forwards TCP; towards the client `bytes_per_s` at most.

    It has next to no buffer of its own, or one without bound: like a proxy that takes all that the server
    says at once, and hands it on as fast as the client's network goes.
    """

    def __init__(self, url: str, bytes_per_s: float, *, buffering: bool = False) -> None:
        self.bytes_per_s = bytes_per_s
        self.url = ""
        """Of its own end, as http."""
        self._buffering = buffering
        self._upstream = _address(url)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.StreamWriter] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there = socket.socket()
        there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        there.setblocking(False)
        self._ends.add(writer)
        mine = [writer]
        ways: list[asyncio.Task[None]] = []
        try:
            await asyncio.get_running_loop().sock_connect(there, self._upstream)
            answers, requests = await asyncio.open_connection(sock=there, limit=BUFFER_BYTES)
            self._ends.add(requests)
            mine.append(requests)
            source: _Source = _Buffer(answers) if self._buffering else answers
            both = (self._forward(reader, requests, None), self._forward(source, writer, self))
            ways = [asyncio.create_task(way) for way in both]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:  # nobody is there
            there.close()
        finally:
            for end in mine:
                end.close()
                self._ends.discard(end)
            self._tasks.discard(task)

    @property
    def ws_url(self) -> str:
        """Of its own end, as ws."""
        return self.url.replace("http", "ws", 1)

    async def lead_to(self, url: str) -> None:
        """Cut what is open; whoever connects from now on reaches the server at `url`."""
        self._upstream = _address(url)
        await self.cut()

    async def cut(self) -> None:
        """Close what is open; what is under way is lost."""
        for end in self._ends:
            end.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @staticmethod
    async def _forward(source: _Source, target: asyncio.StreamWriter, pace: NarrowPath | None) -> None:
        loop = asyncio.get_running_loop()
        free_at = loop.time()
        while piece := await source.read(PIECE_BYTES if pace else 2**16):
            target.write(piece)
            await target.drain()
            if pace is not None and math.isfinite(pace.bytes_per_s):
                free_at = max(loop.time(), free_at) + len(piece) / pace.bytes_per_s
                await asyncio.sleep(free_at - loop.time())


class _Source(Protocol):
    async def read(self, most: int, /) -> bytes: ...


class _Buffer:
    """Reads all there is at once, without bound, and gives it out as it is asked for."""

    def __init__(self, answers: asyncio.StreamReader) -> None:
        self._held = bytearray()
        self._more = asyncio.Event()
        self._ended = False
        self._reading = asyncio.create_task(self._read_all(answers))

    async def read(self, most: int, /) -> bytes:
        while not self._held and not self._ended:
            self._more.clear()
            await self._more.wait()
        piece = bytes(self._held[:most])
        del self._held[:most]
        return piece

    async def _read_all(self, answers: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while piece := await answers.read(2**16):
                self._held += piece
                self._more.set()
        self._ended = True
        self._more.set()


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


@asynccontextmanager
async def narrow_path(url: str, bytes_per_s: float, *, buffering: bool = False) -> AsyncIterator[NarrowPath]:
    """A path to the server at `url`; what is open when it ends is closed."""
    path = NarrowPath(url, bytes_per_s, buffering=buffering)
    listening = await asyncio.start_server(path.accept, "127.0.0.1", 0)
    path.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield path
    finally:
        listening.close()
        await path.cut()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await listening.wait_closed()


async def _main() -> None:
    url, bytes_per_s, *how = sys.argv[1:]
    async with narrow_path(url, float(bytes_per_s), buffering="buffering" in how) as path:
        sys.stdout.write(f"{path.url}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
