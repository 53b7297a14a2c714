"""Heart rate: which intervals count, and when the number is withdrawn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.ecg.beats import BeatDetector
from streaming.ecg.heart_rate import HeartRate
from streaming.ecg.simulator import Simulator

RATE_HZ = 250


def after(intervals_ms: list[int], *, rate_hz: float = 1000.0) -> tuple[HeartRate, int]:
    """A heart rate that saw these intervals, and the sample of the last beat."""
    rate, sample = HeartRate(rate_hz), 0
    rate.beat(sample)
    for interval in intervals_ms:
        sample += round(interval * rate_hz / 1000)
        rate.beat(sample)
    return rate, sample


@given(st.integers(240, 1500), st.integers(3, 30))
def test_steady_beats_give_their_rate(interval_ms: int, count: int) -> None:
    rate, now = after([interval_ms] * count)
    assert rate.value(now) == round(60_000 / interval_ms)


def test_mean_is_of_the_last_twelve() -> None:
    rate, now = after([500] * 20 + [1000] * 12)
    assert rate.value(now) == 60
    rate, now = after([500] * 20 + [1000] * 6)
    assert rate.value(now) == 80  # 12 beats in 9 s


def test_three_slow_intervals_shorten_the_mean_to_four() -> None:
    rate, now = after([600] * 12 + [1300] * 2)
    assert rate.value(now) == round(60_000 * 12 / (600 * 10 + 1300 * 2))
    rate, now = after([600] * 12 + [1300] * 3)
    assert rate.value(now) == round(60_000 * 4 / (600 + 1300 * 3))


def test_1200_ms_is_not_yet_slow() -> None:
    rate, now = after([600] * 12 + [1200] * 3)
    assert rate.value(now) == round(60_000 * 12 / (600 * 9 + 1200 * 3))


def test_fewer_than_three_intervals_are_no_rate() -> None:
    assert HeartRate(RATE_HZ).value(0) is None
    for count in range(3):
        rate, now = after([800] * count)
        assert rate.value(now) is None
    rate, now = after([800] * 3)
    assert rate.value(now) == 75


def test_rate_is_withdrawn_after_four_seconds_without_a_beat() -> None:
    rate, last = after([800] * 12)
    assert rate.value(last + 4000) == 75
    assert rate.value(last + 4001) is None


def test_no_interval_spans_an_asystole() -> None:
    rate, last = after([800] * 12)
    rate.beat(last + 5000)
    assert rate.value(last + 5000) is None
    for i in range(1, 4):
        rate.beat(last + 5000 + 1000 * i)
    assert rate.value(last + 8000) == 60


def test_no_interval_spans_a_gap() -> None:
    rate, last = after([800] * 12)
    rate.reset()
    assert rate.value(last) is None
    rate.beat(last + 1100)
    for i in range(1, 4):
        rate.beat(last + 1100 + 500 * i)
    assert rate.value(last + 2600) == 120


def test_no_interval_is_measured_across_a_hole_and_the_others_stay() -> None:
    rate, last = after([800] * 12)
    rate.beat(last + 1600, apart=True)
    assert rate.value(last + 1600) == 75
    rate.beat(last + 2000)
    assert rate.value(last + 2000) == round(60_000 * 12 / (11 * 800 + 400))


def test_a_rate_is_unknown_eight_seconds_after_its_last_interval() -> None:
    rate, last = after([800] * 12)
    for _ in range(4):
        last += 2000
        assert rate.value(last) == 75
        rate.beat(last, apart=True)
    assert rate.value(last) == 75
    assert rate.value(last + 1) is None


def test_intervals_of_half_a_minute_ago_do_not_count() -> None:
    rate, last = after([800] * 12)
    for n in range(1, 15):
        last += 2000
        rate.beat(last, apart=n % 3 != 0)
    rate.beat(last + 2000)
    assert rate.value(last + 2000) == 30


@pytest.mark.parametrize("rate_hz", [130.06, 500.0])
def test_sampling_rate_scales_the_result(rate_hz: float) -> None:
    rate, now = after([750] * 12, rate_hz=rate_hz)
    assert rate.value(now) == 80


@pytest.mark.parametrize("bpm", [30, 42, 60, 95, 128, 180, 220])
def test_simulated_rate_is_read_within_two_beats(bpm: int) -> None:
    patient = Simulator("sinus", rate_hz=RATE_HZ, seed=bpm, heart_rate=bpm)
    detector, rate = BeatDetector(RATE_HZ), HeartRate(RATE_HZ)
    last, errors = 0, []
    for _ in range(600):
        for beat in detector.push(patient.read(RATE_HZ // 10)[0] * 5.0):
            rate.beat(beat.sample)
            last = beat.sample
        value = rate.value(patient.position)
        if value is not None:
            truth = [beat.sample for beat in patient.beats if beat.sample < last + 10]
            truth = truth[-5:] if bpm < 50 else truth[-13:]
            errors.append(value - 60 * RATE_HZ * (len(truth) - 1) / (truth[-1] - truth[0]))
    assert len(errors) > 450
    assert max(map(abs, errors)) <= 2.0
