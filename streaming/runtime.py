"""One process at work: its hub, its ingest, its open sockets, and what keeps all three up to date."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import Error as DatabaseFault

from streaming.adaptive_compression import SAMPLE_S, AdaptiveCompression
from streaming.alarm_care import AlarmCare
from streaming.compression import CompressionHandler
from streaming.core.admission import Admission
from streaming.core.bundle import Bundle
from streaming.core.levels import CPU_BURST_S, CPU_S_PER_S
from streaming.core.network import NetworkEstimator
from streaming.core.overload import OverloadState
from streaming.core.profiles import ProfileSet
from streaming.core.stats import CompressionTotals, GroupStats, ProcessUsage
from streaming.core.streams import group_of
from streaming.core.token_bucket import TokenBucket
from streaming.exceptions import BusyError, CloseCode, RateLimitError
from streaming.group_stats import group_pieces, group_stats
from streaming.hub import Hub
from streaming.ingest import Ingest
from streaming.layer_link import CONTROL_GROUP
from streaming.pins import Pins
from streaming.recorder import Recorder
from streaming.repeating import repeat
from streaming.settings_watch import SettingsWatch
from streaming.store import access, adaptation, audit, profiles
from streaming.store.access import Principal, PrincipalKind
from streaming.store.history_keeper import HistoryKeeper
from streaming.store.history_source import HistorySource
from streaming.store.processes import REPORT_S
from streaming.store.review_source import ReviewSource
from streaming.store.trails import AUDIT
from streaming.store.upkeep import Upkeep
from streaming.subscriber import CONTROL_GROUP as CONTROL_LANE
from streaming.summaries import Summaries
from streaming.usage import process_usage
from streaming.writers import ANSWER, ASK, RENEW_S, Writers

logger = logging.getLogger(__name__)

ACCESS_NOTICE = "vital.access"
PROFILES_NOTICE = "vital.profiles"
POLL_S = 1.5
"""How long a change that nobody announced (a shell, another process) may go unseen."""
FORGET_EVERY_S = 60.0
KEEP_EVERY_S = 60.0
"""Between writes of what adaptive compression has learned; a crash costs so much of it."""
PRUNE_EVERY_S = 300.0
"""Between looks at what the history gives up; one that finds something is an entry in the audit trail."""
PIN_EVERY_S = 5.0
TEND_EVERY_S = 1.0
"""Between looks at streams from which nothing comes."""
DRAIN_S = 2.5
LAST_WORDS_S = 1.0
"""For what is still to be written when a process ends."""
_INVALID = {
    PrincipalKind.SESSION: "sign-in is no longer valid",
    PrincipalKind.TOKEN: "API token is no longer valid: revoked or expired, or its user may not sign in",
    PrincipalKind.DEVICE: "device token is no longer valid: replaced by a newer one, revoked or expired",
}


class Connection(Protocol):
    """An accepted, authenticated socket."""

    principal: Principal
    watched: frozenset[str]

    def cut(self, code: CloseCode, reason: str) -> None:
        """Say why, and close; returns at once."""

    def refresh(self, visible: frozenset[str], *, changed: bool = False) -> None:
        """These are the streams that the principal may see now; `changed` when their facts may be others."""


class Runtime:
    """Started once per process, inside its event loop; reached as `scope["vital"]`.

    `shared` is whether the layer reaches other processes; `renew_layer` makes another one of its kind, for
    when it does not reach this one any more.
    """

    def __init__(
        self,
        layer: Any,
        *,
        shared: bool = True,
        renew_layer: Callable[[], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.process_id = secrets.token_hex(4)
        self.hub = Hub(
            layer,
            process_id=self.process_id,
            clock=clock,
            on_notice=self._on_notice,
            shared=shared,
            renew_layer=renew_layer,
        )
        self.recorder = Recorder(history := HistoryKeeper(), clock=clock)
        self.summaries = Summaries(history, clock=clock)
        self._history_source = HistorySource()
        self.hub.recovery.sources.append(self._history_source)
        self.review = ReviewSource(clock=clock)
        self._pins = Pins(history)
        self.care = AlarmCare(self.hub.link, process_id=self.process_id, clock=clock)
        self.alarms = self.care.desk
        self.ingest = Ingest(
            self._publish,
            self.compression_for,
            alarms=self.alarms,
            new_id=self.alarms.new_id,
            on_grave=self._pins.note,
            clock=clock,
        )
        self.writers = Writers(
            self.ingest, self.hub.link, process_id=self.process_id, shared=shared, clock=clock
        )
        self.listeners: list[Callable[[dict[str, Any]], bool]] = []
        """Asked in turn to take a message of another process that is none of the runtime's own."""
        self.stopping = False
        self._admission = Admission(now=clock(), rng=random.Random())  # nosec B311
        self._history = history
        self._audit = Upkeep(AUDIT, audit.head, settings.VITAL_AUDIT_DAYS, _in_thread)
        self._clock = clock
        self._adaptive: dict[str, AdaptiveCompression] = {}
        self._forgotten = CompressionTotals()
        self._cpu_budget = TokenBucket(CPU_S_PER_S, CPU_BURST_S, clock())
        self._learned: dict[str, Any] = {}
        """States of former processes, by group, until the group is there."""
        self._kept: dict[str, int] = {}
        """How much was learned of each group when it was last written."""
        self._connections: set[Connection] = set()
        self._cut: set[Connection] = set()
        """Those of them that a verdict has ended."""
        self._none_left = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._access_changed = asyncio.Event()
        self._profiles_changed = asyncio.Event()
        self._settings = SettingsWatch(self.process_id, self._apply_profiles)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Load the settings, open the layer, and begin to watch for changes."""
        self._loop = asyncio.get_running_loop()
        await self._settings.load()
        await self._load_learned()
        await self.hub.start()
        await self.hub.link.join(CONTROL_GROUP)
        self.recorder.start()
        self.summaries.start()
        await self.care.start(self.writers.online)
        access.access_changed.connect(self._on_access_changed)
        profiles.profiles_changed.connect(self._on_profiles_changed)
        self._tasks = [
            asyncio.create_task(
                repeat(self._access_changed, POLL_S, self._follow_access), name="vital-access"
            ),
            asyncio.create_task(
                repeat(self._profiles_changed, POLL_S, lambda _: self._settings.load()),
                name="vital-profiles",
            ),
            asyncio.create_task(
                repeat(self._settings.due, REPORT_S, lambda _: self._settings.report()),
                name="vital-process",
            ),
            asyncio.create_task(
                repeat(self.writers.due, RENEW_S, lambda _: self.writers.renew()), name="vital-leases"
            ),
            asyncio.create_task(self._audit.keep(), name="vital-audit"),
            asyncio.create_task(
                repeat(asyncio.Event(), FORGET_EVERY_S, lambda _: self._forget_idle()), name="vital-forget"
            ),
            asyncio.create_task(
                repeat(asyncio.Event(), audit.REPEAT_S, lambda _: _record_repeats()), name="vital-repeats"
            ),
            asyncio.create_task(
                repeat(asyncio.Event(), SAMPLE_S, lambda _: self._read_networks()), name="vital-networks"
            ),
            asyncio.create_task(
                repeat(asyncio.Event(), KEEP_EVERY_S, lambda _: self._keep_learned()), name="vital-learned"
            ),
            asyncio.create_task(
                repeat(asyncio.Event(), PRUNE_EVERY_S, lambda _: self._prune_history()), name="vital-history"
            ),
            asyncio.create_task(
                repeat(asyncio.Event(), PIN_EVERY_S, lambda _: self._pins.write()), name="vital-pins"
            ),
            asyncio.create_task(
                repeat(asyncio.Event(), TEND_EVERY_S, lambda _: self._tend_ingest()), name="vital-silence"
            ),
        ]

    async def stop(self) -> None:
        """Close every socket with 4012, wait for them at most 2.5 s, and end what `start` began."""
        self.stopping = True
        access.access_changed.disconnect(self._on_access_changed)
        profiles.profiles_changed.disconnect(self._on_profiles_changed)
        for connection in list(self._connections):
            connection.cut(CloseCode.GOING_AWAY, "server is going away")
        if self._connections:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await self._none_left.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(
            self._say_last_words(),
            self.recorder.aclose(LAST_WORDS_S),
            self.summaries.aclose(LAST_WORDS_S),
            self.care.aclose(LAST_WORDS_S),
        )
        self._history.close()
        self._history_source.close()
        self.review.close()
        await self.writers.aclose()
        await self.hub.aclose()

    async def _say_last_words(self) -> None:
        with contextlib.suppress(DatabaseFault, TimeoutError):  # away: the process ends all the same
            async with asyncio.timeout(LAST_WORDS_S):
                await self.writers.give_up()
                await _record_repeats(ending=True)
                await self._keep_learned()
                await self._pins.write()
                if self._tasks:
                    await self._audit.end()
                await self._settings.leave()

    def admit_viewer(self, peer: str) -> None:
        """A viewer says hello from the address `peer`.

        Raises BusyError when too many do at once, or the process is overloaded, and what `admit_device` does.
        """
        self.refuse_guesser(peer)
        overload = self.hub.overload.state
        retry_after_s = self._admission.retry_after_s(peer, self._clock(), overload=overload)
        if retry_after_s is not None:
            is_calm = overload is OverloadState.NORMAL
            reason = "too many viewers come at once" if is_calm else "the server has too much to do"
            raise BusyError(reason, round(1000 * retry_after_s))

    def admit_device(self, peer: str) -> None:
        """A device says hello; however many do, they are taken in.

        Raises RateLimitError while too many credentials from its address are wrong.
        """
        self.refuse_guesser(peer)

    def admitted_nobody(self, peer: str, *, as_viewer: bool) -> None:
        """Its credentials were wrong: it takes no viewer's place."""
        self._admission.was_wrong(peer, self._clock())
        if as_viewer:
            self._admission.give_back()

    def refuse_guesser(self, peer: str) -> None:
        """Raise RateLimitError while too many credentials from this address are wrong."""
        if self._admission.is_guessing(peer, self._clock()):
            raise RateLimitError("too many wrong credentials came from this address")

    def add(self, connection: Connection) -> None:
        """Watch over an authenticated socket."""
        self._connections.add(connection)
        self._none_left.clear()
        if self.stopping:  # it was let in while the others were told
            connection.cut(CloseCode.GOING_AWAY, "server is going away")

    def remove(self, connection: Connection) -> None:
        """The socket is gone."""
        self._connections.discard(connection)
        self._cut.discard(connection)
        if not self._connections:
            self._none_left.set()

    def connections_of(self, principal: Principal) -> int:
        """How many sockets this principal has open in this process."""
        return sum(connection.principal == principal for connection in self._connections)

    def compression_for(self, group: str) -> CompressionHandler:
        """The group's own handler, governed by its profile, and steered by what its viewers' acks say."""
        return self.adaptive_for(group).handler

    def adaptive_for(self, group: str) -> AdaptiveCompression:
        """What steers the group's handler; it goes on from what a former process has learned."""
        adaptive = self._adaptive.get(group)
        if adaptive is None:
            adaptive = self._adaptive[group] = AdaptiveCompression(
                CompressionHandler(self.hub.profiles.for_group(group).compression),
                network=partial(self._networks_of, group),
                budget=self._cpu_budget,
                clock=self._clock,
            )
            if (state := self._learned.pop(group, None)) is not None:
                try:
                    adaptive.import_state(state)
                    self._kept[group] = adaptive.messages_learned
                except ValueError as error:
                    logger.warning("what was learned for %s cannot be used, starting anew: %s", group, error)
        return adaptive

    def stats(self) -> list[GroupStats]:
        """The present figures of every group that has viewers or devices here."""
        return list(group_stats(self.hub, self._adaptive, self.recorder.by_group()))

    def stats_in_pieces(self) -> Iterator[GroupStats | None]:
        """The same one by one, without `detail`, and None within a group of many viewers.

        Others may run between any two.
        """
        return group_pieces(self.hub, self._adaptive, {}, detailed=False)

    def usage(self) -> ProcessUsage:
        """What the process as a whole has used and done, and holds now; never waits."""
        return process_usage(self.hub, self.ingest)

    def compression_totals(self) -> CompressionTotals:
        """Of all groups since the process began, those that were forgotten too."""
        handlers = (adaptive.handler for adaptive in self._adaptive.values())
        return self._forgotten.plus(handler.get_compression_stats() for handler in handlers)

    def _publish(self, bundle: Bundle) -> None:
        """To viewers first: the history may be late."""
        self.hub.publish(bundle)
        self.recorder.take(bundle)
        self.summaries.take(bundle)

    def _on_access_changed(self, **_signal: Any) -> None:
        self._wake(self._access_changed, ACCESS_NOTICE)

    def _on_profiles_changed(self, **_signal: Any) -> None:
        self._wake(self._profiles_changed, PROFILES_NOTICE)

    def _wake(self, event: asyncio.Event, notice: str) -> None:
        """From whichever thread Django ran in: act here, and tell the other processes."""
        assert self._loop is not None, "signals are connected by start"
        self._loop.call_soon_threadsafe(event.set)
        self._loop.call_soon_threadsafe(self._announce, notice)

    def _announce(self, notice: str) -> None:
        if self.hub.shared:
            self.hub.link.publish(CONTROL_GROUP, {"type": notice, "origin": self.process_id})

    def _on_notice(self, message: dict[str, Any]) -> None:
        if message["type"] == ACCESS_NOTICE:
            self._access_changed.set()
        elif message["type"] == PROFILES_NOTICE:
            self._profiles_changed.set()
        elif message["type"] in (ASK, ANSWER):
            self.writers.hear(message)
        elif not any(hear(message) for hear in self.listeners):
            self.care.hear(message)

    async def _follow_access(self, announced: bool) -> None:
        await self._recheck_access(announced)
        for stream in await database_sync_to_async(access.ended_streams)(self.ingest.streams()):
            self.ingest.end(stream)

    async def _recheck_access(self, announced: bool) -> None:
        # As of now: what somebody begins to watch meanwhile was allowed later than these verdicts.
        watched = {connection: connection.watched for connection in self._connections}
        if not watched:
            return
        verdicts = await database_sync_to_async(access.recheck)({c.principal for c in watched})
        lost = frozenset().union(*(seen - verdicts[c.principal].streams for c, seen in watched.items()))
        ended = await database_sync_to_async(access.ended_streams)(lost) if lost else set()
        newly_cut: list[tuple[Principal, str]] = []
        for connection, seen in watched.items():
            verdict = verdicts[connection.principal]
            if not verdict.valid:
                code, reason = CloseCode.UNAUTHENTICATED, _INVALID[connection.principal.kind]
            elif not seen <= verdict.streams | ended:
                code, reason = CloseCode.FORBIDDEN, "permission was withdrawn"
            else:
                connection.refresh(verdict.streams, changed=announced)
                continue
            connection.cut(code, reason)
            if connection in self._connections - self._cut:
                self._cut.add(connection)
                newly_cut.append((connection.principal, reason))
        for principal, reason in newly_cut:
            await database_sync_to_async(access.note_cut)(principal, reason)

    def _apply_profiles(self, loaded: ProfileSet) -> None:
        self.hub.apply_profiles(loaded)
        for group, adaptive in self._adaptive.items():
            adaptive.handler.profile = loaded.for_group(group).compression

    async def _forget_idle(self) -> None:
        """What has neither viewers nor a device here any more takes no room, and no row of figures."""
        streams = self.ingest.streams()
        self.recorder.forget(streams)
        self._pins.forget(streams)
        kept = {CONTROL_LANE} | {group_of(stream) for stream in streams}
        self.hub.forget_tallies(kept)
        for group in self._adaptive.keys() - kept - self.hub.viewers_by_group().keys():
            handler = self._adaptive.pop(group).handler
            self._forgotten = self._forgotten.plus([handler.get_compression_stats()])

    def _networks_of(self, group: str) -> list[NetworkEstimator]:
        """Of everybody who is sent what the group has; `control` is for all."""
        viewers = (
            self.hub.subscribers() if group == CONTROL_LANE else self.hub.viewers_by_group().get(group, ())
        )
        return [viewer.window.network for viewer in viewers]

    async def _load_learned(self) -> None:
        try:
            self._learned = await database_sync_to_async(adaptation.load)()
        except ValueError as error:  # a row that is no JSON
            logger.warning("what was learned cannot be read, starting anew: %s", error)

    async def _read_networks(self) -> None:
        for adaptive in self._adaptive.values():
            adaptive.sample()

    async def _keep_learned(self) -> None:
        """Write what has been learned since the last time, off the data path."""
        learned = {group: adaptive.messages_learned for group, adaptive in self._adaptive.items()}
        news = {group: count for group, count in learned.items() if count > self._kept.get(group, 0)}
        if news:
            states = {group: self._adaptive[group].export_state() for group in news}
            await database_sync_to_async(adaptation.save)(states)
            self._kept = learned

    async def _tend_ingest(self) -> None:
        self.ingest.tend(self._clock())

    async def _prune_history(self) -> None:
        await self._history.prune()


async def _in_thread(function: Callable[[], Any]) -> Any:
    return await database_sync_to_async(function)()


async def _record_repeats(*, ending: bool = False) -> None:
    await database_sync_to_async(partial(audit.record_repeats, ending=ending))()
