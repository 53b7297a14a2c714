"""The last seconds of a stream, decoded only where somebody asks."""

from __future__ import annotations

import numpy as np
import pytest

from streaming.core.bundle import WaveFrame
from streaming.core.frames import FrameKind
from streaming.ecg import codec
from streaming.ecg.strip import KEPT_S, Strip
from streaming.exceptions import ProtocolError

SIGNAL = np.arange(20_000, dtype=np.int16).reshape(2, 10_000)


def frame(first: int, count: int, *, decoded: bool = True, payload: bytes | None = None) -> WaveFrame:
    samples = SIGNAL[:, first : first + count]
    payload = codec.WaveformEncoder().encode(samples) if payload is None else payload
    return WaveFrame(FrameKind.WAVEFORM, first, count, payload, samples if decoded else None)


def strip_of(*frames: WaveFrame) -> Strip:
    strip = Strip(100.0)
    for each in frames:
        strip.append(each)
    return strip


@pytest.mark.parametrize("decoded", [True, False])
@pytest.mark.parametrize(("index", "first"), [(0, 20), (20, 20), (25, 25), (30, 30), (49, 49)])
def test_since_an_index_or_since_the_oldest(index: int, first: int, decoded: bool) -> None:
    strip = strip_of(frame(20, 10, decoded=decoded), frame(30, 20))
    begins, samples = strip.since(index)
    assert begins == first
    assert samples.tolist() == SIGNAL[:, first:50].tolist()
    assert strip.stop == 50


def test_nothing_is_kept_behind_the_newest() -> None:
    strip = strip_of(frame(20, 10))
    with pytest.raises(LookupError):
        strip.since(30)
    with pytest.raises(LookupError):
        strip_of().since(0)


def test_only_the_last_seconds_are_kept() -> None:
    strip = strip_of(*(frame(first, 50) for first in range(0, 1000, 50)))
    begins, samples = strip.since(0)
    assert begins == 800, "the frame that holds the sample KEPT_S before the newest frame"
    assert 950 - KEPT_S * 100 == 825
    assert begins + samples.shape[1] == 1000


def test_a_hole_begins_the_strip_anew() -> None:
    strip = strip_of(frame(20, 10), frame(40, 10))
    assert strip.since(0)[0] == 40
    strip.clear(70)
    assert strip.stop == 70
    with pytest.raises(LookupError):
        strip.since(0)


def test_a_malformed_frame_is_found_by_who_asks_for_it() -> None:
    strip = strip_of(frame(20, 10, decoded=False, payload=b"no payload"), frame(30, 10))
    assert strip.since(30)[0] == 30
    with pytest.raises(ProtocolError):
        strip.since(29)


def test_the_newest_frame_alone() -> None:
    strip = strip_of(frame(20, 10), frame(30, 5, decoded=False))
    assert strip.newest().tolist() == SIGNAL[:, 30:35].tolist()
