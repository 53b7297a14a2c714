"""What the codec saves and costs on real records, beside every peer in the same run.

    python -m bench.codec [--data DIR] [--json] [--quick]

DIR is laid out like PhysioNet's sets (mitdb/, vfdb/, twelve-lead/...). Sizes are per cent saved against int16
samples: the payload alone, messages of one second that each stand alone, lossless where nothing else is said,
records that the codec was not trained on. Times are medians over messages, in turns with those of zlib
level 6 (the specification's raw deflate: window 12, memory level 5) on the same samples.
"""

from __future__ import annotations

import io
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import brotli
import numpy as np
import playwright
import soundfile
import zstandard
from tqdm import tqdm

from bench.support.records import CLASSES, Messages, Record, quantised, records, reference_folder
from bench.support.report import Figure, at_least, at_most, parser, report
from streaming.compression import CompressionHandler
from streaming.core.frames import HEADER, encode_json_frame
from streaming.core.framing import encode_bundle
from streaming.core.renditions import Quality
from streaming.core.streams import Lead
from streaming.core.strict_json import to_json
from streaming.ecg.codec import WaveformEncoder, decode
from streaming.ecg.ecg1 import encode as ecg1
from streaming.ecg.ecg1.trained import TRAINED_ON
from streaming.ecg.grid import find_grid
from streaming.ecg.planes import encode_planes
from streaming.ecg.renditions import Renderer

ROOT = Path(__file__).resolve().parent.parent
MESSAGES_A_RECORD = 60
VITALS = '{"type":"vitals","stream":"4f2a9c81d07b","epoch":12,"sample":123456,"hr":72.5,"hr_source":"II"}'
WEBSOCKET_BYTES = 4
"""The header of a WebSocket message of 126 bytes to 64 KiB from a server."""
BATCH_LEADS = 64
COMPRESSION_P99_MS, DECOMPRESSION_P99_MS = 10.0, 5.0
GROUPS, GROUP_MB = 1000, 50.0
DISPLAY_SAVED = 91.5

Coder = Callable[[Messages], bytes]


class Case(NamedTuple):
    """A class of records as it is sent, with what has to be reached."""

    name: str
    kinds: tuple[str, ...]
    bound_uv: float
    least: float


CASES = (
    Case("mitdb, 2 leads", ("mitdb",), 0.0, 75.0),
    Case("vfdb, 2 leads", ("vfdb",), 0.0, 69.2),
    Case("PTB-XL, 12 leads", ("ptbxl",), 0.0, 79.4),
    Case("Georgia and Ningbo, 12 leads on a grid", ("georgia", "ningbo"), 0.0, 83.5),
    Case("PTB-XL, +-2.5 uV", ("ptbxl",), 2.5, 87.5),
    Case("mitdb, +-5 uV", ("mitdb",), 5.0, 80.2),
)


def main(folder: Path, *, as_json: bool, quick: bool) -> int:
    """All tables."""
    trained_on = frozenset(TRAINED_ON.split())
    most = MESSAGES_A_RECORD // (6 if quick else 1)
    held_out: dict[str, list[Record]] = {}
    for kind in CLASSES:
        found = [record for record in records(folder, kind) if record.name not in trained_on]
        if found:
            held_out[kind.name] = found
    if not held_out:
        raise SystemExit(f"no record in {folder} that the codec was not trained on")
    figures: list[Figure] = []
    for case in tqdm(CASES, desc="sizes", disable=as_json):
        of_case = [record for kind in case.kinds for record in held_out.get(kind, [])]
        if of_case:
            figures += sizes(case, of_case, most)
    if "ptbxl" in held_out:
        figures.append(display(held_out["ptbxl"], most))
    for timed in ("mitdb", "ptbxl", "georgia", "ningbo"):
        if timed in held_out:
            figures += times(timed, held_out[timed], most)
    figures += in_javascript(held_out, most)
    figures += beside_busy_processes(held_out.get("ptbxl") or held_out["mitdb"])
    figures.append(memory())
    return report(figures, as_json=as_json)


# -- sizes


def sizes(case: Case, of_case: list[Record], most: int) -> list[Figure]:
    """The codec's figure, the peers', against JSON, and on the wire."""
    saved = share_saved(of_case, most, 1.0, case.bound_uv, WaveformCoder)
    names = f"{len(of_case)} records that the codec was not trained on"
    figures = [at_least(f"{case.name}: ecg1", saved, case.least, "% saved", against=f"int16, {names}")]
    text = in_millivolts(of_case[0].gain_uv)
    value = share_saved(of_case, most, 1.0, case.bound_uv, WaveformCoder, against=lambda s: len(text(s)))
    figures.append(
        at_least(
            f"{case.name}: ecg1 against JSON", value, 90.0, "% saved", against="compact JSON in millivolts"
        )
    )
    value = share_saved(of_case, most, 1.0, case.bound_uv, WaveformCoder, against=json_size)
    figures.append(
        Figure(
            f"{case.name}: ecg1 against JSON of integers",
            value,
            "% saved",
            against="compact JSON of ADC steps",
        )
    )
    if case.bound_uv:
        return figures
    for name, coder in PEERS.items():
        value = share_saved(of_case, most, 1.0, 0.0, coder)
        figures.append(Figure(f"{case.name}: {name}", value, "% saved", against="int16"))
    for duration_s in (0.1, 0.25):
        payload = share_saved(of_case, most, duration_s, 0.0, WaveformCoder)
        wire = share_saved(of_case, most, duration_s, 0.0, partial(on_the_wire, duration_s))
        figures.append(Figure(f"{case.name}: ecg1, {duration_s:g} s", payload, "% saved", against="int16"))
        figures.append(
            Figure(f"{case.name}: {duration_s:g} s, all on the wire", wire, "% saved", against="int16")
        )
    return figures


def display(of_case: list[Record], most: int) -> Figure:
    """What is left of native samples in the rendition that a screen is sent, of a second each."""
    before = after = 0
    for record in of_case:
        leads = [Lead(str(row), record.gain_uv) for row in range(len(record.samples))]
        renderer = Renderer(Quality.DISPLAY, record.rate_hz, leads)
        pieces = renderer.push(0, record.samples) + renderer.flush()
        made = np.concatenate([piece.samples for piece in pieces], axis=1)
        rendered = replace(record, rate_hz=renderer.rate_hz, samples=made)
        code = WaveformCoder()
        for samples in rendered.messages(1.0, most):
            before += 2 * samples.size * renderer.factor
            after += len(code(samples))
    names = f"{len(of_case)} records that the codec was not trained on"
    saved = 100 * (1 - after / before)
    return at_least("PTB-XL, display: ecg1", saved, DISPLAY_SAVED, "% saved", against=f"int16, {names}")


def share_saved(
    of_case: list[Record],
    most: int,
    duration_s: float,
    bound_uv: float,
    coder: Callable[[], Coder],
    *,
    against: Callable[[Messages], int] = lambda samples: 2 * samples.size,
) -> float:
    """Per cent saved, every record weighing by its bytes; one coder for each record, as for each stream."""
    before = after = 0
    for record in of_case:
        code = coder()
        for samples in record.messages(duration_s, most):
            sent = quantised(samples, round(2 * bound_uv / record.gain_uv)) if bound_uv else samples
            before += against(samples)
            after += len(code(sent))
    return 100 * (1 - after / before)


class WaveformCoder:
    """The product's encoder; every payload is decoded again and compared."""

    def __init__(self) -> None:
        self._encoder = WaveformEncoder()

    def __call__(self, samples: Messages) -> bytes:
        payload = self._encoder.encode(samples)
        if not np.array_equal(decode(payload), samples):
            raise AssertionError("the codec is not lossless")
        return payload


def on_the_wire(duration_s: float) -> Coder:
    """A payload with its frame, its bundle, the heart rate every second, and the WebSocket's own bytes."""
    encoder = WaveformEncoder()
    due = itertools.cycle([True] + [False] * (round(1 / duration_s) - 1))

    def code(samples: Messages) -> bytes:
        frames = [bytes(HEADER.size) + encoder.encode(samples)]
        if next(due):
            frames.append(encode_json_frame(VITALS))
        return encode_bundle(frames) + bytes(WEBSOCKET_BYTES)

    return code


def json_size(samples: Messages) -> int:
    """Bytes of the samples as compact JSON of integers: what is hardest to be smaller than."""
    return len(to_json(samples.tolist()))


def in_millivolts(gain_uv: float) -> Callable[[Messages], str]:
    """The samples as compact JSON in millivolts, to the microvolt: as ECG is usually sent."""
    return lambda samples: to_json(np.round(samples * (gain_uv / 1000), 3).tolist())


def int16(samples: Messages) -> bytes:
    """Little-endian, lead after lead."""
    return samples.astype("<i2").tobytes()


def deflated(plain: bytes) -> bytes:
    """As the specification sets it."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -12, 5)
    return deflate.compress(plain) + deflate.flush()


def with_takeover(plain: Callable[[Messages], bytes]) -> Callable[[], Coder]:
    """permessage-deflate (RFC 7692) with context takeover: one window of 32 KiB over all messages."""

    def coder() -> Coder:
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15, 8)

        def code(samples: Messages) -> bytes:
            return (deflate.compress(plain(samples)) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]

        return code

    return coder


def flac(samples: Messages) -> bytes:
    """One file of at most eight channels after the other, as one message."""
    parts = []
    for first in range(0, len(samples), 8):
        part = io.BytesIO()
        soundfile.write(
            part, samples[first : first + 8].T.astype(np.int16), 44_100, format="FLAC", subtype="PCM_16"
        )
        parts.append(part.getvalue())
    return b"".join(parts)


PEERS: dict[str, Callable[[], Coder]] = {
    "JSON": lambda: lambda samples: to_json(samples.tolist()).encode(),
    "JSON, deflate 6": lambda: lambda samples: deflated(to_json(samples.tolist()).encode()),
    "JSON, permessage-deflate with takeover": with_takeover(lambda s: to_json(s.tolist()).encode()),
    "int16, deflate 6": lambda: lambda samples: deflated(int16(samples)),
    "int16, permessage-deflate with takeover": with_takeover(int16),
    "int16, zstd 19": lambda: lambda samples: zstandard.ZstdCompressor(level=19).compress(int16(samples)),
    "int16, brotli 11": lambda: lambda samples: brotli.compress(int16(samples), quality=11),
    "FLAC": lambda: flac,
    "planes, deflate 6": lambda: lambda samples: encode_planes(samples, level=6, window_bits=12, mem_level=5),
}


# -- times


def times(kind: str, of_kind: list[Record], most: int) -> list[Figure]:
    """Encoding, decoding and encoding in batches, as multiples of zlib level 6 on the same samples."""
    encoders = [WaveformEncoder() for _ in of_kind]
    work = [
        (encoder, samples, encoder.encode(samples), int16(samples))
        for encoder, record in zip(encoders, of_kind, strict=True)
        for samples in record.messages(1.0, most)
    ]
    for _, _, payload, _ in work:
        decode(payload)  # Look-ups that a running process has made already.
    spent: dict[str, list[float]] = {"encode": [], "decode": [], "zlib": []}
    for _, (encoder, samples, payload, plain) in itertools.product(range(3), work):
        for name, act in (
            ("zlib", partial(deflated, plain)),
            ("encode", partial(encoder.encode, samples)),
            ("decode", partial(decode, payload)),
        ):
            began = time.perf_counter()
            act()
            spent[name].append(time.perf_counter() - began)
    encode_s, decode_s, zlib_s = (float(np.median(spent[name])) for name in ("encode", "decode", "zlib"))
    leads = of_kind[0].samples.shape[0]
    label, against = f"{kind}, {leads} leads x 1 s", "zlib level 6 of the same samples, same run"
    bound = 6.0 if leads <= 2 else 4.5
    return [
        at_most(f"{label}: encode", encode_s / zlib_s, bound, "x", against=against),
        at_most(f"{label}: decode in Python", decode_s / encode_s, 1.0, "x", against="encoding, same run"),
        at_most(
            f"{label}: encode, a lead in batches of 64",
            batch(of_kind, most) / zlib_s * leads,
            1.5,
            "x",
            against=against,
        ),
        Figure(f"{label}: encode", 1e6 * encode_s, "us"),
        Figure(f"{label}: decode in Python", 1e6 * decode_s, "us"),
    ]


def batch(of_kind: list[Record], most: int) -> float:
    """Seconds for a lead, when 64 leads are encoded in one call."""
    leads = of_kind[0].samples.shape[0]
    count = max(1, BATCH_LEADS // leads)
    spent = []
    for record in of_kind:
        messages = record.messages(1.0, max(most, count))[:count]
        grid = find_grid(messages.astype(np.int64))
        half = np.array([payload[0] & ecg1.HALF for payload in ecg1.encode(messages, grid=grid)]) > 0
        for _ in range(20):
            began = time.perf_counter()
            ecg1.encode(messages, grid=grid, half=half)
            spent.append((time.perf_counter() - began) / (len(messages) * leads))
    return float(np.median(spent))


def in_javascript(held_out: dict[str, list[Record]], most: int) -> list[Figure]:
    """The page's decoder against JSON.parse of the same samples."""
    cases: dict[str, list[tuple[str, str]]] = {}
    for kind, of_kind in held_out.items():
        if kind == "cinc2015":
            continue
        cases[kind] = []
        for record in of_kind:
            encoder, text = WaveformEncoder(), in_millivolts(record.gain_uv)
            cases[kind] += [(encoder.encode(each).hex(), text(each)) for each in record.messages(1.0, most)]
    file = Path(tempfile.mkdtemp()) / "payloads.json"
    file.write_text(json.dumps(cases))
    try:
        output = subprocess.run(
            [node(), str(ROOT / "bench" / "ecg1_decode.mjs"), str(file)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    finally:
        shutil.rmtree(file.parent)
    figures = []
    for line in output.splitlines():
        told = json.loads(line)
        label = f"{told['name']}, 1 s, in JavaScript"
        ratio, tail = told["median_us"] / told["json_parse_us"], told["p99_us"] / told["median_us"]
        figures += [
            at_most(
                f"{label}: decode",
                ratio,
                0.5,
                "x",
                against="JSON.parse of the same samples in millivolts, in turns",
            ),
            at_most(f"{label}: decode, 99th percentile", tail, 4.0, "x", against="its median"),
            Figure(f"{label}: decode", told["median_us"], "us"),
        ]
    return figures


def beside_busy_processes(of_kind: list[Record]) -> list[Figure]:
    """The specification's bounds on latency, 99th percentile, while two other processes never rest."""
    encoder = WaveformEncoder()
    messages = [samples for record in of_kind for samples in record.messages(1.0, 30)]
    payloads = [encoder.encode(samples) for samples in messages]
    encode_s, decode_s = [], []
    with busy(2):
        for _, (samples, payload) in itertools.product(range(6), zip(messages, payloads, strict=True)):
            began = time.perf_counter()
            encoder.encode(samples)
            between = time.perf_counter()
            decode(payload)
            decode_s.append(time.perf_counter() - between)
            encode_s.append(between - began)
    against = f"the specification; {of_kind[0].kind}, 1 s messages, beside two busy processes"
    return [
        at_most(
            f"{what}, 99th percentile", 1e3 * float(np.quantile(spent, 0.99)), bound, "ms", against=against
        )
        for what, spent, bound in (
            ("compression", encode_s, COMPRESSION_P99_MS),
            ("decompression", decode_s, DECOMPRESSION_P99_MS),
        )
    ]


def node() -> str:
    """The machine's node, else the one that playwright ships."""
    return shutil.which("node") or str(Path(playwright.__file__).parent / "driver" / "node")


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that are always ready to run."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def memory() -> Figure:
    """What a thousand groups' handlers and encoders take, each having worked."""
    samples = np.cumsum(np.random.default_rng(1).integers(-9, 10, (2, 360)), axis=1).astype(np.int16)
    warm = WaveformEncoder()
    decode(warm.encode(samples))
    tracemalloc.start()
    held = [(CompressionHandler(), WaveformEncoder()) for _ in range(GROUPS)]
    for handler, encoder in held:
        handler.compress({"type": "vitals", "hr": 70})
        encoder.encode(samples)
    size_mb = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    return at_most(
        f"memory of {GROUPS} groups' handlers", size_mb, GROUP_MB, "MB", against="the specification"
    )


if __name__ == "__main__":
    options = parser("Sizes and times of the codec, beside its peers.")
    options.add_argument("--data", type=Path, default=reference_folder(), help="folder of reference records")
    options.add_argument("--quick", action="store_true", help="a sixth of the messages")
    given = options.parse_args()
    sys.exit(main(given.data, as_json=given.json, quick=given.quick))
