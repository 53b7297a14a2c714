"""Whether all that one viewer misses was named: the load test's own judgement has to be right."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streaming.loadtest.positions import Format, Positions, Verdict

GOOD = Verdict(0, False)


def watching(*, factor: int = 1, epoch: int = 1) -> tuple[Positions, Format]:
    positions = Positions()
    return positions, again(positions, alias=7, factor=factor, epoch=epoch)


def again(positions: Positions, *, alias: int, factor: int = 1, epoch: int = 1) -> Format:
    positions.announce(alias, "a", epoch, rendition="lossless", factor=factor, rate_hz=250.0)
    return positions.formats[alias]


def test_frames_that_follow_each_other_miss_nothing() -> None:
    positions, known = watching()
    assert [positions.frame(known, first, 25) for first in (1000, 1025, 1050)] == [GOOD] * 3


def test_a_hole_that_nobody_named_is_lost() -> None:
    positions, known = watching()
    positions.frame(known, 0, 25)
    assert positions.frame(known, 75, 25) == Verdict(50, False)
    assert positions.frame(known, 100, 25) == GOOD


def test_a_hole_that_gaps_name_is_not_also_in_pieces_and_in_any_order() -> None:
    positions, known = watching()
    positions.frame(known, 0, 25)
    positions.gap("a", 1, 50, 75)
    positions.gap("a", 1, 25, 40)
    positions.gap("a", 1, 40, 50)
    assert positions.frame(known, 75, 25) == GOOD


def test_what_a_gap_leaves_out_is_lost_and_one_of_another_epoch_names_nothing() -> None:
    positions, known = watching(epoch=2)
    positions.frame(known, 0, 25)
    positions.gap("a", 2, 30, 70)
    positions.gap("a", 1, 25, 75)
    positions.gap("b", 2, 25, 75)
    assert positions.frame(known, 75, 25) == Verdict(10, False)


def test_a_gap_that_comes_late_is_told_from_none() -> None:
    positions, known = watching()
    positions.frame(known, 0, 25)
    assert positions.frame(known, 75, 25) == Verdict(50, False)
    assert positions.gap("a", 1, 25, 75) == 50
    assert positions.gap("a", 1, 25, 75) == 0


def test_an_old_gap_does_not_excuse_a_new_hole() -> None:
    positions, known = watching()
    positions.frame(known, 0, 25)
    positions.gap("a", 1, 25, 50)
    positions.frame(known, 50, 25)
    assert known.stream.gaps == []
    assert positions.frame(known, 100, 25) == Verdict(25, False)


def test_a_thinned_stream_speaks_for_what_lies_between_its_samples() -> None:
    positions, known = watching(factor=3)
    positions.frame(known, 0, 10)  # 0 to 27
    assert positions.frame(known, 30, 10) == GOOD
    assert positions.frame(known, 90, 10) == Verdict(28, False)


def test_a_change_of_rendition_leaves_no_hole() -> None:
    positions, fine = watching()
    positions.frame(fine, 0, 25)
    coarse = again(positions, alias=8, factor=3)
    assert positions.frame(coarse, 27, 10) == GOOD  # 24 was the last; 25 and 26 are spoken for
    assert positions.frame(fine, 55, 25) == GOOD


def test_what_came_already_is_repeated() -> None:
    positions, known = watching()
    positions.frame(known, 100, 25)
    assert positions.frame(known, 100, 25) == Verdict(0, True)
    assert positions.frame(known, 75, 25) == Verdict(0, True)
    assert positions.frame(known, 125, 25) == GOOD


def test_a_new_epoch_begins_anywhere() -> None:
    positions, known = watching()
    positions.frame(known, 1000, 25)
    assert positions.frame(again(positions, alias=9, epoch=2), 40, 25) == GOOD
    positions.gap("a", 3, 0, 100)
    assert positions.frame(again(positions, alias=10, epoch=3), 100, 25) == GOOD


@given(st.lists(st.sampled_from(["frame", "gap", "lost"]), min_size=1, max_size=60), st.integers(1, 4))
def test_exactly_what_is_left_out_is_lost(pieces: list[str], factor: int) -> None:
    positions, known = watching(factor=factor)
    positions.frame(known, 0, 12 // factor)
    lost = unnamed = 0
    for number, piece in enumerate(pieces, start=1):
        if piece == "frame":
            lost += positions.frame(known, 12 * number, 12 // factor).lost
        elif piece == "gap":
            positions.gap("a", 1, 12 * number, 12 * (number + 1))
        else:
            unnamed += 12
    lost += positions.frame(known, 12 * (len(pieces) + 1), 12 // factor).lost
    if factor == 1:
        assert lost == unnamed
    assert (lost > 0) is (unnamed > 0)
