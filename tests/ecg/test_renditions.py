"""The renditions: what each one keeps of the signal, on any input and on recorded hearts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.support.records import annotated_record
from streaming.client.recordings import open_recording
from streaming.core.renditions import Quality
from streaming.core.streams import Lead
from streaming.ecg.codec import decode
from streaming.ecg.planes import encode_planes
from streaming.ecg.renditions import Renderer
from streaming.ecg.resample import Piece
from streaming.ecg.simulator import Simulator

Samples = NDArray[np.signedinteger]
LOSSLESS, DIAGNOSTIC, DISPLAY, OVERVIEW, VITALS = Quality
FINE = Lead("II", 1.0)


def render(
    quality: Quality, samples: Samples, *, rate_hz: float = 500.0, leads: tuple[Lead, ...] = (FINE,)
) -> list[Piece]:
    renderer = Renderer(quality, rate_hz, leads)
    return renderer.push(0, samples) + renderer.flush()


def joined(pieces: list[Piece]) -> NDArray[np.int64]:
    return np.concatenate([piece.samples for piece in pieces], axis=1, dtype=np.int64)


# What a stream message has to say.


@pytest.mark.parametrize(
    ("rate_hz", "display", "overview"),
    [
        (50, 1, 1),
        (250, 1, 2),
        (360, 1, 3),
        (399.9, 1, 3),
        (400, 2, 4),
        (500, 2, 5),
        (999.9, 4, 9),
        (1000, 5, 10),
        (2000, 10, 20),
    ],
)
def test_the_largest_divisor_keeps_200_and_100_hz(rate_hz: float, display: int, overview: int) -> None:
    renderers = [Renderer(quality, rate_hz, [FINE]) for quality in Quality]
    assert [renderer.factor for renderer in renderers] == [1, 1, display, overview, 1]
    assert [renderer.rate_hz * renderer.factor for renderer in renderers] == pytest.approx([rate_hz] * 5)


@pytest.mark.parametrize(
    ("gain_uv", "five", "ten"),
    [
        (0.001, 5.0, 10.0),
        (0.1, 5.0, 10.0),
        (0.7, 4.9, 9.8),
        (1.0, 5.0, 10.0),
        (2.44, 4.88, 9.76),
        (2.6, 2.6, 7.8),
        (4.88, 4.88, 9.76),
        (5.0, 5.0, 10.0),
        (6.0, 6.0, 6.0),
        (100.0, 100.0, 100.0),
    ],
)
def test_a_step_is_the_largest_multiple_allowed(gain_uv: float, five: float, ten: float) -> None:
    steps = [
        Renderer(quality, 500.0, [Lead("II", gain_uv)]).leads[0].gain_uv for quality in list(Quality)[:4]
    ]
    assert steps == pytest.approx([gain_uv, five, five, ten], rel=1e-12)


def test_leads_that_are_kept() -> None:
    leads = (Lead("I", 1.0), Lead("II", 5.0, 1024), Lead("V1", 2.0))
    kept = [[lead.name for lead in Renderer(quality, 500.0, leads).leads] for quality in Quality]
    assert kept == [["I", "II", "V1"]] * 3 + [["II"], []]


def test_steps_and_baselines_are_each_lead_s_own() -> None:
    renderer = Renderer(
        DIAGNOSTIC, 500.0, (Lead("I", 1.0, -3, 12), Lead("II", 5.0, 1024), Lead("V1", 2.0, 7))
    )
    assert renderer.leads == (Lead("I", 5.0, -1, 12), Lead("II", 5.0, 1024), Lead("V1", 4.0, 3))
    samples = np.array([[-3, 0, 6], [1024, 1025, 0], [7, 8, 9]], np.int16)
    (piece,) = renderer.push(40, samples)
    # Microvolts 0, 3, 9; 0, 5, -5120; 0, 2, 4, in steps of 5, 5 and 4 from baselines -1, 1024 and 3.
    assert (piece.first, piece.samples.tolist()) == (40, [[-1, 0, 1], [1024, 1025, 0], [3, 4, 4]])


@pytest.mark.parametrize(
    ("gain_uv", "rate_hz", "unchanged"),
    [
        (1.0, 500.0, [LOSSLESS]),
        (4.88, 500.0, [LOSSLESS, DIAGNOSTIC]),
        (5.0, 360.0, [LOSSLESS, DIAGNOSTIC, DISPLAY]),
        (10.0, 125.0, [LOSSLESS, DIAGNOSTIC, DISPLAY, OVERVIEW]),
    ],
)
def test_what_equals_the_lossless_rendition_says_so(
    gain_uv: float, rate_hz: float, unchanged: list[Quality]
) -> None:
    renderers = {quality: Renderer(quality, rate_hz, [Lead("II", gain_uv)]) for quality in Quality}
    assert [quality for quality, renderer in renderers.items() if renderer.unchanged] == unchanged
    samples = np.arange(-5, 5, dtype=np.int32)[np.newaxis]
    for quality in unchanged:
        (piece,) = renderers[quality].push(7, samples)
        assert piece.first == 7
        assert piece.samples.dtype == np.int32
        assert piece.samples.tolist() == samples.tolist()
        assert renderers[quality].flush() == []


def test_one_lead_of_two_does_not_equal_the_lossless_rendition() -> None:
    renderer = Renderer(OVERVIEW, 125.0, [Lead("I", 10.0), Lead("II", 10.0)])
    assert not renderer.unchanged
    (piece,) = renderer.push(0, np.array([[1, 2], [3, 4]], np.int16))
    assert piece.samples.tolist() == [[3, 4]]
    assert [lead.name for lead in renderer.leads] == ["II"]


def test_the_one_lead_is_the_first_where_there_is_no_second_limb_lead() -> None:
    renderer = Renderer(OVERVIEW, 125.0, [Lead("V5", 10.0), Lead("V1", 10.0)])
    (piece,) = renderer.push(0, np.array([[1, 2], [3, 4]], np.int16))
    assert piece.samples.tolist() == [[1, 2]]
    assert [lead.name for lead in renderer.leads] == ["V5"]


def test_vitals_have_no_samples() -> None:
    assert render(VITALS, np.ones((1, 500), np.int16)) == []


@pytest.mark.parametrize("quality", Quality)
def test_an_empty_chunk_is_nothing(quality: Quality) -> None:
    assert render(quality, np.empty((1, 0), np.int16)) == []


# Laws.


@st.composite
def sources(draw: st.DrawFn, finest_uv: float = 0.001) -> tuple[tuple[Lead, ...], Samples]:
    """One or two leads of any gain and baseline, and samples up to the limits of their type."""
    usual = [gain_uv for gain_uv in (0.001, 0.1, 0.25, 1.0, 2.44, 2.5, 4.88, 5.0) if gain_uv >= finest_uv]
    gains = st.sampled_from(usual) | st.floats(finest_uv, 100.0)
    baselines = st.sampled_from([0, 1024, -(2**31), 2**31 - 1]) | st.integers(-5000, 5000)
    leads = tuple(Lead(name, draw(gains), draw(baselines)) for name in ("I", "II")[: draw(st.integers(1, 2))])
    dtype: np.dtype[Any] = np.dtype(draw(st.sampled_from(["int16", "int32"])))
    limits = np.iinfo(dtype)
    edges = st.sampled_from([limits.min, limits.min + 1, limits.max - 1, limits.max])
    value = st.integers(int(limits.min), int(limits.max)) | st.integers(-40, 40) | edges
    count = draw(st.integers(1, 8))
    rows = [draw(st.lists(value, min_size=count, max_size=count)) for _ in leads]
    return leads, np.array(rows, dtype)


def microvolts(lead: Lead, value: int, gain_uv: Fraction) -> Fraction:
    return (value - lead.baseline) * gain_uv


@given(sources())
@settings(max_examples=400)
def test_diagnostic_is_wrong_by_2_5_microvolts_at_most(source: tuple[tuple[Lead, ...], Samples]) -> None:
    leads, samples = source
    renderer = Renderer(DIAGNOSTIC, 500.0, leads)
    (piece,) = renderer.push(0, samples)
    assert piece.samples.dtype.itemsize <= samples.dtype.itemsize
    for n, lead in enumerate(leads):
        step = Fraction(lead.gain_uv)
        coarse = step * round(renderer.leads[n].gain_uv / lead.gain_uv)
        for value, restored in zip(samples[n].tolist(), piece.samples[n].tolist(), strict=True):
            error = microvolts(renderer.leads[n], restored, coarse) - microvolts(lead, value, step)
            # A gain is a float: 25 steps of 0.1, as a float has it, are a little more than 2.5.
            assert abs(error) <= Fraction("2.5000000000001")


@given(sources(finest_uv=2.51))
def test_diagnostic_of_a_coarser_source_is_the_source(source: tuple[tuple[Lead, ...], Samples]) -> None:
    leads, samples = source
    assert Renderer(DIAGNOSTIC, 500.0, leads).leads == leads
    assert joined(render(DIAGNOSTIC, samples, leads=leads)).tolist() == samples.tolist()


@given(sources(), st.sampled_from([125.0, 250.0, 500.0, 1000.0]), st.sampled_from([DISPLAY, OVERVIEW]))
def test_what_is_flat_is_restored_to_half_a_step(
    source: tuple[tuple[Lead, ...], Samples], rate_hz: float, quality: Quality
) -> None:
    leads, samples = source
    flat = np.repeat(samples[:, :1], 30, axis=1)
    renderer = Renderer(quality, rate_hz, leads)
    rendered = joined(renderer.push(0, flat) + renderer.flush())
    by_name = {lead.name: (lead, value) for lead, value in zip(leads, flat[:, 0].tolist(), strict=True)}
    for coarse, row in zip(renderer.leads, rendered, strict=True):
        lead, value = by_name[coarse.name]
        (restored,) = set(row.tolist())
        multiple = round(coarse.gain_uv / lead.gain_uv)
        assert abs((restored - coarse.baseline) * multiple - (value - lead.baseline)) <= multiple // 2


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(Quality),
    st.sampled_from([250.0, 360.0, 500.0, 1000.0]),
    st.integers(0, 1000),
    st.lists(st.tuples(st.integers(1, 80), st.sampled_from([0, 0, 0, 1, 33])), min_size=1, max_size=12),
)
@settings(max_examples=200)
def test_chunking_changes_no_bit(
    seed: int, quality: Quality, rate_hz: float, at: int, chunks: list[tuple[int, int]]
) -> None:
    """Chunks and gaps as drawn, against the stretches between the gaps whole."""
    rng = np.random.default_rng(seed)
    leads = (Lead("I", 1.0, 3), Lead("II", 5.0, -1024))
    in_chunks, in_stretches = Renderer(quality, rate_hz, leads), Renderer(quality, rate_hz, leads)
    ours: list[Piece] = []
    theirs: list[Piece] = []
    stretch: list[Samples] = []
    for length, gap in [*chunks, (1, 1)]:
        samples = np.cumsum(rng.integers(-99, 100, (2, length)), axis=1).astype(np.int16)
        ours += in_chunks.push(at, samples)
        stretch.append(samples)
        at += length
        if gap:
            whole = np.concatenate(stretch, axis=1)
            theirs += in_stretches.push(at - whole.shape[1], whole) + in_stretches.flush()
            stretch, at = [], at + gap
    ours += in_chunks.flush()

    def samples_at(pieces: list[Piece]) -> list[tuple[int, list[int]]]:
        factor = in_chunks.factor
        return [
            (piece.first + factor * n, column)
            for piece in pieces
            for n, column in enumerate(piece.samples.T.tolist())
        ]

    assert samples_at(ours) == samples_at(theirs)


# The limits of the types.


def square(low: int, high: int, dtype: type[np.signedinteger]) -> Samples:
    is_high = np.arange(400) // 50 % 2 == 1
    values: Samples = np.where(is_high, high, low).astype(dtype)[np.newaxis]
    return values


def test_overshoot_beyond_16_bits_is_kept_in_32() -> None:
    pieces = render(DISPLAY, square(-32768, 32767, np.int16), leads=(Lead("II", 5.0),))
    assert joined(pieces).max() > 32767
    assert {piece.samples.dtype for piece in pieces} == {np.dtype(np.int16), np.dtype(np.int32)}


def test_overshoot_beyond_32_bits_is_clipped() -> None:
    pieces = render(DISPLAY, square(-(2**31), 2**31 - 1, np.int32), leads=(Lead("II", 5.0),))
    assert (joined(pieces).min(), joined(pieces).max()) == (-(2**31), 2**31 - 1)
    # Had it wrapped around, the top of the square, which is at samples 25 to 49, would have holes.
    assert joined(pieces)[0, 27:48].min() > 2**30
    assert all(piece.samples.dtype == np.int32 for piece in pieces)


@pytest.mark.parametrize("value", [-32768, 32767, -32769, 32768])
def test_a_piece_is_16_bits_where_its_values_fit(value: int) -> None:
    (piece,) = render(DIAGNOSTIC, np.array([[value * 5, 0]], np.int32))
    assert piece.samples.tolist() == [[value, 0]]
    assert piece.samples.dtype == (np.int16 if abs(value + 0.5) < 32768 else np.int32)


@pytest.mark.parametrize("quality", [LOSSLESS, DIAGNOSTIC, DISPLAY, OVERVIEW])
def test_the_codec_takes_what_comes_out(quality: Quality) -> None:
    samples = np.random.default_rng(1).integers(-3000, 3000, (1, 500)).astype(np.int16)
    for piece in render(quality, samples):
        payload = encode_planes(piece.samples, level=6, window_bits=12, mem_level=5)
        assert decode(payload).tolist() == piece.samples.tolist()


# Hearts.


@dataclass(frozen=True, slots=True)
class Peaks:
    """How well the R peaks of one lead survive: of so many, those wrong by 5 % or by an output sample."""

    count: int
    amplitude: int
    position: int


def compare_peaks(native_uv: NDArray[np.float64], lead: Lead, rate_hz: float, beats: list[int]) -> Peaks:
    """Each beat's largest deviation from the median of half a second, within 50 ms of its label.

    Where that lies at the edge of the 50 ms, it is the flank of something else, and no R peak.
    """
    renderer = Renderer(OVERVIEW, rate_hz, [lead])
    samples = np.rint(native_uv / lead.gain_uv).astype(np.int16)[np.newaxis] + np.int16(lead.baseline)
    shown = renderer.leads[0]
    steps = joined(renderer.push(0, samples) + renderer.flush())[0]
    rendered_uv = (steps - shown.baseline) * shown.gain_uv
    factor, reach = renderer.factor, round(0.05 * rate_hz)
    count = amplitude = position = 0
    for beat in beats:
        if not 5 * reach <= beat < len(native_uv) - 5 * reach:
            continue
        base = np.median(native_uv[beat - 5 * reach : beat + 5 * reach])
        around = native_uv[beat - reach : beat + reach + 1] - base
        at = int(np.argmax(np.abs(around)))
        if at in (0, 2 * reach):
            continue
        cells = range((beat - reach + factor // 2) // factor, (beat + reach + factor // 2) // factor + 1)
        deviations = (rendered_uv[cells.start : cells.stop] - base) * np.sign(around[at])
        peak = int(np.argmax(deviations))
        count += 1
        amplitude += bool(abs(deviations[peak] - abs(around[at])) > 0.05 * abs(around[at]))
        position += abs(cells[peak] * factor - (beat - reach + at)) > factor
    return Peaks(count, amplitude, position)


@pytest.fixture(scope="module")
def mitdb_peaks(data_dir: Path) -> dict[tuple[str, str], Peaks]:
    peaks = {}
    for header in sorted((data_dir / "mitdb").glob("*.hea")):
        recording = open_recording(header)
        beats = annotated_record(header).beats.tolist()
        for lead, samples in zip(recording.leads, recording.samples, strict=True):
            native_uv = (samples.astype(np.float64) - lead.baseline) * lead.gain_uv
            peaks[header.stem, lead.name] = compare_peaks(native_uv, lead, recording.rate_hz, beats)
    return peaks


def test_overview_keeps_the_r_peaks_of_clean_mitdb_records(
    mitdb_peaks: dict[tuple[str, str], Peaks],
) -> None:
    for record in ("100", "113", "117", "122", "212", "222", "231"):
        peaks = mitdb_peaks[record, "MLII"]
        assert peaks.count > 1500, record
        assert (peaks.amplitude, peaks.position) == (0, 0), record


def test_overview_keeps_the_r_peaks_of_all_mitdb_records(
    mitdb_peaks: dict[tuple[str, str], Peaks],
) -> None:
    """Of two tops of a notched R wave that round to one height, the overview's first may be the lower one."""
    count, amplitude, position = (
        sum(getattr(peaks, name) for peaks in mitdb_peaks.values())
        for name in ("count", "amplitude", "position")
    )
    assert amplitude / count <= 0.0005
    assert position / count <= 0.002


@pytest.mark.parametrize("rate_hz", [250, 360, 500, 1000])
@pytest.mark.parametrize("rhythm", ["sinus", "pvc"])
def test_overview_keeps_the_r_peaks_of_a_simulated_heart(rhythm: str, rate_hz: int) -> None:
    simulator = Simulator(rhythm, rate_hz=rate_hz, seed=3)
    native_uv = simulator.read(60 * rate_hz)[0] * 5.0
    beats = [beat.sample for beat in simulator.beats]
    peaks = compare_peaks(native_uv, Lead("II", 5.0), rate_hz, beats)
    assert peaks.count >= 60
    assert (peaks.amplitude, peaks.position) == (0, 0)


def sine(hertz: float, rate_hz: float) -> Iterator[float]:
    for n in range(int(4 * rate_hz)):
        yield 1000.0 * np.sin(2 * np.pi * hertz * n / rate_hz)


@pytest.mark.parametrize(("hertz", "least", "most"), [(10.0, 995, 1005), (40.0, 950, 1005), (210.0, 0, 10)])
def test_display_shows_what_a_monitor_shows_and_no_aliases(hertz: float, least: int, most: int) -> None:
    samples = np.rint(list(sine(hertz, 500.0))).astype(np.int16)[np.newaxis]
    shown_uv = joined(render(DISPLAY, samples))[0, 10:-10] * 5.0
    assert least <= np.abs(shown_uv).max() <= most
