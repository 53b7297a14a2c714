"""The paper of one patient's traces: true to scale, sample and pixel; and what its reader does with it."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from playwright.async_api import Page, expect

from streaming.ecg.leads import TWELVE_LEADS
from tests.page.scene import DEADLINE_MS, Scene, stop_of
from tests.page.wire import STREAM, Wire, pixels, pulses

pytestmark = [pytest.mark.server, pytest.mark.browser]

expect.set_options(timeout=DEADLINE_MS)

PATIENT = f"/patients/{STREAM}/"
HD = {"width": 1920, "height": 1080}
PX_PER_MM = 5.0
"""As if measured on a display; not the 4 of one that was not."""
GREEN = (54.0, 230.0)
"""Of the paper's brightest line, and of the trace, in the dark theme."""


async def _calibrate(page: Page, px_per_mm: float) -> None:
    """Measure the display, as with a bank card of 85.6 mm."""
    await page.click(".notice [data-action=calibrate]")
    await page.locator(".calibration input[type=range]").fill(str(85.6 * px_per_mm))
    await page.click(".calibration [data-fit=store]")
    await expect(page.locator(".notice .scale")).to_have_text("25 mm/s · 10 mm/mV · to scale")


def _ink(png: bytes) -> npt.NDArray[np.float64]:
    """How much of each pixel is trace, (height, width)."""
    low, high = GREEN
    return np.clip((pixels(png)[:, :, 1].astype(np.float64) - low) / (high - low), 0, 1)


@dataclass(frozen=True, slots=True)
class Picture:
    """The live canvas at one moment, and where samples of its first lead stood: column and row by index."""

    ink: npt.NDArray[np.float64]
    at: dict[int, tuple[float, float]]
    stop: int
    """The sample up to which it was drawn."""


async def _picture(page: Page, stop: int, indices: Sequence[int] = ()) -> Picture:
    """Taken in the page's one task in which samples up to `stop` are found drawn: nothing moves meanwhile."""
    taken = await page.wait_for_function(_TAKE, arg=[STREAM, stop, list(indices)])
    png, columns, heights, drawn = await taken.json_value()
    at = dict(zip(indices, zip(columns, heights, strict=True), strict=True))
    return Picture(_ink(b64decode(png.partition(",")[2])), at, drawn)


_TAKE = """([stream, stop, indices]) => window.vital.stats().drawn[stream] >= stop && [
  document.querySelector(".waves canvas.trace").toDataURL(),
  window.vital.columns(stream, indices),
  window.vital.heights(stream, 0, indices),
  window.vital.stats().drawn[stream],
]"""


async def test_a_pulse_of_1_mv_and_1_hz_is_25_by_10_mm_on_the_calibrated_screen(ward: Scene) -> None:
    wire = Wire()
    page = await ward.open(PATIENT, answer=wire.answer, viewport=HD)
    await expect(page.locator(".notice .scale")).to_contain_text("not to scale (uncalibrated)")
    await _calibrate(page, PX_PER_MM)
    await page.keyboard.press("q")  # no marks of beats
    await wire.play(pulses(4.3, wire.rate_hz))
    await stop_of(page, STREAM, 2100)
    await page.keyboard.press("f")
    await expect(page.locator(".frozen")).to_be_visible()
    ink = _ink(await page.locator(".frozen canvas.trace").screenshot())
    rows = np.flatnonzero((ink > 0.5).mean(axis=1) > 0.05)
    top, bottom = rows[0], rows[-1]
    # An edge is where the line is neither at the top nor at the bottom: all of the height between them.
    edges = np.flatnonzero(ink[top + 5 : bottom - 5].mean(axis=0) > 0.5)
    apart = edges[np.diff(edges, prepend=-9) > 1]
    inner = apart[(apart >= 4) & (apart < ink.shape[1] - 4)]
    rising = [at for at in inner if ink[top : top + 3, at + 4].max() > 0.5 > ink[top : top + 3, at - 4].max()]
    assert np.diff(rising) == pytest.approx([25 * PX_PER_MM] * 3, rel=0.02)
    centres = [np.average(np.arange(len(ink)), weights=_lying(ink, row)) for row in (top, bottom)]
    assert centres[1] - centres[0] == pytest.approx(10 * PX_PER_MM, rel=0.02)
    await page.reload()
    await expect(page.locator(".notice .scale")).to_have_text("25 mm/s · 10 mm/mV · to scale")
    await page.click(".notice [data-action=calibrate]")
    await page.click(".calibration [data-fit=forget]")
    await expect(page.locator(".notice .scale")).to_contain_text("not to scale (uncalibrated)")


def _lying(ink: npt.NDArray[np.float64], row: int) -> npt.NDArray[np.float64]:
    """The ink of a level line about `row`, in columns where nothing rises."""
    flat = ink[:, ink.sum(axis=0) < 4].mean(axis=1)
    near = np.abs(np.arange(len(ink)) - row) <= 3
    return np.where(near, flat, 0.0)


async def test_every_column_is_true_to_the_record_and_a_gap_blank_for_its_samples(ward: Scene) -> None:
    wire = Wire()
    page = await ward.open(PATIENT, answer=wire.answer, viewport=HD)
    await page.keyboard.press("q")
    noise = np.random.default_rng(7).normal(0.0, 300.0, (1, 2200))
    await wire.play(noise[:, :1300])
    wire.skip(217)
    await wire.play(noise[:, 1300:])
    taken = await _picture(page, 2350, [*range(100, 1300), *range(1517, 2300)])
    at, ink = taken.at, taken.ink
    checked = 0
    for column in sorted({int(x) for x, _ in at.values()}):
        inside = [y for x, y in at.values() if column <= x < column + 1]
        # The line to the neighbours begins and ends here, and is 1.5 px wide.
        near = [y for x, y in at.values() if column - 2.5 <= x < column + 3.5]
        drawn = np.flatnonzero(ink[:, column] > 0.4)
        if not inside or len(near) < 25:
            continue  # at an edge of what was chosen
        top, bottom = drawn[0], drawn[-1] + 1
        assert min(near) - 1.75 <= top <= min(inside) + 1
        assert max(inside) - 1 <= bottom <= max(near) + 1.75
        checked += 1
    assert checked > 300
    left, right = at[1299][0], at[1517][0]
    assert right - left == pytest.approx(218 * 100 / wire.rate_hz, abs=0.5)
    blank = ink[:, int(np.ceil(left)) + 1 : int(np.floor(right)) - 1]
    assert blank.shape[1] >= 39
    assert blank.max() < 0.4, "nothing is traced where no sample was"
    assert ink[:, int(left)].max() > 0.4
    assert ink[:, int(right)].max() > 0.4


def _twelve(seconds: float, rate_hz: float) -> npt.NDArray[np.float64]:
    """A pulse each second in twelve leads."""
    return np.repeat(pulses(seconds, rate_hz), 12, axis=0)


async def test_layouts_are_chosen_by_key_and_remembered(ward: Scene) -> None:
    wire = Wire(TWELVE_LEADS)
    page = await ward.open(PATIENT, answer=wire.answer, viewport=HD)
    labels = page.locator(".waves .row-labels li")
    standard = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6", "II"]
    await wire.play(_twelve(1.5, wire.rate_hz))
    await expect(labels).to_have_text(standard)
    await expect(page.locator("[data-part=scale]")).to_have_text("4 × 2.5 s · 25 mm/s · 10 mm/mV")
    width = await page.evaluate("() => document.querySelector('.waves canvas.trace').width")
    assert width == 1000, "ten seconds at 4 px/mm"
    await page.set_viewport_size({"width": 390, "height": 844})
    await expect(labels).to_have_text(["II"])
    await page.set_viewport_size({"width": HD["width"], "height": HD["height"]})
    await expect(labels).to_have_text(standard)
    await page.keyboard.press("l")
    await expect(labels.last).to_have_text("III")
    await page.keyboard.press("v")
    await expect(labels).to_have_text(list(TWELVE_LEADS))
    await page.keyboard.press("v")
    await expect(labels).to_have_text(["III"])
    await page.click(".chips [data-lead=V5]")
    await expect(labels).to_have_text(["V5"])
    await page.keyboard.press("s")
    await expect(page.locator("[data-part=mode]")).to_have_text("Scroll")
    await page.reload()
    await wire.play(_twelve(0.5, wire.rate_hz))
    await expect(labels).to_have_text(["II"])
    await expect(page.locator("[data-part=mode]")).to_have_text("Scroll")
    await page.click("[data-kind=standard]")
    await expect(labels).to_have_text(standard)


async def test_scrolled_paper_shows_what_one_painted_from_nothing_does(ward: Scene) -> None:
    wire = Wire(TWELVE_LEADS)
    page = await ward.open(PATIENT, answer=wire.answer, viewport=HD)
    await expect(page.locator(".phead")).to_be_visible()
    await page.keyboard.press("s")
    await page.keyboard.press("q")
    async with wire.playing(_twelve(60, wire.rate_hz)):
        await _picture(page, 500)
        await page.keyboard.press("s")
        await page.keyboard.press("s")  # painted anew, then it rolls
        rolled = await _picture(page, 2500, [2400])
        newest = rolled.at[2400][0] + (rolled.stop - 2400) * 100 / wire.rate_hz
        assert newest == pytest.approx(1000, abs=3), "the newest is at the right edge"
        await page.keyboard.press("q")
        await page.keyboard.press("q")
        anew = await _picture(page, 2500, [2400])
    by = round(rolled.at[2400][0] - anew.at[2400][0])
    rhythm = slice(round(0.78 * len(rolled.ink)), None)
    old = rolled.ink[rhythm, by + 300 : 960]
    new = anew.ink[rhythm, 300 : 960 - by]
    assert old.shape == new.shape
    assert (np.abs(old - new) > 0.35).sum() < 20, "no column was lost, doubled or smeared"


async def test_a_frozen_view_is_measured_by_keys_while_the_live_trace_goes_on(ward: Scene) -> None:
    wire = Wire(("II", "V1"))
    page = await ward.open(PATIENT, answer=wire.answer)
    await wire.subscribed()
    wire.beats((510, False), (1010, True))  # before the samples: with them, the page has them
    await wire.play(np.repeat(pulses(3.2, wire.rate_hz), 2, axis=0))
    await stop_of(page, STREAM, 1500)
    await page.keyboard.press("c")
    label = page.locator(".caliper-label")
    await expect(label).to_contain_text("ms")
    measured = re.fullmatch(r"(\d+) ms · ([\d.]+) bpm · (.+) mV", await label.inner_text())
    assert measured is not None
    assert measured[1] == "1000", "from one told beat to the next"
    assert measured[2] == "60.0"
    await page.keyboard.press("ArrowRight")
    await expect(label).to_contain_text("1002 ms")
    await page.keyboard.press("Shift+ArrowLeft")
    await expect(label).to_contain_text("982 ms")
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("ArrowLeft")
    await expect(label).to_contain_text("984 ms")
    first = page.locator(".caliper").first
    box = await first.bounding_box()
    assert box is not None
    assert box["width"] == 44
    drawn = "(id) => window.vital.stats().drawn[id]"
    before = await page.evaluate(drawn, STREAM)
    await wire.play(np.zeros((2, 700)))
    await stop_of(page, STREAM, before + 400)
    await expect(page.locator("[data-part=frozen-age]")).to_have_text(re.compile("live age [1-9]"))
    # A mouse lets go near a beat: there it stands.
    await page.mouse.move(box["x"] + 22, box["y"] + 40)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 22 - 60, box["y"] + 40, steps=4)
    await page.mouse.move(box["x"] + 22 + 3, box["y"] + 40, steps=4)
    await page.mouse.up()
    await expect(label).to_contain_text("982 ms")
    await page.keyboard.press("Escape")
    await expect(page.locator(".frozen")).to_be_hidden()
    await expect(page).to_have_url(re.compile(PATIENT))


async def test_what_came_coarsened_is_frozen_but_not_measured(ward: Scene) -> None:
    wire = Wire()
    page = await ward.open(PATIENT, answer=wire.answer)
    await wire.subscribed()
    wire.describe("display")
    await wire.play(pulses(1.5, wire.rate_hz))
    await stop_of(page, STREAM, 500)
    await page.keyboard.press("c")
    await expect(page.locator("[data-part=frozen-note]")).to_contain_text("came as display or overview")
    await expect(page.locator("[data-part=frozen-calipers]")).to_be_disabled()
    await expect(page.locator(".caliper")).to_have_count(0)


async def test_filters_and_marks_are_switched_by_key_and_say_so(ward: Scene) -> None:
    wire = Wire()
    page = await ward.open(PATIENT, answer=wire.answer, viewport=HD)
    notice, mark = page.locator(".notice .scale"), page.locator("[data-part=filter]")
    hum = 400 * np.sin(2 * np.pi * 50 * np.arange(30_000) / wire.rate_hz)[np.newaxis]
    async with wire.playing(hum):
        tall = await _height(page)
        await expect(mark).to_have_text("")
        await page.keyboard.press("m")
        await page.keyboard.press("h")
        await expect(mark).to_have_text("Filter: baseline 0.5 Hz, mains 50 Hz")
        await expect(notice).to_contain_text("Filter: baseline 0.5 Hz, mains 50 Hz")
        assert await _height(page) < tall / 20
        wire.beats((900, False), (1100, True))
        await stop_of(page, STREAM, 1150)  # the bar has passed both
        await page.wait_for_function(_MARKED, arg=[STREAM, 900])
        plain, ventricular = await page.evaluate(_WIDTHS, [STREAM, [900, 1100]])
        assert plain == 2
        assert ventricular > 6, "another shape"
        await page.keyboard.press("q")
        await page.wait_for_function(f"(arg) => !({_MARKED})(arg)", arg=[STREAM, 900])


async def _height(page: Page) -> float:
    """Rows from the highest to the lowest of what is drawn of the second second."""
    picture = await _picture(page, 1000, range(500, 1000))
    return float(np.ptp([y for _, y in picture.at.values()]))


_WIDTHS = """([stream, indices]) => {
  const canvas = document.querySelector(".waves canvas.trace");
  const { data } = canvas.getContext("2d").getImageData(0, canvas.height - 8, canvas.width, 1);
  return window.vital.columns(stream, indices).map((column) => {
    let wide = 0;
    for (let x = Math.floor(column) - 8; x < column + 8; x++) wide += data[4 * x] > 150 ? 1 : 0;
    return wide;
  });
}"""
_MARKED = f"([stream, index]) => ({_WIDTHS})([stream, [index]])[0] > 0"
