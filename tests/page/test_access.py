"""Whether everybody can use the page: axe-core on its parts in each look and width; the keyboard alone."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from functools import partial
from typing import Any

import pytest
from playwright.async_api import Page, Route, WebSocketRoute, expect

from streaming.ecg.alarm_limits import BOUNDS, AlarmLimits
from tests.conftest import unavailable
from tests.page.desk import Desk, alarm, now_ms, second, stream_of
from tests.page.scene import DEADLINE_MS, Scene, stop_of
from tests.page.speaker import SPEAKER
from tests.servers import ROOT, Server, StartServer

pytestmark = [pytest.mark.server, pytest.mark.browser]

expect.set_options(timeout=DEADLINE_MS)

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = (390, 820, 1920)
LOOKS = {
    "dark": {},
    "light": {"vital.theme": "light"},
    "high contrast": {"vital.contrast": "more"},
    "light high contrast": {"vital.theme": "light", "vital.contrast": "more"},
}
DRAWERS = ("order", "display", "limits", "lab")
SERIOUS = {"serious", "critical"}
LIMITS = asdict(AlarmLimits())
SIZES = {390: 844, 820: 1180, 1920: 1080}
_SET_LOOK = "(look) => Object.entries(look).forEach(([name, value]) => localStorage.setItem(name, value))"
_FIND = """async (within) => {
  // A tile's name says in words what it shows in numbers and signs: it has no label to be called by.
  const rules = { "label-content-name-mismatch": { enabled: false } };
  const options = { resultTypes: ["violations"], preload: false, rules };
  const { violations } = await axe.run(within ?? document, options);
  return violations.flatMap(({ id, impact, nodes }) =>
    nodes.map(({ target, any }) => ({ id, impact, target: String(target), why: any[0]?.message ?? "" })));
}"""


@pytest.fixture(scope="module")
def page_server(module_daphne: StartServer) -> Server:
    """With all that a page can have."""
    return module_daphne(env={"VITAL_LAB": "1"})


async def tell_limits(page: Page) -> None:
    """A scripted bed has some as well."""
    told = {"limits": LIMITS, "defaults": LIMITS, "bounds": dict(BOUNDS), "may": True, "changes": []}

    async def answer(route: Route) -> None:
        await route.fulfill(json=told)

    await page.route("**/limits/", answer)


async def faults(page: Page, where: str, within: str | None = None) -> list[str]:
    """What axe-core calls serious, or worse."""
    found: list[dict[str, Any]] = await page.evaluate(_FIND, within)
    return [
        f"{where}: {fault['id']} at {fault['target']}: {fault['why']}"
        for fault in found
        if fault["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("look", LOOKS)
async def test_no_part_has_a_serious_fault_in_any_width(ward: Scene, look: str) -> None:
    # Over 10 s: seven parts in three widths.
    if not AXE.exists():
        unavailable("axe-core is not installed: npm ci")
    desk = Desk(beds=3, may=("acknowledge", "pause_audio", "switch_off", "set_limits"))
    desk.alarms["a"] = alarm("a")
    desk.alarms["b"] = alarm("b", **second())
    desk.alarms["c"] = alarm("c", state="acknowledged", acknowledged_ms=1.7e12, acknowledged_by="nurse")
    page = await ward.open(answer=desk)
    await tell_limits(page)
    await page.evaluate(_SET_LOOK, LOOKS[look])
    await page.reload()
    await expect(page.locator(".tile")).to_have_count(3)
    await page.evaluate(AXE.read_text())
    desk.samples(1, 2)
    found: list[str] = []
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 900})
        found += await faults(page, f"ward, {width}")
        await page.keyboard.press("?")
        found += await faults(page, f"help, {width}", "dialog.help")
        await page.keyboard.press("Escape")
        await page.keyboard.press("1")
        await page.keyboard.press("Enter")
        await expect(page.locator(".alarm-row").first).to_be_visible()  # after 10 s, no data is one more
        found += await faults(page, f"patient, {width}")
        for name in DRAWERS:
            await page.evaluate("(name) => document.querySelector(`[data-action=${name}]`).click()", name)
            await expect(page.locator(f".drawer.{name}")).to_be_visible()
            found += await faults(page, f"{name}, {width}", ".drawer")
            await page.keyboard.press("Escape")
        await page.keyboard.press("Escape")
        await expect(page.locator(".tile")).to_have_count(3)
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_what_opens_over_the_page_and_in_its_place_has_no_serious_fault(
    ward: Scene, theme: str
) -> None:
    if not AXE.exists():
        unavailable("axe-core is not installed: npm ci")
    desk = Desk(beds=1)
    desk.alarms["a"] = alarm("a")
    page = await ward.open(answer=desk, viewport={"width": 390, "height": 844})
    await page.evaluate("(theme) => localStorage.setItem('vital.theme', theme)", theme)
    await page.reload()
    await expect(page.locator(".tile")).to_have_count(1)
    await page.evaluate(AXE.read_text())
    await page.locator(".sum [data-action=alarms]").click()
    await expect(page.locator(".alarm-list li").first).to_be_visible()
    found = await faults(page, "alarm list", ".alarm-list")
    await page.keyboard.press("Escape")
    await page.locator(".notice [data-action=calibrate]").click()
    await expect(page.locator("dialog.calibration")).to_be_visible()
    found += await faults(page, "calibration", "dialog.calibration")
    await page.keyboard.press("Escape")
    desk.samples(1, 4)
    await page.keyboard.press("1")
    await page.keyboard.press("Enter")
    await stop_of(page, stream_of(1), 1)
    await expect(page.locator(".row-labels li").first).to_be_visible()
    await page.keyboard.press("c")
    await expect(page.locator(".caliper").nth(1)).to_be_focused()
    found += await faults(page, "frozen", ".frozen")
    await desk.close(4401)
    await expect(page.locator("h1")).to_have_text("You are signed out")
    found += await faults(page, "signed out")
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("look", LOOKS)
async def test_the_review_has_no_serious_fault_in_any_width(ward: Scene, look: str) -> None:
    if not AXE.exists():
        unavailable("axe-core is not installed: npm ci")
    bed = ward.admit("monitor")
    ward.store_past(bed, 4, "II", "V1")
    ward.allow("export_history")
    page = await ward.open(f"/patients/{bed.stream}/review/")
    await page.evaluate(_SET_LOOK, LOOKS[look])
    await page.reload()
    await expect(page.locator(".events li")).to_have_count(3)
    await page.evaluate(AXE.read_text())
    found: list[str] = []
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 900})
        await page.keyboard.press("c")
        await expect(page.locator(".caliper")).to_have_count(2)
        found += await faults(page, f"strip, {width}")
        await page.keyboard.press("Escape")
        for mode in ("zoom", "rows"):
            await page.keyboard.press("v")
            drawn = page.locator(f".{mode}-box canvas[aria-label]")
            await expect(drawn).to_be_visible()
            found += await faults(page, f"{mode}, {width}", ".look")
        await page.keyboard.press("v")
        await page.keyboard.press("e")
        found += await faults(page, f"export, {width}", "dialog.export")
        await page.keyboard.press("Escape")
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_what_is_shown_in_place_of_beds_has_no_serious_fault(ward: Scene, theme: str) -> None:
    if not AXE.exists():
        unavailable("axe-core is not installed: npm ci")
    ward.expect_complaint("status of 40")  # of pages that are not there, or not for this user
    page = await ward.open(answer=lambda _route: None, state="connecting")
    await page.evaluate("(theme) => localStorage.setItem('vital.theme', theme)", theme)
    found: list[str] = []

    async def judge(name: str, path: str, shown: str) -> None:
        await page.goto(ward.server.url + path)
        await expect(page.locator(shown)).to_be_visible()
        await page.evaluate(AXE.read_text())
        for width in (390, 1920):
            await page.set_viewport_size({"width": width, "height": SIZES[width]})
            found.extend(await faults(page, f"{name}, {width}"))

    async def refuse(route: WebSocketRoute, code: int) -> None:
        await route.close(code=code)

    def connect(route: WebSocketRoute) -> None:
        route.connect_to_server()

    await judge("loading", "/", ".skeleton")
    await judge("unknown patient", "/patients/nobody/", "h1:text-is('There is no such page')")
    await judge("no right", "/admin/", "h1:text-is('You may not do this')")
    for name, code, says in (
        ("forbidden", 4403, "You may not view this ward"),
        ("refused", 4400, "This page and the server do not understand each other"),
    ):
        await page.route_web_socket("**/ws/viewer/", partial(refuse, code=code))
        await judge(name, "/", f"h1:text-is('{says}')")
    await page.unroute_all()
    await page.route_web_socket("**/ws/viewer/", connect)
    await judge("empty ward", "/", "h1:text-is('No beds yet')")
    assert found == [], "\n".join(found)


_ACT = """(left) => {
  const acts = [];
  for (let code = 33; code < 127; code++) {
    const key = String.fromCharCode(code);
    if (key !== key.toLowerCase() || left.includes(key)) continue;
    const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
    if (!document.body.dispatchEvent(event)) acts.push(key);
    document.querySelector("dialog[open]")?.close();
  }
  return acts;
}"""


async def test_the_help_names_every_key_that_acts_and_no_other(ward: Scene) -> None:
    page = await ward.open(answer=Desk())
    await tell_limits(page)
    await expect(page.locator(".tile")).to_have_count(2)
    told = {key.lower() for key in await page.locator(".help kbd").all_text_contents()}
    acts = set(await page.evaluate(_ACT, ""))
    await page.goto(f"{ward.server.url}/patients/{stream_of(1)}/")
    await expect(page.locator(".patient")).to_be_visible()
    acts |= set(await page.evaluate(_ACT, "r"))
    await page.reload()  # a drawer may still be on its way, and would take the next key
    await expect(page.locator(".patient")).to_be_visible()
    await page.keyboard.press("r")  # and no more of the patient's page
    await expect(page.locator(".review")).to_be_visible()
    acts |= {"r", *await page.evaluate(_ACT, "r0123456789")}
    # Of digits the help names the first and the last; those without a bed here do nothing.
    single = {key for key in told if len(key) == 1 and key not in "←→↑↓"} - set("0123456789")
    assert acts - set("0123456789=") == single  # "=" is + without Shift
    assert {"1", "2"} <= acts
    assert {"enter", "esc", "pgup", "pgdn", "←", "→", "↑", "↓", "0", "1", "9"} <= told


async def test_looks_clock_and_limits_are_reached_by_tab_alone(ward: Scene) -> None:
    desk = Desk(may=("set_limits",))
    page = await ward.open(f"/patients/{stream_of(1)}/", answer=desk)
    await tell_limits(page)
    await expect(page.locator(".phead .bed")).to_have_text("01")
    await _tab_to(page, "[data-action=display]")
    await page.keyboard.press("Enter")
    await expect(page.locator(".drawer h2")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("html")).to_have_attribute("data-theme", "light")
    await page.keyboard.press("Tab")
    await page.keyboard.press("ArrowUp")
    await expect(page.locator("html")).to_have_attribute("data-contrast", "more")
    await page.keyboard.press("Escape")
    await expect(page.locator(".tools [data-action=display]")).to_be_focused()
    await _tab_to(page, "[data-action=limits]")
    await page.keyboard.press("Enter")
    await expect(page.locator(".drawer.limits h2")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("[data-action=limits]")).to_be_focused()


@pytest.mark.parametrize("width", SIZES)
async def test_every_task_is_done_by_keys_alone(ward: Scene, width: int) -> None:
    desk = Desk(beds=3, may=("acknowledge", "pause_audio", "switch_off", "set_limits"))
    page = await ward.open(answer=desk, viewport={"width": width, "height": SIZES[width]})
    await page.add_init_script(SPEAKER)
    await page.reload()
    await page.wait_for_function("() => window.vital?.stats().phase === 'online'")
    await page.evaluate("window.isAllowed = true")
    await expect(page.locator(".tile")).to_have_count(3)
    await _hear_and_pause(page, desk)
    await _see_to_alarms(page, desk)
    await _arrange_and_look(page)
    await _throttle(page, desk)
    await _open_and_read(page, desk)
    await _freeze_and_measure(page)
    await _set_a_limit(page)
    await _calibrate(page)
    await page.keyboard.press("Escape")
    await expect(page.locator(".tile")).to_have_count(3)
    await _press(page, "form[action='/accounts/logout/'] button")
    await expect(page).to_have_url(re.compile("/accounts/login/"))


async def _hear_and_pause(page: Page, desk: Desk) -> None:
    """Audio unlock, self-test in the help, pause and resume by the button and by a key."""
    audio = page.locator(".audio")
    await expect(audio).to_have_attribute("data-state", "blocked")
    await page.keyboard.press("Tab")
    await expect(audio).to_have_attribute("data-state", "on")
    await page.keyboard.press("?")
    await expect(page.locator("dialog.help")).to_be_visible()
    await _press(page, "[data-sound=high]")
    await expect(page.locator(".help output")).to_have_text("You should hear 10 tones")
    assert await page.evaluate("window.heard.filter((hz) => hz === 587).length") == 10
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog.help")).to_be_hidden()
    await _press(page, ".audio")
    await desk.until(lambda: desk.said("audio_pause") == [{"seconds": 120}])
    desk.audio(120)
    await expect(audio).to_have_attribute("data-state", "paused")
    await page.keyboard.press("p")
    await desk.until(lambda: desk.said("audio_pause")[1:] == [{"seconds": 0}])
    desk.audio(None)
    await expect(audio).to_have_attribute("data-state", "on")


async def _see_to_alarms(page: Page, desk: Desk) -> None:
    """The bed of the next alarm, acknowledgement, the list of all of them and a bed out of it."""
    desk.alarm("a")
    await desk.displayed("a")
    await page.keyboard.press("n")
    await expect(page.locator(f'[data-stream="{stream_of(1)}"]')).to_be_focused()
    await page.keyboard.press("a")
    await desk.until(lambda: desk.said("alarm_ack") == [{"alarm": "a"}])
    desk.alarm("a", state="acknowledged", acknowledged_ms=now_ms(), acknowledged_by="nurse")
    await _press(page, ".sum [data-action=alarms]")
    await expect(page.locator(".alarm-list li[data-standing=acknowledged]")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator(".alarm-list")).to_be_hidden()
    await page.keyboard.press("Enter")  # where one was
    await expect(page.locator(".alarm-list")).to_be_visible()
    line = f".alarm-list a[href='/patients/{stream_of(1)}/']"
    await _tab_to(page, line)
    await page.keyboard.press("Escape")
    await expect(page.locator(".sum [data-action=alarms]")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator(".alarm-list")).to_be_visible()
    await _press(page, line)
    await expect(page.locator(".phead .bed")).to_have_text("01")
    await expect(page.locator(".alarm-list")).to_be_hidden()
    await page.keyboard.press("Escape")
    await expect(page.locator(".tile")).to_have_count(3)


async def _arrange_and_look(page: Page) -> None:
    """A pin, the order of beds, looks."""
    await page.keyboard.press("3")
    await page.keyboard.press("b")
    await expect(page.locator(".tile .bed")).to_have_text(["03", "01", "02"])
    await _open_drawer(page, "o", "order")
    await _tab_to(page, "[name=order]:checked")
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("[name=order][value=bed]")).to_be_checked()
    await _tab_to(page, f".order li input[value={stream_of(3)}]")
    await page.keyboard.press("Space")
    await expect(page.locator(".tile .bed")).to_have_text(["01", "02", "03"])
    await page.keyboard.press("Escape")
    await _open_drawer(page, "d", "display")
    await _tab_to(page, "[name=theme]:checked")
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("html")).to_have_attribute("data-theme", "light")
    await page.keyboard.press("Escape")
    await expect(page.locator(".drawer")).to_have_count(0)
    await page.keyboard.press("t")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")


async def _throttle(page: Page, desk: Desk) -> None:
    """A worse network, of which no key tells."""
    await _press(page, "[data-action=lab]")
    await expect(page.locator(".drawer.lab h2")).to_be_focused()
    await _press(page, "[data-link='8k']")
    await desk.until(lambda: desk.said("throttle") == [{"link": "8k"}])
    await page.keyboard.press("Escape")
    await expect(page.locator(".drawer")).to_have_count(0)


async def _open_and_read(page: Page, desk: Desk) -> None:
    """A bed is opened, others in its place, and its paper set."""
    desk.samples(1, 5, leads=("I", "II", "V1"))
    await page.keyboard.press("1")
    await page.keyboard.press("Enter")
    bed = page.locator(".phead .bed")
    await expect(bed).to_have_text("01")
    await page.keyboard.press("ArrowRight")
    await expect(bed).to_have_text("02")
    await page.keyboard.press("1")
    await expect(bed).to_have_text("01")
    await expect(page.locator(".row-labels li").first).to_be_visible()
    await stop_of(page, stream_of(1), 1)
    scale = page.locator(".notice .scale")
    await page.keyboard.press("]")
    await expect(scale).to_contain_text("50 mm/s")
    await page.keyboard.press("[")
    await expect(scale).to_contain_text("25 mm/s")
    gain = await page.locator("[data-part=gain]").inner_text()
    await page.keyboard.press("+")
    await expect(page.locator("[data-part=gain]")).not_to_have_text(gain)
    await page.keyboard.press("-")
    await expect(page.locator("[data-part=gain]")).to_have_text(gain)
    layout = await page.locator(".patient").get_attribute("data-layout")
    await page.keyboard.press("v")
    await expect(page.locator(".patient")).not_to_have_attribute("data-layout", layout or "")
    await page.keyboard.press("s")
    await expect(page.locator("[data-part=mode]")).to_have_text("Scroll")
    await page.keyboard.press("s")
    for key, part in (("h", "baseline"), ("m", "mains")):
        await page.keyboard.press(key)
        await expect(page.locator(f"[data-part={part}]")).to_have_attribute("aria-pressed", "true")
    await expect(page.locator("[data-part=filter]")).not_to_have_text("")
    await page.keyboard.press("q")
    await expect(page.locator("[data-part=beats]")).to_have_attribute("aria-pressed", "false")
    await page.keyboard.press("b")
    await expect(page.locator("[data-part=pin]")).to_have_attribute("aria-pressed", "true")


async def _freeze_and_measure(page: Page) -> None:
    await page.keyboard.press("f")
    await expect(page.locator(".frozen")).to_be_visible()
    await page.keyboard.press("c")
    second_line = page.locator(".caliper").nth(1)
    await expect(second_line).to_be_focused()
    before = int(await second_line.get_attribute("aria-valuenow") or "")
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("Shift+ArrowLeft")
    await expect(second_line).to_have_attribute("aria-valuenow", str(before - 11))
    await expect(page.locator("[data-part=frozen-said]")).to_contain_text("ms")
    await page.keyboard.press("Escape")
    await expect(page.locator(".frozen")).to_be_hidden()


async def _set_a_limit(page: Page) -> None:
    set_to: list[Any] = []

    async def answer(route: Route) -> None:
        if route.request.method == "PUT":
            set_to.append(json.loads(route.request.post_data or "")["limits"])
        limits = LIMITS | (set_to[-1] if set_to else {})
        told = {"limits": limits, "defaults": LIMITS, "bounds": dict(BOUNDS), "may": True, "changes": []}
        await route.fulfill(json=told)

    await page.route("**/limits/", answer)
    await _open_drawer(page, "i", "limits")
    await expect(page.locator("[name=hr_high]")).to_be_enabled()
    await _tab_to(page, "[name=hr_high]")
    await page.keyboard.press("ControlOrMeta+a")
    await page.keyboard.type("131")
    await page.keyboard.press("Enter")
    await expect(page.locator(".limits [role=status]")).to_have_text("Set: the limits hold from now on")
    assert set_to == [LIMITS | {"hr_high": 131}]
    await page.keyboard.press("Escape")
    await expect(page.locator(".drawer")).to_have_count(0)


async def _calibrate(page: Page) -> None:
    await page.keyboard.press("?")
    await expect(page.locator("dialog.help")).to_be_visible()
    await _press(page, "dialog.help [data-action=calibrate]")
    await expect(page.locator("dialog.calibration")).to_be_visible()
    await _press(page, "[data-fit='1']")
    await _press(page, "[data-fit=store]")
    await expect(page.locator("dialog.calibration")).to_be_hidden()
    await expect(page.locator(".notice .scale")).to_contain_text("· to scale")


async def _open_drawer(page: Page, key: str, name: str) -> None:
    await page.keyboard.press(key)
    await expect(page.locator(f".drawer.{name} h2")).to_be_focused()


async def _press(page: Page, selector: str) -> None:
    """Go there by Tab, and press Enter."""
    await _tab_to(page, selector)
    await page.keyboard.press("Enter")


async def _tab_to(page: Page, selector: str) -> None:
    for _ in range(80):
        await page.keyboard.press("Tab")
        if await page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} is not reached by Tab")
