"""One stream in one process: who is sent it as what, each rendition made once for all of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from streaming.aliases import Aliases
from streaming.channel import (
    CANONICAL,
    Channel,
    announcement_text,
    as_it_came,
    clip,
    frame_item,
)
from streaming.core.bundle import Bundle, Gap, WaveFrame
from streaming.core.frames import FrameKind
from streaming.core.items import Item, Span
from streaming.core.ladder import Want
from streaming.core.messages import MAX_CHUNK_S, GapReason, Resume
from streaming.core.patterns import DataPattern
from streaming.core.renditions import LADDER, Quality, Rendition
from streaming.core.streams import StreamInfo, group_of
from streaming.core.tally import GroupTally
from streaming.ecg import codec
from streaming.ecg.frame_maker import FrameMaker, RenderedFrame, late_frames
from streaming.ecg.needs import Needs
from streaming.ecg.strip import Strip
from streaming.fanout import FanOut
from streaming.past import Past
from streaming.returning import Returning
from streaming.subscriber import Announcement, Subscriber, gap_item

logger = logging.getLogger(__name__)

QUIET_S = MAX_CHUNK_S + 0.5
"""A stream from which nothing came for so long has stopped: what its renditions hold back is due."""
SUSPECTED_S = 30.0
"""An arrhythmia is suspected for so long after it was last seen: what flickers changes no rendition."""


class Room:
    """One stream in this process: its viewers, its current epoch, and its renditions in use.

    `on_news(viewers)` is called when it is known what the stream will take; `on_missing(room, viewer, span,
    reason)` for samples that this viewer was told to be missing, and that somebody may have.
    """

    def __init__(
        self,
        stream: str,
        aliases: Aliases,
        tally: GroupTally,
        fan_out: FanOut,
        now: float,
        *,
        on_news: Callable[[Iterable[Subscriber]], None],
        on_missing: Callable[[Room, Subscriber, Span, GapReason], None] = lambda *_: None,
    ) -> None:
        self.stream = stream
        self.group = group_of(stream)
        self.tally = tally
        self._aliases = aliases
        self._fan_out = fan_out
        self._on_news = on_news
        self._on_missing = on_missing
        self._returning = Returning(stream, self._lacks)
        self._past = Past(aliases, tally)
        self._channels: dict[Rendition, Channel] = {CANONICAL: Channel(CANONICAL)}
        self._seats: dict[Subscriber, Channel] = {}
        self._numbers_since: dict[Subscriber, int] = {}
        """The first sample that a viewer of `vitals` has not been sent."""
        self._info: StreamInfo | None = None
        self._strip = Strip(0.0)
        self._has_ended = False
        """Whether nothing has come since all renditions were brought up to the newest sample."""
        self._needs: Needs | None = None
        self._wants: tuple[Want, Want] | None = None
        self._best = LADDER[0]
        self._suspected_until: float | None = None
        """None while no arrhythmia is suspected."""
        self._outdated_told = False
        self._holes: list[Span] = []
        """What was found to be lost since the last look."""
        self._empty_since = now
        self._wave_at = now

    @property
    def is_watched(self) -> bool:
        """Whether anybody here watches the stream."""
        return bool(self._seats)

    @property
    def viewers(self) -> set[Subscriber]:
        """All of them, whatever they are sent it as."""
        return set(self._seats)

    def listeners(self) -> list[Subscriber]:
        """Those who are sent samples, and not only numbers."""
        return [
            viewer
            for viewer, channel in self._seats.items()
            if channel.rendition.quality is not Quality.VITALS and viewer in channel.viewers
        ]

    def enter(self, subscriber: Subscriber) -> None:
        """`subscriber` gets what comes from now on, as it comes from the device."""
        if subscriber not in self._seats:
            self._fan_out.hand_on(self.stream)  # what waits came before it
            channel = self._seats[subscriber] = self._channels[CANONICAL]
            channel.viewers.add(subscriber)
            stop = self._strip.stop
            self._returning.enter(subscriber, None if stop is None else (self._known.epoch, stop))

    def resume(self, subscriber: Subscriber, resume: Resume, now: float) -> None:
        """A viewer says which samples it has; it is told that it lacks those since, and gets them late."""
        if subscriber not in self._seats:
            return
        if resume.stop is None:
            self._returning.resume(subscriber, resume, now)
            if self._strip.stop is not None:
                self._fan_out.hand_on(self.stream)
                self._hold_back(subscriber, self._strip.stop)
        else:
            span = Span(self.stream, resume.epoch, resume.next_sample, resume.stop)
            self._on_missing(self, subscriber, span, GapReason.AWAY)

    def _hold_back(self, subscriber: Subscriber, stands_at: int) -> None:
        """A viewer that has had more elsewhere than has come here joins where that ends."""
        channel, has = self._seats[subscriber], self._returning.ahead(subscriber, self._known.epoch)
        if has > stands_at and channel.rendition.quality is not Quality.VITALS:
            channel.leave(subscriber)
            channel.joining[subscriber] = has

    @property
    def is_placed(self) -> bool:
        """Whether it is known where the stream stands."""
        return self._strip.stop is not None

    def place(self, info: StreamInfo, stop: int, now: float) -> None:
        """Nothing has come here, and somebody has kept the stream up to index `stop`: it goes on there."""
        if self.is_placed or not self._seats or (self._info is not None and info.epoch < self._info.epoch):
            return
        if info != self._info:
            self._begin(info, now)
        self._strip.clear(stop)
        self._returning.stands(info.epoch, stop, now)

    def overdue(self, now: float) -> list[Resume]:
        """Of whom nothing came for so long that what is kept of the stream has to say where it stands."""
        return self._returning.overdue(now)

    def look_up_again(self, resume: Resume, at: float) -> None:
        """Where the stream stands could not be found out."""
        self._returning.look_up_again(resume, at)

    def late_frame_s(self, subscriber: Subscriber) -> float | None:
        """Of how much signal late frames of a viewer are made; 0: as they came, None: it gets none now."""
        channel = self._seats.get(subscriber)
        if channel is None or channel.rendition.quality is Quality.VITALS:
            return None
        return 0.0 if channel.rendition.quality is Quality.LOSSLESS else channel.rendition.frame_s

    def late(
        self, subscriber: Subscriber, info: StreamInfo, frames: Sequence[WaveFrame], now: float
    ) -> tuple[Announcement, list[Item]]:
        """Frames of `info` without a hole, oldest first, as this viewer is sent the stream, and under what.

        Raises LookupError where it is sent none, ProtocolError where they cannot be read.
        """
        channel = self._seats[subscriber]
        if info == self._info:
            announcement = self._announcement(channel)
        else:
            announcement = self._past.announcement(info, channel.rendition)
        made = [as_it_came(frame) for frame in frames]
        if channel.rendition.quality is not Quality.LOSSLESS:
            samples = np.concatenate([codec.decode(frame.payload) for frame in frames], axis=1)
            made = late_frames(channel.rendition, info, frames[0].first, samples)
        alias = announcement.alias
        return announcement, [frame_item(info, alias, FrameKind.BACKFILL, frame, now) for frame in made]

    def leave(self, subscriber: Subscriber, now: float) -> None:
        """`subscriber` gets nothing more."""
        channel = self._seats.pop(subscriber, None)
        if channel is None:
            return
        channel.leave(subscriber)
        self._numbers_since.pop(subscriber, None)
        self._returning.leave(subscriber)
        self._drop_unused(channel)
        if not self._seats:
            self._empty_since = now
            self._strip.clear(None)  # What comes while nobody watches is nobody's gap.
            self._fan_out.forget(self.stream)

    def idle_s(self, now: float) -> float:
        """Seconds since the last viewer left; 0 while there is one."""
        return 0.0 if self._seats else now - self._empty_since

    def close(self) -> None:
        """Give the aliases back."""
        self._past.close()
        for channel in self._channels.values():
            self._retire(channel)

    def want(self, *, focused: bool) -> Want | None:
        """What the ladder of a viewer has to know; None before anything has come."""
        if self._wants is None:
            if self._needs is None:
                return None
            needs, suspected = self._needs.bytes_per_s, self._suspected_until is not None
            unfocused = Want(self.stream, needs, best=self._best, suspected=suspected)
            self._wants = unfocused, replace(unfocused, focused=True)
        return self._wants[focused]

    def cap(self, best: Rendition) -> None:
        """Send it to nobody as better from now on, unless an arrhythmia is suspected."""
        if best != self._best:
            self._best, self._wants = best, None
            self._on_news(self._seats)

    def send_as(self, subscriber: Subscriber, rendition: Rendition, now: float) -> None:
        """From the next frame on, send the stream to this viewer as `rendition`; no sample is left out.

        Nothing happens where the viewer is gone, which it may be for the alias that this takes.
        """
        channel = self._channels.setdefault(rendition, Channel(rendition))
        if self._info is not None:
            self._announcement(channel)
        before = self._seats.get(subscriber)
        if before is None or before is channel:
            return
        self._fan_out.hand_on(self.stream)
        reached = before.leave(subscriber)
        if reached is None:
            reached = self._reach_of(before)
        self._drop_unused(before)
        self._seats[subscriber] = channel
        if rendition.quality is Quality.VITALS:
            channel.viewers.add(subscriber)
            if reached is not None:
                self._numbers_since[subscriber] = reached
            if self._info is not None:
                subscriber.announce(self._announcement(channel))
            return
        since = self._numbers_since.pop(subscriber, None)
        if since is not None and (stop := self._strip.stop) is not None:
            if since < stop:
                self._send(subscriber, channel, [self._gap(Gap(since, stop, GapReason.RENDITION), now)])
            reached = max(since, stop)
        self._join(subscriber, channel, reached, now)

    def tend(self, now: float) -> None:
        """Send what renditions hold back of a stream that has stopped, and let a suspicion rest in time."""
        if self._suspected_until is not None and now >= self._suspected_until:
            self._suspect(None)
        if now - self._wave_at > QUIET_S and any(channel.maker for channel in self._channels.values()):
            self._wave_at = now
            self._flush(now)
            self._hand_out()

    def deliver(self, bundle: Bundle, now: float) -> None:
        """Prepare each payload once and offer it to every viewer; a hole nobody explained becomes a GAP.

        A bundle of an older epoch than the present one is passed over: see ADR 15.
        """
        if self._info is not None and bundle.info.epoch < self._info.epoch:
            self._tell_outdated(bundle.info.epoch)
            return
        if bundle.info != self._info:
            self._begin(bundle.info, now)
        if bundle.pattern is DataPattern.ARRHYTHMIA:
            self._suspect(now + SUSPECTED_S)
        for channel in self._used():
            self._announcement(channel)  # It may send viewers away, which is no matter yet.
        if not self._seats:
            return
        for gap in bundle.gaps:
            self._skip(gap, now)
        for frame in bundle.frames:
            if frame.kind is FrameKind.WAVEFORM:
                self._wave(frame, now)
            else:
                self._late(frame, now)
        for event in bundle.events:
            item = Item(event.text, event.priority, now, len(event.text), key=(self.stream, event.key))
            self._add_for_all(item)
        self._hand_out()
        if self._holes:
            self._fill_holes()

    def _suspect(self, until: float | None) -> None:
        """An arrhythmia is suspected until then, or no longer: who watches is sent the stream accordingly."""
        is_news = (until is None) is not (self._suspected_until is None)
        self._suspected_until = until
        if is_news:
            self._wants = None
            self._on_news(self._seats)

    # -- what comes

    def _begin(self, info: StreamInfo, now: float) -> None:
        """A new epoch, or new facts about it: new aliases."""
        self._flush(now)
        self._hand_out()
        self._fan_out.hand_on(self.stream)
        for channel in self._channels.values():
            self._retire(channel)
        if self._info is None or self._info.epoch != info.epoch:
            stop = None
            self._numbers_since.clear()
        else:
            stop = self._strip.stop
        self._info = info
        self._strip = Strip(info.rate_hz)
        self._strip.clear(stop)
        self._needs, self._wants = Needs(info), None
        self._on_news(self._seats)
        for channel in self._used():
            if channel.rendition.quality is Quality.VITALS:
                announcement = self._announcement(channel)
                for viewer in channel.viewers:
                    viewer.announce(announcement)

    def _skip(self, gap: Gap, now: float) -> None:
        """These samples are missing, and perhaps some before them."""
        self._expect(gap.first, now)
        if (known := self._strip.stop) is None:
            self._note_beginning(gap.first)
        elif gap.first < known:
            gap = Gap(known, gap.stop, gap.reason)
        if gap.first < gap.stop:
            self._pass_over(gap, now)

    def _expect(self, first: int, now: float) -> None:
        """What comes begins here: a GAP for what lies before and was lost on the way."""
        if self._returning.waits:
            self._returning.begins(self._known.epoch, first, now)
            for viewer in self._seats:
                self._hold_back(viewer, first)
        expected = self._strip.stop
        if expected is not None and expected < first:
            self._pass_over(Gap(expected, first, GapReason.DROPPED), now)
            self._holes.append(Span(self.stream, self._known.epoch, expected, first))

    def _fill_holes(self) -> None:
        """What was lost on the way is to be sent late to all, and not before they are told of it."""
        self._fan_out.hand_on(self.stream)
        holes, self._holes = self._holes, []
        for viewer in list(self._seats):
            for hole in holes:
                first = max(hole.first, self._returning.ahead(viewer, hole.epoch))
                if first < hole.stop:
                    span = Span(hole.stream, hole.epoch, first, hole.stop)
                    self._on_missing(self, viewer, span, GapReason.DROPPED)

    def _lacks(self, subscriber: Subscriber, span: Span, newest_s: float | None, now: float) -> None:
        """This viewer alone has not been sent these samples, and wants them all, or the newest of them."""
        subscriber.say(gap_item(span, GapReason.AWAY, now), self.group)
        if newest_s is not None:
            first = max(span.first, span.stop - int(newest_s * self._known.rate_hz))
            if span.epoch != self._known.epoch or first >= span.stop:
                return
            span = Span(span.stream, span.epoch, first, span.stop)
        self._on_missing(self, subscriber, span, GapReason.AWAY)

    def _note_beginning(self, first: int) -> None:
        """Here the signal begins, as far as is known: whoever is sent numbers misses it from here on."""
        for channel in self._used():
            if channel.rendition.quality is Quality.VITALS:
                for viewer in channel.viewers:
                    self._numbers_since.setdefault(viewer, first)

    def _pass_over(self, gap: Gap, now: float) -> None:
        """All renditions end before a gap, and begin again behind it."""
        self._flush(now)
        self._add_for_all(self._gap(gap, now))
        self._strip.clear(gap.stop)
        for channel in self._used():
            if channel.maker is not None:
                channel.maker.begin(gap.stop)

    def _wave(self, frame: WaveFrame, now: float) -> None:
        """Live samples; an ingest that was started anew brings some again that were not acknowledged."""
        if (known := self._strip.stop) is not None and frame.first < known:
            rest = clip(frame, known)
            if rest is None:
                return
            frame = rest
        self._expect(frame.first, now)
        if known is None:
            self._note_beginning(frame.first)
        self._wave_at = now
        if self._needs is not None and self._needs.saw(frame):
            self._wants = None
            self._on_news(self._seats)
        self._strip.append(frame)
        self._has_ended = False
        for channel in self._channels.values():
            channel.fills.clear()
        for channel in self._used():
            if channel.rendition == CANONICAL:
                channel.items += self._items(channel, frame.kind, [as_it_came(frame)], now)
                if channel.joining:
                    self._let_in(channel, now)
            elif channel.rendition.quality is not Quality.VITALS:
                self._render(channel, frame, now)

    def _render(self, channel: Channel, frame: WaveFrame, now: float) -> None:
        if channel.maker is None:
            channel.maker = FrameMaker(channel.rendition, self._known)
        maker, spoken = channel.maker, channel.maker.spoken
        try:
            frames = maker.push(frame.first, self._strip.newest())
        except Exception:  # bytes of another process, or a fault of ours
            logger.exception("%s of stream %s failed, going on", channel.rendition.quality, self.stream)
            self._start_again(channel, frame.first if spoken is None else spoken, now)
        else:
            channel.items += self._items(channel, frame.kind, frames, now)
        self._let_in(channel, now)

    def _start_again(self, channel: Channel, since: int | None, now: float) -> None:
        """A rendition failed: it has a gap up to what came, and goes on."""
        channel.maker = FrameMaker(channel.rendition, self._known)
        if (stop := self._strip.stop) is not None:
            if since is not None and since < stop:
                channel.items.append(self._gap(Gap(since, stop, GapReason.DROPPED), now))
            channel.maker.begin(stop)

    def _late(self, frame: WaveFrame, now: float) -> None:
        """Samples that fill a gap: made for each rendition by themselves."""
        samples = frame.samples
        for channel in self._used():
            if channel.rendition.quality is Quality.VITALS:
                continue
            frames = [as_it_came(frame)]
            if channel.rendition.quality is not Quality.LOSSLESS:
                try:
                    samples = codec.decode(frame.payload) if samples is None else samples
                    frames = late_frames(channel.rendition, self._known, frame.first, samples)
                except Exception:  # as above; the gap stays
                    logger.exception("late samples of stream %s cannot be rendered", self.stream)
                    continue
            items = self._items(channel, frame.kind, frames, now)
            channel.items += items
            for viewer in channel.joining:
                self._send(viewer, channel, items)

    def _flush(self, now: float) -> None:
        """The signal ends here or has a gap: all renditions come up to it, and whoever joins one does now."""
        self._has_ended = True
        for channel in self._used():
            if channel.maker is not None:
                spoken = channel.maker.spoken
                try:
                    frames = channel.maker.flush()
                except Exception:  # as above
                    logger.exception(
                        "%s of stream %s failed, going on", channel.rendition.quality, self.stream
                    )
                    self._start_again(channel, spoken, now)
                else:
                    channel.items += self._items(channel, FrameKind.WAVEFORM, frames, now)
            self._let_in(channel, now)

    # -- who joins

    def _reach_of(self, channel: Channel) -> int | None:
        """The first sample that is not in a frame of a channel; None when that is not known."""
        if channel.maker is None or channel.maker.spoken is None:
            return self._strip.stop
        return channel.maker.spoken

    def _join(self, subscriber: Subscriber, channel: Channel, reached: int | None, now: float) -> None:
        """Let a viewer in who has been sent all before index `reached`."""
        if reached is not None:
            if channel.rendition != CANONICAL and channel.maker is None:
                channel.maker, missing = self._maker_from(channel, reached, now)
                self._send(subscriber, channel, missing)
            elif (stands_at := self._reach_of(channel)) is not None and stands_at < reached:
                channel.joining[subscriber] = reached
                return
            else:
                self._fill(subscriber, channel, reached, now)
        channel.viewers.add(subscriber)

    def _let_in(self, channel: Channel, now: float) -> None:
        """Those whom the channel has caught up with are viewers of it like any other; all, at an end."""
        stands_at = self._reach_of(channel)
        ready = {
            viewer: reached
            for viewer, reached in channel.joining.items()
            if self._has_ended or (stands_at is not None and reached <= stands_at)
        }
        if ready:
            self._hand_out()
            self._fan_out.hand_on(self.stream)
        for viewer, reached in ready.items():
            del channel.joining[viewer]
            self._fill(viewer, channel, reached, now)
            channel.viewers.add(viewer)

    def _fill(self, subscriber: Subscriber, channel: Channel, reached: int, now: float) -> None:
        """Send one viewer what lies between what it was sent and where its new channel stands."""
        stop = self._reach_of(channel)
        if stop is None or reached >= stop:
            return
        items = channel.fills.get((reached, stop))
        if items is None:
            maker, items = self._maker_from(channel, reached, now)
            frames = maker.flush() if self._has_ended else maker.made_until(stop)
            items += self._items(channel, FrameKind.WAVEFORM, frames, now)
            channel.fills[reached, stop] = items
        self._send(subscriber, channel, items)

    def _maker_from(self, channel: Channel, reached: int, now: float) -> tuple[FrameMaker, list[Item]]:
        """A maker that has seen what came since index `reached`, and a GAP for what is not kept any more."""
        maker = FrameMaker(channel.rendition, self._known)
        maker.begin(reached)
        try:
            try:
                first, samples = self._strip.since(reached - maker.lead_in)
            except LookupError:
                return maker, []
            maker.feed(first, samples)
        except Exception:  # as where frames are made of it
            logger.exception("%s of stream %s cannot begin, going on", channel.rendition.quality, self.stream)
            maker = FrameMaker(channel.rendition, self._known)
            maker.begin(reached)
            first = self._strip.stop or 0
        if reached >= first:
            return maker, []
        maker.begin(first)
        return maker, [self._gap(Gap(reached, first, GapReason.DROPPED), now)]

    # -- what goes out

    @property
    def _known(self) -> StreamInfo:
        assert self._info is not None, "a room that has been given samples knows whose they are"
        return self._info

    def _used(self) -> list[Channel]:
        return [channel for channel in self._channels.values() if channel.is_used]

    def _add_for_all(self, item: Item) -> None:
        for channel in self._used():
            channel.items.append(item)
            for viewer in channel.joining:
                viewer.offer(item, self._announcement(channel))

    def _hand_out(self) -> None:
        """Give the fan-out what the bundle had so far."""
        for channel in self._channels.values():
            items, channel.items = channel.items, []
            if items and channel.viewers:
                self._fan_out.add(self._announcement(channel), channel.viewers, items)

    def _send(self, subscriber: Subscriber, channel: Channel, items: Iterable[Item]) -> None:
        """Offer one viewer what it alone gets."""
        for item in items:
            subscriber.offer(item, self._announcement(channel))

    def _items(
        self, channel: Channel, kind: FrameKind, frames: Iterable[RenderedFrame], now: float
    ) -> list[Item]:
        alias = self._announcement(channel).alias
        return [frame_item(self._known, alias, kind, frame, now) for frame in frames]

    def _gap(self, gap: Gap, now: float) -> Item:
        return gap_item(Span(self.stream, self._known.epoch, gap.first, gap.stop), gap.reason, now)

    def _announcement(self, channel: Channel) -> Announcement:
        """What a channel's alias means: one for as long as the facts of the stream are the same."""
        if channel.announcement is None:
            alias, info, rendition = self._aliases.take(), self._known, channel.rendition
            text = announcement_text(info, alias, rendition)
            channel.announcement = Announcement(alias, info, text, self.tally, self._aliases.hold)
        return channel.announcement

    def _retire(self, channel: Channel) -> None:
        """What this channel's alias stands for has ended."""
        channel.maker = None
        channel.fills.clear()
        announcement, channel.announcement = channel.announcement, None
        if announcement is not None:
            self._aliases.retire(announcement)

    def _drop_unused(self, channel: Channel) -> None:
        """Make nothing for nobody; the alias is kept, for who was told of it may come back."""
        if not channel.is_used:
            channel.maker = None

    def _tell_outdated(self, epoch: int) -> None:
        if not self._outdated_told:
            self._outdated_told = True
            logger.warning("epoch %s of stream %s comes beside a newer one, ignored", epoch, self.stream)
