"""A viewer without a browser: subscribes, yields what comes, and acknowledges what it has taken."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl as ssl_module
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed

from streaming.client.connection import Client, Connector, Line, last_words
from streaming.client.events import Decoder, Disconnected, Event, RosterChanged, Stats, read_cadence
from streaming.client.held import Held, has_room
from streaming.core.cadence import Cadence
from streaming.core.client_messages import (
    ack,
    alarm_ack,
    alarm_displayed,
    alarms_off,
    audio_pause,
    subscribe,
    viewer_hello,
)
from streaming.core.fields import Fields
from streaming.core.messages import MAX_STREAMS, RosterEntry

PATH = "/ws/viewer/"
CLIENT = "streaming.client"
QUEUE_EVENTS = 256
"""Events that wait for the consumer; a full queue stops the reading, and with it the acks."""


class Viewer(Client):
    """Watches streams of a VITAL server; an async context manager, and an async iterator of events.

        async with Viewer("ws://127.0.0.1:8000", token=token) as viewer:
            await viewer.subscribe([entry.stream for entry in viewer.roster])
            async for event in viewer:
                if isinstance(event, Frame):
                    print(event.stream, event.first, event.microvolts())

    Entering waits for the first roster (put `asyncio.timeout` around it where that matters). A lost
    connection shows as a `Disconnected` event, is made again with full jitter, subscribes to the same
    streams, and resumes each where it was: what was missed comes as frames that are not `live`, and what is
    lost as a `Gap` that is not `recoverable`. AuthenticationError, ForbiddenError and ProtocolError end the
    iteration. A consumer that does not keep up stops the acks: the server then sends less, names the gaps,
    and after 10 s closes (4008).
    Alarms of all streams of the roster come as `Alarm` events, whatever is subscribed to: show them, and say
    so by `displayed`.
    `token` is an API token; `headers` may carry a session cookie with its Origin instead.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        ssl: ssl_module.SSLContext | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._token = token
        super().__init__(Connector(url, PATH, ssl=ssl, headers=headers, rng=rng))
        self._line: Line | None = None
        self._wanted: tuple[tuple[str, ...], str | None] = ((), None)
        self._held = Held()
        self._roster: tuple[RosterEntry, ...] = ()
        self._has_roster = asyncio.Event()
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue(QUEUE_EVENTS)
        self._task: asyncio.Task[None] | None = None

    @property
    def roster(self) -> list[RosterEntry]:
        """The streams that this viewer may see, as last heard."""
        return list(self._roster)

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise RuntimeError("a Viewer is entered once")
        self._task = asyncio.create_task(self._run(), name="vital viewer")
        waiting = asyncio.create_task(self._has_roster.wait())
        try:
            await asyncio.wait({self._task, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if self._task.done():
                self._task.result()
        except BaseException:
            await self._stop()
            raise
        finally:
            waiting.cancel()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def subscribe(self, streams: Iterable[str], focus: str | None = None) -> None:
        """Watch exactly these streams from now on; `focus`, one of them, is what the user looks at."""
        wanted = tuple(dict.fromkeys(streams))
        if len(wanted) > MAX_STREAMS:
            raise ValueError(f"a viewer watches at most {MAX_STREAMS} streams, not {len(wanted)}")
        if focus is not None and focus not in wanted:
            raise ValueError("the focus must be one of the streams")
        self._wanted = (wanted, focus)
        self._held.watch(wanted)
        if self._line is not None:
            try:
                await self._line.send(subscribe(wanted, focus=focus))
            except ConnectionClosed:
                return  # the next connection subscribes

    async def displayed(self, *alarms: str, hidden: bool = False) -> None:
        """Say that people see these alarms, at most 64 ids; until then the server tells them again."""
        await self._say(alarm_displayed(alarms, hidden=hidden))

    async def acknowledge(self, alarm: str) -> None:
        """Say that the user has seen to an alarm; where it may not, a `Refused` comes."""
        await self._say(alarm_ack(alarm))

    async def pause_audio(self, seconds: int) -> None:
        """Ask for silence, 0 to 600 s; an `AudioPaused` or a `Refused` comes."""
        await self._say(audio_pause(seconds))

    async def switch_alarms(self, stream: str, *, off: bool) -> None:
        """Switch the alarms of a patient off, or on again; where the user may not, a `Refused` comes."""
        await self._say(alarms_off(stream, off=off))

    async def _say(self, text: str) -> None:
        """Send it, if there is a connection: the next one begins with all alarms."""
        if self._line is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._line.send(text)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if self._task is None:
            raise RuntimeError("use the Viewer in an `async with` block")
        event = await self._queue.get()
        if event is not None:
            return event
        self._queue.put_nowait(None)  # for whoever asks again
        if self._task.done() and not self._task.cancelled():
            self._task.result()
        raise StopAsyncIteration

    async def _stop(self) -> None:
        if self._line is not None:
            self._line.leaving = True
            self._forget_events()  # a reader that waits for room would never see the closing handshake
            await self._line.leave()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._forget_events()
        self._queue.put_nowait(None)

    def _forget_events(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()

    async def _run(self) -> None:
        try:
            await self._connector.run(self._talk)
        except Exception:
            await self._queue.put(None)  # after what was heard before it; `__anext__` raises it then
            raise

    async def _talk(self, line: Line) -> None:
        """One connection: greet, subscribe again, then decode, hand over and acknowledge until it closes."""
        decoder = Decoder()
        welcome, *rest = await line.greet(viewer_hello(token=self._token, client=CLIENT))
        acks = _Acks(line, read_cadence(Fields(welcome.get("ack") or {}, "ack.")), self._queue)
        self._connector.welcomed()
        self._line = line
        try:
            if self._wanted[0]:
                await line.send(subscribe(self._wanted[0], focus=self._wanted[1]))
                for text in self._held.on_connect():
                    await line.send(text)
            await self._hand_over(decoder.decode_items(rest), acks)
            while True:
                message = await acks.receive()
                started = time.perf_counter()
                events = decoder.decode(message)
                acks.cadence = decoder.cadence or acks.cadence
                took_ms = (time.perf_counter() - started) * 1000.0
                await self._hand_over(events, acks)
                await acks.taken(took_ms)
        except ConnectionClosed as closed:
            if not line.leaving:
                await self._queue.put(Disconnected(*last_words(line, closed)))
            raise
        finally:
            self._line = None

    async def _hand_over(self, events: Iterable[Event], acks: _Acks) -> None:
        """Queue the events; where the consumer lags, wait for it, with all taken before acknowledged."""
        for event in events:
            if isinstance(event, RosterChanged):
                self._roster = event.streams
                self._has_roster.set()
            self._held.take(event)
            if isinstance(event, Stats) and has_room(event) and not acks.line.leaving:
                for text in self._held.on_room():
                    await acks.line.send(text)
            if acks.line.leaving:
                return
            if self._queue.full():
                await acks.flush()
            await self._queue.put(event)


class _Acks:
    """When one connection acknowledges: every few messages, or a moment after the first of them."""

    def __init__(self, line: Line, cadence: Cadence, queue: asyncio.Queue[Event | None]) -> None:
        self.cadence = cadence
        self.line = line
        self._queue = queue
        self._taken = 0
        self._acked = 0
        self._taken_at = 0.0
        self._decoded_ms = 0.0
        self._deadline: float | None = None

    async def receive(self) -> bytes | list[dict[str, Any]]:
        """The next message; acknowledges on the way when a deadline passes."""
        while True:
            try:
                async with asyncio.timeout_at(self._deadline):
                    return await self.line.receive()
            except TimeoutError:
                await self.flush()

    async def taken(self, decoded_ms: float) -> None:
        """Count one more message as decoded and handed over."""
        self._taken += 1
        self._taken_at = asyncio.get_running_loop().time()
        self._decoded_ms += decoded_ms
        if self._taken - self._acked >= self.cadence.messages:
            await self.flush()
        elif self._deadline is None:
            self._deadline = self._taken_at + self.cadence.ms / 1000

    async def flush(self) -> None:
        """Acknowledge all that was taken."""
        self._deadline = None
        if self._taken > self._acked and not self.line.leaving:
            self._acked = self._taken
            decoded_ms, self._decoded_ms = self._decoded_ms, 0.0
            held_ms = 1000 * (asyncio.get_running_loop().time() - self._taken_at)
            await self.line.send(
                ack(self._taken, decoded_ms=decoded_ms, backlog=self._queue.qsize(), held_ms=held_ms)
            )
