"""Live figures between processes: each reads its own only while somebody, here or there, looks at them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from channels.db import database_sync_to_async
from django.db import Error as DatabaseFault
from django.utils import timezone

from monitoring import alert_store, live_messages
from monitoring.live_figures import FiguresReader
from monitoring.live_leases import MOST_INSPECTED, Leases
from monitoring.live_messages import CutOutcome
from streaming.core.diagnostics import Holder
from streaming.exceptions import CloseCode
from streaming.layer_link import CONTROL_GROUP
from streaming.runtime import Runtime
from streaming.store import audit, processes, profiles

logger = logging.getLogger(__name__)

EVERY_S = 1.0
LEAST_S = 0.25
"""Between two readings, also when somebody wants the next one soon."""
DEPLOYMENT_EVERY_S = 5.0
"""As often as a process writes its row."""
MOST_SEATS = 16
"""Live pages of one process."""
MOST_WAITING_BYTES = 256 * 1024
"""While more waits for the channel layer, other processes are told nothing: samples come first."""
ANSWER_S = 3.0
"""How long another process has to cut a viewer, and to say so."""
RECORD_S = 2.0
"""How long the audit trail may take for an entry."""

WATCH = "vital.live.watch"
FIGURES = "vital.live.figures"
VIEWER = "vital.live.viewer"
CUT = "vital.live.cut"
CUT_DONE = "vital.live.cut_done"


class Seat(Protocol):
    """An open live page of this process; none of these methods waits."""

    inspected: str | None
    """The viewer that it looks at."""

    def told_figures(self, process: str, text: str) -> None:
        """Newer figures of a process."""

    def told_viewer(self, text: str, peer: str) -> None:
        """Newer figures of the viewer that it looks at, and that one's address."""

    def told_processes(self, text: str) -> None:
        """The processes of the deployment, as they say themselves."""

    def told_alerts(self, text: str) -> None:
        """The open alerts of the deployment."""


class LiveWatch:
    """Started once per process, beside its Runtime; reached as `scope["vital.live"]`.

    While a page is open here, other processes are asked every second to tell this one; each tells for some
    seconds, and then needs to be asked again. While nobody looks, nothing is read.
    """

    def __init__(self, runtime: Runtime, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.reader = FiguresReader(runtime, clock=clock)
        self._runtime = runtime
        self._link = runtime.hub.link
        self._clock = clock
        self._seats: set[Seat] = set()
        self._leases = Leases()
        self._wanted = asyncio.Event()
        """Somebody looks, or looks at something else."""
        self._occupied = asyncio.Event()
        """A page is open here."""
        self._cuts: dict[str, asyncio.Future[CutOutcome]] = {}
        """What other processes were asked to cut, by a number for the answer."""
        self._hearers: dict[str, Callable[[dict[str, Any]], None]] = {
            WATCH: self._hear_watch,
            FIGURES: self._hear_figures,
            VIEWER: self._hear_viewer,
            CUT: self._hear_cut,
            CUT_DONE: self._hear_answer,
        }
        self._tasks: list[asyncio.Task[None]] = []
        self._cutting: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Listen for other processes, and tell who looks."""
        self._runtime.listeners.append(self._hear)
        self._tasks = [
            asyncio.create_task(self._tell(), name="live: figures"),
            asyncio.create_task(self._tell_deployment(), name="live: deployment"),
        ]

    async def aclose(self) -> None:
        """End what `start` began."""
        if self._hear in self._runtime.listeners:
            self._runtime.listeners.remove(self._hear)
        tasks, self._tasks = [*self._tasks, *self._cutting], []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def is_full(self) -> bool:
        """Whether no more pages are told."""
        return len(self._seats) >= MOST_SEATS

    def enter(self, seat: Seat) -> None:
        """A page is open; it is told at once, and every second."""
        self._seats.add(seat)
        self._occupied.set()
        self.hurry()

    def leave(self, seat: Seat) -> None:
        """The page is gone."""
        self._seats.discard(seat)
        if not self._seats:
            self._occupied.clear()

    def hurry(self) -> None:
        """Somebody looks at something else, and should not wait for the next second."""
        self._wanted.set()

    async def cut(self, connection: str, reason: str, by: str) -> CutOutcome:
        """End a viewer's connection, here or in another process, and wait for that for some seconds.

        `by` is who wants it, as the audit trail names people.
        """
        if self.reader.subscriber(connection) is not None:
            return await self._cut_here(connection, reason, by)
        if not self._runtime.hub.shared:
            return CutOutcome.UNANSWERED
        number = secrets.token_hex(8)
        answer: asyncio.Future[CutOutcome] = asyncio.get_running_loop().create_future()
        self._cuts[number] = answer
        self._publish(
            {
                "type": CUT,
                "reply": self._link.channel,
                "number": number,
                "connection": connection,
                "reason": reason,
                "by": by,
            }
        )
        try:
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except TimeoutError:
            return CutOutcome.UNANSWERED
        finally:
            del self._cuts[number]

    # -- telling

    async def _tell(self) -> None:
        while True:
            await self._wanted.wait()
            while self._seats or self._leases.watching(self._clock()):
                self._wanted.clear()
                began = self._clock()
                try:
                    await self._tell_once()
                except Exception:  # our fault; the next second may be better, and viewers do not care
                    logger.exception("live figures could not be read, trying again")
                await asyncio.sleep(LEAST_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(began + EVERY_S - self._clock()):
                        await self._wanted.wait()
            self._wanted.clear()

    async def _tell_once(self) -> None:
        process, looked_at = self._runtime.process_id, self._looked_at()
        if self._seats and self._runtime.hub.shared:
            self._publish({"type": WATCH, "reply": self._link.channel, "inspected": sorted(looked_at)})
        text = await self.reader.figures()
        for seat in self._seats:
            seat.told_figures(process, text)
        watching = self._leases.watching(self._clock())
        for channel in watching:
            self._reply(channel, {"type": FIGURES, "process": process, "text": text}, len(text))
        for connection in sorted(looked_at.union(*watching.values())):
            if (found := self.reader.viewer(connection)) is not None:
                self._tell_of_viewer(connection, *found, watching)
            await asyncio.sleep(0)

    def _tell_of_viewer(
        self, connection: str, text: str, holder: Holder, watching: Mapping[str, frozenset[str]]
    ) -> None:
        for seat in self._seats:
            if seat.inspected == connection:
                seat.told_viewer(text, holder.peer)
        message = {"type": VIEWER, "connection": connection, "text": text, "peer": holder.peer}
        for channel, inspected in watching.items():
            if connection in inspected:
                self._reply(channel, message, len(text))

    def _looked_at(self) -> frozenset[str]:
        return frozenset(seat.inspected for seat in self._seats if seat.inspected is not None)

    async def _tell_deployment(self) -> None:
        while True:
            await self._occupied.wait()
            try:
                of_processes, of_alerts = await database_sync_to_async(_deployment)()
            except DatabaseFault as error:
                logger.warning("the processes cannot be read, trying again: %s", type(error).__name__)
            except Exception:  # our fault; figures go on, and so may this
                logger.exception("processes and alerts could not be read, trying again")
            else:
                for seat in self._seats:
                    seat.told_processes(of_processes)
                    seat.told_alerts(of_alerts)
            await asyncio.sleep(DEPLOYMENT_EVERY_S)

    # -- other processes

    def _hear(self, message: dict[str, Any]) -> bool:
        """Take a message of another process, if it is about live figures."""
        hear = self._hearers.get(message["type"])
        if hear is None:
            return False
        try:
            hear(message)
        except (KeyError, TypeError, ValueError) as error:  # of another version
            logger.warning("a live message of another process cannot be read: %r", error)
        return True

    def _hear_watch(self, message: dict[str, Any]) -> None:
        inspected = frozenset(map(str, message["inspected"][:MOST_INSPECTED]))
        if self._leases.grant(str(message["reply"]), inspected, self._clock()):
            self.hurry()

    def _hear_figures(self, message: dict[str, Any]) -> None:
        for seat in self._seats:
            seat.told_figures(str(message["process"]), str(message["text"]))

    def _hear_viewer(self, message: dict[str, Any]) -> None:
        for seat in self._seats:
            if seat.inspected == message["connection"]:
                seat.told_viewer(str(message["text"]), str(message["peer"]))

    def _hear_answer(self, message: dict[str, Any]) -> None:
        answer = self._cuts.get(str(message["number"]))
        if answer is not None and not answer.done():
            answer.set_result(CutOutcome(message["outcome"]))

    def _publish(self, message: dict[str, Any]) -> None:
        self._link.publish(CONTROL_GROUP, {**message, "origin": self._runtime.process_id})

    def _reply(self, channel: str, message: dict[str, Any], size_bytes: int) -> None:
        """Only while the layer keeps up: figures are LOW, and the next ones are newer."""
        if self._link.waiting_bytes <= MOST_WAITING_BYTES:
            self._link.reply(channel, {**message, "origin": self._runtime.process_id}, size_bytes)

    # -- cutting

    def _hear_cut(self, message: dict[str, Any]) -> None:
        """Cut a viewer that is connected here, and answer; else another process does."""
        connection, reply, number = (str(message[name]) for name in ("connection", "reply", "number"))
        reason, by = str(message["reason"]), str(message["by"])
        if self.reader.subscriber(connection) is None:
            return

        async def cut_and_answer() -> None:
            outcome = await self._cut_here(connection, reason, by)
            answer = {"type": CUT_DONE, "number": number, "outcome": outcome.value}
            self._link.reply(reply, {**answer, "origin": self._runtime.process_id})

        task = asyncio.create_task(cut_and_answer(), name="live: cut")
        self._cutting.add(task)
        task.add_done_callback(self._cutting.discard)

    async def _cut_here(self, connection: str, reason: str, by: str) -> CutOutcome:
        """The entry in the audit trail first: nobody is cut without one."""
        subscriber = self.reader.subscriber(connection)
        if subscriber is None or subscriber.holder is None:
            return CutOutcome.UNANSWERED
        try:
            async with asyncio.timeout(RECORD_S):
                await _record(by, connection, subscriber.holder, self._runtime.process_id, reason)
        except (DatabaseFault, TimeoutError) as error:
            logger.warning("a viewer is not cut, the audit trail takes no entry: %s", type(error).__name__)
            return CutOutcome.UNRECORDED
        subscriber.cut(CloseCode.CUT, f"cut by an operator{f': {reason}' if reason else ''}")
        return CutOutcome.DONE


def _record(by: str, connection: str, holder: Holder, process: str, reason: str) -> Awaitable[None]:
    recorded: Awaitable[None] = database_sync_to_async(audit.record)(
        by,
        "viewer.cut",
        f"connection:{connection}",
        "allowed",
        viewer=holder.actor,
        process=process,
        reason=reason,
    )
    return recorded


def _deployment() -> tuple[str, str]:
    """What the database knows of all processes, and of the alerts that are open in them."""
    found = alert_store.open_now(live_messages.MOST_ALERTS)
    return (
        live_messages.processes(processes.known(), profiles.current_version()),
        live_messages.alerts(found, timezone.now()),
    )
