"""Frames of a rendition: what each speaks for, when it is full, and that nothing is lost between two."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from streaming.core.renditions import LADDER, Quality, Rendition
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.ecg import codec
from streaming.ecg.frame_maker import FrameMaker, RenderedFrame, late_frames
from streaming.ecg.renditions import Renderer

RATE_HZ = 500.0
SIGNAL = np.random.default_rng(5).integers(-900, 900, (3, 6000)).cumsum(axis=1).astype(np.int32)
WITH_SAMPLES = [rendition for rendition in LADDER if rendition.quality is not Quality.VITALS]


def info_of(stream: str = "a", leads: int = 3) -> StreamInfo:
    names = ("I", "II", "V1", *(f"x{n}" for n in range(13)))[:leads]
    return StreamInfo(
        stream, 1, "P-1", "w", Source.SIM, RATE_HZ, tuple(Lead(name, 1.0, adc_bits=24) for name in names)
    )


def made(maker: FrameMaker, first: int, stop: int, chunk: int = 50) -> list[RenderedFrame]:
    """The frames of SIGNAL from `first` to `stop`, given in chunks, and the index at which each came."""
    frames = []
    for at in range(first, stop, chunk):
        frames += maker.push(at, SIGNAL[:, at : min(at + chunk, stop)])
    return frames


@pytest.mark.parametrize("rendition", WITH_SAMPLES)
@pytest.mark.parametrize("chunk", [7, 50, 1000])
def test_frames_follow_without_a_hole_and_hold_what_the_renderer_makes(
    rendition: Rendition, chunk: int
) -> None:
    maker = FrameMaker(rendition, info_of())
    frames = made(maker, 11, 5000, chunk) + maker.flush()
    assert frames[0].after == 11
    for frame, following in pairwise(frames):
        assert frame.stop == following.after <= following.first < frame.stop + maker.factor
    renderer = Renderer(rendition.quality, RATE_HZ, info_of().leads)
    pieces = renderer.push(11, SIGNAL[:, 11:5000]) + renderer.flush()
    right = np.concatenate([piece.samples for piece in pieces], axis=1)
    assert (
        np.concatenate([codec.decode(frame.payload) for frame in frames], axis=1).tolist() == right.tolist()
    )
    assert 5000 - frames[-1].stop < maker.factor


@pytest.mark.parametrize("rendition", WITH_SAMPLES)
def test_frames_are_as_long_as_the_rendition_says_to_a_chunk(rendition: Rendition) -> None:
    frames = made(FrameMaker(rendition, info_of()), 0, 5000)
    lengths = [frame.stop - frame.after for frame in frames[1:]]
    assert abs(np.mean(lengths) - rendition.frame_s * RATE_HZ) <= 5
    assert max(lengths) <= rendition.frame_s * RATE_HZ + 50


def test_streams_fill_their_frames_at_different_times() -> None:
    ends = {
        made(FrameMaker(Rendition(Quality.OVERVIEW, 1.0), info_of(f"bed-{number}")), 0, 2000)[0].stop
        for number in range(20)
    }
    assert len(ends) > 5


def test_a_chunk_that_is_longer_than_a_frame_may_be_is_cut() -> None:
    maker = FrameMaker(Rendition(Quality.LOSSLESS, 0.1), info_of(leads=16))
    frames = maker.push(0, np.repeat(SIGNAL[:1, :2000], 16, axis=0))
    assert [frame.stop for frame in frames] == [960, 1920, 2000]
    assert all(len(frame.payload) < 64 * 1024 for frame in frames)


def test_it_begins_where_it_is_told_and_sees_what_was_before() -> None:
    whole = FrameMaker(Rendition(Quality.OVERVIEW, 1.0), info_of())
    reference = np.concatenate(
        [codec.decode(frame.payload) for frame in made(whole, 0, 4000) + whole.flush()], axis=1
    )
    maker = FrameMaker(Rendition(Quality.OVERVIEW, 1.0), info_of())
    maker.begin(1003)
    maker.feed(1003 - maker.lead_in, SIGNAL[:, 1003 - maker.lead_in : 1003])
    frames = made(maker, 1003, 4000) + maker.flush()
    assert (frames[0].after, frames[0].first) == (1003, 1005)
    samples = np.concatenate([codec.decode(frame.payload) for frame in frames], axis=1)
    assert samples.tolist() == reference[:, 201:].tolist()


@pytest.mark.parametrize(("stop", "last"), [(0, None), (1, 1), (400, 396), (401, 401)])
def test_what_is_made_until_an_index(stop: int, last: int | None) -> None:
    maker = FrameMaker(Rendition(Quality.OVERVIEW, 1.0), info_of())
    maker.feed(0, SIGNAL[:, :450])
    frames = maker.made_until(stop)
    assert [frame.stop for frame in frames] == ([] if last is None else [last])


def test_late_samples_are_frames_of_their_own() -> None:
    (frame,) = late_frames(Rendition(Quality.DISPLAY, 0.5), info_of(), 301, SIGNAL[:, 301:360])
    assert (frame.first, frame.stop) == (302, 359)
    assert codec.decode(frame.payload).shape == (3, 29)
