"""What may be killed: servers, Valkey, and viewers in processes of their own; each starts again at once."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from typing import Protocol

from tests.chaos.balancer import Balancer
from tests.chaos.book import Book
from tests.servers import ROOT, Server
from tests.valkeys import Valkey

START_DEADLINE_S = 600.0
"""A machine that sleeps for a while must not end a run of many minutes."""
_LINE_BYTES = 2**16


class Part(Protocol):
    """Something that lives, and can be killed."""

    async def die_and_return(self) -> None:
        """SIGKILL, then a new one; returns when that is there."""


class ServerPart:
    """A Daphne, which comes back on another port with the same var directory."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def die_and_return(self) -> None:
        """As the protocol has it."""
        self._server.kill()
        await asyncio.to_thread(self._server.start, timeout_s=START_DEADLINE_S)


class ValkeyPart:
    """The channel layer between the servers, which forgets all."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey

    async def die_and_return(self) -> None:
        """As the protocol has it."""
        self._valkey.kill()
        await asyncio.to_thread(self._valkey.start)


class SeatPart:
    """An SDK viewer in a process, whose screen is kept in the book."""

    def __init__(self, name: str, at: Balancer, token: str, book: Book) -> None:
        self.name = name
        self._command = (sys.executable, "-m", "tests.chaos.seat", at.ws_url, token)
        self._book = book
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self, stack: AsyncExitStack) -> None:
        """Start it; it ends with `stack`."""
        stack.push_async_callback(self._kill)
        await self._spawn()

    async def die_and_return(self) -> None:
        """As the protocol has it."""
        await self._kill()
        await self._spawn()

    async def _spawn(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
        )
        self._book.begin(self.name)
        self._reading = asyncio.create_task(self._read(self._process), name=f"chaos {self.name}")

    async def _kill(self) -> None:
        process, reading = self._process, self._reading
        if process is None or reading is None:
            return
        if reading.done():
            reading.result()  # it ended by itself, which it should not
        process.kill()
        await process.wait()
        await reading

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        told_again = 0
        while line := await process.stdout.readline():
            if not line.endswith(b"\n"):
                break  # killed in the middle of it
            said = json.loads(line)
            if "drew" in said:
                self._book.drew(self.name, said["drew"], said["at"])
            elif "removed" in said:
                self._book.removed(self.name, said["removed"], said["at"], said["why"])
            else:
                self._book.told_again += said["told_again"] - told_again
                told_again = said["told_again"]
        await process.wait()
        if process.returncode not in (-9, None):
            raise AssertionError(f"{self.name} ended with {process.returncode}")
