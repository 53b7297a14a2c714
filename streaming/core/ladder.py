"""Which rendition each stream of a viewer is sent as: down fast, up by trial, a base for all first."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from streaming.core.network import UNMEASURED_RATE
from streaming.core.renditions import LADDER, Quality, Rendition
from streaming.core.window import SendWindow

CHOOSE_S = 0.25
"""How often to decide: what is late by 1 s is stale."""
FIRST_NEED = UNMEASURED_RATE / 2
"""Bytes a second to begin with, when nothing is known of the path: seven patients' worth of lossless."""
TRIAL_AFTER_S = 2.0
"""So long without delay or loss, then one step up."""
MAX_TRIAL_AFTER_S = 60.0
KNOWN_AFTER_S = 1.0
"""The same where the path has carried as much before: there is nothing to try."""
TRIAL_S = 30.0
"""A step that is taken back within this time has failed: an excess of 3 % takes 25 s to queue 0.8 s."""

_MAX_DELAY_S = 0.8
"""What waits as long will soon be stale."""
_LEAST_MAX_DELAY_S = 0.6
_CALM = 0.4
"""Delays up to this share of their limit are no reason against a trial."""
_SEEN = 0.45
"""What is ahead counts only where this share of the limit is seen too: the rate may be an old one."""
_FAR_BELOW = 0.8
_STANDING_DELAY_S = 0.35
_STANDING_S = 8.0
"""A queue that was never shorter for as long is fed as it drains; it would soon be taken for the path."""
_SETTLE_S = 1.0
_SETTLE_ROUND_TRIPS = 2.0
"""After a step down, the old frames have to leave, and the acks of the new ones to come."""
_SETTLE_AFTER_TRIAL_S = 1.0
"""More of that after a failed trial: what is returned to was carried, if with little to spare."""
_USED_RATE = 0.9
"""The share of a measured rate to count on."""
_HOPELESS = 1.1
"""More than this of the measured rate is hardly worth a trial while acks are late by a share of the frame:"""
_LATE = 0.25
_STEP = 1.25
"""A step may lift several streams, if all need at most this much more together."""
_QUIET_S = 1.0
_QUIET_ROUND_TRIPS = 2.0

_BEST_FIRST = tuple(rendition.quality for rendition in LADDER)
_TOP = len(LADDER) - 1
_BASE_RUNG = _TOP - _BEST_FIRST.index(Quality.OVERVIEW)
_SUSPECTED_RUNG = _TOP - _BEST_FIRST.index(Quality.DIAGNOSTIC) + 1


class Reason(StrEnum):
    """Why a decision is what it is."""

    STREAMS = "streams"
    """The viewer watches other streams, focuses on another, or one became suspect."""
    STEADY = "steady"
    """Nothing speaks against it, and it is not yet time for more."""
    QUIET = "quiet"
    """No acks come: nothing is known, so nothing is changed."""
    TRIAL = "trial"
    """One step up, after a time without delay or loss."""
    KNOWN = "known"
    """Up to what the path was seen to carry."""
    QUEUEING = "queueing"
    """Down: what is sent waits too long."""
    EXPIRY = "expiry"
    """Down: something was dropped or expired."""
    RATE = "rate"
    """Down: the path carries less than is needed."""


@dataclass(frozen=True, slots=True)
class Want:
    """A stream that a viewer watches; `needs` are the bytes a second of each rendition of LADDER."""

    stream: str
    needs: tuple[float, ...]
    focused: bool = False
    suspected: bool = False
    """Of an arrhythmia: it is sent lossless whatever the network."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What one look at a viewer's outbox and window says."""

    queued_s: float
    """How long the oldest waveform has waited in the outbox."""
    queueing_s: float
    """How much longer round trips take now than on the empty path, or how late the next ack is already."""
    ahead_s: float
    """How long what is queued and in flight will take, by the measured rate; 0 before one is measured."""
    lost: int
    """Messages dropped or expired since the connection began."""
    quiet_s: float
    """For how long an ack might have come and has not."""
    rtt_s: float
    proven_rate: float
    """Bytes a second that got through; perhaps more would have."""
    limit_rate: float | None
    """What the path carried at most while it was full, in the last seconds."""
    saturated: bool
    """Whether the path was ever full, so that `proven_rate` is no mere lower bound."""

    @classmethod
    def of(cls, window: SendWindow, now: float, *, queued_s: float, queued_bytes: int, lost: int) -> Readings:
        """Read `window`; the rest is the outbox's."""
        network = window.network
        rate, base_s = network.delivery_rate or 0.0, network.rtt_base_s or 0.0
        late_s = window.oldest_age(now) - _MAX_HELD_S
        ahead_bytes = queued_bytes + window.in_flight_bytes
        return cls(
            queued_s=queued_s,
            queueing_s=max(0.0, max(network.latest_rtt_s, late_s) - base_s) if network.rtt_s else 0.0,
            ahead_s=max(0.0, ahead_bytes / rate - base_s) if network.saturated else 0.0,
            lost=lost,
            quiet_s=window.quiet_s(now),
            rtt_s=network.rtt_s or 0.0,
            proven_rate=rate,
            limit_rate=network.limit_rate(now),
            saturated=network.saturated,
        )


_MAX_HELD_S = 0.1
"""A client may hold an ack so long (`welcome.ack`)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What each stream is sent as, by its id, why, and the bytes a second that all are expected to take."""

    renditions: Mapping[str, Rendition]
    reason: Reason
    need: float


class Ladder:
    """Decides for one viewer, all of whose streams share what its network carries.

    What the streams may be sent as is a stair: at the bottom `vitals` for all, then `overview` for each,
    the focused one first; then the focused one to the top, then the others together, one rendition at a time.
    No step counts as less than the one before: of one lead, `display` may cost less than `overview`. Where
    the viewer stands is kept as bytes a second, so that it outlives a change of streams. A suspected stream
    begins at lossless, at the expense of the others.

    Going up is by trial, one step after `TRIAL_AFTER_S`; one that fails doubles that time for its step, to
    `MAX_TRIAL_AFTER_S`, and one that held for `TRIAL_S` clears it.
    """

    def __init__(self) -> None:
        self._wants: tuple[Want, ...] | None = None
        self._stair: list[tuple[int, ...]] = [()]
        self._needs: list[float] = [0.0]
        self._allowed = FIRST_NEED
        self._lost = 0
        self._quiet = False
        self._calm_since = -math.inf
        self._peak_s = 0.0
        self._drained_at = -math.inf
        self._settled_at = -math.inf
        self._raised_at = -math.inf
        self._waits_s: dict[float, float] = {}

    def decide(self, wants: Sequence[Want], readings: Readings, now: float) -> Decision:
        """Say what is to be sent from now on; call it every `CHOOSE_S`, and when `wants` change."""
        if (wanted := tuple(wants)) != self._wants:
            self._wants = wanted
            self._stair = list(_stair(wanted))
            self._needs = list(accumulate((_need(wanted, rungs) for rungs in self._stair), max))
            self._waits_s.clear()
            self._calm_since = self._drained_at = now
            self._lost = readings.lost
            reason = Reason.STREAMS
        else:
            reason = self._judge(readings, now)
        step = self._step
        renditions = {
            want.stream: LADDER[_TOP - rung] for want, rung in zip(wanted, self._stair[step], strict=True)
        }
        return Decision(renditions, reason, self._needs[step])

    @property
    def _step(self) -> int:
        return max(0, bisect_right(self._needs, self._allowed) - 1)

    @property
    def _frame_s(self) -> float:
        """The longest frame that is sent now."""
        return max(
            (LADDER[_TOP - rung].frame_s for rung in self._stair[self._step]), default=LADDER[0].frame_s
        )

    def _judge(self, seen: Readings, now: float) -> Reason:
        lost, self._lost = seen.lost > self._lost, seen.lost
        if seen.quiet_s > max(_QUIET_S, _QUIET_ROUND_TRIPS * seen.rtt_s):
            self._quiet = True
            return Reason.QUIET
        if self._quiet:  # What waited meanwhile says nothing about the path as it is now.
            self._quiet = False
            self._settle(seen, now)
        if now - self._raised_at >= TRIAL_S:
            need = self._needs[self._step]
            self._waits_s = {failed: wait_s for failed, wait_s in self._waits_s.items() if failed > need}
        limit_s = min(_MAX_DELAY_S, _LEAST_MAX_DELAY_S + self._frame_s)
        waited_s = seen.queued_s + seen.queueing_s
        delay_s = max(waited_s, seen.ahead_s if waited_s > _SEEN * limit_s else 0.0)
        if now >= self._settled_at:
            if waited_s < _STANDING_DELAY_S:
                self._drained_at = now
            if lost:
                return self._fall(Reason.EXPIRY, seen, now)
            if delay_s > limit_s or now - max(self._drained_at, self._settled_at) > _STANDING_S:
                return self._fall(Reason.QUEUEING, seen, now)
            if (seen.limit_rate or math.inf) < _FAR_BELOW * self._needs[self._step] and delay_s > limit_s / 2:
                return self._fall(Reason.RATE, seen, now)
        if lost or delay_s > _CALM * limit_s:
            self._calm_since, self._peak_s = now, 0.0
            return Reason.STEADY
        if now >= self._settled_at:  # Before, it is the frames of the step above that were late.
            self._peak_s = max(self._peak_s, seen.queueing_s)
        return self._rise(seen, now)

    def _settle(self, seen: Readings, now: float) -> None:
        self._calm_since, self._peak_s = now, 0.0
        self._settled_at = now + _SETTLE_S + _SETTLE_ROUND_TRIPS * seen.rtt_s

    def _fall(self, reason: Reason, seen: Readings, now: float) -> Reason:
        """One step down at least, and to what the path carried when it was full."""
        self._settle(seen, now)
        step = self._step
        rate = seen.limit_rate
        if now - self._raised_at < TRIAL_S:
            need, self._raised_at = self._needs[step], -math.inf
            self._waits_s[need] = min(2 * self._waits_s.get(need, TRIAL_AFTER_S), MAX_TRIAL_AFTER_S)
            self._settled_at += _SETTLE_AFTER_TRIAL_S
            if rate is None and seen.saturated:
                rate = seen.proven_rate
        if step > 0:
            below = max(0, bisect_left(self._needs, self._needs[step]) - 1)
            self._allowed = min(self._needs[below], _USED_RATE * (rate or math.inf))
        return reason

    def _rise(self, seen: Readings, now: float) -> Reason:
        step = self._step
        if step == len(self._needs) - 1:
            return Reason.STEADY
        several = self._reach(_STEP * self._needs[step])
        target, reason = max(step + 1, min(step + len(self._stair[step]), several)), Reason.TRIAL
        need = self._needs[target]
        wait_s = max(
            (wait_s for failed, wait_s in self._waits_s.items() if failed <= need), default=TRIAL_AFTER_S
        )
        if self._hopeless(need, seen):
            wait_s = MAX_TRIAL_AFTER_S
        if (known := self._reach(_USED_RATE * seen.proven_rate)) >= target:
            target, wait_s, reason = known, KNOWN_AFTER_S, Reason.KNOWN
        if now - self._calm_since < wait_s:
            return Reason.STEADY
        self._allowed = self._needs[target]
        self._raised_at = self._calm_since = now
        self._peak_s = 0.0
        return reason

    def _reach(self, rate: float) -> int:
        """The highest step that needs at most `rate`; -1 if there is none."""
        return bisect_right(self._needs, rate) - 1

    def _hopeless(self, need: float, seen: Readings) -> bool:
        """Whether the path has so little to spare that a trial would fail.

        The link is busy for that share of the time by which the ack of a frame is late, of its duration.
        """
        busy = self._peak_s / self._frame_s
        if seen.saturated and need > _HOPELESS * seen.proven_rate and busy > _LATE:
            return True
        return busy * need > self._needs[self._step]


def _stair(wants: Sequence[Want]) -> Iterator[tuple[int, ...]]:
    """Rungs of each stream (0 is the lowest of LADDER), from the least step to the greatest."""
    rungs = [_SUSPECTED_RUNG if want.suspected else 0 for want in wants]
    yield tuple(rungs)
    order = sorted(range(len(wants)), key=lambda place: not wants[place].focused)
    turns = [(rung, place) for rung in range(1, _BASE_RUNG + 1) for place in order]
    better = range(_BASE_RUNG + 1, _TOP + 1)
    turns += [(rung, place) for place in order if wants[place].focused for rung in better]
    turns += [(rung, place) for rung in better for place in order]
    for rung, place in turns:
        if rungs[place] < rung:
            rungs[place] = rung
            yield tuple(rungs)


def _need(wants: Sequence[Want], rungs: Sequence[int]) -> float:
    return sum(want.needs[_TOP - rung] for want, rung in zip(wants, rungs, strict=True))
