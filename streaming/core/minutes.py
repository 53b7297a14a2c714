"""A minute of a stream in little: its heart rate, and the range of each lead column by column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from streaming.core.sample_time import SampleTime
from streaming.core.streams import Lead, StreamInfo

COLUMNS_PER_S = 10
"""A minute is drawn by so many columns a second; nearer than that, samples are drawn."""
FINE_COLUMNS = 60 * COLUMNS_PER_S
FINE_PER_COARSE = 50
COARSE_COLUMNS = FINE_COLUMNS // FINE_PER_COARSE
"""Of five seconds each: a day is 17,280 of them, several for each pixel of a wide screen."""
SETTLE_S = 2.0
"""A minute that is over waits so long for what is late by a little."""
SILENT_S = 30.0
"""A minute that is not over is written after so much silence; what comes then is another part of it."""
FORGET_S = 3600.0
MOST_OPEN = 4
"""Minutes of one stream: late samples may fill a hole of long ago while live ones come."""
NO_LOW, NO_HIGH = 32767, -32768
"""The range of a column without samples, and the neutral element of joining two."""

Ranges = npt.NDArray[np.int16]
"""Lowest and highest value of each column in microvolts: (leads, 2, columns), low above high where empty."""


@dataclass(slots=True)
class Rates:
    """Heart rates of some seconds: `told` counts the seconds, `counted` those that had a valid rate."""

    told: int = 0
    counted: int = 0
    total: int = 0
    low: int = NO_LOW
    high: int = 0

    def add(self, hr: int | None) -> None:
        """One second more."""
        self.told += 1
        if hr is not None:
            self.join(Rates(0, 1, hr, hr, hr))

    def join(self, other: Rates) -> None:
        """What both say together; two that are the same leave mean, range and share as they are."""
        self.told += other.told
        self.counted += other.counted
        self.total += other.total
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)


@dataclass(frozen=True, slots=True)
class Minute:
    """A part of the minute that begins at sample `first`, or all of it: parts are joined where they are read.

    `column_s` is how long one of `fine`'s columns takes; `began_at` is when sample `first` was taken.
    """

    stream: str
    epoch: int
    first: int
    began_at: datetime
    column_s: float
    rates: Rates
    fine: Ranges = field(repr=False)

    @property
    def coarse(self) -> Ranges:
        """The same by columns of five seconds."""
        folded = self.fine.reshape(self.fine.shape[0], 2, COARSE_COLUMNS, FINE_PER_COARSE)
        return np.stack((folded[:, 0].min(axis=-1), folded[:, 1].max(axis=-1)), axis=1)


def column_samples(rate_hz: float) -> int:
    """Samples of one fine column, by the nominal rate."""
    return max(1, round(rate_hz / COLUMNS_PER_S))


def microvolts(values: npt.NDArray[Any], leads: Sequence[Lead]) -> npt.NDArray[np.float64]:
    """(leads, n) steps of the converter in microvolts."""
    gains = np.array([[lead.gain_uv] for lead in leads])
    baselines = np.array([[lead.baseline] for lead in leads], dtype=np.float64)
    scaled: npt.NDArray[np.float64] = (values - baselines) * gains
    return scaled


class MinuteBook:
    """The minutes that are being filled, of many streams: at most `MOST_OPEN` of each."""

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}

    def add(
        self, info: StreamInfo, first: int, samples: npt.NDArray[Any], *, live: bool, now: float, at: datetime
    ) -> list[Minute]:
        """Take samples (leads, n) from index `first` on, which came at `now`; the minutes written by it."""
        stream, written = self._of(info)
        return written + stream.add(first, samples, live=live, now=now, at=at)

    def count(
        self, info: StreamInfo, sample: int, hr: int | None, *, now: float, at: datetime
    ) -> list[Minute]:
        """Take the heart rate of the second that ended at `sample`."""
        stream, written = self._of(info)
        return written + stream.count(max(sample - 1, 0), hr, now, at)

    @property
    def is_known(self) -> bool:
        """Whether there is any stream, so that something may be due."""
        return bool(self._streams)

    def due(self, now: float) -> list[Minute]:
        """What has waited long enough; streams that are silent for an hour are forgotten."""
        for name in [name for name, stream in self._streams.items() if now - stream.heard_at > FORGET_S]:
            del self._streams[name]
        return [minute for stream in self._streams.values() for minute in stream.due(now)]

    def flush(self) -> list[Minute]:
        """All that there is."""
        return [minute for stream in self._streams.values() for minute in stream.flush()]

    def _of(self, info: StreamInfo) -> tuple[_Stream, list[Minute]]:
        stream, written = self._streams.get(info.stream), []
        if stream is None or stream.info.epoch != info.epoch:
            written = stream.flush() if stream else []
            stream = self._streams[info.stream] = _Stream(info)
        return stream, written


class _Stream:
    """One epoch of one stream."""

    def __init__(self, info: StreamInfo) -> None:
        self.info = info
        self.heard_at = 0.0
        self._time = SampleTime(info.rate_hz)
        self._column = column_samples(info.rate_hz)
        self._length = self._column * FINE_COLUMNS
        self._newest = -1
        self._open: dict[int, _OpenMinute] = {}

    def add(
        self, first: int, samples: npt.NDArray[Any], *, live: bool, now: float, at: datetime
    ) -> list[Minute]:
        stop = first + samples.shape[1]
        if live:
            self._time.arrived(stop, at)
            self._newest = max(self._newest, (stop - 1) // self._length)
        written: list[Minute] = []
        begin = first
        while begin < stop:
            number = begin // self._length
            end = min(stop, (number + 1) * self._length)
            minute = self._minute(number, now, at, written)
            _join(minute.fine, *self._ranges(begin, samples[:, begin - first : end - first], number))
            begin = end
        return written

    def count(self, sample: int, hr: int | None, now: float, at: datetime) -> list[Minute]:
        written: list[Minute] = []
        self._minute(sample // self._length, now, at, written).rates.add(hr)
        return written

    def due(self, now: float) -> list[Minute]:
        waited = [
            number
            for number, minute in self._open.items()
            if now - minute.heard_at >= (SETTLE_S if number < self._newest else SILENT_S)
        ]
        return [self._close(number) for number in waited]

    def flush(self) -> list[Minute]:
        return [self._close(number) for number in list(self._open)]

    def _minute(self, number: int, now: float, at: datetime, written: list[Minute]) -> _OpenMinute:
        """The open minute of this number; of too many, the one heard of longest ago is written."""
        self.heard_at = now
        minute = self._open.get(number)
        if minute is None:
            if len(self._open) >= MOST_OPEN:
                written.append(self._close(min(self._open, key=lambda one: self._open[one].heard_at)))
            minute = self._open[number] = _OpenMinute(at, empty(len(self.info.leads)))
        minute.heard_at = now
        return minute

    def _ranges(self, first: int, samples: npt.NDArray[Any], number: int) -> tuple[int, Ranges]:
        """Which column of its minute comes first, and the ranges from there on."""
        offset = first - number * self._length
        column = offset // self._column
        starts = np.arange(column * self._column, offset + samples.shape[1], self._column) - offset
        starts[0] = 0
        lows = np.minimum.reduceat(samples, starts, axis=1)
        highs = np.maximum.reduceat(samples, starts, axis=1)
        leads = self.info.leads
        both = np.stack((microvolts(lows, leads), microvolts(highs, leads)), axis=1)
        return column, np.clip(np.rint(both), -NO_LOW, NO_LOW).astype(np.int16)

    def _close(self, number: int) -> Minute:
        minute, info = self._open.pop(number), self.info
        first = number * self._length
        return Minute(
            info.stream,
            info.epoch,
            first,
            self._time.of(first, otherwise=minute.opened_at),
            self._column / info.rate_hz,
            minute.rates,
            minute.fine,
        )


@dataclass(slots=True)
class _OpenMinute:
    opened_at: datetime
    fine: Ranges
    rates: Rates = field(default_factory=Rates)
    heard_at: float = 0.0


def empty(leads: int, columns: int = FINE_COLUMNS) -> Ranges:
    """Columns without samples."""
    ranges = np.empty((leads, 2, columns), np.int16)
    ranges[:, 0], ranges[:, 1] = NO_LOW, NO_HIGH
    return ranges


def _join(into: Ranges, column: int, ranges: Ranges) -> None:
    place = into[:, :, column : column + ranges.shape[2]]
    np.minimum(place[:, 0], ranges[:, 0], out=place[:, 0])
    np.maximum(place[:, 1], ranges[:, 1], out=place[:, 1])


@dataclass(frozen=True, slots=True)
class Stack:
    """Ranges (minutes, 2, columns) of one lead, each of whose columns takes `column_s` (minutes).

    The first column of each begins `at_s` (minutes) after a time that the reader knows.
    """

    at_s: npt.NDArray[np.float64]
    column_s: npt.NDArray[np.float64]
    ranges: npt.NDArray[np.int16]


def overview(stacks: Iterable[Stack], step_s: float, count: int) -> npt.NDArray[np.int16]:
    """(2, count) ranges, each of `step_s`, of stacks whose columns are no longer than that.

    A column that lies across an edge belongs to both sides: what is empty had no samples at all.
    """
    found: npt.NDArray[np.int16] = empty(1, count)[0]
    for stack in stacks:
        low, high = stack.ranges[:, 0], stack.ranges[:, 1]
        lengths = stack.column_s[:, np.newaxis]
        begins = stack.at_s[:, np.newaxis] + lengths * np.arange(low.shape[1])
        has = low <= high
        for at in (begins, begins + 0.999 * lengths):
            index = np.floor(at / step_s).astype(np.int64)
            inside = has & (index >= 0) & (index < count)
            np.minimum.at(found[0], index[inside], low[inside])
            np.maximum.at(found[1], index[inside], high[inside])
    return found
