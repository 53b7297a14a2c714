from __future__ import annotations

import json
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.core import messages
from streaming.ecg.codec import CodecId, PayloadHeader, decode, read_header
from streaming.ecg.planes import (
    HEADER,
    MAX_LEADS,
    MAX_SAMPLES,
    Samples,
    encode_planes,
    from_planes,
    to_planes,
)
from streaming.exceptions import ProtocolError
from tests.make_vectors import waveforms as make_waveforms

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "waveforms.json").read_text())
DTYPES = {16: np.int16, 32: np.int32}


@st.composite
def samples(draw: st.DrawFn) -> Samples:
    dtype: np.dtype[Any] = np.dtype(draw(st.sampled_from(["int16", "int32"])))
    shape = (draw(st.integers(1, 16)), draw(st.integers(1, 60)))
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    return np.cumsum(rng.integers(-200, 201, shape), axis=1).astype(dtype)


def encode(data: Samples, *, level: int = 6, window_bits: int = 12, mem_level: int = 5) -> bytes:
    return encode_planes(data, level=level, window_bits=window_bits, mem_level=mem_level)


@pytest.mark.parametrize("case", VECTORS["valid"], ids=lambda case: case["name"])
def test_decodes_the_vectors(case: dict[str, Any]) -> None:
    decoded = decode(bytes.fromhex(case["hex"]))
    assert decoded.dtype == DTYPES[case["bits"]]
    assert decoded.tolist() == case["samples"]


@pytest.mark.parametrize("case", VECTORS["malformed"], ids=lambda case: case["name"])
def test_refuses_malformed_payloads(case: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        decode(bytes.fromhex(case["hex"]))


def test_the_vectors_have_every_case() -> None:
    assert {part: [c["name"] for c in cases] for part, cases in make_waveforms().items()} == {
        part: [c["name"] for c in cases] for part, cases in VECTORS.items()
    }


@given(samples(), st.integers(1, 9), st.integers(9, 15), st.integers(1, 9))
@settings(max_examples=150)
def test_every_sample_comes_back(data: Samples, level: int, window_bits: int, mem_level: int) -> None:
    payload = encode(data, level=level, window_bits=window_bits, mem_level=mem_level)
    decoded = decode(payload)
    assert np.array_equal(decoded, data)
    assert decoded.dtype == data.dtype
    assert decoded.flags.c_contiguous
    assert decoded.flags.writeable
    assert read_header(payload) == PayloadHeader(CodecId(1 if data.dtype == np.int16 else 2), *data.shape)


def test_planes_are_the_documented_bytes() -> None:
    # Differences 3, -1 and 300, -300; zigzag 6, 1 and 600, 599: low bytes of both leads, then high bytes.
    data = np.array([[3, 2], [300, 0]], np.int16)
    assert to_planes(data) == bytes([6, 1, 600 & 255, 599 & 255, 0, 0, 600 >> 8, 599 >> 8])
    assert to_planes(data.astype(np.int32))[:4] == bytes([6, 1, 600 & 255, 599 & 255])


def test_planes_of_any_shape_come_back() -> None:
    data = np.arange(60, dtype=np.int32).reshape(3, 4, 5) ** 4
    assert np.array_equal(from_planes(to_planes(data), data.shape, 4), data)


def test_a_slice_of_a_recording_is_encoded_as_it_looks() -> None:
    recording = np.arange(400, dtype=np.int16).reshape(200, 2).T
    assert np.array_equal(decode(encode(recording[:, 50:75])), recording[:, 50:75])


def test_real_ecg_shrinks() -> None:
    rng = np.random.default_rng(1)
    time = np.arange(90) / 360
    beat = 250 * np.exp(-(((time - 0.12) / 0.012) ** 2)) + rng.normal(0, 1.5, 90)
    data = np.stack([beat, 0.6 * beat]).round().astype(np.int16)
    assert len(encode(data)) < 0.55 * data.nbytes


@pytest.mark.parametrize(
    "data",
    [
        np.zeros(5, np.int16),
        np.zeros((0, 5), np.int16),
        np.zeros((17, 5), np.int16),
        np.zeros((2, 0), np.int16),
        np.zeros((1, 8193), np.int16),
        np.zeros((2, 5), np.float64),
        np.zeros((2, 5), np.uint16),
        np.zeros((2, 5), np.int64),
    ],
    ids=lambda data: f"{data.dtype}{data.shape}",
)
def test_what_is_no_waveform_is_not_encoded(data: Any) -> None:
    with pytest.raises(ValueError, match=r"shape|not int16"):
        encode(data)


def test_a_receiver_may_set_lower_limits() -> None:
    payload = encode(np.zeros((3, 40), np.int16))
    decode(payload, max_leads=3, max_samples=40)
    for limits in ({"max_leads": 2}, {"max_samples": 39}):
        with pytest.raises(ProtocolError, match="than allowed"):
            decode(payload, **limits)


def test_a_stored_block_with_a_wrong_check_is_refused() -> None:
    body = b"\x01\x04\x00\xfb\xfe" + bytes(4)
    with pytest.raises(ProtocolError, match="not raw deflate"):
        decode(HEADER.pack(1, 1, 2) + body)


def test_a_bomb_takes_no_more_memory_than_its_header_announces() -> None:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = stream.compress(bytes(30_000_000)) + stream.flush()
    tracemalloc.start()
    with pytest.raises(ProtocolError):
        decode(HEADER.pack(2, MAX_LEADS, MAX_SAMPLES) + bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3_000_000


@given(st.data())
@settings(max_examples=300)
def test_any_bytes_are_a_waveform_or_a_protocol_error(data: st.DataObject) -> None:
    payload = bytearray.fromhex(data.draw(st.sampled_from(VECTORS["valid"]))["hex"])
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    for message in (bytes(payload), data.draw(st.binary(max_size=60))):
        try:
            decoded = decode(message)
        except ProtocolError:
            continue
        assert decoded.shape == (read_header(message).leads, read_header(message).samples)


def test_the_limits_are_those_of_the_protocol() -> None:
    assert (MAX_LEADS, MAX_SAMPLES) == (messages.MAX_LEADS, messages.MAX_CHUNK_SAMPLES)
