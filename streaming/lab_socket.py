"""A viewer's socket behind a link that is made worse on purpose, so that one can watch what becomes of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from streaming.core.lab import SlowLink, Throttle
from streaming.subscriber import Socket


class LabSocket:
    """Stands between a subscriber and its socket; what is written waits here, as in a kernel's buffer.

    What acks, window and ladder make of a slow network is what they make of this. It holds at most what the
    window lets out. `spawn` runs the writing of what has arrived; `ended` is called when a throttle has ended
    by itself. The owner calls `close`.
    """

    def __init__(
        self,
        socket: Socket,
        spawn: Callable[[Awaitable[None]], None],
        ended: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._socket = socket
        self._spawn = spawn
        self._ended = ended
        self._clock = clock
        self._link = SlowLink()
        self._asked = Throttle.OFF
        self._timer: asyncio.TimerHandle | None = None
        self._is_writing = False

    async def send_bytes(self, data: bytes) -> None:
        """Write one binary message."""
        await self._send(data)

    async def send_text(self, data: str) -> None:
        """Write one text message."""
        await self._send(data)

    @property
    def left_s(self) -> float:
        """Seconds until the throttle ends; 0 without one."""
        ends_at = self._link.ends_at
        return 0.0 if ends_at is None else max(0.0, ends_at - self._clock())

    def throttle(self, throttle: Throttle) -> None:
        """The link is like this from now on, for as long as `core.lab` lets it."""
        self._asked = throttle
        self._link.set(throttle, self._clock())
        self._look()

    def close(self) -> None:
        """The connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._link = SlowLink()

    async def _send(self, message: bytes | str) -> None:
        if self._link.is_clear and not self._is_writing:
            await self._write(message)
        else:
            self._link.put(message, self._clock())
            self._look()

    def _look(self) -> None:
        """Write what has arrived, and look again when more has."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._is_writing:
            self._is_writing = True
            self._spawn(self._deliver())

    async def _deliver(self) -> None:
        try:
            while arrived := self._link.take(self._clock()):
                for message in arrived:
                    await self._write(message)
        finally:
            self._is_writing = False
        if self._asked is not Throttle.OFF and self._link.throttle is Throttle.OFF:
            self._asked = Throttle.OFF
            self._ended()
        due = self._link.due()
        if due is not None:
            delay_s = max(0.0, due - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._look)

    async def _write(self, message: bytes | str) -> None:
        if isinstance(message, str):
            await self._socket.send_text(message)
        else:
            await self._socket.send_bytes(message)
