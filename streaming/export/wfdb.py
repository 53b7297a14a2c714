"""WFDB: a header, samples in format 16 with -32768 for what is not there, and alarms as annotations.

header(5), signal(5) and annot(5) of the WFDB manual, https://physionet.org/physiotools/wag/.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from streaming.export.recording import NOTICE, Recording

_NOTE, _SKIP, _AUX = 22, 59, 63
_LONGEST_INTERVAL = 1023
_LONGEST_AUX = 255


def files(recording: Recording) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Its three files. The header comes last: it holds the sums of the samples."""
    sums = _Sums(len(recording.info.leads))
    yield f"{recording.name}.dat", _samples(recording, sums)
    yield f"{recording.name}.atr", iter([_annotations(recording)])
    yield f"{recording.name}.hea", iter([_header(recording, sums)])


class _Sums:
    """What the header says of the samples."""

    def __init__(self, leads: int) -> None:
        self.first = np.zeros(leads, np.int64)
        self.total = np.zeros(leads, np.int64)
        self.count = 0


def _samples(recording: Recording, sums: _Sums) -> Iterator[bytes]:
    length = recording.stop - recording.first
    for block in recording.blocks():
        steps = block.steps[:, : length - sums.count]
        if sums.count == 0:
            sums.first = steps[:, 0].astype(np.int64)
        sums.total += steps.sum(axis=1, dtype=np.int64)
        sums.count += steps.shape[1]
        yield steps.T.astype("<i2").tobytes()


def _header(recording: Recording, sums: _Sums) -> bytes:
    info, name = recording.info, recording.name
    began = recording.began_at
    time = f"{began:%H:%M:%S}.{began.microsecond // 1000:03} {began:%d/%m/%Y}"
    lines = [f"{name} {len(info.leads)} {info.rate_hz:.10g} {sums.count} {time}"]
    for lead, step_uv, first, total in zip(
        info.leads, recording.steps_uv, sums.first, sums.total, strict=True
    ):
        checksum = (int(total) + 32768) % 65536 - 32768
        lines.append(f"{name}.dat 16 {1000 / step_uv:.12g}(0)/mV 16 0 {first} {checksum} 0 {lead.name}")
    lines += [
        f"# patient {info.patient}, stream {info.stream}, epoch {info.epoch}, source {info.source.value}",
        "# times are UTC; samples that are not there are -32768",
        f"# {NOTICE}",
    ]
    return ("\n".join(lines) + "\n").encode()


def _annotations(recording: Recording) -> bytes:
    """In the MIT format; each alarm is a NOTE with its text."""
    parts: list[bytes] = []
    at = 0
    for note in sorted(recording.notes, key=lambda one: one.sample):
        interval = note.sample - recording.first - at
        at += interval
        if interval > _LONGEST_INTERVAL:
            # PDP-11 order: the high half first.
            parts.append(struct.pack("<HHH", _SKIP << 10, interval >> 16, interval & 0xFFFF))
            interval = 0
        text = note.line.encode("ascii")[:_LONGEST_AUX]
        parts.append(struct.pack("<HH", _NOTE << 10 | interval, _AUX << 10 | len(text)))
        parts.append(text + b"\0" * (len(text) % 2))
    return b"".join(parts) + b"\0\0"
