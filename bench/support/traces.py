"""Paths of every kind that a viewer may sit behind, from 16 kbit/s to 100 Mbit/s, drawn from a seed.

`python -m bench.support.traces --seed 3` says what each is like.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence

from tests.simulation import Bottleneck, Trace

LENGTH_S = 300.0
LEAST_BPS = 16e3
MOST_BPS = 100e6
_STEP_S = 0.5

Steps = list[tuple[float, float]]


def traces(seed: int) -> list[Trace]:
    """All of them. The same seed draws the same; another one moves rates, times and round trips."""
    return [_trace(seed, name, rtt_s, draw, jitter_s) for name, rtt_s, jitter_s, draw in _KINDS]


def constant(bps: float) -> Callable[[random.Random], Steps]:
    """One rate, up to 15 % away from `bps`."""
    return lambda rng: [(0.0, bps * rng.uniform(0.85, 1.15))]


def stairs(rates_bps: Sequence[float], every_s: float) -> Callable[[random.Random], Steps]:
    """These rates in turn, each for about `every_s`."""

    def draw(rng: random.Random) -> Steps:
        return list(_turns(rng, every_s, lambda turn: rates_bps[turn % len(rates_bps)]))

    return draw


def markov(rates_bps: Sequence[float], hold_s: float) -> Callable[[random.Random], Steps]:
    """From each rate to a neighbour after an exponential time of `hold_s` in the mean."""

    def draw(rng: random.Random) -> Steps:
        state, at, steps = rng.randrange(len(rates_bps)), 0.0, []
        while at < LENGTH_S:
            steps.append((at, rates_bps[state]))
            at += max(_STEP_S, rng.expovariate(1 / hold_s))
            state = min(max(state + rng.choice((-1, 1)), 0), len(rates_bps) - 1)
        return steps

    return draw


def cellular(
    median_bps: float, *, spread: float, every_s: float, fade_s: float
) -> Callable[[random.Random], Steps]:
    """A log-normal walk that returns to its median within 10 s or so, with fades to a tenth of it."""

    def draw(rng: random.Random) -> Steps:
        steps, walk, keep = [], 0.0, math.exp(-_STEP_S / 10)
        fade_at, fade_end = rng.expovariate(1 / every_s), 0.0
        for step in range(int(LENGTH_S / _STEP_S)):
            at = step * _STEP_S
            walk = keep * walk + math.sqrt(1 - keep**2) * rng.gauss(0.0, spread)
            if at >= fade_at:
                fade_end = at + rng.uniform(0.5, 1.5) * fade_s
                fade_at = fade_end + rng.expovariate(1 / every_s)
            steps.append((at, median_bps * math.exp(walk) * (0.1 if at < fade_end else 1.0)))
        return steps

    return draw


def outages(bps: float, every_s: float) -> Callable[[random.Random], Steps]:
    """One rate, and about every `every_s` none for 2 to 8 s: less than the 10 s after which 4008 falls."""

    def draw(rng: random.Random) -> Steps:
        steps, at = [(0.0, bps * rng.uniform(0.9, 1.1))], 20 + rng.uniform(0.3, 1) * every_s
        while at < LENGTH_S - 20:
            end = at + rng.uniform(2, 8)
            steps += [(at, 0.0), (end, steps[0][1])]
            at = end + rng.uniform(0.5, 1.5) * every_s
        return steps

    return draw


_KINDS = (
    ("constant 17 kbit/s", 0.600, 0.0, constant(17e3)),
    ("constant 24 kbit/s", 0.080, 0.0, constant(24e3)),
    ("constant 60 kbit/s", 0.300, 0.02, constant(60e3)),
    ("constant 100 Mbit/s", 0.005, 0.0, constant(MOST_BPS)),
    ("steps 20 kbit/s and 1 Mbit/s", 0.050, 0.0, stairs((1e6, 20e3), 45)),
    ("stairs of 16 to 250 kbit/s", 0.120, 0.01, stairs((250e3, 60e3, 28e3, 16e3, 28e3, 60e3), 30)),
    ("satellite, 500 kbit/s, rain", 0.600, 0.03, stairs((500e3, 20e3, 500e3, 120e3), 40)),
    ("Markov, 16 to 48 kbit/s", 0.100, 0.01, markov((16e3, 20e3, 26e3, 34e3, 48e3), 10)),
    ("Markov, 30 kbit/s to 10 Mbit/s", 0.040, 0.005, markov((30e3, 300e3, 3e6, 10e6), 8)),
    ("cellular, 40 kbit/s", 0.300, 0.05, cellular(40e3, spread=0.4, every_s=40, fade_s=5)),
    ("cellular, 250 kbit/s", 0.120, 0.03, cellular(250e3, spread=0.6, every_s=30, fade_s=5)),
    ("cellular, 8 Mbit/s", 0.050, 0.02, cellular(8e6, spread=0.8, every_s=30, fade_s=4)),
    ("outages of 24 kbit/s", 0.150, 0.0, outages(24e3, 50)),
    ("outages of 300 kbit/s", 0.060, 0.005, outages(300e3, 40)),
)


def _trace(
    seed: int, name: str, rtt_s: float, draw: Callable[[random.Random], Steps], jitter_s: float
) -> Trace:
    rng = random.Random(f"{name} {seed}")
    steps = tuple((at, bps and min(max(bps, LEAST_BPS), MOST_BPS)) for at, bps in draw(rng))
    return Trace(name, min(0.6, rtt_s * rng.uniform(1.0, 1.3)), LENGTH_S, steps, jitter_s)


def _turns(rng: random.Random, every_s: float, rate: Callable[[int], float]) -> Iterator[tuple[float, float]]:
    at, turn = 0.0, rng.randrange(100)
    while at < LENGTH_S:
        yield at, rate(turn)
        at += rng.uniform(0.7, 1.3) * every_s
        turn += 1


def main(seed: int) -> int:
    """Say what each trace of a seed is like."""
    for trace in traces(seed):
        rates = [bps for _, bps in trace.steps]
        mean = 8 * Bottleneck(trace.steps).passed(trace.length_s) / trace.length_s
        print(
            f"{trace.name:<34}{min(rates) / 1e3:>10.0f}{mean / 1e3:>10.0f}{max(rates) / 1e3:>10.0f} kbit/s "
            f"least, mean, most{len(trace.outages):>4} outages{1000 * trace.rtt_s:>6.0f} ms"
        )
    return 0


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="The traces of a seed.")
    options.add_argument("--seed", type=int, default=1)
    sys.exit(main(options.parse_args().seed))
