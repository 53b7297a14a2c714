"""What a message will cost: learned from what others did cost, and not thrown by what is odd."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core import priors
from streaming.core.deflate import Method, Strategy
from streaming.core.predictor import PROBE_BYTES, Chunk, PathModel, Predictor, glance

FAST, FIXED, SMALL = (Method(level, 12, 5) for level in (1, 6, 9))
METHODS = (FIXED, FAST, SMALL)
CHUNK = Chunk(8000, 0.4)


def predictor() -> Predictor:
    return Predictor(METHODS, priors.of_text)


def taught(times: int = 60) -> Predictor:
    """By the fixed method a quarter of the bytes, at 10 ns each; by the small one 3 % less, at 20 ns."""
    subject = predictor()
    draw = np.random.default_rng(3)
    for _ in range(times):
        chunk = Chunk(int(draw.integers(2000, 40_000)), float(draw.uniform(0.3, 0.5)))
        fixed = (chunk.size_bytes // 4, 1e-8 * chunk.size_bytes)
        subject.learn(0, chunk, *fixed)
        subject.learn_pair(0, 2, chunk, fixed, (round(0.97 * fixed[0]), 2 * fixed[1]))
    return subject


def test_a_glance_tells_what_repeats_from_what_does_not() -> None:
    noise = np.random.default_rng(0).bytes(5000)
    assert glance(noise).probe_ratio > 1.0
    assert glance(b'{"hr":72},' * 500).probe_ratio < 0.1
    assert glance(b"x") == Chunk(1, glance(b"x").probe_ratio)


def test_a_glance_looks_at_the_middle() -> None:
    noise = np.random.default_rng(0).bytes(PROBE_BYTES)
    assert glance(noise + bytes(PROBE_BYTES) + noise) == Chunk(
        3 * PROBE_BYTES, glance(bytes(PROBE_BYTES)).probe_ratio
    )


def test_before_the_first_message_more_effort_means_fewer_bytes_and_more_time() -> None:
    forecast = predictor().predict(CHUNK)
    fixed, fast, small = forecast.size_bytes
    assert small < fixed < fast < CHUNK.size_bytes
    assert forecast.cpu_s[1] < forecast.cpu_s[0] < forecast.cpu_s[2]


def test_on_planes_run_lengths_are_expected_to_beat_every_level() -> None:
    methods = (Method(9, 12, 5), Method(4, 12, 5, Strategy.FILTERED), Method(1, 12, 5, Strategy.RLE))
    forecast = Predictor(methods, priors.of_samples).predict(CHUNK)
    assert forecast.size_bytes.argmin() == 2
    assert forecast.cpu_s.argmin() == 2


def test_it_learns_what_messages_become() -> None:
    forecast = taught().predict(CHUNK)
    assert forecast.size_bytes[0] == pytest.approx(2000, rel=0.02)
    assert forecast.cpu_s[0] == pytest.approx(8e-5, rel=0.05)


def test_pairs_teach_how_methods_differ() -> None:
    forecast = taught().predict(CHUNK)
    assert forecast.size_bytes[2] / forecast.size_bytes[0] == pytest.approx(0.97, abs=0.005)
    assert forecast.cpu_s[2] / forecast.cpu_s[0] == pytest.approx(2, rel=0.05)


def test_what_all_methods_share_does_not_blur_how_they_differ() -> None:
    subject, draw = predictor(), np.random.default_rng(4)
    for _ in range(200):
        luck = math.exp(draw.normal(0, 0.2))
        fixed = (round(2000 * luck), 8e-5)
        subject.learn(0, CHUNK, *fixed)
        subject.learn_pair(0, 2, CHUNK, fixed, (round(0.97 * fixed[0]), 8e-5))
    forecast = subject.predict(CHUNK)
    assert forecast.size_bytes[2] / forecast.size_bytes[0] == pytest.approx(0.97, abs=0.002)


def test_every_message_teaches_for_every_method() -> None:
    subject = predictor()
    before = subject.predict(CHUNK).size_bytes
    for _ in range(30):
        subject.learn(1, CHUNK, 1000, 8e-5)
    after = subject.predict(CHUNK).size_bytes
    assert after[1] == pytest.approx(1000, rel=0.02)
    assert after[2] / after[1] == pytest.approx(before[2] / before[1])


def test_it_forgets_what_was_true_before() -> None:
    subject = taught()
    for _ in range(100):
        subject.learn(0, CHUNK, 6000, 8e-5)
    assert subject.predict(CHUNK).size_bytes[0] == pytest.approx(6000, rel=0.02)


def test_a_comparison_makes_sure() -> None:
    subject = predictor()
    before = subject.predict(CHUNK).spread
    for _ in range(5):
        subject.learn_pair(0, 2, CHUNK, (2000, 8e-5), (1940, 8e-5))
    after = subject.predict(CHUNK).spread
    assert after[2] < 0.6 * before[2]
    assert after[1] == pytest.approx(before[1], rel=0.5)


def test_one_stall_is_not_taken_for_the_price() -> None:
    subject = taught()
    before = subject.predict(CHUNK).cpu_s[0]
    subject.learn(0, CHUNK, 2000, 0.5)
    assert subject.predict(CHUNK).cpu_s[0] < 1.5 * before


def test_errors_are_counted_as_they_were_before_learning() -> None:
    subject = taught(300)
    assert subject.size_error < 0.03
    for _ in range(10):
        subject.learn(0, CHUNK, 7900, 8e-5)
    assert subject.size_error > 0.1


def test_constant_data_does_not_blow_it_up() -> None:
    subject = predictor()
    for _ in range(20_000):
        subject.learn(0, CHUNK, 2000, 8e-5)
    subject.learn(0, Chunk(200_000, 0.9), 150_000, 1e-2)
    forecast = subject.predict(CHUNK)
    assert forecast.size_bytes[0] == pytest.approx(2000, rel=0.3)


def test_no_forecast_is_longer_than_deflate_can_make_it() -> None:
    assert predictor().predict(Chunk(5000, 1.02)).size_bytes.max() < 5000 * 1.11


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(1, 10**7),
            st.floats(0.01, 1.1),
            st.integers(0, 10**7),
            st.floats(0, 10),
        ),
        max_size=40,
    )
)
def test_whatever_comes_forecasts_stay_numbers(seen: list[tuple[int, int, float, int, float]]) -> None:
    subject = predictor()
    for index, size, probe, out, cpu_s in seen:
        subject.learn(index, Chunk(size, probe), out, cpu_s)
        subject.learn_pair(index, (index + 1) % 3, Chunk(size, probe), (out, cpu_s), (1, 1e-6))
    forecast = subject.predict(CHUNK)
    for values in (forecast.size_bytes, forecast.cpu_s):
        assert np.isfinite(values).all()
        assert (values > 0).all()
    assert (forecast.spread >= 0).all()
    json.dumps(subject.to_state(), allow_nan=False)


def test_its_state_goes_through_json_and_back() -> None:
    subject, later = taught(), predictor()
    later.take_state(json.loads(json.dumps(subject.to_state())))
    assert later.updates == subject.updates
    for name in ("size_bytes", "cpu_s"):
        assert getattr(later.predict(CHUNK), name) == pytest.approx(
            getattr(subject.predict(CHUNK), name), rel=1e-3
        )
    later.learn(0, CHUNK, 2000, 8e-5)


def test_a_method_that_the_state_does_not_know_begins_with_its_prior() -> None:
    state = taught().to_state()
    other = Predictor((FIXED, Method(2, 12, 5)), priors.of_text)
    before = other.predict(CHUNK).size_bytes
    other.take_state(state)
    after = other.predict(CHUNK).size_bytes
    assert after[1] / after[0] == pytest.approx(before[1] / before[0])


@pytest.mark.parametrize(
    "broken",
    [
        {"updates": -1},
        {"updates": True},
        {"updates": "7"},
        {"errors": [0.1, 0.1]},
        {"errors": [0.1, 0.1, float("nan")]},
        {"last": "no"},
        {"common": {}},
        {"common": {"count": 1, "weights": [[0.0] * 4] * 2, "variance": [[1.0, 2.0, 0.0, 0.0]] * 4}},
        {"common": {"count": 1, "weights": [[0.0] * 4] * 2, "variance": (-np.eye(4)).tolist()}},
        {"common": {"count": 1, "weights": [[1e9] * 4] * 2, "variance": np.eye(4).tolist()}},
        {"differences": {FAST.name: {"count": 1, "weights": [[0.0]], "variance": [[1.0]]}}},
        {"differences": None},
    ],
)
def test_a_state_that_is_none_is_refused_and_changes_nothing(broken: dict[str, Any]) -> None:
    subject = taught()
    before = subject.to_state()
    with pytest.raises((AttributeError, KeyError, TypeError, ValueError)):
        subject.take_state(before | broken)
    assert subject.to_state() == before


def test_the_path_is_first_what_the_network_estimate_gives_credit_for() -> None:
    assert 1 / PathModel().s_per_byte == 40 * 1024


def test_the_first_delivery_is_believed_whole() -> None:
    path = PathModel()
    path.learn(1000, 0.001)
    assert path.s_per_byte == pytest.approx(1e-6)
    assert path.error == 0


def test_a_path_that_becomes_a_thousand_times_slower_is_known_within_ten_deliveries() -> None:
    path = PathModel()
    path.learn(1000, 0.001)
    for _ in range(10):
        path.learn(1000, 1.0)
    assert path.s_per_byte == pytest.approx(1e-3, rel=0.05)


def test_a_path_that_jumps_about_has_a_large_error() -> None:
    path = PathModel()
    for turn in range(100):
        path.learn(1000, 0.001 if turn % 2 else 1.0)
    assert path.error > 0.9


def test_a_methods_name_says_all_of_it() -> None:
    names = {
        Method(level, bits, memory, strategy, dictionary).name
        for level in (1, 6)
        for bits in (12, 15)
        for memory in (5, 9)
        for strategy in Strategy
        for dictionary in (False, True)
    }
    assert len(names) == 48
    assert "deflate-6-w12m5" in names
