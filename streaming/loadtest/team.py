"""The processes whose viewers load a server, seen as one."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import streaming
from streaming.loadtest.crew import Order
from streaming.loadtest.tally import Tally

_ROOT = Path(streaming.__file__).parent.parent
_MAX_LINE = 2**24
_END_S = 8.0


@dataclass(frozen=True, slots=True)
class _Worker:
    process: asyncio.subprocess.Process

    async def ask(self, what: str) -> tuple[bool, Tally]:
        """Tell it what to do; whether it is settled, and its tally. ConnectionError when it has ended."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"do": what}).encode() + b"\n")
        line = await stdout.readline()
        if not line:
            raise ConnectionError("a process of viewers has ended")
        answer = json.loads(line)
        return answer["is_settled"], Tally.from_json(answer["tally"])


class Team:
    """So many viewers in so many processes: `async with Team(order, processes) as team`.

    The processes are in sessions of their own: Ctrl-C is for whoever owns them. They end with the block.
    """

    def __init__(self, order: Order, processes: int) -> None:
        self._orders = [share_of(order, number, processes) for number in range(processes)]
        self._workers: list[_Worker] = []

    async def __aenter__(self) -> Self:
        try:
            for order in self._orders:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "streaming.loadtest.crew"),
                    cwd=_ROOT,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    start_new_session=True,
                    limit=_MAX_LINE,
                )
                self._workers.append(_Worker(process))
                assert process.stdin is not None
                # Tokens go by the pipe: a command line is everybody's to read.
                process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def settling(self) -> tuple[bool, Tally]:
        """Whether every viewer has had its first frame, or has failed; and what was counted so far."""
        answers = await self._all("count")
        return all(is_settled for is_settled, _ in answers), total([tally for _, tally in answers])

    async def begin(self) -> None:
        """Count from now on."""
        await self._all("begin")

    async def count(self) -> Tally:
        """What was counted so far."""
        return (await self.settling())[1]

    async def _all(self, what: str) -> list[tuple[bool, Tally]]:
        return await asyncio.gather(*(worker.ask(what) for worker in self._workers))

    async def _end(self) -> None:
        for worker in self._workers:
            if worker.process.stdin is not None:
                worker.process.stdin.close()
        await asyncio.gather(*(_ended(worker.process) for worker in self._workers))


def total(tallies: Sequence[Tally]) -> Tally:
    """All of them added up."""
    summed = Tally()
    for tally in tallies:
        summed += tally
    return summed


def share_of(order: Order, number: int, processes: int) -> Order:
    """What process `number` of so many has to do: as much as any other, with tokens of its own if any."""

    def share(whole: int) -> int:
        return whole // processes + (number < whole % processes)

    tokens = order.tokens[number::processes] or order.tokens
    return replace(order, viewers=share(order.viewers), decoders=share(order.decoders), tokens=tokens)


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(_END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
