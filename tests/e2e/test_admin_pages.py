"""Every page of the admin in a real browser: by anybody, on a desk and on a phone, by day and by night."""

from __future__ import annotations

import asyncio

import pytest

from tests.browser import Chromium, WatchedPage
from tests.conftest import unavailable
from tests.e2e import admin_pages
from tests.servers import ROOT, Server, StartServer

pytestmark = [pytest.mark.browser, pytest.mark.server]

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = """async () => {
  for (const animation of document.getAnimations()) animation.finish();
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(
    ({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html).join(" ... ")}`.slice(0, 400));
}"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, which judges pages by the accessibility guidelines."""
    if not AXE.exists():
        unavailable("axe-core is not installed: npm ci")
    return AXE.read_text()


TABS = 2
"""Pages that are looked at side by side: a page waits for its server as long as it computes."""


async def test_every_page_serves_everybody_in_every_look(
    daphne: StartServer, chromium: Chromium, axe: str
) -> None:
    server = daphne(env={"VITAL_SNAPSHOT_INTERVAL_S": "3600"})  # else alerts of a process that is none end
    server.python(admin_pages.PREPARE)
    tabs = [await chromium.page() for _ in range(TABS)]
    for tab in tabs:
        await admin_pages.sign_in(tab.page, server)
    addresses = await admin_pages.found(tabs[0].page, server)
    assert len(addresses) > 40
    shares = [addresses[number::TABS] for number in range(TABS)]
    async with asyncio.TaskGroup() as tasks:
        judging = [
            tasks.create_task(_faults(tab, server, share, axe))
            for tab, share in zip(tabs, shares, strict=True)
        ]
    assert [fault for judged in judging for fault in judged.result()] == []


async def _faults(tab: WatchedPage, server: Server, addresses: list[str], axe: str) -> list[str]:
    """What is wrong with these pages, in every look."""
    page, faults = tab.page, []
    for path in addresses:
        await page.goto(server.url + path)
        for width, theme in admin_pages.LOOKS:
            await admin_pages.look(page, width, theme)
            if await page.evaluate(admin_pages.TOO_WIDE):
                faults.append(f"{path} at {width}, {theme}: it is too wide")
        assert tab.complaints == [], path
        await page.evaluate(axe)
        for width, theme in admin_pages.LOOKS:
            await admin_pages.look(page, width, theme)
            faults += [f"{path} at {width}, {theme}: {fault}" for fault in await page.evaluate(SERIOUS)]
        tab.complaints.clear()  # of what axe-core does to the page
    return faults
