"""Stand-ins for what a test must control: time, a socket, and a slow link with a client behind it."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

_P = ParamSpec("_P")


class FakeClock:
    """A clock that stands still until it is told to go on; call it for the time in seconds."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Let time pass; returns the new time."""
        self.now += seconds
        return self.now


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer as soon as nothing else is ready to run.

    Minutes of timers take milliseconds, in an order that does not depend on the machine. With nothing
    ready and no timer, it would sleep for ever: that raises.
    """

    def __init__(self) -> None:
        self._now = 1000.0
        super().__init__(_JumpingSelector(self._jump))

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def spend(self, seconds: float) -> None:
        """Let time pass while something runs: all others are late by it."""
        self._now += seconds

    def _jump(self, seconds: float | None) -> None:
        if seconds is None:
            raise RuntimeError("every task waits, and no timer will wake any")
        self._now += seconds


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, jump: Callable[[float | None], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if not ready and timeout != 0:
            self._jump(timeout)
        return ready


def virtual_time(test: Callable[_P, Coroutine[Any, Any, None]]) -> Callable[_P, None]:
    """Run an async test on a `VirtualLoop`; tasks that it leaves behind fail it."""

    async def alone(*args: _P.args, **kwargs: _P.kwargs) -> None:
        await test(*args, **kwargs)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"the test left {left} running"

    @functools.wraps(test)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(alone(*args, **kwargs))

    return run


class FakeSocket:
    """A socket that remembers what it was sent; it can be held up, and made to fail."""

    def __init__(self) -> None:
        self.sent: list[bytes | str] = []
        self.errors: deque[BaseException] = deque()
        """Each send raises the next of these, as long as there are any."""
        self.calls = 0
        self.busy_s = 0.0
        """Of a VirtualLoop's time, how much each send takes."""
        self._open = asyncio.Event()
        self._open.set()

    async def send_bytes(self, data: bytes) -> None:
        """Take one binary message."""
        await self._take(data)

    async def send_text(self, data: str) -> None:
        """Take one text message."""
        await self._take(data)

    def hold(self) -> None:
        """Let every send wait from now on, as with a full socket buffer."""
        self._open.clear()

    def release(self) -> None:
        """Let the sends go on."""
        self._open.set()

    async def _take(self, data: bytes | str) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.popleft()
        if not self._open.is_set():
            await self._open.wait()
        self.sent.append(data)
        if self.busy_s:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            loop.spend(self.busy_s)


class ThrottledLink:
    """A socket that never waits (like Daphne's), a link of `rate` bytes/s, and a client that acks.

    `received` has what the client got, and when; it acks after `ack_messages` messages or `ack_s`
    seconds, whichever is first. Set `reading` to False and it takes and acks nothing any more.
    """

    def __init__(
        self,
        rate: float,
        *,
        delay_s: float = 0.01,
        ack_messages: int = 1,
        ack_s: float = 0.1,
        on_ack: Callable[[int], object] | None = None,
    ) -> None:
        self.rate = rate
        self.delay_s = delay_s
        self.on_ack = on_ack
        self.ack_messages = ack_messages
        self.ack_s = ack_s
        self.reading = True
        self.received: list[tuple[float, bytes | str]] = []
        self.backlog_bytes = 0
        """Bytes sent and not yet through the link."""
        self._free_at = 0.0
        self._acked = 0
        self._ack_timer: asyncio.TimerHandle | None = None

    async def send_bytes(self, data: bytes) -> None:
        """Put one binary message behind all others."""
        self._transmit(data)

    async def send_text(self, data: str) -> None:
        """Put one text message behind all others."""
        self._transmit(data)

    def _transmit(self, data: bytes | str) -> None:
        loop = asyncio.get_running_loop()
        self._free_at = self.through_at(max(loop.time(), self._free_at), len(data))
        self.backlog_bytes += len(data)
        loop.call_at(self.arrives_at(self._free_at), self._arrive, data)

    def through_at(self, start: float, size_bytes: int) -> float:
        """When the last byte of a message is through the link, whose first one enters it at `start`."""
        return start + size_bytes / self.rate

    def arrives_at(self, through: float) -> float:
        """When a message reaches the client whose last byte is through the link then."""
        return through + self.delay_s

    def tell(self, n: int, held_s: float) -> None:
        """Bring an ack to the server, `delay_s` later; `held_s` is how long the client held it."""
        if self.on_ack is not None:
            asyncio.get_running_loop().call_later(self.delay_s, self.on_ack, n)

    def decode(self, data: bytes | str) -> None:
        """The client looks at what came, before it acks."""

    def _arrive(self, data: bytes | str) -> None:
        loop = asyncio.get_running_loop()
        if not self.reading:
            return
        self.backlog_bytes -= len(data)
        self.received.append((loop.time(), data))
        self.decode(data)
        if len(self.received) - self._acked >= self.ack_messages:
            self._ack()
        elif self._ack_timer is None:
            self._ack_timer = loop.call_later(self.ack_s, self._ack)

    def _ack(self) -> None:
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        self._acked = len(self.received)
        self.tell(self._acked, asyncio.get_running_loop().time() - self.received[-1][0])
