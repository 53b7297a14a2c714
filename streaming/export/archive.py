"""An export as one zip file, made while it is sent: no more of it than a piece is in memory."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import IO, cast

from streaming.export import csv, edf, fhir, wfdb
from streaming.export.recording import NOTICE, Recording

_PIECE_BYTES = 64 * 1024
_README = "README.txt"


class ExportFormat(StrEnum):
    """What ECG is exported as."""

    WFDB = "wfdb"
    EDF = "edf"
    CSV = "csv"
    FHIR = "fhir"


_FILES: Mapping[ExportFormat, Callable[[Recording], Iterator[tuple[str, Iterator[bytes]]]]] = {
    ExportFormat.WFDB: wfdb.files,
    ExportFormat.EDF: edf.files,
    ExportFormat.CSV: csv.files,
    ExportFormat.FHIR: fhir.files,
}
_GAPS = {
    ExportFormat.WFDB: "Samples that are not there are -32768. Alarms are NOTE annotations in the .atr file.",
    ExportFormat.EDF: "Samples that are not there are -32768, and annotated as gaps. Alarms are, too.",
    ExportFormat.CSV: "Samples that are not there are empty. Alarms are in a file of their own.",
    ExportFormat.FHIR: 'Samples that are not there are "E". Alarms are notes of their minute.',
}


def pieces(recordings: Iterable[Recording], as_format: ExportFormat) -> Iterator[bytes]:
    """The zip file, piece by piece; a piece may be empty while more is being made."""
    room = _Room()
    with zipfile.ZipFile(cast("IO[bytes]", room), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        held = []
        for recording in recordings:
            held.append(
                f"{recording.name}: {recording.began_at.isoformat()} to "
                f"{recording.at(recording.stop).isoformat()}, {sum(1 for _ in recording.holes())} gaps"
            )
            for name, data in _FILES[as_format](recording):
                with archive.open(name, "w", force_zip64=True) as file:
                    for piece in data:
                        file.write(piece)
                        yield room.take(_PIECE_BYTES)
        text = "\n".join([*(held or ["Nothing is stored of this time."]), _GAPS[as_format], NOTICE, ""])
        archive.writestr(_README, text)
    yield room.take(0)


class _Room:
    """What a zip file is written into when it cannot seek."""

    def __init__(self) -> None:
        self._written: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> int:
        """Hold it until it is taken."""
        self._written.append(bytes(data))
        self._size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self, at_least: int) -> bytes:
        """All that was written, once that is as much as this."""
        if self._size < at_least:
            return b""
        data, self._written, self._size = b"".join(self._written), [], 0
        return data
