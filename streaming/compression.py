"""What to compress and how hard: deflate settings, the threshold, and what it saved.

Every message is compressed on its own, so that the same bytes serve all viewers and losing one harms no
other. A handler keeps statistics and nothing else: no window, no buffer, under 1 KB.
"""

from __future__ import annotations

import functools
import json
import logging
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from streaming.core.deflate import Method, inflate
from streaming.core.frames import FrameFlag
from streaming.core.levels import DataKind, Plan, fixed_method
from streaming.core.predictor import Outcome
from streaming.core.profiles import CompressionProfile
from streaming.core.strict_json import to_json
from streaming.ecg.codec import WaveformEncoder, decode
from streaming.ecg.ecg1 import encode as ecg1
from streaming.ecg.planes import Samples, from_planes, to_planes
from streaming.exceptions import ProtocolError

logger = logging.getLogger(__name__)

WINDOW_BITS = 12
MEM_LEVEL = 5
COMPRESSION_LEVEL = 6
COMPRESSION_THRESHOLD = 1024
MAX_DECOMPRESSED_BYTES = 64 * 1024 * 1024
"""An hour of three leads at 1 kHz is 22 MB as int16; what claims more is refused before inflating."""


class Steering(Protocol):
    """Chooses the method of each message that is not a shared waveform, and learns from what came of it."""

    def plan(self, kind: DataKind, plain: bytes) -> Plan:
        """How to send `plain`."""

    def learn(self, plan: Plan, one: Outcome, other: Outcome | None) -> None:
        """What the planned method made of it, and its rival, if there was one."""

    def saw(self, samples: Samples) -> None:
        """A shared waveform of the group went by."""


class CompressionHandler:
    """Compress single messages under a profile, and count what that saves.

    `profile` may be assigned at any time and holds from the next message on. Waveforms (int16 and int32
    arrays) are compressed whatever their size: 180 bytes of ECG still shrink by 72 %, while other data below
    the threshold rarely repays the time. One lead, or up to 16 of up to 4096 samples, are an `ecg1` payload;
    what is longer goes as deflated byte planes. Not to be shared between threads.

    With `steering` (see `AdaptiveCompression`), the method of each message is chosen anew; the profile's is
    then where it begins, and what it falls back to. Shared waveforms keep the profile's: they are encoded
    once for viewers of every kind.
    """

    __slots__ = ("_clock", "_totals", "profile", "steering")

    def __init__(
        self, profile: CompressionProfile | None = None, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.profile = profile or CompressionProfile(
            WINDOW_BITS, MEM_LEVEL, COMPRESSION_LEVEL, COMPRESSION_THRESHOLD
        )
        self.steering: Steering | None = None
        self._clock = clock
        self._totals = _Totals()

    def compress(self, data: Any) -> tuple[bytes, dict[str, Any]]:
        """`data` as bytes, and what `decompress` needs to know, with what it cost and saved.

        `data` is bytes-like, a string, an array, or anything that JSON can hold; integer samples of 16 or
        32 bits may have any shape, time being the last axis. Other data is left as it is below the
        threshold, or when deflate does not make it smaller (`compressed` is then False).
        Raises TypeError or ValueError for what JSON cannot hold.

        Metadata: compressed, algorithm (none, deflate, planes, ecg1), kind (bytes, text, json, array), level,
        original_size and compressed_size in bytes, compression_ratio in per cent saved,
        compression_time_ms; for arrays also dtype and shape, for samples ratio_vs_json.
        """
        began = self._clock()
        if isinstance(data, np.ndarray):
            body, facts, level = self._compress_array(data)
            size = data.nbytes
        else:
            kind, plain = _as_bytes(data)
            body, algorithm, level = self._deflate_if_smaller(
                plain, DataKind.BYTES if kind == "bytes" else DataKind.TEXT
            )
            facts = {"kind": kind, "algorithm": algorithm}
            size = len(plain)
        spent = self._clock() - began
        compressed = facts["algorithm"] != "none"
        if facts["algorithm"] in ("ecg1", "planes"):
            self._totals.count_samples(data, len(body), spent)
            facts["ratio_vs_json"] = _per_cent_saved(_json_bytes(data), len(body))
        else:
            self._totals.count(size, len(body), spent, compressed=compressed)
        return body, facts | {
            "compressed": compressed,
            "level": level,
            "original_size": size,
            "compressed_size": len(body),
            "compression_ratio": _per_cent_saved(size, len(body)),
            "compression_time_ms": 1e3 * spent,
        }

    def decompress(self, data: bytes, metadata: Mapping[str, Any]) -> Any:
        """The inverse of `compress`: the same bytes, string, JSON value or array.

        Raises ProtocolError when data and metadata do not belong together, or when the metadata claims more
        than 64 MiB; never inflates beyond what it claims.
        """
        began = self._clock()
        try:
            value = _restore(data, metadata)
        except (KeyError, TypeError, ValueError, RecursionError):
            raise ProtocolError("data and metadata do not belong together") from None
        self._totals.restored += 1
        self._totals.restore_s += self._clock() - began
        return value

    def compress_samples(self, samples: Samples, encoder: WaveformEncoder) -> bytes:
        """Samples of shape (leads, n) as a waveform payload (`ecg.codec`): the way of every live frame.

        `encoder` is that of the stream.
        """
        began = self._clock()
        profile = self.profile
        payload = encoder.encode(
            samples, level=profile.level, window_bits=profile.window_bits, mem_level=profile.mem_level
        )
        self._totals.count_samples(samples, len(payload), self._clock() - began)
        if self.steering is not None:
            self.steering.saw(samples)
        return payload

    def took_compressed(self, samples: Samples, payload: bytes) -> None:
        """Count samples that a device has compressed, as they are sent on."""
        self._totals.count_samples(samples, len(payload), 0.0)
        if self.steering is not None:
            self.steering.saw(samples)

    def compress_json(self, text: str) -> tuple[bytes, FrameFlag]:
        """A message of the protocol as a frame's payload, and the flags of that frame."""
        began = self._clock()
        plain = text.encode()
        body, flags = plain, FrameFlag.NONE
        if len(plain) > self.profile.threshold_bytes:
            deflated, method = self._deflate(plain, DataKind.MESSAGE)
            if len(deflated) < len(plain):
                body, flags = deflated, FrameFlag.DEFLATED
                if method.dictionary:
                    flags |= FrameFlag.DICTIONARY
        self._totals.count(len(plain), len(body), self._clock() - began, compressed=bool(flags))
        return body, flags

    @property
    def bytes_in(self) -> int:
        """All bytes given since the start or `reset_stats`; waveforms with 2 a sample."""
        return self._totals.bytes_in

    def get_compression_stats(self) -> dict[str, Any]:
        """Totals since the start or `reset_stats`, over messages and bytes; None where there was nothing.

        Waveforms count with 2 bytes a sample, so that a wide container does not flatter the ratio.
        `ratio_vs_json` compares waveforms alone with compact JSON of the same integers.
        """
        totals = self._totals
        return {
            "current_level": self.profile.level,
            "messages_processed": totals.messages,
            "messages_compressed": totals.compressed,
            "average_compression_ratio": _per_cent_saved(totals.bytes_in, totals.bytes_out),
            "average_latency_ms": 1e3 * totals.compress_s / totals.messages if totals.messages else 0.0,
            "max_latency_ms": 1e3 * totals.slowest_s,
            "space_saved_mb": (totals.bytes_in - totals.bytes_out) / 1e6,
            "compress_s": totals.compress_s,
            "bytes_in": totals.bytes_in,
            "bytes_out": totals.bytes_out,
            "waveform_messages": totals.waveforms,
            "waveform_bytes_in": totals.waveform_in,
            "waveform_bytes_out": totals.waveform_out,
            "waveform_json_bytes": totals.waveform_json,
            "ratio_vs_json": _per_cent_saved(totals.waveform_json, totals.waveform_out)
            if totals.waveforms
            else None,
            "messages_decompressed": totals.restored,
            "average_decompression_ms": 1e3 * totals.restore_s / totals.restored if totals.restored else 0.0,
        }

    def reset_stats(self) -> None:
        """Begin all totals at zero."""
        self._totals = _Totals()

    def optimize_for_ecg_data(self, sample_rate: float) -> CompressionProfile:
        """Choose the level for ECG of `sample_rate` Hz, set it, and return the profile now in force.

        More samples a second leave less time for each, and need less effort: on 12 leads x 500 Hz level 4
        saves 0.4 points less than level 6 in 60 % of the time, on two leads of 250 Hz all levels save the
        same. The profile's bounds hold. Window and memory level stay: beyond 12 and 5 they gain nothing.
        """
        if not (math.isfinite(sample_rate) and sample_rate > 0):
            raise ValueError(f"sample rate must be positive, not {sample_rate!r}")
        level = next(level for above, level in _LEVEL_BY_RATE_HZ if sample_rate <= above)
        profile = self.profile
        self.profile = replace(profile, level=min(max(level, profile.min_level), profile.max_level))
        logger.debug("level %d for ECG of %g Hz", level, sample_rate)
        return self.profile

    def benchmark_compression(self, data: Any, iterations: int = 1000) -> dict[str, float]:
        """Time `iterations` round trips of `data` under the profile in force; the totals do not change.

        Times are means in ms, `compression_ratio` is per cent saved, `throughput_mbps` counts 10^6
        uncompressed bits a second of compression. Blocks for as long as it takes.
        """
        if iterations < 1:
            raise ValueError(f"iterations must be at least 1, not {iterations}")
        trial = CompressionHandler(self.profile, clock=self._clock)
        body, metadata = trial.compress(data)
        trial.reset_stats()
        for _ in range(iterations):
            trial.decompress(*trial.compress(data))
        stats = trial.get_compression_stats()
        compression_ms = stats["average_latency_ms"]
        megabits = 8 * metadata["original_size"] / 1e6
        return {
            "iterations": iterations,
            "original_size": metadata["original_size"],
            "compressed_size": len(body),
            "compression_ratio": metadata["compression_ratio"],
            "compression_ms": compression_ms,
            "max_compression_ms": stats["max_latency_ms"],
            "decompression_ms": stats["average_decompression_ms"],
            "throughput_mbps": 1e3 * megabits / compression_ms if compression_ms else math.inf,
        }

    def _compress_array(self, array: npt.NDArray[Any]) -> tuple[bytes, dict[str, Any], int]:
        if array.dtype.kind not in _ARRAY_KINDS:
            raise TypeError(f"arrays of {array.dtype} cannot be compressed")
        facts = {"kind": "array", "dtype": array.dtype.str, "shape": list(array.shape)}
        if array.dtype in _SAMPLE_TYPES and array.size and array.ndim:
            if (payload := _as_ecg1(array)) is not None:
                return payload, facts | {"algorithm": "ecg1"}, self.profile.level
            body, method = self._deflate(to_planes(array), DataKind.SAMPLES)
            return body, facts | {"algorithm": "planes"}, method.level
        body, algorithm, level = self._deflate_if_smaller(array.tobytes(), DataKind.BYTES)
        return body, facts | {"algorithm": algorithm}, level

    def _deflate_if_smaller(self, plain: bytes, kind: DataKind) -> tuple[bytes, str, int]:
        level = self.profile.level
        if len(plain) > self.profile.threshold_bytes:
            body, method = self._deflate(plain, kind)
            level = method.level
            if len(body) < len(plain):
                return body, "deflate", level
        return plain, "none", level

    def _deflate(self, plain: bytes, kind: DataKind) -> tuple[bytes, Method]:
        """The bytes, and the method that made them."""
        if self.steering is None or not plain:
            method = fixed_method(kind, self.profile)
            return method.deflate(plain), method
        plan = self.steering.plan(kind, plain)
        body, spent_s = self._timed(plan.method, plain)
        if plan.rival is None:
            self.steering.learn(plan, (len(body), spent_s), None)
            return body, plan.method
        other, other_s = self._timed(plan.rival, plain)
        self.steering.learn(plan, (len(body), spent_s), (len(other), other_s))
        # Both are there: the smaller one goes.
        return (body, plan.method) if len(body) <= len(other) else (other, plan.rival)

    def _timed(self, method: Method, plain: bytes) -> tuple[bytes, float]:
        began = self._clock()
        return method.deflate(plain), self._clock() - began


@functools.cache
def get_compression_handler() -> CompressionHandler:
    """The handler that a whole process may share, with the default profile until another is assigned."""
    return CompressionHandler()


@dataclass(slots=True)
class _Totals:
    messages: int = 0
    compressed: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    compress_s: float = 0.0
    slowest_s: float = 0.0
    waveforms: int = 0
    waveform_in: int = 0
    waveform_out: int = 0
    waveform_json: int = 0
    restored: int = 0
    restore_s: float = 0.0

    def count(self, size_in: int, size_out: int, spent_s: float, *, compressed: bool) -> None:
        self.messages += 1
        self.compressed += compressed
        self.bytes_in += size_in
        self.bytes_out += size_out
        self.compress_s += spent_s
        self.slowest_s = max(self.slowest_s, spent_s)

    def count_samples(self, samples: npt.NDArray[Any], size_out: int, spent_s: float) -> None:
        size_in = samples.size * _SAMPLE_BYTES
        self.count(size_in, size_out, spent_s, compressed=True)
        self.waveforms += 1
        self.waveform_in += size_in
        self.waveform_out += size_out
        self.waveform_json += _json_bytes(samples)


_SAMPLE_TYPES = (np.dtype(np.int16), np.dtype(np.int32))
_SAMPLE_BYTES = 2
_ARRAY_KINDS = "biufc"
_DTYPE = re.compile(rf"[<>|][{_ARRAY_KINDS}]\d{{1,2}}")
_LEVEL_BY_RATE_HZ = ((360.0, 6), (1000.0, 4), (math.inf, 1))
_POWERS_OF_TEN = tuple(10**n for n in range(1, 10))


def _as_bytes(data: Any) -> tuple[str, bytes]:
    if isinstance(data, (bytes, bytearray, memoryview)):
        return "bytes", bytes(data)
    if isinstance(data, str):
        return "text", data.encode()
    return "json", to_json(data).encode()


def _as_ecg1(array: npt.NDArray[Any]) -> bytes | None:
    """Samples of one lead, or of (leads, n), as one payload; None where they are not what it holds."""
    samples = array[None] if array.ndim == 1 else array
    if samples.ndim != 2 or len(samples) > ecg1.MAX_LEADS or samples.shape[1] > ecg1.MAX_SAMPLES:
        return None
    try:
        return ecg1.Encoder().encode(samples)
    except OverflowError:
        return None


def _restore(data: bytes, metadata: Mapping[str, Any]) -> Any:
    size = metadata["original_size"]
    if not isinstance(size, int) or not 0 <= size <= MAX_DECOMPRESSED_BYTES:
        raise ValueError("original_size is out of bounds")
    algorithm = metadata["algorithm"]
    if algorithm == "ecg1":
        return _restore_ecg1(data, metadata)
    plain = bytes(data) if algorithm == "none" else inflate(data, max_bytes=size)
    if len(plain) != size:
        raise ValueError("data has another size than the metadata says")
    match metadata["kind"]:
        case "bytes":
            return plain
        case "text":
            return plain.decode()
        case "json":
            return json.loads(plain)
        case "array":
            return _restore_array(plain, algorithm, metadata["dtype"], metadata["shape"])
    raise ValueError("kind is unknown")


def _restore_ecg1(data: bytes, metadata: Mapping[str, Any]) -> Samples:
    samples = decode(bytes(data)).reshape(metadata["shape"])
    if samples.dtype.str != metadata["dtype"] or samples.nbytes != metadata["original_size"]:
        raise ValueError("data is not what the metadata says")
    return samples


def _restore_array(plain: bytes, algorithm: str, name: str, shape: list[int]) -> npt.NDArray[Any]:
    # Only the names that `dtype.str` has: of others numpy makes what is no array of numbers, or SyntaxError.
    if not _DTYPE.fullmatch(name):
        raise ValueError("dtype is not numeric")
    dtype = np.dtype(name)
    if algorithm == "planes":
        if dtype not in _SAMPLE_TYPES:
            raise ValueError("planes hold int16 or int32")
        return from_planes(plain, tuple(shape), dtype.itemsize)
    return np.frombuffer(plain, dtype).reshape(shape).copy()


def _json_bytes(samples: npt.NDArray[Any]) -> int:
    """Length of the samples as compact JSON, nested lists of integers, without writing it."""
    digits = _INT16_TEXT_BYTES[samples] if samples.dtype == np.int16 else _text_bytes(samples)
    # Every list of n values has n - 1 commas and two brackets.
    lists = (math.prod(samples.shape[:axis]) for axis in range(samples.ndim))
    marks: int = sum(count * (length + 1) for count, length in zip(lists, samples.shape, strict=True))
    return int(digits.sum()) + marks


def _text_bytes(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    sizes = np.abs(values.astype(np.int64))
    lengths = np.where(values < 0, 2, 1).astype(np.uint8)
    for power in _POWERS_OF_TEN:
        lengths += sizes >= power
    return lengths


_INT16_TEXT_BYTES = _text_bytes(np.arange(2**16, dtype=np.uint16).view(np.int16))
"""Indexed by the sample itself: a negative index counts from the end, as two's complement does."""


def _per_cent_saved(size_in: int, size_out: int) -> float:
    return 100.0 * (1.0 - size_out / size_in) if size_in else 0.0
