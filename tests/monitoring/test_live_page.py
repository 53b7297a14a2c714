"""The live page in a real browser, before a real server: by keyboard, light and dark, wide and narrow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from streaming.exceptions import CloseCode
from tests.browser import Chromium, WatchedPage
from tests.e2e.peers import Peer, viewer
from tests.e2e.shell import Shell
from tests.e2e.steady import steady
from tests.servers import DaphneServer, StartServer

PASSWORD = "only-for-this-test"
LIVE = "/admin/monitoring/metricssnapshot/live/"
WIDE, NARROW = (1280, 390)
CUT_OFF = """[...document.querySelectorAll(".live-table .live-scroll")]
  .filter((each) => each.scrollWidth > each.clientWidth).length"""
ASK_TWICE = """() => {
  const cut = document.querySelector("button[name=cut]");
  cut.click();
  document.querySelector("dialog [name=keep]").click();
  cut.click();
}"""
"""As fast as hands are on a slow machine: that the first question is over is told during the second."""
COUNT_DRAWINGS = """
window.drawings = 0;
window.tellings = 0;
const clear = CanvasRenderingContext2D.prototype.clearRect;
CanvasRenderingContext2D.prototype.clearRect = function (...at) {
  if (this.canvas.matches("[data-table=processes] td:nth-of-type(2) canvas")) window.drawings += 1;
  return clear.apply(this, at);
};
const parse = JSON.parse;
JSON.parse = function (...given) {
  const made = parse.apply(this, given);
  if (made?.type === "figures") window.tellings += 1;
  return made;
};
"""


class Place:
    """A server with a patient, of whom a nurse's program watches."""

    def __init__(self, server: DaphneServer, bed: dict[str, str], token: str) -> None:
        self.server = server
        self.bed = bed
        self.token = token


@pytest.fixture(scope="module")
def place(module_daphne: StartServer) -> Place:
    """One for the module; what is watched, each test says itself."""
    server = module_daphne(env={"VITAL_SNAPSHOT_INTERVAL_S": "3600"})
    assert isinstance(server, DaphneServer)
    with Shell(server) as shell:
        bed = shell.run("admit", "monitor 1", ward="Intensive care")
        token = shell.run("employ", "nurse", "Intensive care")
        shell.run("employ", "boss", "Intensive care", password=PASSWORD, is_staff=True, is_superuser=True)
        shell.run("employ", "watcher", password=PASSWORD, is_staff=True)
        shell.run("allow", "watcher", "view_metricssnapshot")
    return Place(server, bed, token)


@asynccontextmanager
async def watched_by(place: Place, viewers: int = 2) -> AsyncIterator[None]:
    """A device sends, and so many programs watch."""
    async with AsyncExitStack() as stack:
        stream = place.bed["stream"]
        await stack.enter_async_context(steady(place.server, stream, place.bed["token"], place.token))
        others = [
            await stack.enter_async_context(viewer(place.server, place.token, stream))
            for _ in range(viewers - 1)
        ]
        staying = [asyncio.create_task(other.stay()) for other in others]  # else they are cut after 10 s
        try:
            yield
            assert not any(task.done() for task in staying)
        finally:
            for task in staying:
                task.cancel()
            await asyncio.gather(*staying, return_exceptions=True)


async def opened(
    place: Place, chromium: Chromium, *, name: str = "boss", script: str = "", **options: Any
) -> WatchedPage:
    watched = await chromium.page(**{"viewport": {"width": WIDE, "height": 900}, **options})
    page = watched.page
    if script:
        await page.add_init_script(script)
    await page.goto(f"{place.server.url}/accounts/login/?next={LIVE}")
    await page.fill("#id_username", name)
    await page.fill("#id_password", PASSWORD)
    await page.click("button[type=submit]")
    await page.wait_for_url(f"**{LIVE}")
    return watched


def rows(page: Page, table: str) -> Locator:
    return page.locator(f"[data-table={table}] tbody tr")


def state(page: Page) -> Locator:
    return page.locator(".live-state")


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_all_three_tables_fill_at_every_width_in_light_and_dark(
    place: Place, chromium: Chromium, width: int, scheme: Any
) -> None:
    async with watched_by(place, 1):
        watched = await opened(place, chromium, viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = watched.page
        await expect(rows(page, "processes")).to_have_count(1)
        await expect(rows(page, "viewers")).to_have_count(1)
        await expect(rows(page, "viewers").first).to_contain_text("nurse, by API token")
        await expect(rows(page, "viewers").first).to_contain_text("Intensive care, bed ")
        await expect(rows(page, "groups").filter(has_text=place.bed["stream"])).to_contain_text(
            "Intensive care"
        )
        await expect(state(page)).to_contain_text("Live, by process ")
        # Rates are there from the second telling on.
        await expect(rows(page, "processes").first.locator("td").nth(5)).to_contain_text("B/s")
        assert await page.evaluate("document.documentElement.scrollWidth") == width
        if width == WIDE:
            assert await page.evaluate(CUT_OFF) == 0
        assert (await page.text_content(".vital-notice") or "").startswith("Not a medical device.")
        assert watched.complaints == []


async def test_it_sorts_filters_and_inspects_by_keyboard(place: Place, chromium: Chromium) -> None:
    async with watched_by(place, 2):
        watched = await opened(place, chromium)
        page = watched.page
        await expect(rows(page, "viewers")).to_have_count(2)
        head = page.locator("[data-table=viewers] th", has_text="Round trip")
        await head.get_by_role("button").focus()
        for order in ("descending", "ascending"):
            await page.keyboard.press("Enter")
            await expect(head).to_have_attribute("aria-sort", order)
        await page.get_by_role("searchbox", name="Filter").focus()
        await page.keyboard.type("nobody of that name")
        await expect(rows(page, "viewers")).to_have_count(0)
        await expect(page.locator("[data-table=viewers] .live-count")).to_have_text("0 of 2")
        await expect(page.locator("[data-table=viewers] .live-note")).to_have_text(
            "Nothing matches the filter."
        )
        await page.keyboard.press("Control+A")
        await page.keyboard.type("nurse lossless")
        await expect(rows(page, "viewers")).to_have_count(2)
        connection = (await rows(page, "viewers").first.locator("th small").text_content() or "")[:8]
        await rows(page, "viewers").filter(has_text=connection).get_by_role("button").focus()
        await page.keyboard.press("Enter")
        panel = page.get_by_role("region", name=f"Viewer {connection}")
        await expect(panel.get_by_role("heading", level=2)).to_be_focused()
        await expect(panel.locator(".live-why li").first).not_to_be_empty()
        await expect(panel.locator(".live-viewer-who")).to_contain_text("from 127.0.0.1")
        await expect(panel.locator(".live-sent tbody tr")).to_have_count(1)
        await expect(page.locator("[data-table=viewers] tr[aria-current]")).to_contain_text(connection)
        await page.keyboard.press("Escape")
        await expect(panel).to_be_hidden()
        await expect(rows(page, "viewers").filter(has_text=connection).get_by_role("button")).to_be_focused()
        box = page.get_by_role("textbox", name="Connection")
        await box.fill("ffffffff")
        await page.keyboard.press("Enter")
        await expect(page.locator(".live-viewer-state")).to_have_text(
            "No process has a viewer with this connection."
        )
        assert watched.complaints == []


async def test_a_viewer_is_cut_after_a_question(place: Place, chromium: Chromium) -> None:
    async with watched_by(place, 1), viewer(place.server, place.token, place.bed["stream"]) as victim:
        watched = await opened(place, chromium)
        page = watched.page
        ending = asyncio.create_task(victim.stay())
        connection = await _connection_of(page, victim)
        await page.get_by_role("textbox", name="Connection").fill(connection)
        await page.keyboard.press("Enter")
        cut = page.locator("button[name=cut]")
        await expect(cut).to_be_enabled()
        await cut.focus()
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="Cut this viewer?")
        await expect(dialog).to_contain_text("no ECG and no alarms")
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        await expect(cut).to_be_focused()
        await page.evaluate(ASK_TWICE)
        await expect(dialog.get_by_role("textbox")).to_be_focused()
        await page.keyboard.type("moves")
        await page.keyboard.press("Enter")
        await expect(state(page)).to_contain_text(f"Viewer {connection} was cut")
        assert (await ending).code == CloseCode.CUT
        assert (await ending).reason == "cut by an operator: moves"
        await expect(page.locator(".live-viewer-state")).to_contain_text("The connection has ended")
        await expect(cut).to_be_disabled()
        assert watched.complaints == []


async def _connection_of(page: Page, victim: Peer) -> str:
    """The victim's own connection, as its welcome has it, once the page shows it."""
    connection = str(victim.heard[0]["connection"])
    await expect(rows(page, "viewers").filter(has_text=connection)).to_have_count(1)
    return connection


async def test_who_may_only_look_sees_neither_names_nor_a_way_to_cut(
    place: Place, chromium: Chromium
) -> None:
    async with watched_by(place, 1):
        watched = await opened(place, chromium, name="watcher")
        page = watched.page
        await expect(rows(page, "viewers").first).to_contain_text("user ")
        await expect(rows(page, "viewers").first).not_to_contain_text("nurse")
        await rows(page, "viewers").first.get_by_role("button").click()
        await expect(page.locator(".live-why li").first).not_to_be_empty()
        await expect(page.locator(".live-viewer-who")).not_to_contain_text("127.0.0.1")
        await expect(page.locator("button[name=cut]")).to_be_hidden()
        assert watched.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_open_alerts_stand_above_the_figures_until_they_are_over(
    place: Place, chromium: Chromium, scheme: Any
) -> None:
    watched = await opened(place, chromium, color_scheme=scheme, viewport={"width": NARROW, "height": 900})
    page = watched.page
    alerts = page.locator(".live-alerts")
    await expect(alerts).to_contain_text("No alert of the system is open")
    with Shell(place.server) as shell:
        uid = (await shell.do("open_alert", "too much is lost")).result
        try:
            await expect(alerts).to_contain_text("1 alert of the system is open", timeout=15_000)
            await expect(alerts.locator("li")).to_contain_text("now 2.5 %")
            link = alerts.get_by_role("link", name="too much is lost")
            await expect(link).to_have_attribute("href", f"/admin/monitoring/alert/{uid}/change/")
            assert await page.evaluate("document.documentElement.scrollWidth") == NARROW
        finally:
            await shell.do("resolve_alert", uid)
    await expect(alerts).to_contain_text("No alert of the system is open", timeout=15_000)
    await expect(alerts.locator("li")).to_have_count(0)
    assert watched.complaints == []


async def test_who_may_not_view_alerts_is_told_of_none(place: Place, chromium: Chromium) -> None:
    watched = await opened(place, chromium, name="watcher")
    row = rows(watched.page, "processes").first
    await expect(row).to_contain_text("normal")
    # They would come with the list of processes.
    await expect(row).not_to_contain_text("in no list", timeout=15_000)
    await expect(watched.page.locator(".live-alerts")).to_be_hidden()
    assert watched.complaints == []


async def test_held_figures_stand_still(place: Place, chromium: Chromium) -> None:
    async with watched_by(place, 1):
        watched = await opened(place, chromium, script=COUNT_DRAWINGS)
        page = watched.page
        await expect(rows(page, "viewers")).to_have_count(1)
        await page.get_by_role("button", name="Hold").click()
        await expect(state(page)).to_contain_text("Held")
        since = await rows(page, "viewers").first.locator("td").last.text_content()
        told = await page.evaluate("tellings")
        await page.wait_for_function("(told) => tellings > told + 2", arg=told)
        assert await rows(page, "viewers").first.locator("td").last.text_content() == since
        await page.get_by_role("button", name="Hold").click()
        await expect(rows(page, "viewers").first.locator("td").last).not_to_have_text(since or "")
        assert watched.complaints == []


@pytest.mark.parametrize(("motion", "every"), [("no-preference", True), ("reduce", False)])
async def test_lines_move_seldom_with_reduced_motion(
    place: Place, chromium: Chromium, motion: Any, every: bool
) -> None:
    watched = await opened(place, chromium, script=COUNT_DRAWINGS, reduced_motion=motion)
    page = watched.page
    await expect(rows(page, "processes")).to_have_count(1)
    await page.wait_for_function("tellings >= 1 && drawings >= 1")
    before = await page.evaluate("[tellings, drawings]")
    await page.wait_for_function("(told) => tellings >= told + 5", arg=before[0])
    drawn = await page.evaluate("drawings") - before[1]
    assert (drawn >= 4) if every else (drawn <= 1)
    assert watched.complaints == []


async def test_a_lost_connection_is_said_and_comes_back(daphne: StartServer, chromium: Chromium) -> None:
    server = daphne(env={"VITAL_SNAPSHOT_INTERVAL_S": "3600"})
    assert isinstance(server, DaphneServer)
    with Shell(server) as shell:
        shell.run("employ", "boss", password=PASSWORD, is_staff=True, is_superuser=True)
        watched = await opened(Place(server, {}, ""), chromium)
        page = watched.page
        await expect(rows(page, "processes").first).to_contain_text("normal")
        port = server.port
        await asyncio.to_thread(server.kill)
        await expect(state(page)).to_contain_text("Connection lost")
        await expect(rows(page, "processes").first).to_contain_text("stale, ")
        await expect(page.locator("[data-table=processes] tr[data-stale]")).to_have_count(1)
        await asyncio.to_thread(server.start_again, port)
        await expect(state(page)).to_contain_text("Live, by process ", timeout=40_000)
        await expect(rows(page, "processes").filter(has_text="normal")).to_have_count(1)
        await shell.do("deactivate", "boss")
        await expect(state(page)).to_contain_text("You are signed out")
        link = page.get_by_role("link", name="Sign in")
        assert await link.get_attribute("href") == f"/accounts/login/?next={LIVE}"
    refused = [each for each in watched.complaints if "ERR_CONNECTION_REFUSED" not in each]
    assert refused == []
