"""The review page in a real Chromium: the ways to look at what was, what is missing, what goes to paper."""

from __future__ import annotations

import asyncio
import io
import re
import zipfile
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from streaming.client import Pacer
from streaming.client.playback import play, simulated, simulated_leads
from streaming.ecg.simulator import Simulator
from tests.page.scene import _TRACED, DEADLINE_MS, Bed, Scene, traced

pytestmark = [pytest.mark.server, pytest.mark.browser]
expect.set_options(timeout=DEADLINE_MS)

SCREEN = {"width": 1920, "height": 1080}


def past_of(ward: Scene, bed: Bed) -> dict[str, float]:
    """Four minutes of two leads, a hole of ten seconds after the first, three alarms."""
    return ward.store_past(bed, 4, "II", "V1")


async def has(page: Page, selector: str) -> None:
    await page.wait_for_selector(selector)


async def text_of(page: Page, part: str) -> str:
    return await page.inner_text(f'.review [data-part="{part}"]')


async def test_the_past_is_looked_at_from_the_trend_to_a_beat_by_keys_alone(ward: Scene) -> None:
    bed = ward.admit("monitor")
    past = past_of(ward, bed)
    page = await ward.open(f"/patients/{bed.stream}/", viewport=SCREEN)
    loaded = await page.evaluate("() => performance.getEntriesByType('resource').map(({name}) => name)")
    assert not [name for name in loaded if "/review/" in name], "live pages do not load it"
    await has(page, '.patient [data-part="review"]')
    await page.keyboard.press("r")
    await has(page, ".events li:nth-child(3)")
    texts = await page.locator(".events .what").all_inner_texts()
    assert texts == ["HR HIGH 126 > 120", "VT HR 176 > 140", "LEAD OFF V1"]
    await expect(page.locator(".trend-card path.mean")).to_have_count(1)
    await expect(page.locator(".trend-card :is(.m-high, .m-med, .m-tech)")).to_have_count(3)
    await expect(page.locator(".trend-card .lim")).to_have_count(2)

    # The newest event is chosen; the one before it, and the next again.
    chosen = page.locator(".events [aria-current=true] .what")
    await expect(chosen).to_have_text("HR HIGH 126 > 120")
    await page.keyboard.press("k")
    await expect(chosen).to_have_text("VT HR 176 > 140")
    await expect(page.locator(".detail .what")).to_have_text("VT HR 176 > 140")
    await expect(page.locator(".detail dl")).to_contain_text("nurse-02")
    await page.wait_for_function("() => document.querySelector('.strip-box canvas')?.width > 0")
    await drawn(page, ".strip-box", 500)

    # Two rows of ten seconds at 25 mm/s and 4 px/mm, behind twelve millimetres.
    canvas = await page.evaluate("() => document.querySelector('.strip-box canvas').width")
    edge = (12 + 250) * 4 / canvas
    assert await traced(page, ".strip-box", edge + 0.005, 1) == 0, "a row is ten seconds, and no more"
    assert await traced(page, ".strip-box", edge - 0.1, edge) > 50

    # From all hours to a beat: what the server keeps in little, then every sample.
    await page.keyboard.press("v")
    await page.keyboard.press("Home")
    await has(page, '.zoom-box canvas[data-whole][data-shows="overview"]')
    for _ in range(20):
        await page.keyboard.press("+")
    await has(page, '.zoom-box canvas[data-whole][data-shows="wave"]')
    await expect(title_of(page)).to_contain_text("0.4 s")
    await page.keyboard.press("v")
    await drawn(page, ".rows-box", 200)
    await page.keyboard.press("r")
    await has(page, ".patient")
    assert past["ended_s"] > past["began_s"]


def title_of(page: Page) -> Locator:
    """Says what is looked at."""
    return page.locator('.review [data-part="title"]')


async def drawn(page: Page, selector: str, columns: int) -> None:
    """Wait until so many pixel columns have a trace."""
    await page.wait_for_selector(f"{selector} canvas.trace")
    arguments = [[selector, 0.0, 1.0, "--trace", 0.0, 1.0, 24], columns]
    await page.wait_for_function(f"([what, least]) => ({_TRACED})(what) >= least", arg=arguments)


async def test_a_hole_is_hatched_for_its_length_in_every_view_and_live_goes_on(ward: Scene) -> None:
    bed = ward.admit("monitor")
    past = past_of(ward, bed)
    middle_ms = round(500 * (past["hole_s"] + past["hole_ends_s"]))
    page = await ward.open(f"/patients/{bed.stream}/review/{middle_ms}/", viewport=SCREEN)
    await drawn(page, ".strip-box", 300)
    canvas = await page.evaluate("() => document.querySelector('.strip-box canvas').width")
    left, half, right = (mm * 4 / canvas for mm in (12, 12 + 125, 12 + 250))
    # The first row ends in the middle of the hole: five seconds of trace, five of none.
    assert await traced(page, ".strip-box", half + 0.005, right - 0.005) == 0
    assert await traced(page, ".strip-box", half + 0.005, right - 0.005, token="--hatch") > 400
    assert await traced(page, ".strip-box", left + 0.005, half - 0.005) > 400
    await page.keyboard.press("v")
    await has(page, '.zoom-box canvas[data-whole][data-shows="wave"]')
    # Twenty seconds across: the hole has the middle half.
    assert await traced(page, ".zoom-box", 0.27, 0.73) == 0
    assert await traced(page, ".zoom-box", 0.02, 0.24) > 200
    await page.keyboard.press("-")
    await page.keyboard.press("-")
    await has(page, '.zoom-box canvas[data-whole][data-shows="overview"]')
    assert await traced(page, ".zoom-box", 0.45, 0.55) == 0
    patient = Simulator("sinus", rate_hz=250.0, seed=1)
    async with ward.device(bed, signals=simulated_leads(patient)) as device:
        await play(device, simulated(patient, 1.0), Pacer())
        await page.wait_for_function(
            "(stream) => window.vital.streams().find((one) => one.stream === stream)?.stop >= 200",
            arg=bed.stream,
        )


async def test_the_strip_is_measured_by_calipers_and_drawn_to_another_gain(ward: Scene) -> None:
    bed = ward.admit("monitor")
    past_of(ward, bed)
    page = await ward.open(f"/patients/{bed.stream}/review/", viewport=SCREEN)
    await drawn(page, ".strip-box", 500)
    notice = page.locator(".notice .scale")
    await expect(notice).to_contain_text("25 mm/s · 10 mm/mV")
    upper = [".strip-box", 0.0, 1.0, "--trace", 0.0, 0.25, 24]
    high = await traced(page, ".strip-box", rows=(0.0, 0.25))
    await page.keyboard.press("+")
    await expect(page.locator('.review [data-part="gain"]')).to_have_text("20 mm/mV")
    await expect(notice).to_contain_text("25 mm/s · 20 mm/mV")
    # Peaks reach higher.
    await page.wait_for_function(f"([what, high]) => ({_TRACED})(what) > high", arg=[upper, high])
    await page.keyboard.press("-")

    # Two beats of the first row, which are 60 000 / 70 ms apart by the simulator; then an arrow is a sample.
    await page.keyboard.press("c")
    label = page.locator(".caliper-label")
    await expect(label).to_have_text(re.compile(r"^\d+ ms · \d+(\.\d)? bpm · [+−]\d\.\d\d mV$"))
    first = await _ms_of(page)
    assert 600 < first < 1100
    await page.keyboard.press("ArrowLeft")
    await expect(label).to_have_text(re.compile(f"^{first - 4} ms "))
    await page.keyboard.press("Shift+ArrowRight")
    await expect(label).to_have_text(re.compile(f"^{first + 36} ms "))
    await expect(page.locator('.review [data-part="said"]')).to_have_text(await label.inner_text())
    await expect(page.locator(".paper:nth-of-type(1) .caliper")).to_have_count(2)

    # The other row by the key, the first one again by a press, and away.
    await page.keyboard.press("c")
    boxes = page.locator(".strip-box .plot")
    await expect(boxes.nth(1).locator(".caliper")).to_have_count(2)
    await boxes.nth(0).click(position={"x": 500, "y": 100})
    await expect(boxes.nth(0).locator(".caliper")).to_have_count(2)
    await expect(page.locator(".caliper")).to_have_count(2)
    await page.keyboard.press("k")
    await expect(page.locator(".caliper")).to_have_count(0)  # another strip
    await drawn(page, ".strip-box", 300)
    await page.keyboard.press("c")
    await expect(page.locator(".caliper")).to_have_count(2)
    await page.keyboard.press("Escape")
    await expect(page.locator(".caliper")).to_have_count(0)
    await expect(page.locator(".review")).to_be_visible()


async def _ms_of(page: Page) -> int:
    """What the calipers measure."""
    return int((await page.inner_text(".caliper-label")).split()[0])


async def test_what_is_zoomed_to_stays_when_another_minute_is_stored(ward: Scene) -> None:
    bed = ward.admit("monitor")
    ward.store_past(bed, 4, "II", calm=True)
    page = await ward.open(f"/patients/{bed.stream}/review/", viewport=SCREEN)
    await drawn(page, ".strip-box", 500)
    await page.keyboard.press("Home")
    await has(page, '.zoom-box canvas[data-whole][data-shows="overview"]')
    length = (await text_of(page, "title")).rpartition(", ")[2]
    # As another minute does: all is asked for anew.
    asked = "() => document.querySelector('.trend-card .plot svg path.mean')"
    before = await page.evaluate_handle(asked)
    await page.evaluate("() => document.querySelector('.told [data-do=again]').click()")
    await page.wait_for_function(f"(before) => ({asked})() !== before", arg=before)
    await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    await has(page, '.zoom-box canvas[data-whole][data-shows="overview"]')
    assert (await text_of(page, "title")).rpartition(", ")[2] == length


async def test_every_task_is_done_by_keys_alone(ward: Scene) -> None:
    # Over 10 s on a busy machine: it is the whole page.
    bed = ward.admit("monitor")
    past_of(ward, bed)
    ward.allow("export_history")
    page = await ward.open(f"/patients/{bed.stream}/", viewport=SCREEN)
    await page.evaluate("() => (window.print = () => (window.printed = (window.printed ?? 0) + 1))")
    keys = page.keyboard
    await has(page, '.patient [data-part="review"]')
    await keys.press("r")
    await expect(page.locator(".events li")).to_have_count(3)
    chosen = page.locator(".events [aria-current=true] .what")
    await expect(chosen).to_have_text("HR HIGH 126 > 120")

    # How many hours, and which alarms: of high severity there is one.
    await tab_to(page, "1 h")
    await keys.press("Enter")
    await expect(page.locator('.review [data-hours="1"]')).to_have_attribute("aria-pressed", "true")
    await keys.press("]")
    await expect(page.locator('.review [data-hours="4"]')).to_have_attribute("aria-pressed", "true")
    await tab_to(page, "All types")
    await keys.press("ArrowDown")
    await expect(page.locator(".events li")).to_have_count(1)
    await keys.press("ArrowUp")
    await expect(page.locator(".events li")).to_have_count(3)
    await tab_to(page, "High")
    assert "VT HR 176 > 140" in await focused(page)
    await keys.press("Enter")
    await expect(chosen).to_have_text("VT HR 176 > 140")
    await keys.press("j")
    await expect(chosen).to_have_text("HR HIGH 126 > 120")
    await keys.press("k")
    await keys.press("k")
    await expect(chosen).to_have_text("LEAD OFF V1")
    await expect(page.locator(".detail .what")).to_have_text("LEAD OFF V1")

    # The strip goes to the printer, then gives way to the zoom, to the rows, and comes back.
    await drawn(page, ".strip-box", 100)
    await tab_to(page, "Print")
    await keys.press("Enter")
    await page.wait_for_function("() => window.printed === 1")
    await tab_to(page, "Zoom")
    await keys.press("Enter")
    await has(page, '.zoom-box canvas[data-whole][data-shows="wave"]')
    await tab_to(page, "Trace, wheel")
    await expect(title_of(page)).to_have_text(re.compile(r"20\.0 s$"))
    await keys.press("+")
    await keys.press("ArrowRight")
    await expect(title_of(page)).to_contain_text("10.0 s")
    await keys.press("l")
    await expect(title_of(page)).to_contain_text("V1 · ")
    await tab_to(page, "Full disclosure")
    await keys.press("Enter")
    await drawn(page, ".rows-box", 200)
    top = await page.evaluate("() => document.querySelector('.rows-box').scrollTop")
    await keys.press("ArrowLeft")
    await page.wait_for_function("(to) => document.querySelector('.rows-box').scrollTop === to", arg=top - 44)
    await keys.press("v")
    await expect(page.locator(".strip-box")).to_be_visible()

    # An export as EDF+ of all hours; then back to live.
    await keys.press("e")
    await expect(page.locator("dialog.export")).to_be_visible()
    await tab_to(page, "strip")
    await keys.press("ArrowDown")
    await keys.press("Tab")
    await keys.press("ArrowDown")
    await keys.press("Tab")
    async with page.expect_download() as waiting:
        await keys.press("Enter")
    download = await waiting.value
    assert download.suggested_filename.endswith("-edf.zip")
    await expect(page.locator("dialog.export")).to_be_hidden()
    await keys.press("r")
    await expect(page.locator(".patient")).to_be_visible()


async def focused(page: Page) -> str:
    """What has the focus, by its name."""
    name: str = await page.evaluate(
        """() => {
          const { activeElement: one } = document;
          if (one instanceof HTMLSelectElement) return one.selectedOptions[0].text;
          if (one instanceof HTMLInputElement) return one.value;
          return one.getAttribute("aria-label") ?? one.textContent;
        }"""
    )
    return name.strip()


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until what begins with that name has the focus."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        if (await focused(page)).startswith(name):
            return
    raise AssertionError(f"{name} is not reached by Tab")


async def test_a_patient_without_a_past_and_a_lost_connection_say_so(ward: Scene) -> None:
    bed = ward.admit("monitor")
    routes: list[Any] = []
    page = await ward.open(
        f"/patients/{bed.stream}/review/", answer=lambda route: _one_connection(route, routes)
    )
    await page.wait_for_function(
        "() => document.querySelector('.blank b')?.textContent === 'Nothing is stored yet'"
    )
    assert await page.is_hidden(".told")
    await routes[0].close()
    await page.wait_for_selector(".told:not([hidden])")
    await expect(page.locator(".told")).to_contain_text("Not connected")


async def test_on_a_phone_it_opens_at_its_top_and_the_document_cannot_be_scrolled(ward: Scene) -> None:
    bed = ward.admit("monitor")
    past = past_of(ward, bed)
    at_ms = round(1000 * past["began_s"] + 120e3)
    page = await ward.open(f"/patients/{bed.stream}/", viewport={"width": 390, "height": 844})
    await has(page, '.patient [data-part="review"]')
    for path in ("", f"/patients/{bed.stream}/review/{at_ms}/"):
        if path:
            await page.goto(ward.server.url + path)
        else:
            await page.keyboard.press("r")
        await expect(page.locator(".events li")).to_have_count(3)
        await drawn(page, ".strip-box", 30)
        assert await page.evaluate("() => document.querySelector('.review').scrollTop") == 0
        await page.evaluate("() => document.scrollingElement.scrollTo(0, 1e6)")
        assert await page.evaluate("() => document.scrollingElement.scrollTop") == 0
        await expect(page.locator(".review .phead")).to_be_in_viewport(ratio=1)


async def test_nothing_is_claimed_or_offered_before_the_past_has_come(ward: Scene) -> None:
    bed = ward.admit("monitor")
    past_of(ward, bed)
    ward.allow("export_history")
    held: list[Any] = []
    asked: dict[str, Any] = {}

    def relay(route: Any) -> None:
        server = route.connect_to_server()

        def hold(message: str | bytes) -> None:
            asked["server"], text = server, str(message)
            if '"review"' in text:
                held.append(message)
            else:
                server.send(message)

        route.on_message(hold)

    page = await ward.open(f"/patients/{bed.stream}/review/", answer=relay)
    await expect(page.locator(".blank b")).to_have_text("Loading")
    assert await text_of(page, "count") == ""
    assert await page.inner_text(".events .none") == "Loading"
    controls = page.locator(
        ".review :is([data-do=export], [data-do=print], [data-do=previous], [data-do=next], "
        ".calipers, .gains button, [data-part=lead], [data-part=severity])"
    )
    await expect(controls).to_have_count(9)
    enabled = ".review :is(.phead, .look, .events) :is(button, select):not([data-hours], [data-mode]):enabled"
    await expect(page.locator(enabled)).to_have_count(0)
    await page.keyboard.press("e")
    assert await page.is_hidden("dialog.export")

    # Four hours have come, of which so little is stored that one is enough.
    trend, events = held
    held.clear()
    asked["server"].send(trend)
    await expect(page.locator('.review [data-hours="1"]')).to_have_attribute("aria-pressed", "true")
    async with asyncio.timeout(DEADLINE_MS / 1000):
        while len(held) < 2:
            await page.evaluate("() => new Promise(requestAnimationFrame)")

    # The hour has come, but neither its alarms nor a strip.
    trend, events = held
    held.clear()
    asked["server"].send(trend)
    await has(page, ".trend-card path.mean")
    assert await page.evaluate(_IS_TREND_INSIDE)
    await expect(page.locator(".blank b")).to_have_text("Loading")
    await expect(page.locator(".review [data-do=export]")).to_be_enabled()
    await expect(page.locator(".review [data-do=print]")).to_be_disabled()
    assert await page.inner_text(".events .none") == "Loading"
    asked["server"].send(events)
    await expect(page.locator(".events li")).to_have_count(3)
    assert await text_of(page, "count") == "3"
    await expect(page.locator(".review [data-do=next]")).to_be_enabled()
    await expect(page.locator(".blank")).to_be_visible()
    await page.wait_for_function("() => document.querySelector('.detail').hasAttribute('data-event')")
    asked["server"].send(held[-1])
    await expect(page.locator(".blank")).to_be_hidden()
    await expect(page.locator(".review [data-do=print]")).to_be_enabled()


_IS_TREND_INSIDE = """() => {
  const [mean, plot] = ["path.mean", ".plot"].map((part) =>
    document.querySelector(`.trend-card ${part}`).getBoundingClientRect());
  return mean.width > 1 && mean.left > plot.left && mean.right < plot.right;
}"""


async def test_a_review_opened_without_a_connection_says_that_nothing_has_come(ward: Scene) -> None:
    bed = ward.admit("monitor")
    routes: list[Any] = []
    page = await ward.open(f"/patients/{bed.stream}/", answer=lambda route: _one_connection(route, routes))
    await has(page, '.patient [data-part="review"]')
    await routes[0].close()
    await page.wait_for_function("() => window.vital.stats().phase !== 'online'")
    await page.keyboard.press("r")
    await expect(page.locator(".blank b")).to_have_text("Nothing has come yet")
    await expect(page.locator(".told")).to_contain_text("nothing has come yet")
    await expect(page.locator(".events .none")).to_have_text("Nothing has come yet")
    assert await text_of(page, "count") == ""
    await expect(page.locator('.review [data-part="lead"]')).to_be_disabled()


def _one_connection(route: Any, routes: list[Any]) -> None:
    """Let the first one through to the server, and none after it."""
    routes.append(route)
    if len(routes) == 1:
        route.connect_to_server()


async def test_the_strip_goes_to_paper_in_millimetres_with_the_pseudonym_alone(ward: Scene) -> None:
    bed = ward.admit("monitor")
    past_of(ward, bed)
    page = await ward.open(f"/patients/{bed.stream}/review/", viewport=SCREEN)
    await drawn(page, ".strip-box", 500)
    await page.emulate_media(media="print")
    await page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    box = await page.locator(".sheet svg").first.bounding_box()
    assert box is not None
    assert box["width"] == pytest.approx(260 * 96 / 25.4, abs=1.5), "ten seconds at 25 mm/s behind the pulse"
    assert box["height"] == pytest.approx(72 * 96 / 25.4, abs=1.5), "two leads"
    printed = await page.inner_text("body")
    streams = await page.evaluate("() => window.vital.streams()")
    assert streams[0]["patient"] in printed
    assert "patient of" not in printed, "no name"
    for fact in ("25 mm/s", "10 mm/mV", "II, V1", "Not a medical device", "SIM"):
        assert fact in printed
    lines = await page.locator(".sheet path.line").evaluate_all(
        "(paths) => paths.map((path) => path.getAttribute('d').length)"
    )
    assert sum(length > 5000 for length in lines) == 4, "two rows of two leads"


async def test_who_may_exports_from_the_page_and_who_may_not_is_told(ward: Scene) -> None:
    bed = ward.admit("monitor")
    past_of(ward, bed)
    page = await ward.open(f"/patients/{bed.stream}/review/")
    await has(page, ".phead [data-do=export]:enabled")
    await page.keyboard.press("e")
    await expect(page.locator("dialog.export")).to_be_visible()
    await expect(page.locator("dialog.export")).to_contain_text("may not export")
    ward.allow("export_history")
    await page.reload()
    await has(page, ".phead [data-do=export]:enabled")
    await page.keyboard.press("e")
    await expect(page.locator("dialog.export")).to_be_visible()
    await page.keyboard.press("Tab")
    # Keys are the dialog's.
    await page.wait_for_function("() => document.activeElement.name === 'range'")
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog.export")).to_be_hidden()
    assert await page.is_visible(".review"), "and not those of the page beneath"
    await page.keyboard.press("e")
    await expect(page.locator("dialog.export")).to_be_visible()
    # The next key may come before the frame in which what has closed loses the focus.
    await page.focus("dialog.export [name=range]")
    await page.evaluate(
        """() => {
            document.querySelector("dialog.export").close();
            document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "e", bubbles: true }));
        }"""
    )
    await page.check('dialog.export input[value="edf"]')
    async with page.expect_download() as waiting:
        await page.click('dialog.export [data-do="download"]')
    download = await waiting.value
    assert download.suggested_filename.endswith("-edf.zip")
    with open(await download.path(), "rb") as file:  # noqa: ASYNC230, PTH123
        data = file.read()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".edf")]
        assert int(archive.read(name)[236:244]) == 20, "the twenty seconds of the strip"
