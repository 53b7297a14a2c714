"""CSV: a line for each sample, in microvolts; empty where it is not there. Alarms are a file of their own."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import numpy as np

from streaming.export.recording import Recording


def files(recording: Recording) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Samples, and alarms."""
    yield f"{recording.name}.csv", _samples(recording)
    yield f"{recording.name}_alarms.csv", iter([_alarms(recording)])


def _samples(recording: Recording) -> Iterator[bytes]:
    names = [f"{lead.name}_uV" for lead in recording.info.leads]
    yield _line(["time_utc", "sample", *names])
    gap = "," * len(names)
    for block in recording.blocks():
        count = min(recording.block_samples, recording.stop - block.first)
        began = np.datetime64(recording.at(block.first).replace(tzinfo=None), "us")
        micros = np.rint(1e6 * np.arange(count) / recording.info.rate_hz).astype("timedelta64[us]")
        times = np.datetime_as_string(began + micros, unit="us")
        columns = [
            [f",{value * step:.10g}" for value in lead[:count].tolist()]
            for lead, step in zip(block.steps, recording.steps_uv, strict=True)
        ]
        values = ["".join(row) for row in zip(*columns, strict=True)]
        rows = (
            f"{times[at]}Z,{block.first + at}{values[at] if block.has[at] else gap}\n" for at in range(count)
        )
        yield "".join(rows).encode()


def _alarms(recording: Recording) -> bytes:
    lines = [_line(["time_utc", "sample", "severity", "text"])]
    for note in recording.notes:
        at = recording.at(note.sample).replace(tzinfo=None)
        lines.append(
            _line([f"{at.isoformat(timespec='milliseconds')}Z", str(note.sample), note.severity, note.text])
        )
    return b"".join(lines)


def _line(values: list[str]) -> bytes:
    """Text that a spreadsheet would take for a formula is quoted as text."""
    room = io.StringIO()
    safe = [f"'{value}" if value[:1] in "=+-@\t\r" else value for value in values]
    csv.writer(room, lineterminator="\n").writerow(safe)
    return room.getvalue().encode()
