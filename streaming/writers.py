"""Which process writes each stream: one at a time, whatever a device is connected to.

The lease in the database is the truth, and outlives its holder. The process that had a session before is
asked over the layer to hand it over, so that nothing is lost on the way; when it does not answer, what the
lease and the device's hello say decides. See ADR 15.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from channels.db import database_sync_to_async

from streaming.core.messages import DeviceHello
from streaming.core.position import SampleRange
from streaming.exceptions import ProtocolError, StreamBusyError
from streaming.ingest import Ingest, Intake, Place, busy_reason
from streaming.layer_link import CONTROL_GROUP, LayerLink, LayerMessage
from streaming.store import access, leases
from streaming.store.leases import Lease

logger = logging.getLogger(__name__)

ASK = "vital.writer.ask"
ANSWER = "vital.writer.answer"
ASK_DEADLINE_S = 1.0
"""A process that lives answers in milliseconds; a device waits so long for one that does not."""
RENEW_S = 2.5
"""Three renewals may fail before a lease of 10 s runs out."""
CLAIMS = 3
"""How often to look again when another process was faster."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """`busy` is why the session is kept out; `place` where it stands, None where it is not known."""

    busy: str | None
    place: Place | None


class Writers:
    """This process's leases: taken when a device connects, renewed while it is heard, handed over when asked.

    `due` is set when a lease should be written before its time.
    """

    def __init__(
        self,
        ingest: Ingest,
        link: LayerLink,
        *,
        process_id: str,
        shared: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.due = asyncio.Event()
        self._ingest = ingest
        self._link = link
        self._process_id = process_id
        self._shared = shared
        self._clock = clock
        self._tokens: dict[str, int] = {}
        """The leases that are this process's, as far as it knows."""
        self._opening: set[str] = set()
        """The streams whose lease may be taken already, and whose epoch is not here yet."""
        self._renewed_at = clock()
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[_Answer]] = {}
        self._answering: set[asyncio.Task[None]] = set()

    async def open(
        self, device_id: int, stream: str, hello: DeviceHello, on_replaced: Callable[[], None]
    ) -> Intake:
        """Let a device write `stream`; `on_replaced` is called when another connection takes its place.

        Raises StreamBusyError while another session writes it, here or elsewhere, and what
        `access.open_epoch` raises.
        """
        async with self._ingest.opening(stream, hello.session):
            self._opening.add(stream)
            try:
                return await self._open(device_id, stream, hello, on_replaced)
            finally:
                self._opening.discard(stream)

    async def _open(
        self, device_id: int, stream: str, hello: DeviceHello, on_replaced: Callable[[], None]
    ) -> Intake:
        place = await self._claim(stream, hello)
        try:
            info = await database_sync_to_async(access.open_epoch)(
                device_id, hello.session, hello.rate_hz, hello.leads, hello.source
            )
        except ProtocolError:
            if (token := self._tokens.pop(stream, None)) is not None:
                await database_sync_to_async(leases.end)(
                    self._process_id, {stream: place.next_sample}, {stream: token}
                )
            raise
        return self._ingest.open(info, hello.session, place, on_replaced)

    async def online(self, streams: Collection[str]) -> set[str]:
        """Those of the streams that a device sends now, to whichever process."""
        elsewhere: set[str] = await database_sync_to_async(leases.online)(streams)
        return elsewhere | {stream for stream in streams if self._ingest.is_online(stream)}

    async def renew(self) -> None:
        """Keep what was heard since the last time, end what has ended, and let go of what was taken."""
        began = self._clock()
        known = self._ingest.tenures()
        for stream in self._tokens.keys() - known.keys() - self._opening:
            del self._tokens[stream]  # silent for an hour, or never opened for a fault: the lease runs out
        tenures = {s: tenure for s, tenure in known.items() if s in self._tokens}
        ended = {stream: tenure.published for stream, tenure in tenures.items() if tenure.ended}
        if ended:
            over = {stream: self._tokens[stream] for stream in ended}
            await database_sync_to_async(leases.end)(self._process_id, ended, over)
            for stream, token in over.items():
                tenure = self._ingest.tenures().get(stream)
                # Meanwhile the device may have come back: it was given another token, or has none yet.
                if self._tokens.get(stream) == token and (tenure is None or tenure.ended):
                    del self._tokens[stream]
        heard = {
            stream: tenure.published
            for stream, tenure in tenures.items()
            if not tenure.ended and tenure.heard_at >= self._renewed_at
        }
        if heard:
            held = {stream: self._tokens.get(stream) for stream in heard}
            for stream in await database_sync_to_async(leases.renew)(self._process_id, heard):
                if self._tokens.get(stream) == held[stream] is not None:
                    logger.warning("stream %s was taken by another process, ending its writer", stream)
                    self._let_go(stream)
        self._renewed_at = began

    async def give_up(self) -> None:
        """The process ends, and its sockets have: say where all streams stand."""
        await self.renew()
        tenures = {s: tenure for s, tenure in self._ingest.tenures().items() if s in self._tokens}
        self._tokens.clear()
        if tenures:
            await database_sync_to_async(leases.give_up)(
                self._process_id,
                {stream: tenure.published for stream, tenure in tenures.items()},
                {stream: tenure.holes for stream, tenure in tenures.items()},
            )

    async def aclose(self) -> None:
        """Answer nobody any more."""
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    def hear(self, message: LayerMessage) -> None:
        """Take a message of another process, if it is for this one."""
        if message["to"] != self._process_id:
            return
        if message["type"] == ASK:
            task = asyncio.create_task(self._answer(message), name="vital-hand-over")
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        elif (waiting := self._asked.get(message["number"])) is not None and not waiting.done():
            waiting.set_result(_read(message))

    async def _claim(self, stream: str, hello: DeviceHello) -> Place:
        """Make the lease this process's; where the session stands then."""
        for _ in range(CLAIMS):
            lease: Lease = await database_sync_to_async(leases.read)(stream)
            place = await self._place(stream, hello, lease)
            token = await database_sync_to_async(leases.take)(
                stream, hello.session, self._process_id, seen=lease, next_sample=place.next_sample
            )
            if token is not None:
                if lease.process != self._process_id:
                    self._ingest.release(stream)  # of before that process had it
                self._tokens[stream] = token
                return place
        raise StreamBusyError("other connections of this device want the stream as well")

    async def _place(self, stream: str, hello: DeviceHello, lease: Lease) -> Place:
        """Where the session stands; raises StreamBusyError when the lease is another session's."""
        is_mine = lease.process == self._process_id
        answer = None
        if lease.process and lease.is_open and not is_mine:
            answer = await self._ask(lease.process, stream, hello.session)
        if lease.session != hello.session:
            if answer is not None and answer.busy is not None:
                raise StreamBusyError(answer.busy)
            if answer is None and lease.in_force and lease.began_at is not None and not is_mine:
                raise StreamBusyError(busy_reason(lease.session, lease.began_at))
            return Place(hello.next_sample)
        if answer is not None and answer.place is not None:
            return answer.place
        if not lease.process:
            return Place(lease.next_sample, lease.holes)
        # It died, and with it what it had not published. What the device has dropped, it was told to.
        return Place(min(lease.next_sample, hello.next_sample), confirmed_elsewhere=True)

    async def _ask(self, process: str, stream: str, session: str) -> _Answer | None:
        """Ask the process that has the lease to hand over; None when it does not answer in time."""
        if not (self._shared and self._link.healthy):
            return None
        number = next(self._numbers)
        waiting = self._asked[number] = asyncio.get_running_loop().create_future()
        self._tell({"type": ASK, "to": process, "number": number, "stream": stream, "session": session})
        try:
            async with asyncio.timeout(ASK_DEADLINE_S):
                answer: _Answer = await waiting
                return answer
        except TimeoutError:
            return None
        finally:
            del self._asked[number]

    async def _answer(self, message: LayerMessage) -> None:
        """Hand over, behind all that was published; or say why not."""
        stream, session = message["stream"], message["session"]
        answer: dict[str, Any] = {"busy": None, "place": None}
        try:
            async with asyncio.timeout(ASK_DEADLINE_S), self._ingest.opening(stream, session):
                is_the_session = self._ingest.writes(stream, session)
                place = self._let_go(stream)
                if place is not None and is_the_session:
                    answer["place"] = [place.next_sample, [[hole.first, hole.stop] for hole in place.holes]]
        except StreamBusyError as busy:
            answer["busy"] = busy.reason
        except TimeoutError:  # another device of the same stream is being let in
            return
        self._tell({"type": ANSWER, "to": message["origin"], "number": message["number"], **answer})

    def _let_go(self, stream: str) -> Place | None:
        self._tokens.pop(stream, None)
        return self._ingest.release(stream)

    def _tell(self, message: LayerMessage) -> None:
        self._link.publish(CONTROL_GROUP, message | {"origin": self._process_id})


def _read(message: LayerMessage) -> _Answer:
    place = message["place"]
    if place is None:
        return _Answer(message["busy"], None)
    next_sample, holes = place
    return _Answer(message["busy"], Place(next_sample, tuple(SampleRange(*hole) for hole in holes)))
