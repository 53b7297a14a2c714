"""What the history gives up, and in which order; what is pinned stays; what is asked for goes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from streaming.core.minutes import FINE_COLUMNS, Minute, Rates
from streaming.models_history import HistoryChunk, HistoryMinute, HistoryPin
from streaming.store import history, history_limits, minutes
from streaming.store.history_limits import STEP_CHUNKS, Limits, Removed
from streaming.store.routing import HISTORY
from tests.store.histories import START, chunk_of

pytestmark = pytest.mark.usefixtures("history_db")

NOW = START + timedelta(hours=1)
DAY = timedelta(days=1)
MUCH = 10**9
SIZE = len(chunk_of(0, 500).blob)


def total(steps: Iterator[Removed]) -> Removed:
    removed = Removed()
    for step in steps:
        removed += step
    return removed


def left() -> list[tuple[str, int]]:
    return list(HistoryChunk.objects.order_by("stream", "first").values_list("stream", "first"))


def pin(first: int, stop: int, *, until: timedelta = DAY, stream: str = "a", minute: int = 0) -> None:
    HistoryPin.objects.create(
        stream=stream,
        epoch=1,
        first=first,
        stop=stop,
        reason="alarm",
        until=NOW + until,
        made_at=START + timedelta(minutes=minute),
    )


def seconds(count: int, stream: str = "a") -> None:
    """A chunk for each second since START."""
    history.write([chunk_of(500 * n, 500 * (n + 1), stream=stream) for n in range(count)])


def littles(count: int) -> int:
    """A minute in little for each of so many since START; the bytes of each of them."""
    fine = np.random.default_rng(1).integers(-3000, 3000, (3, 2, FINE_COLUMNS)).astype(np.int16)
    minutes.write(
        [
            Minute("a", 1, 30_000 * n, START + timedelta(minutes=n), 0.1, Rates(60, 60, 4200, 70, 70), fine)
            for n in range(count)
        ]
    )
    return minutes.size() // count


class TestAge:
    def test_what_is_too_old_goes_and_nothing_else(self) -> None:
        seconds(10)
        limits = Limits(NOW - START - timedelta(seconds=4), MUCH)
        removed = total(history_limits.prune(limits, now=NOW))
        assert removed.chunks == 4
        assert left() == [("a", 500 * n) for n in range(4, 10)]
        assert total(history_limits.prune(limits, now=NOW)) == Removed()

    def test_it_goes_in_small_steps(self) -> None:
        seconds(2 * STEP_CHUNKS + 1)
        steps = list(history_limits.prune(Limits(timedelta(0), MUCH), now=NOW))
        assert [step.chunks for step in steps] == [STEP_CHUNKS, STEP_CHUNKS, 1]
        assert left() == []

    def test_a_step_reads_no_samples(self) -> None:
        seconds(3)
        with CaptureQueriesContext(connections[HISTORY]) as queries:
            list(history_limits.prune(Limits(timedelta(0), MUCH), now=NOW))
        assert not any('"frames"' in query["sql"] for query in queries)

    def test_pinned_spans_stay_until_their_time_is_over(self) -> None:
        seconds(10)
        pin(1200, 2600)
        pin(4000, 4001, until=timedelta(hours=1))
        limits = Limits(timedelta(0), MUCH)
        total(history_limits.prune(limits, now=NOW))
        assert left() == [("a", 500 * n) for n in (2, 3, 4, 5, 8)]
        removed = total(history_limits.prune(limits, now=NOW + timedelta(hours=2)))
        assert (removed.pins, removed.chunks) == (1, 1)
        assert total(history_limits.prune(limits, now=NOW + 2 * DAY)).chunks == 4
        assert (left(), HistoryPin.objects.count()) == ([], 0)

    def test_a_pin_holds_no_other_stream_or_epoch(self) -> None:
        history.write([chunk_of(0, 500), chunk_of(0, 500, stream="b"), chunk_of(0, 500, epoch=2)])
        pin(0, 500)
        assert total(history_limits.prune(Limits(timedelta(0), MUCH), now=NOW)).chunks == 2
        assert left() == [("a", 0)]

    def test_many_that_are_pinned_do_not_hold_up_what_is_behind_them(self) -> None:
        seconds(3 * STEP_CHUNKS)
        pin(0, 500 * 2 * STEP_CHUNKS)
        assert total(history_limits.prune(Limits(timedelta(0), MUCH), now=NOW)).chunks == STEP_CHUNKS


class TestBytes:
    def test_the_oldest_goes_first_and_no_more_than_must(self) -> None:
        seconds(10)
        seconds(10, "b")
        total(history_limits.prune(Limits(DAY, 5 * SIZE), now=NOW))
        assert HistoryChunk.objects.order_by("began_at").first().first == 500 * 7  # type: ignore[union-attr]
        assert sum(stored.size_bytes for stored in history.sizes()) <= 5 * SIZE
        assert len(left()) in (4, 5)

    def test_what_is_pinned_stays(self) -> None:
        seconds(10)
        pin(0, 1000)
        total(history_limits.prune(Limits(DAY, 5 * SIZE + 100), now=NOW))
        assert [first for _stream, first in left()] == [0, 500, 3500, 4000, 4500]

    def test_pins_of_more_than_half_of_it_are_given_up_oldest_first(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(history_limits, "STEP_PINS", 1)
        seconds(20)
        for minute, at in enumerate(range(0, 5000, 500)):  # the oldest pins are those of the oldest samples
            pin(at, at + 500, minute=minute)
        removed = total(history_limits.prune(Limits(DAY, 10 * SIZE + 100), now=NOW))
        assert removed.pins == 5
        kept = [first for _stream, first in left()]
        assert set(range(2500, 5000, 500)) <= set(kept)
        assert max(kept) == 9500


class TestMinutes:
    def test_they_count_and_go_with_the_chunks_of_their_time(self) -> None:
        seconds(300)
        each = littles(5)
        whole = 300 * SIZE + 5 * each
        assert total(history_limits.prune(Limits(DAY, whole), now=NOW)) == Removed()
        # The minute that began with the oldest second is of later ones as well.
        assert total(history_limits.prune(Limits(DAY, whole - 1), now=NOW)) == Removed(1, SIZE)
        removed = total(history_limits.prune(Limits(DAY, whole - 90 * SIZE), now=NOW))
        assert removed == Removed(89, 89 * SIZE + 2 * each, minutes=2)

    def test_what_they_take_is_taken_off_what_must_go(self) -> None:
        seconds(300)
        each = littles(5)
        limits = Limits(DAY, 300 * SIZE + 5 * each - 140 * SIZE)
        removed = total(history_limits.prune(limits, now=NOW))
        assert removed == Removed(STEP_CHUNKS, STEP_CHUNKS * SIZE + 2 * each, minutes=2)
        assert 2 * each > 40 * SIZE

    def test_they_go_alone_where_no_chunk_may(self) -> None:
        seconds(60)
        pin(0, 500 * 60)
        each = littles(5)
        limits = Limits(DAY, 60 * SIZE + 5 * each - each - 1)
        assert total(history_limits.prune(limits, now=NOW)) == Removed(0, 2 * each, minutes=2)
        assert HistoryMinute.objects.order_by("first")[0].first == 2 * 30_000

    def test_they_go_by_age_and_are_told(self) -> None:
        each = littles(5)
        limits = Limits(NOW - START - timedelta(minutes=2), MUCH)
        assert total(history_limits.prune(limits, now=NOW)) == Removed(size_bytes=2 * each, minutes=2)
        assert str(Removed(1, 2500, 0, 2)) == "1 chunk, 2 minutes in little (2.5 kB) and 0 pins"
        assert str(Removed(1, 2500)) == "1 chunk (2.5 kB) and 0 pins"


class TestDeletion:
    def test_streams_go_whole_with_their_pins(self) -> None:
        for stream in "abc":
            seconds(3, stream)
            pin(0, 1000, stream=stream)
        removed = total(history_limits.delete(streams=["a", "b"]))
        assert (removed.chunks, removed.pins) == (6, 2)
        assert {stream for stream, _first in left()} == {"c"}
        assert list(HistoryPin.objects.values_list("stream", flat=True)) == ["c"]

    def test_nothing_of_before_is_left_not_even_pinned(self) -> None:
        seconds(4)
        seconds(4, "b")
        pin(0, 2000)
        before = START + timedelta(seconds=2.5)
        assert total(history_limits.delete(streams=["a"], before=before)).chunks == 3
        assert left() == [("a", 1500), *(("b", 500 * n) for n in range(4))]
        assert total(history_limits.delete(before=before)).chunks == 3
        assert HistoryPin.objects.count() == 1


class TestPin:
    def test_it_keeps_what_comes_later_as_well(self) -> None:
        now = timezone.now()
        history.pin("a", 1, 0, 1500, reason="alarm", until=now + DAY)
        seconds(3)
        assert total(history_limits.prune(Limits(timedelta(0), MUCH), now=now)) == Removed()

    @pytest.mark.parametrize(("first", "stop", "after"), [(5, 5, DAY), (5, 4, DAY), (0, 5, -DAY)])
    def test_what_makes_no_sense_is_refused(self, first: int, stop: int, after: timedelta) -> None:
        with pytest.raises(ValueError, match=r"a (span|pin)"):
            history.pin("a", 1, first, stop, reason="alarm", until=timezone.now() + after)
