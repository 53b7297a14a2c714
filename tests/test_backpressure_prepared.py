"""What a writer is handed ready to leave: messages shared by many, and what it pulls itself."""

from __future__ import annotations

import asyncio
import errno
from contextvars import ContextVar

import pytest

from streaming.backpressure import (
    CutReason,
    MessagePriority,
)
from streaming.core.outbox import Drop, DropReason
from streaming.core.window import SendWindow
from tests.accounting import accounted
from tests.fakes import FakeSocket, virtual_time
from tests.writing import begun, frame, handler_of, item, turns


class TestPrepared:
    @virtual_time
    async def test_stopping_lets_a_shared_message_leave_that_waits_for_the_socket(self) -> None:
        socket = FakeSocket()
        handler = await begun(socket)
        socket.hold()
        assert handler.offer_prepared(b"shared", (0, 1, 0, 0, 0))
        asyncio.get_running_loop().call_later(0.1, socket.release)
        await handler.stop_monitoring()  # before the writer has had its turn
        assert socket.sent == [b"first", b"shared"]
        assert handler.on_ack(2).messages == 2
        handler.offer(item(b"next"))
        await turns()
        assert socket.sent[2:] == [b"next"]
        assert handler.cut is None
        await handler.aclose()

    @virtual_time
    async def test_it_has_left_when_the_call_returns_where_the_socket_does_not_wait(self) -> None:
        socket = FakeSocket()
        handler = await begun(socket)
        for number in range(3):
            assert handler.offer_prepared(b"shared%d" % number, (0, 2, 0, 0, 0))
            assert socket.sent[-1] == b"shared%d" % number
        metrics = handler.get_metrics()
        assert (metrics.sent_messages, metrics.in_flight_messages) == (7, 7)
        handler.on_ack(4)
        assert accounted(handler.get_metrics())
        await handler.aclose()

    @virtual_time
    async def test_the_next_one_queues_while_the_socket_takes_it(self) -> None:
        socket = FakeSocket()
        handler = await begun(socket)
        socket.hold()
        assert handler.offer_prepared(b"shared", (0, 1, 0, 0, 0))
        assert not handler.offer_prepared(b"another", (0, 1, 0, 0, 0))
        handler.offer(item(b"another"))
        await turns()
        assert socket.sent == [b"first"]
        socket.release()
        await turns()
        assert socket.sent == [b"first", b"shared", b"another"]
        await handler.aclose()

    @virtual_time
    async def test_a_transient_error_is_tried_again(self) -> None:
        socket = FakeSocket()
        handler = await begun(socket)
        socket.errors.append(OSError(errno.ENOBUFS, "no room"))
        assert handler.offer_prepared(b"shared", (0, 1, 0, 0, 0))
        await asyncio.sleep(1)
        assert socket.sent == [b"first", b"shared"]
        assert handler.get_metrics().retries == 1
        await handler.aclose()

    @pytest.mark.parametrize("error", [ConnectionResetError(), ValueError("a fault of ours")])
    @virtual_time
    async def test_a_lasting_error_cuts(self, error: Exception) -> None:
        socket, cuts = FakeSocket(), list[CutReason]()
        handler = await begun(socket, on_slow=cuts.append)
        socket.errors.append(error)
        handler.offer_prepared(b"shared", (0, 1, 0, 0, 0))
        assert cuts == [CutReason.BROKEN]
        assert not handler.offer_prepared(b"another", (0, 1, 0, 0, 0))
        assert accounted(handler.get_metrics())
        await handler.aclose()

    @virtual_time
    async def test_one_that_is_never_acked_stalls(self) -> None:
        socket, cuts = FakeSocket(), list[CutReason]()
        handler = await begun(socket, on_slow=cuts.append)
        handler.on_ack(1)
        assert handler.offer_prepared(b"shared", (0, 1, 0, 0, 0))
        await asyncio.sleep(12)
        assert cuts == [CutReason.STALLED]
        await handler.aclose()

    @virtual_time
    async def test_what_queues_while_the_socket_takes_a_shared_message_ages(self) -> None:
        socket, drops = FakeSocket(), list[Drop]()
        handler = await begun(socket, on_drops=drops.extend)
        socket.hold()
        assert handler.offer_prepared(b"shared", (0, 1, 0, 0, 0))
        await turns()
        old = frame(1)
        handler.offer(old)
        await asyncio.sleep(1.5)
        handler.offer(item(b"young"))
        socket.release()
        await turns()
        assert socket.sent == [b"first", b"shared", b"young"]
        assert drops == [Drop(old, DropReason.EXPIRED)]
        assert accounted(handler.get_metrics())
        await handler.aclose()


class TimedSocket(FakeSocket):
    """A server whose send has a time limit, and notes in a context variable what it is sending."""

    sending: ContextVar[bytes] = ContextVar("sending", default=b"")

    def __init__(self) -> None:
        super().__init__()
        self.timed_out = 0

    async def send_bytes(self, data: bytes) -> None:
        noted = self.sending.set(data)
        try:
            async with asyncio.timeout(1.0):
                await super().send_bytes(data)
        except TimeoutError:
            self.timed_out += 1
            raise ConnectionResetError from None
        finally:
            self.sending.reset(noted)


class TestPreparedFromAnywhere:
    """A shared message leaves from a timer, or from the task of whoever had something to say."""

    @virtual_time
    async def test_a_send_with_a_time_limit_leaves_from_a_timer(self) -> None:
        socket, taken = TimedSocket(), list[bool]()
        handler = await begun(socket)
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: taken.append(handler.offer_prepared(b"shared", (0, 1, 0, 0, 0))))
        await turns()
        assert (taken, socket.sent, handler.cut) == ([True], [b"first", b"shared"], None)
        await handler.aclose()

    @virtual_time
    async def test_one_that_has_to_wait_goes_on_in_the_writer(self) -> None:
        socket = TimedSocket()
        handler = await begun(socket)
        socket.hold()
        assert handler.offer_prepared(b"shared", (0, 1, 0, 0, 0))
        assert asyncio.current_task() is not handler._task
        await asyncio.sleep(0.5)
        socket.release()
        await turns()
        assert (socket.sent, handler.cut) == ([b"first", b"shared"], None)
        await handler.aclose()

    @virtual_time
    async def test_its_time_limit_ends_the_send_and_not_whoever_said_it(self) -> None:
        socket, cuts = TimedSocket(), list[CutReason]()
        handler = await begun(socket, on_slow=cuts.append)
        socket.hold()
        assert handler.offer_prepared(b"shared", (0, 1, 0, 0, 0))
        await asyncio.sleep(1.5)  # the time limit of the send is no matter of this task
        assert (socket.timed_out, cuts) == (1, [CutReason.BROKEN])
        assert accounted(handler.get_metrics())
        await handler.aclose()


class TestPulled:
    @virtual_time
    async def test_a_source_that_has_no_more_costs_acks_nothing_and_shared_messages_go_straight(self) -> None:
        socket = FakeSocket()
        handler = handler_of(socket, SendWindow())
        pieces = [[item(b"late", MessagePriority.BULK)], None]
        handler.pull_from(lambda limit_bytes: pieces.pop(0))
        handler.offer(item(b"first"))
        await turns()
        assert socket.sent == [b"first", b"late"]
        assert pieces == []
        handler.on_ack(2)
        assert handler.offer_prepared(b"shared", (0, 1, 0, 0, 0)), "the ack woke nobody"
        pieces = [[item(b"more", MessagePriority.BULK)], [], None]
        handler.pull_from(lambda limit_bytes: pieces.pop(0))
        await turns()
        assert pieces == [None], "what has nothing now is asked again"
        handler.on_ack(4)
        assert not handler.offer_prepared(b"shared", (0, 1, 0, 0, 0))
        await turns()
        assert pieces == []
        assert accounted(handler.get_metrics())
        await handler.aclose()
