"""What a person sees of a ward and does with it: fresh, stale and lost beds, patients, keys, phones."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, expect

from streaming.client import Device, Pacer
from streaming.client.playback import play, simulated, simulated_leads
from streaming.ecg.simulator import Simulator
from tests.page.desk import Desk, stream_of
from tests.page.scene import DEADLINE_MS, RATE_HZ, Bed, Scene, stop_of, traced

pytestmark = [pytest.mark.server, pytest.mark.browser]

expect.set_options(timeout=DEADLINE_MS)

_NEXT_FRAME = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@asynccontextmanager
async def _watched(
    ward: Scene, page: Page, bed: Bed, leads: tuple[str, ...] = ("II",)
) -> AsyncIterator[Device]:
    """A bed whose first seconds are on the page, and that sends on until the end."""
    patient = Simulator("sinus", rate_hz=RATE_HZ, leads=leads, seed=1)
    async with ward.device(bed, signals=simulated_leads(patient)) as device, asyncio.TaskGroup() as playing:
        task = playing.create_task(play(device, simulated(patient), Pacer()))
        await stop_of(page, bed.stream, round(2.5 * RATE_HZ))
        yield device
        task.cancel()


async def test_a_ward_without_beds_says_how_to_get_some(ward: Scene) -> None:
    page = await ward.open()
    await expect(page.locator("h1")).to_have_text("No beds yet")
    await expect(page.locator("pre")).to_contain_text("manage.py simulate")


async def test_a_bed_shows_who_where_from_and_a_trace(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page = await ward.open()
    async with _watched(ward, page, bed):
        tile = page.locator(".tile")
        await expect(tile.locator(".bed")).to_have_text("01")
        await expect(tile.locator(".pseud")).to_contain_text("monitor")
        await expect(tile.locator(".mark")).to_have_text("SIM")
        await expect(tile.locator(".lead")).to_have_text("II")
        await expect(tile.locator(".rend")).to_have_text("lossless")
        await expect(tile.locator(".age")).to_have_text(re.compile(r"^\d\.\d s$"))
        await expect(page.locator(".place b")).to_have_text(ward.ward)
        assert await traced(page, ".tile") > 150
    await expect(page.locator(".notice")).to_contain_text("Not a medical device.")
    await expect(page.locator(".notice")).to_contain_text("25 mm/s · 10 mm/mV · not to scale")


async def test_data_that_stops_is_late_then_stale_then_lost_and_no_rate_is_held(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page = await ward.open()
    tile = page.locator(".tile")
    async with _watched(ward, page, bed):
        await expect(tile).to_have_attribute("data-state", "live")
        await page.evaluate(_WITNESS)
    await expect(tile).to_have_attribute("data-state", "lost")
    await expect(tile).to_have_attribute("data-alarm", "tech")
    await expect(page.locator(".sum-n[data-severity=technical]")).to_contain_text("Bed 01")
    assert await traced(page, ".tile") == 0, "the trace is dim"
    seen = await page.evaluate("window.seen")
    assert list(dict.fromkeys(one["state"] for one in seen))[-3:] == ["late", "stale", "lost"]
    assert all(one["late"] for one in seen if one["state"] in {"late", "stale"})
    stale = [one for one in seen if one["state"] == "stale"]
    assert all(re.fullmatch(r"No data \d+ s", one.pop("what")) for one in stale)
    told = {"state": "stale", "late": True, "rendition": "", "level": "0", "note": "no data", "rate": "--"}
    assert stale == [told] * len(stale)


_WITNESS = """() => {
  const tile = document.querySelector(".tile");
  window.seen = [];
  new MutationObserver(() => {
    const text = (name) => tile.querySelector(name).textContent.trim();
    window.seen.push({
      state: tile.dataset.state,
      late: tile.querySelector(".age").hasAttribute("data-late"),
      what: text(".what"),
      rendition: text(".rend"),
      level: tile.querySelector(".rend").dataset.level,
      note: text(".wave-note"),
      rate: text(".hr-val"),
    });
  }).observe(tile, { attributes: true, attributeFilter: ["data-state"] });
}"""
"""Keeps what a tile says when its state has changed: none is missed, however slow the machine is."""


async def test_a_lead_that_is_off_has_no_trace_and_says_so(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page = await ward.open()
    async with _watched(ward, page, bed) as device:
        await device.report_leads_off(["II"])
        await expect(page.locator(".tile .what")).to_have_text(re.compile("^lead off II$", re.IGNORECASE))
        await expect(page.locator(".tile .wave-note")).to_contain_text("Lead II off")
        await expect(page.locator(".tile")).to_have_attribute("data-alarm", "tech")
        await page.evaluate(_NEXT_FRAME)
        # The cursor has the trace's colour too, dimmed.
        assert await traced(page, ".tile") <= 2


async def test_a_click_opens_the_patient_and_escape_comes_back(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page = await ward.open()
    async with _watched(ward, page, bed, leads=("II", "V1", "V5")):
        await page.click(".tile")
        await expect(page).to_have_url(f"{ward.server.url}/patients/{bed.stream}/")
        await expect(page.locator(".row-labels li")).to_have_text(["II", "V1", "V5"])
        await expect(page.locator(".phead .bed")).to_have_text("01")
        await stop_of(page, bed.stream, round(2.5 * RATE_HZ))
        assert await traced(page, ".waves") > 150
        await page.keyboard.press("]")
        await expect(page.locator(".notice .scale")).to_contain_text("50 mm/s · 10 mm/mV")
        await page.reload()
        await expect(page.locator(".phead .bed")).to_have_text("01")
        await page.keyboard.press("Escape")
        await expect(page).to_have_url(f"{ward.server.url}/")
        await expect(page.locator(".tile")).to_be_focused()
        await page.go_back()
        await expect(page.locator(".phead .bed")).to_have_text("01")


async def test_the_patient_page_has_the_lane_of_the_tile(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page = await ward.open(f"/patients/{bed.stream}/")
    waves = page.locator(".waves")
    canvas = waves.locator("canvas.trace")
    async with _watched(ward, page, bed, leads=("II", "V1", "V5")) as device:
        await expect(waves).not_to_have_attribute("data-alarm", "tech")
        size = await canvas.bounding_box()
        await device.report_leads_off(["V1"])
        await expect(waves).to_have_attribute("data-alarm", "tech")
        # The page notices it by itself, until the server says the same.
        await expect(waves.locator(".what")).to_have_text(re.compile("^lead off V1$", re.IGNORECASE))
        await expect(waves.locator(".since")).to_have_text(re.compile(r"^\d+ s$"))
        await expect(waves.locator(".wave-note")).to_have_text("")
        assert await canvas.bounding_box() == size, "an alarm resizes nothing"
    await expect(waves).to_have_attribute("data-state", "stale")
    await expect(waves.locator(".wave-note")).to_have_text("no data")
    await expect(page.locator('[data-part="leads"]')).to_have_text("--")
    await expect(waves).to_have_attribute("data-state", "lost")
    await expect(waves).to_have_attribute("data-alarm", "tech")
    await expect(waves.locator(".what")).to_have_text(re.compile("^no data$", re.IGNORECASE))
    assert await canvas.bounding_box() == size


async def test_data_that_stops_moves_nothing_on_a_phone(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page = await ward.open(f"/patients/{bed.stream}/", viewport={"width": 390, "height": 844})
    async with _watched(ward, page, bed):
        await expect(page.locator(".waves")).to_have_attribute("data-state", "live")
        place = await page.locator(".waves canvas.trace").bounding_box()
    await expect(page.locator(".waves")).to_have_attribute("data-state", "stale")
    await expect(page.locator(".rhythm")).to_have_text("no data")
    assert await page.locator(".waves canvas.trace").bounding_box() == place


async def test_a_patient_that_one_may_not_see_is_like_one_that_does_not_exist(ward: Scene) -> None:
    page = await ward.open("/patients/aaaaaaaaaaaa/")
    await expect(page.locator("h1")).to_have_text("No such patient for you")


async def test_arrows_move_between_beds_and_enter_opens_one(ward: Scene) -> None:
    beds = [ward.admit(f"monitor{number}") for number in range(3)]
    page = await ward.open()
    await expect(page.locator(".tile")).to_have_count(3)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await expect(page.locator(f'[data-stream="{beds[1].stream}"]')).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(page.locator(f'[data-stream="{beds[0].stream}"]')).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{ward.server.url}/patients/{beds[0].stream}/")


async def test_the_theme_is_kept_and_keys_can_be_switched_off(ward: Scene) -> None:
    page = await ward.open()
    await page.keyboard.press("t")
    await page.reload()
    root = page.locator("html")
    await expect(root).to_have_attribute("data-theme", "light")
    await page.wait_for_function("() => window.vital !== undefined")
    await page.keyboard.press("?")
    await expect(page.locator("dialog.help")).to_be_visible()
    await page.uncheck("dialog.help input")
    await page.keyboard.press("Escape")
    await page.keyboard.press("t")
    await expect(root).to_have_attribute("data-theme", "light")


async def test_more_than_sixteen_beds_are_on_pages(ward: Scene) -> None:
    for number in range(17):
        ward.admit(f"monitor{number:02}")
    page = await ward.open(viewport={"width": 1920, "height": 1080})
    await expect(page.locator(".tile")).to_have_count(16)
    await expect(page.locator(".ward")).to_have_attribute("data-columns", "2")
    await page.click('[data-action="next"]')
    await expect(page.locator(".tile .bed")).to_have_text(["17"])
    await expect(page.locator(".pager span")).to_have_text("17–17 of 17")


async def test_thirty_two_beds_stand_on_one_page_where_the_user_wants_that(ward: Scene) -> None:
    desk = Desk(32)
    page = await ward.open(answer=desk, viewport={"width": 1920, "height": 1080})
    tiles, scale = page.locator(".tile"), page.locator(".notice .scale")
    await expect(tiles).to_have_count(16)
    await expect(scale).to_contain_text("25 mm/s · 10 mm/mV")
    await page.keyboard.press("PageDown")
    await expect(tiles.first).to_have_attribute("data-stream", stream_of(17))
    await page.keyboard.press("o")
    await page.get_by_label("up to 32").check()
    await page.keyboard.press("Escape")
    await expect(tiles).to_have_count(32)
    await expect(page.locator(".pager")).to_be_hidden()
    await expect(scale).to_contain_text("25 mm/s · 5 mm/mV")
    async with desk.live(*range(1, 33)):
        for bed, severity in ((2, "high"), (18, "medium"), (32, "technical")):
            desk.alarm(f"a{bed}", severity=severity, stream=stream_of(bed), patient=f"P-{bed}")
        await expect(page.locator(".tile[data-alarm]")).to_have_count(3)
        await expect(page.locator('.tile[data-state="live"]')).to_have_count(32)
        assert await page.evaluate(_FAULTS_OF_TILES) == []
        # A window that does not fill the screen, the narrowest with two columns, and one with a column.
        for width, height, gain in ((1920, 940, 5), (1600, 1200, 5), (1280, 6000, 10), (1920, 1080, 5)):
            await page.set_viewport_size({"width": width, "height": height})
            await expect(scale).to_contain_text(f"25 mm/s · {gain} mm/mV")
            assert await page.evaluate(_FAULTS_OF_TILES) == []
    await page.reload()
    await expect(tiles).to_have_count(32)


_FAULTS_OF_TILES = """() => {
  const faults = [];
  const end = document.querySelector(".notice").getBoundingClientRect().top;
  for (const tile of document.querySelectorAll(".tile")) {
    const bed = tile.querySelector(".bed").textContent;
    const around = tile.getBoundingClientRect();
    if (around.bottom > end) faults.push(`bed ${bed} is below what is seen`);
    for (const other of document.querySelectorAll(".tile")) {
      if (other === tile) break;
      const box = other.getBoundingClientRect();
      const isOn = box.bottom > around.top && box.top < around.bottom
        && box.right > around.left && box.left < around.right;
      if (isOn) faults.push(`bed ${bed} lies on another`);
    }
    const parts = ".bed, .pseud, .mark, .lane, .wave, .hr-lab b, .hr-source, .hr-limits, .hr-val, .rhythm";
    const boxes = [...tile.querySelectorAll(parts)]
      .filter((part) => (part.textContent || part.className === "wave") && part.checkVisibility())
      .map((part) => [part.className || part.localName, part.getBoundingClientRect()]);
    for (const [name, box] of boxes) {
      const isIn = box.top >= around.top && box.bottom <= around.bottom
        && box.left >= around.left && box.right <= around.right;
      if (!isIn || box.height === 0) faults.push(`bed ${bed}: ${name} is cut`);
    }
    boxes.forEach(([name, a], at) => boxes.slice(at + 1).forEach(([other, b]) => {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 0.5 && down > 0.5) faults.push(`bed ${bed}: ${name} lies on ${other}`);
    }));
  }
  return faults;
}"""
"""What a tile says that is cut or lies on something else, and beds that one has to scroll to."""


async def test_beds_of_two_wards_say_which_one_they_are_in(ward: Scene) -> None:
    ward.admit("monitor")
    page = await ward.open(viewport={"width": 1920, "height": 1080})
    named = page.locator(".tile .of-ward")
    await expect(named).to_have_text([""])
    await expect(page.locator(".ward h2")).to_have_count(0)
    ward.admit("annexed", ward=ward.annex)
    await expect(named).to_have_text([ward.ward, ward.annex])
    await expect(named.nth(1)).to_be_visible()
    await expect(page.locator(".place b")).to_have_text("2 wards")
    await expect(page.locator(".tile").nth(1)).to_have_attribute(
        "aria-label", re.compile(f"^{ward.annex}, bed 01, ")
    )
    await page.set_viewport_size({"width": 390, "height": 844})
    await expect(page.locator(".ward h2")).to_have_text([ward.ward, ward.annex])
    await expect(page.locator(".ward h2").nth(1)).to_be_visible()
    await expect(named.nth(1)).to_be_hidden()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await expect(page.locator(".tile").nth(1)).to_be_focused()


async def test_a_device_that_never_came_counts_among_the_technical_alarms(ward: Scene) -> None:
    ward.admit("monitor")
    page = await ward.open()
    await expect(page.locator(".tile")).to_have_count(1)
    await expect(page.locator(".tile")).to_have_attribute("data-alarm", "tech")
    await expect(page.locator(".sum-n[data-severity=technical] b")).to_have_text("1")
    await expect(page.locator(".sum-n[data-severity=technical]")).to_have_attribute(
        "href", re.compile("^/patients/")
    )
    await expect(page.locator(".said")).to_have_text("Technical alarm, Bed 01: No data")


async def test_a_patient_opened_by_the_address_hides_no_alarm_of_another_bed(ward: Scene) -> None:
    # Over 10 s: twice a bed without data is waited for.
    bed = ward.admit("monitor")
    ward.admit("absent")
    page = await ward.open(f"/patients/{bed.stream}/")
    async with _watched(ward, page, bed):
        await expect(page.locator(".sum-n[data-severity=technical]")).to_contain_text("Bed 02")
        ward.admit("later")
        await expect(page.locator(".sum-n[data-severity=technical] b")).to_have_text("2")


async def test_digits_select_beds_of_the_ward_and_open_them_on_a_patient(ward: Scene) -> None:
    beds = [ward.admit(f"monitor{number:02}") for number in range(17)]
    annexed = ward.admit("annexed", ward=ward.annex)
    page = await ward.open()
    await expect(page.locator(".tile")).to_have_count(16)
    await page.keyboard.press("0")
    await expect(page.locator(f'[data-stream="{beds[9].stream}"]')).to_be_focused()
    await page.keyboard.press("1")
    await expect(page.locator(f'[data-stream="{beds[0].stream}"]')).to_be_focused()
    await page.keyboard.press("1")
    await expect(page.locator(f'[data-stream="{annexed.stream}"]')).to_be_focused()
    await expect(page.locator(".pager span")).to_have_text("17–18 of 18")
    await page.keyboard.press("3")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{ward.server.url}/patients/{beds[2].stream}/")
    await page.keyboard.press("5")
    await expect(page).to_have_url(f"{ward.server.url}/patients/{beds[4].stream}/")
    await page.keyboard.press("?")
    await expect(page.locator("dialog.help dl")).to_contain_text("Select beds 1 to 9 and 10")


async def test_a_phone_shows_everything_within_its_width(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page = await ward.open(viewport={"width": 390, "height": 844}, device_scale_factor=2, has_touch=True)
    async with _watched(ward, page, bed):
        await expect(page.locator(".nav")).to_be_visible()
        await expect(page.locator(".notice .scale")).to_contain_text("12.5 mm/s · 5 mm/mV")
        assert await page.evaluate("() => document.documentElement.scrollWidth") == 390
        canvas = await page.evaluate(
            "() => { const c = document.querySelector('canvas.trace'); return c.width / c.clientWidth; }"
        )
        assert canvas == pytest.approx(2, abs=0.02), "a canvas has the pixels of its screen"
        await page.click(".tile")
        await expect(page.locator(".waves canvas.trace")).to_be_visible()
        assert await page.evaluate("() => document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("width", [768, 820, 1000])
async def test_a_tablet_has_the_speed_and_gain_of_a_patient_beside_the_name(ward: Scene, width: int) -> None:
    bed = ward.admit("monitor")
    page = await ward.open(f"/patients/{bed.stream}/", viewport={"width": width, "height": 1024})
    await page.get_by_label("Larger").click()
    await expect(page.locator(".notice .scale")).to_contain_text("25 mm/s · 20 mm/mV")
    hidden = "part => part.scrollWidth - part.clientWidth"
    assert await page.locator(".phead").evaluate(hidden) == 0
    assert await page.locator('.phead [data-part="name"]').is_visible()


async def test_signing_out_leads_to_the_login(ward: Scene) -> None:
    page = await ward.open()
    await page.click('.tools form button[type="submit"]')
    await expect(page).to_have_url(re.compile("/accounts/login/"))
