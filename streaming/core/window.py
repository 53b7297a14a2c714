"""How much may be on its way to a client: the bytes that it has not acked yet."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from operator import add
from typing import NamedTuple

from streaming.core.network import UNMEASURED_RATE, NetworkEstimator, PathRate, SlidingRate
from streaming.core.profiles import ConnectionProfile
from streaming.exceptions import ProtocolError

KIB = 1024
_DEFAULTS = ConnectionProfile()
INITIAL_WINDOW_BYTES = 4 * KIB
CRITICAL_CREDIT_BYTES = 8 * KIB
"""Room beyond the window that only CRITICAL may use."""
MAX_BUNDLE_BYTES = 16 * KIB
KEEPALIVE_S = 3.0
SILENCE_S = 8.0
ACK_HOLD_S = 0.1
"""How long a client may hold an ack if it is not told otherwise."""
PROMPT_S = 0.2
"""An ack that is held for its 100 ms, and the way there and back, with some to spare."""
_BUNDLE_S = 0.05
"""A bundle is at most this much of the delivery rate, so that an alarm waits for no longer behind one."""
_GAIN = 1.5
_MIN_RTT_S = 0.02
_CROWD = 1.5
_CROWDED_S = 0.2
"""A message that left behind 1.5 others and was held up by this, and by a whole round trip, met a full path.

With the first 4 KiB of window on 20 kbit/s all that there is to send is in flight, 1.6 s of it.
"""
_MEASURED_S = 60.0
"""A full path is full again within this time, or it is not known any more what it carries."""
_LATE_SHARE = 0.25
"""Of the time of a delivery: so late, this process and not the path has set the pace."""
_PROBE_AFTER_S = 8.0
"""A saturated window never sees the bare round trip, and would take its own queue for the path."""

ClassMessages = tuple[int, ...]
"""Logical messages by priority, less 1."""


class Acked(NamedTuple):
    """What one ack took out of flight; `rtt_s` is that of the newest message it names."""

    messages: int
    size_bytes: int
    classes: ClassMessages
    rtt_s: float | None


@dataclass(slots=True)
class _Sent:
    size_bytes: int
    classes: ClassMessages
    sent_at: float
    delivered: int
    delivered_at: float
    first_sent_at: float
    app_limited: bool
    behind_others: bool
    keepalive: bool


class SendWindow:
    """Credit by cumulative acks; pure: every call carries its time.

    The size follows 1.5 x delivery rate x smallest round trip (at least 20 ms) and one message, between
    two messages and `max_bytes`. Unless a sender with more to send has measured the path in the last minute,
    it begins with 4 KiB and bundles of 2 KiB, and grows by what fills it and is acked without having queued.
    Delivery rates are measured as by Cheng et al., "Delivery Rate Estimation" (IETF draft): bytes acked
    between a message's sending and its ack, over the longer of the time that took to send and to ack; a
    sender with nothing more to send can raise the estimate and not lower it, unless its messages met a queue
    on the way. When no round trip has been as small as the smallest for 8 s, the window shrinks to two
    messages for a moment to measure it afresh.
    """

    def __init__(
        self,
        *,
        max_bytes: int = _DEFAULTS.max_window_bytes,
        stall_s: float = _DEFAULTS.stall_s,
        network: NetworkEstimator | None = None,
    ) -> None:
        self.network = network or NetworkEstimator()
        self.path = PathRate()
        self.max_bytes = max_bytes
        self.stall_s = stall_s
        self.hold_s = ACK_HOLD_S
        """How long the client may hold an ack."""
        self.sent = 0
        """WebSocket messages sent since `welcome`, which is number 0."""
        self.acked = 0
        self.in_flight_bytes = 0
        self.size = INITIAL_WINDOW_BYTES
        """The window in bytes."""
        self.bundle_limit = int(_BUNDLE_S * UNMEASURED_RATE)
        """The most bytes to put into one WebSocket message."""
        self._flight: deque[_Sent] = deque()
        self._delivered = 0
        self._delivered_at = 0.0
        self._first_sent_at = 0.0
        self._app_limited_until = 0
        self._message_bytes = 0.0
        self._heard_at = -math.inf
        self._idle_since = math.inf
        self._probed_at = -math.inf
        self._draining = False
        self._probe_number: int | None = None
        self._goodput = SlidingRate()
        self._ramp_bytes = INITIAL_WINDOW_BYTES
        """The window while nobody has measured the path: it grows by what is acked without having queued."""

    def on_sent(
        self, size_bytes: int, now: float, classes: ClassMessages = (), *, keepalive: bool = False
    ) -> int:
        """Count one WebSocket message of `size_bytes`; returns its number, from 1."""
        if not self._flight:
            self._delivered_at = self._first_sent_at = now
        if not self.sent:
            self._heard_at = now  # The client has just been heard: it said hello.
        self._flight.append(
            _Sent(
                size_bytes,
                classes,
                now,
                self._delivered,
                self._delivered_at,
                self._first_sent_at,
                self._app_limited_until >= self._delivered,
                self.in_flight_bytes > _CROWD * self._message_bytes,
                keepalive,
            )
        )
        self.in_flight_bytes += size_bytes
        if size_bytes > self._message_bytes:
            self._message_bytes = size_bytes
            self._resize(now)
        else:
            # The largest of the recent messages: each smaller one takes a sixteenth of the difference.
            self._message_bytes -= (self._message_bytes - size_bytes) / 16
        self.sent += 1
        return self.sent

    def on_ack(self, n: int, now: float, *, held_s: float = 0.0, late_s: float = 0.0) -> Acked:
        """Free the messages up to number `n`; an ack older than the last one frees nothing.

        `held_s` is how long the client says it held the ack, `late_s` by how much this process may have
        delayed message and ack. ProtocolError for a message never sent.
        """
        if n > self.sent:
            raise ProtocolError("ack names a message that was never sent")
        self._heard_at = now
        if n <= self.acked:
            return Acked(0, 0, (), None)
        messages = n - self.acked
        newest = self._flight.popleft()
        size_bytes, classes = newest.size_bytes, newest.classes
        sent = [(newest.sent_at, size_bytes)]
        for _ in range(messages - 1):
            newest = self._flight.popleft()
            size_bytes += newest.size_bytes
            sent.append((newest.sent_at, newest.size_bytes))
            classes = _sum(classes, newest.classes)
        self.acked = n
        self.in_flight_bytes -= size_bytes
        self._delivered += size_bytes
        # What the client held back is its cadence, not the path: 5 kB in 3 ms are not 5 kB in 100 ms.
        arrived_at = max(newest.sent_at, now - min(max(held_s, 0.0), 1.0))
        if late_s > 0:
            # It may not have been late for these: a path that seems shorter than it is would seem full for
            # a minute, so that this explains only what came later than on the empty path.
            base_s = self.path.empty_rtt_s
            least = arrived_at if base_s is None else min(arrived_at, newest.sent_at + base_s)
            arrived_at = max(least, arrived_at - late_s)
        self.path.on_ack(sent, arrived_at, now)
        self._delivered_at = arrived_at
        self._first_sent_at = newest.sent_at
        self._goodput.add(size_bytes, now)
        if not self._flight:
            self._idle_since = now
        rtt_s = arrived_at - newest.sent_at
        self.network.on_rtt(rtt_s, now)
        base_s = self.path.empty_rtt_s or 0.0
        crowded = newest.behind_others and rtt_s - base_s > max(base_s, _CROWDED_S)
        took_s = max(newest.sent_at - newest.first_sent_at, arrived_at - newest.delivered_at)
        if took_s > 0:
            rate = (self._delivered - newest.delivered) / took_s
            sender_limited = (newest.app_limited and not crowded) or late_s > _LATE_SHARE * took_s
            self.network.on_delivery(rate, now, app_limited=sender_limited)
        if not newest.app_limited and rtt_s - base_s <= max(base_s, _MIN_RTT_S):
            self._ramp_bytes += size_bytes
        self._probe(now, crowded=crowded)
        self._resize(now)
        return Acked(messages, size_bytes, classes, rtt_s)

    def ahead_s(self, now: float, queued_bytes: int) -> float:
        """How much longer than on the empty path what is in flight and so many bytes more will take."""
        if not self._flight:
            return 0.0
        return self.path.ahead_s(self._flight[0].sent_at, self.in_flight_bytes + queued_bytes, now)

    def sent_at(self, number: int) -> float | None:
        """When message `number` was sent; None when it is acked, or not sent yet."""
        place = number - self.acked - 1
        return self._flight[place].sent_at if 0 <= place < len(self._flight) else None

    def on_sender_limited(self) -> None:
        """Note that there is room, and nothing to fill it or no time to: the next to leave measures that."""
        self._app_limited_until = self._delivered + self.in_flight_bytes

    @property
    def room(self) -> int:
        """Bytes that may be sent now; below zero when the window has shrunk."""
        return self.size - self.in_flight_bytes

    @property
    def critical_room(self) -> int:
        """Bytes that CRITICAL may send now."""
        return self.room + CRITICAL_CREDIT_BYTES

    def oldest_age(self, now: float) -> float:
        """For how long the oldest unacked message has been on its way; 0 when there is none."""
        return now - self._flight[0].sent_at if self._flight else 0.0

    def is_prompt(self, now: float) -> bool:
        """Whether the last ack came at once, and the next is not late."""
        return self.network.latest_rtt_s < PROMPT_S and self.waits_s(now) < PROMPT_S

    def waits_s(self, now: float) -> float:
        """`oldest_age`, less what the client was allowed to hold its ack beyond 100 ms."""
        return max(0.0, self.oldest_age(now) - (self.hold_s - ACK_HOLD_S))

    def quiet_s(self, now: float) -> float:
        """For how long there has been something to ack and no ack came; 0 when nothing is in flight."""
        return now - max(self._heard_at, self._flight[0].sent_at) if self._flight else 0.0

    def unheard_s(self, now: float) -> float | None:
        """How long ago the last ack came, or the hello; None before anything was sent."""
        return now - self._heard_at if self.sent else None

    def stalled(self, now: float) -> bool:
        """Whether the client has to be cut with 4008."""
        return self.oldest_age(now) >= self.stall_s

    def keepalive_due(self, now: float) -> bool:
        """Whether nothing has been in flight for 3 s, so that a `time` message has to ask for an ack."""
        return not self._flight and now - self._idle_since >= KEEPALIVE_S

    def silent(self, now: float) -> bool:
        """Whether a keepalive waits for its ack, and nothing has been heard for 8 s."""
        return bool(self._flight) and self._flight[0].keepalive and now - self._heard_at >= SILENCE_S

    @property
    def next_due(self) -> float:
        """When time alone makes it stalled, silent, or due for a keepalive."""
        if not self._flight:
            return self._idle_since + KEEPALIVE_S
        stalled_at = self._flight[0].sent_at + self.stall_s
        return min(stalled_at, self._heard_at + SILENCE_S) if self._flight[0].keepalive else stalled_at

    def goodput(self, now: float) -> float:
        """Bytes acked a second, over the last 10 s."""
        return self._goodput.per_second(now)

    def _resize(self, now: float) -> None:
        two = 2 * self._message_bytes
        unmeasured = max(two, min(self._ramp_bytes, max(self.max_bytes, INITIAL_WINDOW_BYTES)))
        rate, rtt_s = self.network.delivery_rate, self.network.rtt_min_s
        if rate is None or rtt_s is None:
            self.size = int(unmeasured)
            return
        if is_measured := now - self.network.saturated_at <= _MEASURED_S:
            self._ramp_bytes = INITIAL_WINDOW_BYTES
        limit = _BUNDLE_S * (rate if is_measured else max(rate, UNMEASURED_RATE))
        self.bundle_limit = max(1, int(min(MAX_BUNDLE_BYTES, limit)))
        if self._draining or self._probe_number is not None:
            self.size = int(two)
        else:
            ideal = _GAIN * rate * max(rtt_s, _MIN_RTT_S) + self._message_bytes
            least = two if is_measured else unmeasured
            self.size = int(min(max(ideal, least), max(self.max_bytes, two)))

    def _probe(self, now: float, *, crowded: bool) -> None:
        """Shrink when the smallest round trip is old; grow again after one on a nearly empty path."""
        if self._draining:
            if self.in_flight_bytes <= 2 * self._message_bytes:
                self._draining, self._probe_number = False, self.sent + 1
        elif self._probe_number is not None:
            if self.acked >= self._probe_number:
                self._probe_number, self._probed_at = None, now
        elif crowded or self._app_limited_until < self._delivered:
            # Saturated; with nothing more to send, and no queue on the way, the path would empty by itself.
            age_s = min(self.network.rtt_min_age_s(now), now - self._probed_at)
            self._draining = age_s >= _PROBE_AFTER_S


def _sum(some: ClassMessages, more: ClassMessages) -> ClassMessages:
    if some and more:
        return tuple(map(add, some, more))
    return some or more
