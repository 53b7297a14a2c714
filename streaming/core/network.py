"""What acks say about a client's network: round trip, rates, queueing delay, condition."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from enum import StrEnum

_MIN_RTT_SPAN_S = 10.0
"""How long a smallest round trip is believed: routes and radio links change (as in BBR, RFC draft)."""
_EMPTY_SPAN_S = 60.0
"""The same for judging a queue: a link that is used to the full is not seen empty every 10 s."""
_RATE_SPAN_S = 3.0
"""How long a fastest delivery is believed."""
_BUSY_S = 0.3
"""So much time of a busy path says what it carries: two frames of 0.1 s of lossless at 20 kbit/s."""
_BUSY_SPAN_S = 2.0
"""And for how long."""
_LEAST_BUSY_S = 0.001
_LEAST_RATE = 2000.0
"""16 kbit/s, the slowest path that is reckoned with: 100 bytes that come 250 ms late met no slower one."""
_OUTAGE_S = 2.0
"""A path that took longer was down; at 16 kbit/s a frame of 0.5 s of twelve leads takes 0.7 s."""
_HEADER_BYTES = 66
"""Of each WebSocket message besides its payload: header 4, TLS record 22, TCP and IP 40."""
_SHARE_WEIGHT = 1 / 16
UNMEASURED_RATE = 40 * 1024.0
"""Bytes a second that a path is given credit for before anything is known of it."""
_RATE_MEAN_S = 10
_SMOOTHING = 1 / 8
"""Weight of a new round trip in the smoothed one (RFC 6298)."""
_RECOVERY_S = 5.0
"""A condition is no better than the worst that was read in so long."""
_RECOVERY_MARGIN = 0.7
"""A condition is better only when the delays are this far inside its limits."""


class NetworkCondition(StrEnum):
    """How a client's network is, best first."""

    EXCELLENT = "excellent"
    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"
    CRITICAL = "critical"


_CONDITIONS = tuple(NetworkCondition)
_LIMITS_S = ((0.12, 0.15), (0.25, 0.30), (0.50, 0.60), (1.00, 1.50))
"""Up to which queueing delay and round trip each condition but the last holds.

The first is above 100 ms because a client may hold an ack that long.
"""


class NetworkEstimator:
    """Running estimates from acks; pure: every call carries its time. Rates are in bytes a second."""

    def __init__(self) -> None:
        self.rtt_s: float | None = None
        """The smoothed round trip, with the time that the client held its ack."""
        self.latest_rtt_s = 0.0
        """The last round trip; `rtt_s` lags behind it by eight."""
        self.condition = NetworkCondition.EXCELLENT
        """As `assess` last found it."""
        self.saturated_at = -math.inf
        """When a sender with more to send last measured the path; before, rates are lower bounds."""
        self._min_rtts: deque[tuple[float, float]] = deque()
        self._rates: deque[tuple[float, float]] = deque()
        self._read = 0
        self._worst_read: deque[tuple[float, float]] = deque()

    def on_rtt(self, rtt_s: float, now: float) -> None:
        """Take one round trip into account."""
        self.latest_rtt_s = rtt_s
        self.rtt_s = rtt_s if self.rtt_s is None else self.rtt_s + _SMOOTHING * (rtt_s - self.rtt_s)
        _keep_smallest(self._min_rtts, now, rtt_s, _MIN_RTT_SPAN_S)

    def on_delivery(self, rate: float, now: float, *, app_limited: bool) -> None:
        """Take one delivery rate into account; of a sender that had nothing more to send only a faster one.

        Such a sample says how much there was to send: that much got through, and perhaps more would have.
        """
        if rate <= 0 or (app_limited and rate <= (self.delivery_rate or UNMEASURED_RATE)):
            return
        if not app_limited:
            self.saturated_at = now
        _keep_largest(self._rates, now, rate, _RATE_SPAN_S)

    @property
    def saturated(self) -> bool:
        """Whether a sender with more to send has ever measured the path."""
        return self.saturated_at > -math.inf

    @property
    def rtt_min_s(self) -> float | None:
        """The smallest round trip of the last 10 s of samples."""
        return self._min_rtts[0][1] if self._min_rtts else None

    def rtt_min_age_s(self, now: float) -> float:
        """For how long no round trip has been as small as `rtt_min_s`; 0 before the first sample."""
        return now - self._min_rtts[0][0] if self._min_rtts else 0.0

    @property
    def delivery_rate(self) -> float | None:
        """The fastest recent delivery, in bytes a second; None before a sample that counts."""
        return self._rates[0][1] if self._rates else None

    @property
    def queueing_delay_s(self) -> float:
        """How much longer a round trip takes now than when nothing is queued on the way."""
        return 0.0 if self.rtt_s is None else max(0.0, self.rtt_s - self._min_rtts[0][1])

    def assess(self, now: float, *, waiting_s: float = 0.0) -> NetworkCondition:
        """Judge the condition: worse at once, better as far as nothing worse was read for 5 s.

        A reading holds until the next one. `waiting_s` is the age of the oldest unacked byte: a link that
        went dead sends no samples.
        """
        rtt = max(self.rtt_s or 0.0, waiting_s)
        queueing = max(self.queueing_delay_s, waiting_s - (self.rtt_min_s or 0.0))
        before, self._read = self._read, _rank(queueing / _RECOVERY_MARGIN, rtt / _RECOVERY_MARGIN)
        _keep_largest(self._worst_read, now, max(before, self._read), _RECOVERY_S)
        current = _CONDITIONS.index(self.condition)
        rank = max(_rank(queueing, rtt), min(current, int(self._worst_read[0][1])))
        self.condition = _CONDITIONS[rank]
        return self.condition


class PathRate:
    """What the path carries while it is busy, by when messages came; it may be idle most of the time.

    The messages of an ack had the path since the ack before, or since the last so many of them would have
    come on the empty path, whichever is later. So also a viewer that is sent little measures, within a third
    of a second of traffic, what the path carries and how long its queue is, before round trips tell.
    """

    def __init__(self) -> None:
        self._arrived_at = -math.inf
        self._empty: deque[tuple[float, float, int]] = deque()
        self._busy: deque[tuple[float, int, float]] = deque()
        self._alone: deque[tuple[float, float]] = deque()
        self._busy_bytes = 0
        self._busy_s = 0.0
        self._size_bytes = self._wire_bytes = 0.0

    @property
    def empty_rtt_s(self) -> float | None:
        """The smallest round trip of the last minute of samples, with the time that its bytes took."""
        return self._empty[0][1] if self._empty else None

    def on_ack(self, sent: Sequence[tuple[float, int]], arrived_at: float, now: float) -> None:
        """Take in an ack of messages, oldest first: when sent, and bytes. The last came at `arrived_at`."""
        self._keep_empty(arrived_at - sent[-1][0], sent[-1][1] + _HEADER_BYTES, now)
        _, base_s, base_bytes = self._empty[0]
        size = wire = passed = 0
        took_s, fastest = 1.0, 0.0
        for sent_at, size_bytes in reversed(sent):
            size += size_bytes
            wire += size_bytes + _HEADER_BYTES
            alone_since = sent_at + base_s
            since_s = max(arrived_at - max(self._arrived_at, alone_since), _LEAST_BUSY_S)
            if wire > fastest * since_s:
                passed, took_s, fastest = wire, since_s, wire / since_s
            if alone_since >= self._arrived_at and wire - base_bytes > base_bytes / 3:
                rate = (wire - base_bytes) / max(arrived_at - alone_since, _LEAST_BUSY_S)
                _keep_largest(self._alone, now, rate, _RATE_SPAN_S)
        self._arrived_at = arrived_at
        self._size_bytes += (size - self._size_bytes) * _SHARE_WEIGHT
        self._wire_bytes += (wire - self._wire_bytes) * _SHARE_WEIGHT
        if took_s <= _OUTAGE_S:
            self._keep_busy(passed, took_s, now)

    def bytes_per_s(self, now: float) -> float:
        """What the busy path carried lately, without headers; infinite where nothing is known.

        On a path that is never seen empty for a small message it is too much while there is no queue: the
        smallest round trip then holds the time that the bytes of a whole frame take.
        """
        if not self._busy or now - self._busy[-1][0] > _BUSY_SPAN_S:
            return math.inf
        return max(self._busy_bytes / self._busy_s, _LEAST_RATE) * self._share

    def alone_bytes_per_s(self, now: float) -> float:
        """What the path carries at least, by messages that met no queue; 0 where nothing is known.

        By how much later they came than the message of the smallest round trip, and were larger by a third.
        """
        since = now - _RATE_SPAN_S
        return self._share * next((rate for at, rate in self._alone if at >= since), 0.0)

    def ahead_s(self, oldest_sent_at: float, size_bytes: int, now: float) -> float:
        """How much longer than on the empty path the last of so many bytes will take, if sent now.

        `oldest_sent_at` is when the first of them was sent.
        """
        rate = self.bytes_per_s(now)
        if rate == math.inf:
            return 0.0
        base_s = self._empty[0][1]
        begins_at = max(self._arrived_at, oldest_sent_at + base_s)
        return max(0.0, begins_at + size_bytes / rate - now - base_s)

    @property
    def _share(self) -> float:
        return self._size_bytes / self._wire_bytes if self._wire_bytes else 1.0

    def _keep_empty(self, rtt_s: float, wire_bytes: int, now: float) -> None:
        empty = self._empty
        while empty and empty[-1][1] >= rtt_s:
            empty.pop()
        empty.append((now, rtt_s, wire_bytes))
        while len(empty) > 1 and empty[0][0] < now - _EMPTY_SPAN_S:
            empty.popleft()

    def _keep_busy(self, wire_bytes: int, took_s: float, now: float) -> None:
        busy = self._busy
        busy.append((now, wire_bytes, took_s))
        self._busy_bytes += wire_bytes
        self._busy_s += took_s
        while len(busy) > 1 and (self._busy_s - busy[0][2] >= _BUSY_S or busy[0][0] < now - _BUSY_SPAN_S):
            _, passed, took = busy.popleft()
            self._busy_bytes -= passed
            self._busy_s -= took


class SlidingRate:
    """How much a second, over the last ten whole seconds and the current one, or since the first."""

    def __init__(self) -> None:
        self._began = math.inf
        self._buckets: deque[list[float]] = deque()

    def add(self, amount: float, now: float) -> None:
        """Count `amount` at `now`."""
        second = int(now)
        if self._buckets and self._buckets[-1][0] == second:
            self._buckets[-1][1] += amount
            return
        self._began = min(self._began, now)
        self._buckets.append([second, amount])
        self._forget(second)

    def per_second(self, now: float) -> float:
        """The mean; of less than a second, as if it had been one."""
        second = math.floor(now)
        self._forget(second)
        span_s = now - max(self._began, second - _RATE_MEAN_S)
        return sum(amount for _, amount in self._buckets) / max(1.0, span_s)

    def _forget(self, second: int) -> None:
        while self._buckets and self._buckets[0][0] < second - _RATE_MEAN_S:
            self._buckets.popleft()


def _keep_smallest(samples: deque[tuple[float, float]], now: float, value: float, span_s: float) -> None:
    """The first is the smallest of a sliding span: what exceeds a newer sample can never be it."""
    while samples and samples[-1][1] >= value:
        samples.pop()
    samples.append((now, value))
    _forget(samples, now - span_s)


def _keep_largest(samples: deque[tuple[float, float]], now: float, value: float, span_s: float) -> None:
    """The first is the largest of a sliding span."""
    while samples and samples[-1][1] <= value:
        samples.pop()
    samples.append((now, value))
    _forget(samples, now - span_s)


def _forget(samples: deque[tuple[float, float]], before: float) -> None:
    while len(samples) > 1 and samples[0][0] < before:
        samples.popleft()


def _rank(queueing_s: float, rtt_s: float) -> int:
    for rank, (max_queueing_s, max_rtt_s) in enumerate(_LIMITS_S):
        if queueing_s <= max_queueing_s and rtt_s <= max_rtt_s:
            return rank
    return len(_LIMITS_S)
