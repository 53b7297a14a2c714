"""Every list of the admin, in a real browser, as wide as a laptop's: no column is out of sight."""

from __future__ import annotations

import pytest

from tests.browser import Chromium
from tests.e2e import admin_pages
from tests.servers import StartServer

PREPARE = f"""{admin_pages.PREPARE}
from streaming.core.stats import GroupStats
feeds.end_admission(ward.streams.get(), actor="user:1")
stats = GroupStats(
    group=group, viewers=1000, high_watermark=0.8, messages_per_second=12_345.6,
    emergency_mode=True, backpressure_active=True, paused=True, bytes_sent=123_456_789_000,
)
MetricsSnapshot.of(stats, at=timezone.now(), process="0123abcd").save()
"""
LISTS = """(links) => links.map((link) => link.getAttribute("href"))
  .filter((path) => /^[/]admin[/]\\w+[/]\\w+[/]$/.test(path))"""
CUT = """() => {
  const table = document.querySelector("#result_list");
  const [page, frame] = [document.documentElement, table?.parentElement];
  return page.scrollWidth > page.clientWidth || (frame ? frame.scrollWidth > frame.clientWidth : true);
}"""
NO_LISTS = {
    "/admin/axes/accessfailurelog/",
    "/admin/axes/accesslog/",  # these are not kept
    "/admin/monitoring/usagesnapshot/",  # the page of the capacity
}


@pytest.mark.parametrize("width", [1280, 1440])
async def test_no_list_is_cut_off(daphne: StartServer, chromium: Chromium, width: int) -> None:
    server = daphne()
    server.python(PREPARE)
    watched = await chromium.page(viewport={"width": width, "height": 900})
    page = watched.page
    for name, password in (("nobody", "wrong"), ("boss", admin_pages.PASSWORD)):
        await page.goto(f"{server.url}/accounts/login/?next=/admin/")
        await page.fill("#id_username", name)
        await page.fill("#id_password", password)
        await page.click("button[type=submit]")
    await page.wait_for_url("**/admin/")
    paths = set(await page.eval_on_selector_all("#content-main a", LISTS)) - NO_LISTS
    assert len(paths) >= 11
    cut = []
    for path in sorted(paths):
        await page.goto(server.url + path)
        if await page.evaluate(CUT):
            cut.append(path)
    assert cut == []
    assert watched.complaints == []
