"""Who watches from elsewhere is told for some seconds, and no more than so many are."""

from __future__ import annotations

from monitoring.live_leases import LEASE_S, MOST_WATCHERS, Leases

NOBODY: frozenset[str] = frozenset()


def test_a_lease_ends_unless_it_is_renewed() -> None:
    leases = Leases()
    assert leases.grant("there", NOBODY, 10.0)
    assert leases.watching(10.0 + LEASE_S - 0.1) == {"there": NOBODY}
    assert not leases.grant("there", NOBODY, 12.0)
    assert leases.watching(10.0 + LEASE_S) == {"there": NOBODY}
    assert leases.watching(12.0 + LEASE_S) == {}


def test_one_that_has_ended_is_new_when_it_comes_again() -> None:
    leases = Leases()
    leases.grant("there", NOBODY, 10.0)
    assert leases.grant("there", NOBODY, 10.0 + LEASE_S)


def test_whoever_looks_at_another_viewer_is_to_be_told_soon() -> None:
    leases = Leases()
    leases.grant("there", NOBODY, 10.0)
    assert leases.grant("there", frozenset({"9f2c61d0"}), 11.0)
    assert not leases.grant("there", frozenset({"9f2c61d0"}), 12.0)
    assert not leases.grant("there", NOBODY, 13.0)
    assert leases.watching(13.0) == {"there": NOBODY}


def test_nobody_new_is_told_beyond_the_bound() -> None:
    leases = Leases()
    for number in range(MOST_WATCHERS):
        assert leases.grant(f"there {number}", NOBODY, 10.0)
    assert not leases.grant("one more", NOBODY, 11.0)
    assert not leases.grant("there 0", NOBODY, 11.0), "known, and told on"
    assert len(leases.watching(11.0)) == MOST_WATCHERS
    assert leases.grant("one more", NOBODY, 10.0 + LEASE_S)
