"""Vectors of ECG1: payloads of signals, payloads of bits at random, and what is no payload."""

from __future__ import annotations

import itertools
import zlib
from contextlib import suppress
from typing import Any

import numpy as np

from streaming.ecg.ecg1 import codes
from streaming.ecg.ecg1 import encode as ecg1
from streaming.ecg.ecg1.decode import _Reader, decode, read_header
from streaming.ecg.ecg1.model import START
from streaming.ecg.grid import Grid
from streaming.ecg.leads import TWELVE_LEADS
from streaming.ecg.planes import Samples
from streaming.ecg.simulator import Simulator
from streaming.exceptions import ProtocolError

Case = dict[str, Any]

_HALF, _TWELVE, _WIDE, _EXTRAS = 1, 2, 4, 8
_GAINS, _GRID, _TRUNCATES, _LIMBS_IN_VALUES = 1, 2, 4, 8
_GRID_EXTRAS = (0, _GRID, _GRID | _TRUNCATES)
_STEP = 4883


def vectors() -> dict[str, list[Case]]:
    """Payloads with their samples, as a CRC-32 of these in little-endian order; and malformed ones."""
    return {
        "valid": [_valid(name, payload) for name, payload in {**_of_signals(), **_of_random_bits()}.items()],
        "malformed": [{"name": name, "hex": payload.hex()} for name, payload in _malformed().items()],
    }


def crc(samples: Samples) -> int:
    """What stands for samples in the vectors."""
    return zlib.crc32(samples.astype(samples.dtype.newbyteorder("<")).tobytes())


def _valid(name: str, payload: bytes) -> Case:
    samples = decode(payload)
    leads, count = samples.shape
    bits = 8 * samples.dtype.itemsize
    return {"name": name, "hex": payload.hex()} | {
        "leads": leads,
        "samples": count,
        "bits": bits,
        "crc": crc(samples),
    }


# -- what an encoder makes of signals


def _of_signals() -> dict[str, bytes]:
    one = _simulated("pvc", ("II",), 360.0, 720)
    twelve = _simulated("sinus", TWELVE_LEADS, 500.0, 250)
    rng = np.random.default_rng(11)
    made = {
        f"{leads} leads of {count} samples": _payload(twelve.repeat(2, axis=0)[:leads, 80 : 80 + count])
        for leads, count in zip(range(1, 17), itertools.cycle([1, 2, 3, 15, 16, 17, 24, 25]), strict=False)
    }
    for count in (16, 17, 18, 19, 20, 21):
        made[f"{count} samples in half rate"] = _payload(one[:, 200 : 200 + count], half=True)
    grids = {"rounded": Grid(_STEP, truncates=False), "cut off": Grid(_STEP, truncates=True)}
    for half in (False, True):
        rate = "half rate" if half else "full rate"
        made |= {
            f"two seconds at 360 Hz in {rate}": _payload(one, half=half),
            f"32 bits in {rate}": _payload(one.astype(np.int32) * 300, half=half),
            f"zeros in {rate}": _payload(np.zeros((3, 4096), np.int16), half=half),
            f"a line up in {rate}": _payload(np.arange(-300, 300, dtype=np.int16)[None], half=half),
            f"steps between silence in {rate}": _payload(
                np.repeat(rng.integers(-900, 900, (2, 20)), 17, axis=1).astype(np.int16), half=half
            ),
            f"loud noise in {rate}": _payload(rng.integers(-32768, 32767, (2, 60), np.int16), half=half),
            f"noise of 25 bits in {rate}": _payload(
                rng.integers(-(2**21), 2**21, (1, 40), np.int32), half=half
            ),
            f"twelve leads in {rate}": _payload(twelve[:, :100], half=half),
        }
        for name, grid in grids.items():
            steps = twelve[:, :60].astype(np.int64)
            on_grid = grid.values(steps)
            made[f"twelve leads on a grid, {name}, in {rate}"] = _payload(
                on_grid.astype(np.int16), half=half, grid=grid
            )
            on_grid[2:6] = ecg1.limb_leads(steps[None, 0], steps[None, 1], grid)[0]
            made[f"limb leads on half steps, {name}, in {rate}"] = _payload(
                on_grid.astype(np.int16), half=half, grid=grid
            )
    return made


def _simulated(rhythm: str, leads: tuple[str, ...], rate_hz: float, count: int) -> Samples:
    return Simulator(rhythm, rate_hz=rate_hz, leads=leads, seed=5).read(count)


def _payload(samples: Samples, *, half: bool | None = None, grid: Grid | None = None) -> bytes:
    asked = None if half is None else np.array([half])
    return ecg1.encode(samples[None], grid=grid, half=asked)[0]


# -- what bits at random say: they have every code, and what no encoder chooses


def _of_random_bits() -> dict[str, bytes]:
    rng = np.random.default_rng(12)
    made = {}
    combinations = itertools.product((0, _HALF), (0, _WIDE), (0, _GAINS), _GRID_EXTRAS)
    for number, (half, wide, gains, grid) in enumerate(combinations):
        leads, count = 1 + number % 16, 16 + number % 9
        made[f"bits of flags {half | wide:x} {gains | grid:x}"] = _random(
            rng, half | wide, gains | grid, leads, count
        )
        limb_flags = (0, _LIMBS_IN_VALUES) if grid else (0,)
        for limbs in limb_flags:
            extras = gains | grid | limbs
            name = f"bits of flags {half | wide | _TWELVE:x} {extras:x}"
            made[name] = _random(rng, half | wide | _TWELVE, extras, 12, 16 + number % 3)
    for half, set_ in itertools.product((0, _HALF), range(codes.SETS)):
        name = "half" if half else "full"
        made[f"bits of set {set_} in {name} rate"] = _random(rng, half | _WIDE, 0, 4, 30, set_=set_)
    return made


def _random(
    rng: np.random.Generator, flags: int, extras: int, leads: int, count: int, *, set_: int | None = None
) -> bytes:
    """A payload that is valid by chance."""
    while True:
        own = 8 if flags & _TWELVE else leads
        fields = [(int(rng.integers(64)), 6) for _ in range(own - 1 if extras & _GAINS else 0)]
        for row in range(leads):
            fields += [(int(rng.integers(4)), 2), (int(rng.integers(8)) if set_ is None else set_, 3)]
            fields += [(int(rng.integers(8)), 3)] if flags & _HALF and row < own else []
            width = int(rng.integers(8))
            fields += [(width, 5), (int(rng.integers(1 << width)), width)]
        said = "".join(f"{value:0{width}b}" for value, width in fields if width)
        rest = "".join(map(str, rng.integers(0, 2, 12 * leads * count)))
        payload = _cut_to_fit(_header(flags, extras, leads, count), said + rest)
        if _accepted(payload):
            return payload


def _header(flags: int, extras: int, leads: int, count: int, step: int = _STEP) -> bytes:
    head = bytes([0x10 | flags | (_EXTRAS if extras else 0)]) + (leads - 1 << 12 | count - 1).to_bytes(
        2, "big"
    )
    return head + (bytes([extras]) if extras else b"") + (step.to_bytes(2, "big") if extras & _GRID else b"")


def _cut_to_fit(header: bytes, bits: str) -> bytes:
    """As many of the bits as are read."""
    payload = header + _packed(bits)
    reader = _Reader(payload[len(header) :])
    with suppress(ProtocolError):
        reader.samples(read_header(payload))
    return header + _packed(bits[: reader._at])  # nobody else asks how many there are


# -- what is no payload


def _malformed() -> dict[str, bytes]:
    signal = _simulated("pvc", ("II",), 360.0, 24)
    good = _payload(signal, half=False)
    twelve = _payload(_simulated("sinus", TWELVE_LEADS, 500.0, 16), half=False)
    grid = _random(np.random.default_rng(13), 0, _GRID, 2, 16)
    body, grid_body = good[3:], grid[6:]
    bare = _header(0, 0, 1, 2) + _packed(_FLAT + _code(START, 0))
    zero, escape = _code(START, 0), _code(START, codes.ESCAPE)
    made = {f"cut off behind {size} bytes": good[:size] for size in range(1, len(good))}
    made |= {
        "last bit set": bare[:-1] + bytes([bare[-1] | 1]),
        "byte behind the bits": good + b"\x00",
        "byte of ones behind the bits": good + b"\xff",
        "a thousand bytes behind the bits": good + bytes(1000),
        "more samples than bits": good[:2] + bytes([good[2] + 9]) + body,
        "fewer samples than bits": good[:2] + bytes([good[2] - 9]) + body,
        "more leads than bits": good[:1] + bytes([good[1] | 0xF0]) + body,
        "codec 0x20": bytes([good[0] + 0x10]) + good[1:],
        "twelve of one lead": bytes([good[0] | _TWELVE]) + good[1:],
        "half rate of 15 samples": _header(_HALF, 0, 1, 15) + bytes(8),
        "extras of nothing": _header(_EXTRAS, 0, 1, 24) + b"\x00" + body,
        "unknown extras": _header(_EXTRAS, 0, 1, 24) + b"\x11" + body,
        "cuts off without a grid": _header(_EXTRAS, 0, 1, 24) + b"\x05" + body,
        "limbs in values without twelve": _header(_EXTRAS, 0, 2, 16) + b"\x0a" + grid[4:],
        "limbs in values without a grid": _header(_EXTRAS | _TWELVE, 0, 12, 16) + b"\x09" + twelve[3:],
        "step 0": grid[:4] + b"\x00\x00" + grid_body,
        "step 1000": grid[:4] + b"\x03\xe8" + grid_body,
        "header alone": grid[:6],
        "header cut off in the step": grid[:5],
        "first sample of 27 bits": _header(_WIDE, 0, 1, 1) + _packed(f"{0:05b}{27:05b}{5:027b}"),
        "first sample beyond 16 bits": _header(0, 0, 1, 1) + _packed(f"{0:05b}{17:05b}{65536:017b}"),
        "escape of 27 bits": _header(_WIDE, 0, 1, 2) + _packed(_FLAT + escape + f"{27:05b}{5:027b}0"),
        "second sample beyond 16 bits": _header(0, 0, 1, 2)
        + _packed(_FLAT + escape + f"{16:05b}{32768:016b}0"),
        "run beyond its row": _header(0, 0, 1, 5) + _packed(_FLAT + zero + _run(4)),
        "endless run": _header(0, 0, 16, 4096) + _packed(_FLAT + zero + _run(8191)),
    }
    flipped = [
        good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :]
        for at in range(len(good))
        for bit in range(8)
    ]
    made |= {f"flipped bit {number}": each for number, each in enumerate(flipped) if not _accepted(each)}
    return made


_FLAT = f"{1:02b}{0:03b}{0:05b}"
"""Side information of a row in full rate: order 1, set 0, first sample 0."""


def _code(table: int, symbol: int) -> str:
    return f"{codes.CODES[0, table, symbol]:0{codes.LENGTHS[0, table, symbol]}b}"


def _run(length: int) -> str:
    symbols, extra_bits = codes.run_symbols(np.array([length]))
    symbol, width = int(symbols[0]), int(extra_bits[0])
    low = f"{length & (1 << width) - 1:0{width}b}" if width else ""
    return f"{codes.RUN_CODES[0, symbol]:0{codes.RUN_LENGTHS[0, symbol]}b}" + low


def _packed(bits: str) -> bytes:
    size = -(-len(bits) // 8)
    return int(bits.ljust(8 * size, "0"), 2).to_bytes(size, "big")


def _accepted(payload: bytes) -> bool:
    try:
        decode(payload)
    except ProtocolError:
        return False
    return True
