"""One viewer: what it has been told, what waits for it, and the GAPs that stand for what it will not get."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from streaming.backpressure import DEFAULT_GROUP, BackpressureHandler
from streaming.compression import CompressionHandler
from streaming.core import alarm_messages, messages
from streaming.core.alarm_delivery import AlarmDelivery
from streaming.core.backlog import Share, SharedBundle
from streaming.core.cadence import CadenceChooser
from streaming.core.diagnostics import Holder, ViewerReading, ViewerStats
from streaming.core.frames import FrameKind, encode_frame, encode_json_frame, pack_json_frame
from streaming.core.framing import encode_bundle
from streaming.core.ladder import Decision, Ladder, Readings, Reason, Want
from streaming.core.messages import GapReason
from streaming.core.metrics import BackpressureMetrics
from streaming.core.network import NetworkCondition
from streaming.core.outbox import Drop, DropReason, Item, Span
from streaming.core.overload import Overload, OverloadState
from streaming.core.priority import MessagePriority
from streaming.core.profiles import ProfileSet
from streaming.core.renditions import Quality, Rendition
from streaming.core.stages import Journey
from streaming.core.streams import StreamInfo, group_of
from streaming.core.tally import GroupTally
from streaming.core.window import SendWindow
from streaming.exceptions import CloseCode

QUIET_REPORTS = 5
"""How many reports are passed over while they would say nothing new."""
CONTROL_GROUP = "control"
"""The lane of what belongs to the connection and not to a stream; the profile of this group governs it."""

_LOW, _BULK = MessagePriority.LOW - 1, MessagePriority.BULK - 1
_GAP_BYTES = 110
"""Of a gap without the name of its stream, about."""
_BEST_FIRST = tuple(Quality)
_RECENTLY_S = 10.0
_GAP_REASONS = {
    DropReason.EXPIRED: GapReason.EXPIRED,
    DropReason.DROPPED: GapReason.DROPPED,
    DropReason.QUOTA: GapReason.QUOTA,
    DropReason.EMERGENCY: GapReason.EMERGENCY,
    DropReason.OVERLOAD: GapReason.DROPPED,
}


class Taken(Enum):
    """What became of a bundle that a viewer was handed."""

    LEFT = auto()
    """It is on its way."""
    WAITS = auto()
    """It waits, as it is."""
    REFUSED = auto()
    """Its items have to queue one by one."""


class Socket(Protocol):
    """What a subscriber writes to."""

    async def send_bytes(self, data: bytes) -> None:
        """Write one binary message."""

    async def send_text(self, data: str) -> None:
        """Write one text message."""


@dataclass(frozen=True, slots=True)
class AlarmKey:
    """Of a message about an alarm: a newer one of the same alarm replaces it in the queue."""

    alarm: str


@dataclass(frozen=True, slots=True, eq=False)
class Announcement:
    """What an alias means, as the `stream` message that precedes the first frame under it."""

    alias: int
    info: StreamInfo
    text: str
    tally: GroupTally
    hold: Callable[[int, Subscriber], None]


class Subscriber:
    """A BackpressureHandler with an ack window, speaking vital.v1 to one viewer.

    `offer` and `take` never wait. `on_cut(code, reason)` is called when the viewer has to go: too slow
    (4008) or, from the hub, because the process needs it to reconnect.
    """

    def __init__(
        self,
        socket: Socket,
        *,
        profiles: ProfileSet,
        compression: CompressionHandler,
        on_cut: Callable[[CloseCode, str], None],
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.cut = on_cut
        self.watches = 0
        """How many streams it watches."""
        self.holder: Holder | None = None
        """Whose it is, where somebody has said so."""
        self.focus: str | None = None
        """The stream that the user looks at."""
        self.journey: Journey | None = None
        """A message that is followed on its way to this viewer, from when it was queued."""
        self.wants: tuple[Want, ...] = ()
        """What it watches; the same object for as long as that is the same."""
        self.layer_is_away = False
        """Whether streams of other processes do not reach this one."""
        self.alarms = AlarmDelivery()
        """What it was told of alarms, and which of them people see."""
        self.on_alarms_left: Callable[[], None] | None = None
        """Called when messages about alarms leave: there is room for more."""
        self._clock = clock
        self._profiles = profiles
        self._compression = compression
        connection = profiles.default.connection
        self.window = SendWindow(max_bytes=connection.max_window_bytes, stall_s=connection.stall_s)
        self.handler = BackpressureHandler(
            socket,
            self.window,
            profile=profiles.default.backpressure,
            clock=clock,
            rng=rng,
            pack=self._pack,
            on_drops=self._on_drops,
            on_shared=self._on_shared,
            on_slow=lambda reason: on_cut(reason.close_code, str(reason)),
            keepalive=self._keepalive,
            max_total_bytes=connection.max_total_bytes,
        )
        self.handler.set_profile(CONTROL_GROUP, profiles.for_group(CONTROL_GROUP).backpressure)
        self._groups = {CONTROL_GROUP}
        self._announced: set[int] = set()
        self._tallies: dict[str, GroupTally] = {}
        self._cadence = CadenceChooser(self.window)
        self._ladder = Ladder()
        self._decision = Decision({}, Reason.STREAMS, 0.0)
        self._changed_for = Reason.STEADY
        """Why a stream was last sent as something else: decisions go on, and reports are seldom."""
        self._losses = 0
        self._lost_at: float | None = None
        self._last_ack = messages.Ack(0, 0.0, 0)
        self._flowing = False
        """Whether a shared bundle left since the last look."""
        self._report_due = False
        self._overload = self._overload_told = OverloadState.NORMAL
        self._reported: tuple[object, ...] | None = None
        self._passed_over = 0

    def offer(self, item: Item, announcement: Announcement) -> None:
        """Queue one prepared item of a stream, behind its `stream` message if that was not sent yet."""
        self._announce(announcement)
        if not item.control:
            announcement.tally.offered += 1
        self.handler.offer(item, announcement.info.group)

    def say(self, item: Item, group: str) -> None:
        """Queue what is said of a stream to this viewer alone, whatever alias it has."""
        self._govern(group)
        self.handler.offer(item, group)

    def take(self, bundle: SharedBundle, aliases: frozenset[int]) -> Taken:
        """Send a bundle that is shared with others, or let it wait as it is.

        `aliases` is what its frames are announced under. A report that is due rides along.
        """
        classes = bundle.classes
        if not aliases <= self._announced or (
            self._overload is not OverloadState.NORMAL and (classes[_LOW] or classes[_BULK])
        ):
            return Taken.REFUSED
        message = bundle.message
        if self._report_due:
            message += encode_bundle([pack_json_frame(self._stats())])[1:]
            classes = (*classes[:_LOW], classes[_LOW] + 1, *classes[_LOW + 1 :])
        self._flowing = self.handler.offer_prepared(message, classes)
        if self._flowing:
            self._report_due = False
            return Taken.LEFT
        return Taken.WAITS if self.handler.hold(bundle) else Taken.REFUSED

    def tell(
        self, text: str, *, priority: MessagePriority = MessagePriority.CRITICAL, key: str | None = None
    ) -> None:
        """Queue a message about the connection; CRITICAL ones are control and never dropped.

        A long one is deflated here, so that its bounds are those of the bytes that leave: control over
        64 KiB cuts the viewer, and the roster of a large hospital is longer than that.
        """
        payload = self._deflated(text) or text
        control = priority is MessagePriority.CRITICAL
        item = Item(payload, priority, self._clock(), len(payload), key=key, control=control)
        self.handler.offer(item, CONTROL_GROUP)

    def tell_alarm(self, alarm: str, frame: bytes, priority: MessagePriority) -> None:
        """Queue what is known of an alarm, as one JSON frame that viewers share; it is never dropped."""
        self.alarms.told(alarm, len(frame))
        self._offer_alarm(alarm, frame, priority)

    def withdraw_alarm(self, alarm: str, priority: MessagePriority) -> None:
        """Queue that an alarm which was told is not for it now, in the place of what still waits of it."""
        frame = pack_json_frame(alarm_messages.alarm_withdrawn(alarm))
        self.alarms.withdrawn(alarm, len(frame))
        self._offer_alarm(alarm, frame, priority)

    def _offer_alarm(self, alarm: str, frame: bytes, priority: MessagePriority) -> None:
        item = Item(frame, priority, self._clock(), len(frame), key=AlarmKey(alarm), control=True)
        self.handler.offer(item, CONTROL_GROUP)

    def acked(self, ack: messages.Ack, *, late_s: float = 0.0) -> None:
        """The viewer has decoded all messages up to `ack.n`. Raises ProtocolError beyond what was sent.

        `late_s` is how late this process is: the message left, and the ack was read, later by about as much.
        """
        if self.journey is not None:
            self._follow(self.journey, ack.n)
        if self.alarms.undisplayed:
            self.alarms.acked(ack.n, self._clock())
        self.handler.on_ack(ack.n, held_s=ack.held_ms / 1000, late_s=2 * late_s)
        self._last_ack = ack

    def _follow(self, journey: Journey, n: int) -> None:
        """Note when what is followed was written and acked; the window knows it until the ack is taken."""
        if journey.is_lost:  # given up; another may be followed to this viewer
            self.journey = None
        elif journey.number is not None and journey.number <= n <= self.window.sent:
            journey.written = self.window.sent_at(journey.number) or journey.queued
            journey.acked = self._clock()
            self.journey = None

    def limit(self, overload: Overload) -> None:
        """Send this viewer no more than the state of the process allows; it is told with the next report."""
        self._overload = overload.state
        self.handler.shed(overload.sheds_from)
        self._ladder.limit(overload.best)

    def apply_profiles(self, profiles: ProfileSet) -> None:
        """Govern each lane by the new settings; what no longer fits is dropped and becomes GAPs."""
        self._profiles = profiles
        self.handler.set_connection(profiles.default.connection)
        self.handler.set_profile(DEFAULT_GROUP, profiles.default.backpressure)
        for group in self._groups:
            self.handler.set_profile(group, profiles.for_group(group).backpressure)

    def forget(self, group: str) -> None:
        """The viewer no longer watches `group`; a `stream` message that never left is due again next time."""
        self._groups.discard(group)
        for drop in self.handler.drop_group(group):
            if isinstance(drop.item.key, int):
                self._announced.discard(drop.item.key)

    @property
    def renditions(self) -> Mapping[str, Rendition]:
        """What each of its streams is to be sent as."""
        return self._decision.renditions

    def choose(self) -> bool:
        """Look at what the network carries now; whether `renditions` changed."""
        self.mind_cadence()
        if (
            not self.handler.queued_messages
            and self.window.is_prompt(now := self._clock())
            and self._ladder.rests(self.wants, self._losses, now)
        ):
            return False
        readings, now = self._readings()
        before, self._decision = self._decision, self._ladder.decide(self.wants, readings, now)
        sent = self._decision.renditions
        if any(before.renditions.get(stream, rendition) != rendition for stream, rendition in sent.items()):
            self._changed_for = self._decision.reason
        return before.renditions is not sent

    def mind_cadence(self) -> None:
        """Ask for acks as often as the window needs them."""
        cadence = self._cadence.look(self._clock(), waits=self.handler.queued_messages > 0)
        if cadence is not None:
            self.tell(messages.cadence(cadence), key="cadence")

    def overlook(self) -> None:
        """Make nothing of how late things are now: the process itself was late."""
        self._ladder.overlook(*self._readings())

    def _readings(self) -> tuple[Readings, float]:
        now = self._clock()
        readings = Readings.of(
            self.window,
            now,
            queued_s=self.handler.waveform_waits_s(now),
            queued_bytes=self.handler.queued_bytes,
            lost=self._losses,
        )
        return readings, now

    def report(self) -> None:
        """Let the viewer know its own `stats`, LOW and latest only: with the next bundle, if they flow.

        What would say nothing new is passed over four times out of five. While the process sheds what is LOW,
        there is one that says so, and no other.
        """
        if self._overload is not self._overload_told:
            self._overload_told, self._report_due = self._overload, False
            self.tell(self._stats(), priority=MessagePriority.NORMAL, key="stats")
            return
        if self._overload is not OverloadState.NORMAL:
            return
        network = self.window.network
        network.assess(now := self._clock(), waiting_s=self.window.waits_s(now))
        queued = self.handler.queued_messages
        news = (
            network.condition,
            self._losses,
            queued,
            self.coarsest,
            self._changed_for,
            self.layer_is_away,
        )
        self._passed_over += 1
        if news != self._reported or self._passed_over >= QUIET_REPORTS:
            self._reported, self._passed_over = news, 0
            self._report_due = True
        if self._report_due and not self._flowing:
            self._report_due = False
            self.tell(self._stats(), priority=MessagePriority.LOW, key="stats")
        self._flowing = False

    def _stats(self) -> str:
        metrics = self.handler.get_metrics()
        return messages.stats(
            rtt_ms=None if metrics.rtt_s is None else 1000 * metrics.rtt_s,
            goodput_bps=metrics.goodput_bps,
            window_bytes=metrics.window_bytes or 0,
            in_flight_bytes=metrics.in_flight_bytes,
            queued=metrics.queued,
            dropped=metrics.dropped_messages,
            expired=metrics.expired_messages,
            drops=metrics.drops,
            condition=metrics.condition or NetworkCondition.GOOD,
            rendition=self.coarsest,
            reason=self._reason,
            overload=self._overload,
            layer="away" if self.layer_is_away else "ok",
        )

    def stats(self) -> ViewerStats:
        """How this viewer fares, for those who run the server: neither a name nor a token is in it."""
        return self._told(self.handler.get_metrics())

    def _told(self, metrics: BackpressureMetrics) -> ViewerStats:
        return ViewerStats(
            condition=metrics.condition or NetworkCondition.EXCELLENT,
            rtt_s=metrics.rtt_s,
            goodput_bps=metrics.goodput_bps,
            window_bytes=metrics.window_bytes or 0,
            in_flight_bytes=metrics.in_flight_bytes,
            queued=metrics.queued,
            queued_bytes=metrics.buffer_bytes,
            drops=metrics.drops,
            streams=Counter(rendition.quality for rendition in self._decision.renditions.values()),
            rendition=self.coarsest,
            reason=self._reason,
        )

    def reading(self) -> ViewerReading:
        """All that there is to say of it, for the explanation of how it fares."""
        readings, now = self._readings()
        metrics = self.handler.get_metrics()
        return ViewerReading(
            stats=self._told(metrics),
            readings=readings,
            wants=self.wants,
            sent_as=self._decision.renditions,
            need=self._decision.need,
            unheard_s=self.window.unheard_s(now),
            backlog=self._last_ack.backlog,
            decoded_ms=self._last_ack.decoded_ms,
            lost_s=None if self._lost_at is None else now - self._lost_at,
            is_paused=metrics.paused,
            is_under_pressure=metrics.backpressure_active,
            is_in_emergency=metrics.emergency_mode,
        )

    def trouble_s(self) -> float:
        """How late things are for it, in seconds, to tell who fares worst: cheap, and no figure of its own.

        What waits for an ack, what waits in the queue and the round trip, and half a second for each step
        down in quality, and for a loss in the last ten seconds.
        """
        now = self._clock()
        late_s = self.window.waits_s(now) + self.handler.waveform_waits_s(now)
        steps = _BEST_FIRST.index(self.coarsest)
        lost = self._lost_at is not None and now - self._lost_at < _RECENTLY_S
        return late_s + (self.window.network.rtt_s or 0.0) + 0.5 * (steps + lost)

    @property
    def _reason(self) -> Reason:
        return Reason.QUIET if self._decision.reason is Reason.QUIET else self._changed_for

    @property
    def coarsest(self) -> Quality:
        """Of all that it is sent."""
        qualities = {rendition.quality for rendition in self._decision.renditions.values()}
        return max(qualities, key=_BEST_FIRST.index, default=Quality.LOSSLESS)

    async def finish(self) -> None:
        """Send what is CRITICAL and waits, then end the writer; the rest is abandoned."""
        await self.handler.finish()

    async def aclose(self) -> None:
        """End the writer; what is queued or unacked counts as abandoned."""
        await self.handler.aclose()

    def knows(self, announcement: Announcement) -> bool:
        """Whether it has been told what the alias stands for; where not, it is now."""
        known = announcement.alias in self._announced
        self._announce(announcement)
        return known

    def announce(self, announcement: Announcement) -> None:
        """Say behind what is queued what an alias stands for, also where the viewer knows it.

        That is for numbers only, of which no frame tells.
        """
        self._announced.discard(announcement.alias)
        self._announce(announcement, MessagePriority.HIGH)

    def _announce(
        self, announcement: Announcement, priority: MessagePriority = MessagePriority.CRITICAL
    ) -> None:
        alias, group = announcement.alias, announcement.info.group
        self._govern(group)  # also when it was forgotten and its alias is still known
        if alias in self._announced:
            return
        self._announced.add(alias)
        self._tallies[announcement.info.stream] = announcement.tally
        announcement.hold(alias, self)
        text = announcement.text
        # Keyed by the alias, an int: no stream's own message can have that key.
        self.handler.offer(Item(text, priority, self._clock(), len(text), key=alias, control=True), group)

    def _govern(self, group: str) -> None:
        if group not in self._groups:
            self._groups.add(group)
            self.handler.set_profile(group, self._profiles.for_group(group).backpressure)

    def _keepalive(self) -> Item:
        text = messages.time(time.time() * 1000)
        return Item(text, MessagePriority.CRITICAL, self._clock(), len(text), control=True)

    def _on_drops(self, drops: Iterable[Drop]) -> None:
        now = self._clock()
        missing: dict[tuple[str, int, GapReason], list[Span]] = {}
        for drop in drops:
            span, reason = drop.item.span, _GAP_REASONS.get(drop.reason)
            # What the process itself sheds says nothing about this viewer's network.
            self._losses += reason is not None and drop.reason is not DropReason.OVERLOAD
            if drop.reason in _GAP_REASONS:
                self._lost_at = now
            if self.journey is not None and drop.item is self.journey.item:
                self.journey.is_lost, self.journey = True, None
            tally = self._tally_of(drop.item)
            if tally is not None:
                tally.count_drop(drop)
            if span is None or reason is None:
                continue
            spans = missing.setdefault((span.stream, span.epoch, reason), [])
            if spans and spans[-1].touches(span):
                spans[-1] = spans[-1].join(span)
            else:
                spans.append(span)
        for (stream, _, reason), spans in missing.items():
            for span in spans:
                self.handler.offer(gap_item(span, reason, now), group_of(stream))

    def _tally_of(self, item: Item) -> GroupTally | None:
        if item.span is not None:
            return self._tallies.get(item.span.stream)
        return self._tallies.get(item.key[0]) if isinstance(item.key, tuple) else None

    def _on_shared(self, share: Share) -> None:
        """Some of a bundle that waited is about to leave as the next message."""
        now = self._clock()
        for item, _ in share.items:
            if (tally := self._tally_of(item)) is not None:
                tally.count_sent(item, now)
        if self.journey is not None and any(self.journey.item is item for item, _ in share.items):
            self.journey.number = self.window.sent + 1

    def _pack(self, items: list[Item]) -> list[bytes | str]:
        """One bundle in the order of the items; where all of it is JSON, one text message."""
        now = self._clock()
        if self.journey is not None and self.journey.item in items:
            self.journey.number = self.window.sent + 1
        alarms_left = False
        for item in items:
            if isinstance(item.key, AlarmKey):
                self.alarms.written(item.key.alarm, self.window.sent + 1)
                alarms_left = True
            elif (tally := self._tally_of(item)) is not None:
                tally.count_sent(item, now)
        if alarms_left and self.on_alarms_left is not None:
            self.on_alarms_left()
        payloads = [item.payload for item in items]
        texts = [payload for payload in payloads if isinstance(payload, str)]
        if len(texts) == len(payloads):
            text = texts[0] if len(texts) == 1 else f"[{','.join(texts)}]"
            frame = self._deflated(text)
            return [text if frame is None else encode_bundle([frame])]
        return [encode_bundle(self._json_frame(p) if isinstance(p, str) else p for p in payloads)]

    def _json_frame(self, text: str) -> bytes:
        return self._deflated(text) or encode_json_frame(text)

    def _deflated(self, text: str) -> bytes | None:
        """`text` as a JSON frame, where deflating pays."""
        payload, flags = self._compression.compress_json(text)
        return encode_frame(FrameKind.JSON, 0, 0, payload, flags) if flags else None


def gap_item(span: Span, reason: GapReason, now: float) -> Item:
    """A GAP, queued where its samples would stand; one of the same reason that it touches takes it in.

    The samples may still come: the device sends what its own connection held up, hubs what they find, and
    whatever a viewer was not sent it may ask for.
    """

    def render(span: Span) -> str:
        return messages.gap(
            span.stream,
            epoch=span.epoch,
            first=span.first,
            stop=span.stop,
            reason=reason,
            recoverable=True,
        )

    return Item(
        "",
        MessagePriority.HIGH,
        now,
        _GAP_BYTES + len(span.stream),
        ("gap", reason),
        span,
        control=True,
        render=render,
        unwritten=True,
    )


def lost_item(span: Span, reason: GapReason, now: float) -> Item:
    """The GAP that says of samples named by an earlier one that they are lost; it stays behind that."""
    text = messages.gap(
        span.stream, epoch=span.epoch, first=span.first, stop=span.stop, reason=reason, recoverable=False
    )
    key = (span.stream, "lost", span.epoch, span.first)
    return Item(text, MessagePriority.HIGH, now, len(text), key, control=True)
