"""The writer of one connection: what it sends, in which order, how fast, and when it gives up."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosedOK

from streaming import backpressure
from streaming.backpressure import (
    PRIORITY_QUOTAS,
    BackpressureHandler,
    CutReason,
    MessagePriority,
)
from streaming.core.outbox import Drop, DropReason, Item, Span
from streaming.core.profiles import BackpressureProfile
from streaming.core.window import MAX_BUNDLE_BYTES, SendWindow
from streaming.exceptions import CloseCode, ProtocolError
from streaming.sending import SEND_DEADLINE_S
from tests.accounting import accounted
from tests.fakes import FakeSocket, ThrottledLink, virtual_time
from tests.writing import begun, fill, frame, handler_of, item, now, turns

CRITICAL, HIGH, NORMAL, LOW, BULK = MessagePriority


class TestDocumentedExample:
    @virtual_time
    async def test_send_and_read_the_metrics(self) -> None:
        websocket, ecg_data = FakeSocket(), np.arange(5, dtype=np.int16)

        handler = BackpressureHandler(websocket)
        await handler.send_with_backpressure(ecg_data, priority=MessagePriority.HIGH)
        metrics = handler.get_metrics()

        assert f"{metrics.buffer_utilization:.1%} {metrics.drop_rate:.2%}" == "0.0% 0.00%"
        assert websocket.sent == ["[0,1,2,3,4]"]
        await handler.aclose()

    @virtual_time
    async def test_every_documented_metric_is_there(self) -> None:
        handler = handler_of(FakeSocket())
        metrics = handler.get_detailed_metrics()
        documented = {
            "buffer": {"size", "utilization", "high_watermark"},
            "performance": {"sent_messages", "dropped_messages", "drop_rate", "messages_per_second"},
            "state": {"backpressure_active", "emergency_mode", "paused"},
        }
        for section, keys in documented.items():
            assert keys <= set(metrics[section])
        json.dumps(metrics, allow_nan=False)

    def test_the_documented_constants(self) -> None:
        assert backpressure.MAX_BUFFER_SIZE == 10_000
        assert backpressure.HIGH_WATERMARK == 0.8
        assert backpressure.LOW_WATERMARK == 0.2
        assert backpressure.CRITICAL_WATERMARK == 0.95
        assert backpressure.MAX_RETRIES == 3
        assert PRIORITY_QUOTAS[MessagePriority.CRITICAL] == 0.30
        assert [priority.name for priority in MessagePriority] == [
            "CRITICAL",
            "HIGH",
            "NORMAL",
            "LOW",
            "BULK",
        ]

    @virtual_time
    async def test_the_fastapi_handler(self) -> None:
        websocket = FakeSocket()
        handler = handler_of(websocket)
        await handler.start_monitoring()
        assert await handler.send_with_backpressure(b"compressed", MessagePriority.HIGH)
        assert websocket.sent == [b"compressed"]
        await handler.stop_monitoring()


class TestSending:
    @virtual_time
    async def test_goes_out_directly_when_nothing_waits(self) -> None:
        socket = FakeSocket()
        handler = handler_of(socket)
        for payload in (b"1", "2", {"three": 3}, bytearray(b"4")):
            assert await handler.send_with_backpressure(payload)
            assert handler.get_metrics().buffer_size == 0
        assert socket.sent == [b"1", "2", '{"three":3}', b"4"]
        await handler.aclose()

    @virtual_time
    async def test_queues_behind_a_socket_that_is_full(self) -> None:
        socket = FakeSocket()
        handler = handler_of(socket)
        socket.hold()
        first = asyncio.ensure_future(handler.send_with_backpressure(b"1"))
        await turns()
        assert await handler.send_with_backpressure(b"2", LOW)
        assert await handler.send_with_backpressure(b"3", CRITICAL)
        assert handler.get_metrics().paused
        socket.release()
        assert await first
        await turns()
        assert socket.sent == [b"1", b"3", b"2"]
        await handler.aclose()

    @virtual_time
    async def test_a_caller_that_stops_waiting_does_not_tear_its_message(self) -> None:
        socket = FakeSocket()
        handler = handler_of(socket)
        socket.hold()
        sending = asyncio.ensure_future(handler.send_with_backpressure(b"1"))
        await turns()
        sending.cancel()
        await turns()
        socket.release()
        await handler.send_with_backpressure(b"2")
        await turns()
        assert socket.sent == [b"1", b"2"]
        assert accounted(handler.get_metrics())
        await handler.aclose()

    @virtual_time
    async def test_says_when_a_message_was_dropped(self) -> None:
        socket = FakeSocket()
        handler = handler_of(socket, profile=BackpressureProfile(max_buffer_size=10))
        socket.hold()
        first = asyncio.ensure_future(handler.send_with_backpressure(b"1"))
        await turns()
        assert await handler.send_with_backpressure(b"2", BULK)
        assert not await handler.send_with_backpressure(b"3", BULK)
        socket.release()
        await first
        await handler.aclose()

    @virtual_time
    async def test_a_channels_consumer_is_a_socket(self) -> None:
        class Consumer:
            def __init__(self) -> None:
                self.sent: list[tuple[str | None, bytes | None]] = []

            async def send(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
                self.sent.append((text_data, bytes_data))

        consumer = Consumer()
        handler = handler_of(consumer)
        await handler.send_with_backpressure("text")
        await handler.send_with_backpressure(b"bytes")
        assert consumer.sent == [("text", None), (None, b"bytes")]
        await handler.aclose()

    def test_what_cannot_send_is_no_socket(self) -> None:
        with pytest.raises(TypeError, match="object"):
            BackpressureHandler(object())

    @pytest.mark.parametrize("data", [b"", "", float("nan"), object(), {1, 2}])
    @virtual_time
    async def test_what_has_no_message_is_refused(self, data: Any) -> None:
        handler = handler_of(FakeSocket())
        with pytest.raises(ValueError, match=r"empty|JSON"):
            await handler.send_with_backpressure(data)
        assert handler.get_metrics().offered_messages == 0

    @virtual_time
    async def test_many_offers_of_one_turn_go_out_as_one_batch(self) -> None:
        batches: list[int] = []

        def pack(items: list[Item]) -> list[bytes | str]:
            batches.append(len(items))
            return bundle(items)

        socket = FakeSocket()
        handler = handler_of(socket, pack=pack)
        for index in range(16):
            handler.offer(item(bytes([index])), f"group{index}")
        await turns()
        assert batches == [16]
        assert socket.sent == [bytes(range(16))]
        assert handler.get_metrics().sent_messages == 16
        await handler.aclose()

    @virtual_time
    async def test_lets_others_run_while_a_long_queue_goes_out(self) -> None:
        handler = handler_of(FakeSocket())
        for _ in range(100):
            handler.offer(item(b"x" * 1000))
        await turns(3)
        assert 0 < handler.get_metrics().buffer_size < 100
        await handler.aclose()


class TestErrors:
    @virtual_time
    async def test_a_transient_error_is_tried_again(self) -> None:
        socket = FakeSocket()
        socket.errors.extend([TimeoutError(), BlockingIOError(11, "again")])
        handler = handler_of(socket)
        assert await handler.send_with_backpressure(b"1")
        assert socket.sent == [b"1"]
        assert handler.get_metrics().retries == 2
        await handler.aclose()

    @virtual_time
    async def test_gives_up_after_max_retries(self) -> None:
        cuts: list[CutReason] = []
        socket = FakeSocket()
        socket.errors.extend([TimeoutError()] * 10)
        handler = handler_of(socket, on_slow=cuts.append)
        handler.config.MAX_RETRIES = 2
        assert not await handler.send_with_backpressure(b"1")
        assert socket.calls == 3
        assert cuts == [CutReason.BROKEN]
        assert accounted(handler.get_metrics())

    @pytest.mark.parametrize(
        "error",
        [ConnectionResetError(), BrokenPipeError(), RuntimeError("closed"), ConnectionClosedOK(None, None)],
    )
    @virtual_time
    async def test_never_tries_again_on_a_closed_socket(
        self, error: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        socket = FakeSocket()
        socket.errors.append(error)
        handler = handler_of(socket)
        assert not await handler.send_with_backpressure(b"1")
        assert not await handler.send_with_backpressure(b"2")
        assert socket.calls == 1
        assert handler.cut is CutReason.BROKEN
        assert handler.get_metrics().abandoned_messages == 2
        assert caplog.text == ""

    @virtual_time
    async def test_never_tries_again_once_starlette_says_disconnected(self) -> None:
        class State:
            name = "DISCONNECTED"

        socket = FakeSocket()
        socket.client_state = State  # type: ignore[attr-defined]
        socket.errors.extend([TimeoutError()] * 2)
        handler = handler_of(socket)
        assert not await handler.send_with_backpressure(b"1")
        assert socket.calls == 1

    @virtual_time
    async def test_a_fault_of_ours_ends_the_connection_and_is_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def pack(items: list[Item]) -> list[bytes | str]:
            raise KeyError("alias")

        handler = handler_of(FakeSocket(), pack=pack)
        assert not await handler.send_with_backpressure(b"1")
        assert handler.cut is CutReason.BROKEN
        assert "the writer failed" in caplog.text

    @virtual_time
    async def test_a_send_that_hangs_is_not_repeated_but_given_up(self) -> None:
        cuts: list[tuple[CutReason, float]] = []
        socket = FakeSocket()
        handler = handler_of(socket, on_slow=lambda reason: cuts.append((reason, now())))
        socket.hold()
        began = now()
        assert not await handler.send_with_backpressure(b"1")
        assert [reason for reason, _ in cuts] == [CutReason.SEND_DEADLINE]
        assert cuts[0][1] - began == pytest.approx(12, abs=0.1)
        assert socket.calls == 1
        assert handler.get_metrics().retries == 3
        await turns()

    @virtual_time
    async def test_a_send_that_is_slow_within_its_deadlines_succeeds(self) -> None:
        socket = FakeSocket()
        handler = handler_of(socket)
        socket.hold()
        asyncio.get_running_loop().call_later(7, socket.release)
        assert await handler.send_with_backpressure(b"1")
        assert handler.get_metrics().retries == 2
        assert handler.cut is None
        await handler.aclose()

    def test_each_reason_has_its_close_code(self) -> None:
        assert {reason.name: reason.close_code for reason in CutReason} == {
            "STALLED": CloseCode.SLOW,
            "SILENT": CloseCode.SILENT,
            "CONTROL_OVERFLOW": CloseCode.SLOW,
            "SEND_DEADLINE": CloseCode.SLOW,
            "BROKEN": CloseCode.INTERNAL,
        }


class TestWindow:
    @virtual_time
    async def test_sends_only_what_the_window_holds(self) -> None:
        socket, window = FakeSocket(), SendWindow()
        handler = handler_of(socket, window)
        for index in range(20):
            handler.offer(frame(index, 500))
        await turns()
        assert window.in_flight_bytes == 4500
        assert handler.get_metrics().paused
        handler.on_ack(len(socket.sent))
        await turns()
        assert len(socket.sent) > 9
        await handler.aclose()

    @virtual_time
    async def test_an_alarm_has_credit_of_its_own(self) -> None:
        socket = FakeSocket()
        handler = handler_of(socket, SendWindow())
        for index in range(40):
            handler.offer(frame(index, 500))
        await turns()
        handler.offer(item(b"alarm", CRITICAL))
        await turns()
        assert socket.sent[-1] == b"alarm"
        await handler.aclose()

    @virtual_time
    async def test_waiting_for_credit_costs_nothing_per_offer(self) -> None:
        socket = FakeSocket()
        handler = handler_of(socket, SendWindow())
        for index in range(20):
            handler.offer(frame(index, 500))
        await turns()
        assert handler._sleep is not None
        for index in range(20, 40):
            handler.offer(frame(index, 500))
            assert not handler._sleep.done()
        await handler.aclose()

    @virtual_time
    async def test_an_ack_beyond_what_was_sent_is_a_protocol_error(self) -> None:
        handler = handler_of(FakeSocket(), SendWindow())
        handler.offer(frame(0))
        await turns()
        with pytest.raises(ProtocolError):
            handler.on_ack(2)
        await handler.aclose()

    @virtual_time
    async def test_counts_acks_by_logical_message(self) -> None:
        socket = FakeSocket()
        handler = handler_of(socket, SendWindow(), pack=lambda items: [b"text", b"bundle"])
        for index in range(4):
            handler.offer(frame(index, 100))
        await turns()
        handler.on_ack(1)
        assert handler.get_metrics().acked_messages == 0
        handler.on_ack(2)
        metrics = handler.get_metrics()
        assert (metrics.acked_messages, metrics.in_flight_messages) == (4, 0)
        await handler.aclose()

    @virtual_time
    async def test_a_client_that_never_acks_is_cut_10_to_12_seconds_later(self) -> None:
        cuts: list[tuple[CutReason, float]] = []
        handler = handler_of(FakeSocket(), SendWindow(), on_slow=lambda reason: cuts.append((reason, now())))
        began = now()
        for index in range(200):
            handler.offer(frame(index))
            await asyncio.sleep(0.1)
        assert [reason for reason, _ in cuts] == [CutReason.STALLED]
        assert 10 <= cuts[0][1] - began <= 12
        assert handler.get_metrics().buffer_size == 0
        assert accounted(handler.get_metrics())

    @virtual_time
    async def test_a_light_load_says_nothing_about_the_link(self) -> None:
        link, window = ThrottledLink(1e6), SendWindow()
        handler = handler_of(link, window)
        link.on_ack = handler.on_ack
        for index in range(50):
            handler.offer(frame(index))
            await asyncio.sleep(0.1)
        assert window.network.delivery_rate is None
        assert window.size == 4096
        await handler.aclose()

    @virtual_time
    async def test_too_much_control_cuts_the_client(self) -> None:
        cuts: list[CutReason] = []
        handler = handler_of(FakeSocket(), SendWindow(), on_slow=cuts.append)
        for _ in range(90):
            handler.offer(item(b"x" * 1000, LOW, control=True))
            await turns(3)
        assert cuts == [CutReason.CONTROL_OVERFLOW]
        assert [drop.reason for drop in handler.offer(frame(0))] == [DropReason.ABANDONED]

    @virtual_time
    async def test_critical_is_always_queued_without_a_window(self) -> None:
        socket = FakeSocket()
        handler = handler_of(socket)
        for _ in range(200):
            handler.offer(item(b"x" * 1000, CRITICAL))
        await turns(100)
        assert len(socket.sent) == 200
        await handler.aclose()

    @virtual_time
    async def test_an_idle_client_is_asked_for_an_ack_every_3_seconds(self) -> None:
        socket = FakeSocket()
        handler = handler_of(
            socket, SendWindow(), keepalive=lambda: item("time", CRITICAL, key="time", control=True)
        )
        handler.offer(frame(0))
        sent: list[float] = []
        for _ in range(100):
            await asyncio.sleep(0.1)
            if len(socket.sent) > len(sent):
                sent.append(now())
                handler.on_ack(len(socket.sent))
        assert socket.sent[1:] == ["time"] * 3
        assert sent[3] - sent[2] == pytest.approx(3, abs=0.2)
        await handler.aclose()

    @virtual_time
    async def test_an_idle_client_that_does_not_answer_is_cut_after_8_seconds(self) -> None:
        cuts: list[tuple[CutReason, float]] = []
        handler = handler_of(
            FakeSocket(),
            SendWindow(),
            keepalive=lambda: item("time", CRITICAL, control=True),
            on_slow=lambda reason: cuts.append((reason, now())),
        )
        handler.offer(frame(0))
        await turns()
        handler.on_ack(1)
        heard = now()
        await asyncio.sleep(20)
        assert [reason for reason, _ in cuts] == [CutReason.SILENT]
        assert cuts[0][1] - heard == pytest.approx(8, abs=0.1)

    @virtual_time
    async def test_a_handler_without_window_takes_no_acks(self) -> None:
        with pytest.raises(RuntimeError):
            handler_of(FakeSocket()).on_ack(1)


class TestDrops:
    @virtual_time
    async def test_what_expires_in_the_queue_is_reported_in_time(self) -> None:
        drops: list[tuple[float, Drop]] = []
        began = now()
        handler = handler_of(
            FakeSocket(), SendWindow(), on_drops=lambda dropped: drops.extend((now(), d) for d in dropped)
        )
        for index in range(20):
            handler.offer(frame(index, 500))
        await asyncio.sleep(2)
        assert len(drops) == 11
        assert {drop.reason for _, drop in drops} == {DropReason.EXPIRED}
        assert all(at - began == pytest.approx(1, abs=0.01) for at, _ in drops)
        await handler.aclose()

    @virtual_time
    async def test_what_ages_is_noticed_even_behind_what_does_not(self) -> None:
        drops: list[tuple[float, Drop]] = []
        handler = handler_of(
            FakeSocket(), SendWindow(), on_drops=lambda dropped: drops.extend((now(), d) for d in dropped)
        )
        for _ in range(3):
            handler.offer(item(b"x" * 5000, BULK))
        await turns()
        offered_at = now()
        handler.offer(frame(0))
        await asyncio.sleep(2)
        assert [at - offered_at for at, _ in drops] == [pytest.approx(1, abs=0.01)]
        await handler.aclose()

    @virtual_time
    async def test_a_gap_offered_from_within_stands_before_the_frames_behind_it(self) -> None:
        def gap(span: Span) -> Item:
            def render(joined: Span) -> str:
                return f"gap {joined.first}-{joined.stop}"

            text = render(span)
            return item(text, key="gap", span=span, control=True, render=render)

        def on_drops(drops: list[Drop]) -> None:
            for drop in drops:
                if drop.reason is DropReason.EXPIRED and drop.item.span:
                    handler.offer(gap(drop.item.span))

        socket = FakeSocket()
        handler = handler_of(socket, SendWindow(), on_drops=on_drops)
        await fill(handler)
        for index in range(15):
            handler.offer(frame(index, 20))
            await asyncio.sleep(0.1)
        handler.on_ack(2)
        await turns()
        assert socket.sent[2] == "gap 0-250"
        assert socket.sent[3:] == [b"f" * 20] * 10
        await handler.aclose()

    @virtual_time
    async def test_a_group_that_is_dropped_takes_its_queue_with_it(self) -> None:
        reported: list[Drop] = []
        handler = handler_of(FakeSocket(), SendWindow(), on_drops=reported.extend)
        await fill(handler)
        handler.offer(frame(0), "ecg.a")
        assert [drop.reason for drop in handler.drop_group("ecg.a")] == [DropReason.ABANDONED]
        assert handler.group_state("ecg.a") is None
        assert reported == []
        await handler.aclose()


class TestFinish:
    @virtual_time
    async def test_what_is_critical_leaves_past_a_window_that_is_full(self) -> None:
        socket = FakeSocket()
        handler = handler_of(socket, SendWindow())
        await fill(handler)
        for index in range(40):
            handler.offer(frame(index, 500))
            handler.offer(item(b"%02d" % index + 998 * b"c", CRITICAL))
        await turns()
        frames = [message for message in socket.sent if len(message) == 500]
        await handler.finish()
        assert [message for message in socket.sent if len(message) == 500] == frames
        critical = [message for message in socket.sent if len(message) == 1000]
        assert [int(message[:2]) for message in critical] == list(range(40))
        assert accounted(handler.get_metrics())
        assert handler.get_metrics().buffer_size == 0
        assert handler.offer(item(b"more", CRITICAL)) != []

    @virtual_time
    async def test_bundles_keep_their_bound(self) -> None:
        packed: list[int] = []

        def pack(items: list[Item]) -> list[bytes | str]:
            packed.append(sum(item.size_bytes for item in items))
            return [b"x"]

        handler = handler_of(FakeSocket(), SendWindow(), pack=pack)
        await fill(handler)
        for _ in range(40):
            handler.offer(item(1000 * b"c", CRITICAL))
        packed.clear()
        await handler.finish()
        assert sum(packed) >= 28_000  # the rest had left on its own credit
        assert max(packed) <= MAX_BUNDLE_BYTES

    @virtual_time
    async def test_the_message_that_is_being_sent_goes_first(self) -> None:
        socket = FakeSocket()
        handler = handler_of(socket, SendWindow())
        socket.hold()
        handler.offer(item(b"first"))
        await turns()
        handler.offer(item(b"alarm", CRITICAL))
        finishing = asyncio.create_task(handler.finish())
        await turns()
        socket.release()
        await finishing
        assert socket.sent == [b"first", b"alarm"]

    @virtual_time
    async def test_what_is_offered_meanwhile_starts_no_other_sends(self) -> None:
        socket = FakeSocket()
        handler = await begun(socket)
        socket.hold()
        handler.offer(item(b"second"))
        await turns()
        handler.offer(item(b"alarm", CRITICAL))
        finishing = asyncio.create_task(handler.finish())
        await turns()
        socket.release()
        while not finishing.done():
            socket.hold()
            await turns()
            handler.offer(frame(1))
            await turns()
            assert socket.calls - len(socket.sent) <= 1, "one send at a time"
            socket.release()
            await turns()
        assert socket.sent == [b"first", b"second", b"alarm"]
        assert accounted(handler.get_metrics())

    @pytest.mark.parametrize("second", [False, True], ids=["last words", "the message before"])
    @virtual_time
    async def test_a_socket_that_takes_nothing_is_waited_for_until_the_deadline(self, second: bool) -> None:
        socket, cuts = FakeSocket(), list[CutReason]()
        handler = await begun(socket, on_slow=cuts.append)
        socket.hold()
        if second:
            handler.offer(item(b"second"))
            await turns()
        handler.offer(item(b"alarm", CRITICAL))
        began = now()
        await handler.finish()
        assert now() - began == pytest.approx(SEND_DEADLINE_S)
        assert (socket.sent, cuts) == ([b"first"], [CutReason.SEND_DEADLINE])
        assert accounted(handler.get_metrics())

    @virtual_time
    async def test_nothing_follows_to_a_client_that_was_cut(self) -> None:
        socket = FakeSocket()
        handler = handler_of(socket, SendWindow())
        await fill(handler)
        await asyncio.sleep(30)
        assert handler.cut is not None
        sent = len(socket.sent)
        handler.offer(item(b"alarm", CRITICAL))
        await handler.finish()
        assert len(socket.sent) == sent


class TestBackpressureLoad:
    @virtual_time
    async def test_high_volume_message_processing(self) -> None:
        """10,000 messages of all priorities to a client that keeps up: none is lost."""
        socket = FakeSocket()
        handler = handler_of(socket)
        priorities = [
            priority
            for priority in MessagePriority
            for _ in range(round(20 * PRIORITY_QUOTAS[priority]) or 1)
        ]
        for index in range(10_000):
            assert await handler.send_with_backpressure(f"{index}", priorities[index % len(priorities)])
        metrics = handler.get_metrics()
        assert socket.sent == [str(index) for index in range(10_000)]
        assert metrics.sent_messages == metrics.acked_messages == 10_000
        assert metrics.drop_rate == 0
        await handler.aclose()

    @virtual_time
    async def test_high_volume_at_once_keeps_within_the_buffer(self) -> None:
        """10,000 messages before the writer's first turn: CRITICAL whole, the others by their quotas."""
        handler = handler_of(FakeSocket())
        handler.set_profile("default", BackpressureProfile(emergency_mode=False))
        for index in range(10_000):
            handler.offer(item(b"x", list(MessagePriority)[index % 5]))
        metrics = handler.get_metrics()
        assert metrics.queued[CRITICAL] == 2000
        assert metrics.queued[HIGH] == 2000
        assert metrics.queued[NORMAL] <= 2000
        assert metrics.queued[LOW] <= 800
        assert metrics.queued[BULK] <= 200
        assert metrics.buffer_utilization <= 1
        await turns(1000)
        metrics = handler.get_metrics()
        assert metrics.buffer_size == 0
        assert metrics.sent_messages + metrics.dropped_messages == 10_000
        await handler.aclose()

    @virtual_time
    async def test_sustained_load(self) -> None:
        """Five seconds of 100 messages a second: less than 0.1 % lost, in order, the rate as offered."""
        link = ThrottledLink(200_000)
        handler = handler_of(link, SendWindow())
        link.on_ack = handler.on_ack
        for index in range(500):
            assert await handler.send_with_backpressure(b"%06d" % index + b"x" * 500, HIGH)
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        metrics = handler.get_metrics()
        assert [int(data[:6]) for _, data in link.received] == list(range(500))
        assert metrics.drop_rate < 0.001
        assert metrics.messages_per_second == pytest.approx(100, rel=0.15)
        assert metrics.acked_messages == 500
        await handler.aclose()

    @pytest.mark.parametrize(("ack_messages", "worst_s"), [(1, 0.15), (4, 0.35)])
    @virtual_time
    async def test_alarms_stay_quick_on_a_link_offered_twice_what_it_carries(
        self, ack_messages: int, worst_s: float
    ) -> None:
        link = ThrottledLink(64_000, ack_messages=ack_messages)
        handler = handler_of(
            link, SendWindow(), pack=lambda items: [b"".join(bytes_of(each.payload) for each in items)]
        )
        link.on_ack = handler.on_ack
        rung: dict[bytes, float] = {}
        for tick in range(600):
            for bed in range(8):
                handler.offer(frame(tick, 1600), f"ecg.{bed}")
            await asyncio.sleep(0.033)
            if tick % 10 == 0:
                rung[b"alarm%04d" % tick] = now()
                handler.offer(item(b"alarm%04d" % tick, CRITICAL), "ward")
            await asyncio.sleep(0.067)
        delays = [at - rung[name] for at, data in link.received if (name := bytes_of(data)[:9]) in rung]
        metrics = handler.get_metrics()
        assert len(delays) == len(rung)
        assert max(delays) < worst_s
        assert metrics.goodput_bps is not None
        assert metrics.goodput_bps > 0.9 * 8 * 64_000
        assert metrics.drop_rate == pytest.approx(0.5, abs=0.08)
        assert accounted(metrics)
        await handler.aclose()

    @virtual_time
    async def test_a_viewer_that_stops_reading_costs_a_bounded_amount(self) -> None:
        link = ThrottledLink(1e6)
        cuts: list[CutReason] = []
        handler = handler_of(link, SendWindow(), on_slow=cuts.append)
        link.on_ack = handler.on_ack
        most = 0
        for tick in range(300):
            link.reading = tick < 20
            for bed in range(64):
                handler.offer(frame(tick, 6000), f"ecg.{bed}")
            most = max(most, handler.get_metrics().buffer_bytes + link.backlog_bytes)
            await asyncio.sleep(0.1)
        assert cuts == [CutReason.STALLED]
        assert most < 3 << 20
        assert accounted(handler.get_metrics())

    @virtual_time
    async def test_recovers_when_the_link_does(self) -> None:
        link = ThrottledLink(64_000)
        handler = handler_of(link, SendWindow())
        link.on_ack = handler.on_ack
        conditions = []
        for tick in range(600):
            link.rate = 4_000 if 100 <= tick < 200 else 64_000
            handler.offer(frame(tick, 1500))
            await asyncio.sleep(0.1)
            conditions.append(handler.get_metrics().condition)
        lost = handler.get_metrics().expired_messages
        assert 0 < lost < 110
        assert conditions[90] == conditions[-1] == "excellent"
        assert "excellent" not in conditions[120:200]
        assert not handler.get_metrics().backpressure_active
        await handler.aclose()


def bundle(items: list[Item]) -> list[bytes | str]:
    return [b"".join(bytes_of(each.payload) for each in items)]


def bytes_of(data: bytes | str) -> bytes:
    assert isinstance(data, bytes)
    return data
