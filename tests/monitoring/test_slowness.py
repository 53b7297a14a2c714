"""Why a viewer is slow: each cause by itself, what is said of it, and that nothing is where nothing is."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from monitoring.slowness import (
    BACKLOG,
    LATE_LOOP_S,
    LONG_TRIP_S,
    LOST_LATELY_S,
    SLOW_DECODING_MS,
    UNACKNOWLEDGED_S,
    Cause,
    ProcessNow,
    wanted_bytes_per_s,
    why_slow,
)
from streaming.core.diagnostics import ViewerReading, ViewerStats
from streaming.core.items import DropReason
from streaming.core.ladder import Readings, Reason, Want
from streaming.core.network import NetworkCondition
from streaming.core.overload import OverloadState
from streaming.core.renditions import LADDER, Quality, Rendition

CALM = ProcessNow(OverloadState.NORMAL, 0.002, layer_is_away=False, stall_s=10.0)
NEEDS = (4000.0, 3500.0, 3200.0, 2000.0, 1300.0, 600.0, 130.0)
"""Bytes a second of one stream, by the rungs of the ladder."""
LOSSLESS, DISPLAY = LADDER[0], LADDER[4]


def viewer(
    *,
    streams: int = 1,
    sent_as: Rendition = LOSSLESS,
    best: Rendition = LOSSLESS,
    stats: dict[str, Any] | None = None,
    readings: dict[str, Any] | None = None,
    **changes: Any,
) -> ViewerReading:
    """One to whom nothing is wrong, but for the changes."""
    told = ViewerStats(
        condition=NetworkCondition.EXCELLENT,
        rtt_s=0.02,
        goodput_bps=32_000.0,
        window_bytes=4096,
        in_flight_bytes=12_345,
        queued={},
        queued_bytes=0,
        drops={},
        streams={},
        rendition=sent_as.quality,
        reason=Reason.STEADY,
    )
    read = Readings(
        queued_s=0.0,
        queueing_s=0.0,
        ahead_s=0.0,
        lost=0,
        quiet_s=0.0,
        rtt_s=0.02,
        proven_rate=4000.0,
        path_rate=math.inf,
        alone_rate=0.0,
        saturated=False,
    )
    names = [f"stream{n}" for n in range(streams)]
    reading = ViewerReading(
        stats=replace(told, **(stats or {})),
        readings=replace(read, **(readings or {})),
        wants=tuple(Want(name, NEEDS, best=best) for name in names),
        sent_as=dict.fromkeys(names, sent_as),
        need=4000.0,
        unheard_s=0.1,
        backlog=0,
        decoded_ms=2.0,
        lost_s=None,
        is_paused=False,
        is_under_pressure=False,
        is_in_emergency=False,
    )
    return replace(reading, **changes)


def found(reading: ViewerReading, process: ProcessNow = CALM) -> dict[Cause, str]:
    findings = why_slow(reading, process)
    assert [each.cause for each in findings] == sorted(
        (each.cause for each in findings), key=list(Cause).index
    )
    return {each.cause: each.text for each in findings}


def test_nothing_wrong_is_said_so() -> None:
    assert found(viewer()) == {
        Cause.NOTHING: "Nothing is wrong: it is sent all that it watches, and acknowledges in time."
    }


def test_a_viewer_that_watches_nothing_has_nothing_wrong() -> None:
    assert found(viewer(streams=0)) == {
        Cause.NOTHING: "Nothing is wrong: it watches no stream, and acknowledges in time."
    }


def test_no_acknowledgement_names_the_sleeping_tab_and_the_cut_that_follows() -> None:
    told = found(viewer(readings={"quiet_s": 6.2}))
    assert list(told) == [Cause.SILENT]
    assert "nothing for 6 s, with 12.3 kB on the way" in told[Cause.SILENT]
    assert "tab is frozen" in told[Cause.SILENT]
    assert told[Cause.SILENT].endswith("It is cut after 10 s.")


def test_acknowledgements_may_be_a_second_apart() -> None:
    assert Cause.SILENT not in found(viewer(readings={"quiet_s": UNACKNOWLEDGED_S - 0.1}))
    assert Cause.SILENT in found(viewer(readings={"quiet_s": UNACKNOWLEDGED_S}))


@pytest.mark.parametrize("state", [OverloadState.SHEDDING, OverloadState.EMERGENCY])
def test_an_overloaded_process_is_named_with_its_lag(state: OverloadState) -> None:
    told = found(viewer(), replace(CALM, overload=state, lag_s=0.31))
    assert list(told) == [Cause.OVERLOAD]
    assert f"({state.value}, timers 310 ms late)" in told[Cause.OVERLOAD]


def test_a_late_loop_is_named_before_it_is_an_overload() -> None:
    assert list(found(viewer(), replace(CALM, lag_s=LATE_LOOP_S - 0.01))) == [Cause.NOTHING]
    told = found(viewer(), replace(CALM, lag_s=0.12))
    assert told == {Cause.OVERLOAD: "Its process is late itself: its timers come 120 ms late."}


def test_a_layer_that_is_away_keeps_the_streams_of_others_away() -> None:
    assert list(found(viewer(), replace(CALM, layer_is_away=True))) == [Cause.LAYER]


def test_a_round_trip_that_is_mostly_queue_is_a_queue() -> None:
    told = found(viewer(stats={"rtt_s": 0.8}, readings={"rtt_s": 0.05}))
    assert list(told) == [Cause.QUEUE]
    assert "a round trip takes 800 ms, and 50 ms on the empty path" in told[Cause.QUEUE]


def test_a_round_trip_that_is_long_by_itself_is_distance() -> None:
    told = found(viewer(stats={"rtt_s": 0.6}, readings={"rtt_s": 0.5}))
    assert list(told) == [Cause.DISTANCE]
    assert "a round trip takes 600 ms, and 500 ms also on the empty path" in told[Cause.DISTANCE]


def test_a_fair_round_trip_is_no_cause() -> None:
    assert list(found(viewer(stats={"rtt_s": LONG_TRIP_S - 0.01}))) == [Cause.NOTHING]
    assert list(found(viewer(stats={"rtt_s": None}))) == [Cause.NOTHING]


def test_a_path_that_carries_less_than_its_streams_need_is_named_with_both_rates() -> None:
    narrow = viewer(streams=30, stats={"goodput_bps": 320_000.0}, readings={"path_rate": 40_000.0})
    told = found(narrow)
    assert list(told) == [Cause.RATE]
    assert "it carries about 40 kB/s, below the 96 kB/s that 30 streams take" in told[Cause.RATE]
    assert told[Cause.RATE].endswith("; 40 kB/s arrive now.")
    assert found(replace(narrow, stats=replace(narrow.stats, goodput_bps=None)))[Cause.RATE].endswith("have.")


def test_a_tenth_of_what_the_path_carries_is_not_counted_on() -> None:
    need = wanted_bytes_per_s(viewer())
    assert list(found(viewer(readings={"path_rate": need / 0.89}))) == [Cause.NOTHING]
    assert "that 1 stream takes" in found(viewer(readings={"path_rate": need / 0.91}))[Cause.RATE]


def test_what_it_wants_is_the_least_that_carries_every_sample() -> None:
    assert wanted_bytes_per_s(viewer(streams=3)) == 3 * NEEDS[2]
    assert wanted_bytes_per_s(viewer(best=DISPLAY)) == NEEDS[4]


def test_a_browser_that_decodes_slowly_is_named() -> None:
    assert list(found(viewer(decoded_ms=SLOW_DECODING_MS - 1, backlog=BACKLOG - 1))) == [Cause.NOTHING]
    told = found(viewer(decoded_ms=240.0, backlog=1))
    assert told == {
        Cause.CLIENT: "Its browser is slow: it took 240 ms to decode a message, and 1 message waited there."
    }
    assert list(found(viewer(backlog=BACKLOG))) == [Cause.CLIENT]


def test_what_was_lost_lately_is_counted_by_reason() -> None:
    drops = {DropReason.EXPIRED: 12, DropReason.QUOTA: 0, DropReason.DROPPED: 3}
    told = found(viewer(lost_s=4.4, stats={"drops": drops}))
    assert told == {
        Cause.LOSS: "Messages for it were given up, last 4 s ago; since it connected: 12 expired, 3 dropped."
    }


def test_what_was_lost_long_ago_is_no_cause() -> None:
    assert Cause.LOSS in found(viewer(lost_s=LOST_LATELY_S))
    assert list(found(viewer(lost_s=LOST_LATELY_S + 0.1))) == [Cause.NOTHING]


@pytest.mark.parametrize("reason", Reason)
def test_less_quality_says_why_in_words(reason: Reason) -> None:
    told = found(viewer(streams=2, sent_as=DISPLAY, stats={"reason": reason}))
    assert list(told) == [Cause.LADDER]
    assert told[Cause.LADDER].startswith("2 streams of 2 are sent in less than the best quality: ")


def test_long_frames_are_no_less_quality() -> None:
    assert list(found(viewer(sent_as=LADDER[2]))) == [Cause.NOTHING]


def test_what_a_profile_keeps_away_is_the_profile_s_doing_alone() -> None:
    told = found(viewer(sent_as=DISPLAY, best=DISPLAY))
    assert told == {Cause.PROFILE: "By their profile 1 stream is sent as nothing better than display."}
    both = found(viewer(streams=2, sent_as=LADDER[5], best=DISPLAY))
    assert list(both) == [Cause.LADDER, Cause.PROFILE]


def test_several_causes_are_all_told() -> None:
    told = found(
        viewer(
            streams=30,
            sent_as=DISPLAY,
            stats={"rtt_s": 0.8, "drops": {DropReason.EXPIRED: 1}, "reason": Reason.RATE},
            readings={"path_rate": 40_000.0, "quiet_s": 3.0},
            lost_s=1.0,
        ),
        replace(CALM, overload=OverloadState.SHEDDING),
    )
    assert list(told) == [*(Cause.SILENT, Cause.OVERLOAD, Cause.QUEUE, Cause.RATE, Cause.LOSS, Cause.LADDER)]


def test_every_quality_has_a_place_on_the_ladder() -> None:
    for rendition in LADDER:
        assert wanted_bytes_per_s(viewer(best=rendition)) > 0
    assert {rendition.quality for rendition in LADDER} == set(Quality)
