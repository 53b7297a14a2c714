"""Estimates of other settings: each kind of change by itself, what cannot be known, and what always holds."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.preview import (
    LEAST_SPELLS,
    REASONS,
    Bounds,
    Line,
    Reading,
    Spell,
    Way,
    estimate,
    pressure_factors,
    rates_by_quality,
    way,
)
from streaming.core.priority import PRIORITY_QUOTAS, MessagePriority
from streaming.core.profiles import (
    BackpressureProfile,
    ClassBounds,
    CompressionProfile,
    ConnectionProfile,
    GroupProfile,
)
from streaming.core.renditions import LADDER, SHARE_OF_INT16, Quality

OLD = GroupProfile(compression=CompressionProfile(adaptive=False))
HIGH = MessagePriority.HIGH
BEST = {(rendition.quality, rendition.frame_s): rendition for rendition in LADDER}
DISPLAY, DIAGNOSTIC = BEST[Quality.DISPLAY, 0.5], BEST[Quality.DIAGNOSTIC, 0.5]


def reading(n: int = 0, **values: Any) -> Reading:
    """The nth snapshot of a process, ten seconds after the one before."""
    facts: dict[str, Any] = {
        "process": "p1",
        "at": 10.0 * n,
        "viewers": 2,
        "by_quality": (2, 0, 0, 0, 0),
        "utilization": 0.1,
        "pressure": 0.3,
        "queue_p95_s": 0.05,
        "level": 6,
        "offered": 1000 * n,
        "sent": 900 * n,
        "bytes_sent": 90_000 * n,
        "drops": (5 * n, 4 * n, 3 * n, 2 * n, n),
        "bytes_in": 10_000 * n,
        "bytes_out": 4000 * n,
        "waveform_out": 3000 * n,
        "compress_s": 0.5 * n,
    }
    return Reading(**facts | values)


def hour(count: int = 7, **values: Any) -> list[Reading]:
    return [reading(n, **values) for n in range(count)]


def with_buffer(**values: Any) -> GroupProfile:
    return replace(OLD, backpressure=replace(OLD.backpressure, **values))


def with_age(age_s: float | None, priority: MessagePriority = HIGH) -> GroupProfile:
    bounds = dict(OLD.backpressure.bounds)
    bounds[priority] = ClassBounds(bounds[priority].max_bytes, age_s)
    return with_buffer(bounds=bounds)


def with_compression(**values: Any) -> GroupProfile:
    return replace(OLD, compression=replace(OLD.compression, **values))


def lines(readings: list[Reading], new: GroupProfile, old: GroupProfile = OLD) -> dict[str, Line]:
    found = estimate(readings, old, new)
    assert len({line.name for line in found}) == len(found)
    return {line.name: line for line in found}


def between(line: Line) -> list[float | None]:
    assert line.estimate is not None
    return [line.estimate.low, line.estimate.high]


def test_nothing_is_said_of_nothing() -> None:
    assert estimate([], OLD, with_buffer(max_buffer_size=20_000)) == []


def test_what_was_measured_is_told_beside_the_estimate() -> None:
    found = lines(hour(), OLD)
    assert found["Messages offered"].measured == 6000
    assert [found[f"Lost: {reason}"].measured for reason in REASONS] == [30, 24, 18, 12, 6]
    assert found["Lost in all"].measured == 90
    assert found["Bytes sent to viewers"].measured == 540_000
    assert found["Bytes after compression"].measured == 24_000
    assert found["Fullest queue, at most"].measured == 0.1


def test_counters_that_began_anew_count_from_zero_and_processes_by_themselves() -> None:
    restarted = [reading(10), replace(reading(2), at=110.0), replace(reading(3), at=120.0)]
    other = [replace(reading(n), process="p2", at=10.0 * n) for n in (20, 21)]
    assert lines([*restarted, *other], OLD)["Messages offered"].measured == 2000 + 1000 + 1000


def test_one_snapshot_has_a_queue_and_no_counts() -> None:
    found = lines([reading(5)], with_buffer(max_buffer_size=5000))
    assert found["Messages offered"].measured == 0
    assert found["Fullest queue, at most"].estimate == Bounds.exactly(0.2)


def test_half_of_the_buffer_is_twice_as_full_and_never_more_than_full() -> None:
    found = lines(
        [reading(0, utilization=0.3), reading(1, utilization=0.7)], with_buffer(max_buffer_size=5000)
    )
    assert found["Fullest queue, at most"].estimate == Bounds.exactly(1.0)
    assert found["Fullest queue, mean"].estimate == Bounds.exactly(0.8)
    assert found["Most messages that may wait for one viewer"].estimate == Bounds.exactly(5000)


def test_larger_buffer_is_less_full_and_as_full_at_the_most_where_messages_were_lost() -> None:
    lossless = [replace(each, drops=(0,) * 5) for each in hour()]
    bigger = with_buffer(max_buffer_size=20_000)
    assert lines(lossless, bigger)["Fullest queue, at most"].estimate == Bounds.exactly(0.05)
    assert lines(hour(), bigger)["Fullest queue, at most"].estimate == Bounds(0.05, 0.1)


def test_high_watermark_alone_is_judged_by_the_pressure_as_it_was() -> None:
    readings = [reading(n, pressure=pressure) for n, pressure in enumerate((0.5, 0.7, 0.81, 0.9))]
    found = lines(readings, with_buffer(high_watermark=0.65))
    line = found["Time at or above the high watermark"]
    assert (line.measured, line.estimate) == (0.5, Bounds.exactly(0.75))
    assert found["Time at or above the critical watermark"].is_unchanged


def test_pressure_under_another_buffer_is_a_range_because_its_bound_is_not_stored() -> None:
    readings = [reading(n, pressure=0.5) for n in range(4)]
    line = lines(readings, with_buffer(max_buffer_size=5000))["Time at or above the high watermark"]
    assert (line.measured, line.estimate) == (0.0, Bounds(0.0, 1.0))
    assert "Which bound" in line.why


def test_pressure_may_be_anything_where_an_age_was_unbounded() -> None:
    assert pressure_factors(with_age(None), OLD)[1] == float("inf")
    line = lines(hour(), with_age(5.0, MessagePriority.BULK))["Time at or above the high watermark"]
    assert line.estimate == Bounds(0.0, 1.0)


def test_longer_age_expires_less_and_no_message_is_lost_that_was_not() -> None:
    found = lines(hour(), with_age(2.0))
    assert found["Lost: expired"].estimate == Bounds(0.0, 30 + 24)
    assert found["Lost: quota"].estimate == Bounds(18, 18 + 54)
    assert found["Lost: overload"].is_unchanged
    assert found["Lost in all"].estimate == Bounds(90 - 54, 90)
    assert found["Longest that live ECG may wait"].estimate == Bounds.exactly(2.0)


def test_shorter_age_is_bounded_by_how_long_messages_waited() -> None:
    found = lines(hour(), with_age(0.5))
    assert between(found["Lost: expired"]) == pytest.approx([30, 30 + 0.05 * 5400])
    assert between(found["Lost in all"]) == pytest.approx([90, 90 + 0.05 * 5400])
    assert "no longer than 50 ms" in found["Lost: expired"].why


def test_shorter_age_has_no_bound_where_messages_waited_longer_or_none_was_followed() -> None:
    for wait_s in (0.6, None):
        found = lines(hour(queue_p95_s=wait_s), with_age(0.5))
        assert found["Lost: expired"].estimate == Bounds(30, None)
        assert found["Lost in all"].estimate == Bounds(90, None)


def test_smaller_buffer_loses_at_least_as_much_for_whatever_reason() -> None:
    found = lines(hour(), with_buffer(max_buffer_size=5000))
    assert found["Lost in all"].estimate == Bounds(90, None)
    assert found["Lost: quota"].estimate is None
    assert found["Lost: overload"].is_unchanged
    assert found["Bytes sent to viewers"].estimate == Bounds(None, 540_000)


def test_larger_buffer_sends_what_was_lost_at_the_most() -> None:
    found = lines(hour(), with_buffer(max_buffer_size=20_000))
    assert found["Lost in all"].estimate == Bounds(90 - 24 - 18 - 12, 90)
    assert found["Bytes sent to viewers"].estimate == Bounds(540_000, 540_000 + 54 * 100)


def test_without_emergency_mode_nothing_is_lost_to_one() -> None:
    found = lines(hour(), with_buffer(emergency_mode=False))
    assert found["Lost: emergency"].estimate == Bounds.exactly(0.0)
    assert found["Lost: quota"].estimate == Bounds(18, 18 + 12)


def test_wider_and_narrower_bounds_together_cannot_be_judged() -> None:
    found = lines(hour(), with_buffer(max_buffer_size=20_000, high_watermark=0.5))
    assert found["Lost in all"].estimate is None
    assert "cannot be told" in found["Lost in all"].why
    assert found["Lost: overload"].is_unchanged


def test_quotas_that_only_move_room_cannot_be_judged() -> None:
    quotas = dict(PRIORITY_QUOTAS)
    quotas[MessagePriority.NORMAL] += 0.1
    quotas[HIGH] -= 0.1
    assert lines(hour(), with_buffer(quotas=quotas))["Lost in all"].estimate is None


def test_coarser_rendition_by_what_viewers_of_both_were_sent() -> None:
    fine = [reading(n) for n in range(LEAST_SPELLS + 1)]
    coarse = [
        reading(n, by_quality=(0, 0, 2, 0, 0), bytes_sent=fine[-1].bytes_sent + 40_000 * (n - LEAST_SPELLS))
        for n in range(LEAST_SPELLS + 1, 2 * LEAST_SPELLS + 2)
    ]
    line = lines([*fine, *coarse], replace(OLD, best_rendition=DISPLAY))["Bytes sent to viewers"]
    # 65 s of two viewers at 4500 B/s each would have been at 2000 B/s.
    assert between(line) == pytest.approx([(line.measured or 0) - 65 * 2 * 2500] * 2)
    assert "viewers of both renditions" in line.why


def test_rate_of_a_rendition_is_read_while_it_is_sent_alone() -> None:
    alone = [Spell(*pair) for pair in pairwise(hour(LEAST_SPELLS + 1))]
    mixed = [Spell(*pair) for pair in pairwise(hour(LEAST_SPELLS + 1, by_quality=(1, 0, 1, 0, 0)))]
    assert rates_by_quality(alone) == {Quality.LOSSLESS: 4500}
    assert rates_by_quality(alone[1:]) == {}
    assert rates_by_quality(mixed) == {}


def test_coarser_rendition_that_nobody_was_sent_by_the_ratio_that_is_known() -> None:
    line = lines(hour(8), replace(OLD, best_rendition=DISPLAY))["Bytes sent to viewers"]
    ratio = SHARE_OF_INT16[Quality.DISPLAY] / SHARE_OF_INT16[Quality.LOSSLESS]
    assert between(line) == pytest.approx([630_000 * ratio] * 2)
    assert "PTB-XL" in line.why


def test_rendition_without_a_measured_ratio_cannot_be_estimated() -> None:
    found = lines(hour(8), replace(OLD, best_rendition=BEST[Quality.VITALS, 1.0]))
    assert found["Bytes sent to viewers"].estimate is None
    assert found["Messages offered"].estimate is None
    assert found["Lost in all"].estimate is None


def test_rendition_coarser_than_nobody_gets_changes_no_bytes() -> None:
    vitals = hour(8, by_quality=(0, 0, 0, 0, 2))
    assert lines(vitals, replace(OLD, best_rendition=DISPLAY))["Bytes sent to viewers"].is_unchanged


def test_better_rendition_sends_more_at_the_most_to_those_at_the_limit() -> None:
    capped = replace(OLD, best_rendition=DISPLAY)
    line = lines(hour(8, by_quality=(0, 0, 2, 0, 0)), OLD, capped)["Bytes sent to viewers"]
    ratio = SHARE_OF_INT16[Quality.LOSSLESS] / SHARE_OF_INT16[Quality.DISPLAY]
    assert between(line) == pytest.approx([630_000, 630_000 * ratio])
    below = lines(hour(8, by_quality=(0, 0, 0, 2, 0)), OLD, capped)["Bytes sent to viewers"]
    assert below.is_unchanged


def test_longer_frames_of_the_same_quality_take_no_more() -> None:
    line = lines(hour(), replace(OLD, best_rendition=BEST[Quality.LOSSLESS, 0.5]))["Bytes sent to viewers"]
    assert line.estimate == Bounds(None, 540_000)


def test_another_level_by_what_was_compressed_at_it() -> None:
    at_six = [reading(n) for n in range(4)]
    at_nine = [
        reading(
            n, level=9, bytes_in=30_000 + 20_000 * (n - 3), bytes_out=12_000 + 6000 * (n - 3), waveform_out=0
        )
        for n in range(4, 7)
    ]
    found = lines([*at_six, *at_nine], with_compression(level=9))
    assert between(found["Bytes after compression"]) == pytest.approx([90_000 * 0.3] * 2)
    assert "level was 9" in found["Bytes after compression"].why
    assert found["Bytes sent to viewers"].estimate is None


@pytest.mark.parametrize(
    "changed",
    [{"level": 9}, {"window_bits": 15}, {"mem_level": 9}, {"adaptive": True}, {"threshold_bytes": 100}],
)
def test_what_was_never_compressed_so_cannot_be_estimated(changed: dict[str, Any]) -> None:
    found = lines(hour(), with_compression(**changed))
    assert found["Bytes after compression"].estimate is None
    assert found["Time spent on compressing"].estimate is None


def test_higher_threshold_sends_as_much_as_was_given_at_the_most() -> None:
    found = lines(hour(), with_compression(threshold_bytes=4096))
    assert found["Bytes after compression"].estimate == Bounds(24_000, 60_000)
    assert found["Time spent on compressing"].estimate == Bounds(0.0, 3.0)


def test_live_ecg_has_no_level() -> None:
    waveforms = [replace(each, waveform_out=each.bytes_out) for each in hour()]
    found = lines(waveforms, with_compression(level=9))
    assert found["Bytes after compression"].is_unchanged
    assert found["Bytes sent to viewers"].is_unchanged


def test_group_that_compresses_nothing_has_no_figure_of_it() -> None:
    quiet = [replace(each, bytes_in=0, bytes_out=0, waveform_out=0) for each in hour()]
    assert "Bytes after compression" not in lines(quiet, with_compression(level=9))


def test_ways_of_bounds() -> None:
    assert way([(1, 1), (2, 2)]) is Way.SAME
    assert way([(1, 1), (2, 3)]) is Way.MORE
    assert way([(1, 0.5), (2, 2)]) is Way.LESS
    assert way([(1, 0.5), (2, 3)]) is Way.MIXED


# -- laws

shares = st.floats(0, 1)
counts = st.integers(0, 10_000)


@st.composite
def profiles(draw: st.DrawFn) -> GroupProfile:
    low, high, critical = sorted(draw(st.lists(st.integers(1, 100), min_size=3, max_size=3, unique=True)))
    return GroupProfile(
        CompressionProfile(
            level=draw(st.integers(1, 9)),
            adaptive=draw(st.booleans()),
            threshold_bytes=draw(st.integers(0, 4096)),
        ),
        BackpressureProfile(
            max_buffer_size=draw(st.integers(10, 50_000)),
            low_watermark=low / 100,
            high_watermark=high / 100,
            critical_watermark=critical / 100,
            emergency_mode=draw(st.booleans()),
            bounds={
                priority: ClassBounds(draw(st.integers(1024, 1 << 20)), draw(st.none() | st.floats(0.05, 60)))
                for priority in MessagePriority
            },
        ),
        ConnectionProfile(max_total_bytes=draw(st.integers(64 * 1024, 1 << 24))),
        draw(st.sampled_from(LADDER)),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Reading]:
    """Counters may go back, as after a start; figures may be anything."""
    found = []
    for n in range(draw(st.integers(1, 12))):
        out = draw(counts)
        found.append(
            Reading(
                process=draw(st.sampled_from(("p1", "p2"))),
                at=10.0 * n,
                viewers=draw(st.integers(0, 5)),
                by_quality=tuple(draw(st.lists(st.integers(0, 3), min_size=5, max_size=5))),
                utilization=draw(shares),
                pressure=draw(shares),
                queue_p95_s=draw(st.none() | st.floats(0, 5)),
                level=draw(st.integers(1, 9)),
                offered=draw(counts),
                sent=draw(counts),
                bytes_sent=draw(counts),
                drops=tuple(draw(st.lists(counts, min_size=5, max_size=5))),
                bytes_in=out + draw(counts),
                bytes_out=out,
                waveform_out=draw(st.integers(0, out)),
                compress_s=draw(st.floats(0, 100)),
            )
        )
    return found


@given(histories(), profiles())
def test_law_unchanged_settings_leave_every_figure_as_it_was(
    readings: list[Reading], profile: GroupProfile
) -> None:
    for line in estimate(readings, profile, profile):
        assert line.is_unchanged, line


@given(histories(), profiles(), profiles())
def test_law_bounds_are_in_order_and_what_is_no_estimate_says_why(
    readings: list[Reading], old: GroupProfile, new: GroupProfile
) -> None:
    for line in estimate(readings, old, new):
        if line.estimate is None:
            assert line.why, line
        elif line.estimate.low is not None and line.estimate.high is not None:
            assert line.estimate.low <= line.estimate.high, line
        for bound in (line.estimate.low, line.estimate.high) if line.estimate else ():
            assert bound is None or bound >= 0, line


@given(histories(), profiles(), st.integers(1, 50_000))
def test_law_larger_buffer_never_raises_utilization_nor_losses(
    readings: list[Reading], old: GroupProfile, more: int
) -> None:
    size = old.backpressure.max_buffer_size + more
    new = replace(old, backpressure=replace(old.backpressure, max_buffer_size=size))
    for line in estimate(readings, old, new):
        if line.unit == "share" or line.name == "Lost in all":
            assert line.estimate is not None
            assert line.estimate.high is not None
            assert line.measured is not None
            assert line.estimate.high <= line.measured, line


@given(histories(), profiles(), st.floats(1, 10))
def test_law_longer_ages_never_raise_losses_and_shorter_ones_never_lower_them(
    readings: list[Reading], old: GroupProfile, factor: float
) -> None:
    bounds = {
        priority: ClassBounds(each.max_bytes, None if each.max_age_s is None else each.max_age_s * factor)
        for priority, each in old.backpressure.bounds.items()
    }
    longer = replace(old, backpressure=replace(old.backpressure, bounds=bounds))
    for before, after, is_relief in ((old, longer, True), (longer, old, False)):
        line = next(line for line in estimate(readings, before, after) if line.name == "Lost in all")
        assert line.estimate is not None
        assert line.measured is not None
        if is_relief:
            assert line.estimate.high is not None
            assert line.estimate.high <= line.measured
        else:
            assert line.estimate.low is not None
            assert line.estimate.low >= line.measured


@given(histories(), profiles(), st.floats(0.001, 1))
def test_law_lower_high_watermark_is_never_reached_for_less_time(
    readings: list[Reading], old: GroupProfile, share: float
) -> None:
    marks = old.backpressure
    mark = marks.low_watermark + (marks.high_watermark - marks.low_watermark) * share
    if not marks.low_watermark < mark:
        return
    new = replace(old, backpressure=replace(marks, high_watermark=mark))
    line = next(line for line in estimate(readings, old, new) if line.name.endswith("the high watermark"))
    assert line.estimate is not None
    assert line.estimate.low is not None
    assert line.measured is not None
    assert line.estimate.low >= line.measured
