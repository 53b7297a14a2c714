"""The ladder on fourteen paths: against every fixed rendition on the same, and an oracle that knows them.

Each path is simulated in virtual time (`tests.simulation`), with the real Subscriber, outbox, window and
estimator. A score is the mean over time of what the signal of that moment was worth when it came: lossless 1,
diagnostic 0.95, display 0.8, overview 0.5, vitals 0.2, and nothing where it came more than 1 s later than
frame and half a round trip explain, or not at all. A switch, of frame durations too, costs 0.02 of the second
in which it falls. The first 20 s do not count. The oracle is the best plan by dynamic programming over half
seconds, for a link without round trips that carries frames and vitals alone.

With `--streams 8` a ward is watched, one bed in focus; the bounds are for one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.support.report import Figure, at_least, at_most, parser, report
from bench.support.traces import traces
from streaming.core.renditions import LADDER, Quality, frame_bytes
from tests.simulation import (
    LEADS,
    MESSAGE_BYTES,
    RATE_HZ,
    TICK_S,
    Bottleneck,
    Choose,
    Recording,
    Trace,
    always,
    by_ladder,
    watch,
)

WORTH = {
    Quality.LOSSLESS: 1.0,
    Quality.DIAGNOSTIC: 0.95,
    Quality.DISPLAY: 0.8,
    Quality.OVERVIEW: 0.5,
    Quality.VITALS: 0.2,
}
SWITCH_COST_S = 0.02
SKIP_S = 20.0
STALE_S = 1.0
_VITALS_MESSAGE_BYTES = 100
_SLOT_S = 0.5
_BACKLOGS = 65

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a viewer fared on one path; `stale` is the share of the time outside outages.

    Who was cut for being slow got nothing from then on.
    """

    score: float
    stale: float
    switches_per_min: float


def outcome(trace: Trace, choose: Choose, streams: int, seed: int) -> Outcome:
    """Watch, and value what came."""
    recording = watch(trace, choose, streams=streams, seed=seed)
    worth = _worth(trace, recording, streams)
    times = TICK_S * np.arange(worth.shape[1])
    counted, outside = times >= SKIP_S, np.ones(len(times), bool)
    for began, ended in trace.outages:
        # What was sampled in the second before it could not come in time either.
        outside &= (times < began - STALE_S) | (times >= ended)
    counted_s = trace.length_s - SKIP_S
    switches = sum(at >= SKIP_S for at, _, _ in recording.switches) / streams
    return Outcome(
        float(worth[:, counted].mean()) - SWITCH_COST_S * switches / counted_s,
        float((worth[:, counted & outside] == 0).mean()),
        60 * switches / counted_s,
    )


def _worth(trace: Trace, recording: Recording, streams: int) -> Floats:
    """Of each stream's signal at each tick; vitals count only where they are all that is sent."""
    slots = round(trace.length_s / TICK_S)
    worth, numbers_only = np.zeros((streams, slots)), np.zeros((streams, slots), bool)
    places = {name: place for place, (_, name, _) in enumerate(recording.switches[:streams])}
    for at, name, rendition in recording.switches:
        numbers_only[places[name], round(at / TICK_S) :] = rendition.quality is Quality.VITALS
    for arrival in recording.arrivals:
        if arrival.at_s - arrival.stop_s - trace.rtt_s / 2 <= STALE_S:
            place = (
                places[arrival.stream],
                slice(round(arrival.start_s / TICK_S), round(arrival.stop_s / TICK_S)),
            )
            quality = arrival.rendition.quality
            applies = numbers_only[place] if quality is Quality.VITALS else True
            worth[place] = np.maximum(worth[place], np.where(applies, WORTH[quality], 0.0))
    return worth


def oracle(trace: Trace, streams: int) -> float:
    """The best score of any plan: a state is how far the streams are raised, and the bytes that wait."""
    needs, worths = _plans(streams)
    steps = np.arange(len(needs))
    cost = SWITCH_COST_S * np.abs(steps[:, None] - steps[None, :]).clip(max=streams) / streams
    link, grain = Bottleneck(trace.steps), needs.max() / (_BACKLOGS - 1)
    waiting = grain * np.arange(_BACKLOGS)
    best = np.full((len(needs), _BACKLOGS), -np.inf)
    best[:, 0] = 0.0
    for slot in range(round(trace.length_s / _SLOT_S)):
        began, ended = slot * _SLOT_S, (slot + 1) * _SLOT_S
        counts = began >= SKIP_S
        if counts:
            best = (best[None, :, :] - cost[:, :, None]).max(axis=1)
        else:
            best = np.broadcast_to(best.max(axis=0), best.shape)
        passed = link.passed(ended) - link.passed(began)
        in_time = link.passed(ended + STALE_S) - link.passed(ended)
        left = np.maximum(0.0, waiting[None, :] + _SLOT_S * needs[:, None] - passed)
        gained = best + np.where(left <= in_time + 1e-9, _SLOT_S * worths[:, None], 0.0) * counts
        after = np.rint(np.minimum(left, in_time) / grain).astype(int).clip(0, _BACKLOGS - 1)
        best = np.full_like(gained, -np.inf)
        for step in steps:
            np.maximum.at(best[step], after[step], gained[step])
    return float(best.max()) / (trace.length_s - SKIP_S)


def _plans(streams: int) -> tuple[Floats, Floats]:
    """Bytes a second and worth of raising one stream after the other, by one rendition at a time."""
    needs = np.array([_least_bytes_per_s(place, streams) for place in reversed(range(len(LADDER)))])
    worths = np.array([WORTH[rendition.quality] for rendition in reversed(LADDER)])
    raised = [(rung, count) for rung in range(len(LADDER) - 1) for count in range(streams)]
    raised.append((len(LADDER) - 2, streams))
    return (
        np.array([needs[rung] * (streams - count) + needs[rung + 1] * count for rung, count in raised]),
        np.array(
            [
                (worths[rung] * (streams - count) + worths[rung + 1] * count) / streams
                for rung, count in raised
            ]
        ),
    )


def _least_bytes_per_s(place: int, streams: int) -> float:
    """Of one stream on the wire, if frames of all streams left together and nothing else were said."""
    rendition = LADDER[place]
    if rendition.quality is Quality.VITALS:
        return _VITALS_MESSAGE_BYTES
    frame = frame_bytes(rendition, leads=len(LEADS), rate_hz=RATE_HZ) + MESSAGE_BYTES / streams
    return frame / rendition.frame_s + _VITALS_MESSAGE_BYTES


def figures(seed: int, streams: int) -> Iterable[Figure]:
    """Of each path, then over all."""
    of_oracle, stale = [], []
    for trace in traces(seed):
        ours = outcome(trace, by_ladder(streams), streams, seed)
        fixed = [outcome(trace, always(rendition, streams), streams, seed).score for rendition in LADDER]
        best = max(range(len(LADDER)), key=fixed.__getitem__)
        known = oracle(trace, streams)
        of_oracle.append(ours.score / known)
        stale.append(ours.stale)
        peer = f"{LADDER[best].quality} at {LADDER[best].frame_s:g} s: {fixed[best]:.3f}"
        yield Figure(f"{trace.name}: score", ours.score, "", against=f"oracle: {known:.3f}")
        yield at_least(f"{trace.name}: of the best fixed", ours.score / fixed[best], 0.98, "", against=peer)
        yield at_most(f"{trace.name}: stale", 100 * ours.stale, 1, "%", against="outside outages")
        yield at_most(f"{trace.name}: switches", ours.switches_per_min, 6, "/min", against="")
    yield at_least(
        "of the oracle, mean",
        float(np.mean(of_oracle)),
        0.92,
        "",
        against=f"{len(of_oracle)} paths, seed {seed}",
    )
    yield Figure("stale, mean", 100 * float(np.mean(stale)), "%", against="outside outages")


def main(options: argparse.Namespace) -> int:
    """Simulate all, report."""
    return report(list(figures(options.seed, options.streams)), as_json=options.json)


if __name__ == "__main__":
    choices = parser("The ladder against every fixed rendition and an oracle, on simulated paths.")
    choices.add_argument("--seed", type=int, default=1, help="of the paths (default: 1)")
    choices.add_argument("--streams", type=int, default=1, help="that the viewer watches (default: 1)")
    sys.exit(main(choices.parse_args()))
