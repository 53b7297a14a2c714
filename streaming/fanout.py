"""When what streams have for their viewers leaves: at ticks, the fewer the more there is to do."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence

from streaming.batch import Batch, Load, Tick
from streaming.core.items import Item
from streaming.core.priority import MessagePriority
from streaming.core.stages import Journey
from streaming.exceptions import CloseCode
from streaming.log_context import NOBODY
from streaming.subscriber import Announcement, Subscriber

logger = logging.getLogger(__name__)

TICK_S = 0.04
"""At most 25 ticks a second: eight patients whose devices send apart would make it 80 messages a viewer."""
SLOWEST_TICK_S = 0.5
"""However much there is to do: what waits longer than a second is no longer worth sending."""
_DUTY = 4
"""Of the time between two ticks at most a quarter goes into the former one."""
_ALONE_DUTY = 1.5
"""And at most two thirds into streams that leave by themselves, beyond which they wait for a tick."""
GATHER_S = 0.008
"""What comes right behind the first leaves with it: a gateway's patients take a millisecond each."""
MOST_GATHERED_S = 0.03
"""After the first, however close others follow: a gateway may have thirty patients."""
SLICE_S = 0.02
"""Of a tick, before others have their turn: the writers of viewers whose messages queue, acks, devices."""
ALONE_S = 0.01
"""Between messages of a stream whose viewers watch no other. A frame of 100 ms never comes sooner; but a
device that sends faster than time passes shall not make 200 messages a second."""


class FanOut:
    """Gathers what the streams of this process have for their viewers, and hands it on at the next tick.

    A tick falls `gather_s` after the first that waits, later while others follow within half of that, and not
    sooner than `tick_s` after the tick before, or four times what that one took and was late: a process that
    has too much to do sends fewer and fuller messages, whose price is theirs and not that of the frames in
    them. With `tick_s` 0 there is nothing to wait for. CRITICAL does not wait: with it comes a tick. Nor does
    a stream whose viewers watch no other: it has nothing to wait for.
    """

    def __init__(
        self, *, tick_s: float = TICK_S, gather_s: float = GATHER_S, clock: Callable[[], float]
    ) -> None:
        self._tick_s = tick_s
        self._gather_s = gather_s
        self._clock = clock
        self._loads: dict[Announcement, Load] = {}
        self._first_at = self._newest_at = self._due = 0.0
        self._next_at = 0.0
        """When the next tick may be."""
        self._alone_at = 0.0
        """When a stream may leave by itself again."""
        self._left_at: dict[str, float] = {}
        """When a stream by itself last left at once."""
        self._timer: asyncio.TimerHandle | None = None
        self._running: Tick | None = None
        self.journey: Journey | None = None
        """What is followed to its viewer next."""

    def add(self, announcement: Announcement, viewers: set[Subscriber], items: Sequence[Item]) -> None:
        """Hand what is sent under one alias to those who get it at the next tick: `viewers` is read then."""
        load = self._loads.get(announcement)
        if load is None:
            load = self._loads[announcement] = Load(viewers)
        load.items.extend((item, announcement) for item in items)
        now = self._clock()
        if not self._tick_s or any(item.priority is MessagePriority.CRITICAL for item in items):
            self._tick_now()
        elif (
            self._running is None
            and load.is_alone
            and now >= self._alone_at
            and now - self._left_at.get(announcement.info.stream, -math.inf) >= ALONE_S
        ):
            self._left_at[announcement.info.stream] = now
            del self._loads[announcement]
            self._begin([load], None, is_alone=True)
        else:
            self._newest_at = now
            if self._timer is None and self._running is None:
                self._first_at = now
                self._tick_at(max(now + self._gather_s, self._next_at), now)

    def hand_on(self, stream: str) -> None:
        """Do not wait with a stream of which somebody is about to be sent another alias.

        What waits was made under the old one, for those who get it now. A retired alias is free for others as
        soon as nobody holds it, and only who was told of it holds it.
        """
        if any(announcement.info.stream == stream for announcement in self._loads):
            self._tick_now()
        else:
            self._finish()

    def forget(self, stream: str) -> None:
        """Drop what waits for the viewers of a stream: there are none."""
        self._loads = {told: load for told, load in self._loads.items() if told.info.stream != stream}
        self._left_at.pop(stream, None)

    def close(self) -> None:
        """No further tick; what is left of the one under way is handed on."""
        self._finish()
        self._cancel_timer()

    def _tick_now(self) -> None:
        self._finish()
        self._cancel_timer()
        self._tick()
        self._finish()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick_at(self, due: float, now: float) -> None:
        self._due = due
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(due - now, self._tick_if_all_has_come, context=NOBODY)

    def _tick_if_all_has_come(self) -> None:
        now = self._clock()
        quiet_at = self._newest_at + self._gather_s / 2
        if now < min(quiet_at, self._first_at + MOST_GATHERED_S):
            self._tick_at(quiet_at, now)
        else:
            self._timer = None
            self._tick(due=self._due)

    def _tick(self, *, due: float | None = None) -> None:
        """Hand on all that waits, from `due` on late; the last tick has to be over."""
        loads, self._loads = self._loads, {}
        if loads:
            self._begin(list(loads.values()), due)

    def _begin(self, loads: list[Load], due: float | None, *, is_alone: bool = False) -> None:
        began = self._clock()
        self._running = Tick(loads, began, began if due is None else due, is_alone=is_alone)
        self._go_on()

    def _go_on(self) -> None:
        """A slice of the tick that is under way; others have their turn before the next one."""
        tick = self._running
        if tick is None:  # it had to be finished at once
            return
        if self._hand_out(tick, until=self._clock() + SLICE_S):
            self._end(tick)
        else:
            asyncio.get_running_loop().call_soon(self._go_on, context=NOBODY)

    def _finish(self) -> None:
        """All that is left of the tick that is under way, now."""
        if (tick := self._running) is not None:
            self._hand_out(tick, until=math.inf)
            self._end(tick)

    def _end(self, tick: Tick) -> None:
        self._running = None
        for batch in tick.batches.values():
            batch.count(tick.began)
        now = self._clock()
        cost_s = now - tick.due
        if tick.is_alone:
            self._alone_at = tick.began + min(_ALONE_DUTY * cost_s, SLOWEST_TICK_S)
        else:
            self._next_at = tick.began + min(max(self._tick_s, _DUTY * cost_s), SLOWEST_TICK_S)
        if self._loads and self._timer is None:
            self._tick_at(max(now + self._gather_s / 2, self._next_at), now)

    def _hand_out(self, tick: Tick, until: float) -> bool:
        """Give viewers all there is for them, made once for all who get the same; whether all have it."""
        for viewer, together in tick.to_serve():
            try:
                batch = tick.batches.get(together)
                if batch is None:
                    batch = tick.batches[together] = Batch(together)
                if self.journey is None or viewer is not self.journey.viewer:
                    batch.hand_to(viewer)
                else:
                    self._hand_followed(viewer, batch, self.journey)
            except Exception:  # a fault of ours; the others must get theirs, and this one come again
                logger.exception("a viewer could not be given what waits for it, going on")
                viewer.cut(CloseCode.INTERNAL, "internal error")
            if self._clock() > until:
                return False
        return True

    def _hand_followed(self, viewer: Subscriber, batch: Batch, journey: Journey) -> None:
        """Note when what is followed is queued, and as which message it leaves where that is settled."""
        journey.item = journey.find(item for item, _ in batch.entries())
        if journey.item is not None:
            self.journey, viewer.journey, journey.queued = None, journey, self._clock()
        sent = viewer.window.sent
        taken = batch.hand_to(viewer)
        if journey.item is not None and (part := batch.part_of(journey.item)) < taken:
            journey.number = sent + part + 1
