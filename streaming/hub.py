"""Who watches which stream in this process, and what each stream has for them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Set
from typing import Any

from streaming.core import messages
from streaming.core.bundle import MESSAGE_TYPE, Bundle, Gap, WaveFrame
from streaming.core.frames import HEADER, FrameKind, encode_frame
from streaming.core.messages import GapReason
from streaming.core.outbox import Item, Span
from streaming.core.priority import MessagePriority
from streaming.core.profiles import ProfileSet
from streaming.core.streams import StreamInfo, group_of
from streaming.core.tally import GroupTally
from streaming.exceptions import CloseCode
from streaming.fanout import TICK_S, FanOut
from streaming.layer_link import LayerLink, LayerMessage
from streaming.subscriber import Announcement, Subscriber, gap_item

logger = logging.getLogger(__name__)

LINGER_S = 90.0
"""How long a group is kept after its last local viewer left: a page reload joins nothing anew."""
REPORT_EVERY_S = 2.0
MAX_ALIASES = 0xFFFF


class Hub:
    """Joins a stream's group with its first local viewer and hands each bundle to all of them at a tick.

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
        tick_s: float = TICK_S,
    ) -> None:
        self.process_id = process_id
        self.shared = shared
        """Whether the layer reaches other processes; one that does not need not be given anything."""
        self.link = LayerLink(layer, self._on_layer_message)
        self._profiles = profiles or ProfileSet()
        self._clock = clock
        self._on_notice = on_notice
        self._fan_out = FanOut(tick_s=tick_s, clock=clock)
        self._rooms: dict[str, Room] = {}
        self._subscribers: set[Subscriber] = set()
        self._tallies: dict[str, GroupTally] = {}
        self._aliases = Aliases(self._evict)
        self._skewed: set[str] = set()
        self._housekeeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the one layer subscription of this process."""
        await self.link.start()
        self._housekeeping = asyncio.create_task(self._keep_house(), name="vital-hub")

    async def aclose(self) -> None:
        """Leave every group; viewers are closed by whoever accepted them."""
        if self._housekeeping is not None:
            self._housekeeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._housekeeping
        self._fan_out.close()
        await self.link.aclose()

    @property
    def profiles(self) -> ProfileSet:
        """The settings in force."""
        return self._profiles

    def apply_profiles(self, profiles: ProfileSet) -> None:
        """Swap the snapshot; running viewers are governed by it from now on."""
        self._profiles = profiles
        for subscriber in self._subscribers:
            subscriber.apply_profiles(profiles)

    def viewers_by_group(self) -> dict[str, set[Subscriber]]:
        """Who watches each group that this process has joined."""
        return {room.group: room.viewers for room in self._rooms.values()}

    def tallies(self) -> dict[str, GroupTally]:
        """The counters of every group that had a viewer here and was not forgotten since."""
        return self._tallies

    def forget_tallies(self, kept: Set[str]) -> None:
        """Drop the counters of groups that nobody here watches and that are not `kept`."""
        for group in self._tallies.keys() - kept - self.viewers_by_group().keys():
            del self._tallies[group]

    def subscribers(self) -> list[Subscriber]:
        """Every viewer of this process."""
        return list(self._subscribers)

    def add(self, subscriber: Subscriber) -> None:
        """A viewer has connected; it watches nothing yet."""
        self._subscribers.add(subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        """A viewer is gone: out of every room, and its aliases may be used again."""
        self._subscribers.discard(subscriber)
        for room in self._rooms.values():
            room.leave(subscriber, self._clock())
        self._aliases.release(subscriber)

    async def watch(self, subscriber: Subscriber, stream: str) -> None:
        """Deliver `stream` to `subscriber`. Waits for the layer when it is the group's first viewer here."""
        room = self._rooms.get(stream)
        if room is None:
            tally = self._tallies.setdefault(group_of(stream), GroupTally())
            room = self._rooms[stream] = Room(stream, self._aliases, tally, self._fan_out, self._clock())
            room.enter(subscriber)
            await self.link.join(room.group)
        else:
            room.enter(subscriber)

    def unwatch(self, subscriber: Subscriber, stream: str) -> None:
        """Stop delivering `stream`; what is queued for it is abandoned."""
        room = self._rooms.get(stream)
        if room is not None:
            room.leave(subscriber, self._clock())
            subscriber.forget(room.group)

    def publish(self, bundle: Bundle) -> None:
        """Take a bundle of a local device: to the viewers here at once, to other processes over the layer."""
        self._deliver(bundle)
        if not self.shared:
            return
        size_bytes = sum(len(frame.payload) for frame in bundle.frames)
        self.link.publish(bundle.info.group, bundle.to_message(self.process_id), size_bytes)

    def _on_layer_message(self, message: LayerMessage) -> None:
        if message.get("origin") == self.process_id:
            return
        if message["type"] == MESSAGE_TYPE:
            bundle = self._read(message)
            if bundle is not None:
                self._deliver(bundle)
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
        if room is not None and room.viewers:
            room.deliver(bundle, self._clock())

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            try:
                self._report_and_tidy()
            except Exception:  # a fault of ours; reports and leaving must go on for all the others
                logger.exception("keeping house failed, going on")

    def _report_and_tidy(self) -> None:
        for subscriber in self._subscribers:
            subscriber.report()
        for room in list(self._rooms.values()):
            if room.idle_s(self._clock()) > LINGER_S:
                del self._rooms[room.stream]
                room.close()
                self.link.leave(room.group)


class Room:
    """One stream in this process: its viewers, its current epoch, and the alias its frames carry."""

    def __init__(self, stream: str, aliases: Aliases, tally: GroupTally, fan_out: FanOut, now: float) -> None:
        self.stream = stream
        self.group = group_of(stream)
        self.viewers: set[Subscriber] = set()
        self.tally = tally
        self._aliases = aliases
        self._fan_out = fan_out
        self._info: StreamInfo | None = None
        self._announcement: Announcement | None = None
        self._next_sample: int | None = None
        self._outdated_told = False
        self._empty_since = now

    def enter(self, subscriber: Subscriber) -> None:
        """`subscriber` gets what comes from now on."""
        self.viewers.add(subscriber)

    def leave(self, subscriber: Subscriber, now: float) -> None:
        """`subscriber` gets nothing more."""
        if subscriber in self.viewers:
            self.viewers.discard(subscriber)
            self._empty_since = now
            if not self.viewers:
                self._next_sample = None  # What comes while nobody watches is nobody's gap.
                self._fan_out.forget(self.stream)

    def idle_s(self, now: float) -> float:
        """Seconds since the last viewer left; 0 while there is one."""
        return 0.0 if self.viewers else now - self._empty_since

    def close(self) -> None:
        """Give the alias back."""
        if self._announcement is not None:
            self._aliases.retire(self._announcement)

    def deliver(self, bundle: Bundle, now: float) -> None:
        """Prepare each payload once and offer it to every viewer; a hole nobody explained becomes a GAP.

        A bundle of an older epoch than the present one is passed over: see ADR 8.
        """
        if self._info is not None and bundle.info.epoch < self._info.epoch:
            self._tell_outdated(bundle.info.epoch)
            return
        if bundle.info != self._info:
            self._begin(bundle.info)
        announcement = self._announcement
        assert announcement is not None, "a room with an epoch has announced it"
        items: list[Item] = []
        for gap in bundle.gaps:
            items += self._missing(bundle.info, gap.first, gap.stop, now)
            items.append(self._gap(bundle.info, gap, now))
        for frame in bundle.frames:
            if frame.kind is FrameKind.WAVEFORM:
                items += self._missing(bundle.info, frame.first, frame.first + frame.count, now)
            items.append(_frame_item(bundle.info, announcement.alias, frame, now))
        items += (
            Item(event.text, event.priority, now, len(event.text), key=(self.stream, event.key))
            for event in bundle.events
        )
        if items:  # else all that it carries is of a newer version
            self._fan_out.add(announcement, self.viewers, items)

    def _tell_outdated(self, epoch: int) -> None:
        if not self._outdated_told:
            self._outdated_told = True
            logger.warning("epoch %s of stream %s comes beside a newer one, ignored", epoch, self.stream)

    def _begin(self, info: StreamInfo) -> None:
        """A new epoch, or new facts about it: a new alias."""
        if self._announcement is not None:
            self._fan_out.hand_on(self.stream)
            self._aliases.retire(self._announcement)
        if self._info is None or self._info.epoch != info.epoch:
            self._next_sample = None
        self._info = info
        alias = self._aliases.take()
        self._announcement = Announcement(
            alias, info, messages.stream(info, alias), self.tally, self._aliases.hold
        )

    def _missing(self, info: StreamInfo, first: int, stop: int, now: float) -> list[Item]:
        """Account for samples `first` to `stop`: a GAP for what lies before them and was lost on the way."""
        expected, self._next_sample = self._next_sample, stop
        if expected is None or first <= expected:
            return []
        return [self._gap(info, Gap(expected, first, GapReason.DROPPED), now)]

    def _gap(self, info: StreamInfo, gap: Gap, now: float) -> Item:
        return gap_item(Span(info.stream, info.epoch, gap.first, gap.stop), gap.reason, now)


class Aliases:
    """The process's u16 names for (stream, epoch, rendition), free again when no connection knows them.

    `evict(subscriber)` must release what the subscriber holds.
    """

    def __init__(self, evict: Callable[[Subscriber], None]) -> None:
        self._evict = evict
        self._free: deque[int] = deque()
        self._next = 0
        self._holders: dict[int, set[Subscriber]] = {}
        self._retired: dict[int, None] = {}

    def take(self) -> int:
        """An unused alias.

        When all 65,536 are held, the connections that hold the oldest retired one are asked to come again:
        that takes a device changing sessions for days under one viewer.
        """
        if self._free:
            alias = self._free.popleft()
        elif self._next <= MAX_ALIASES:
            alias, self._next = self._next, self._next + 1
        else:
            alias = next(iter(self._retired))
            for subscriber in list(self._holders[alias]):
                self._evict(subscriber)
            self._free.remove(alias)
        self._holders[alias] = set()
        return alias

    def hold(self, alias: int, subscriber: Subscriber) -> None:
        """`subscriber` has been told what `alias` means."""
        self._holders[alias].add(subscriber)

    def retire(self, announcement: Announcement) -> None:
        """No new frame will carry this alias."""
        alias = announcement.alias
        if self._holders[alias]:
            self._retired[alias] = None
        else:
            self._set_free(alias)

    def release(self, subscriber: Subscriber) -> None:
        """The connection is closed: whatever it alone held is free."""
        for alias, holders in list(self._holders.items()):
            holders.discard(subscriber)
            if not holders and alias in self._retired:
                self._set_free(alias)

    def _set_free(self, alias: int) -> None:
        self._retired.pop(alias, None)
        del self._holders[alias]
        self._free.append(alias)


def _frame_item(info: StreamInfo, alias: int, frame: WaveFrame, now: float) -> Item:
    """The one queue item that all viewers share; its bytes are never copied again."""
    payload = encode_frame(frame.kind, alias, frame.first, frame.payload)
    live = frame.kind is FrameKind.WAVEFORM
    return Item(
        payload,
        MessagePriority.HIGH if live else MessagePriority.BULK,
        now,
        HEADER.size + len(frame.payload),
        span=Span(info.stream, info.epoch, frame.first, frame.first + frame.count),
    )
