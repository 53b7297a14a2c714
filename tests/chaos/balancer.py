"""One address in front of two servers: who connects reaches one that lives, as behind a load balancer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.servers import Server


class Balancer:
    """Forwards TCP to the first of the servers, in the order of preference, that takes the connection."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self.port = 0
        self._servers = servers
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Of its own end, as http."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """Of its own end, as ws."""
        return f"ws://127.0.0.1:{self.port}"

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._ends.add(writer)
        mine = [writer]
        try:
            answers, requests = await self._connect()
            self._ends.add(requests)
            mine.append(requests)
            ways = [asyncio.create_task(_forward(*way)) for way in ((reader, requests), (answers, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except ConnectionRefusedError:
            return  # nobody lives just now: the client tries again
        finally:
            for end in mine:
                end.transport.abort()
                self._ends.discard(end)
            self._tasks.discard(task)

    async def aclose(self) -> None:
        """Cut what is open."""
        for end in self._ends:
            end.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for server in self._servers:
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", server.port)
        raise ConnectionRefusedError


async def _forward(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await source.read(2**16):
            target.write(piece)
            await target.drain()


@asynccontextmanager
async def balancer(servers: Sequence[Server]) -> AsyncIterator[Balancer]:
    """An address that prefers the first of the servers."""
    made = Balancer(servers)
    listening = await asyncio.start_server(made.accept, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listening.close()
        await made.aclose()
