"""The books of a writer, what its settings may be, and what the monitor says of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.backpressure import (
    PRIORITY_QUOTAS,
    MessagePriority,
)
from streaming.core.profiles import BackpressureProfile
from streaming.core.window import SendWindow
from streaming.exceptions import ProfileError
from tests.accounting import accounted
from tests.fakes import FakeSocket, ThrottledLink, virtual_time
from tests.writing import fill, frame, handler_of, item, turns

CRITICAL, HIGH = MessagePriority.CRITICAL, MessagePriority.HIGH


class TestAccounting:
    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.tuples(st.sampled_from(MessagePriority), st.integers(1, 3000), st.integers(1, 8)),
                st.floats(0.0, 2.0),
                st.sampled_from(["stop reading", "read", "slow", "fast", "shrink", "grow", "drop"]),
            ),
            max_size=30,
        ),
        st.booleans(),
    )
    def test_every_message_offered_is_accounted_for(self, steps: list[Any], monitored: bool) -> None:
        @virtual_time
        async def run() -> None:
            link = ThrottledLink(20_000, ack_messages=2)
            handler = handler_of(link, SendWindow(), keepalive=lambda: item("t", CRITICAL, control=True))
            link.on_ack = handler.on_ack
            offered = 0
            if monitored:
                await handler.start_monitoring()
            for step in steps:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                elif isinstance(step, tuple):
                    priority, size, count = step
                    for _ in range(count):
                        handler.offer(item(b"x" * size, priority), f"group{size % 3}")
                        offered += 1
                elif step == "drop":
                    handler.drop_group("group0")
                elif step in {"shrink", "grow"}:
                    handler.set_profile(
                        "group1", BackpressureProfile(max_buffer_size=10 if step == "shrink" else 1000)
                    )
                elif step in {"slow", "fast"}:
                    link.rate = 2000 if step == "slow" else 200_000
                else:
                    link.reading = step == "read"
                metrics = handler.get_metrics()
                assert accounted(metrics)
                assert metrics.in_flight_messages >= 0
                assert metrics.offered_messages >= offered
            await handler.aclose()
            assert accounted(handler.get_metrics())

        run()


class TestConfig:
    @virtual_time
    async def test_reads_and_takes_the_documented_settings(self) -> None:
        handler = handler_of(FakeSocket())
        handler.config.MAX_BUFFER_SIZE = 20_000
        handler.config.HIGH_WATERMARK = 0.75
        handler.config.LOW_WATERMARK = 0.1
        handler.config.CRITICAL_WATERMARK = 0.9
        handler.config.MAX_RETRIES = 5
        handler.config.PRIORITY_QUOTAS = {
            **PRIORITY_QUOTAS,
            CRITICAL: 0.2,
            HIGH: 0.5,
        }
        assert handler.profile.max_buffer_size == 20_000
        assert handler.config.PRIORITY_QUOTAS[HIGH] == 0.5
        assert handler.get_detailed_metrics()["buffer"]["high_watermark"] == 0.75

    @pytest.mark.parametrize(
        ("name", "value"),
        [("MAX_BUFFER_SIZE", 0), ("HIGH_WATERMARK", 0.1), ("MAX_RETRIES", -1), ("PRIORITY_QUOTAS", {})],
    )
    @virtual_time
    async def test_refuses_what_is_out_of_bounds(self, name: str, value: Any) -> None:
        handler = handler_of(FakeSocket())
        with pytest.raises(ProfileError):
            setattr(handler.config, name, value)
        assert handler.profile == BackpressureProfile()

    @virtual_time
    async def test_an_assignment_takes_effect_at_once_and_holds_until_the_next_profile(self) -> None:
        handler = handler_of(FakeSocket(), SendWindow())
        handler.set_profile("ecg.a", BackpressureProfile(max_buffer_size=1000))
        await fill(handler)
        handler.config.MAX_BUFFER_SIZE = 10
        for index in range(6):
            handler.offer(frame(index), "ecg.a")
        limited = handler.get_metrics()
        handler.set_profile("ecg.a", BackpressureProfile())
        for index in range(6):
            handler.offer(frame(index), "ecg.a")
        assert limited.dropped_messages > 0
        assert handler.get_metrics().dropped_messages == limited.dropped_messages
        await handler.aclose()

    @virtual_time
    async def test_groups_without_a_profile_follow_the_default(self) -> None:
        handler = handler_of(FakeSocket(), SendWindow())
        handler.set_profile("own", BackpressureProfile(max_buffer_size=50))
        await fill(handler)
        for group in ("follows", "own"):
            handler.offer(frame(0), group)
        handler.config.HIGH_WATERMARK = 0.7
        handler.set_profile("default", BackpressureProfile(max_buffer_size=10))
        states = [handler.group_state(group) for group in ("follows", "own")]
        assert [state and state.utilization for state in states] == [1 / 10, 1 / 50]
        await handler.aclose()


class TestMonitoring:
    @virtual_time
    async def test_takes_a_reading_every_second(self) -> None:
        handler = handler_of(FakeSocket())
        await handler.start_monitoring()
        await handler.start_monitoring()
        for _ in range(50):
            await handler.send_with_backpressure(b"x")
            await asyncio.sleep(0.1)
        assert [reading.sent_messages for reading in handler.samples][:5] == [0, 10, 20, 30, 40]
        await handler.stop_monitoring()
        taken = len(handler.samples)
        await asyncio.sleep(5)
        assert len(handler.samples) == taken

    @virtual_time
    async def test_stopping_ends_the_writer_and_the_next_message_starts_it(self) -> None:
        socket = FakeSocket()
        handler = handler_of(socket)
        await handler.send_with_backpressure(b"1")
        await handler.stop_monitoring()
        assert len(asyncio.all_tasks()) == 1
        await handler.send_with_backpressure(b"2")
        assert socket.sent == [b"1", b"2"]
        await handler.stop_monitoring()

    @virtual_time
    async def test_no_task_runs_before_the_first_message(self) -> None:
        handler = handler_of(FakeSocket())
        await turns()
        assert len(asyncio.all_tasks()) == 1
        await handler.aclose()

    @virtual_time
    async def test_closing_abandons_what_is_queued_or_unacked(self) -> None:
        handler = handler_of(FakeSocket(), SendWindow())
        await handler.start_monitoring()
        for index in range(20):
            handler.offer(frame(index, 500))
        await turns()
        handler.on_ack(4)
        await handler.aclose()
        await handler.aclose()
        metrics = handler.get_metrics()
        assert (metrics.acked_messages, metrics.abandoned_messages) == (4, 16)
        assert metrics.buffer_size == metrics.in_flight_messages == 0

    @virtual_time
    async def test_closing_before_the_writer_ran_answers_the_sender(self) -> None:
        handler = handler_of(FakeSocket())
        sending = asyncio.ensure_future(handler.send_with_backpressure(b"1"))
        await asyncio.sleep(0)
        await handler.aclose()
        assert not await sending
