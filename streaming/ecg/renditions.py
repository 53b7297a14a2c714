"""What the renditions of a stream are made of: leads, step, rate, and the samples themselves.

| rendition  | leads     | step, at most | rate, at least | error                                    |
|------------|-----------|---------------|----------------|------------------------------------------|
| lossless   | all       | the source's  | the source's   | none                                     |
| diagnostic | all       | 5 µV          | the source's   | at most 2.5 µV, of every sample          |
| display    | all       | 5 µV          | 200 Hz         | what the low-pass takes, and half a step |
| overview   | one       | 10 µV         | 100 Hz         | the same; but peaks keep their height    |
| vitals     | none      |               |                |                                          |

The one lead is II, the lead of a rhythm strip, and where there is none the first.

A step is a whole multiple of the source's own: the largest one that the table allows, or one where the source
is coarser. So all is done in integers, and no rendition has finer steps than its source.

What a second of 12 leads at 500 Hz, in steps of 1 µV, costs on one of two virtual cores, and what `ecg1`
saves of its int16 samples, with a payload for each second (`python -m bench.renditions --data DIR`, 2026-11):

|            | to make, of 10 chunks | of 1 chunk | to encode | PTB-XL | Georgia | Ningbo |
|------------|-----------------------|------------|-----------|--------|---------|--------|
| lossless   |                  9 µs |       2 µs |    921 µs | 82.7 % |  86.4 % | 84.6 % |
| diagnostic |                 80 µs |      29 µs |    766 µs | 88.6 % |  83.9 % | 83.5 % |
| display    |                130 µs |      51 µs |    756 µs | 93.0 % |  91.0 % | 90.7 % |
| overview   |                206 µs |      32 µs |    155 µs | 99.5 % |  99.5 % | 99.5 % |

Where the source lies on a grid of 4.88 µV (Georgia, Ningbo), `diagnostic` is larger than `lossless`: its
steps of 5 µV are on another grid.

Of 46,974 R waves, in both leads of twelve MIT-BIH records, `overview` at 120 Hz shows all but 10 with their
amplitude to within 5 %, and all but 40 to within one of its samples: most of those have two tops of nearly
the same height.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from streaming.core.renditions import Quality
from streaming.core.streams import Lead
from streaming.ecg.resample import ONE_BITS, Decimator, IntArray, Piece

RHYTHM_LEAD = "II"
_INT16 = np.iinfo(np.int16)
_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True, slots=True)
class _Recipe:
    """`leads` None keeps all, `step_uv` 0 the source's step, `least_hz` None its rate."""

    leads: int | None = None
    step_uv: float = 0.0
    least_hz: float | None = None
    keep_peaks: bool = False


_RECIPES: Mapping[Quality, _Recipe] = MappingProxyType(
    {
        Quality.LOSSLESS: _Recipe(),
        Quality.DIAGNOSTIC: _Recipe(step_uv=5.0),
        Quality.DISPLAY: _Recipe(step_uv=5.0, least_hz=200.0),
        Quality.OVERVIEW: _Recipe(leads=1, step_uv=10.0, least_hz=100.0, keep_peaks=True),
        Quality.VITALS: _Recipe(leads=0),
    }
)


class Renderer:
    """Makes one rendition of one epoch, chunk by chunk; any chunking gives the same samples, to the last bit.

    `rate_hz` and `leads` are those of the source. What a receiver has to know is in the attributes:

    leads      the leads that are kept, with the gain and the baseline of the rendition
    factor     native samples for one sample of the rendition; these stand at its multiples
    rate_hz    the rate of the rendition
    unchanged  whether its samples are those of the source, so that the lossless payload serves
    """

    def __init__(self, quality: Quality, rate_hz: float, leads: Sequence[Lead]) -> None:
        recipe = _RECIPES[quality]
        self._rows = _rows(leads, recipe.leads)
        kept = leads[self._rows]
        multiples = [max(1, int(recipe.step_uv / lead.gain_uv)) for lead in kept]
        self.leads = tuple(map(_coarser, kept, multiples))
        self.factor = max(1, int(rate_hz / recipe.least_hz)) if recipe.least_hz else 1
        self.rate_hz = rate_hz / self.factor
        self._as_it_comes = self.factor == 1 and max(multiples, default=1) == 1
        self.unchanged = self._as_it_comes and len(kept) == len(leads)
        self._decimator = Decimator(self.factor, keep_peaks=recipe.keep_peaks) if self.factor > 1 else None
        one = 1 if self._decimator is None else 2**ONE_BITS
        self._divisors = np.array([[k * one] for k in multiples])
        # The rest of the baseline comes off here, the whole multiples of it off the rendition's own.
        rests = np.array([[lead.baseline % k * one] for lead, k in zip(kept, multiples, strict=True)])
        self._rounding = self._divisors // 2 - rests

    def push(self, first: int, samples: NDArray[np.signedinteger]) -> list[Piece]:
        """Take native samples, (leads, n), int16 or int32, from index `first` on; what is certain by now.

        An index that does not continue the last is a gap: a piece ends before it, and the next begins
        behind it. Late samples that fill a gap want a renderer of their own, pushed and flushed. A piece is
        int16 where its values fit, else int32 (what the filter throws beyond that is clipped); it may share
        memory with `samples`.
        """
        kept = samples[self._rows]
        if not kept.size:
            return []
        if self._as_it_comes:
            return [Piece(first, kept)]
        if self._decimator is None:
            return [self._rounded(Piece(first, kept.astype(np.int64)))]
        return [self._rounded(piece) for piece in self._decimator.push(first, kept)]

    def flush(self) -> list[Piece]:
        """The signal ends here, or has a gap: what is left of it; the renderer is then as new."""
        if self._decimator is None:
            return []
        return [self._rounded(piece) for piece in self._decimator.flush()]

    def _rounded(self, piece: Piece) -> Piece:
        steps: IntArray = (piece.samples + self._rounding) // self._divisors
        if _INT16.min <= steps.min() and steps.max() <= _INT16.max:
            return Piece(piece.first, steps.astype(np.int16))
        return Piece(piece.first, np.clip(steps, _INT32.min, _INT32.max).astype(np.int32))


def _rows(leads: Sequence[Lead], number: int | None) -> slice:
    if number != 1:
        return slice(number)
    row = next((row for row, lead in enumerate(leads) if lead.name == RHYTHM_LEAD), 0)
    return slice(row, row + 1)


def _coarser(lead: Lead, multiple: int) -> Lead:
    """A lead in steps of so many of its own; its baseline is rounded down to one of them."""
    return replace(lead, gain_uv=lead.gain_uv * multiple, baseline=lead.baseline // multiple)
