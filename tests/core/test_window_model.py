"""The send window does in every step what a plain record of each message says."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streaming.core.network import UNMEASURED_RATE
from streaming.core.window import (
    CRITICAL_CREDIT_BYTES,
    INITIAL_WINDOW_BYTES,
    KEEPALIVE_S,
    MAX_BUNDLE_BYTES,
    SILENCE_S,
    SendWindow,
)
from streaming.exceptions import ProtocolError
from tests.long_runs import NIGHTLY_STEPS, nightly_of

MIN_RTT_S = 0.02
GAIN = 1.5
BUNDLE_S = 0.05
MEASURED_S = 60.0
MOST_AT_ONCE = 20


@dataclass(frozen=True)
class Message:
    size_bytes: int
    sent_at: float
    classes: tuple[int, ...]
    keepalive: bool


class WindowAndModel(RuleBasedStateMachine):
    """All messages ever sent are kept, with their sizes and times; everything is counted from them anew."""

    @initialize(
        max_bytes=st.sampled_from([4096, 30_000, 256 * 1024]), stall_s=st.sampled_from([2.0, 10.0, 30.0])
    )
    def start(self, max_bytes: int, stall_s: float) -> None:
        self.now = 1000.0
        self.max_bytes, self.stall_s = max_bytes, stall_s
        self.window = SendWindow(max_bytes=max_bytes, stall_s=stall_s)
        self.sent: list[Message] = []
        self.acked = 0
        self.heard_at = -math.inf
        self.idle_since = math.inf
        self.recent_largest = 0.0
        self.largest = 0
        self.acked_by_second: list[tuple[float, int]] = []
        self.last_rtt_s = 0.0
        self.resized_at = self.now

    @property
    def flight(self) -> list[Message]:
        return self.sent[self.acked :]

    @property
    def flight_bytes(self) -> int:
        return sum(message.size_bytes for message in self.flight)

    @rule(size=st.sampled_from([1, 60, 600, 1500, 4000, 16_384]), classes=st.tuples(*[st.integers(0, 3)] * 5))
    def send(self, size: int, classes: tuple[int, ...]) -> None:
        self.put(Message(size, self.now, classes, keepalive=False))

    @rule(size=st.sampled_from([100, 700]))
    def fill(self, size: int) -> None:
        """All that there is room for, as a sender with a queue does."""
        for _ in range(MOST_AT_ONCE):
            if self.window.room > 0:
                self.put(Message(size, self.now, (0, 1, 0, 0, 0), keepalive=False))

    @precondition(lambda self: not self.flight)
    @rule()
    def ask(self) -> None:
        if self.window.keepalive_due(self.now):
            self.put(Message(70, self.now, (1, 0, 0, 0, 0), keepalive=True))

    @rule()
    def nothing_to_send(self) -> None:
        if self.window.room > 0:
            self.window.on_sender_limited()

    @rule(share=st.sampled_from([0.0, 0.3, 1.0]), held_s=st.sampled_from([0.0, 0.1, 5.0, -1.0]))
    def ack(self, share: float, held_s: float) -> None:
        """Cumulative: of what is in flight a part, all, or nothing that is not acked already."""
        n = self.acked + round(share * len(self.flight))
        newly = self.sent[self.acked : n]
        acked = self.window.on_ack(n, self.now, held_s=held_s)
        self.heard_at = self.now
        self.acked = n
        assert acked.messages == len(newly)
        assert acked.size_bytes == sum(message.size_bytes for message in newly)
        told = [message.classes for message in newly if message.classes]
        assert acked.classes == tuple(map(sum, zip(*told, strict=True)))
        if not newly:
            assert acked.rtt_s is None
            return
        self.last_rtt_s = max(0.0, self.now - newly[-1].sent_at - min(max(held_s, 0.0), 1.0))
        assert acked.rtt_s == pytest.approx(self.last_rtt_s)
        self.acked_by_second.append((self.now, acked.size_bytes))
        self.resized_at = self.now
        if not self.flight:
            self.idle_since = self.now

    @rule(back=st.integers(1, 50))
    def ack_again(self, back: int) -> None:
        """One that is overtaken frees nothing, and shows that the client lives."""
        assert self.window.on_ack(max(0, self.acked - back), self.now).messages == 0
        self.heard_at = self.now

    @rule(beyond=st.integers(1, 1000))
    def ack_what_was_never_sent(self, beyond: int) -> None:
        with pytest.raises(ProtocolError):
            self.window.on_ack(len(self.sent) + beyond, self.now)

    @rule(seconds=st.sampled_from([0.001, 0.01, 0.1, 0.5, 1.0, 3.0, 9.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(rtt_s=st.sampled_from([0.005, 0.05, 0.3, 0.9]), size=st.sampled_from([300, 1400]))
    def saturate(self, rtt_s: float, size: int) -> None:
        """A full window on a path with a queue."""
        for turn in range(12):
            self.fill(size)
            self.wait(rtt_s * (1 + turn % 3))
            self.ack(1.0, 0.0)
            self.sizes_follow_the_path()

    @rule(max_bytes=st.sampled_from([4096, 30_000, 256 * 1024]), stall_s=st.sampled_from([2.0, 10.0, 30.0]))
    def govern(self, max_bytes: int, stall_s: float) -> None:
        """Applied to the window from its next message on."""
        self.window.max_bytes, self.window.stall_s = max_bytes, stall_s
        self.max_bytes, self.stall_s = max_bytes, stall_s
        self.send(16_384, ())
        self.ack(1.0, 0.0)

    @invariant()
    def numbers(self) -> None:
        window = self.window
        assert (window.sent, window.acked) == (len(self.sent), self.acked)
        assert window.in_flight_bytes == self.flight_bytes
        assert window.room == window.size - self.flight_bytes
        assert window.critical_room == window.room + CRITICAL_CREDIT_BYTES
        second = math.floor(self.now)
        recent = sum(size for at, size in self.acked_by_second if int(at) >= second - 10)
        since = min((at for at, _ in self.acked_by_second), default=math.inf)
        span_s = max(1.0, self.now - max(since, second - 10))
        assert window.goodput(self.now) == pytest.approx(recent / span_s)

    @invariant()
    def sizes_follow_the_path(self) -> None:
        """DESIGN: clamp(1.5 x rate x max(RTT_min, 20 ms) + one message, two messages, 256 KiB).

        What nobody has measured for a minute begins with the first window, and grows by what was acked.
        """
        window, one = self.window, self.recent_largest
        assert window.size >= int(2 * one) or window.size >= INITIAL_WINDOW_BYTES
        rate, rtt_s = window.network.delivery_rate, window.network.rtt_min_s
        assert window.size <= max(self.max_bytes, INITIAL_WINDOW_BYTES, 2 * self.largest)
        if rate is None or rtt_s is None:
            assert window.size >= INITIAL_WINDOW_BYTES
            return
        ideal = GAIN * rate * max(rtt_s, MIN_RTT_S) + self.largest
        if self.resized_at - window.network.saturated_at <= MEASURED_S:
            assert window.bundle_limit == max(1, int(min(MAX_BUNDLE_BYTES, BUNDLE_S * rate)))
            assert window.size <= max(ideal, 2 * self.largest)
        else:
            assert window.bundle_limit == int(min(MAX_BUNDLE_BYTES, BUNDLE_S * max(rate, UNMEASURED_RATE)))
            ramp = INITIAL_WINDOW_BYTES + sum(size for _, size in self.acked_by_second)
            assert window.size <= max(ideal, 2 * self.largest, ramp)
            assert window.size >= min(INITIAL_WINDOW_BYTES, window.max_bytes)

    @invariant()
    def ends(self) -> None:
        """4008 by the oldest unacked message, a keepalive after 3 idle seconds, silence after 8."""
        window, now, flight = self.window, self.now, self.flight
        oldest_s = now - flight[0].sent_at if flight else 0.0
        assert window.oldest_age(now) == oldest_s
        assert window.stalled(now) is (oldest_s >= self.stall_s)
        assert window.keepalive_due(now) is (not flight and now - self.idle_since >= KEEPALIVE_S)
        asked = bool(flight) and flight[0].keepalive
        assert window.silent(now) is (asked and now - self.heard_at >= SILENCE_S)
        assert window.quiet_s(now) == (now - max(self.heard_at, flight[0].sent_at) if flight else 0.0)
        assert window.is_prompt(now) is (self.last_rtt_s < 0.2 and oldest_s < 0.2)
        ended = window.stalled(now) or window.silent(now) or window.keepalive_due(now)
        # By subtraction and by addition the same moment may differ by a rounding.
        assert ended is (now >= window.next_due) or now == pytest.approx(window.next_due)

    def put(self, message: Message) -> None:
        if not self.sent:
            self.heard_at = self.now
        self.sent.append(message)
        self.largest = max(self.largest, message.size_bytes)
        if message.size_bytes > self.recent_largest:
            self.recent_largest = message.size_bytes
            self.resized_at = self.now
        else:
            self.recent_largest -= (self.recent_largest - message.size_bytes) / 16
        number = self.window.on_sent(
            message.size_bytes, self.now, message.classes, keepalive=message.keepalive
        )
        assert number == len(self.sent)


TestWindowAndModel = WindowAndModel.TestCase
TestWindowAndModel.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestWindowAndModelNightly = nightly_of(WindowAndModel, steps=NIGHTLY_STEPS)
