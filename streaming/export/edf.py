"""EDF+: every second from the first to the last; what lacks is -32768 and annotated as a gap of its length.

EDF+C and not EDF+D, which leaves seconds out: most programs that read EDF+ refuse the latter.
Kemp and Olivan, European data format 'plus' (EDF+), Clin Neurophysiol 2003; https://www.edfplus.info/specs/.
"""

from __future__ import annotations

from collections.abc import Iterator

from streaming.core.position import SampleRange
from streaming.export.recording import LARGEST, MISSING, NOTICE, Recording

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_TIME_BYTES = 16
"""Of a record's own time, of up to ten days."""
_LONGEST_TEXT = 120


def files(recording: Recording) -> Iterator[tuple[str, Iterator[bytes]]]:
    """One file."""
    yield f"{recording.name}.edf", _file(recording)


def _file(recording: Recording) -> Iterator[bytes]:
    noted = _noted(recording)
    size = recording.block_samples
    records = -((recording.first - recording.stop) // size)
    longest = max(_TIME_BYTES + len(text) for text in ["", *noted.values()])
    text_bytes = max(2 * size, longest + longest % 2)  # some readers take signals of one length alone
    yield _header(recording, records, text_bytes)
    for number, block in enumerate(recording.blocks()):
        time = f"{_onset(recording, block.first)}\x14\x14\0"
        text = (time + noted.get(number, "")).encode("ascii")
        yield block.steps.astype("<i2").tobytes() + text.ljust(text_bytes, b"\0")


def _noted(recording: Recording) -> dict[int, str]:
    """Gaps where they begin, and alarms where they were raised, by the number of the record."""
    size, first = recording.block_samples, recording.first
    end = first - (first - recording.stop) // size * size  # the last record is filled up
    holes = [*recording.holes(), *([SampleRange(recording.stop, end)] if end > recording.stop else [])]
    lines = [
        (hole.first, f"\x15{(hole.stop - hole.first) / recording.info.rate_hz:.6f}\x14gap\x14\0")
        for hole in holes
    ]
    lines += [(note.sample, f"\x14{note.line[:_LONGEST_TEXT]}\x14\0") for note in recording.notes]
    noted: dict[int, str] = {}
    for sample, text in sorted(lines):
        number = (sample - first) // size
        noted[number] = noted.get(number, "") + _onset(recording, sample) + text
    return noted


def _onset(recording: Recording, sample: int) -> str:
    """Seconds since the beginning in the header, which has no fraction."""
    fraction = recording.began_at.microsecond / 1e6
    return f"+{fraction + (sample - recording.first) / recording.info.rate_hz:.6f}"


def _header(recording: Recording, records: int, text_bytes: int) -> bytes:
    info, began, size = recording.info, recording.began_at, recording.block_samples
    date = f"{began.day:02}-{_MONTHS[began.month - 1]}-{began.year}"
    signals = len(info.leads) + 1
    fixed = [
        ("0", 8),
        (f"{info.patient} X X X", 80),
        (f"Startdate {date} X X VITAL_{info.source.value}", 80),
        (f"{began:%d.%m.%y}", 8),
        (f"{began:%H.%M.%S}", 8),
        (str(256 * (1 + signals)), 8),
        ("EDF+C", 44),
        (str(records), 8),
        (_number(size / info.rate_hz), 8),
        (str(signals), 4),
    ]
    lows = [MISSING * step for step in recording.steps_uv]
    highs = [LARGEST * step for step in recording.steps_uv]
    columns: list[tuple[list[str], int]] = [
        ([*(f"ECG {lead.name}" for lead in info.leads), "EDF Annotations"], 16),
        ([*(["ECG electrode"] * len(info.leads)), ""], 80),
        ([*(["uV"] * len(info.leads)), ""], 8),
        ([*map(_number, lows), "-1"], 8),
        ([*map(_number, highs), "1"], 8),
        ([str(MISSING)] * signals, 8),
        ([str(LARGEST)] * signals, 8),
        ([*(["none; -32768 is a missing sample"] * len(info.leads)), ""], 80),
        ([*([str(size)] * len(info.leads)), str(text_bytes // 2)], 8),
        ([*([NOTICE[:32]] * len(info.leads)), ""], 32),
    ]
    fields = [*fixed, *((value, width) for values, width in columns for value in values)]
    return b"".join(value.encode("ascii", "replace")[:width].ljust(width) for value, width in fields)


def _number(value: float) -> str:
    """As exact as eight characters allow."""
    for digits in range(7, -1, -1):
        text = f"{value:.{digits}f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        if len(text) <= 8:
            return text
    raise ValueError(f"{value} needs more than eight characters")
