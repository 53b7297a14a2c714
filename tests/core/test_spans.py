"""A set of spans is the set of their indices."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streaming.core.spans import SpanSet

spans = st.tuples(st.integers(0, 30), st.integers(1, 10)).map(lambda drawn: (drawn[0], sum(drawn)))


@given(st.lists(st.tuples(st.booleans(), spans), max_size=12), spans)
def test_is_the_set_of_its_indices(steps: list[tuple[bool, tuple[int, int]]], asked: tuple[int, int]) -> None:
    ours, indices = SpanSet(), set[int]()
    for is_added, (first, stop) in steps:
        if is_added:
            ours.add(first, stop)
            indices |= set(range(first, stop))
        else:
            ours.remove(first, stop)
            indices -= set(range(first, stop))
    assert [index for first, stop in ours for index in range(first, stop)] == sorted(indices)
    pairs = list(ours)
    assert len(ours) == len(pairs)
    assert all(pairs[at][1] < pairs[at + 1][0] for at in range(len(pairs) - 1)), (
        "they neither touch nor overlap"
    )
    overlap = [index for first, stop in ours.overlap(*asked) for index in range(first, stop)]
    assert overlap == sorted(indices & set(range(*asked)))
