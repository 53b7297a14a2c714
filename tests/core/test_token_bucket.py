"""A burst, and then so much a second."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streaming.core.token_bucket import TokenBucket


def test_a_full_bucket_gives_its_burst_and_no_more() -> None:
    bucket = TokenBucket(per_s=10, burst=5, now=0.0)
    assert [bucket.take(1, 0.0) for _ in range(6)] == [True] * 5 + [False]


def test_it_refills_with_time() -> None:
    bucket = TokenBucket(per_s=10, burst=5, now=0.0)
    assert bucket.take(5, 0.0)
    assert not bucket.take(1, 0.09)
    assert bucket.take(1, 0.11)


def test_it_never_holds_more_than_the_burst() -> None:
    bucket = TokenBucket(per_s=10, burst=5, now=0.0)
    assert not bucket.take(6, 1e9)
    assert bucket.take(5, 1e9)


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 9)), max_size=60))
def test_no_pattern_gets_more_than_burst_and_rate_allow(steps: list[tuple[float, float]]) -> None:
    bucket, now, got = TokenBucket(per_s=3, burst=4, now=0.0), 0.0, 0.0
    for wait, amount in steps:
        now += wait
        got += amount if bucket.take(amount, now) else 0.0
    assert got <= 4 + 3 * now + 1e-6
