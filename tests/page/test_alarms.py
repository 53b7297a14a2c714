"""What a person sees, hears and does of alarms, with a server that is a script."""

from __future__ import annotations

import asyncio
import re
from itertools import product
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.page.desk import Desk, now_ms, second, stream_of
from tests.page.scene import DEADLINE_MS, Scene, stop_of, traced
from tests.page.speaker import SPEAKER

pytestmark = [pytest.mark.server, pytest.mark.browser]

expect.set_options(timeout=DEADLINE_MS)

WIDTHS = [(1920, 1080), (1280, 800), (390, 844)]


def _tile(page: Page, bed: int) -> Any:
    return page.locator(f'.tile[data-stream="{stream_of(bed)}"]')


async def _boxes(page: Page, selector: str) -> Any:
    return await page.locator(selector).evaluate_all(
        "(all) => all.map((one) => { const { x, y, width, height } = one.getBoundingClientRect();"
        " return [x, y, width, height]; })"
    )


async def test_an_alarm_is_drawn_announced_and_reported_once(ward: Scene) -> None:
    desk = Desk()
    page = await ward.open(answer=desk)
    async with desk.live(1, 2):
        await expect(page.locator(".sum-n[data-severity=high]")).to_be_hidden()
        desk.alarm("a1")
        await desk.displayed("a1")
        tile = _tile(page, 1)
        await expect(tile).to_have_attribute("data-alarm", "high")
        await expect(tile).to_have_attribute("data-standing", "active")
        await expect(tile.locator(".what")).to_have_text("ASYSTOLE 4.2 >= 4 s")
        await expect(tile.locator(".since")).to_have_text(re.compile(r"^\d\d s$"))
        await expect(tile).to_have_attribute("aria-label", re.compile("High alarm, Bed 01: ASYSTOLE"))
        await expect(page.locator(".sum-n[data-severity=high] .beds")).to_have_text(
            "Bed 01  ASYSTOLE 4.2 >= 4 s"
        )
        await expect(page.locator(".sum-n[data-severity=high]")).to_have_attribute(
            "href", f"/patients/{stream_of(1)}/"
        )
        await expect(page.locator(".said-high")).to_have_text("High alarm, Bed 01: ASYSTOLE 4.2 >= 4 s")
        await expect(page).to_have_title("(!) ASYSTOLE bed 01 - VITAL")
        await page.evaluate("document.querySelector('.said-high').textContent = ''")
        desk.alarm("a1", revision=1, text="ASYSTOLE 9.0 >= 4 s", value=9.0)
        await expect(tile.locator(".what")).to_have_text("ASYSTOLE 9.0 >= 4 s")
        desk.alarm("b1", **second())
        await desk.displayed("b1")
        assert desk.reports() == ["a1", "b1"]
        await expect(page.locator(".said-high")).to_have_text("")
        await expect(page.locator(".said")).to_have_text("Medium alarm, Bed 02: HR 134 > 120")


async def test_an_alarm_in_the_words_of_the_last_one_is_read_again_and_a_lost_connection_too(
    ward: Scene,
) -> None:
    desk = Desk()
    page = await ward.open(answer=desk)
    await page.evaluate(
        """() => {
          window.said = [];
          const keep = ({ target }) => window.said.push(target.textContent.trim());
          const told = (changes) => changes.forEach(keep);
          for (const region of document.querySelectorAll(".said-high, .said"))
            new MutationObserver(told).observe(region, { childList: true });
        }"""
    )
    text = "VENT TACHY 182 > 140"
    desk.alarm("b1", **second())  # stays: regions are emptied with the last alarm
    desk.alarm("a1", text=text)
    await desk.displayed("a1", "b1")
    desk.alarm("a1", state="closed", cleared_ms=now_ms(), acknowledged_ms=now_ms())
    await expect(_tile(page, 1)).not_to_have_attribute("data-alarm", "high")
    desk.alarm("a2", text=text)
    await desk.displayed("a2")
    high = f"High alarm, Bed 01: {text}"
    await page.wait_for_function("(high) => window.said.filter((one) => one === high).length === 2", arg=high)
    desk.answers = False
    await desk.close(1012)
    await expect(page.locator(".said")).to_have_text("No connection")
    await desk.until(lambda: len(desk.said("hello")) >= 2)
    desk.answers = True
    await desk.close(1012)
    await page.wait_for_function("() => window.said.some((one) => one.startsWith('Connected'))")


async def test_the_gravest_alarm_of_a_bed_is_shown_with_the_number_of_the_others(ward: Scene) -> None:
    desk = Desk()
    page = await ward.open(answer=desk)
    async with desk.live(1):
        medium = second(stream=stream_of(1), patient="P-1")
        desk.alarm("m", **medium)
        desk.alarm("h")
        tile = _tile(page, 1)
        await expect(tile.locator(".what")).to_have_text("ASYSTOLE 4.2 >= 4 s")
        await expect(tile.locator(".more")).to_have_text("+1")
        desk.alarm("h", state="closed", cleared_ms=now_ms(), acknowledged_ms=now_ms())
        await expect(tile).to_have_attribute("data-alarm", "med")
        await expect(tile).to_have_attribute("data-on", "hr")
        await expect(tile.locator(".more")).to_have_text("")
        desk.alarm("m", state="closed", cleared_ms=now_ms())
        await expect(tile).not_to_have_attribute("data-alarm", "med")


@pytest.mark.parametrize(("width", "height"), WIDTHS)
async def test_no_alarm_moves_or_resizes_a_tile_or_its_canvas(ward: Scene, width: int, height: int) -> None:
    desk = Desk(3)
    page = await ward.open(answer=desk, viewport={"width": width, "height": height})
    await expect(page.locator(".tile")).to_have_count(3)
    async with desk.live(1, 2, 3):
        for bed in (1, 2, 3):
            await stop_of(page, stream_of(bed), 1)
        before = [
            await _boxes(page, selector) for selector in (".tile", ".tile canvas", ".tile .age", ".hr-val")
        ]
        desk.alarm("a1")
        desk.alarm("b1", **second())
        desk.alarm(
            "off",
            kind="alarms off",
            severity="technical",
            text="ALARMS OFF",
            stream=stream_of(3),
            patient="P-3",
        )
        for names in ("a1", "b1", "off"):
            await desk.displayed(names)
        await expect(_tile(page, 3).locator(".alarms-off")).to_be_visible()
        assert [await _boxes(page, selector) for selector in (".tile", ".tile canvas")] == before[:2]
        desk.alarm("a1", state="ended", cleared_ms=now_ms())
        await expect(_tile(page, 1).locator(".over")).to_have_text("ended")
        desk.alarm("b1", state="acknowledged", acknowledged_ms=now_ms(), acknowledged_by="nurse")
        await expect(_tile(page, 2)).to_have_attribute("data-standing", "acknowledged")
        assert [await _boxes(page, selector) for selector in (".tile", ".tile canvas")] == before[:2]
        assert await _boxes(page, ".hr-val") == before[3]
        assert await page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize(("width", "height"), WIDTHS)
async def test_no_alarm_moves_what_the_patients_page_shows(ward: Scene, width: int, height: int) -> None:
    desk = Desk()
    page = await ward.open(
        f"/patients/{stream_of(1)}/", answer=desk, viewport={"width": width, "height": height}
    )
    await expect(page.locator(".alarm-panel .none")).to_have_text("No alarms")
    async with desk.live(1):
        shown = ".waves, .waves canvas, .hrcard, .hr-val, .network, .trend"
        await stop_of(page, stream_of(1), 1)
        await expect(page.locator(".waves .row-labels li")).to_have_text(["II"])
        before = await _boxes(page, shown)
        desk.alarm("a1")
        desk.alarm("m", **second(stream=stream_of(1), patient="P-1"))
        await expect(page.locator(".alarm-row")).to_have_count(2)
        await desk.displayed("a1", "m")
        assert await _boxes(page, shown) == before
        await expect(page.locator(".alarm-row .acknowledge").first).to_be_in_viewport(ratio=1)
        box = await page.locator(".alarm-row .acknowledge").first.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert await page.evaluate("document.documentElement.scrollWidth") == width


_BEYOND_ITS_CARD = """() => [...document.querySelectorAll(".alarm-panel .btn, .phead :is(.btn, .mark, .age)")]
  .filter((one) => one.checkVisibility())
  .filter((one) => {
    const box = one.getBoundingClientRect(), around = one.closest("section").getBoundingClientRect();
    const isWithin = box.left >= around.left && box.right <= around.right && box.top >= around.top;
    return !isWithin || one.scrollWidth > one.clientWidth;
  })
  .map((one) => one.textContent)"""


@pytest.mark.parametrize(("locale", "lines"), [("en", 3), ("de", 4)])
async def test_a_phone_shows_every_button_whole_and_a_short_notice(
    ward: Scene, locale: str, lines: int
) -> None:
    desk = Desk()
    page = await ward.open(
        f"/patients/{stream_of(1)}/", answer=desk, viewport={"width": 390, "height": 844}, locale=locale
    )
    desk.alarm("v", kind="ventricular tachycardia", text="VENT TACHY 148 > 100", unit="bpm")
    await page.locator('[data-part="alarm-switch"]').click()  # which asks in a longer text
    await expect(page.locator("[data-asks]")).to_be_visible()
    assert await page.evaluate(_BEYOND_ITS_CARD) == []
    notice = await page.locator(".notice").bounding_box()
    assert notice is not None
    assert notice["height"] <= lines * 16 + 5
    await expect(page.locator(".notice strong")).to_be_in_viewport(ratio=1)
    await page.keyboard.press("Escape")
    # In the narrow lane a code for the name, and the whole value.
    await expect(_tile(page, 1).locator(".what")).to_have_text("VTACH 148 > 100")


async def test_a_key_acknowledges_the_alarm_of_the_selected_bed_and_of_no_other(ward: Scene) -> None:
    desk = Desk()
    page = await ward.open(answer=desk)
    async with desk.live(1, 2):
        desk.alarm("a1")
        desk.alarm("b1", **second())
        await desk.displayed("a1", "b1")
        await page.keyboard.press("a")
        await expect(page.locator(".said")).to_contain_text("Select a bed first")
        await page.keyboard.press("2")
        await page.keyboard.press("a")
        await desk.until(lambda: len(desk.said("alarm_ack")) > 0)
        assert desk.said("alarm_ack") == [{"alarm": "b1"}]
        desk.alarm("b1", state="acknowledged", acknowledged_ms=now_ms(), acknowledged_by="nurse-02")
        lane = _tile(page, 2).locator(".msg")
        await expect(lane.locator(".since")).to_have_text(re.compile(r"^\d\d s · \d\d:\d\d nurse-02$"))
        await expect(lane.locator(".check")).to_be_visible()
        await expect(_tile(page, 1)).to_have_attribute("data-standing", "active")
        await page.keyboard.press("a")
        await expect(page.locator(".said")).to_contain_text("No alarm of this bed")
        await page.keyboard.press("1")
        await page.keyboard.down("a")
        await page.keyboard.down("a")
        await page.keyboard.up("a")
        await page.keyboard.press("p")
        await desk.until(lambda: len(desk.said("audio_pause")) > 0)
        assert desk.said("alarm_ack")[1:] == [{"alarm": "a1"}], "a key that is held down acts once"


async def test_a_button_acknowledges_and_a_refusal_stands_beside_it(ward: Scene) -> None:
    desk = Desk()
    page = await ward.open(f"/patients/{stream_of(1)}/", answer=desk)
    async with desk.live(1):
        desk.alarm("a1", unstored=True)
        row = page.locator(".alarm-row")
        await expect(row.locator(".what")).to_have_text("ASYSTOLE 4.2 >= 4 s")
        await expect(row.locator(".standing")).to_contain_text("High")
        await expect(row.locator(".standing")).to_contain_text("not stored yet")
        await expect(row.locator(".measured")).to_have_text(
            "value 4.2 s · limit 4 s · condition delay 4.2 s, signal delay 0.1 s"
        )
        await row.locator(".acknowledge").click()
        await desk.until(lambda: desk.said("alarm_ack") == [{"alarm": "a1"}])
        desk.tell({"type": "refused", "of": "alarm_ack", "target": "a1", "reason": "the journal is away"})
        await expect(row.locator(".refusal")).to_have_text("the journal is away")
        await row.locator(".acknowledge").click()
        await expect(row.locator(".refusal")).to_have_text("")
        desk.alarm(
            "a1", state="acknowledged", acknowledged_ms=now_ms(), acknowledged_by="nurse-02", unstored=False
        )
        await expect(row.locator(".standing")).to_contain_text(re.compile(r"acknowledged \d\d:\d\d nurse-02"))
        await expect(row.locator(".acknowledge")).to_be_hidden()
        await expect(page).to_have_title("Bed 01 · VITAL")


async def test_a_latched_alarm_stays_as_ended_until_it_is_acknowledged(ward: Scene) -> None:
    desk = Desk()
    page = await ward.open(answer=desk)
    desk.alarm("a1")
    desk.alarm("a1", state="ended", cleared_ms=now_ms())
    tile = _tile(page, 1)
    await expect(tile).to_have_attribute("data-standing", "ended")
    await expect(tile.locator(".over")).to_have_text("ended")
    desk.alarm("a1", state="closed", acknowledged_ms=now_ms())
    await expect(tile.locator(".over")).to_have_text("")
    await expect(page.locator(".sum-n[data-severity=high]")).to_be_hidden()
    desk.alarm("a1", state="active", cleared_ms=None, acknowledged_ms=None)
    desk.alarm("b1", **second())
    await desk.displayed("b1")
    await expect(page.locator(".sum-n[data-severity=high]")).to_be_hidden()


async def test_alarms_off_takes_a_second_press_and_is_shown_for_as_long(ward: Scene) -> None:
    desk = Desk()
    page = await ward.open(f"/patients/{stream_of(1)}/", answer=desk)
    button = page.locator('[data-part="alarm-switch"]')
    await button.dblclick()
    await expect(button).to_have_text("Press again: alarms off")
    await expect(button).to_have_text("Alarms off")
    assert desk.said("alarms_off") == [], "one press does nothing, nor does a double click, which is one"
    await button.focus()
    for _ in range(3):
        await page.keyboard.down("Enter")  # held down, it repeats
    await page.keyboard.up("Enter")
    await expect(button).to_have_text("Press again: alarms off")
    await page.keyboard.press("p")  # comes behind what the other key has brought about
    await desk.until(lambda: desk.said("audio_pause") == [{"seconds": 120}])
    assert desk.said("alarms_off") == [], "a key that is held down presses once"
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")  # where the first one came after the 5 s
    await desk.until(lambda: desk.said("alarms_off") == [{"stream": stream_of(1), "off": True}])
    desk.alarm("off", kind="alarms off", severity="technical", text="ALARMS OFF", latching=False, unit="")
    await expect(page.locator(".alarm-panel .alarms-off")).to_be_visible()
    await expect(page.locator(".hrcard")).not_to_have_attribute("data-on", "hr")
    desk.alarm("a1")
    await page.keyboard.press("Escape")
    await expect(_tile(page, 1).locator(".what")).to_have_text("ASYSTOLE 4.2 >= 4 s")
    await expect(_tile(page, 1).locator(".alarms-off")).to_be_visible()
    await page.keyboard.press("Enter")
    await button.click()
    await desk.until(lambda: desk.said("alarms_off")[1:] == [{"stream": stream_of(1), "off": False}])
    desk.tell({"type": "refused", "of": "alarms_off", "target": stream_of(1), "reason": "not now"})
    await expect(page.locator('[data-part="alarm-note"]')).to_have_text("not now")


async def test_who_may_not_act_is_given_no_buttons_and_a_reason(ward: Scene) -> None:
    desk = Desk(may=("acknowledge",))
    page = await ward.open(f"/patients/{stream_of(1)}/", answer=desk)
    async with desk.live(1):
        desk.alarm("a1")
        await expect(page.locator(".alarm-row .acknowledge")).to_be_visible()
        await expect(page.locator('[data-part="alarm-pause"]')).to_be_hidden()
        await expect(page.locator('[data-part="alarm-switch"]')).to_be_hidden()
        await page.keyboard.press("p")
        await expect(page.locator(".audio .text")).to_have_text("Not allowed for you")
        await page.keyboard.press("?")
        await expect(page.locator(".help .rights")).to_contain_text(
            "may not pause the sound, nor switch a patient's alarms off"
        )
        assert desk.said("audio_pause") == []


async def test_keys_go_to_the_next_alarm_on_whatever_page_it_is(ward: Scene) -> None:
    desk = Desk(18)
    page = await ward.open(answer=desk)
    await expect(page.locator(".tile")).to_have_count(16)
    async with desk.live(*range(1, 19)):
        desk.alarm("a1", stream=stream_of(18), patient="P-18")
        desk.alarm("b1", **second())
        await expect(page.locator(".sum-n[data-severity=high] .beds")).to_contain_text("Bed 18")
        await page.keyboard.press("n")
        await expect(_tile(page, 18)).to_be_focused()
        await page.keyboard.press("n")
        await expect(_tile(page, 2)).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("n")
        await expect(page).to_have_url(re.compile(f"/patients/{stream_of(18)}/$"))


async def test_keys_act_on_the_patient_whose_page_is_on_its_way(ward: Scene) -> None:
    desk = Desk()
    page = await ward.open(answer=desk)
    fetched = asyncio.Event()

    async def hold(route: Route) -> None:
        await fetched.wait()
        await route.continue_()

    await page.route("**/patients/parts/", hold)
    desk.alarm("a1")
    desk.alarm("b1", **second())
    await desk.displayed("a1", "b1")
    await _tile(page, 1).focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("n")
    await expect(page).to_have_url(re.compile(f"/patients/{stream_of(2)}/$"))
    fetched.set()
    await expect(page.locator(".phead .bed")).to_have_text("02")


async def test_all_alarms_are_listed_in_order_with_links(ward: Scene) -> None:
    desk = Desk()
    page = await ward.open(answer=desk)
    async with desk.live(1, 2):
        desk.alarm("b1", **second())
        desk.alarm("a1")
        desk.alarm(
            "j", stream="", patient="", ward="", kind="journal", severity="technical", text="JOURNAL AWAY"
        )
        await desk.displayed("b1", "a1", "j")
        await expect(page.locator(".sum-n[data-severity=technical] .beds")).to_have_text("System")
        await page.click(".sum .all")
        rows = page.locator(".alarm-list li")
        await expect(rows.locator(".what")).to_have_text(
            ["ASYSTOLE 4.2 >= 4 s", "HR 134 > 120", "JOURNAL AWAY"]
        )
        await expect(rows.locator(".where")).to_have_text(["Bed 01", "Bed 02", "System"])
        await page.keyboard.press("Escape")
        await expect(page.locator(".alarm-list")).to_be_hidden()
        await page.click(".sum .all")
        await rows.nth(1).locator("a").click()
        await expect(page).to_have_url(re.compile(f"/patients/{stream_of(2)}/$"))


async def test_an_alarm_of_another_patient_is_drawn_on_no_bed(ward: Scene) -> None:
    desk = Desk()
    page = await ward.open(answer=desk)
    desk.alarm("a1", patient="P-77")
    await desk.displayed("a1")
    await expect(page.locator(".sum-n[data-severity=high] .beds")).to_have_text("P-77  ASYSTOLE 4.2 >= 4 s")
    await expect(_tile(page, 1)).not_to_have_attribute("data-alarm", "high")
    await expect(_tile(page, 1).locator(".rhythm")).not_to_have_text("Asystole")
    await page.click(".sum .all")
    await expect(page.locator(".alarm-list")).to_contain_text(
        "Wrong patient: an alarm of P-77 came for this bed of P-1"
    )


async def test_frames_flash_on_one_beat_and_stand_still_where_motion_is_unwelcome(ward: Scene) -> None:
    desk = Desk(3)
    page = await ward.open(answer=desk)
    async with desk.live(1, 2, 3):
        desk.alarm("a1")
        desk.alarm("a2", stream=stream_of(2), patient="P-2")
        desk.alarm("m", **second(stream=stream_of(3), patient="P-3"))
        await desk.displayed("a1", "a2", "m")
        beat = list(product(("0.15", "1"), repeat=2))
        assert await _flashes(page) == [(high, high, medium) for high, medium in beat]
        desk.alarm("a1", state="acknowledged", acknowledged_ms=now_ms())
        await expect(_tile(page, 1)).to_have_attribute("data-standing", "acknowledged")
        assert await _flashes(page) == [("1", high, medium) for high, medium in beat]

        await page.emulate_media(reduced_motion="reduce")
        assert await _flashes(page) == [("1", "1", "1")]
        frame = "(tile) => getComputedStyle(tile, '::after').borderTopWidth"
        assert await _tile(page, 2).evaluate(frame) == "4px"
        assert await _tile(page, 3).evaluate(frame) == "3px"


async def _flashes(page: Page) -> list[tuple[str, ...]]:
    """How opaque the frames of all tiles were at the same time, in order, over a beat of both severities."""
    return sorted(map(tuple, await page.evaluate(_FLASHES)))


_FLASHES = """async () => {
  const opacityOf = (tile) => getComputedStyle(tile, "::after").opacity;
  const beats = new Set();
  const seen = new Map();
  const end = performance.now() + 20_000;
  while (beats.size < 4 && performance.now() < end) {
    beats.add(document.documentElement.dataset.dim ?? "");
    const shown = [...document.querySelectorAll(".tile")].map(opacityOf);
    seen.set(shown.join(), shown);
    await new Promise(requestAnimationFrame);
  }
  return [...seen.values()];
}"""


_HIDING = """
  window.isHidden = false;
  const frames = [];
  const real = window.requestAnimationFrame.bind(window);
  Object.defineProperty(document, "hidden", { get: () => window.isHidden });
  window.requestAnimationFrame = (callback) => (window.isHidden ? frames.push(callback) : real(callback));
  window.hide = (hidden) => {
    window.isHidden = hidden;
    if (!hidden) for (const callback of frames.splice(0)) real(callback);
  };
"""
"""What a browser does with a tab behind another: no frame is painted until it is in front again."""


async def test_a_hidden_page_reports_from_its_clock_and_again_when_it_is_seen(ward: Scene) -> None:
    desk = Desk()
    page = await ward.open(answer=desk)
    await page.add_init_script(_HIDING)
    await page.reload()
    await page.wait_for_function("() => window.vital?.stats().phase === 'online'")
    await page.evaluate("window.hide(true)")
    desk.alarm("a1")
    await desk.displayed("a1", hidden=True)
    await expect(page).to_have_title(re.compile(r"^\(!\) ASYSTOLE"))
    assert desk.reports() == []
    await page.evaluate("window.hide(false)")
    await desk.displayed("a1")
    assert desk.reports(hidden=True) == ["a1"]
    assert desk.reports() == ["a1"]


async def test_alarms_outlive_a_lost_connection_marked_as_what_was_known_last(ward: Scene) -> None:
    desk = Desk()
    page = await ward.open(answer=desk)
    desk.alarm("a1")
    desk.alarm("b1", **second())
    await desk.displayed("a1", "b1")
    desk.answers = False
    await desk.close(1012)
    await expect(page.locator(".offline")).to_be_visible()
    await expect(_tile(page, 1)).to_have_attribute("data-alarm", "high")
    await expect(_tile(page, 1).locator(".since")).to_have_text(re.compile(r"· last known$"))
    await expect(page.locator(".sum-n[data-severity=high]")).to_be_visible()
    await expect(page.locator(".sum")).to_have_attribute("data-unconfirmed", "")
    await page.keyboard.press("1")
    await page.keyboard.press("a")
    await expect(page.locator(".said")).to_have_text("No connection: not sent")
    # Somebody has seen to it meanwhile; the other stands.
    del desk.alarms["b1"]
    desk.answers = True
    await desk.until(lambda: desk.connections == 2)
    await expect(page.locator(".offline")).to_be_hidden()
    # What is not named may lie in the spool of a process that was killed: it stays for 20 s.
    await expect(page.locator(".sum-n[data-severity=medium]")).to_be_hidden(timeout=2 * DEADLINE_MS)
    await expect(_tile(page, 1).locator(".since")).to_have_text(re.compile(r"^\d\d s$|^\d:\d\d$"))
    await desk.until(lambda: desk.reports() == ["a1", "b1", "a1"])


async def test_who_is_signed_out_is_shown_no_alarm_of_before(ward: Scene) -> None:
    desk = Desk()
    page = await ward.open(answer=desk)
    desk.alarm("a1")
    await desk.displayed("a1")
    await desk.close(4401)
    await expect(page.locator("h1")).to_have_text("You are signed out")
    await expect(page.locator(".sum-n[data-severity=high]")).to_be_hidden()
    await expect(page).to_have_title("Ward · VITAL")
    assert "ASYSTOLE" not in await page.locator("body").inner_text()


async def test_what_the_page_finds_by_itself_is_acknowledged_here(ward: Scene) -> None:
    desk = Desk(1)
    page = await ward.open(answer=desk)
    tile = _tile(page, 1)
    await expect(tile.locator(".what")).to_have_text("No data")
    await expect(tile).to_have_attribute("data-standing", "active")
    await page.keyboard.press("1")
    await page.keyboard.press("a")
    await expect(tile).to_have_attribute("data-standing", "acknowledged")
    await expect(tile.locator(".since")).to_contain_text("on this page")
    assert desk.said("alarm_ack") == []


async def test_the_evidence_is_looked_at_as_a_frozen_strip_while_the_live_trace_keeps_its_place(
    ward: Scene,
) -> None:
    desk = Desk()
    page = await ward.open(f"/patients/{stream_of(1)}/", answer=desk)
    desk.samples(1, 12)
    desk.alarm("a1", **{"from": 1000, "to": 2000, "sample": 2000})
    desk.alarm("old", **second(stream=stream_of(1), patient="P-1", epoch=0))
    rows = page.locator(".alarm-row")
    await expect(rows.nth(0).locator(".evidence")).to_have_text("Evidence: II 4.0 s from sample 1000")
    await expect(rows.nth(1).locator(".look")).to_be_hidden()
    live = await _boxes(page, ".waves canvas")
    await rows.nth(0).locator(".look").click()
    strip = page.locator(".strip")
    await expect(strip.locator('[data-part="strip-age"]')).to_have_text(
        re.compile(r"^Frozen – live age \d+ s$")
    )
    await expect(strip.locator('[data-part="strip-about"]')).to_contain_text("ASYSTOLE 4.2 >= 4 s · II")
    scale = strip.locator('[data-part="strip-scale"]')
    await expect(scale).to_have_text("25 mm/s · 10 mm/mV")
    assert await traced(page, ".strip") > 200
    assert await _boxes(page, ".waves canvas") == live
    await page.keyboard.press("t")
    assert await traced(page, ".strip") > 200, "drawn again in the other theme"
    # Ten seconds, with 3 s before and after the event, do not fit in here at that speed.
    await page.set_viewport_size({"width": 820, "height": 1180})
    await expect(scale).to_have_text("12.5 mm/s · 10 mm/mV")
    await page.keyboard.press("Escape")
    await expect(strip).to_be_hidden()
    await expect(page.locator(".trend")).to_be_visible()
    await expect(page.locator(".patient")).to_be_visible()


@pytest.mark.parametrize("code", [None, 1012, 4014], ids=["online", "offline", "cut"])
@pytest.mark.parametrize("width", [390, 820, 1024, 1280, 1366, 1440, 1600, 1920])
async def test_nothing_in_the_bar_lies_on_another_and_nothing_that_matters_is_cut_there_or_in_a_lane(
    ward: Scene, width: int, code: int | None
) -> None:
    desk = Desk(12)
    # The longest words: of a sound that is blocked. A browser may let a page sound once it was signed in to.
    page = await ward.open(answer=desk, script=SPEAKER, viewport={"width": width, "height": 900})
    await expect(page.locator(".audio")).to_have_attribute("data-state", "blocked")
    ids = [(severity, bed) for severity in ("high", "medium", "low", "technical") for bed in range(1, 13)]
    async with desk.live(*range(1, 13)):
        for severity, bed in ids:
            desk.alarm(f"{severity}{bed}", severity=severity, stream=stream_of(bed), patient=f"P-{bed}")
        await expect(page.locator(".all b")).to_have_text("48")
    if code is not None:
        desk.answers = False
        reason = "cut by an operator: " + 10 * "reasons "
        desk.tell({"type": "bye", "code": code, "reason": reason, "retry_after_ms": 30_000})
        await desk.close(code)
        await expect(page.locator(".offline")).to_be_visible()
    faults = await page.evaluate(_FAULTS_OF_THE_BAR)
    assert faults == []


_FAULTS_OF_THE_BAR = """() => {
  const shown = [...document.querySelectorAll(
    ".topbar > .tabs, .topbar > .place, .sum-n, .offline, .all, .audio, .conn, .tools, .clock")]
    .filter((one) => one.checkVisibility());
  const boxes = shown.map((one) => one.getBoundingClientRect());
  const faults = [];
  boxes.forEach((a, at) => boxes.slice(at + 1).forEach((b, beyond) => {
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (across > 0.5 && down > 0.5) {
      faults.push(`${shown[at].className} and ${shown[at + 1 + beyond].className}: ${across.toFixed(0)} px`);
    }
  }));
  for (const count of document.querySelectorAll(".sum-n b, .all b, .lane .more")) {
    if (!count.checkVisibility() || count.textContent === "") continue;
    const box = count.getBoundingClientRect();
    const around = count.parentElement.getBoundingClientRect();
    if (box.right > around.right - 2) faults.push(`${count.parentElement.className} count is cut`);
  }
  if (innerWidth > 600) for (const severity of ["high", "medium"]) {
    const sum = document.querySelector(`.sum-n[data-severity=${severity}]`);
    if (!sum.checkVisibility()) faults.push(`the count of ${severity} alarms is not there`);
  }
  for (const beds of document.querySelectorAll(".sum-n:not([data-severity=high]) .beds")) {
    const box = beds.getBoundingClientRect();
    const isSeen = beds.checkVisibility() && box.top < beds.parentElement.getBoundingClientRect().bottom;
    if (isSeen && box.width < 60) faults.push(`of ${beds.textContent} so little is left: ${box.width}`);
  }
  if (innerWidth >= 1024 || innerWidth <= 600) for (const name of document.querySelectorAll(".lane .name")) {
    if (name.scrollWidth > name.clientWidth) faults.push(`${name.textContent} is cut in its lane`);
  }
  // The value on a phone as well, where its limit is whole or not there.
  for (const part of document.querySelectorAll(".lane :is(.measure, .limit)")) {
    const lane = part.closest(".msg").getBoundingClientRect();
    const box = part.getBoundingClientRect();
    const isAway = box.top >= lane.bottom && (innerWidth > 600 || part.className === "measure");
    if (box.right > lane.right || isAway) faults.push(`${part.textContent} is cut in its lane`);
  }
  // Whole, or not there at all.
  const state = document.querySelector(".conn b");
  const inside = state.getBoundingClientRect(), around = state.closest(".conn").getBoundingClientRect();
  const isSeen = state.checkVisibility() && inside.top < around.bottom;
  const isCut = inside.right > around.right || state.scrollWidth > state.clientWidth;
  if (isSeen && isCut) faults.push(`${state.textContent} is cut`);
  const sound = document.querySelector(".audio .text");
  if (sound.offsetHeight > sound.parentElement.clientHeight) faults.push("the words of the sound are cut");
  for (const box of boxes) if (box.right > innerWidth + 0.5) faults.push("beyond the edge");
  return faults;
}"""


@pytest.mark.parametrize("width", [360, 390])
async def test_a_phone_shows_the_value_of_an_alarm_and_what_it_is_of(ward: Scene, width: int) -> None:
    texts = {
        "VENT TACHY 167 > 100": "VTACH",
        "VENT FIB/FLUTTER 3.1 >= 3 s": "VFIB",
        "EXTREME BRADY 29 < 30": "XBRADY",
        "PACEMAKER DOES NOT CAPTURE 31 < 40": None,
    }
    desk = Desk(len(texts))
    page = await ward.open(answer=desk, viewport={"width": width, "height": 844})
    async with desk.live(*range(1, len(texts) + 1)):
        for bed, (text, code) in enumerate(texts.items(), 1):
            said = {"stream": stream_of(bed), "patient": f"P-{bed}"}
            origin = "analysis" if code else "device"
            desk.alarm(f"a{bed}", text=text, origin=origin, **said)
            desk.alarm(f"b{bed}", severity="technical", **said)
        await expect(page.locator(".tile .lane .more")).to_have_text(["+1"] * len(texts))
        shown = await page.evaluate(_WHOLE_IN_LANES)
    assert [(name, value) for name, value, _ in shown[:3]] == [
        ("VTACH", "167"),
        ("VFIB", "3.1"),
        ("XBRADY", "29"),
    ]
    assert shown[3] == [None, "31", None]


_WHOLE_IN_LANES = """() => [...document.querySelectorAll(".lane .msg")].map((lane) => {
  const around = lane.getBoundingClientRect();
  return ["name", "measure", "limit"].map((part) => {
    const element = lane.querySelector(`.${part}`);
    const box = element.getBoundingClientRect();
    const isWhole = element.scrollWidth <= element.clientWidth || part !== "name";
    const isIn = box.bottom <= around.bottom + 1 && box.right <= around.right;
    return isWhole && isIn ? element.textContent.trim() : null;
  });
})"""
"""Of each lane the name, the value and the limit; null for one that is cut or away."""


async def test_the_symbols_of_alarms_are_there_also_when_the_server_is_not(ward: Scene) -> None:
    desk = Desk()
    page = await ward.open(answer=desk)
    await expect(page.locator("#icon-high")).to_have_count(1)
    await page.route("**/icons.svg*", lambda route: route.abort())
    desk.alarm("a1")
    desk.alarm("b1", **second())
    await desk.displayed("a1", "b1")
    for bed in (1, 2):
        box = await _tile(page, bed).locator(".lane .icon use").bounding_box()
        assert box is not None
        assert box["width"] > 8
