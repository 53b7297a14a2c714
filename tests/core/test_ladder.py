"""Which rendition each stream of a viewer is sent as."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.ladder import (
    CHOOSE_S,
    KNOWN_AFTER_S,
    MAX_TRIAL_AFTER_S,
    TRIAL_AFTER_S,
    TRIAL_S,
    Decision,
    Ladder,
    Readings,
    Reason,
    Want,
)
from streaming.core.renditions import LADDER, Quality, bytes_per_s
from streaming.core.window import SendWindow

NEEDS = tuple(bytes_per_s(rendition, leads=12, rate_hz=500) for rendition in LADDER)
CALM = Readings(
    queued_s=0.0,
    queueing_s=0.0,
    ahead_s=0.0,
    lost=0,
    quiet_s=0.0,
    rtt_s=0.1,
    proven_rate=0.0,
    path_rate=math.inf,
    alone_rate=0.0,
    saturated=False,
)
LATE = replace(CALM, queued_s=0.9)
OVERVIEW = next(place for place, rendition in enumerate(LADDER) if rendition.quality is Quality.OVERVIEW)
VITALS = len(LADDER) - 1


@dataclass
class Viewer:
    """A ladder, its streams, and a time that goes on."""

    wants: tuple[Want, ...] = (Want("a", NEEDS),)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.ladder = Ladder()
        self.decision = self.ladder.decide(self.wants, CALM, self.now)

    def see(self, readings: Readings = CALM) -> Reason:
        """One decision, a quarter of a second later."""
        self.now += CHOOSE_S
        self.decision = self.ladder.decide(self.wants, readings, self.now)
        return self.decision.reason

    def pass_by(self, seconds: float, readings: Readings = CALM) -> list[Reason]:
        """All reasons of that time but the steady ones."""
        seen = [self.see(readings) for _ in range(round(seconds / CHOOSE_S))]
        return [reason for reason in seen if reason is not Reason.STEADY]

    def places(self) -> list[int]:
        """Of each stream, its place in LADDER; 0 is best."""
        return [LADDER.index(self.decision.renditions[want.stream]) for want in self.wants]

    def fall_to(self, place: int) -> None:
        """Down to that place by a measured rate, and long enough ago for any trial to be over."""
        self.pass_by(TRIAL_S)
        self.see(replace(LATE, path_rate=NEEDS[place] / 0.95 + 1))
        assert self.places() == [place]


class TestFirst:
    def test_one_patient_begins_at_the_top(self) -> None:
        assert Viewer().places() == [0]
        assert Viewer().decision.reason is Reason.STREAMS

    def test_a_hospital_begins_with_what_an_unknown_path_is_given_credit_for(self) -> None:
        viewer = Viewer(tuple(Want(f"bed-{number}", NEEDS) for number in range(64)))
        assert set(viewer.places()) <= {OVERVIEW, OVERVIEW - 1}
        assert viewer.decision.need <= 20 * 1024

    def test_no_streams_need_nothing(self) -> None:
        viewer = Viewer(())
        viewer.see(LATE)
        assert viewer.decision.renditions == {}
        assert viewer.decision.need == 0


def test_what_was_lost_while_the_process_itself_was_late_is_nobodys_network() -> None:
    viewer = Viewer()
    viewer.pass_by(TRIAL_S)
    viewer.ladder.overlook(replace(LATE, lost=5), viewer.now)
    viewer.see(replace(CALM, lost=5))
    assert viewer.places() == [0]
    viewer.pass_by(TRIAL_S, replace(CALM, lost=5))
    assert viewer.see(replace(CALM, lost=6)) is Reason.EXPIRY


class TestDown:
    @pytest.mark.parametrize(
        ("readings", "reason"),
        [
            (replace(CALM, queued_s=0.9), Reason.QUEUEING),
            (replace(CALM, queueing_s=0.9), Reason.QUEUEING),
            (replace(CALM, queueing_s=0.4, ahead_s=0.9), Reason.QUEUEING),
            (replace(CALM, lost=1), Reason.EXPIRY),
            (replace(CALM, queued_s=0.5, path_rate=0.75 * NEEDS[0]), Reason.RATE),
        ],
    )
    def test_at_once(self, readings: Readings, reason: Reason) -> None:
        viewer = Viewer()
        viewer.pass_by(TRIAL_S)
        assert viewer.see(readings) is reason
        assert viewer.places() != [0]

    def test_one_step_when_nothing_is_measured(self) -> None:
        viewer = Viewer()
        viewer.see(LATE)
        assert viewer.places() == [1]

    def test_to_what_the_full_path_carried(self) -> None:
        viewer = Viewer()
        viewer.see(replace(LATE, path_rate=NEEDS[4] / 0.95))
        assert viewer.places() == [4]

    def test_a_measured_rate_is_no_reason_by_itself(self) -> None:
        viewer = Viewer()
        assert viewer.pass_by(10, replace(CALM, path_rate=100.0)) == []

    def test_what_is_ahead_is_no_reason_by_itself(self) -> None:
        viewer = Viewer()
        assert viewer.pass_by(10, replace(CALM, ahead_s=3.0)) == []

    def test_lower_the_longer_the_queue(self) -> None:
        places = []
        for ahead_s in (0.0, 0.9):
            viewer = Viewer()
            viewer.see(replace(LATE, path_rate=1.1 * NEEDS[3], ahead_s=ahead_s))
            places += viewer.places()
        assert places == [3, 4]

    def test_at_once_where_an_outage_left_more_than_the_path_takes_in_time(self) -> None:
        viewer = Viewer()
        viewer.pass_by(2, replace(CALM, quiet_s=1.5))
        assert viewer.see(replace(LATE, ahead_s=0.5)) is Reason.STEADY
        assert viewer.see(replace(LATE, ahead_s=1.5)) is Reason.QUEUEING

    def test_gives_the_old_frames_time_to_leave(self) -> None:
        viewer = Viewer()
        viewer.see(LATE)
        assert viewer.pass_by(1.0, LATE) == []
        assert viewer.pass_by(0.5, LATE) == [Reason.QUEUEING]

    @given(st.tuples(*[st.floats(1, 1000)] * len(LADDER)), st.floats(1, 1000))
    def test_never_to_more_than_was_measured_whatever_each_needs(
        self, needs: tuple[float, ...], rate: float
    ) -> None:
        viewer = Viewer((Want("a", needs),))
        viewer.see(replace(LATE, path_rate=rate / 0.95))
        place = viewer.places()[0]
        assert place == VITALS or needs[place] <= rate * 1.0001

    @given(st.tuples(*[st.floats(1, 1000)] * len(LADDER)))
    def test_goes_on_to_the_least_and_back_whatever_each_needs(self, needs: tuple[float, ...]) -> None:
        viewer = Viewer((Want("a", needs),))
        viewer.pass_by(20, LATE)
        assert viewer.decision.need <= needs[VITALS]
        viewer.pass_by(60)
        assert viewer.places() == [0]

    def test_has_an_end(self) -> None:
        viewer = Viewer()
        viewer.pass_by(60, LATE)
        assert viewer.places() == [VITALS]
        assert viewer.see(LATE) in {Reason.QUEUEING, Reason.STEADY}

    def test_a_queue_that_never_drains_is_too_much_even_if_it_is_short(self) -> None:
        viewer = Viewer()
        viewer.pass_by(TRIAL_S)
        standing = replace(CALM, queueing_s=0.45)
        assert viewer.pass_by(8.0, standing) == []
        assert viewer.pass_by(0.5, standing) == [Reason.QUEUEING]

    def test_a_queue_that_drains_now_and_then_is_none(self) -> None:
        viewer = Viewer()
        for _ in range(10):
            assert viewer.pass_by(3.0, replace(CALM, queueing_s=0.45)) == []
            assert viewer.pass_by(0.25) == []

    def test_holds_while_nothing_is_heard(self) -> None:
        viewer = Viewer()
        viewer.pass_by(TRIAL_S)
        silent = replace(LATE, quiet_s=1.5, lost=40)
        assert set(viewer.pass_by(8, silent)) == {Reason.QUIET}
        assert viewer.pass_by(1.0, replace(LATE, lost=40)) == []
        assert viewer.places() == [0]
        assert viewer.pass_by(5, replace(CALM, lost=40)) == []

    def test_quiet_is_longer_on_a_longer_path(self) -> None:
        viewer = Viewer()
        assert viewer.see(replace(CALM, quiet_s=1.1, rtt_s=0.6)) is Reason.STEADY
        assert viewer.see(replace(CALM, quiet_s=1.3, rtt_s=0.6)) is Reason.QUIET


class TestUp:
    def test_one_step_after_two_seconds_without_delay(self) -> None:
        viewer = Viewer()
        viewer.fall_to(3)
        assert viewer.pass_by(TRIAL_AFTER_S - CHOOSE_S) == []
        assert viewer.see() is Reason.TRIAL
        assert viewer.places() == [2]

    def test_not_while_something_is_late(self) -> None:
        viewer = Viewer()
        viewer.fall_to(3)
        for _ in range(10):
            assert viewer.pass_by(1.5) == []
            assert viewer.see(replace(CALM, queued_s=0.34)) is Reason.STEADY

    def test_at_once_to_what_the_path_has_carried(self) -> None:
        viewer = Viewer()
        viewer.fall_to(3)
        reasons = viewer.pass_by(KNOWN_AFTER_S, replace(CALM, proven_rate=2 * NEEDS[0]))
        assert reasons == [Reason.KNOWN]
        assert viewer.places() == [0]

    def test_of_acks_that_come_together_only_what_the_busy_path_carried(self) -> None:
        viewer = Viewer()
        viewer.fall_to(3)
        together = replace(CALM, proven_rate=2 * NEEDS[0], path_rate=NEEDS[2] + 1)
        assert viewer.pass_by(KNOWN_AFTER_S, together) == [Reason.KNOWN]
        assert viewer.places() == [2]

    def test_nothing_is_above_the_top(self) -> None:
        viewer = Viewer()
        assert viewer.pass_by(100) == []

    def fail(self, viewer: Viewer) -> float:
        """Seconds until a trial, which then fails."""
        began = viewer.now
        while viewer.see() is not Reason.TRIAL:
            assert viewer.now < began + 100
        waited_s = viewer.now - began
        viewer.pass_by(1.0)
        assert viewer.see(LATE) is Reason.QUEUEING
        return waited_s

    def test_a_failed_trial_doubles_the_wait_to_a_minute(self) -> None:
        viewer = Viewer()
        viewer.fall_to(3)
        assert [round(self.fail(viewer)) for _ in range(7)] == [2, 4, 8, 16, 32, 60, 60]
        assert viewer.places() == [3]

    def test_a_trial_that_holds_clears_the_wait(self) -> None:
        viewer = Viewer()
        viewer.fall_to(3)
        for _ in range(3):
            self.fail(viewer)
        viewer.pass_by(16 + 2 * TRIAL_S)
        assert viewer.places() == [0]
        viewer.fall_to(3)
        assert self.fail(viewer) == pytest.approx(TRIAL_AFTER_S, abs=0.3)

    def test_a_step_that_failed_holds_back_none_below_it(self) -> None:
        viewer = Viewer()
        viewer.fall_to(3)
        for _ in range(4):
            self.fail(viewer)
        viewer.see(replace(LATE, path_rate=NEEDS[5] + 100))
        viewer.pass_by(2.0, LATE)
        below = viewer.places()[0]
        assert below > 3
        assert viewer.pass_by(TRIAL_AFTER_S + 0.5) == [Reason.TRIAL]
        assert viewer.places()[0] == below - 1

    def test_a_failed_trial_ends_at_what_was_measured(self) -> None:
        viewer = Viewer()
        viewer.fall_to(4)
        viewer.pass_by(2 * TRIAL_AFTER_S)
        assert viewer.places() == [2]
        viewer.see(replace(LATE, path_rate=1.15 * NEEDS[4]))
        assert viewer.places() == [4]

    def sample(self, alone_rate: float) -> Viewer:
        """A viewer whose trial above diagnostic was one frame, on a path with a long round trip."""
        viewer = Viewer()
        viewer.fall_to(3)
        far = replace(CALM, rtt_s=0.6)
        assert viewer.pass_by(TRIAL_AFTER_S, far) == [Reason.TRIAL]
        assert viewer.places() == [2]
        assert viewer.pass_by(LADDER[2].frame_s, far) == [Reason.SAMPLED]
        assert viewer.places() == [3]
        self.reasons = viewer.pass_by(2.0, replace(far, alone_rate=alone_rate))
        return viewer

    def test_goes_on_where_one_frame_fitted(self) -> None:
        assert self.sample(NEEDS[2]).places() == [2]
        assert self.reasons == [Reason.KNOWN]

    def test_goes_on_where_one_frame_says_nothing(self) -> None:
        assert self.sample(0.0).places() == [2]

    def test_waits_twice_as_long_where_one_frame_did_not_fit(self) -> None:
        viewer = self.sample(0.9 * NEEDS[2])
        assert viewer.places() == [3]
        assert self.reasons == []
        far = replace(CALM, rtt_s=0.6)
        assert viewer.pass_by(2 * TRIAL_AFTER_S - CHOOSE_S, far) == []
        assert viewer.see(far) is Reason.TRIAL

    def sampled(self) -> tuple[Viewer, Readings]:
        """A viewer that is back at diagnostic, and what it sees while the frame above is not acked."""
        viewer, far = Viewer(), replace(CALM, rtt_s=0.6)
        viewer.fall_to(3)
        assert viewer.pass_by(TRIAL_AFTER_S + LADDER[2].frame_s, far) == [Reason.TRIAL, Reason.SAMPLED]
        return viewer, far

    def test_what_was_measured_before_the_frame_was_acked_does_not_count(self) -> None:
        viewer, far = self.sampled()
        assert viewer.pass_by(0.5, replace(far, alone_rate=9 * NEEDS[0])) == []
        assert viewer.pass_by(1.5, replace(far, alone_rate=0.5 * NEEDS[2])) == []
        assert viewer.places() == [3]

    def test_one_frame_may_delay_less_than_a_step(self) -> None:
        viewer, far = self.sampled()
        assert viewer.see(replace(far, queueing_s=0.5)) is Reason.STEADY
        assert viewer.see(replace(far, queueing_s=0.55)) is Reason.QUEUEING
        assert viewer.places() == [4]

    def test_a_frame_that_delayed_too_much_has_failed(self) -> None:
        viewer, far = self.sampled()
        viewer.see(replace(far, queueing_s=0.55))
        carried = replace(far, proven_rate=NEEDS[3] / 0.9 + 1)
        assert viewer.pass_by(KNOWN_AFTER_S + 2 * TRIAL_AFTER_S - CHOOSE_S, carried) == [Reason.KNOWN]
        assert viewer.see(carried) is Reason.TRIAL

    def test_of_several_streams_what_the_path_carries_needs_no_trial(self) -> None:
        viewer = at_rate(ward(2), 2 * NEEDS[OVERVIEW] + 10)
        viewer.pass_by(1.5, LATE)
        ample = replace(CALM, path_rate=9 * NEEDS[0], alone_rate=3 * NEEDS[0])
        assert viewer.pass_by(KNOWN_AFTER_S + 0.5, ample) == [Reason.KNOWN]
        assert viewer.places() == [0, 0]

    @pytest.mark.parametrize(
        ("place", "busy"),
        [
            (
                OVERVIEW,
                replace(CALM, queueing_s=0.25),
            ),  # busy for a quarter, and the next needs five times as much
            (4, replace(CALM, queueing_s=0.15, saturated=True, proven_rate=0.9 * NEEDS[3])),
        ],
    )
    def test_a_path_with_nothing_to_spare_is_tried_once_a_minute(self, place: int, busy: Readings) -> None:
        viewer = Viewer()
        viewer.fall_to(place)
        assert viewer.pass_by(MAX_TRIAL_AFTER_S - CHOOSE_S, busy) == []
        assert viewer.see(busy) is Reason.TRIAL


def ward(count: int, *, focus: int | None = None, suspects: frozenset[int] = frozenset()) -> tuple[Want, ...]:
    return tuple(
        Want(f"bed-{number}", NEEDS, focused=number == focus, suspected=number in suspects)
        for number in range(count)
    )


def at_rate(wants: tuple[Want, ...], rate: float) -> Viewer:
    """A viewer whose path was just measured."""
    viewer = Viewer(wants)
    viewer.see(replace(LATE, path_rate=rate / 0.95))
    return viewer


class TestMany:
    def test_bases_come_first_and_the_focused_one_before_others(self) -> None:
        vitals = NEEDS[VITALS]
        viewer = at_rate(ward(4, focus=2), 4 * vitals + 1.5 * (NEEDS[OVERVIEW] - vitals))
        assert viewer.places() == [VITALS, VITALS, OVERVIEW, VITALS]

    def test_then_the_focused_one_is_improved(self) -> None:
        viewer = at_rate(ward(4, focus=2), 3 * NEEDS[OVERVIEW] + NEEDS[0] + 10)
        assert viewer.places() == [OVERVIEW, OVERVIEW, 0, OVERVIEW]

    def test_then_the_others_together(self) -> None:
        viewer = at_rate(ward(3, focus=0), NEEDS[0] + NEEDS[4] + NEEDS[3] + 10)
        assert viewer.places() == [0, 3, 4]

    @given(st.integers(1, 20), st.floats(0, 70_000), st.data())
    def test_nobody_is_improved_before_everybody_has_a_base(
        self, count: int, rate: float, data: st.DataObject
    ) -> None:
        focus = data.draw(st.none() | st.integers(0, count - 1))
        viewer = at_rate(ward(count, focus=focus), rate + 1)
        places = viewer.places()
        if min(places) < OVERVIEW:
            assert max(places) <= OVERVIEW
        if focus is not None:
            assert places[focus] == min(places)
        others = [place for number, place in enumerate(places) if number != focus]
        assert not others or max(others) - min(others) <= 1

    @given(st.integers(1, 12), st.sets(st.integers(0, 11)), st.floats(0, 40_000))
    def test_a_suspect_is_lossless_whatever_the_path(
        self, count: int, suspects: set[int], rate: float
    ) -> None:
        viewer = at_rate(ward(count, suspects=frozenset(suspects)), rate + 1)
        for _ in range(40):
            viewer.see(LATE)
            for number in suspects & set(range(count)):
                assert viewer.decision.renditions[f"bed-{number}"].quality is Quality.LOSSLESS

    @given(st.integers(2, 12), st.integers(0, 11), st.floats(0, 40_000))
    def test_suspicion_never_lowers_its_stream(self, count: int, suspect: int, rate: float) -> None:
        suspect %= count
        plain = at_rate(ward(count, focus=0), rate + 1).places()
        suspected = at_rate(ward(count, focus=0, suspects=frozenset({suspect})), rate + 1).places()
        assert suspected[suspect] <= plain[suspect]
        assert LADDER[suspected[suspect]].quality is Quality.LOSSLESS

    @given(st.integers(2, 8), st.integers(0, 7), st.none() | st.integers(0, 7), st.floats(0, 60_000))
    def test_a_suspect_has_the_shortest_frames_before_any_other_is_more_than_numbers(
        self, count: int, suspect: int, focus: int | None, rate: float
    ) -> None:
        suspect %= count
        places = at_rate(ward(count, focus=focus, suspects=frozenset({suspect})), rate + 1).places()
        if places[suspect] > 0:
            assert {place for number, place in enumerate(places) if number != suspect} == {VITALS}

    def test_suspicion_is_followed_at_once(self) -> None:
        viewer = at_rate(ward(3), 3 * NEEDS[OVERVIEW] + 1)
        viewer.wants = ward(3, suspects=frozenset({1}))
        assert viewer.see() is Reason.STREAMS
        assert viewer.places() == [VITALS, 2, VITALS]

    def test_what_the_path_carries_outlives_a_change_of_streams(self) -> None:
        viewer = at_rate(ward(2), 2 * NEEDS[4] + 10)
        viewer.wants = ward(1)
        viewer.see()
        assert viewer.places() == [3]

    def test_several_are_lifted_in_one_step_while_that_costs_a_quarter(self) -> None:
        viewer = at_rate(ward(40), 40 * NEEDS[OVERVIEW] + 10)
        need = viewer.decision.need
        viewer.pass_by(5.0)
        assert need * 1.1 < viewer.decision.need <= need * 1.25**2


LOOKS = st.builds(
    Readings,
    queued_s=st.floats(0, 2),
    queueing_s=st.floats(0, 2),
    ahead_s=st.floats(0, 3),
    lost=st.integers(0, 3),
    quiet_s=st.floats(0, 2),
    rtt_s=st.floats(0.005, 0.6),
    proven_rate=st.floats(0, 50_000),
    path_rate=st.just(math.inf) | st.floats(1, 50_000),
    alone_rate=st.floats(0, 50_000),
    saturated=st.booleans(),
)


@given(st.lists(LOOKS, max_size=80), st.integers(0, 5))
def test_the_same_readings_decide_the_same(looks: list[Readings], count: int) -> None:
    def run() -> list[Decision]:
        viewer = Viewer(ward(count, focus=0))
        decisions = []
        for look in looks:
            viewer.see(look)
            decisions.append(viewer.decision)
        return decisions

    assert run() == run()


@given(st.lists(LOOKS, max_size=80), st.integers(1, 5))
def test_delay_and_loss_never_raise(looks: list[Readings], count: int) -> None:
    viewer = Viewer(ward(count))
    for look in looks:
        need = viewer.decision.need
        reason = viewer.see(look)
        if reason in {Reason.QUEUEING, Reason.EXPIRY, Reason.RATE, Reason.SAMPLED}:
            assert viewer.decision.need <= need
        elif reason in {Reason.STEADY, Reason.QUIET}:
            assert viewer.decision.need == need
        else:
            assert viewer.decision.need > need


@given(
    st.lists(LOOKS, max_size=40),
    st.integers(1, 5),
    st.none() | st.integers(0, 4),
    st.sets(st.integers(0, 4)),
    st.integers(0, 4),
)
def test_no_stream_is_lowered_by_becoming_suspect(
    looks: list[Readings], count: int, focus: int | None, suspects: set[int], new: int
) -> None:
    viewer = Viewer(ward(count, focus=focus, suspects=frozenset(suspects - {new % count})))
    for look in looks:
        viewer.see(look)
    before = viewer.places()[new % count]
    viewer.wants = ward(count, focus=focus, suspects=frozenset(suspects | {new % count}))
    viewer.see(looks[-1] if looks else CALM)
    assert viewer.places()[new % count] <= before


@given(
    st.lists(st.tuples(LOOKS, st.integers(1, 20)), max_size=12),
    st.integers(1, 4),
    st.none() | st.integers(0, 3),
    st.integers(0, 3),
    st.lists(st.sampled_from(("", "limit", "lift", "overlook")), min_size=1, max_size=6),
)
def test_a_suspected_stream_is_never_below_what_it_would_be_otherwise(
    looks: list[tuple[Readings, int]], count: int, focus: int | None, suspect: int, meanwhile: list[str]
) -> None:
    suspect %= count
    plain = Viewer(ward(count, focus=focus))
    suspected = Viewer(ward(count, focus=focus, suspects=frozenset({suspect})))
    for turn, (look, times) in enumerate(looks):
        for viewer in (plain, suspected):
            match meanwhile[turn % len(meanwhile)]:
                case "limit":
                    viewer.ladder.limit(Quality.OVERVIEW)
                case "lift":
                    viewer.ladder.limit(Quality.LOSSLESS)
                case "overlook":
                    viewer.ladder.overlook(look, viewer.now)
        for _ in range(times):
            plain.see(look)
            suspected.see(look)
            assert suspected.places()[suspect] <= plain.places()[suspect]


def test_stream_is_sent_as_nothing_better_than_its_best_unless_suspected() -> None:
    capped = replace(Want("a", NEEDS), best=LADDER[4])
    viewer = Viewer((capped, Want("b", NEEDS)))
    viewer.pass_by(10)
    assert viewer.places() == [4, 0]
    viewer.wants = (replace(capped, suspected=True), Want("b", NEEDS))
    viewer.pass_by(10)
    assert viewer.places() == [0, 0]
    viewer.wants = (capped, Want("b", NEEDS))
    assert viewer.see() is Reason.STREAMS
    assert viewer.places() == [4, 0]


def test_best_may_be_numbers_alone() -> None:
    viewer = Viewer((replace(Want("a", NEEDS), best=LADDER[-1]), Want("b", NEEDS)))
    viewer.pass_by(60)
    assert viewer.places() == [VITALS, 0]


def test_where_it_would_be_better_off_a_suspected_stream_is_sent_as_without_the_suspicion() -> None:
    """Its trials fall at other times."""
    busy = replace(CALM, queueing_s=0.9)
    plain, suspected = Viewer((Want("a", NEEDS),)), Viewer((Want("a", NEEDS, suspected=True),))
    sent = []
    for readings in [busy] * 11 + [CALM] * 135 + [busy] * 7:
        plain.see(readings)
        suspected.see(readings)
        assert suspected.places() <= plain.places()
        sent.append(suspected.decision.renditions)
    assert suspected.places() == plain.places() == [1]
    assert suspected.decision.need == NEEDS[1]
    assert sent[-1] is sent[-2]


class TestReadings:
    def read(self, window: SendWindow, now: float) -> Readings:
        return Readings.of(window, now, queued_s=0.2, queued_bytes=1000, lost=3)

    def test_of_a_new_connection_say_nothing(self) -> None:
        readings = self.read(SendWindow(), 0.0)
        assert readings == replace(CALM, queued_s=0.2, lost=3, rtt_s=0.0)

    def test_compare_the_last_round_trip_with_the_empty_path(self) -> None:
        window = SendWindow()
        for n, rtt_s in enumerate((0.05, 0.45)):
            window.on_sent(100, float(n))
            window.on_ack(n + 1, n + rtt_s)
        assert self.read(window, 2.0).queueing_s == pytest.approx(0.4)

    def test_see_that_an_ack_is_late(self) -> None:
        window = SendWindow()
        window.on_sent(100, 0.0)
        window.on_ack(1, 0.05)
        window.on_sent(100, 1.0)
        readings = self.read(window, 2.0)
        assert readings.queueing_s == pytest.approx(1.0 - 0.1 - 0.05)
        assert readings.quiet_s == 1.0

    def test_reckon_how_long_the_rest_will_take_once_the_path_was_full(self) -> None:
        window = SendWindow()
        for n in range(10):
            window.on_sent(1000, n / 10)
        for n in range(9):
            window.on_ack(n + 1, 1 + n / 2)  # 2000 bytes a second
        readings = self.read(window, 5.0)
        assert readings.saturated
        assert readings.path_rate == pytest.approx(2000, rel=0.01)
        assert readings.ahead_s == pytest.approx(2000 / readings.path_rate - 1.0, abs=0.01)


class TestRest:
    """At the top of a prompt network there is nothing to decide."""

    WANTS = (Want("a", NEEDS),)

    def at_the_top(self) -> Viewer:
        viewer = Viewer(self.WANTS)
        viewer.pass_by(60)
        assert viewer.places() == [0]
        return viewer

    def test_nothing_would_change(self) -> None:
        viewer = self.at_the_top()
        assert viewer.ladder.rests(self.WANTS, 0, viewer.now)
        assert viewer.see() is Reason.STEADY

    def test_not_below_the_top(self) -> None:
        viewer = self.at_the_top()
        viewer.pass_by(2, LATE)
        assert viewer.places() != [0]
        assert not viewer.ladder.rests(self.WANTS, 0, viewer.now)

    @pytest.mark.parametrize(("lost", "wants"), [(1, WANTS), (0, (Want("a", NEEDS), Want("b", NEEDS)))])
    def test_not_where_something_was_lost_or_other_streams_are_watched(
        self, lost: int, wants: tuple[Want, ...]
    ) -> None:
        viewer = self.at_the_top()
        assert not viewer.ladder.rests(wants, lost, viewer.now)

    def test_not_before_a_silence_is_looked_at(self) -> None:
        viewer = self.at_the_top()
        assert viewer.see(replace(CALM, quiet_s=5.0)) is Reason.QUIET
        assert not viewer.ladder.rests(self.WANTS, 0, viewer.now)

    def test_what_waits_after_a_rest_has_not_waited_all_the_time(self) -> None:
        viewer = self.at_the_top()
        for _ in range(100):
            viewer.now += CHOOSE_S
            assert viewer.ladder.rests(self.WANTS, 0, viewer.now)
        assert viewer.see(replace(CALM, queued_s=0.5)) is Reason.STEADY


class TestLimit:
    """What the server itself can do less of, whatever the network carries."""

    DISPLAY = next(place for place, rendition in enumerate(LADDER) if rendition.quality is Quality.DISPLAY)

    def test_nothing_is_sent_as_better_and_it_comes_back_at_once(self) -> None:
        viewer = Viewer((Want("a", NEEDS, focused=True), Want("b", NEEDS)))
        viewer.pass_by(TRIAL_S)
        before = viewer.places()
        viewer.ladder.limit(Quality.DISPLAY)
        assert viewer.see() is Reason.OVERLOAD
        assert viewer.places() == [self.DISPLAY] * 2
        assert viewer.pass_by(60) == []
        viewer.ladder.limit(Quality.OVERVIEW)
        assert (viewer.see(), viewer.places()) == (Reason.OVERLOAD, [OVERVIEW] * 2)
        viewer.ladder.limit(Quality.LOSSLESS)
        assert (viewer.see(), viewer.places()) == (Reason.KNOWN, before)

    def test_under_it_a_viewer_still_falls_by_its_own_network(self) -> None:
        viewer = Viewer()
        viewer.ladder.limit(Quality.DISPLAY)
        viewer.pass_by(TRIAL_S)
        viewer.see(replace(LATE, path_rate=NEEDS[OVERVIEW] / 0.95 + 1))
        assert viewer.places() == [OVERVIEW]
        viewer.ladder.limit(Quality.LOSSLESS)
        viewer.see()
        assert viewer.places() == [OVERVIEW]

    def test_the_same_limit_again_is_no_news(self) -> None:
        viewer = Viewer()
        viewer.ladder.limit(Quality.LOSSLESS)
        assert viewer.see() is Reason.STEADY

    def test_a_suspected_stream_is_exempt(self) -> None:
        viewer = Viewer((Want("a", NEEDS, suspected=True), Want("b", NEEDS)))
        viewer.ladder.limit(Quality.OVERVIEW)
        viewer.see()
        assert viewer.places() == [0, OVERVIEW]
