"""Short holes: which are bridged, what they may hide, and when too little is left."""

from __future__ import annotations

from streaming.ecg.holes import BLIND_S, BRIDGE_S, TOUCH_S, Holes

RATE_HZ = 100.0


def test_a_hole_is_bridged_up_to_three_tenths_of_a_second() -> None:
    assert Holes(RATE_HZ).bridge(1000, 1000 + round(BRIDGE_S * RATE_HZ))
    assert not Holes(RATE_HZ).bridge(1000, 1001 + round(BRIDGE_S * RATE_HZ))


def test_what_is_missing_is_counted() -> None:
    holes = Holes(RATE_HZ)
    assert holes.bridge(1000, 1010)
    assert holes.bridge(1100, 1120)
    assert holes.missing(0, 5000) == 30
    assert holes.missing(1005, 1110) == 15
    assert holes.missing(1010, 1100) == 0
    assert holes.between(1009, 1011)
    assert not holes.between(1010, 1100)


def test_a_beat_touches_a_hole_within_eight_hundredths_of_a_second() -> None:
    holes, reach = Holes(RATE_HZ), round(TOUCH_S * RATE_HZ)
    assert holes.bridge(1000, 1010)
    assert [holes.touch(at) for at in (1000 - reach, 1001 - reach, 1005, 1009 + reach, 1010 + reach)] == [
        False,
        True,
        True,
        True,
        False,
    ]


def test_between_two_holes_that_touch_the_same_beats_no_beat_can_be_seen() -> None:
    holes, reach = Holes(RATE_HZ), round(TOUCH_S * RATE_HZ)
    assert holes.bridge(1000, 1010)
    assert holes.bridge(1010 + 2 * reach, 1020 + 2 * reach)
    assert holes.missing(1010, 1010 + 2 * reach) == 2 * reach
    assert holes.bridge(1021 + 4 * reach, 1031 + 4 * reach)
    assert holes.missing(1020 + 2 * reach, 1021 + 4 * reach) == 0


def test_too_many_holes_are_a_gap_and_those_of_long_ago_do_not_count() -> None:
    holes, blind = Holes(RATE_HZ), 10 + 2 * round(TOUCH_S * RATE_HZ)
    most = int(BLIND_S * RATE_HZ / blind)
    assert [holes.bridge(1000 + 40 * k, 1010 + 40 * k) for k in range(most + 1)] == [True] * most + [False]
    assert all(Holes(RATE_HZ).bridge(100 * k, 100 * k + 10) for k in range(60))
    spread = Holes(RATE_HZ)
    assert all(spread.bridge(100 * k, 100 * k + 30) for k in range(200))
    assert spread.missing(0, 20_000) < 65 * 30
