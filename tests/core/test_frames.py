from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.frames import (
    HEADER,
    MAX_FRAME_BYTES,
    Frame,
    FrameFlag,
    FrameKind,
    decode_bundle,
    decode_frame,
    encode_frame,
    frame_text,
    pack_json_frame,
)
from streaming.core.framing import encode_bundle
from streaming.exceptions import ProtocolError
from tests import make_tables
from tests.make_vectors import frames as make_frames

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "frames.json").read_text())

FRAMES = st.builds(
    Frame,
    st.sampled_from([FrameKind.WAVEFORM, FrameKind.BACKFILL]),
    st.just(FrameFlag.NONE),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(min_size=1, max_size=300),
) | st.builds(
    Frame,
    st.just(FrameKind.JSON),
    st.sampled_from([FrameFlag.NONE, FrameFlag.DEFLATED, FrameFlag.DEFLATED | FrameFlag.DICTIONARY]),
    st.just(0),
    st.just(0),
    st.binary(min_size=1, max_size=300),
)


def encoded(frame: Frame) -> bytes:
    return encode_frame(frame.kind, frame.alias, frame.first, frame.payload, frame.flags)


@pytest.mark.parametrize("case", VECTORS["valid"], ids=lambda case: case["name"])
def test_reads_the_vectors(case: dict[str, Any]) -> None:
    frames = list(decode_bundle(bytes.fromhex(case["hex"])))
    assert [
        {"kind": f.kind, "flags": f.flags, "alias": f.alias, "first": f.first, "payload": f.payload.hex()}
        for f in frames
    ] == case["frames"]
    assert [frame_text(f) for f in frames if f.kind is FrameKind.JSON] == case["texts"]
    assert encode_bundle(map(encoded, frames)).hex() == case["hex"]


@pytest.mark.parametrize("case", VECTORS["malformed"], ids=lambda case: case["name"])
def test_refuses_malformed_bundles(case: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        list(decode_bundle(bytes.fromhex(case["hex"])))


@pytest.mark.parametrize("case", VECTORS["malformed_text"], ids=lambda case: case["name"])
def test_refuses_malformed_text(case: dict[str, Any]) -> None:
    [frame] = decode_bundle(bytes.fromhex(case["hex"]))
    with pytest.raises(ProtocolError):
        frame_text(frame)


def test_the_vectors_have_every_case() -> None:
    assert {part: [c["name"] for c in cases] for part, cases in make_frames().items()} == {
        part: [c["name"] for c in cases] for part, cases in VECTORS.items()
    }


def test_the_page_has_the_same_dictionary() -> None:
    made = make_tables.dictionary()
    assert make_tables.DICTIONARY_MODULE.read_text() == made, "run: python -m tests.make_tables"


@given(st.lists(FRAMES, min_size=1, max_size=8))
def test_frames_come_back_from_a_bundle(frames: list[Frame]) -> None:
    assert list(decode_bundle(encode_bundle(map(encoded, frames)))) == frames


@pytest.mark.parametrize("size", [1, 0x7F - 8, 0x80 - 8, 0x3FFF - 8, 0x4000 - 8, MAX_FRAME_BYTES - 8])
def test_lengths_around_each_varint_size(size: int) -> None:
    [frame] = decode_bundle(encode_bundle([encode_frame(FrameKind.WAVEFORM, 1, 2, bytes(size))]))
    assert len(frame.payload) == size


@pytest.mark.parametrize("size", [0, MAX_FRAME_BYTES - HEADER.size + 1])
def test_a_frame_that_nobody_would_take_is_not_made(size: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode_frame(FrameKind.WAVEFORM, 1, 2, bytes(size))


def test_a_longer_frame_is_refused_though_it_is_all_there() -> None:
    frame = HEADER.pack(FrameKind.WAVEFORM, 0, 1, 2) + bytes(MAX_FRAME_BYTES - HEADER.size + 1)
    with pytest.raises(ProtocolError, match="out of bounds"):
        list(decode_bundle(b"\x01\x81\x80\x04" + frame))


def test_a_message_is_packed_with_the_dictionary_where_that_is_shorter() -> None:
    vitals = '{"type":"vitals","stream":"bed-7","epoch":3,"sample":360,"hr":72.5,"hr_source":"II"}'
    packed = decode_frame(pack_json_frame(vitals))
    assert packed.flags == FrameFlag.DEFLATED | FrameFlag.DICTIONARY
    assert len(packed.payload) < len(vitals) / 2
    assert frame_text(packed) == vitals
    foreign = decode_frame(pack_json_frame("{1}"))
    assert (foreign.flags, foreign.payload) == (FrameFlag.NONE, b"{1}")


def test_the_dictionary_flag_never_comes_alone() -> None:
    for kind in FrameKind:
        with pytest.raises(ProtocolError, match="do not fit"):
            decode_frame(HEADER.pack(kind, FrameFlag.DICTIONARY, 0, 0) + b"{}")


@pytest.mark.parametrize("size", [0, 7, 8])
def test_a_header_without_a_payload_is_no_frame(size: int) -> None:
    with pytest.raises(ProtocolError, match="shorter"):
        decode_frame(encode_frame(FrameKind.WAVEFORM, 1, 2, b"x")[:size])


def test_a_waveform_has_no_text() -> None:
    with pytest.raises(ProtocolError, match="not JSON"):
        frame_text(decode_frame(encode_frame(FrameKind.WAVEFORM, 1, 2, b"{}")))


def test_text_is_inflated_within_the_bound_that_is_given() -> None:
    [frame] = decode_bundle(bytes.fromhex(VECTORS["malformed_text"][-1]["hex"]))
    assert frame_text(frame, max_bytes=2**20 + 1) == " " * (2**20 + 1)


@given(st.binary(max_size=80))
def test_any_bytes_are_frames_or_a_protocol_error(data: bytes) -> None:
    for message in (data, b"\x01" + data):
        try:
            frames = list(decode_bundle(message))
        except ProtocolError:
            continue
        assert encode_bundle(map(encoded, frames)) == message
        for frame in frames:
            try:
                frame_text(frame)
            except ProtocolError:
                continue
