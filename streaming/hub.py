"""Who watches which stream in this process, and what each stream has for them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any

from streaming.aliases import Aliases
from streaming.core.bundle import MESSAGE_TYPE, Bundle
from streaming.core.diagnostics import HubStats
from streaming.core.ladder import CHOOSE_S
from streaming.core.messages import Resume
from streaming.core.overload import Overload
from streaming.core.profiles import ProfileSet
from streaming.core.ring import Rings
from streaming.core.stages import Percentiles
from streaming.core.streams import group_of
from streaming.core.tally import GroupTally
from streaming.exceptions import CloseCode
from streaming.fanout import TICK_S, FanOut
from streaming.lag import LoopLag
from streaming.layer_link import LayerLink, LayerMessage
from streaming.log_context import NOBODY
from streaming.overload import OverloadWatch
from streaming.probe import Probe
from streaming.recovery import Recovery
from streaming.room import Room
from streaming.sources import FrameSource, LayerRings, LocalRings
from streaming.subscriber import Subscriber

logger = logging.getLogger(__name__)

LINGER_S = 90.0
"""How long a group is kept after its last local viewer left: a page reload joins nothing anew."""
TIDY_EVERY_S = 2.0
REPORT_TURNS = 8
REPORT_EVERY_S = REPORT_TURNS * CHOOSE_S
"""Between two looks at how a viewer fares, an eighth of them at a time: a thousand at once would hold up
everybody for a tenth of a second."""
CHOOSE_SLICE_S = 0.02
"""Of choosing for many, before others have their turn."""
OWN_DELAY_S = 0.2
"""A process that is late by more takes acks late: nobody's network is slow for that."""


class Hub:
    """Joins a stream's group with its first local viewer and hands each bundle to all of them at a tick.

    What each viewer is sent its streams as is chosen four times a second, and when it watches others.
    `publish` and the delivery behind it never wait. Bundles of this process reach its viewers without the
    layer; the copy that the layer brings back is dropped by its origin.
    """

    def __init__(
        self,
        layer: Any,
        *,
        process_id: str,
        profiles: ProfileSet | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_notice: Callable[[LayerMessage], None] | None = None,
        shared: bool = True,
        renew_layer: Callable[[], Any] | None = None,
        tick_s: float = TICK_S,
    ) -> None:
        self.process_id = process_id
        self.shared = shared
        """Whether the layer reaches other processes; one that does not need not be given anything."""
        self.link = LayerLink(layer, self._on_layer_message, renew=renew_layer)
        self.rings = Rings()
        """The last minute of every stream of which anything comes here."""
        self._layer_rings = LayerRings(self.rings, self.link, process_id, clock=clock)
        sources: list[FrameSource] = [LocalRings(self.rings)]
        if shared:
            sources.append(self._layer_rings)
        self.recovery = Recovery(self.rings, sources, clock=clock)
        self._profiles = profiles or ProfileSet()
        self._clock = clock
        self._on_notice = on_notice
        self.lag = LoopLag(clock)
        self._fan_out = FanOut(tick_s=tick_s, clock=clock)
        self._rooms: dict[str, Room] = {}
        self._subscribers: dict[Subscriber, dict[str, Room]] = {}
        """The rooms that each viewer is in, by stream."""
        self._tallies: dict[str, GroupTally] = {}
        self._forgotten = GroupTally()
        """What the counters of groups that were forgotten had come to."""
        self._former_messages = 0
        """WebSocket messages to viewers that are gone."""
        self._aliases = Aliases(self._evict)
        self._overload = OverloadWatch()
        self._probe = Probe()
        self._skewed: set[str] = set()
        self._restless: dict[Subscriber, None] = {}
        """Those who watch other streams than when it was chosen what they are sent."""
        self._turns = itertools.count()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the one layer subscription of this process."""
        await self.link.start()
        self.lag.start()
        self._tasks = [
            asyncio.create_task(self._every(CHOOSE_S, self._adapt), name="vital-adapt"),
            asyncio.create_task(self._every(TIDY_EVERY_S, self._tidy), name="vital-hub"),
        ]

    async def aclose(self) -> None:
        """Leave every group; viewers are closed by whoever accepted them."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.lag.close()
        self._fan_out.close()
        await self.recovery.aclose()
        await self._layer_rings.aclose()
        await self.link.aclose()

    @property
    def profiles(self) -> ProfileSet:
        """The settings in force."""
        return self._profiles

    def apply_profiles(self, profiles: ProfileSet) -> None:
        """Swap the snapshot; running viewers are governed by it from now on."""
        self._profiles = profiles
        for room in self._rooms.values():
            room.cap(profiles.for_group(room.group).best_rendition)
        for subscriber in self._subscribers:
            subscriber.apply_profiles(profiles)

    @property
    def overload(self) -> Overload:
        """Whether this process has more to do than it can."""
        return self._overload.state

    def stages(self) -> Mapping[str, Percentiles]:
        """How long each stage of a message's way took in the last minutes, by its name, and `total`."""
        self._probe.settle(now := self._clock())
        return self._probe.times.summary(now)

    def stages_by_stream(self) -> Mapping[str, tuple[Mapping[str, Percentiles], int]]:
        """The same of each stream of which a message was followed, and of how many."""
        self._probe.settle(now := self._clock())
        return self._probe.times.by_stream(now)

    def stats(self) -> HubStats:
        """How the process and each of its viewers fare now; never waits."""
        return HubStats(
            overload=self.overload.state,
            lag_s=self.overload.lag_s,
            queued_bytes=sum(subscriber.handler.queued_bytes for subscriber in self._subscribers),
            viewers=tuple(subscriber.stats() for subscriber in self._subscribers),
            stages=self.stages(),
            unfollowed=self._probe.times.lost,
        )

    def viewers_by_group(self) -> dict[str, set[Subscriber]]:
        """Who watches each group that this process has joined."""
        return {room.group: room.viewers for room in self._rooms.values()}

    def tallies(self) -> dict[str, GroupTally]:
        """The counters of every group that had a viewer here and was not forgotten since."""
        return self._tallies

    def forget_tallies(self, kept: Set[str]) -> None:
        """Drop the counters of groups that nobody here watches and that are not `kept`."""
        for group in self._tallies.keys() - kept - self.viewers_by_group().keys():
            self._forgotten.absorb(self._tallies.pop(group))

    def totals(self) -> GroupTally:
        """The counters of all groups together, those that were forgotten too: they never go down."""
        totals = GroupTally()
        for tally in (self._forgotten, *self._tallies.values()):
            totals.absorb(tally)
        return totals

    @property
    def websocket_messages(self) -> int:
        """How many were written to viewers since the process began; several logical messages share one."""
        return self._former_messages + sum(subscriber.window.sent for subscriber in self._subscribers)

    def subscribers(self) -> list[Subscriber]:
        """Every viewer of this process."""
        return list(self._subscribers)

    def add(self, subscriber: Subscriber) -> None:
        """A viewer has connected; it watches nothing yet."""
        self._subscribers[subscriber] = {}
        subscriber.limit(self.overload)

    def remove(self, subscriber: Subscriber) -> None:
        """A viewer is gone: out of every room, and its aliases may be used again."""
        if subscriber in self._subscribers:
            self._former_messages += subscriber.window.sent
        for room in self._subscribers.pop(subscriber, {}).values():
            room.leave(subscriber, self._clock())
        self.recovery.remove(subscriber)
        self._restless.pop(subscriber, None)
        self._aliases.release(subscriber)

    async def watch(self, subscriber: Subscriber, stream: str) -> None:
        """Deliver `stream` to `subscriber`. Waits for the layer when it is the group's first viewer here.

        Nothing happens where the viewer is gone, which it may be while the stream before is waited for.
        """
        rooms = self._subscribers.get(subscriber)
        if rooms is None:
            return
        room = self._rooms.get(stream)
        is_new = room is None
        if room is None:
            tally = self._tallies.setdefault(group_of(stream), GroupTally())
            room = self._rooms[stream] = Room(
                stream,
                self._aliases,
                tally,
                self._fan_out,
                self._clock(),
                on_news=self._choose_soon,
                on_missing=self.recovery.fill,
            )
            room.cap(self._profiles.for_group(room.group).best_rendition)
        rooms[stream] = room
        subscriber.watches = len(rooms)
        room.enter(subscriber)
        self._choose_soon([subscriber])
        if is_new:
            await self.link.join(room.group)

    def unwatch(self, subscriber: Subscriber, stream: str) -> None:
        """Stop delivering `stream`; what is queued for it is abandoned."""
        rooms = self._subscribers.get(subscriber, {})
        room = rooms.pop(stream, None)
        if room is not None:
            subscriber.watches = len(rooms)
            room.leave(subscriber, self._clock())
            self.recovery.forget(subscriber, stream)
            subscriber.forget(room.group)
            self._choose_soon([subscriber])

    def resume(self, subscriber: Subscriber, resume: Resume) -> None:
        """A viewer that watches a stream says what it has of it: it is sent late what it lacks."""
        room = self._subscribers.get(subscriber, {}).get(resume.stream)
        if room is not None:
            self.recovery.resume(room, subscriber, resume)

    def focus(self, subscriber: Subscriber, stream: str | None) -> None:
        """The viewer looks at `stream`: it gets a better rendition before the others do."""
        if subscriber.focus != stream:
            subscriber.focus = stream
            self._choose_soon([subscriber])

    def publish(self, bundle: Bundle) -> None:
        """Take a bundle of a local device: to the viewers here at once, to other processes over the layer."""
        self.rings.take(bundle, self._clock(), own=True)
        if bundle.frames and (now := self._clock()) >= self._probe.due:
            self._follow(bundle, now)
        self._deliver(bundle)
        if not self.shared:
            return
        size_bytes = sum(len(frame.payload) for frame in bundle.frames)
        self.link.publish(bundle.info.group, bundle.to_message(self.process_id), size_bytes)

    def _follow(self, bundle: Bundle, now: float) -> None:
        """Let one message's way be timed."""
        room, out = self._rooms.get(bundle.info.stream), self._fan_out
        if room is not None and room.is_watched:
            with _contained("following a message"):
                out.journey = self._probe.begin(bundle, room.listeners(), now, pending=out.journey)

    def _on_layer_message(self, message: LayerMessage) -> None:
        if message.get("origin") == self.process_id:
            return
        if message["type"] == MESSAGE_TYPE:
            bundle = self._read(message)
            if bundle is not None:
                self.rings.take(bundle, self._clock(), own=False)
                self._deliver(bundle)
        elif self._layer_rings.hear(message):
            pass
        elif self._on_notice is not None:
            self._on_notice(message)

    def _read(self, message: LayerMessage) -> Bundle | None:
        """The bundle of another process; None when that one runs a version which writes them otherwise."""
        try:
            return Bundle.from_message(message)
        except (KeyError, TypeError, ValueError) as error:
            origin = message["origin"]
            if origin not in self._skewed:
                self._skewed.add(origin)
                logger.warning("process %s sends bundles that cannot be read: %r", origin, error)
            return None

    def _evict(self, subscriber: Subscriber) -> None:
        """Ask a viewer to connect again; nothing more goes to it, so that its aliases are free at once."""
        subscriber.cut(CloseCode.GOING_AWAY, "aliases are used up, reconnect")
        self.remove(subscriber)

    def _deliver(self, bundle: Bundle) -> None:
        room = self._rooms.get(bundle.info.stream)
        if room is not None and room.is_watched:
            with _contained(f"delivering stream {room.stream}"):
                room.deliver(bundle, self._clock())

    def _choose_soon(self, subscribers: Iterable[Subscriber]) -> None:
        """Choose anew for these viewers, once, when all that happens now has happened."""
        if not self._restless:
            asyncio.get_running_loop().call_soon(self._choose_for_restless, context=NOBODY)
        self._restless.update(dict.fromkeys(subscribers))

    def _choose_for_restless(self) -> None:
        """A slice of them, by time: when the state of the process changes, that is everybody at once."""
        until = self._clock() + CHOOSE_SLICE_S
        for subscriber in list(self._restless):
            if self._clock() > until:
                break
            self._restless.pop(subscriber, None)
            if subscriber not in self._subscribers:  # it had to go for an alias
                continue
            with _contained("choosing for a viewer", subscriber):
                rooms = self._subscribers[subscriber].items()
                wants = (room.want(focused=stream == subscriber.focus) for stream, room in rooms)
                subscriber.wants = tuple(want for want in wants if want is not None)
                subscriber.choose()
                self._switch(subscriber)
        if self._restless:  # those that are left, or became so meanwhile
            asyncio.get_running_loop().call_soon(self._choose_for_restless, context=NOBODY)

    def _switch(self, subscriber: Subscriber) -> None:
        """Send its streams as it has chosen."""
        rooms, now = self._subscribers[subscriber], self._clock()
        for stream, rendition in subscriber.renditions.items():
            rooms[stream].send_as(subscriber, rendition, now)

    def _adapt(self, late_s: float) -> None:
        if self._overload.turn(late_s, self._subscribers.keys(), self._clock()):
            self.recovery.paused = not self.overload.allows_bulk
            self._choose_soon(self._subscribers)
        for room in self._rooms.values():
            with _contained(f"tending stream {room.stream}"):
                room.tend(self._clock())
                self.recovery.tend(room)
        for subscriber in [known for known in self._subscribers if known not in self._restless]:
            with _contained("choosing for a viewer", subscriber):
                if late_s > OWN_DELAY_S:
                    subscriber.overlook()
                elif subscriber in self._subscribers and subscriber.choose():
                    self._switch(subscriber)
        for subscriber in list(self._subscribers)[next(self._turns) % REPORT_TURNS :: REPORT_TURNS]:
            with _contained("reporting to a viewer", subscriber):
                subscriber.layer_is_away = not self.link.healthy
                subscriber.report()

    async def _every(self, seconds: float, act: Callable[[float], None]) -> None:
        """Call `act` with the seconds by which the turn comes late."""
        while True:
            due = self._clock() + seconds
            await asyncio.sleep(seconds)
            with _contained("keeping house"):
                act(self._clock() - due)

    def _tidy(self, _late_s: float) -> None:
        self.rings.forget(self._clock())
        for room in list(self._rooms.values()):
            if room.idle_s(self._clock()) > LINGER_S:
                del self._rooms[room.stream]
                room.close()
                self.link.leave(room.group)


@contextlib.contextmanager
def _contained(what: str, subscriber: Subscriber | None = None) -> Iterator[None]:
    """Log a fault of ours and go on with the others: the viewer that it concerns has to come again."""
    try:
        yield
    except Exception:
        logger.exception("%s failed, going on", what)
        if subscriber is not None:
            subscriber.cut(CloseCode.INTERNAL, "internal error")
