"""Minutes in little have every extreme at its column, and nothing where there were no samples."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from streaming.core.minutes import (
    COARSE_COLUMNS,
    FINE_COLUMNS,
    FINE_PER_COARSE,
    FORGET_S,
    MOST_OPEN,
    NO_HIGH,
    NO_LOW,
    SETTLE_S,
    SILENT_S,
    Minute,
    MinuteBook,
    Rates,
    Stack,
    column_samples,
    overview,
)
from tests.viewers import stream_info

START = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
RATE = 250
COLUMN = 25
MINUTE = COLUMN * FINE_COLUMNS
INFO = stream_info(rate_hz=RATE, leads=2)


def push(book: MinuteBook, first: int, samples: npt.NDArray[np.int16], *, live: bool = True) -> list[Minute]:
    """Samples that came when they ended."""
    now = (first + samples.shape[1]) / RATE
    return book.add(INFO, first, samples, live=live, now=now, at=START + timedelta(seconds=now))


def ramp(first: int, count: int) -> npt.NDArray[np.int16]:
    """Two leads, of which the second is the negative of the first."""
    values = (np.arange(first, first + count) % 1000).astype(np.int16)
    return np.stack((values, -values))


def test_every_column_has_the_extremes_of_its_samples() -> None:
    book = MinuteBook()
    samples = ramp(0, MINUTE)
    cuts = [0, 10, 37, 25 * 40 + 3, 9000, MINUTE]
    for first, stop in pairwise(cuts):
        assert push(book, first, samples[:, first:stop]) == []
    (minute,) = book.flush()
    columns = samples.reshape(2, FINE_COLUMNS, COLUMN) * 5
    np.testing.assert_array_equal(minute.fine[:, 0], columns.min(axis=-1))
    np.testing.assert_array_equal(minute.fine[:, 1], columns.max(axis=-1))
    coarse = columns.reshape(2, COARSE_COLUMNS, FINE_PER_COARSE * COLUMN)
    np.testing.assert_array_equal(minute.coarse[:, 0], coarse.min(axis=-1))
    np.testing.assert_array_equal(minute.coarse[:, 1], coarse.max(axis=-1))
    assert (minute.stream, minute.epoch, minute.first, minute.column_s) == ("a", 1, 0, 0.1)
    assert minute.began_at == START


def test_a_hole_is_empty_and_late_samples_fill_it() -> None:
    book = MinuteBook()
    push(book, 0, ramp(0, 50))
    push(book, 100, ramp(100, 25))
    push(book, 50, ramp(50, 25), live=False)
    (minute,) = book.flush()
    has = minute.fine[0, 0] <= minute.fine[0, 1]
    assert list(np.flatnonzero(has)) == [0, 1, 2, 4]
    assert (minute.fine[0, 0, 3], minute.fine[0, 1, 3]) == (NO_LOW, NO_HIGH)


def test_a_minute_that_is_over_is_written_after_a_moment_and_one_that_is_not_after_silence() -> None:
    book = MinuteBook()
    push(book, MINUTE - 25, ramp(0, 50))
    heard = (MINUTE + 25) / RATE
    assert book.due(heard + SETTLE_S - 0.1) == []
    assert [minute.first for minute in book.due(heard + SETTLE_S + 0.01)] == [0]
    assert book.due(heard + SILENT_S - 0.1) == []
    assert [minute.first for minute in book.due(heard + SILENT_S + 0.01)] == [MINUTE]
    assert book.flush() == []


def test_a_new_epoch_ends_the_minute_and_an_hour_of_silence_forgets_the_stream() -> None:
    book = MinuteBook()
    push(book, 0, ramp(0, 25))
    assert book.is_known
    other = stream_info(epoch=2, rate_hz=RATE, leads=2)
    (ended,) = book.add(other, 0, ramp(0, 25), live=True, now=1, at=START)
    assert (ended.epoch, ended.first) == (1, 0)
    assert [minute.epoch for minute in book.due(1 + SILENT_S)] == [2]
    assert book.due(1 + FORGET_S + 1) == []
    assert not book.is_known


def test_of_too_many_minutes_that_are_filled_late_the_one_heard_of_longest_ago_is_written() -> None:
    book = MinuteBook()
    for number in range(MOST_OPEN):
        assert push(book, number * MINUTE, ramp(0, 25), live=False) == []
    assert [minute.first for minute in push(book, 9 * MINUTE, ramp(0, 25), live=False)] == [0]


def test_heart_rates_are_counted_where_their_second_lies() -> None:
    book = MinuteBook()
    for second, hr in ((1, 60), (2, 90), (3, None)):
        book.count(INFO, second * RATE, hr, now=second, at=START)
    book.count(INFO, MINUTE, 100, now=60, at=START)
    (minute,) = book.flush()
    assert minute.rates == Rates(told=4, counted=3, total=250, low=60, high=100)
    assert minute.began_at == START  # no sample has come: when it was first heard of


def test_parts_that_are_joined_twice_say_the_same() -> None:
    part = Rates(told=60, counted=30, total=1800, low=50, high=70)
    both = Rates()
    both.join(part)
    both.join(part)
    assert (both.counted / both.told, both.total / both.counted, both.low, both.high) == (0.5, 60, 50, 70)


@pytest.mark.parametrize(("rate_hz", "samples"), [(250, 25), (360, 36), (257, 26), (50, 5)])
def test_a_column_is_a_tenth_of_a_second_in_whole_samples(rate_hz: float, samples: int) -> None:
    assert column_samples(rate_hz) == samples


def test_values_beyond_16_bits_are_kept_at_the_edge() -> None:
    book = MinuteBook()
    push(book, 0, np.array([[32000], [-32000]], np.int16))
    (minute,) = book.flush()
    assert minute.fine[:, :, 0].tolist() == [[NO_LOW, NO_LOW], [-NO_LOW, -NO_LOW]]


def piece(at_s: float, *columns: tuple[int, int], column_s: float = 1.0) -> Stack:
    return Stack(np.array([at_s]), np.array([column_s]), np.array([columns], np.int16).swapaxes(1, 2))


def test_an_overview_joins_columns_and_leaves_what_is_empty() -> None:
    found = overview([piece(0, (1, 2), (-5, 0), (NO_LOW, NO_HIGH)), piece(8, (3, 4))], 2.0, 5)
    assert found.T.tolist() == [[-5, 2], [NO_LOW, NO_HIGH], [NO_LOW, NO_HIGH], [NO_LOW, NO_HIGH], [3, 4]]


def test_a_column_across_an_edge_belongs_to_both_sides_and_one_outside_to_none() -> None:
    found = overview([piece(-1.5, (9, 9), (1, 1)), piece(1.5, (7, 7)), piece(99, (8, 8))], 2.0, 2)
    assert found.T.tolist() == [[1, 7], [7, 7]]


def test_an_overview_of_nothing_is_empty() -> None:
    assert overview([], 1.0, 2).T.tolist() == [[NO_LOW, NO_HIGH]] * 2
