"""What a ring keeps, for how long, and what it finds again."""

from __future__ import annotations

from dataclasses import replace

from streaming.core.bundle import Bundle, WaveFrame
from streaming.core.frames import FrameKind
from streaming.core.ring import KEPT_S, LATELY_S, NOTHING, Ring, Rings
from tests.viewers import stream_info

INFO = stream_info()


def frame(first: int, count: int = 50, *, size: int = 100, late: bool = False) -> WaveFrame:
    return WaveFrame(FrameKind.BACKFILL if late else FrameKind.WAVEFORM, first, count, b"x" * size)


def filled(*firsts: int, **options: int) -> Ring:
    ring = Ring(**options)
    for first in firsts:
        ring.append(INFO, frame(first), 0.0)
    return ring


def firsts(ring: Ring, first: int, stop: int, *, max_bytes: int = 10**6, epoch: int = 1) -> list[int]:
    return [found.first for found in ring.read(epoch, first, stop, max_bytes=max_bytes).frames]


def test_reads_newest_first_what_has_any_of_the_span() -> None:
    ring = filled(0, 50, 100, 150)
    assert firsts(ring, 99, 151) == [150, 100, 50]
    assert firsts(ring, 100, 150) == [100]
    assert firsts(ring, 200, 300) == []
    assert ring.read(2, 0, 300, max_bytes=1) == NOTHING


def test_a_page_has_at_most_the_bytes_but_one_frame_and_says_where_to_go_on() -> None:
    ring = filled(0, 50, 100, 150)
    page = ring.read(1, 0, 200, max_bytes=250)
    assert ([f.first for f in page.frames], page.next) == ([150, 100], 100)
    page = ring.read(1, 0, 100, max_bytes=1)
    assert ([f.first for f in page.frames], page.next) == ([50], 50)
    assert ring.read(1, 0, 50, max_bytes=1).next is None


def test_late_frames_stand_where_their_samples_do() -> None:
    ring = filled(0, 100)
    ring.append(INFO, frame(50, late=True), 1.0)
    assert firsts(ring, 0, 200) == [100, 50, 0]


def test_a_frame_that_is_there_already_is_not_kept_twice() -> None:
    ring = filled(0, 50)
    ring.append(INFO, frame(50), 1.0)
    ring.append(INFO, frame(60, 20), 1.0)
    assert len(ring) == 2


def test_forgets_by_age_in_every_epoch() -> None:
    ring = filled(0, 50)
    ring.append(replace(INFO, epoch=2), frame(0), 30.0)
    ring.forget(KEPT_S + 0.1)
    assert firsts(ring, 0, 100) == []
    assert firsts(ring, 0, 100, epoch=2) == [0]
    ring.forget(31 + KEPT_S)
    assert (len(ring), ring.size_bytes) == (0, 0)


def test_forgets_the_oldest_beyond_its_bytes() -> None:
    ring = filled(*range(0, 1000, 50), max_bytes=1000)
    assert ring.size_bytes <= 1000
    assert firsts(ring, 0, 1000) == [950, 900, 850]


def test_what_is_dropped_first_may_stand_anywhere() -> None:
    ring = filled(100, 50, 0)
    ring.append(INFO, frame(150), KEPT_S + 1)
    assert firsts(ring, 0, 200) == [150]


def test_keeps_payloads_and_no_samples_beside_them() -> None:
    ring = Ring()
    ring.append(INFO, replace(frame(0), samples=object()), 0.0)  # type: ignore[arg-type]
    assert ring.read(1, 0, 50, max_bytes=1).frames[0].samples is None


class TestRings:
    def test_only_what_a_device_here_wrote_is_answered_for(self) -> None:
        rings = Rings()
        rings.take(Bundle(INFO, frames=(frame(0),)), 0.0, own=False)
        assert rings.own("a") is None
        assert rings.read("a", 1, 0, 50, max_bytes=1).frames
        rings.take(Bundle(INFO, frames=(frame(50),)), 0.0, own=True)
        assert rings.own("a") is not None

    def test_a_stream_of_which_nothing_comes_is_forgotten(self) -> None:
        rings = Rings()
        rings.take(Bundle(INFO, frames=(frame(0),)), 0.0, own=True)
        rings.forget(KEPT_S + 1)
        assert rings.own("a") is None
        assert rings.read("b", 1, 0, 1, max_bytes=1) == NOTHING

    def test_a_stream_stands_where_its_last_live_frame_ended_if_that_was_lately(self) -> None:
        rings = Rings()
        rings.take(Bundle(INFO, frames=(frame(0), frame(50))), 0.0, own=True)
        rings.take(Bundle(INFO, frames=(frame(20, 5, late=True),)), 1.0, own=True)
        rings.keep(INFO, (frame(500),), 2.0)  # fetched from elsewhere: it did not come live
        rings.take(Bundle(INFO), 2.0, own=True)
        assert rings.stands_at("a", LATELY_S) == (INFO, 100)
        assert rings.stands_at("a", LATELY_S + 0.1) is None
        assert rings.stands_at("b", 0.0) is None

    def test_a_stream_that_still_has_some_is_not(self) -> None:
        rings = Rings()
        rings.take(Bundle(INFO, frames=(frame(0),)), 0.0, own=True)
        rings.take(Bundle(INFO, frames=(frame(50),)), KEPT_S, own=True)
        rings.forget(KEPT_S + 1)
        assert [kept.first for kept in rings.read("a", 1, 0, 100, max_bytes=999).frames] == [50]


def test_of_two_frames_that_begin_alike_the_right_one_is_forgotten() -> None:
    ring = Ring()
    ring.append(INFO, frame(0, 25), 0.0)
    ring.append(INFO, frame(0, 50), 10.0)
    ring.forget(KEPT_S + 1)
    assert [kept.count for kept in ring.read(1, 0, 50, max_bytes=999).frames] == [50]
    ring.append(INFO, frame(0, 60), 20.0)
    ring.forget(10.0 + KEPT_S + 1)
    assert [kept.count for kept in ring.read(1, 0, 60, max_bytes=999).frames] == [60]
