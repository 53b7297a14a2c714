"""One writer per connection: takes the most urgent messages while the client has credit for them.

`BackpressureHandler(websocket)` alone waits for the awaited sends, which is flow control only where the
server's `send` waits for the socket (uvicorn and hypercorn do, Daphne does not). With a `SendWindow`,
the client's acks are the flow control, on every server and behind every proxy.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import random
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

from streaming import log_context
from streaming.core.backlog import Share, SharedBundle
from streaming.core.config import BackpressureConfig
from streaming.core.items import LOST, Drop, DropReason, Item
from streaming.core.lane import LaneState
from streaming.core.metrics import BackpressureMetrics
from streaming.core.network import SlidingRate
from streaming.core.priority import PRIORITY_QUOTAS, MessagePriority
from streaming.core.profiles import BackpressureProfile, ConnectionProfile
from streaming.core.send_queue import SendQueue
from streaming.core.spare import SpareRoom
from streaming.core.window import CRITICAL_CREDIT_BYTES, MAX_BUNDLE_BYTES, Acked, ClassMessages, SendWindow
from streaming.exceptions import CloseCode
from streaming.sending import SEND_DEADLINE_S, Begun, SocketSender, as_message, says_closed

__all__ = [
    "CRITICAL_WATERMARK",
    "HIGH_WATERMARK",
    "LOW_WATERMARK",
    "MAX_BUFFER_SIZE",
    "MAX_RETRIES",
    "PRIORITY_QUOTAS",
    "BackpressureConfig",
    "BackpressureHandler",
    "BackpressureMetrics",
    "CutReason",
    "MessagePriority",
]

_DEFAULTS = BackpressureProfile()
MAX_BUFFER_SIZE = _DEFAULTS.max_buffer_size
HIGH_WATERMARK = _DEFAULTS.high_watermark
LOW_WATERMARK = _DEFAULTS.low_watermark
CRITICAL_WATERMARK = _DEFAULTS.critical_watermark
MAX_RETRIES = _DEFAULTS.max_retries

DEFAULT_GROUP = "default"
SAMPLE_S = 1.0
_SAMPLES_KEPT = 600
_TIMER_STEP_S = 0.001
_LONG_TURN_S = 0.01
"""A turn of the loop that takes longer holds up what would have left: no network is slow for that."""

log = logging.getLogger(__name__)


class CutReason(StrEnum):
    """Why the owner of a connection has to close it."""

    STALLED = "the oldest message was not acked in time"
    SILENT = "nothing was heard"
    CONTROL_OVERFLOW = "too many messages that must not be dropped"
    SEND_DEADLINE = "a send did not finish in time"
    BROKEN = "the socket failed"

    @property
    def close_code(self) -> CloseCode:
        """The code that tells the client what to do."""
        if self is CutReason.SILENT:
            return CloseCode.SILENT
        return CloseCode.INTERNAL if self is CutReason.BROKEN else CloseCode.SLOW


class BackpressureHandler:
    """Sends by priority, bounded in count, bytes and age, and never faster than the client takes it.

    `websocket` has async `send_bytes(data)` and `send_text(data)` (Starlette, FastAPI), or a Channels
    consumer's async `send(text_data=..., bytes_data=...)`. All methods belong to one event loop, whose
    time `clock` must follow; the writer task starts with the first message.

    `pack` turns the items of one turn into WebSocket messages (default: one each). `on_drops` hears of
    every item that a bound dropped, and may offer others from within. `on_slow` is called once, when the
    owner has to close the connection; from then on nothing is sent. `on_shared` hears of what is about to
    leave of a bundle that waited. `keepalive` makes the message that asks an idle client for an ack.
    """

    def __init__(
        self,
        websocket: Any,
        window: SendWindow | None = None,
        *,
        profile: BackpressureProfile | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        pack: Callable[[list[Item]], list[bytes | str]] | None = None,
        on_drops: Callable[[list[Drop]], None] | None = None,
        on_slow: Callable[[CutReason], None] | None = None,
        on_shared: Callable[[Share], None] | None = None,
        keepalive: Callable[[], Item] | None = None,
        max_total_bytes: int = ConnectionProfile().max_total_bytes,
    ) -> None:
        self.window = window
        self.cut: CutReason | None = None
        """Why the connection had to be cut, once it had."""
        self.samples: deque[BackpressureMetrics] = deque(maxlen=_SAMPLES_KEPT)
        """One reading a second, oldest first, while monitoring is on."""
        self.config = BackpressureConfig(lambda: self.profile, self._amend)
        self._sender = SocketSender(websocket, clock=clock, on_overdue=self._on_overdue)
        self._clock = clock
        self._pack = pack or _one_message_each
        self._on_drops = on_drops
        self._on_slow = on_slow
        self._on_shared = on_shared
        self._keepalive = keepalive
        rng = rng or random.Random()  # nosec B311
        self._queue = SendQueue(rng=rng, max_total_bytes=max_total_bytes)
        self._profiles = {DEFAULT_GROUP: profile or _DEFAULTS}
        self._queue.set_lane(DEFAULT_GROUP, self._profiles[DEFAULT_GROUP], clock())
        self._sent = 0
        self._acked = [0] * len(MessagePriority)
        self._lost_in_flight = [0] * len(MessagePriority)
        self._rate = SlidingRate()
        self._closed = False
        self._stopping = False
        self._finishing = False
        """Whether last words are being said: nobody else sends any more."""
        self._waiting_for_credit = False
        self._in_a_row_bytes = 0
        """Sent since others had a turn."""
        self._reporting_expired = False
        """Whether it is told what has expired, for which GAPs are offered."""
        self._begun: tuple[Begun, ClassMessages] | None = None
        """A send that has to wait, for the writer to go on with, and what it sends."""
        self._task: asyncio.Task[None] | None = None
        self._context = contextvars.copy_context()
        self._work = log_context.current()
        """In which the writer's task runs, and what is sent directly."""
        self._sleep: asyncio.Future[None] | None = None
        self._direct: asyncio.Future[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = math.inf
        self._timer_fired = False
        self._asking: Item | None = None
        self._pulls: list[Callable[[int], list[Item] | None]] = []
        """In the order of their turns."""
        self._spare: SpareRoom | None = None
        self._sampler: asyncio.TimerHandle | None = None

    async def send_with_backpressure(
        self, data: Any, priority: MessagePriority = MessagePriority.NORMAL, *, key: Hashable | None = None
    ) -> bool:
        """Send bytes, text, or anything that JSON can say; True when it was sent or queued.

        Waits for the socket only when nothing else waits for it and there is no window. A newer message
        with the same `key` replaces one that is still queued. ValueError for an empty message.
        """
        payload = as_message(data)
        item = Item(payload, MessagePriority(priority), self._clock(), len(payload), key)
        idle = (
            self.window is None
            and not self.queued_messages
            and (self._task is None or self._sleep is not None)
        )
        dropped = any(drop.item is item for drop in self.offer(item))
        if dropped or not idle or self._direct is not None:
            return not dropped
        self._direct = asyncio.get_running_loop().create_future()
        return await self._direct

    def offer(self, item: Item, group: str = DEFAULT_GROUP) -> list[Drop]:
        """Queue `item` for the writer, never waiting; returns what was dropped, perhaps the item itself."""
        queue = self._queue
        if self._closed:
            return [queue.outbox.refuse(item)]
        if group not in queue:
            self.set_profile(group, self._profiles[DEFAULT_GROUP])
        drops = queue.put(item, group, self._clock(), was_first=self._reporting_expired)
        if drops:
            self._report(drops)
        if queue.outbox.control_overflow and self.window is not None:
            self._cut(CutReason.CONTROL_OVERFLOW)
        elif self._sleep is None:
            if self._task is None and not self._finishing:
                self._start()
        elif not self._waiting_for_credit or queue.outbox.critical_waiting:
            self._wake()
        elif queue.next_due < self._timer_due:
            self._arm(queue.next_due)
        return drops

    def offer_prepared(self, message: bytes, classes: ClassMessages) -> bool:
        """Send one WebSocket message that others may share, past the outbox; False where it has to queue.

        `classes` counts its logical messages by priority, less 1. That is the "send directly" of the flow
        chart: only where nothing waits, nothing is being sent, no lane is under pressure, and the window and
        its limit for a bundle have room.
        """
        window = self.window
        if (
            self._sleep is None
            or self._sleep.done()
            or self._closed
            or not self._queue.idle
            or (window is not None and len(message) > min(window.room, window.bundle_limit))
        ):
            return False
        self._queue.outbox.pass_by(classes)
        self._send_directly(message, classes)
        return True

    def hold(self, bundle: SharedBundle) -> bool:
        """Let the waveform of a bundle that could not be sent at once wait as it is; the rest has to queue.

        False where all of it has to: the connection has ended, or a bound of the outbox is near.
        """
        if self._closed or self._task is None or not self._queue.hold(bundle):
            return False
        if not self._waiting_for_credit:
            self._wake()
        elif self._queue.next_due < self._timer_due:
            self._arm(self._queue.next_due)
        return True

    def pull_from(self, source: Callable[[int], list[Item] | None]) -> None:
        """Ask `source` for a piece of at most so many bytes whenever there is room and nothing else to send.

        What it returns counts as offered then, and is never dropped. It may queue what has to be said first,
        and return nothing. None says that it has no more: then it is asked no more, and acks cost the writer
        no turn. Several take turns. RuntimeError without a window: nobody would say when there is room.
        """
        if self.window is None:
            raise RuntimeError("a handler without a window knows no spare room")
        if self._spare is None:
            self._spare = SpareRoom(self.window)
        self._pulls.append(source)
        self.wake_to_pull()

    def wake_to_pull(self) -> None:
        """The source has something again."""
        if not self._waiting_for_credit:
            self._wake()

    def on_ack(self, n: int, *, held_s: float = 0.0, late_s: float = 0.0) -> Acked:
        """Take the client's ack of WebSocket messages up to number `n`.

        ProtocolError when it names one that was never sent; RuntimeError without a window.
        """
        if self.window is None:
            raise RuntimeError("a handler without a window takes no acks")
        now = self._clock()
        acked = self.window.on_ack(n, now, held_s=held_s, late_s=late_s)
        if self._closed:
            return acked
        for index, count in enumerate(acked.classes):
            self._acked[index] += count
        if self._waiting_for_credit or self._pulls:
            self._wake()
        elif self._keepalive and self._sleep is not None and self.window.next_due < self._timer_due:
            self._arm(self.window.next_due)
        return acked

    def set_profile(self, group: str, profile: BackpressureProfile) -> None:
        """Govern `group` by `profile` from now on; assignments to `config` end with it.

        Groups that follow the default go on following it.
        """
        followed = self._profiles[DEFAULT_GROUP]
        groups = {group}
        if group == DEFAULT_GROUP:
            groups |= {name for name, governing in self._profiles.items() if governing is followed}
        for name in groups:
            self._profiles[name] = profile
            self._report(self._queue.set_lane(name, profile, self._clock()))
        self._wake()

    def set_connection(self, connection: ConnectionProfile) -> None:
        """Govern what belongs to the connection as a whole: the window, all bytes, the time until 4008."""
        self._report(self._queue.limit_total(connection.max_total_bytes, self._clock()))
        if self.window is not None:
            self.window.max_bytes = connection.max_window_bytes
            self.window.stall_s = connection.stall_s

    def shed(self, sheds_from: MessagePriority | None) -> None:
        """Refuse new messages of this priority and below, but control; None: refuse nothing for that."""
        self._queue.outbox.shed(sheds_from)

    def drop_group(self, group: str) -> list[Drop]:
        """Forget a group and all it has queued, without a word to `on_drops`."""
        self._report(self._queue.release(self._clock()))
        self._profiles.pop(group, None) if group != DEFAULT_GROUP else None
        return self._queue.outbox.drop_lane(group)

    def group_state(self, group: str) -> LaneState | None:
        """One group's lane by itself; None when nothing was offered to it yet."""
        return self._queue.lane_state(group, self._clock())

    @property
    def profile(self) -> BackpressureProfile:
        """What governs groups that have no profile of their own."""
        return self._profiles[DEFAULT_GROUP]

    def queued(self) -> dict[MessagePriority, int]:
        """Logical messages that wait, by their class."""
        return dict(zip(MessagePriority, self._queue.queued(), strict=True))

    def get_metrics(self) -> BackpressureMetrics:
        """Read everything now."""
        now = self._clock()
        queue, window = self._queue, self.window
        counts = queue.counts()
        offered = sum(c.offered for c in counts)
        drops = {reason: sum([getattr(c, reason.value) for c in counts]) for reason in LOST}
        expired = drops[DropReason.EXPIRED]
        dropped = sum(drops.values()) - expired
        lost = sum(self._lost_in_flight)
        if window:
            window.network.assess(now, waiting_s=window.waits_s(now))
        return BackpressureMetrics(
            buffer_size=self.queued_messages,
            buffer_bytes=self.queued_bytes,
            buffer_utilization=queue.utilization,
            pressure=queue.pressure(now),
            offered_messages=offered,
            sent_messages=self._sent,
            acked_messages=sum(self._acked),
            in_flight_messages=sum(c.taken for c in counts) - sum(self._acked) - lost,
            coalesced_messages=sum(c.coalesced for c in counts),
            expired_messages=expired,
            dropped_messages=dropped,
            abandoned_messages=sum(c.abandoned for c in counts) + lost,
            retries=self._sender.retries,
            drop_rate=(expired + dropped) / offered if offered else 0.0,
            messages_per_second=self._rate.per_second(now),
            queued=self.queued(),
            drops=drops,
            backpressure_active=queue.outbox.backpressure_active,
            emergency_mode=queue.outbox.emergency,
            paused=self.paused,
            window_bytes=window.size if window else None,
            in_flight_bytes=window.in_flight_bytes if window else 0,
            rtt_s=window.network.rtt_s if window else None,
            goodput_bps=8 * window.goodput(now) if window else None,
            condition=window.network.condition if window else None,
        )

    def get_detailed_metrics(self) -> dict[str, dict[str, Any]]:
        """The same as nested plain values: `buffer`, `performance`, `state`, and `network`."""
        return self.get_metrics().detailed(self.profile)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and no group is under pressure: each group's state is an empty lane's."""
        return self._queue.idle

    @property
    def queued_messages(self) -> int:
        """Logical messages that wait."""
        return len(self._queue)

    @property
    def queued_bytes(self) -> int:
        """Their bytes."""
        return self._queue.size_bytes

    def waveform_waits_s(self, now: float) -> float:
        """For how long the oldest waveform has waited; 0 when none does."""
        return self._queue.waits_s(MessagePriority.HIGH, now)

    @property
    def paused(self) -> bool:
        """Whether something waits for credit: for acks, or for the socket to take what is being sent."""
        return self._waiting_for_credit or (self._sender.busy and self.queued_messages > 0)

    async def start_monitoring(self) -> None:
        """Take a reading into `samples` every second."""
        if self._sampler is None and not self._closed:
            self._sample()

    async def stop_monitoring(self) -> None:
        """End the readings and the writer, after the message that it is sending; a new offer starts it."""
        if self._sampler is not None:
            self._sampler.cancel()
            self._sampler = None
        if self._task is not None:
            self._stopping = True
            self._wake()
            await asyncio.wait([self._task])

    async def finish(self) -> None:
        """Send all that is CRITICAL and waits, whatever the window says, and end: the rest is abandoned.

        For the last words of a connection that closes in peace; does not close the socket. A socket that has
        not taken them by the send deadline (3 s) is cut.
        """
        self._finishing = True
        try:
            async with asyncio.timeout(SEND_DEADLINE_S):
                await self.stop_monitoring()
                while not self._closed:
                    items = self._queue.take(0, self._clock(), critical_budget_bytes=MAX_BUNDLE_BYTES).items
                    if not items:
                        break
                    classes = (len(items), *[0] * (len(MessagePriority) - 1))
                    await self._write(self._pack(items), classes)
        except TimeoutError:
            self._cut(CutReason.SEND_DEADLINE)
        await self.aclose()

    async def aclose(self) -> None:
        """End at once: what is queued or unacked is abandoned. Does not close the socket."""
        self._end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    def _amend(self, field: str, value: object) -> None:
        # Groups that share a profile go on sharing one: that is how they follow the default.
        shared = {id(p): replace(p, **{field: value}) for p in self._profiles.values()}  # type: ignore[arg-type]
        amended = {group: shared[id(profile)] for group, profile in self._profiles.items()}
        for group, profile in amended.items():
            self._profiles[group] = profile
            self._report(self._queue.set_lane(group, profile, self._clock()))
        self._wake()

    def _start(self) -> None:
        self._stopping = False
        self._task = asyncio.get_running_loop().create_task(
            self._run(), name="vital-writer", context=self._context
        )

    async def _run(self) -> None:
        try:
            while not (self._closed or self._stopping):
                if not await self._turn() and not self._closed:
                    await self._rest()
            await self._finish_begun()
        except Exception:
            log.exception("the writer failed")
            self._cut(CutReason.BROKEN)
        finally:
            self._task = None
            if self._begun is not None:
                self._begun[0].close()
            self._sender.close()
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._timer_due = None, math.inf

    async def _turn(self) -> bool:
        """Send one batch of the most urgent; False when nothing more can be sent now."""
        queue, window = self._queue, self.window
        await self._finish_begun()
        now = self._clock()  # the write may have waited for the socket, and what queued meanwhile is older
        if now >= queue.outbox.next_due:
            self._report_expired(queue.outbox.expire(now))
        budget = critical_budget = MAX_BUNDLE_BYTES
        if window is not None:
            if self._timer_fired:
                self._timer_fired = False
                self._mind_silence(window, now)
            room, limit = window.room, window.bundle_limit
            budget, critical_budget = min(room, limit), min(room + CRITICAL_CREDIT_BYTES, limit)
        if budget <= 0:  # What can leave leaves, however old: only this process was late.
            self._report_expired(queue.expire_held(now))
        taken = queue.take(budget, now, critical_budget_bytes=critical_budget)
        self._report_expired(taken.drops)
        if taken.share is not None:
            sent = await self._send_share(taken.share)
        else:
            items = taken.items
            if not items and self._pulls and queue.idle:
                items = self._take_late(now)
                if not items and len(queue):
                    return True
            sent = await self._send_items(items)
        if not self.queued_messages and not (self._pulls and sent):
            if window is not None and window.room > 0 and not (self._spare and self._spare.waits_for_window):
                window.on_sender_limited()
            return False
        if self._in_a_row_bytes >= MAX_BUNDLE_BYTES:
            await self._let_others_run()
        return sent

    async def _let_others_run(self) -> None:
        """A server whose send never waits (Daphne) would otherwise give nobody else a turn."""
        window, before = self.window, self._clock()
        has_room = window is not None and window.room > 0
        self._in_a_row_bytes = 0
        await asyncio.sleep(0)
        if window is not None and has_room and self._clock() - before >= _LONG_TURN_S:
            window.on_sender_limited()

    async def _send_items(self, items: list[Item]) -> bool:
        """One batch of what had queued, or was pulled; whether there was anything."""
        if items:
            classes = [0] * len(MessagePriority)
            for item in items:
                classes[item.priority - 1] += 1
            await self._write(self._pack(items), tuple(classes), keepalive=items[0] is self._asking)
        return bool(items)

    async def _send_share(self, share: Share) -> bool:
        """As much of a bundle that waited as there is room for."""
        if self._on_shared is not None:
            self._on_shared(share)
        await self._write([share.message], share.classes)
        return True

    def _take_late(self, now: float) -> list[Item]:
        """One piece of what is pulled."""
        assert self._spare is not None
        limit = self._spare.limit(now)
        if limit <= 0:
            return []
        for source in list(self._pulls):
            items = source(limit)
            if items is None:
                self._pulls.remove(source)
            elif items:
                self._pulls.append(self._pulls.pop(self._pulls.index(source)))  # behind the others
                self._spare.took(sum(item.size_bytes for item in items), now)
                classes = [0] * len(MessagePriority)
                for item in items:
                    classes[item.priority - 1] += 1
                self._queue.outbox.pass_by(tuple(classes))
                return items
        if not self._pulls:
            self._spare = None
        return []

    def _mind_silence(self, window: SendWindow, now: float) -> None:
        """Cut a client that does not ack, and ask one for an ack that has had nothing to ack."""
        if window.silent(now):
            self._cut(CutReason.SILENT)
        elif window.stalled(now):
            self._cut(CutReason.STALLED)
        elif self._keepalive and not self.queued_messages and window.keepalive_due(now):
            self._asking = self._keepalive()
            self._queue.put(self._asking, DEFAULT_GROUP, now)

    def _send_directly(self, message: bytes, classes: ClassMessages) -> None:
        """Write without a turn of the writer's task, unless the socket has to be waited for."""
        window = self.window
        if window is not None:
            window.on_sent(len(message), self._clock(), classes)
        assert self._task is not None, "the writer sleeps, so that there is one"
        try:
            begun = self._sender.begin(
                message, max_retries=self.profile.max_retries, task=self._task, context=self._context
            )
        except Exception as error:  # noqa: BLE001  # each server raises what it likes
            self._fail(error)
            return
        if begun is not None:
            self._begun = begun, classes
            self._wake()
            return
        self._count_written(classes)
        if window is not None:
            if window.room > 0:
                window.on_sender_limited()
            if window.next_due < self._timer_due:
                self._arm(window.next_due)

    async def _finish_begun(self) -> None:
        """Go on with a send that has to wait: it is counted as sent, and acks would be off by one."""
        if self._begun is None or self._closed:
            return
        (begun, classes), self._begun = self._begun, None
        try:
            await begun
        except Exception as error:  # noqa: BLE001  # each server raises what it likes
            self._fail(error)
        else:
            self._count_written(classes)

    async def _write(
        self, messages: Sequence[bytes | str], classes: ClassMessages, *, keepalive: bool = False
    ) -> None:
        window = self.window
        last = len(messages) - 1
        try:
            for index, message in enumerate(messages):
                if window is not None:
                    # Items are acked with the last message of their batch.
                    held = classes if index == last else ()
                    window.on_sent(len(message), self._clock(), held, keepalive=keepalive)
                self._in_a_row_bytes += len(message)
                await self._sender.send(message, max_retries=self.profile.max_retries)
        except Exception as error:  # noqa: BLE001  # each server raises what it likes
            self._fail(error)
        else:
            self._count_written(classes)
            self._answer_direct(True)

    def _fail(self, error: Exception) -> None:
        """A send has failed: the connection has to go, loudly where the fault is not the socket's."""
        if says_closed(error):
            log.debug("send failed: %r", error)
        else:
            log.error("the writer failed", exc_info=error)
        self._cut(CutReason.BROKEN)

    def _count_written(self, classes: ClassMessages) -> None:
        number = sum(classes)
        self._sent += number
        self._rate.add(number, self._clock())
        if self.window is None:
            for index, count in enumerate(classes):
                self._acked[index] += count

    async def _rest(self) -> None:
        """Sleep until there is something to send, credit for it, or something due."""
        self._answer_direct(True)
        due = self._queue.next_due
        self._waiting_for_credit = self.queued_messages > 0
        if self.window is not None and (self._keepalive or self.window.in_flight_bytes):
            due = min(due, self.window.next_due)
        if self._spare is not None:
            due = min(due, self._spare.next_at)
        if due < self._timer_due:
            self._arm(due)
        self._sleep = asyncio.get_running_loop().create_future()
        self._in_a_row_bytes = 0
        try:
            await self._sleep
        finally:
            self._sleep = None
            self._waiting_for_credit = False

    def _wake(self) -> None:
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)

    def _arm(self, due: float) -> None:
        """Wake at `due`. A timer that fires early is harmless, so a later `due` leaves it alone."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        delay = max(_TIMER_STEP_S, due - self._clock())
        self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer, self._timer_due, self._timer_fired = None, math.inf, True
        self._wake()

    def _on_overdue(self) -> None:
        self._cut(CutReason.SEND_DEADLINE)
        if self._task is not None:
            self._task.cancel()

    def _sample(self) -> None:
        self.samples.append(self.get_metrics())
        self._sampler = asyncio.get_running_loop().call_later(SAMPLE_S, self._sample)

    def _report(self, drops: list[Drop]) -> None:
        if drops and self._on_drops is not None:
            self._on_drops(drops)

    def _report_expired(self, drops: list[Drop]) -> None:
        """The same of what was the oldest of its lane: GAPs for it stand before all that waits."""
        reporting, self._reporting_expired = self._reporting_expired, True
        try:
            self._report(drops)
        finally:
            self._reporting_expired = reporting

    def _answer_direct(self, sent: bool) -> None:
        if self._direct is not None and not self._direct.done():
            self._direct.set_result(sent)
        self._direct = None

    def _cut(self, reason: CutReason) -> None:
        if self._closed:
            return
        self.cut = reason
        self._end()
        with log_context.working_for(self._work):  # others, and timers of others, cut it too
            log.debug("connection is cut: %s", reason)
        if self._on_slow is not None:
            self._on_slow(reason)

    def _end(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._queue.abandon()
        for index, counts in enumerate(self._queue.counts()):
            self._lost_in_flight[index] = counts.taken - self._acked[index]
        if self._sampler is not None:
            self._sampler.cancel()
            self._sampler = None
        self._answer_direct(False)
        self._wake()


def _one_message_each(items: list[Item]) -> list[bytes | str]:
    return [item.payload for item in items]
