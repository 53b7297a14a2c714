"""Which rendition each stream of a viewer is sent as: down fast, up by trial, a base for all first."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate

from streaming.core.network import UNMEASURED_RATE
from streaming.core.renditions import LADDER, Quality, Rendition
from streaming.core.window import ACK_HOLD_S, SendWindow

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
_CARRIED = 0.95
"""The share of what the path carries to go on with after a step down, less what its queue takes:"""
_DRAIN_S = 4.0
"""so soon it is to be gone."""
_MAX_DRAINED_S = 1.5
_AMPLE = 0.75
"""The share of what the path carries that needs no trial: it varies by a fifth within seconds."""
_FITS = 1.08
"""How much more than a sample measured may be tried: with longer frames, headers take a smaller share."""
_UNANSWERED = 0.65
"""The share of the greatest delay that a sample may cause."""
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
    """The viewer watches other streams, focuses on another, one became suspect, or has another best."""
    STEADY = "steady"
    """Nothing speaks against it, and it is not yet time for more."""
    QUIET = "quiet"
    """No acks come: nothing is known, so nothing is changed."""
    TRIAL = "trial"
    """One step up, after a time without delay or loss."""
    KNOWN = "known"
    """Up to what the path was seen to carry."""
    SAMPLED = "sampled"
    """Back after one frame of the step above, to see first how long that took."""
    QUEUEING = "queueing"
    """Down: what is sent waits too long."""
    EXPIRY = "expiry"
    """Down: something was dropped or expired."""
    RATE = "rate"
    """Down: the path carries less than is needed."""
    OVERLOAD = "overload"
    """Down: the server itself has too much to do."""


@dataclass(frozen=True, slots=True)
class Want:
    """A stream that a viewer watches; `needs` are the bytes a second of each rendition of LADDER."""

    stream: str
    needs: tuple[float, ...]
    focused: bool = False
    best: Rendition = LADDER[0]
    """It is sent as nothing better, unless it is suspected."""
    suspected: bool = False
    """Of an arrhythmia: it is sent lossless whatever the network, and first of all in the shortest frames."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What one look at a viewer's outbox and window says."""

    queued_s: float
    """How long the oldest waveform has waited in the outbox."""
    queueing_s: float
    """How much longer round trips take now than on the empty path, or how late the next ack is already."""
    ahead_s: float
    """How much longer than on the empty path what is queued and in flight will take; 0 where unknown."""
    lost: int
    """Messages dropped or expired since the connection began."""
    quiet_s: float
    """For how long an ack might have come and has not."""
    rtt_s: float
    """The smallest round trip of a minute."""
    proven_rate: float
    """Bytes a second that got through; perhaps more would have."""
    path_rate: float
    """What the path carried lately while it was busy; infinite where unknown, too much without a queue."""
    alone_rate: float
    """The same by large messages that met no queue; 0 where unknown, rather too little."""
    saturated: bool
    """Whether the path was ever full, so that `proven_rate` is no mere lower bound."""

    @classmethod
    def of(cls, window: SendWindow, now: float, *, queued_s: float, queued_bytes: int, lost: int) -> Readings:
        """Read `window`; the rest is the outbox's."""
        network = window.network
        rate, base_s = network.delivery_rate or 0.0, window.path.empty_rtt_s or 0.0
        late_s = window.waits_s(now) - ACK_HOLD_S
        return cls(
            queued_s=queued_s,
            queueing_s=max(0.0, max(network.latest_rtt_s, late_s) - base_s) if network.rtt_s else 0.0,
            ahead_s=window.ahead_s(now, queued_bytes),
            lost=lost,
            quiet_s=window.quiet_s(now),
            rtt_s=base_s,
            proven_rate=rate,
            path_rate=window.path.bytes_per_s(now),
            alone_rate=window.path.alone_bytes_per_s(now),
            saturated=network.saturated,
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """What each stream is sent as, by its id, why, and the bytes a second that all are expected to take."""

    renditions: Mapping[str, Rendition]
    reason: Reason
    need: float


@dataclass(slots=True)
class _Sample:
    """One frame of the step above, where a second one would leave before the first is acked."""

    below: float
    above: float
    """Bytes a second of the step before, and of the step that is tried."""
    ends_at: float
    answers_from: float
    answered_at: float
    sent: bool = False
    alone_rate: float = 0.0
    """The most that acks said since it was sent."""


class Ladder:
    """Decides for one viewer, all of whose streams share what its network carries.

    What the streams may be sent as is a stair: at the bottom `vitals` for all, then `overview` for each,
    the focused one first; then the focused one to the top, then the others together, one rendition at a time.
    No step counts as less than the one before: of one lead, `display` may cost less than `overview`. Where
    the viewer stands is kept as bytes a second, so that it outlives a change of streams. A suspected stream
    is lossless on every step, and in the shortest frames before any other is more than numbers.

    Going up is by trial, one step after `TRIAL_AFTER_S`; one that fails doubles that time for its step, to
    `MAX_TRIAL_AFTER_S`, and one that held for `TRIAL_S` clears it. Where the ack of a frame comes later than
    the next frame leaves, a trial begins with one frame, and goes on unless that says that it does not fit.
    """

    def __init__(self) -> None:
        self._wants: tuple[Want, ...] | None = None
        self._stair: list[tuple[int, ...]] = [()]
        self._needs: list[float] = [0.0]
        self._allowed = FIRST_NEED
        self._step = 0
        self._frame_s = LADDER[0].frame_s
        self._renditions: Mapping[str, Rendition] = {}
        self._decision = Decision(self._renditions, Reason.STREAMS, 0.0)
        self._lost = 0
        self._quiet = False
        self._resumed = False
        self._calm_since = -math.inf
        self._peak_s = 0.0
        self._least_rate = math.inf
        self._drained_at = -math.inf
        self._settled_at = -math.inf
        self._raised_at = -math.inf
        self._waits_s: dict[float, float] = {}
        self._sample: _Sample | None = None
        self._most = _TOP
        self._news = Reason.STREAMS
        self._without: Ladder | None = None
        """While a stream is suspected: the same without the suspicion."""
        self._lifted: Mapping[str, Rendition] = {}

    def limit(self, best: Quality) -> None:
        """Send nothing as better than `best` from the next decision on, but streams that are suspected.

        What the path is known to carry is kept: a viewer is back there when the limit is lifted.
        """
        most = _TOP - _BEST_FIRST.index(best)
        if self._without is not None:
            self._without.limit(best)
        if most != self._most:
            self._news = Reason.OVERLOAD if most < self._most else Reason.KNOWN
            self._most, self._wants = most, None

    def decide(self, wants: Sequence[Want], readings: Readings, now: float) -> Decision:
        """Say what is to be sent from now on; call it every `CHOOSE_S`, and when `wants` change.

        What would be decided without any suspicion is followed beside it: trials fall at other times there,
        and no stream is sent as worse for being suspected.
        """
        if not any(want.suspected for want in wants):
            self._without = None
            return self._decide(wants, readings, now)
        if self._without is None:
            self._without = self._copy()
        plain = [replace(want, suspected=False) for want in wants]
        without = self._without.decide(plain, readings, now)
        return self._lift(wants, self._decide(wants, readings, now), without)

    def _copy(self) -> Ladder:
        other = copy(self)
        other._waits_s = dict(self._waits_s)
        other._sample = None if self._sample is None else replace(self._sample)
        return other

    def _lift(self, wants: Sequence[Want], decision: Decision, without: Decision) -> Decision:
        """Suspected streams are sent as the better of both."""
        renditions = dict(decision.renditions)
        for want in wants:
            both = renditions[want.stream], without.renditions[want.stream]
            if want.suspected:
                renditions[want.stream] = min(both, key=LADDER.index)
        if renditions == decision.renditions:
            return decision
        self._lifted = self._lifted if renditions == self._lifted else renditions
        need = sum(want.needs[LADDER.index(renditions[want.stream])] for want in wants)
        return Decision(self._lifted, decision.reason, need)

    def _decide(self, wants: Sequence[Want], readings: Readings, now: float) -> Decision:
        if (wanted := tuple(wants)) != self._wants:
            self._wants = wanted
            self._stair = list(_stair(wanted, self._most))
            self._needs = list(accumulate((_need(wanted, rungs) for rungs in self._stair), max))
            self._waits_s.clear()
            self._sample = None
            self._calm_since = self._drained_at = now
            self._lost = readings.lost
            self._go(self._allowed)
            reason, self._news = self._news, Reason.STREAMS
        else:
            reason = self._judge(readings, now)
        if reason is not self._decision.reason or self._renditions is not self._decision.renditions:
            self._decision = Decision(self._renditions, reason, self._needs[self._step])
        return self._decision

    def rests(self, wants: tuple[Want, ...], lost: int, now: float) -> bool:
        """Whether `decide` would change nothing, where nothing waits and acks are prompt, as mostly."""
        if (
            wants is not self._wants
            or self._without is not None
            or self._step < len(self._needs) - 1
            or lost != self._lost
            or self._quiet
            or self._resumed
            or self._sample is not None
            or self._waits_s
        ):
            return False
        self._drained_at = now
        return True

    def overlook(self, readings: Readings, now: float) -> None:
        """Judge nothing by what is seen now, nor by what is on its way: it was this process that was late."""
        if self._without is not None:
            self._without.overlook(readings, now)
        self._lost = readings.lost
        self._drained_at = now
        self._settle(readings, now)

    def _go(self, allowed: float) -> None:
        """To the highest step that needs at most `allowed`, or to the lowest."""
        self._allowed = allowed
        self._step = max(0, self._reach(allowed))
        renditions = [LADDER[_TOP - rung] for rung in self._stair[self._step]]
        self._frame_s = max((rendition.frame_s for rendition in renditions), default=LADDER[0].frame_s)
        streams = (want.stream for want in self._wants or ())
        self._renditions = dict(zip(streams, renditions, strict=True))

    def _judge(self, seen: Readings, now: float) -> Reason:
        lost, self._lost = seen.lost > self._lost, seen.lost
        if seen.quiet_s > max(_QUIET_S, _QUIET_ROUND_TRIPS * seen.rtt_s):
            self._quiet = True
            return Reason.QUIET
        if self._quiet:  # What waited meanwhile says nothing about the path as it is now.
            self._quiet, self._resumed = False, True
            self._settle(seen, now)
        if self._waits_s and self._sample is None and now - self._raised_at >= TRIAL_S:
            need = self._needs[self._step]
            self._waits_s = {failed: wait_s for failed, wait_s in self._waits_s.items() if failed > need}
        limit_s = min(_MAX_DELAY_S, _LEAST_MAX_DELAY_S + self._frame_s)
        waited_s = seen.queued_s + seen.queueing_s
        delay_s = max(waited_s, seen.ahead_s if waited_s > _SEEN * limit_s else 0.0)
        if (reason := self._reason_to_fall(seen, now, lost, limit_s, waited_s, delay_s)) is not None:
            return self._fall(reason, seen, now)
        if self._sample is not None:
            return self._await(self._sample, seen, now)
        if lost or delay_s > _CALM * limit_s:
            self._begin_calm(now)
            return Reason.STEADY
        if now >= self._settled_at:  # Before, it is the frames of the step above that were late.
            self._peak_s = max(self._peak_s, seen.queueing_s)
            self._least_rate = min(self._least_rate, seen.path_rate, seen.alone_rate)
        return self._rise(seen, now)

    def _reason_to_fall(
        self, seen: Readings, now: float, lost: bool, limit_s: float, waited_s: float, delay_s: float
    ) -> Reason | None:
        if self._sample is not None and self._sample.sent:
            limit_s *= _UNANSWERED
        if self._resumed:  # What is ahead is reckoned by what came since.
            self._resumed = now < self._settled_at
            if seen.ahead_s > limit_s:
                return Reason.QUEUEING
        if now < self._settled_at:
            return None
        if waited_s < _STANDING_DELAY_S:
            self._drained_at = now
        if lost:
            return Reason.EXPIRY
        if delay_s > limit_s or now - max(self._drained_at, self._settled_at) > _STANDING_S:
            return Reason.QUEUEING
        if seen.path_rate < _FAR_BELOW * self._needs[self._step] and delay_s > limit_s / 2:
            return Reason.RATE
        return None

    def _begin_calm(self, now: float) -> None:
        self._calm_since, self._peak_s, self._least_rate = now, 0.0, math.inf

    def _settle(self, seen: Readings, now: float) -> None:
        self._begin_calm(now)
        self._settled_at = now + _SETTLE_S + _SETTLE_ROUND_TRIPS * seen.rtt_s

    def _fall(self, reason: Reason, seen: Readings, now: float) -> Reason:
        """One step down at least, and to what the path carries while its queue drains."""
        self._resumed = False
        self._settle(seen, now)
        if self._sample is not None:
            self._fail(self._sample.above)
            self._sample = None
        elif now - self._raised_at < TRIAL_S:
            self._raised_at = -math.inf
            self._fail(self._needs[self._step])
            self._settled_at += _SETTLE_AFTER_TRIAL_S
        if self._step > 0:
            below = max(0, bisect_left(self._needs, self._needs[self._step]) - 1)
            share = _CARRIED - min(seen.ahead_s, _MAX_DRAINED_S) / _DRAIN_S
            self._go(min(self._needs[below], share * seen.path_rate))
        return reason

    def _fail(self, need: float) -> None:
        self._waits_s[need] = min(2 * self._waits_s.get(need, TRIAL_AFTER_S), MAX_TRIAL_AFTER_S)

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
        if (known := self._reach(self._known_rate(seen))) >= target:
            target, wait_s, reason = known, KNOWN_AFTER_S, Reason.KNOWN
        if now - self._calm_since < wait_s:
            return Reason.STEADY
        below, peak_s = self._needs[step], self._peak_s
        self._begin_calm(now)
        self._go(self._needs[target])
        answer_s = seen.rtt_s + peak_s
        alone = len(self._stair[step]) == 1
        if alone and reason is Reason.TRIAL and need > _STEP * below and answer_s >= self._frame_s:
            ends_at = now + self._frame_s
            answered_at = ends_at + self._frame_s + seen.rtt_s + _MAX_DELAY_S
            self._sample = _Sample(below, need, ends_at, ends_at + seen.rtt_s, answered_at)
        else:
            self._raised_at = now
        return reason

    def _await(self, sample: _Sample, seen: Readings, now: float) -> Reason:
        """Go back after one frame, and up again unless its ack says that so many would not fit."""
        if not sample.sent:
            if now < sample.ends_at:
                return Reason.STEADY
            sample.sent = True
            self._go(sample.below)
            return Reason.SAMPLED
        if now > sample.answers_from:
            sample.alone_rate = max(sample.alone_rate, seen.alone_rate)
        if now < sample.answered_at:
            return Reason.STEADY
        self._sample = None
        self._begin_calm(now)
        if 0 < _FITS * sample.alone_rate < sample.above:
            self._fail(sample.above)
            return Reason.STEADY
        self._go(sample.above)
        self._raised_at = now
        return Reason.KNOWN

    def _known_rate(self, seen: Readings) -> float:
        """What needs no trial. Of one stream's frames, all of one size, only what got through is sure."""
        # Acks that come together make 2 kB/s look like 8: no more than the busy path carried.
        known = min(_USED_RATE * seen.proven_rate, seen.path_rate)
        if len(self._stair[0]) > 1 and self._least_rate < math.inf:
            known = max(known, _AMPLE * self._least_rate)
        return known

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


def _stair(wants: Sequence[Want], most: int) -> Iterator[tuple[int, ...]]:
    """Rungs of each stream (0 is the lowest of LADDER), from the least step to the greatest, `most`."""
    rungs = [_SUSPECTED_RUNG if want.suspected else 0 for want in wants]
    most_of = [_TOP if want.suspected else min(most, _TOP - LADDER.index(want.best)) for want in wants]
    yield tuple(rungs)
    order = sorted(range(len(wants)), key=lambda place: not wants[place].focused)
    better = range(_BASE_RUNG + 1, _TOP + 1)
    turns = [(rung, place) for rung in better for place in order if wants[place].suspected]
    turns += [(rung, place) for rung in range(1, _BASE_RUNG + 1) for place in order]
    turns += [(rung, place) for place in order if wants[place].focused for rung in better]
    turns += [(rung, place) for rung in better for place in order]
    for rung, place in turns:
        if rungs[place] < rung <= most_of[place]:
            rungs[place] = rung
            yield tuple(rungs)


def _need(wants: Sequence[Want], rungs: Sequence[int]) -> float:
    return sum(want.needs[_TOP - rung] for want, rung in zip(wants, rungs, strict=True))
