from __future__ import annotations

import itertools
import json
import sys
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.compression import (
    COMPRESSION_LEVEL,
    COMPRESSION_THRESHOLD,
    MAX_DECOMPRESSED_BYTES,
    MEM_LEVEL,
    WINDOW_BITS,
    CompressionHandler,
    get_compression_handler,
)
from streaming.core.deflate import Method, Strategy, inflate
from streaming.core.dictionary import DICTIONARY
from streaming.core.frames import FrameFlag
from streaming.core.levels import DataKind, Plan
from streaming.core.predictor import Outcome
from streaming.core.profiles import CompressionProfile
from streaming.ecg.codec import WaveformEncoder, decode
from streaming.exceptions import ProfileError, ProtocolError

ECG = np.cumsum(np.random.default_rng(0).integers(-9, 10, (12, 50)), axis=1).astype(np.int16)


def handler(**profile: Any) -> CompressionHandler:
    """A handler whose every measured step takes 2 ms."""
    ticks = itertools.count()
    return CompressionHandler(CompressionProfile(**profile), clock=lambda: next(ticks) * 0.002)


def test_choice_by_sample_rate_keeps_to_the_profiles_bounds() -> None:
    assert handler(min_level=5).optimize_for_ecg_data(10_000).level == 5
    assert handler(max_level=6, level=3).optimize_for_ecg_data(100).level <= 6


def same(restored: Any, data: Any) -> bool:
    if isinstance(data, np.ndarray):
        return restored.dtype == data.dtype and np.array_equal(
            restored, data, equal_nan=data.dtype.kind == "f"
        )
    return type(restored) is type(data) and bool(restored == data)


@pytest.mark.parametrize(
    ("data", "kind", "algorithm"),
    [
        (b"x" * 3000, "bytes", "deflate"),
        (b"x", "bytes", "none"),
        (b"", "bytes", "none"),
        ("ä" * 2000, "text", "deflate"),
        ("short", "text", "none"),
        ({"hr": [72, None, 1.5] * 200}, "json", "deflate"),
        ([1, 2, 3], "json", "none"),
        (None, "json", "none"),
        (ECG, "array", "ecg1"),
        (ECG[0], "array", "ecg1"),
        (ECG[:, ::2], "array", "ecg1"),
        (ECG.astype(np.int32) * 70_000, "array", "ecg1"),
        (np.full((1, 3), 2**30, np.int32), "array", "planes"),
        (np.zeros((2, 20_000), np.int16), "array", "planes"),
        (ECG * 0.005, "array", "deflate"),
        (ECG.astype(">i2"), "array", "deflate"),
        (np.array([np.nan, 1.0]), "array", "none"),
        (np.array(5, np.int16), "array", "none"),
        (np.zeros((0, 3), np.int16), "array", "none"),
    ],
)
def test_everything_comes_back_as_it_was(data: Any, kind: str, algorithm: str) -> None:
    compressed, metadata = handler().compress(data)
    assert (metadata["kind"], metadata["algorithm"]) == (kind, algorithm)
    assert metadata["compressed"] is (algorithm != "none")
    assert same(handler().decompress(compressed, metadata), data)


@given(st.binary(max_size=3000) | st.text(st.characters(codec="utf-8"), max_size=2000))
def test_any_bytes_and_text_come_back(data: bytes | str) -> None:
    assert same(handler().decompress(*handler(threshold_bytes=10).compress(data)), data)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=50))
def test_any_samples_come_back_and_their_json_is_measured_exactly(values: list[int]) -> None:
    data = np.array([values, values[::-1]], np.int32)
    compressed, metadata = handler().compress(data)
    assert same(handler().decompress(compressed, metadata), data)
    json_bytes = len(json.dumps(data.tolist(), separators=(",", ":")))
    assert metadata["ratio_vs_json"] == pytest.approx(100 * (1 - len(compressed) / json_bytes))


def test_metadata_says_what_it_cost_and_saved() -> None:
    compressed, metadata = handler(level=9).compress(b"ab" * 1000)
    assert metadata["original_size"] == 2000
    assert metadata["compressed_size"] == len(compressed)
    assert metadata["compression_ratio"] == pytest.approx(100 * (1 - len(compressed) / 2000))
    assert metadata["compression_time_ms"] == pytest.approx(2.0)
    assert metadata["level"] == 9
    json.dumps(metadata)


def test_bytearrays_and_views_are_bytes() -> None:
    for data in (bytearray(b"abc"), memoryview(b"abc")):
        compressed, metadata = handler().compress(data)
        assert handler().decompress(compressed, metadata) == b"abc"


def test_data_at_the_threshold_is_left_alone_and_one_byte_more_is_not() -> None:
    assert handler().compress(b"x" * 1024)[1]["algorithm"] == "none"
    assert handler().compress(b"x" * 1025)[1]["algorithm"] == "deflate"


def test_data_that_deflate_would_grow_is_left_alone() -> None:
    noise = np.random.default_rng(1).bytes(5000)
    compressed, metadata = handler().compress(noise)
    assert compressed == noise
    assert metadata["compressed"] is False
    assert metadata["compression_ratio"] == 0.0


def test_short_waveforms_are_compressed_all_the_same() -> None:
    second = ECG[:1, :50]
    assert second.nbytes < 1024
    compressed, metadata = handler().compress(second)
    assert metadata["compressed"] is True
    assert len(compressed) < second.nbytes


@pytest.mark.parametrize("data", [object(), {1, 2}, np.array(["x"]), np.array([object()])])
def test_what_has_no_wire_form_is_a_type_error(data: Any) -> None:
    with pytest.raises(TypeError):
        handler().compress(data)


def test_json_holds_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        handler().compress([float("nan")])


ARRAY = {"kind": "array", "algorithm": "ecg1", "dtype": "<i2", "shape": [12, 50], "original_size": 1200}
PLANES = {"kind": "array", "algorithm": "planes", "dtype": "<i2", "shape": [1, 5000], "original_size": 10_000}
LONG = np.zeros((1, 5000), np.int16)


@pytest.mark.parametrize(
    ("data", "metadata"),
    [
        (b"x", {}),
        (b"x", {"algorithm": "none", "kind": "bytes"}),
        (b"x", {"algorithm": "none", "kind": "bytes", "original_size": 2}),
        (b"x", {"algorithm": "none", "kind": "bytes", "original_size": "1"}),
        (b"x", {"algorithm": "none", "kind": "bytes", "original_size": -1}),
        (b"x", {"algorithm": "none", "kind": "film", "original_size": 1}),
        (b"x", {"algorithm": "none", "kind": "json", "original_size": 1}),
        (b"\xff", {"algorithm": "none", "kind": "text", "original_size": 1}),
        (b"[" * 100_000, {"algorithm": "none", "kind": "json", "original_size": 100_000}),
        (b"x", {"algorithm": "deflate", "kind": "bytes", "original_size": 1}),
        (b"x", {"algorithm": "lzma", "kind": "bytes", "original_size": 1}),
        (b"x", {"algorithm": "deflate", "kind": "bytes", "original_size": MAX_DECOMPRESSED_BYTES + 1}),
        (handler().compress(LONG)[0], PLANES | {"shape": [1, 5001]}),
        (handler().compress(LONG)[0], PLANES | {"dtype": "<f8"}),
        (handler().compress(ECG)[0], ARRAY | {"original_size": 1201}),
        (handler().compress(ECG)[0][:-1], ARRAY),
        (handler().compress(ECG)[0], ARRAY | {"shape": [12, 51]}),
        (handler().compress(ECG)[0], ARRAY | {"shape": "no"}),
        (handler().compress(ECG)[0], ARRAY | {"dtype": "<f8"}),
        (handler().compress(ECG)[0], ARRAY | {"dtype": "<i4"}),
        (handler().compress(ECG)[0], ARRAY | {"original_size": 1199}),
        (b"x" * 8, {"algorithm": "none", "kind": "array", "original_size": 8, "dtype": "O", "shape": [1]}),
        (b"x" * 8, {"algorithm": "none", "kind": "array", "original_size": 8, "dtype": "<f8", "shape": [2]}),
        (b"x" * 8, {"algorithm": "none", "kind": "array", "original_size": 8, "dtype": "zz", "shape": [1]}),
        (b"x" * 8, {"algorithm": "none", "kind": "array", "original_size": 8, "dtype": ",", "shape": [1]}),
        (b"x" * 8, {"algorithm": "none", "kind": "array", "original_size": 8, "dtype": 7, "shape": [1]}),
    ],
)
def test_data_and_metadata_that_do_not_belong_together_are_refused(data: bytes, metadata: Any) -> None:
    with pytest.raises(ProtocolError):
        handler().decompress(data, metadata)


def test_decompression_never_goes_beyond_what_the_metadata_claims() -> None:
    bomb, metadata = handler(level=9).compress(bytes(40_000_000))
    tracemalloc.start()
    with pytest.raises(ProtocolError):
        handler().decompress(bomb, metadata | {"original_size": 50_000})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_samples_for_the_wire_describe_themselves() -> None:
    assert np.array_equal(decode(handler().compress_samples(ECG, WaveformEncoder())), ECG)


WITH_DICTIONARY = FrameFlag.DEFLATED | FrameFlag.DICTIONARY


def test_json_for_the_wire_says_how_it_is_deflated() -> None:
    short, long = '{"type":"time","server_ms":1.8e12}', '{"type":"roster","streams":[' + '"Ä",' * 1000 + "1]}"
    assert handler().compress_json(short) == (short.encode(), FrameFlag.NONE)
    payload, flags = handler().compress_json(long)
    assert flags == WITH_DICTIONARY
    assert inflate(payload, max_bytes=65536, dictionary=DICTIONARY).decode() == long


def test_what_is_compressed_for_the_caller_needs_no_dictionary() -> None:
    body, metadata = handler().compress("x" * 2000)
    assert metadata["algorithm"] == "deflate"
    assert inflate(body, max_bytes=2000) == b"x" * 2000


def test_every_message_stands_alone() -> None:
    both = handler()
    assert (
        both.compress_samples(ECG, WaveformEncoder())
        == both.compress_samples(ECG, WaveformEncoder())
        == handler().compress_samples(ECG, WaveformEncoder())
    )


def test_the_shipped_settings_are_the_documented_ones() -> None:
    assert (WINDOW_BITS, MEM_LEVEL, COMPRESSION_LEVEL, COMPRESSION_THRESHOLD) == (12, 5, 6, 1024)
    assert CompressionHandler().profile == CompressionProfile()


def test_an_assigned_profile_holds_from_the_next_message_on() -> None:
    subject = handler()
    text = json.dumps(list(range(2000)))
    before = subject.compress_json(text)[0]
    subject.profile = CompressionProfile(level=1)
    after = subject.compress_json(text)[0]
    assert len(after) > len(before)
    assert subject.get_compression_stats()["current_level"] == 1
    subject.profile = CompressionProfile(threshold_bytes=100_000)
    assert subject.compress_json(text) == (text.encode(), FrameFlag.NONE)


def test_statistics_count_messages_bytes_and_time() -> None:
    subject = handler()
    payload = subject.compress_samples(ECG, WaveformEncoder())
    body, metadata = subject.compress(b"z" * 2000)
    subject.decompress(body, metadata)
    subject.compress_json("{}")
    stats = subject.get_compression_stats()
    out = len(payload) + len(body) + 2
    assert stats["current_level"] == 6
    assert stats["messages_processed"] == 3
    assert stats["messages_compressed"] == 2
    assert (stats["bytes_in"], stats["bytes_out"]) == (1200 + 2000 + 2, out)
    assert stats["average_compression_ratio"] == pytest.approx(100 * (1 - out / 3202))
    assert stats["space_saved_mb"] == pytest.approx((3202 - out) / 1e6)
    assert stats["average_latency_ms"] == pytest.approx(2.0)
    assert stats["max_latency_ms"] == pytest.approx(2.0)
    assert stats["messages_decompressed"] == 1
    assert stats["average_decompression_ms"] == pytest.approx(2.0)
    json_bytes = len(json.dumps(ECG.tolist(), separators=(",", ":")))
    assert stats["waveform_messages"] == 1
    assert stats["ratio_vs_json"] == pytest.approx(100 * (1 - len(payload) / json_bytes))


def test_a_wide_container_does_not_flatter_the_waveform_ratio() -> None:
    subject = handler()
    subject.compress_samples(ECG.astype(np.int32), WaveformEncoder())
    assert subject.get_compression_stats()["waveform_bytes_in"] == 2 * ECG.size


def test_statistics_begin_at_nothing_and_can_begin_again() -> None:
    subject = handler()
    fresh = subject.get_compression_stats()
    assert fresh["average_compression_ratio"] == 0.0
    assert fresh["average_latency_ms"] == 0.0
    assert fresh["ratio_vs_json"] is None
    subject.compress(b"x" * 5000)
    assert subject.get_compression_stats() != fresh
    subject.reset_stats()
    assert subject.get_compression_stats() == fresh


@pytest.mark.parametrize(("sample_rate", "level"), [(250, 6), (360, 6), (500, 4), (1000, 4), (2000, 1)])
def test_faster_sampling_takes_less_effort(sample_rate: float, level: int) -> None:
    subject = handler(level=9, threshold_bytes=2048)
    assert subject.optimize_for_ecg_data(sample_rate) == CompressionProfile(level=level, threshold_bytes=2048)
    assert subject.profile.level == level


@pytest.mark.parametrize("sample_rate", [0, -1, float("nan"), float("inf")])
def test_no_sample_rate_no_optimization(sample_rate: float) -> None:
    with pytest.raises(ValueError, match="sample rate"):
        handler().optimize_for_ecg_data(sample_rate)


def test_a_benchmark_times_round_trips_and_leaves_the_statistics_alone() -> None:
    subject = handler()
    result = subject.benchmark_compression(ECG, iterations=7)
    assert result["iterations"] == 7
    assert result["compression_ms"] == pytest.approx(2.0)
    assert result["decompression_ms"] == pytest.approx(2.0)
    assert result["compression_ratio"] == pytest.approx(100 * (1 - result["compressed_size"] / 1200))
    assert result["throughput_mbps"] == pytest.approx(8 * 1200 / 2e-3 / 1e6)
    assert subject.get_compression_stats()["messages_processed"] == 0
    with pytest.raises(ValueError, match="iterations"):
        subject.benchmark_compression(ECG, iterations=0)


def test_a_profile_outside_zlib_is_refused() -> None:
    with pytest.raises(ProfileError):
        handler(level=10)


class Chosen:
    """A steering that always says the same, and remembers what came of it."""

    def __init__(self, method: Method, rival: Method | None = None) -> None:
        self.method, self.rival = method, rival
        self.asked: list[DataKind] = []
        self.learned: list[tuple[Outcome, Outcome | None]] = []
        self.seen = 0

    def plan(self, kind: DataKind, plain: bytes) -> Plan:
        self.asked.append(kind)
        return Plan(kind, self.method, rival=self.rival)

    def learn(self, plan: Plan, one: Outcome, other: Outcome | None) -> None:
        self.learned.append((one, other))

    def saw(self, samples: Any) -> None:
        self.seen += 1


def steered(*methods: Method) -> tuple[CompressionHandler, Chosen]:
    subject = handler()
    subject.steering = chosen = Chosen(*methods)
    return subject, chosen


DIGITS = np.random.default_rng(1).integers(-400, 400, 3000).tolist()
NINE, ONE = Method(9, 15, 9, Strategy.FILTERED), Method(1, 12, 5)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (DIGITS, DataKind.TEXT),
        ("72 " * 900, DataKind.TEXT),
        (b"72 " * 900, DataKind.BYTES),
        (np.arange(900.0), DataKind.BYTES),
        (np.tile(ECG, (1, 90)), DataKind.SAMPLES),
    ],
)
def test_a_steering_chooses_the_method_of_whatever_is_compressed(data: Any, kind: DataKind) -> None:
    subject, chosen = steered(NINE)
    body, metadata = subject.compress(data)
    assert chosen.asked == [kind]
    assert metadata["level"] == 9
    ((one, other),) = chosen.learned
    assert (one[0], other) == (len(body), None)
    assert one[1] == pytest.approx(0.002)
    assert same(subject.decompress(body, metadata), data)


def test_of_two_methods_the_smaller_result_goes() -> None:
    for methods in ((NINE, ONE), (ONE, NINE)):
        subject, chosen = steered(*methods)
        body, metadata = subject.compress(DIGITS)
        ((one, other),) = chosen.learned
        assert other is not None
        assert len(body) == min(one[0], other[0])
        assert metadata["level"] == 9
        assert subject.decompress(body, metadata) == DIGITS


def test_a_steering_is_not_asked_about_what_is_not_compressed() -> None:
    subject, chosen = steered(NINE)
    subject.compress(b"x")
    subject.compress_json("{}")
    subject.compress_json('{"type":"time","server_ms":1800000000000.0}')
    subject.profile = CompressionProfile(threshold_bytes=0)
    subject.compress(b"")
    assert chosen.asked == []


def test_json_for_the_wire_is_steered_as_well() -> None:
    subject, chosen = steered(NINE)
    text = json.dumps(DIGITS)
    body, flags = subject.compress_json(text)
    assert flags == FrameFlag.DEFLATED
    assert chosen.asked == [DataKind.MESSAGE]
    assert inflate(body, max_bytes=len(text)).decode() == text
    chosen.method = replace(NINE, dictionary=True)
    assert subject.compress_json(text)[1] == WITH_DICTIONARY


def test_shared_waveforms_are_seen_and_keep_the_profiles_level() -> None:
    subject, chosen = steered(NINE)
    encode = WaveformEncoder
    assert subject.compress_samples(ECG, encode()) == handler().compress_samples(ECG, encode())
    subject.took_compressed(ECG, b"as it came")
    assert (chosen.asked, chosen.seen) == ([], 2)


def test_there_is_one_handler_for_a_process() -> None:
    assert get_compression_handler() is get_compression_handler()


def test_a_thousand_handlers_are_small() -> None:
    tracemalloc.start()
    handlers = [CompressionHandler() for _ in range(1000)]
    for each in handlers:
        each.compress_samples(ECG, WaveformEncoder())
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2_000_000
    assert not hasattr(handlers[0], "__dict__")
    assert sys.getsizeof(handlers[0]) < 200
