"""What a person arranges, sets and tries on the page, and what the page says after it has slept."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import asdict
from urllib.parse import urljoin

import pytest
from playwright.async_api import Page, Route, expect

from streaming.client import Pacer
from streaming.client.playback import play, simulated, simulated_leads
from streaming.ecg.alarm_limits import BOUNDS, AlarmLimits
from streaming.ecg.simulator import Simulator
from tests.browser import Chromium
from tests.page.desk import Desk, alarm, now_ms, second, stream_of
from tests.page.scene import DEADLINE_MS, PASSWORD, RATE_HZ, Scene, stop_of
from tests.servers import Server, StartServer

pytestmark = [pytest.mark.server, pytest.mark.browser]

expect.set_options(timeout=DEADLINE_MS)


@pytest.fixture(scope="module")
def page_server(module_daphne: StartServer) -> Server:
    """One for trying things out, of a hospital in India."""
    return module_daphne(env={"VITAL_LAB": "1", "VITAL_TIME_ZONE": "Asia/Kolkata"})


async def beds_of(page: Page) -> list[str]:
    return await page.locator(".tile .bed").all_text_contents()


async def test_the_user_arranges_the_beds_and_finds_them_so_in_another_browser(ward: Scene) -> None:
    desk = Desk(beds=4)
    desk.alarms["a"] = alarm("a", **second(stream=stream_of(3), patient="P-3"))
    page = await ward.open(answer=desk)
    await expect(page.locator(".tile")).to_have_count(4)
    await page.keyboard.press("4")
    await page.keyboard.press("b")
    await expect(page.locator(".tile .bed").first).to_have_text("04")
    await page.keyboard.press("o")
    await expect(page.locator(".drawer h2")).to_be_focused()
    # By keyboard alone: to the choice, along it, and back to where one was.
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await expect(page.locator("[name=order][value=ward]")).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(page.locator("[name=order][value=alarm]")).to_be_checked()
    assert await beds_of(page) == ["04", "03", "01", "02"]
    await expect(page.locator("[data-part=saved]")).to_have_text("Kept for you on the server")
    await page.keyboard.press("Escape")
    await expect(page.locator(".drawer")).to_have_count(0)
    # A new alarm is highlighted, and moves no bed under the eyes of who looks.
    desk.alarm("b", **second(stream=stream_of(2), patient="P-2", severity="high"))
    await expect(page.locator(f'[data-stream="{stream_of(2)}"]')).to_have_attribute("data-alarm", "high")
    assert await beds_of(page) == ["04", "03", "01", "02"]
    elsewhere = await ward.open(answer=desk)
    await expect(elsewhere.locator(".tile")).to_have_count(4)
    assert await beds_of(elsewhere) == ["04", "02", "03", "01"]


async def test_limits_are_set_by_who_may_hold_at_once_and_are_logged(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page = await ward.open(f"/patients/{bed.stream}/")
    await expect(page.locator(".hrcard .hr-limits")).to_have_text("50–120")
    await page.keyboard.press("i")
    drawer = page.locator(".drawer")
    await expect(drawer.locator("[data-part=may-not]")).to_be_visible()
    await expect(drawer.locator("[name=hr_high]")).to_be_disabled()
    await page.keyboard.press("Escape")
    ward.allow("set_alarm_limits")
    await page.keyboard.press("i")
    high = drawer.locator("[name=hr_high]")
    await expect(high).to_be_enabled()
    await high.fill("145")
    await expect(drawer.locator("#why-extreme_tachycardia")).to_have_text(
        "Must be above “HR high above” (145)"
    )
    await expect(drawer.locator("[type=submit]")).to_be_disabled()
    await high.fill("130")
    await expect(drawer.locator("#why-extreme_tachycardia")).to_have_text("")
    await high.press("Enter")
    await expect(drawer.locator("[role=status]")).to_have_text("Set: the limits hold from now on")
    await expect(drawer.locator(".log li")).to_have_text(
        re.compile(f"{ward.user}: HR high above 120 → 130 bpm$")
    )
    # Told to every page that shows the bed.
    await expect(page.locator(".hrcard .hr-limits")).to_have_text("50–130")


async def test_limits_that_cannot_be_read_again_are_not_called_those_that_hold(ward: Scene) -> None:
    page = await ward.open(f"/patients/{stream_of(1)}/", answer=Desk(may=("set_limits",)))
    ward.expect_complaint("status of 409")
    ward.expect_complaint("status of 503")
    limits = asdict(AlarmLimits())
    asked: list[str] = []

    async def answer(route: Route) -> None:
        asked.append(route.request.method)
        if asked == ["GET"]:
            known = {"limits": limits, "defaults": limits, "bounds": dict(BOUNDS), "may": True, "changes": []}
            await route.fulfill(json=known)
        elif route.request.method == "PUT":
            await page.keyboard.press("Enter")  # a second one, before the first is answered
            await route.fulfill(
                status=409, json={"fault": "somebody else has changed these limits meanwhile"}
            )
        else:
            await route.fulfill(status=503, json={"fault": "the database does not answer, try again"})

    await page.route("**/limits/", answer)
    await expect(page.locator(".phead .bed")).to_have_text("01")
    await page.keyboard.press("i")
    high = page.locator(".drawer [name=hr_high]")
    await expect(high).to_be_enabled()
    await high.fill("130")
    await high.press("Enter")
    await expect(page.locator(".limits [role=status]")).to_have_text(
        "the database does not answer, try again"
    )
    assert asked == ["GET", "PUT", "GET"]


async def test_a_worse_network_is_this_viewers_alone_and_ends_with_its_connection(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page, other = await ward.open(), await ward.open(user=ward.colleague(ward.ward))
    patient = Simulator("sinus", rate_hz=RATE_HZ, seed=1)
    async with ward.device(bed, signals=simulated_leads(patient)) as device:
        await play(device, simulated(patient, 1.0), Pacer())
        await stop_of(page, bed.stream, 200)
        await page.locator(".tools [data-action=lab]").click()
        await page.locator("[data-link='8k']").click()
        await expect(page.locator("[data-link='8k']")).to_have_attribute("aria-pressed", "true")
        await expect(page.locator(".lab [data-part=left]")).to_have_text(re.compile(r"^So for 4:5\d more$"))
        await page.locator("[data-link=stall]").click()
        async with asyncio.TaskGroup() as playing:
            task = playing.create_task(play(device, simulated(patient), Pacer()))
            await expect(page.locator(".tile")).to_have_attribute("data-state", "stale")
            await expect(page.locator(".hr-val")).to_have_text("--")
            await expect(other.locator(".tile")).to_have_attribute("data-state", re.compile("live|late"))
            await stop_of(other, bed.stream, 1200)
            task.cancel()
        await stop_of(page, bed.stream, 1200)
        await page.locator("[data-link=cut]").click()
        await page.wait_for_function("() => window.vital.stats().connections === 2")
        await expect(page.locator("[data-link=off]")).to_have_attribute("aria-pressed", "true")
        assert await other.evaluate("() => window.vital.stats().connections") == 1


async def test_the_lab_shows_no_figure_of_a_connection_that_is_gone(ward: Scene) -> None:
    desk = Desk()
    page = await ward.open(answer=desk)
    await page.locator(".tools [data-action=lab]").click()
    queued = dict.fromkeys(("critical", "high", "normal", "low", "bulk"), 0)
    figures = {"rtt_ms": 12.0, "goodput_bps": 8e5, "window_bytes": 4096, "in_flight_bytes": 512}
    judged = {"condition": "good", "rendition": "lossless", "reason": "trial"}
    desk.tell({"type": "stats", **figures, **judged, "queued": queued, "dropped": 0, "expired": 0})
    await expect(page.locator(".lab [data-part=goodput]")).to_have_text("100.0")
    desk.answers = False
    await desk.close(1012)
    for part in ("rendition", "rtt", "goodput", "window", "queued", "dropped"):
        await expect(page.locator(f".lab [data-part={part}]")).to_have_text("--")
    await expect(page.locator(".lab [data-part=reason]")).to_have_text("")
    await expect(page.locator(".lab [data-part=left]")).to_have_text("No connection")


async def _with_a_rate(ward: Scene, desk: Desk) -> Page:
    """A page on which a bed is live."""
    page = await ward.open(answer=desk)
    await expect(page.locator(".tile")).to_have_count(2)
    desk.samples(1, 2)
    vitals = {"stream": stream_of(1), "epoch": 1, "sample": 480, "hr": 71, "hr_source": "II"}
    desk.tell({"type": "vitals", **vitals})
    await expect(page.locator(".hr-val").first).to_have_text("71")
    return page


_STATE = "[document.querySelector('.hr-val').textContent, document.querySelector('.tile').dataset.state]"


async def test_a_page_that_is_frozen_shows_nothing_as_live_before_it_runs_again(ward: Scene) -> None:
    page = await _with_a_rate(ward, Desk())
    # What a browser says before it freezes a page is the last that runs: what it leaves is painted first.
    frozen = "document.dispatchEvent(new Event('freeze'))"
    rate, _ = await page.evaluate(f"() => {{ {frozen}; return {_STATE}; }}")
    assert rate == "--"
    assert await page.evaluate(f"() => {{ {frozen}; return 'asleep' in document.documentElement.dataset; }}")


async def test_the_first_picture_after_a_stand_still_says_how_old_all_is(ward: Scene) -> None:
    page = await _with_a_rate(ward, Desk())
    rate, state = await page.evaluate(
        f"""() => {{
          const until = performance.now() + 4000;
          while (performance.now() < until);
          return new Promise((done) => requestAnimationFrame(() => done({_STATE})));
        }}"""
    )
    assert (rate, state) == ("--", "stale")


async def test_what_was_there_before_the_machine_slept_is_old_until_something_fresh_comes(
    ward: Scene,
) -> None:
    desk = Desk()
    page = await _with_a_rate(ward, desk)
    # The monotonic clock stands still meanwhile; the wall's does not.
    await page.evaluate("() => { const now = Date.now; Date.now = () => now() + 60_000; }")
    tile = page.locator(".tile").first
    await expect(tile).to_have_attribute("data-state", "lost")
    await expect(tile.locator(".hr-val")).to_have_text("--")
    await desk.until(lambda: desk.connections == 2)
    desk.samples(1, 20)  # ahead of what has passed here, however slow the machine is
    await expect(tile).to_have_attribute("data-state", re.compile("live|late"))


async def test_a_network_that_carries_nothing_more_is_told_before_it_is_given_up(ward: Scene) -> None:
    desk = Desk()
    page = await _with_a_rate(ward, desk)
    desk.carries = False
    await expect(page.locator(".conn b")).to_have_text("No answer")
    await expect(page.locator(".tile").first).to_have_attribute("data-state", "stale")
    await expect(page.locator(".hr-val").first).to_have_text("--")
    await expect(page.locator(".offline")).to_be_visible()
    assert desk.connections == 1


async def test_a_page_of_two_versions_loads_again_and_else_says_that_it_is_not_live(
    ward: Scene, chromium: Chromium
) -> None:
    watched = await chromium.page()
    page = watched.page
    loads: list[str] = []
    page.on("load", lambda loaded: loads.append(loaded.url))

    async def answer_with_another(route: Route) -> None:
        await route.fulfill(content_type="text/javascript", body="export {};")

    await page.route("**/js/ui/ward.js", answer_with_another)
    await page.goto(ward.server.url)
    await page.fill("#id_username", ward.user)
    await page.fill("#id_password", PASSWORD)
    loads.clear()
    await page.click("button[type=submit]")
    await expect(page.locator("h1")).to_have_text("This page could not be loaded whole", timeout=DEADLINE_MS)
    assert len(loads) <= 2
    await page.unroute("**/js/ui/ward.js")
    await page.click("main button")
    await page.wait_for_function("() => window.vital?.stats().phase === 'online'")
    assert any("does not provide an export" in told for told in watched.complaints)


async def test_while_nothing_has_come_there_are_empty_beds_and_no_number(ward: Scene) -> None:
    desk = Desk()
    desk.answers = False
    page = await ward.open(answer=desk, state="connecting")
    await expect(page.get_by_label("Joining the ward")).to_be_visible()
    await expect(page.locator(".skeleton .tile")).to_have_count(8)
    await expect(page.locator(".skeleton")).to_have_text("")
    await expect(page.locator(".quiet")).to_have_text("Alarms not known")
    await expect(page.locator(".conn b")).to_have_text("Connecting")


async def test_times_are_told_by_the_hospitals_clock_or_by_this_devices(ward: Scene) -> None:
    desk = Desk()
    seen = {"state": "acknowledged", "acknowledged_ms": 1_700_000_000_000, "acknowledged_by": "nurse"}
    desk.alarms["a"] = alarm("a", **seen)  # at 22:13 UTC
    page = await ward.open(answer=desk, timezone_id="Asia/Tokyo")
    await page.click(".sum .all")
    since = page.locator(".alarm-list [data-standing=acknowledged] .since")
    await expect(since).to_have_text(re.compile("03:43 nurse$"))
    await expect(page.locator(".clock small")).to_have_text("GMT+5:30")
    await page.keyboard.press("d")
    await page.get_by_label("this device’s time zone").check()
    await expect(since).to_have_text(re.compile("07:13 nurse$"))
    await expect(page.locator(".clock small")).to_have_text("GMT+9")
    await page.reload()
    await page.click(".sum .all")
    await expect(since).to_have_text(re.compile("07:13 nurse$"))


async def test_the_page_can_be_installed(ward: Scene) -> None:
    page = await ward.open(answer=Desk())
    browser = await page.context.new_cdp_session(page)
    told = await browser.send("Page.getAppManifest")
    assert told["errors"] == []
    manifest = json.loads(told["data"])
    for icon in manifest["icons"]:
        answer = await page.request.get(urljoin(told["url"], icon["src"]))
        assert answer.ok, icon
        assert answer.headers["content-type"].startswith(icon["type"])
    errors = (await browser.send("Page.getInstallabilityErrors"))["installabilityErrors"]
    # Each page of the tests is in a private window, from which none can be.
    assert {error["errorId"] for error in errors} <= {"in-incognito"}


_WAKE_LOCK = """
  window.locks = [];
  const request = async (type) => {
    const lock = Object.assign(new EventTarget(), {
      type,
      released: false,
      async release() {
        this.released = true;
        this.dispatchEvent(new Event("release"));
      },
    });
    window.locks.push(lock);
    return lock;
  };
  Object.defineProperty(navigator, "wakeLock", { value: { request } });
  window.isHidden = false;
  Object.defineProperty(document, "hidden", { get: () => window.isHidden });
  window.turn = async (hidden) => {
    window.isHidden = hidden;
    // As a browser does it: it lets go first.
    if (hidden) for (const lock of window.locks) if (!lock.released) await lock.release();
    document.dispatchEvent(new Event("visibilitychange"));
  };
"""
"""A screen that may be kept on, and a page that can be turned away."""


async def test_the_screen_is_kept_on_while_the_page_is_looked_at_unless_the_user_wants_it_dark(
    ward: Scene,
) -> None:
    page = await ward.open(answer=Desk())
    await page.add_init_script(_WAKE_LOCK)
    await page.reload()
    root = page.locator("html")
    await expect(root).to_have_attribute("data-awake", "on")
    held = "window.locks.map(({ released }) => !released)"
    assert await page.evaluate(held) == [True]
    await page.evaluate("window.turn(true)")
    assert await page.evaluate(held) == [False]
    await page.evaluate("window.turn(false)")
    await page.wait_for_function(f"() => {held}.length === 2")
    assert await page.evaluate(held) == [False, True]
    await page.keyboard.press("d")
    await page.get_by_label("Keep it on while this page is looked at").uncheck()
    await expect(page.locator(".drawer [data-part=awake]")).to_have_text("The screen may go dark")
    assert await page.evaluate(held) == [False, False]
    await page.reload()
    await expect(root).to_have_attribute("data-awake", "off")
    assert await page.evaluate(held) == []


async def test_a_german_page_speaks_german_of_alarms_and_counts(ward: Scene) -> None:
    desk = Desk()
    desk.alarms["a"] = alarm("a")
    desk.alarms["b"] = alarm("b", **second())
    page = await ward.open(answer=desk, locale="de-AT")
    await expect(page.locator(".tile .what").first).to_have_text("ASYSTOLIE 4,2 >= 4 s")
    await expect(page.locator(".place span")).to_contain_text("2 Betten · ")
    await expect(page.locator(".said-high")).to_have_text("Alarm Hoch, Bett 01: ASYSTOLIE 4,2 >= 4 s")
    await expect(page.locator(".notice")).to_contain_text("Kein Medizinprodukt.")
    await page.set_viewport_size({"width": 390, "height": 844})
    await expect(page.locator(".notice .scale")).to_contain_text("12,5 mm/s · 5 mm/mV")
    await page.keyboard.press("2")
    await page.keyboard.press("Enter")
    await expect(page.locator(".measured").first).to_contain_text("Wert 134 /min")
    desk.alarm("a", state="acknowledged", acknowledged_ms=now_ms(), acknowledged_by="nurse")
    await page.keyboard.press("r")
    await expect(page).to_have_title("Rückblick, Bett 02 · VITAL")
    await page.go_back()
    await expect(page.locator(".phead .bed")).to_have_text("02")
    await page.keyboard.press("Escape")
    await expect(page.locator(".tile")).to_have_count(2)
    await page.set_viewport_size({"width": 1280, "height": 800})
    await page.keyboard.press("d")
    desk.alarms["a"] = alarm("a")
    await page.locator("[name=language]").select_option("en")
    await expect(page.locator(".tile .what").first).to_have_text("ASYSTOLE 4.2 >= 4 s")
