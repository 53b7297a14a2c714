"""Where each part of a span is looked for, and what nobody has."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streaming.core.search import Part, Search


def test_asks_the_first_source_for_all_of_it() -> None:
    assert Search(10, 90, 2).next == Part(10, 90, 0)


def test_goes_on_below_what_came_while_there_is_more() -> None:
    search = Search(0, 100, 1)
    assert search.found([(80, 100), (60, 80)], more=True) == []
    assert search.next == Part(0, 60, 0)


def test_what_one_source_lacks_the_next_is_asked_for_newest_first() -> None:
    search = Search(0, 100, 2)
    search.found([(70, 90), (40, 60)], more=False)
    assert search.next == Part(90, 100, 1)
    search.found([(90, 100)], more=False)
    assert search.next == Part(60, 70, 1)
    search.found([(60, 70)], more=False)
    assert search.next == Part(0, 40, 1)


def test_what_no_source_has_is_lost() -> None:
    search = Search(0, 100, 2)
    assert search.found([], more=True) == []
    assert search.next == Part(0, 100, 1)
    assert search.found([(30, 60)], more=False) == [(60, 100), (0, 30)]
    assert search.next is None


def test_without_sources_all_is_lost_at_the_first_answer() -> None:
    assert Search(0, 5, 1).found([], more=False) == [(0, 5)]


def test_what_a_source_may_have_that_was_not_heard_is_open_and_not_lost() -> None:
    search = Search(0, 100, 2)
    assert search.found([(60, 80)], more=False, unheard=True) == []
    parts = [search.next]
    assert search.found([(90, 100)], more=False) == []
    assert search.found([], more=False) == []
    assert [*parts, search.next] == [Part(80, 100, 1, unheard=True), None]
    assert search.open == [(80, 90), (0, 60)]


def test_what_is_open_is_asked_for_anew_and_lost_when_all_are_heard() -> None:
    search = Search(0, 100, 1)
    search.found([(40, 60)], more=False, unheard=True)
    search.look_again()
    assert search.open == []
    assert search.next == Part(60, 100, 0)
    assert search.found([(80, 100)], more=False) == [(60, 80)]
    assert search.next == Part(0, 40, 0)
    assert search.found([], more=False, unheard=True) == []
    assert search.open == [(0, 40)]


@given(st.data())
def test_every_index_is_found_or_lost_once(data: st.DataObject) -> None:
    search = Search(0, 60, 3)
    seen = [0] * 60
    for _ in range(500):
        part = search.next
        if part is None:
            break
        cuts = sorted(data.draw(st.sets(st.integers(part.first, part.stop), max_size=4)))
        spans = list(zip(cuts[::2], cuts[1::2], strict=False))[::-1]
        lost = search.found(spans, more=data.draw(st.booleans()), unheard=data.draw(st.booleans()))
        for first, stop in [*spans, *lost]:
            for index in range(first, stop):
                seen[index] += 1
        if search.next is None and data.draw(st.booleans()):
            search.look_again()
    for first, stop in search.open:
        for index in range(first, stop):
            seen[index] += 1
    assert search.next is not None or seen == [1] * 60
