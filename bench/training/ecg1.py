"""Train the weights and codes of `ecg1` on reference records, and write them into the codec.

    python -m bench.training.ecg1 --data DIR

Two of three records of each class are trained on, by name; the others are left to judge by. Weights of the
filters by k-means over rows: each row belongs to the filter that leaves least of it, each filter is the
reweighted least-squares fit of its rows. Sets of codes likewise: each row belongs to the set in which it is
shortest, each set has the Huffman lengths of the symbols of its rows. Everything is seeded.
"""

from __future__ import annotations

import heapq
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from bench.support.records import CLASSES, Messages, Record, quantised, records
from bench.support.report import parser
from streaming.ecg.ecg1 import codes, encode, model, trained
from streaming.ecg.grid import Grid, find_grid

Array = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
TARGET = Path(trained.__file__)
HELD_OUT_EVERY = 3
FILTER_ROUNDS, CODE_ROUNDS, STARTS = 15, 12, 4
MESSAGES, ROWS_A_RECORD = 60, 80
LONGEST_RUN_CODE = 12
HALF_BAND = np.array([-1, 0, 9, 16, 9, 0, -1]) / 32
"""What leaves the lower half of the spectrum, for messages such as a display gets."""


def main(folder: Path, seed: int) -> int:
    """Train, and write the module `trained`."""
    rng = np.random.default_rng(seed)
    names: list[str] = []
    messages: list[tuple[str, Messages]] = []
    for kind in CLASSES:
        for number, record in enumerate(records(folder, kind)):
            if number % HELD_OUT_EVERY != HELD_OUT_EVERY - 1:
                names.append(record.name)
                messages += [(kind.name, each) for each in variants(record)]
    if not names:
        raise SystemExit(f"no reference records in {folder}")
    print(f"{len(names)} records, {sum(len(m) for _, m in messages)} messages")
    first, second = train_filters([m for _, m in messages], rng)
    trained.FIRST_WEIGHTS, trained.SECOND_WEIGHTS = first, second
    lengths = train_codes(messages, rng)
    TARGET.write_text(module(names, first, second, lengths))
    print(f"written: {TARGET}")
    return 0


def variants(record: Record) -> list[Messages]:
    """The record as it is sent: lossless in long and short frames, with a bounded error, for a display."""
    whole = record.messages(1.0, MESSAGES)
    step = max(2, round(5.0 / record.gain_uv))
    smooth = np.apply_along_axis(np.convolve, 2, whole, HALF_BAND, mode="same")[:, :, ::2]
    shown = np.rint(smooth * min(1.0, record.gain_uv / 5.0)).astype(whole.dtype)
    return [whole, record.messages(0.25, MESSAGES // 3), quantised(whole, step)[::2], shown[::2]]


# -- filters


@dataclass(frozen=True, slots=True)
class Row:
    """What one row's odd samples are, and the pairs that they are predicted from, in both steps."""

    targets: tuple[Array, Array]
    pairs: tuple[Array, Array]


def train_filters(messages: list[Messages], rng: np.random.Generator) -> tuple[Int, Int]:
    """Weights of both steps in 256ths: (filters, 3) and (filters, 4)."""
    rows = [row for each in messages for row in sampled_rows(each, rng)]
    filters = [fit(rows[at : at + 1], None) for at in rng.permutation(len(rows))[: codes.SETS].tolist()]
    for _ in tqdm(range(FILTER_ROUNDS), desc="filters"):
        costs = np.array([[cost(row, filter_) for filter_ in filters] for row in rows])
        nearest = costs.argmin(axis=1)
        for number, filter_ in enumerate(filters):
            own = [rows[at] for at in np.flatnonzero(nearest == number)]
            filters[number] = fit(own, filter_) if own else fit([rows[int(costs.min(axis=1).argmax())]], None)
    firsts, seconds = zip(*filters, strict=True)
    return in_256ths(np.array(firsts)), in_256ths(np.array(seconds))


def sampled_rows(messages: Messages, rng: np.random.Generator) -> list[Row]:
    """Some rows of a record, as the encoder sees them in half rate."""
    if messages.shape[2] < encode.MIN_HALF_SAMPLES:
        return []
    flat = messages[:, :8].reshape(-1, messages.shape[2]).astype(np.int64)
    flat = flat[rng.permutation(len(flat))[:ROWS_A_RECORD]]
    evens, firsts, seconds = np.ascontiguousarray(flat[:, ::2]), flat[:, 1::4], flat[:, 3::4]
    ones = model.pairs_of_first(evens, firsts.shape[1])
    twos = model.pairs_of_second(evens, firsts, seconds.shape[1])
    return [
        Row(
            (firsts[at].astype(float), seconds[at].astype(float)),
            (ones[:, at].T.astype(float), twos[:, at].T.astype(float)),
        )
        for at in range(len(flat))
    ]


def cost(row: Row, filter_: tuple[Array, Array]) -> float:
    """About how many bits the row's odd samples take."""
    return sum(
        len(target) * float(np.log2(np.abs(target - pairs @ weights).mean() + 0.3))
        for target, pairs, weights in zip(row.targets, row.pairs, filter_, strict=True)
    )


def fit(rows: list[Row], last: tuple[Array, Array] | None) -> tuple[Array, Array]:
    """The weights of both steps that fit these rows, each row weighing by how noisy it is."""
    fitted = []
    for step in (0, 1):
        targets, pairs = [], []
        for row in rows:
            noise = 1.0
            if last is not None:
                noise = float(np.abs(row.targets[step] - row.pairs[step] @ last[step]).mean()) + 0.3
            targets.append(row.targets[step] / noise)
            pairs.append(row.pairs[step] / noise)
        fitted.append(robust_fit(np.concatenate(targets), np.concatenate(pairs)))
    return fitted[0], fitted[1]


def robust_fit(targets: Array, pairs: Array) -> Array:
    """Weights that sum to a half (of pairs), by least absolute deviations (iteratively reweighted)."""
    rest, free = targets - 0.5 * pairs[:, 0], pairs[:, 1:] - pairs[:, :1]
    importance: Array = np.ones(len(rest))
    weights: Array = np.zeros(free.shape[1])
    for _ in range(5):
        root = np.sqrt(importance)
        weights = np.asarray(np.linalg.lstsq(free * root[:, None], rest * root, rcond=None)[0], np.float64)
        importance = 1 / (np.abs(rest - free @ weights) + 0.3)
    return np.concatenate([[0.5 - weights.sum()], weights])


def in_256ths(weights: Array) -> Int:
    """Integers that sum to 128 in each row."""
    rounded = np.rint(weights * model.WEIGHT_ONE).astype(np.int64)
    rounded[:, 0] += model.WEIGHT_ONE // 2 - rounded.sum(axis=1)
    return rounded


# -- codes


def train_codes(messages: list[tuple[str, Messages]], rng: np.random.Generator) -> Int:
    """Code lengths of all sets: (sets, tables x symbols and the runs')."""
    rows = [(kind, counts) for kind, each in tqdm(messages, desc="symbols") for counts in symbol_counts(each)]
    best = min((one_start(rows, rng) for _ in tqdm(range(STARTS), desc="codes")), key=lambda found: found[1])
    print(f"{best[1]:.4f} bits a symbol")
    return best[0]


def symbol_counts(messages: Messages) -> list[Array]:
    """How often each row has each symbol, (rows, symbols), in the rate in which the messages are sent."""
    grid = grid_of(messages)
    rows = []
    half = np.array([encode.encode(each[None], grid=grid)[0][0] & encode.HALF for each in messages]) > 0
    for chosen in (False, True):
        if (half == chosen).any():
            for plan, _ in encode.plans(messages[half == chosen], grid=grid, half=chosen):
                rows.append(plan.coded().counts.astype(np.float64))
    return rows


def grid_of(messages: Messages) -> Grid | None:
    """The grid that the encoder would find."""
    chest = messages[:, [0, 1, 6, 7, 8, 9, 10, 11]] if messages.shape[1] == 12 else messages
    grid = find_grid(chest.astype(np.int64))
    return grid if grid is None or encode.fits(grid, messages) else None


def one_start(rows: list[tuple[str, Array]], rng: np.random.Generator) -> tuple[Int, float]:
    """Sets of codes from a random beginning, one record of each class in turn, and what they cost."""
    groups: dict[str, list[Array]] = {}
    for at in rng.permutation(len(rows)).tolist():
        groups.setdefault(rows[at][0], []).append(rows[at][1])
    in_turn = itertools.chain.from_iterable(itertools.zip_longest(*groups.values()))
    seeds = [each for each in in_turn if each is not None][: codes.SETS]
    lengths = np.array([code_lengths(seed.sum(axis=0)) for seed in seeds])
    total = 0.0
    for _ in range(CODE_ROUNDS):
        counts = np.zeros(lengths.shape)
        total = symbols = 0.0
        for kind, row in rows:
            # Each class counts alike, and in it each record, however many messages it has.
            share = 1e6 / (row.sum() * len(groups[kind]))
            bits = row @ lengths.T.astype(np.float64)
            nearest = bits.argmin(axis=1)
            total += share * float(bits.min(axis=1).sum())
            symbols += share * float(row.sum())
            for number in range(len(lengths)):
                counts[number] += share * row[nearest == number].sum(axis=0)
        lengths = np.array([code_lengths(each) for each in counts])
        total /= symbols
    return lengths, total


def code_lengths(counts: Array) -> Int:
    """Lengths of the codes of all tables of a set, and of its runs."""
    tables = counts[: codes.PLACES].reshape(model.TABLES, codes.SYMBOLS)
    magnitudes = np.arange(codes.SYMBOLS)
    lengths = []
    for table in tables:
        seen = table.sum()
        mean = float(table @ magnitudes / seen) if seen > 20 else 10.0
        # What was never seen may come all the same: a Laplacian of the same mean stands behind the counts.
        prior = np.exp(-magnitudes / max(mean, 0.3))
        smooth = table + prior / prior.sum() * max(30.0, 0.002 * seen) + 0.01
        smooth[codes.ESCAPE] += 0.3
        lengths.append(huffman(smooth, codes.LONGEST))
    return np.concatenate([*lengths, huffman(counts[codes.PLACES :] + 0.5, LONGEST_RUN_CODE)])


def huffman(counts: Array, longest: int) -> Int:
    """Lengths of a Huffman code; where one is longer than `longest`, rare symbols are taken for less rare."""
    shares, floor = counts / counts.sum(), 0.0
    while True:
        lengths = huffman_lengths(shares + floor)
        if lengths.max() <= longest:
            return lengths
        floor = 1e-6 if floor == 0 else 1.6 * floor


def huffman_lengths(shares: Array) -> Int:
    """Lengths of the codes by the share of each symbol (Huffman, 1952)."""
    heap: list[tuple[float, int, list[int]]] = [(share, at, [at]) for at, share in enumerate(shares.tolist())]
    heapq.heapify(heap)
    lengths = np.zeros(len(shares), np.int64)
    number = len(heap)
    while len(heap) > 1:
        least, _, some = heapq.heappop(heap)
        next_least, _, others = heapq.heappop(heap)
        lengths[some + others] += 1
        heapq.heappush(heap, (least + next_least, number, some + others))
        number += 1
    return lengths


# -- the module


def module(names: list[str], first: Int, second: Int, lengths: Int) -> str:
    """The text of the module that holds what was found."""
    tables = lengths[:, : codes.PLACES].reshape(-1, codes.SYMBOLS)
    return f'''"""What bench/training/ecg1.py found for `ecg1`: weights of filters and lengths of codes."""

from __future__ import annotations

import numpy as np

TRAINED_ON = """
{wrapped(names)}
"""
"""The records: figures are of others."""

FIRST_WEIGHTS = np.array({first.tolist()})
SECOND_WEIGHTS = np.array(
    {second.tolist()}
)

LENGTHS = """
{digits(tables)}
"""
"""Of each set, one table a line; a digit for each symbol."""

RUN_LENGTHS = """
{digits(lengths[:, codes.PLACES :])}
"""
'''


def digits(lengths: Int) -> str:
    """One hexadecimal digit for each length."""
    return "\n".join("".join(f"{length:x}" for length in row) for row in lengths.tolist())


def wrapped(names: list[str]) -> str:
    """Twelve names a line."""
    return "\n".join(" ".join(names[at : at + 12]) for at in range(0, len(names), 12))


if __name__ == "__main__":
    options = parser("Train the codec ecg1.")
    options.add_argument("--data", type=Path, required=True, help="folder of reference records")
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    sys.exit(main(given.data, given.seed))
