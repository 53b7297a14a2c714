"""Whether everybody can use the page: axe-core on its parts in each look and width; the keyboard alone."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from streaming.ecg.alarm_limits import BOUNDS, AlarmLimits
from tests.conftest import unavailable
from tests.page.desk import Desk, alarm, second, stream_of
from tests.page.scene import DEADLINE_MS, Scene
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
        await expect(page.locator(".alarm-row")).to_have_count(2)
        found += await faults(page, f"patient, {width}")
        for name in DRAWERS:
            await page.evaluate("(name) => document.querySelector(`[data-action=${name}]`).click()", name)
            await expect(page.locator(f".drawer.{name}")).to_be_visible()
            found += await faults(page, f"{name}, {width}", ".drawer")
            await page.keyboard.press("Escape")
        await page.keyboard.press("Escape")
        await expect(page.locator(".tile")).to_have_count(3)
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
    await _tab_to(page, "Display")
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
    assert await _focused(page) == "Display"
    await _tab_to(page, "Limits")
    await page.keyboard.press("Enter")
    await expect(page.locator(".drawer.limits h2")).to_be_focused()
    await page.keyboard.press("Escape")
    assert re.match("Limits", await _focused(page))


async def _focused(page: Page) -> str:
    """The name of what has the focus."""
    name: str = await page.evaluate(
        "() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    )
    return name


async def _tab_to(page: Page, name: str) -> None:
    for _ in range(60):
        await page.keyboard.press("Tab")
        if (await _focused(page)).startswith(name):
            return
    raise AssertionError(f"{name} is not reached by Tab")
