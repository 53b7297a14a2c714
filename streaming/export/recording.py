"""A stretch of one epoch as every format wants it: seconds of 16-bit steps, and which of them are there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from streaming.core.position import SampleRange
from streaming.core.streams import Lead, StreamInfo

MISSING = -32768
"""In place of a sample that is not there; samples are clipped so that none is it."""
LARGEST = 32767
_FINE_UV = 0.5
"""Steps of a converter of more than 16 bits are joined to steps of at least this: +-16 mV fit then."""

NOTICE = "Not a medical device. Not for diagnosis, treatment or patient monitoring."


@dataclass(frozen=True, slots=True)
class Note:
    """An alarm: at which sample it was raised, its severity, and what it said."""

    sample: int
    severity: str
    text: str

    @property
    def line(self) -> str:
        """In ASCII, as old formats want it."""
        plain = f"{self.severity.upper()} {self.text}".replace("≥", ">=").replace("≤", "<=")
        return plain.encode("ascii", "replace").decode()


@dataclass(frozen=True, slots=True)
class Block:
    """About one second: `steps` (leads, n) int16, MISSING where `has` (n) is not set."""

    first: int
    steps: npt.NDArray[np.int16] = field(repr=False)
    has: npt.NDArray[np.bool_] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Recording:
    """Samples `first` to `stop` of one epoch, of which `spans` are stored; `first` was taken at `began_at`.

    `read` gives what is stored, in order: the index of the first sample, and samples (leads, n).
    """

    info: StreamInfo
    first: int
    stop: int
    began_at: datetime
    spans: tuple[SampleRange, ...]
    notes: tuple[Note, ...]
    read: Callable[[], Iterable[tuple[int, npt.NDArray[Any]]]] = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """Of its files: pseudonym, beginning, epoch."""
        return f"{self.info.patient}_{self.began_at:%Y%m%dT%H%M%SZ}_e{self.info.epoch}"

    @property
    def block_samples(self) -> int:
        """Samples of a block: a second of them, to the next whole number."""
        return max(1, round(self.info.rate_hz))

    @property
    def steps_uv(self) -> tuple[float, ...]:
        """Microvolts of one step of each lead, as it is exported."""
        return tuple(lead.gain_uv * _joined_steps(lead) for lead in self.info.leads)

    def at(self, sample: int) -> datetime:
        """When a sample was taken, by the nominal rate."""
        return self.began_at + timedelta(seconds=(sample - self.first) / self.info.rate_hz)

    def holes(self) -> Iterator[SampleRange]:
        """What is not stored."""
        at = self.first
        for span in self.spans:
            if span.first > at:
                yield SampleRange(at, span.first)
            at = span.stop
        if at < self.stop:
            yield SampleRange(at, self.stop)

    def blocks(self) -> Iterator[Block]:
        """All of it from `first` on, without one left out; the last one may reach beyond `stop`."""
        size = self.block_samples
        number = 0
        block = self._empty(number)
        for begins, samples in self.read():
            first, steps = begins, self._steps(samples)
            skipped = max(0, self.first - first)
            first, steps = first + skipped, steps[:, skipped : max(0, self.stop - begins)]
            while steps.shape[1]:
                at = (first - self.first) // size
                while number < at:
                    yield block
                    number += 1
                    block = self._empty(number)
                offset = first - block.first
                part = steps[:, : size - offset]
                block.steps[:, offset : offset + part.shape[1]] = part
                block.has[offset : offset + part.shape[1]] = True
                first, steps = first + part.shape[1], steps[:, part.shape[1] :]
        while block.first < self.stop:
            yield block
            number += 1
            block = self._empty(number)

    def _empty(self, number: int) -> Block:
        size = self.block_samples
        steps = np.full((len(self.info.leads), size), MISSING, np.int16)
        return Block(self.first + number * size, steps, np.zeros(size, np.bool_))

    def _steps(self, samples: npt.NDArray[Any]) -> npt.NDArray[np.int16]:
        """Steps from the zero line on, clipped to 16 bits."""
        baselines = np.array([[lead.baseline] for lead in self.info.leads], np.int64)
        joined = np.array([[_joined_steps(lead)] for lead in self.info.leads])
        steps = np.rint((samples.astype(np.int64) - baselines) / joined)
        clipped: npt.NDArray[np.int16] = np.clip(steps, -LARGEST, LARGEST).astype(np.int16)
        return clipped


def _joined_steps(lead: Lead) -> int:
    """How many of the converter's steps are one that is exported."""
    return 1 if lead.adc_bits <= 16 else max(1, math.ceil(_FINE_UV / lead.gain_uv))
