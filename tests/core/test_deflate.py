from __future__ import annotations

import contextlib
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.deflate import Method, Strategy, deflate, deflate_short, inflate
from streaming.core.dictionary import DICTIONARY
from streaming.exceptions import ProtocolError


@given(st.binary(max_size=2000), st.integers(1, 9), st.integers(9, 15), st.integers(1, 9))
def test_every_setting_inflates_to_the_same(
    data: bytes, level: int, window_bits: int, mem_level: int
) -> None:
    packed = deflate(data, level=level, window_bits=window_bits, mem_level=mem_level)
    assert inflate(packed, max_bytes=len(data)) == data


@given(
    st.binary(max_size=2000),
    st.integers(1, 9),
    st.integers(9, 15),
    st.integers(1, 9),
    st.sampled_from(Strategy),
)
def test_every_method_inflates_to_the_same_behind_the_dictionary(
    data: bytes, level: int, window_bits: int, mem_level: int, strategy: Strategy
) -> None:
    for plain in (data, DICTIONARY[-300:] + data):
        method = Method(level, window_bits, mem_level, strategy, dictionary=True)
        packed = method.deflate(plain)
        assert packed == method.deflate(plain)
        assert inflate(packed, max_bytes=len(plain), dictionary=DICTIONARY) == plain


def test_what_needs_the_dictionary_is_refused_without_it() -> None:
    packed = deflate_short(DICTIONARY[-200:])
    assert len(packed) < 20
    assert inflate(packed, max_bytes=200, dictionary=DICTIONARY) == DICTIONARY[-200:]
    with pytest.raises(ProtocolError):
        inflate(packed, max_bytes=200)


def test_the_bound_holds_behind_the_dictionary() -> None:
    with pytest.raises(ProtocolError, match="more than 199 bytes"):
        inflate(deflate_short(DICTIONARY[-200:]), max_bytes=199, dictionary=DICTIONARY)


def test_a_bomb_takes_no_more_memory_than_the_bound() -> None:
    bomb = deflate(bytes(50_000_000), level=9, window_bits=15, mem_level=9)
    tracemalloc.start()
    with pytest.raises(ProtocolError, match="more than 100000 bytes"):
        inflate(bomb, max_bytes=100_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


@given(st.binary(max_size=60))
def test_any_bytes_inflate_or_are_a_protocol_error(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert len(inflate(data, max_bytes=1000)) <= 1000


@pytest.mark.parametrize("change", ["cut", "behind", "twice", "empty"])
def test_only_one_complete_stream_is_taken(change: str) -> None:
    packed = deflate(b"one stream " * 9, level=6, window_bits=12, mem_level=5)
    wrong = {"cut": packed[:-1], "behind": packed + b"\0", "twice": packed * 2, "empty": b""}[change]
    with pytest.raises(ProtocolError):
        inflate(wrong, max_bytes=1000)
