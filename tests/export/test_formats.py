"""Each format is read back by a reader that is not ours: every sample, every gap, every alarm."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streaming.core.position import SampleRange
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.export.archive import ExportFormat, pieces
from streaming.export.recording import MISSING, Note, Recording

wfdb = pytest.importorskip("wfdb")
from wfdb.io.convert.edf import read_edf  # noqa: E402

BEGAN = datetime(2026, 11, 26, 12, 0, 0, 250_000, tzinfo=UTC)
RATE = 250
FIRST, STOP = 1000, 1000 + 90 * RATE + 100
HOLE = SampleRange(FIRST + 20 * RATE + 10, FIRST + 64 * RATE + 3)
LEADS = (Lead("II", 5.0, 1024, 12), Lead("V1", 4.88, 0, 16))
NOTES = (
    Note(FIRST + 5 * RATE, "high", "VT HR 176 > 140"),
    Note(FIRST + 70 * RATE + 7, "medium", "HR HIGH 126 ≥ 120"),
)


def value_at(lead: int, index: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Every sample says which one it is, in steps of the converter."""
    return (index * 37 + lead * 11) % 1900 - 900 + LEADS[lead].baseline


def recording() -> Recording:
    info = StreamInfo("abcdefgh2345", 3, "P-7K3QX", "icu", Source.SIM, RATE, LEADS)
    spans = (SampleRange(FIRST, HOLE.first), SampleRange(HOLE.stop, STOP))

    def read() -> Iterator[tuple[int, npt.NDArray[Any]]]:
        for span in spans:
            for first in range(span.first, span.stop, 25):
                index = np.arange(first, min(first + 25, span.stop))
                yield first, np.stack([value_at(lead, index) for lead in range(2)]).astype(np.int16)

    return Recording(info, FIRST, STOP, BEGAN, spans, NOTES, read)


INDEX = np.arange(FIRST, STOP)
THERE = (HOLE.first > INDEX) | (HOLE.stop <= INDEX)
STEPS = np.stack([value_at(lead, INDEX) - LEADS[lead].baseline for lead in range(2)])
MICROVOLTS = STEPS * np.array([[5.0], [4.88]])


def unpacked(as_format: ExportFormat, folder: Path) -> dict[str, Path]:
    """The files of the archive, by the end of their names."""
    data = b"".join(pieces([recording()], as_format))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
        text = archive.read("README.txt").decode()
    assert "1 gaps" in text
    assert "Not a medical device" in text
    return {path.name.partition("_e3")[2]: path for path in folder.iterdir()}


def test_wfdb_reads_samples_gaps_and_alarms(tmp_path: Path) -> None:
    files = unpacked(ExportFormat.WFDB, tmp_path)
    name = str(files[".hea"].with_suffix(""))
    digital = wfdb.rdrecord(name, physical=False)
    assert (digital.fs, digital.sig_len, digital.sig_name) == (RATE, STOP - FIRST, ["II", "V1"])
    assert digital.base_datetime.replace(tzinfo=UTC) == BEGAN
    np.testing.assert_array_equal(digital.d_signal[THERE], STEPS.T[THERE])
    assert (digital.d_signal[~THERE] == MISSING).all()
    assert digital.checksum == digital.calc_checksum()
    physical = wfdb.rdrecord(name).p_signal
    assert np.isnan(physical[~THERE]).all()
    np.testing.assert_allclose(1000 * physical[THERE], MICROVOLTS.T[THERE], atol=1e-6)
    notes = wfdb.rdann(name, "atr")
    assert notes.sample.tolist() == [note.sample - FIRST for note in NOTES]
    assert notes.symbol == ['"', '"']
    assert notes.aux_note == ["HIGH VT HR 176 > 140", "MEDIUM HR HIGH 126 >= 120"]
    assert "P-7K3QX" in " ".join(digital.comments)


def test_edf_reads_samples_gaps_and_alarms(tmp_path: Path) -> None:
    path = unpacked(ExportFormat.EDF, tmp_path)[".edf"]
    read = read_edf(str(path), rdedfann_flag=True)
    assert read.sig_name == ["ECG II", "ECG V1", "EDF Annotations"]
    assert read.fs == RATE
    assert read.base_datetime == BEGAN.replace(microsecond=0, tzinfo=None)
    raw = _edf_steps(path)
    length = STOP - FIRST
    np.testing.assert_array_equal(raw[:, :length][:, THERE], STEPS[:, THERE])
    assert (raw[:, :length][:, ~THERE] == MISSING).all()
    assert (raw[:, length:] == MISSING).all(), "the last second is filled up"
    for lead in range(2):
        there = read.p_signal[:length, lead][THERE]
        # It takes the zero line for a step lower than the header says: one step, and never two.
        np.testing.assert_allclose(there, MICROVOLTS[lead][THERE], atol=1.001 * LEADS[lead].gain_uv)
        scale = _edf_scale(path, lead)
        np.testing.assert_allclose(raw[lead, :length][THERE] * scale, MICROVOLTS[lead][THERE], atol=0.02)
    header = path.read_bytes()[:256]
    assert header[8:21] == b"P-7K3QX X X X"
    assert header[88:].startswith(b"Startdate 26-NOV-2026 X X VITAL_SIM")
    assert header[192:197] == b"EDF+C"
    texts = path.read_bytes().decode("latin-1")
    at = 0.25 + (HOLE.first - FIRST) / RATE
    assert f"+{at:.6f}\x15{(HOLE.stop - HOLE.first) / RATE:.6f}\x14gap\x14" in texts
    assert "+5.250000\x14HIGH VT HR 176 > 140\x14" in texts
    assert "+70.278000\x14MEDIUM HR HIGH 126 >= 120\x14" in texts


def _edf_steps(path: Path) -> npt.NDArray[np.int16]:
    """By the specification alone: the header's sizes, then records of signals one behind the other."""
    data = path.read_bytes()
    size, records, signals = (int(data[a:b]) for a, b in ((184, 192), (236, 244), (252, 256)))
    assert float(data[244:252]) == 1.0
    counts = [int(data[256 + 216 * signals + 8 * at :][:8]) for at in range(signals)]
    body = np.frombuffer(data[size:], "<i2").reshape(records, sum(counts))
    return np.stack([body[:, :RATE].reshape(-1), body[:, RATE : 2 * RATE].reshape(-1)])


def _edf_scale(path: Path, lead: int) -> float:
    """Microvolts of a step, from the physical and digital extremes of the header."""
    data = path.read_bytes()
    signals = int(data[252:256])
    low, high, least, most = (
        float(data[256 + offset * signals + 8 * lead :][:8]) for offset in (104, 112, 120, 128)
    )
    return (high - low) / (most - least)


def test_csv_has_a_line_for_each_sample_and_empty_cells_for_a_gap(tmp_path: Path) -> None:
    files = unpacked(ExportFormat.CSV, tmp_path)
    with files[".csv"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["sample"]) for row in rows] == INDEX.tolist()
    assert rows[0]["time_utc"] == "2026-11-26T12:00:00.250000Z"
    assert rows[RATE]["time_utc"] == "2026-11-26T12:00:01.250000Z"
    for lead, name in enumerate(("II_uV", "V1_uV")):
        assert [row[name] == "" for row in rows] == (~THERE).tolist()
        values = [float(row[name]) for row in rows if row[name]]
        np.testing.assert_allclose(values, MICROVOLTS[lead][THERE], rtol=1e-9)
    with files["_alarms.csv"].open(newline="") as file:
        alarms = list(csv.DictReader(file))
    assert [(int(row["sample"]), row["severity"], row["text"]) for row in alarms] == [
        (note.sample, note.severity, note.text) for note in NOTES
    ]


def test_fhir_has_sampled_data_with_e_for_a_gap(tmp_path: Path) -> None:
    bundle = json.loads(unpacked(ExportFormat.FHIR, tmp_path)[".fhir.json"].read_text())
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "collection")
    observations = [entry["resource"] for entry in bundle["entry"]]
    assert len(observations) == 2
    ends = [datetime.fromisoformat(one["effectivePeriod"]["end"]) for one in observations]
    begins = [datetime.fromisoformat(one["effectivePeriod"]["start"]) for one in observations]
    assert (begins[0], begins[1]) == (BEGAN, ends[0])
    assert ends[1] == BEGAN + timedelta(seconds=(STOP - FIRST) / RATE)
    joined: list[list[str]] = [[], []]
    for one in observations:
        _check_observation(one)
        for lead, component in enumerate(one["component"]):
            joined[lead] += component["valueSampledData"]["data"].split(" ")
    factors = [c["valueSampledData"]["factor"] for c in observations[0]["component"]]
    for lead in range(2):
        assert [value == "E" for value in joined[lead]] == (~THERE).tolist()
        values = [int(value) * factors[lead] for value in joined[lead] if value != "E"]
        np.testing.assert_allclose(values, MICROVOLTS[lead][THERE], rtol=1e-9)
    notes = [note["text"] for one in observations for note in one["note"]]
    assert sum("VT HR 176 > 140" in note for note in notes) == 1


def _check_observation(one: dict[str, Any]) -> None:
    """What R4 asks of an Observation and of SampledData, field by field."""
    allowed = {"resourceType", "status", "category", "code", "subject", "effectivePeriod", "device", "note"}
    assert set(one) == allowed | {"component"}
    assert one["resourceType"] == "Observation"
    assert one["status"] == "final"
    assert one["subject"]["identifier"]["value"] == "P-7K3QX"
    for component, code in zip(one["component"], ("131330", "131331"), strict=True):
        assert component["code"]["coding"][0]["code"] == code
        data = component["valueSampledData"]
        assert set(data) == {"origin", "period", "factor", "dimensions", "data"}
        assert (data["period"], data["dimensions"]) == (4.0, 1)
        assert data["origin"] == {
            "value": 0,
            "unit": "uV",
            "system": "http://unitsofmeasure.org",
            "code": "uV",
        }


def test_an_archive_of_nothing_says_so() -> None:
    data = b"".join(pieces([], ExportFormat.CSV))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["README.txt"]
        assert b"Nothing is stored" in archive.read("README.txt")


def test_a_day_passes_in_pieces_of_a_second() -> None:
    made = recording()
    sizes = [len(block.steps[0]) for block in made.blocks()]
    assert sizes == [RATE] * 91, "no block is longer than a second, however long the gap"


def test_a_converter_of_many_bits_is_brought_to_sixteen() -> None:
    lead = Lead("II", 0.02, 1_000_000, 24)
    info = StreamInfo("abcdefgh2345", 1, "P-7K3QX", "icu", Source.SIM, 50, (lead,))
    values = np.array([[1_000_000, 1_000_000 + 50_000, 1_000_000 - 8_000_000]], np.int32)
    made = Recording(info, 0, 3, BEGAN, (SampleRange(0, 3),), (), lambda: [(0, values)])
    (block,) = made.blocks()
    (step_uv,) = made.steps_uv
    assert step_uv == pytest.approx(0.5)
    assert block.steps[0, 1] * step_uv == pytest.approx(1000)
    assert block.steps[0, 2] == -32767, "beyond what is exported: at the edge, and not missing"
