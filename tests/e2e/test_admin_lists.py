"""Every list of the admin, in a real browser, as wide as a laptop's: no column is out of sight."""

from __future__ import annotations

import pytest

from tests.browser import Chromium
from tests.servers import StartServer

PASSWORD = "only-for-this-test"
PREPARE = f"""
from django.contrib.auth.models import Group, User
from django.utils import timezone
from monitoring.models import MetricsSnapshot
from streaming.core.stats import GroupStats
from streaming.core.streams import Source
from streaming.models import Profile, Ward
from streaming.store import feeds, tokens
boss = User.objects.create_superuser("boss", "the.chief.of.operations@hospital.example.org", {PASSWORD!r})
User.objects.filter(pk=boss.pk).update(first_name="Maximiliane", last_name="von Hohenstein")
feed = feeds.ensure_feed(
    "Intensive care and recovery, building 4", "Jane Doe-Example",
    "bedside monitor of the second floor, number 17", Source.REPLAY,
)
ward = Ward.objects.get()
ward.groups.add(Group.objects.create(name="Intensive care nurses, night shift"))
tokens.issue_api_token(boss, "central station of the second floor, east wing", [ward], actor="user:1")
Profile(group="ecg." + feed.stream, compression_level=9, updated_by=boss).save()
feeds.end_admission(ward.streams.get(), actor="user:1")
stats = GroupStats(
    group="ecg." + feed.stream, viewers=1000, high_watermark=0.8, messages_per_second=12_345.6,
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
EMPTY = {"/admin/axes/accessfailurelog/", "/admin/axes/accesslog/"}
"""These are not kept."""


@pytest.mark.parametrize("width", [1280, 1440])
async def test_no_list_is_cut_off(daphne: StartServer, chromium: Chromium, width: int) -> None:
    server = daphne()
    server.python(PREPARE)
    watched = await chromium.page(viewport={"width": width, "height": 900})
    page = watched.page
    for name, password in (("nobody", "wrong"), ("boss", PASSWORD)):
        await page.goto(f"{server.url}/accounts/login/?next=/admin/")
        await page.fill("#id_username", name)
        await page.fill("#id_password", password)
        await page.click("button[type=submit]")
    await page.wait_for_url("**/admin/")
    paths = set(await page.eval_on_selector_all("#content-main a", LISTS)) - EMPTY
    assert len(paths) >= 11
    cut = []
    for path in sorted(paths):
        await page.goto(server.url + path)
        if await page.evaluate(CUT):
            cut.append(path)
    assert cut == []
    assert watched.complaints == []
