"""A group's compression follows what acks say of its network, and tells what it does."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import numpy as np
import pytest

from streaming.adaptive_compression import SAMPLE_S, AdaptiveCompression
from streaming.compression import CompressionHandler
from streaming.core.levels import DataKind
from streaming.core.network import NetworkCondition, NetworkEstimator
from streaming.core.profiles import CompressionProfile
from streaming.ecg.codec import WaveformEncoder
from tests.fakes import FakeClock, virtual_time

BEATS = np.tile(np.round(200 * np.exp(-(((np.arange(250) - 100) / 4) ** 2))), 2).astype(np.int16)
SAMPLES = {"values": np.cumsum(np.random.default_rng(1).integers(-20, 21, 9000)).tolist()}
WALK = np.cumsum(np.random.default_rng(2).integers(-20, 21, 5000))


def adaptive(clock: FakeClock | None = None, **options: Any) -> AdaptiveCompression:
    clock = clock or FakeClock()
    # Deflate's own time is real: the decision must not hang on this machine's.
    handler = CompressionHandler(options.pop("profile", None), clock=clock)
    return AdaptiveCompression(handler, clock=clock, chance=random.Random(1).random, **options)


def network(
    rate: float | None = None, condition: NetworkCondition = NetworkCondition.GOOD
) -> NetworkEstimator:
    estimator = NetworkEstimator()
    estimator.condition = condition
    if rate is not None:
        estimator.on_delivery(rate, 0.0, app_limited=False)
    return estimator


async def test_what_is_compressed_comes_back_whatever_the_method() -> None:
    subject = adaptive()
    for data in (SAMPLES, json.dumps(SAMPLES), b"72 " * 3000, WALK.astype(np.int16), WALK * 0.5, 3, "short"):
        for _ in range(5):
            body, metadata = await subject.compress_with_adaptation(data)
            restored = subject.handler.decompress(body, metadata)
            assert np.array_equal(restored, data) if isinstance(data, np.ndarray) else restored == data


async def test_metadata_holds_the_callers_the_handlers_and_the_adaptations() -> None:
    body, metadata = await adaptive().compress_with_adaptation(
        SAMPLES, metadata={"sample_rate": 250, "patient_id": "123"}
    )
    assert metadata["sample_rate"] == 250
    assert metadata["patient_id"] == "123"
    assert metadata["compressed_size"] == len(body)
    assert 1 <= metadata["adaptive_level"] <= 9
    assert metadata["network_condition"] == "excellent"
    assert metadata["data_pattern"] == "normal"
    json.dumps(metadata)


async def test_a_slow_network_is_worth_more_effort_than_a_fast_one() -> None:
    levels = {}
    metadata: dict[str, Any] = {}
    for rate in (2e3, 1e12):
        subject = adaptive()
        for _ in range(30):
            body, metadata = await subject.compress_with_adaptation(SAMPLES)
            subject.observe_delivery(len(body), len(body) / rate)
        levels[rate] = metadata["adaptive_level"]
    assert levels[2e3] >= 8
    assert levels[1e12] < levels[2e3]


async def test_the_group_wide_path_is_the_mean_time_a_byte_takes_to_its_viewers() -> None:
    viewers = [network(1000.0), network(4000.0), network()]
    subject = adaptive(network=lambda: viewers)
    subject.sample()
    assert subject.get_adaptation_stats()["predictor"]["path_kbps"] == pytest.approx(8 * 1.6)


async def test_the_worst_viewers_network_is_the_groups_condition() -> None:
    viewers = [network(condition=NetworkCondition.GOOD), network(condition=NetworkCondition.POOR)]
    subject = adaptive(network=lambda: viewers)
    told = [subject.network_condition]
    subject.sample()
    told.append(subject.network_condition)
    viewers.clear()
    subject.sample()
    told.append(subject.network_condition)
    assert told == ["excellent", "poor", "excellent"]


@pytest.mark.parametrize(
    ("rtt_s", "condition"),
    [(0.02, "excellent"), (0.2, "good"), (0.5, "fair"), (1.2, "poor"), (5, "critical")],
)
def test_round_trips_that_are_observed_make_the_condition(rtt_s: float, condition: str) -> None:
    subject = adaptive()
    subject.observe_delivery(1000, 0.01, rtt_s=rtt_s)
    assert subject.get_adaptation_stats()["network_condition"] == condition
    subject.sample()
    assert subject.network_condition == condition


@pytest.mark.parametrize(("size", "seconds"), [(0, 1.0), (-1, 1.0), (1, 0.0), (1, -1.0)])
def test_a_delivery_of_nothing_or_in_no_time_is_none(size: int, seconds: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        adaptive().observe_delivery(size, seconds)


@pytest.mark.parametrize(
    ("data", "pattern"),
    [
        (BEATS, "normal"),
        (BEATS * 0.005, "flat"),  # millivolts need a gain
        (np.zeros((1, 500), np.int16), "lead-off"),
        (np.random.default_rng(0).normal(0, 60, 500).astype(np.int16), "noisy"),
        ((np.arange(500) % 5).astype(np.int16), "flat"),
        (np.array(5, np.int16), "normal"),
        (np.array([True] * 500), "normal"),
        (b"72 " * 900, "normal"),
    ],
)
async def test_the_pattern_is_that_of_the_samples(data: Any, pattern: str) -> None:
    _, metadata = await adaptive().compress_with_adaptation(data)
    assert metadata["data_pattern"] == pattern


async def test_the_gain_that_the_caller_names_is_that_of_its_samples() -> None:
    subject = adaptive()
    _, metadata = await subject.compress_with_adaptation(BEATS * 0.005, {"gain_uv": 1000.0})
    assert metadata["data_pattern"] == "normal"
    _, metadata = await subject.compress_with_adaptation(BEATS * 0.005)
    assert metadata["data_pattern"] == "flat"


def test_an_arrhythmia_is_heard_of_from_whoever_judges_rhythms() -> None:
    suspicious = [False]
    subject = adaptive(arrhythmia=lambda: suspicious[0])
    subject.saw(BEATS)
    assert subject.data_pattern == "normal"
    suspicious[0] = True
    assert subject.data_pattern == "arrhythmia"


def test_the_pattern_of_a_group_is_that_of_its_last_frames() -> None:
    subject, encoder = adaptive(), WaveformEncoder()
    for first in range(0, 500, 25):
        subject.handler.compress_samples(BEATS[None, first : first + 25], encoder)
    assert subject.data_pattern == "normal"
    for _ in range(20):
        subject.handler.compress_samples(np.zeros((1, 25), np.int16), encoder)
    assert subject.data_pattern == "lead-off"
    subject.handler.compress_samples(np.tile(BEATS, (2, 1)), encoder)  # another epoch has more leads
    assert subject.data_pattern == "normal"


async def test_the_stats_have_the_documented_keys() -> None:
    clock = FakeClock()
    subject = adaptive(clock)
    for _ in range(5):
        await subject.compress_with_adaptation(SAMPLES)
        subject.sample()
        clock.advance(1.0)
    stats = subject.get_adaptation_stats()
    compression = subject.handler.get_compression_stats()
    assert 1 <= stats["current_level"] <= 9
    assert stats["adaptation_count"] >= 1
    assert stats["performance"]["compression_ratio"] == compression["average_compression_ratio"] > 50
    assert stats["performance"]["latency_ms"] == compression["average_latency_ms"]
    assert stats["performance"]["throughput_mbps"] == pytest.approx(8e-6 * compression["bytes_in"] / 5)
    assert stats["predictor"]["kinds"]["text"]["messages_learned"] == subject.messages_learned == 5
    json.dumps(stats, allow_nan=False)


def test_stats_that_are_reset_make_no_negative_throughput() -> None:
    subject = adaptive()
    subject.handler.compress(SAMPLES)
    subject.sample()
    subject.handler.reset_stats()
    subject.sample()
    assert subject.get_adaptation_stats()["performance"]["throughput_mbps"] > 0


async def test_a_profile_that_is_swapped_is_where_it_begins_anew() -> None:
    subject = adaptive(profile=CompressionProfile(level=3))
    assert subject.get_adaptation_stats()["current_level"] == 3
    subject.handler.profile = CompressionProfile(level=2, threshold_bytes=100_000)
    _, metadata = await subject.compress_with_adaptation(SAMPLES)
    assert (metadata["adaptive_level"], metadata["algorithm"]) == (2, "none")


def test_what_was_learned_goes_to_another_process() -> None:
    subject, later = adaptive(), adaptive()
    for _ in range(10):
        subject.handler.compress(SAMPLES)
    later.import_state(json.loads(json.dumps(subject.export_state())))
    assert later.messages_learned == subject.messages_learned
    with pytest.raises(ValueError, match=r".+"):
        later.import_state("junk")


def test_a_slow_path_wants_longer_frames() -> None:
    fast, slow = adaptive(), adaptive()
    fast.observe_delivery(1000, 0.001)
    slow.observe_delivery(1000, 10.0)
    assert fast.frame_duration_s(3000) < slow.frame_duration_s(3000, DataKind.TEXT)


@virtual_time
async def test_monitoring_reads_the_network_every_second_until_it_is_stopped() -> None:
    readings = 0

    def read() -> list[NetworkEstimator]:
        nonlocal readings
        readings += 1
        return []

    loop = asyncio.get_running_loop()
    subject = AdaptiveCompression(CompressionHandler(), network=read, clock=loop.time)
    await subject.start_monitoring()
    await subject.start_monitoring()
    await asyncio.sleep(3 * SAMPLE_S + 0.1)
    assert readings == 3
    await subject.stop_monitoring()
    await subject.stop_monitoring()
    await asyncio.sleep(3 * SAMPLE_S)
    assert readings == 3
