"""What patients and viewers cost a process, and how many more of them it carries.

CPU is a sum of what is done in a second times what each costs: chunks and lead-samples taken in, logical
messages and WebSocket messages written, bytes, and a base that an idle process takes. Memory is a base, and
so much for each stream, viewer and watched stream. The costs are fitted to the process's own snapshots by
least squares in which none is negative, drawn toward costs that a bench has measured (`PRIOR_CPU`,
`PRIOR_MEMORY`): a process whose load never varied says what all of it costs together, and no more. That is
Bayes' linear regression with normal errors and a normal prior, cut at zero (Hoerl and Kennard's ridge, toward
a point). It takes snapshots for independent; those of one load are alike, and the ranges are the least that
they may be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

HEADROOM = 0.2
"""Of the limit, that is kept free. A process with one event loop stutters before its core is full: bursts,
garbage collection and its database threads come on top of the mean."""
PRIOR_SPREAD = 0.6
"""Standard deviation of a prior cost, as a share of it: machines differ by a factor of two."""
LEAST_ERROR = 0.02
"""Of what is fitted, as a share: snapshots of one load differ by as much, and the model is no better."""
_Z = 1.645

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Load:
    """What a process does: sizes, and rates a second."""

    streams: float = 0.0
    viewers: float = 0.0
    viewer_streams: float = 0.0
    chunks: float = 0.0
    lead_samples: float = 0.0
    messages: float = 0.0
    websocket_messages: float = 0.0
    sent_bytes: float = 0.0

    def with_patients(self, more: float) -> Load:
        """With so many patients more like these, watched as these are.

        What viewers are sent grows with the streams; the WebSocket messages stay, for what patients have at a
        moment leaves in one message.
        """
        if not self.streams:
            return self
        grown = 1 + more / self.streams
        return replace(
            self,
            streams=self.streams * grown,
            viewer_streams=self.viewer_streams * grown,
            chunks=self.chunks * grown,
            lead_samples=self.lead_samples * grown,
            messages=self.messages * grown,
            sent_bytes=self.sent_bytes * grown,
        )

    def with_viewers(self, more: float) -> Load:
        """With so many viewers more like these, who watch as much as these do."""
        if not self.viewers:
            return self
        grown = 1 + more / self.viewers
        return replace(
            self,
            viewers=self.viewers * grown,
            viewer_streams=self.viewer_streams * grown,
            messages=self.messages * grown,
            websocket_messages=self.websocket_messages * grown,
            sent_bytes=self.sent_bytes * grown,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """One snapshot of a process: what it holds now, and counters since it began."""

    process: str
    at: float
    cpu_s: float
    rss_mb: float
    streams: int
    viewers: int
    viewer_streams: int
    chunks: int
    lead_samples: int
    sent_messages: int
    websocket_messages: int
    bytes_sent: int


@dataclass(frozen=True, slots=True)
class Measured:
    """A load over some seconds, and what it took."""

    load: Load
    cpu: float
    """Of a core."""
    memory_mb: float
    seconds: float


def measured(before: Reading, after: Reading) -> Measured | None:
    """What a process did between two of its snapshots; None where it began anew, or did not go on in time."""
    seconds = after.at - before.at
    if before.process != after.process or seconds <= 0 or after.cpu_s < before.cpu_s:
        return None
    load = Load(
        streams=(before.streams + after.streams) / 2,
        viewers=(before.viewers + after.viewers) / 2,
        viewer_streams=(before.viewer_streams + after.viewer_streams) / 2,
        chunks=(after.chunks - before.chunks) / seconds,
        lead_samples=(after.lead_samples - before.lead_samples) / seconds,
        messages=(after.sent_messages - before.sent_messages) / seconds,
        websocket_messages=(after.websocket_messages - before.websocket_messages) / seconds,
        sent_bytes=(after.bytes_sent - before.bytes_sent) / seconds,
    )
    return Measured(load, (after.cpu_s - before.cpu_s) / seconds, after.rss_mb, seconds)


CPU_TERMS = ("chunks", "lead_samples", "messages", "websocket_messages", "sent_bytes")
MEMORY_TERMS = ("streams", "viewers", "viewer_streams")
PRIOR_CPU = (0.01, 400e-6, 0.15e-6, 3e-6, 60e-6, 1e-9)
"""Core-seconds a second, then for each of CPU_TERMS, on the machine of bench/results.md: they say 30 % of a
core where its row of 200 live viewers has 31, and 13 where the central station has 17."""
PRIOR_MEMORY = (125.0, 0.7, 0.13, 0.013)
"""MB, then for each of MEMORY_TERMS; by `bench/capacity.py --costs`."""


@dataclass(frozen=True, slots=True)
class Costs:
    """A fitted sum: a base and the cost of each term, with how they err together."""

    terms: tuple[str, ...]
    values: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    error: float
    """Standard deviation of what the sum leaves over."""
    snapshots: int
    """That it was fitted to; 0: it is the prior."""

    def of(self, load: Load) -> float:
        """What a load costs."""
        return float(np.dot(_row(load, self.terms), self.values))

    def doubt(self, load: Load) -> float:
        """Standard deviation of the same."""
        row = _row(load, self.terms)
        return math.sqrt(max(0.0, float(row @ np.array(self.covariance) @ row)))

    def shares(self, load: Load) -> dict[str, float]:
        """What each term costs of a load; `base` is the first."""
        row = _row(load, self.terms)
        return dict(zip(("base", *self.terms), (row * np.array(self.values)).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Room:
    """How many more fit: the best guess and between what; None: the limit is never reached."""

    more: int | None
    least: int | None
    most: int | None


def fit(
    loads: Sequence[Load], costs: Sequence[float], terms: tuple[str, ...], prior: tuple[float, ...]
) -> Costs:
    """The costs of these loads; without any, the prior's."""
    expected = np.array(prior)
    # In units of the prior, so that one spread holds for all.
    scale = np.where(expected > 0, expected, 1.0)
    rows = np.array([_row(load, terms) for load in loads]).reshape(-1, len(prior)) * scale
    wanted = np.array(costs, float)
    start = expected / scale
    values, error = start, math.inf
    for _ in range(5):
        # The errors of the fit say how much it weighs against the prior, which is why it is repeated.
        error = _error(rows, wanted, values)
        weight = error / PRIOR_SPREAD if len(rows) else 1.0
        stacked = np.vstack([rows, weight * np.eye(len(prior))])
        values = least_squares_not_negative(stacked, np.concatenate([wanted, weight * start]))
    precision = np.eye(len(prior)) / PRIOR_SPREAD**2
    if len(rows):
        precision = precision + rows.T @ rows / error**2
    covariance = np.linalg.inv(precision) * np.outer(scale, scale)
    return Costs(
        terms,
        tuple((values * scale).tolist()),
        tuple(tuple(row) for row in covariance.tolist()),
        error if len(rows) else 0.0,
        len(rows),
    )


def least_squares_not_negative(rows: Matrix, wanted: Vector) -> Vector:
    """The values of which none is negative with the least squares of `rows @ values - wanted`.

    Tries every set of values that are zero: with six there are 64, and no tolerance to choose (Lawson and
    Hanson's algorithm finds the same by steps). Some set is always feasible: that of none. Each is solved by
    the normal equations, a twentieth of the time that the rows themselves take.
    """
    count = rows.shape[1]
    gram, target = rows.T @ rows, rows.T @ wanted
    best, least = np.zeros(count), 0.0
    for size in range(1, count + 1):
        for kept in combinations(range(count), size):
            columns = list(kept)
            of_these = gram[np.ix_(columns, columns)]
            found, *_ = np.linalg.lstsq(of_these, target[columns], rcond=None)
            if (found < 0).any():
                continue
            # Without the squares of what is wanted, which are the same for all.
            if (squares := float(found @ of_these @ found - 2 * target[columns] @ found)) < least:
                least = squares
                best = np.zeros(count)
                best[columns] = found
    return best


def _error(rows: Matrix, wanted: Vector, values: Vector) -> float:
    """Standard deviation of what is left, and no less than LEAST_ERROR of what is explained."""
    if not len(rows):
        return 1.0
    left = wanted - rows @ values
    spread = math.sqrt(float(left @ left) / len(left))
    return max(spread, LEAST_ERROR * float(np.mean(np.abs(wanted))), 1e-9)


def _row(load: Load, terms: tuple[str, ...]) -> Vector:
    return np.array([1.0, *(getattr(load, term) for term in terms)])


# -- how many more


def more_patients(costs: Costs, load: Load, limit: float) -> Room:
    """Patients like the present ones, watched as these are; with no patient, like nobody: no answer."""
    return _room(costs, load, load.with_patients(1), limit) if load.streams else Room(None, None, None)


def more_viewers(costs: Costs, load: Load, limit: float) -> Room:
    """Viewers like the present ones."""
    return _room(costs, load, load.with_viewers(1), limit) if load.viewers else Room(None, None, None)


def _room(costs: Costs, load: Load, grown: Load, limit: float) -> Room:
    """Costs are linear, and so is the doubt of one more: from where the load is now to the limit."""
    left = limit - costs.of(load)
    each = costs.of(grown) - costs.of(load)
    step = _row(grown, costs.terms) - _row(load, costs.terms)
    doubt = _Z * math.sqrt(max(0.0, float(step @ np.array(costs.covariance) @ step)))
    return Room(_count(left, each), _count(left - _Z * costs.error, each + doubt), _count(left, each - doubt))


def _count(left: float, each: float) -> int | None:
    if left <= 0:
        return 0
    return math.floor(left / each) if each > 0 else None
