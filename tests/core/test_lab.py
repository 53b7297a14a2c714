"""A slow link in time: each message arrives once its last byte has passed, none is lost or overtaken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.lab import BYTES_PER_S, LONGEST_S, STALL_S, SlowLink, Throttle


def slow(throttle: Throttle = Throttle.SLOWER) -> SlowLink:
    link = SlowLink()
    link.set(throttle, 100.0)
    return link


def test_without_a_throttle_it_is_clear() -> None:
    link = SlowLink()
    assert link.is_clear
    assert link.ends_at is None
    assert link.due() is None
    assert link.take(1.0) == []


def test_a_message_arrives_when_its_last_byte_has_passed() -> None:
    link = slow()
    link.put(b"x" * 4000, 100.0)
    assert link.due() == pytest.approx(100.5)
    assert link.take(100.49) == []
    assert link.take(100.5) == [b"x" * 4000]
    assert link.due() == 100.0 + LONGEST_S


def test_text_counts_by_its_bytes() -> None:
    link = slow()
    link.put("ä" * 4000, 100.0)
    assert link.due() == pytest.approx(101.0)


def test_what_was_idle_saves_nothing_up() -> None:
    link = slow()
    link.put(b"x" * 8000, 150.0)
    assert link.take(150.99) == []
    assert link.take(151.0) == [b"x" * 8000]


def test_another_rate_holds_for_what_has_not_passed() -> None:
    link = slow()
    link.put(b"x" * 72_000, 100.0)
    link.set(Throttle.SLOW, 101.0)
    assert link.due() == pytest.approx(102.0)


def test_a_stall_holds_all_back_and_ends_by_itself() -> None:
    link = slow(Throttle.STALL)
    link.put(b"a", 100.0)
    link.put(b"b", 104.9)
    assert link.take(104.9) == []
    assert link.due() == 100.0 + STALL_S
    assert link.take(100.0 + STALL_S) == [b"a", b"b"]
    assert link.throttle is Throttle.OFF
    assert link.is_clear


def test_a_forgotten_throttle_ends() -> None:
    link = slow()
    assert link.take(100.0 + LONGEST_S) == []
    assert link.is_clear


def test_without_the_throttle_all_that_waited_arrives_in_order() -> None:
    link = slow()
    messages: list[bytes | str] = [b"x" * 9000, "y", b"z"]
    for message in messages:
        link.put(message, 100.0)
    link.set(Throttle.OFF, 100.1)
    assert not link.is_clear
    assert link.take(100.1) == messages


@given(
    st.lists(st.tuples(st.floats(0, 2), st.integers(1, 5000)), min_size=1, max_size=40),
    st.sampled_from([Throttle.SLOW, Throttle.SLOWER]),
)
def test_never_more_passes_than_the_rate_and_all_of_it_in_order(
    writes: list[tuple[float, int]], throttle: Throttle
) -> None:
    link, now, passed = slow(throttle), 100.0, 0
    sizes: list[int] = []
    for wait_s, size in writes:
        now += wait_s
        sizes += [len(message) for message in link.take(now)]
        assert sum(sizes) <= BYTES_PER_S[throttle] * (now - 100.0) + 1e-6
        link.put(bytes(size), now)
        passed += size
    sizes += [len(message) for message in link.take(now + passed / BYTES_PER_S[throttle] + 1e-6)]
    assert sizes == [size for _, size in writes]
