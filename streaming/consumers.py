"""The WebSocket endpoints: what a viewer and a device say, handed to those who act on it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.http import parse_cookie

from streaming import log_context
from streaming.alarm_seat import AboutAlarms, AlarmSeat
from streaming.backfill import MAX_SPANS
from streaming.core import alarm_messages, messages
from streaming.core.alarm_messages import DeviceAlarm
from streaming.core.diagnostics import Holder
from streaming.core.frames import SUBPROTOCOL, decode_bundle
from streaming.core.lab import Throttle
from streaming.core.messages import CONNECTIONS_PER_PRINCIPAL
from streaming.core.review_messages import Question
from streaming.core.token_bucket import TokenBucket
from streaming.exceptions import (
    RETRY_AFTER_MS,
    AuthenticationError,
    CloseCode,
    ProtocolError,
    RateLimitError,
)
from streaming.ingest import Intake
from streaming.lab_socket import LabSocket
from streaming.log_context import Work, WorkKind
from streaming.review_seat import ReviewSeat
from streaming.runtime import Runtime
from streaming.store import access
from streaming.store.access import Principal
from streaming.subscriber import CONTROL_GROUP, Subscriber

logger = logging.getLogger(__name__)

HELLO_DEADLINE_S = 5.0
CLOSE_DEADLINE_S = 2.0
DEVICE_ACK_S = 0.5
DEVICE_SILENCE_S = 60.0
"""A device that has said nothing for so long is asked to connect again: it may hang, or have been unplugged
from its program. One that has nothing to send shows that it lives by asking for the time."""
FRAMES_PER_TURN = 32
"""Others run at least every 10 ms, however many chunks come in one message."""
ALARMS_PER_S, ALARM_BURST = 50, 200
"""Of one device: a bedside monitor has a few a minute, a flapping one a few a second."""
MAX_ROSTER = 2000
"""By ward and bed. Deflated they fit a frame of 64 KiB; nobody watches more."""
MAX_REASON_BYTES = 123
"""RFC 6455, 5.5: a close frame holds 125 bytes, two of them the code."""


class VitalConsumer(AsyncWebsocketConsumer):
    """What all endpoints share: the subprotocol, the deadline of the first message, errors, and the end.

    Channels' own loop starts a task and a thread hop per message (120 us against 27 us), and the hub owns the
    layer; so messages are dispatched here, one after the other.
    """

    subprotocol: ClassVar[str] = SUBPROTOCOL
    """What the peer has to offer in its handshake."""

    runtime: Runtime
    principal: Principal
    watched: frozenset[str] = frozenset()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.work = Work.new(WorkKind.CONNECTION)
        self.greeted = False
        self._open = False
        self._ending = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._deadline: asyncio.TimerHandle | None = None

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Run one connection from its handshake to its disconnect."""
        self.scope = scope
        self.base_send = send
        self.channel_layer = None
        self.runtime = scope["vital"]
        with log_context.working_for(self.work):
            await self._run(receive)

    async def _run(self, receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        try:
            while True:
                await self.dispatch(await receive())
        except StopConsumer:
            pass
        except asyncio.CancelledError:
            # Daphne cancels its applications when it stops: the peer is told before the socket goes.
            await self._end(CloseCode.GOING_AWAY, "server is going away")
            await self._until_disconnected(receive)
            raise
        finally:
            self._open = False
            await self._release()
            self.runtime.remove(self)

    async def dispatch(self, message: dict[str, Any]) -> None:
        """One ASGI message."""
        kind = message["type"]
        if kind == "websocket.receive":
            if self._open:
                await self._guarded(self._received(message))
        elif kind == "websocket.connect":
            await self._connected()
        elif kind == "websocket.disconnect":
            raise StopConsumer

    async def send_bytes(self, data: bytes) -> None:
        """Write one binary message; nothing happens when the peer is gone."""
        await self._write({"type": "websocket.send", "bytes": data})

    async def send_text(self, data: str) -> None:
        """Write one text message; nothing happens when the peer is gone."""
        await self._write({"type": "websocket.send", "text": data})

    def cut(self, code: CloseCode, reason: str) -> None:
        """Say why, and close; returns at once."""
        self.spawn(self._end(code, reason))

    def refresh(self, visible: frozenset[str], *, changed: bool = False) -> None:
        """These are the streams that the principal may see now; `changed` when their facts may be others."""

    def spawn(self, work: Awaitable[None]) -> None:
        """Run `work` beside the reading of messages; its errors end the connection, its end is awaited."""
        with log_context.working_for(self.work):  # another connection, or none, may have caused it
            task = asyncio.ensure_future(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def last_words(self) -> None:
        """Write what must not be lost, before the server goes away."""

    async def closed(self) -> None:
        """Give back what the connection held, whatever ended it; called again, do nothing."""

    async def said(self, message: Any) -> None:
        """Handle one parsed text message."""
        raise NotImplementedError

    async def sent(self, data: bytes) -> None:
        """Handle one binary message."""
        raise NotImplementedError

    async def _connected(self) -> None:
        offered = self.subprotocol in self.scope["subprotocols"]
        await self.accept(self.subprotocol if offered else None)
        self._open = True
        if not offered:
            await self._end(CloseCode.PROTOCOL, f"subprotocol {self.subprotocol} is required")
        elif self.runtime.stopping:
            await self._end(CloseCode.GOING_AWAY, "server is going away")
        else:
            self._deadline = asyncio.get_running_loop().call_later(
                HELLO_DEADLINE_S, self.cut, CloseCode.UNAUTHENTICATED, "no hello within 5 s"
            )

    async def _received(self, message: dict[str, Any]) -> None:
        # The first message is a hello or ends the connection: the deadline was for it, not for the database.
        if self._deadline is not None:
            self._deadline.cancel()
        text = message.get("text")
        if text is not None:
            await self.said(text)
        else:
            await self.sent(message.get("bytes") or b"")

    async def principal_of_session(self, advice: str) -> Principal:
        """Of a browser that is signed in; AuthenticationError with `advice` without a session's cookie."""
        key = _cookies(self.scope).get(settings.SESSION_COOKIE_NAME)
        if not key:
            raise AuthenticationError(advice)
        return access.principal_from_session(key, await get_user({"session": SessionStore(key)}))

    def hello_has_come(self) -> None:
        """The first message was a good one."""
        self.greeted = True

    async def _guarded(self, work: Awaitable[None]) -> None:
        """The one place where an error of the peer, or of ours, becomes a close code."""
        try:
            await work
        except ProtocolError as error:
            await self._end(error.close_code, error.reason, retry_after_ms=error.retry_after_ms)
        except Exception:  # our fault: logged whole, told shortly, and only this connection pays
            logger.exception("connection failed")
            await self._end(CloseCode.INTERNAL, "internal error")

    async def _write(self, message: dict[str, Any]) -> None:
        if not self._open:
            return
        try:
            await self.base_send(message)
        except (OSError, RuntimeError):
            # uvicorn's and Autobahn's word for a peer that left; its `websocket.disconnect` is on the way.
            self._open = False

    async def _end(self, code: CloseCode, reason: str, *, retry_after_ms: int | None = None) -> None:
        if not self._open or self._ending:
            return
        self._ending = True
        retry = RETRY_AFTER_MS.get(code) if retry_after_ms is None else retry_after_ms
        # A peer that takes nothing any more must not keep what its connection holds (uvicorn's send waits).
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_DEADLINE_S):
                if code is CloseCode.GOING_AWAY:
                    await self.last_words()
                await self.send_text(messages.bye(code, reason, retry_after_ms=retry))
        await self._release()
        reason = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        await self._write({"type": "websocket.close", "code": int(code), "reason": reason})
        self._open = False

    async def _release(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        await self.closed()

    async def _until_disconnected(self, receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_DEADLINE_S):
                while (await receive())["type"] != "websocket.disconnect":
                    pass


class ViewerConsumer(VitalConsumer):
    """`/ws/viewer/`: a browser by its session cookie, anything else by a token in its first message."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._subscriber: Subscriber | None = None
        self._wanted: messages.Subscribe | None = None
        self._resumes: list[messages.Resume] = []
        self._following = False
        self._visible: frozenset[str] = frozenset()
        self._alarms: AlarmSeat | None = None
        self._lab: LabSocket | None = None
        self._review: ReviewSeat | None = None
        self._telling_roster = asyncio.Lock()
        self._roster = ""

    async def said(self, text: str) -> None:
        """Acks are the common case and cost no hop; subscribing runs beside the reading."""
        message = messages.parse_viewer_message(text)
        if isinstance(message, messages.ViewerHello) and not self.greeted:
            await self._greet(message)
            return
        subscriber = self._subscriber
        if subscriber is None:
            raise AuthenticationError("the first message must be a hello")
        if isinstance(message, messages.Ack):
            subscriber.acked(message, late_s=self.runtime.hub.lag.late_s)
        elif isinstance(message, messages.Subscribe):
            self._wanted = message
            self._follow_soon(subscriber)
        elif isinstance(message, messages.Resume):
            if len(self._resumes) >= MAX_SPANS or self.runtime.hub.recovery.is_full(subscriber):
                raise RateLimitError(f"more than {MAX_SPANS} spans are being resumed")
            self._resumes.append(message)
            self._follow_soon(subscriber)
        elif isinstance(message, AboutAlarms | Question):
            self._hand_on(message)
        elif message is not None:
            await self._heard(subscriber, message)

    async def _heard(self, subscriber: Subscriber, message: messages.ViewerMessage) -> None:
        """What is about the connection itself."""
        if isinstance(message, messages.TimeRequest):
            subscriber.tell(messages.time(time.time() * 1000, t0=message.t0), key="time")
        elif isinstance(message, messages.ThrottleRequest):
            self._throttle(subscriber, message.link)
        elif isinstance(message, messages.Bye):
            await self._end(CloseCode.GOING_AWAY, "bye")
        else:
            raise ProtocolError("hello was said already")

    def _hand_on(self, message: AboutAlarms | Question) -> None:
        """To the seat that it is for; one that is not taken yet, or no more, has nothing to say."""
        if isinstance(message, Question):
            if self._review is not None:
                self._review.hear(message)
        elif self._alarms is not None:
            self._alarms.hear(message)

    async def sent(self, data: bytes) -> None:  # noqa: ARG002
        """Viewers have no samples to send."""
        raise ProtocolError("a viewer sends text messages only")

    def refresh(self, visible: frozenset[str], *, changed: bool = False) -> None:
        """Take leave of streams that have ended, and send the roster if it may be another now."""
        subscriber = self._subscriber
        if subscriber is None or (visible == self._visible and not changed):
            return
        self._visible = visible
        if self._review is not None:
            self._review.see(visible)
        for stream in self.watched - visible:
            self.runtime.hub.unwatch(subscriber, stream)
            subscriber.tell(messages.denied(stream), key=f"denied.{stream}")
        self.watched &= visible
        self.spawn(self._send_roster(subscriber))

    async def last_words(self) -> None:
        """What is CRITICAL and waits for credit."""
        if self._subscriber is not None:
            await self._subscriber.finish()

    async def closed(self) -> None:
        """Out of the hub; what was queued is abandoned."""
        subscriber, self._subscriber = self._subscriber, None
        alarms, self._alarms = self._alarms, None
        review, self._review = self._review, None
        if alarms is not None:
            alarms.leave()
        if review is not None:
            review.leave()
        if subscriber is not None:
            self.runtime.hub.remove(subscriber)
            await subscriber.aclose()
        if self._lab is not None:
            self._lab.close()

    async def _greet(self, hello: messages.ViewerHello) -> None:
        peer = self.scope["vital.peer"]
        self.runtime.admit_viewer(peer)
        try:
            self.principal = await self._authenticate(hello)
        except AuthenticationError:
            self.runtime.admitted_nobody(peer, as_viewer=True)
            raise
        if self.runtime.connections_of(self.principal) >= CONNECTIONS_PER_PRINCIPAL:
            raise RateLimitError(f"more than {CONNECTIONS_PER_PRINCIPAL} connections")
        self.hello_has_come()
        self.runtime.add(self)
        await self.send_text(messages.welcome(connection=self.work.id, server_ms=time.time() * 1000))
        hub = self.runtime.hub
        if settings.VITAL_LAB:
            self._lab = LabSocket(self, self.spawn, self._tell_throttle)
        self._subscriber = Subscriber(
            self._lab or self,
            profiles=hub.profiles,
            compression=self.runtime.compression_for(CONTROL_GROUP),
            on_cut=self.cut,
        )
        self._subscriber.holder = Holder(
            self.work.id, self.principal.actor, self.principal.user_id, peer, time.monotonic()
        )
        hub.add(self._subscriber)
        self._alarms = AlarmSeat(self.runtime.alarms, self.principal, self._subscriber, self.spawn)
        self._review = ReviewSeat(
            self.runtime.review, self.principal, self._subscriber, hub.recovery, self.spawn
        )
        self.scope["vital.listen"](self._took_ack)
        await self._send_roster(self._subscriber)

    def _took_ack(self, message: dict[str, Any]) -> bool:
        """Take an ack on the spot; whether the message was one."""
        subscriber, text = self._subscriber, message.get("text")
        if subscriber is None or not text or (ack := messages.parse_plain_ack(text)) is None:
            return False
        try:
            subscriber.acked(ack, late_s=self.runtime.hub.lag.late_s)
        except ProtocolError as error:
            self.cut(error.close_code, error.reason)
        return True

    def _throttle(self, subscriber: Subscriber, link: Throttle) -> None:
        """Make the link of this connection worse, where this server is for trying things out."""
        if self._lab is None:
            refusal = alarm_messages.refused("throttle", "", "this server has no lab")
            subscriber.tell(refusal, key="throttle")
        elif link is Throttle.CUT:
            logger.info("the lab cuts a viewer")
            self.spawn(self._drop())
        else:
            self._lab.throttle(link)
            self._tell_throttle(link)

    def _tell_throttle(self, link: Throttle = Throttle.OFF) -> None:
        if self._subscriber is not None and self._lab is not None:
            self._subscriber.tell(messages.throttled(link, self._lab.left_s), key="throttle")

    async def _drop(self) -> None:
        """End without a word, as a network does."""
        await self._write({"type": "websocket.close", "code": int(CloseCode.SILENT)})
        self._open = False
        await self._release()

    async def _authenticate(self, hello: messages.ViewerHello) -> Principal:
        if hello.token is not None:
            principal: Principal = await database_sync_to_async(access.authenticate_viewer_token)(hello.token)
            return principal
        return await self.principal_of_session("sign in, or say hello with a token")

    async def _send_roster(self, subscriber: Subscriber) -> None:
        """Alarms first: nothing that comes later is as urgent. What is read last is told last."""
        async with self._telling_roster:
            visible = await database_sync_to_async(access.visible_streams)(self.principal)
            self._visible = frozenset(entry.stream for entry in visible)
            if self._review is not None:
                self._review.see(self._visible)
            if self._alarms is not None:
                await self._alarms.watch(self._visible, {entry.ward for entry in visible})
            online = await self.runtime.writers.online(self._visible)
            roster = messages.roster(
                replace(entry, online=entry.stream in online) for entry in visible[:MAX_ROSTER]
            )
            if roster != self._roster:
                self._roster = roster
                subscriber.tell(roster, key="roster")

    def _follow_soon(self, subscriber: Subscriber) -> None:
        if not self._following:
            self._following = True
            self.spawn(self._follow_wanted(subscriber))

    async def _follow_wanted(self, subscriber: Subscriber) -> None:
        """Bring what is watched to what was asked for last; a newer wish replaces one that still waits."""
        try:
            while (wanted := self._wanted) is not None or self._resumes:
                self._wanted = None
                resumes, self._resumes = self._resumes, []
                streams = self.watched if wanted is None else frozenset(wanted.streams)
                await self._watch_only(subscriber, streams, frozenset(resume.stream for resume in resumes))
                if wanted is not None:
                    self.runtime.hub.focus(subscriber, wanted.focus)
                for resume in resumes:
                    self.runtime.hub.resume(subscriber, resume)
        finally:
            self._following = False

    async def _watch_only(
        self, subscriber: Subscriber, wanted: frozenset[str], resumed: frozenset[str]
    ) -> None:
        """Watch what is wanted and allowed; also what is resumed has to be both."""
        hub = self.runtime.hub
        for stream in self.watched - wanted:
            hub.unwatch(subscriber, stream)
        self.watched &= wanted
        asked = (wanted - self.watched) | resumed
        if not asked:
            return
        allowed, denied = await database_sync_to_async(access.authorize_streams)(self.principal, asked)
        allowed &= wanted
        for stream in asked - allowed:
            subscriber.tell(messages.denied(stream), key=f"denied.{stream}")
        for stream in self.watched & denied:
            hub.unwatch(subscriber, stream)
        new = allowed - self.watched
        self.watched = (self.watched - denied) | new
        for stream in new:
            await hub.watch(subscriber, stream)


class DeviceConsumer(VitalConsumer):
    """`/ws/device/`: a device token in the hello, then chunks of samples."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._intake: Intake | None = None
        self._session_ended = False
        self._ack: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        self._silence: asyncio.TimerHandle | None = None
        self._alarm_budget = TokenBucket(ALARMS_PER_S, ALARM_BURST, asyncio.get_running_loop().time())

    async def said(self, text: str) -> None:
        """The hello, the leads that are off, the time, and the end of the session."""
        self._heard_at = asyncio.get_running_loop().time()
        message = messages.parse_device_message(text)
        if isinstance(message, messages.DeviceHello) and not self.greeted:
            await self._greet(message)
            return
        intake = self._require_intake()
        if isinstance(message, messages.DeviceQuality):
            intake.report_quality(message)
        elif isinstance(message, DeviceAlarm):
            await self._alarm(intake, message)
        elif isinstance(message, messages.TimeRequest):
            await self.send_text(messages.time(time.time() * 1000, t0=message.t0))
        elif isinstance(message, messages.Bye):
            self._session_ended = True
            await self._acknowledge(intake)
            await self._end(CloseCode.GOING_AWAY, "bye")
        elif message is not None:
            raise ProtocolError("hello was said already")

    async def sent(self, data: bytes) -> None:
        """A bundle of chunks; acknowledged by position at most 0.5 s later."""
        self._heard_at = asyncio.get_running_loop().time()
        intake = self._require_intake()
        for number, frame in enumerate(decode_bundle(data), 1):
            intake.push(frame)
            if number % FRAMES_PER_TURN == 0:
                await asyncio.sleep(0)
        if self._ack is None:
            self._ack = asyncio.get_running_loop().call_later(
                DEVICE_ACK_S, lambda: self.spawn(self._acknowledge(intake))
            )

    def refresh(self, visible: frozenset[str], *, changed: bool = False) -> None:  # noqa: ARG002
        """A device whose admission has ended has nothing more to write."""
        if not self.watched <= visible:
            self.cut(CloseCode.FORBIDDEN, "the admission has ended")

    async def closed(self) -> None:
        """The stream falls silent, or is free when the device said bye."""
        for timer in (self._ack, self._silence):
            if timer is not None:
                timer.cancel()
        intake, self._intake = self._intake, None
        if intake is not None:
            intake.close(ended=self._session_ended)
            if self._session_ended:
                self.runtime.writers.due.set()

    async def _alarm(self, intake: Intake, alarm: DeviceAlarm) -> None:
        """An alarm that the device has found itself: confirmed once it is on disk."""
        now = asyncio.get_running_loop().time()
        if not self._alarm_budget.take(1, now):
            raise RateLimitError(f"more than {ALARMS_PER_S} alarms a second")
        await self.runtime.alarms.devices.take(
            intake.info,
            alarm,
            actor=self.principal.actor,
            on_durable=lambda: self.spawn(
                self.send_text(alarm_messages.alarm_stored(alarm.alarm, on=alarm.on))
            ),
        )

    def _require_intake(self) -> Intake:
        if self._intake is None:
            raise AuthenticationError("the first message must be a hello")
        return self._intake

    async def _greet(self, hello: messages.DeviceHello) -> None:
        peer = self.scope["vital.peer"]
        self.runtime.admit_device(peer)
        try:
            device = await database_sync_to_async(access.authenticate_device)(hello.token)
        except AuthenticationError:
            self.runtime.admitted_nobody(peer, as_viewer=False)
            raise
        stream = await database_sync_to_async(access.admitted_stream)(device.device_id)
        replaced = partial(self.cut, CloseCode.STREAM_BUSY, "the session has connected again")
        await self.runtime.care.refresh()
        self._intake = await self.runtime.writers.open(device.device_id, stream, hello, replaced)
        self.principal = device.principal
        self.watched = frozenset({stream})
        self.hello_has_come()
        self.runtime.add(self)
        await self.send_text(
            messages.device_welcome(
                stream=stream,
                epoch=self._intake.info.epoch,
                next_sample=self._intake.next_sample,
                server_ms=time.time() * 1000,
            )
        )
        self._watch_silence()

    def _watch_silence(self) -> None:
        """Look again when the device would have been silent for too long, as far as it is known now."""
        loop = asyncio.get_running_loop()
        due = self._heard_at + DEVICE_SILENCE_S
        if loop.time() >= due:
            self.cut(CloseCode.SILENT, f"nothing was heard for {DEVICE_SILENCE_S:.0f} s")
        else:
            self._silence = loop.call_at(due, self._watch_silence)

    async def _acknowledge(self, intake: Intake) -> None:
        self._ack = None
        await self.send_text(messages.device_ack(intake.next_sample))


def _cookies(scope: dict[str, Any]) -> dict[str, str]:
    """The request's cookies. Read here, once: Channels' session middleware would wrap every later send."""
    headers = (value for name, value in scope["headers"] if name == b"cookie")
    return parse_cookie(b"; ".join(headers).decode("latin-1"))
