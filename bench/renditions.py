"""What a rendition costs and saves: making it, and encoding what it leaves, beside encoding the source.

A second of 12 leads at 500 Hz, of a simulated heart, comes in ten chunks of 100 ms, or in one; the result of
each second is encoded as one payload. Times are the medians of all seconds. With --data, a folder of WFDB
records, the same is also done with the twelve-lead records in it. Saved is 100 (1 - out / in): in are the
int16 samples of the source, out the payloads of a second each, without the frame's header.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from bench.support.report import Figure, parser, report
from streaming.client.recordings import open_recording
from streaming.core.renditions import Quality
from streaming.core.streams import Lead
from streaming.ecg.codec import WaveformEncoder
from streaming.ecg.leads import TWELVE_LEADS
from streaming.ecg.renditions import Renderer
from streaming.ecg.resample import Piece
from streaming.ecg.simulator import Simulator

RATE_HZ = 500
SIMULATED_S = 60
RECORDS = {"Georgia": "E*", "PTB-XL": "HR*", "Ningbo": "JS*"}
Source = tuple[tuple[Lead, ...], NDArray[np.signedinteger]]


@dataclass(slots=True)
class Taken:
    """One recording in one rendition: the time for each second of it, and the size of all payloads."""

    chunks: int
    made_s: list[float] = field(default_factory=list)
    encoded_s: list[float] = field(default_factory=list)
    size_bytes: int = 0


def main() -> int:
    """Measure and print; there is no bound."""
    options = parser(__doc__ or "")
    options.add_argument("--data", type=Path, help="a folder with twelve-lead/*.hea")
    chosen = options.parse_args()
    figures = [*measure("simulated", [simulated()])]
    for name, pattern in RECORDS.items() if chosen.data else ():
        records = sorted((chosen.data / "twelve-lead").glob(f"{pattern}.hea"))
        figures += measure(name, [(r.leads, r.samples) for r in map(open_recording, records)])
    return report(figures, as_json=chosen.json)


def simulated() -> Source:
    """A minute of sinus rhythm in steps of 1 microvolt."""
    simulator = Simulator("sinus", rate_hz=RATE_HZ, leads=TWELVE_LEADS, seed=1, gain_uv=1.0)
    return tuple(Lead(name, 1.0) for name in TWELVE_LEADS), simulator.read(SIMULATED_S * RATE_HZ)


def measure(name: str, sources: list[Source]) -> Iterator[Figure]:
    """Per rendition: time to make a second of it, time to encode that, and what is saved."""
    for quality in list(Quality)[:-1]:
        taken = [take(quality, source, chunks) for source in sources for chunks in (10, 1)]
        for chunks in (10, 1):
            made_us = 1e6 * median(s for t in taken if t.chunks == chunks for s in t.made_s)
            yield Figure(f"{name}, {quality}: make a second, in {chunks}", made_us, "us")
        encoded_us = 1e6 * median(s for t in taken for s in t.encoded_s)
        yield Figure(f"{name}, {quality}: encode it", encoded_us, "us")
        size_bytes = sum(t.size_bytes for t in taken) / 2
        saved = 100 * (1 - size_bytes / sum(2 * samples.size for _, samples in sources))
        yield Figure(f"{name}, {quality}: saved", saved, "%")


def take(quality: Quality, source: Source, chunks: int) -> Taken:
    """One recording, each second of it pushed in so many chunks, as they come from a device."""
    leads, native = source
    renderer, encoder = Renderer(quality, RATE_HZ, leads), WaveformEncoder()
    taken = Taken(chunks)
    size = RATE_HZ // chunks
    for at in range(0, native.shape[1], RATE_HZ):
        began = time.perf_counter()
        second: list[Piece] = []
        for first in range(at, at + RATE_HZ, size):
            second += renderer.push(first, native[:, first : first + size])
        made = time.perf_counter()
        taken.size_bytes += len(encode(encoder, second))
        taken.encoded_s.append(time.perf_counter() - made)
        taken.made_s.append(made - began)
    rest = renderer.flush()
    taken.size_bytes += len(encode(encoder, rest)) if rest else 0
    return taken


def encode(encoder: WaveformEncoder, pieces: list[Piece]) -> bytes:
    """One payload of all pieces."""
    return encoder.encode(np.concatenate([piece.samples for piece in pieces], axis=1))


if __name__ == "__main__":
    sys.exit(main())
