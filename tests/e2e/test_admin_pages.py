"""Every page of the admin in a real browser: by anybody, on a desk and on a phone, by day and by night."""

from __future__ import annotations

import pytest

from tests.browser import Chromium
from tests.conftest import unavailable
from tests.e2e import admin_pages
from tests.servers import ROOT, StartServer

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


async def test_every_page_serves_everybody_in_every_look(
    daphne: StartServer, chromium: Chromium, axe: str
) -> None:
    server = daphne(env={"VITAL_SNAPSHOT_INTERVAL_S": "3600"})  # else alerts of a process that is none end
    server.python(admin_pages.PREPARE)
    watched = await chromium.page()
    page = watched.page
    await admin_pages.sign_in(page, server)
    addresses = await admin_pages.found(page, server)
    assert len(addresses) > 40
    faults = []
    for path in addresses:
        await page.goto(server.url + path)
        for width, theme in admin_pages.LOOKS:
            await admin_pages.look(page, width, theme)
            if await page.evaluate(admin_pages.TOO_WIDE):
                faults.append(f"{path} at {width}, {theme}: it is too wide")
        assert watched.complaints == [], path
        await page.evaluate(axe)
        for width, theme in admin_pages.LOOKS:
            await admin_pages.look(page, width, theme)
            faults += [f"{path} at {width}, {theme}: {fault}" for fault in await page.evaluate(SERIOUS)]
        watched.complaints.clear()  # of what axe-core does to the page
    assert faults == []
