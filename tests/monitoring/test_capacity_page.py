"""The page Capacity in a real browser: light and dark, wide and narrow, by keyboard, and by live rows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser import Chromium, WatchedPage
from tests.monitoring.charts import zoom_and_back
from tests.monitoring.signing_in import PASSWORD, signed_in
from tests.servers import DaphneServer, StartServer

PAGE = "/admin/monitoring/usagesnapshot/"
BOSS = f"""
from django.contrib.auth.models import User
User.objects.create_superuser("boss", "boss@example.org", {PASSWORD!r})
"""
STORED = """
from datetime import timedelta
from django.utils import timezone
from monitoring.models import Resolution, UsageSnapshot
from tests.monitoring.some_usage import usage
now = timezone.now()
hour = now.replace(minute=0, second=0, microsecond=0)
of_before = {"process": "before", "resolution": Resolution.HOUR, "growth_a_day": 0.008}
UsageSnapshot.objects.bulk_create(usage(hour - timedelta(days=30), 720, 3600, **of_before))
UsageSnapshot.objects.bulk_create(usage(now - timedelta(minutes=59), 355, 10, growth_a_day=0.008))
"""
CHARTS = 6
READY = ".charts-state:text-matches('a point every hour')"
WIDE, NARROW = (1280, 390)


@pytest.fixture(scope="module")
def stored(module_daphne: StartServer) -> DaphneServer:
    """A server whose database has a month of hours, and an hour of a process that still runs."""
    server = module_daphne(env={"VITAL_SNAPSHOT_INTERVAL_S": "3600", "VITAL_CAPACITY_MBPS": "100"})
    assert isinstance(server, DaphneServer)
    server.python(BOSS + STORED)
    return server


async def opened(server: DaphneServer, chromium: Chromium, **options: Any) -> WatchedPage:
    return await signed_in(server, chromium, PAGE, **options)


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_page_says_what_limits_first_at_every_width_in_light_and_dark(
    stored: DaphneServer, chromium: Chromium, width: int, scheme: Any
) -> None:
    watched = await opened(stored, chromium, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = watched.page
    await page.wait_for_selector(READY)
    await expect(page.locator(".capacity-headline")).to_contain_text("CPU reaches its limit first, in about")
    await expect(page.locator(".chart canvas")).to_have_count(CHARTS)
    await expect(page.locator(".capacity-process").first).to_contain_text("more viewers")
    assert await page.evaluate("document.documentElement.scrollWidth") == width
    assert (await page.text_content(".vital-notice") or "").startswith("Not a medical device.")
    assert watched.complaints == []


async def test_charts_are_read_and_zoomed_by_keyboard_and_pointer(
    stored: DaphneServer, chromium: Chromium
) -> None:
    watched = await opened(stored, chromium)
    page = watched.page
    await page.wait_for_selector(READY)
    await page.locator(".chart-canvas").first.focus()
    await page.keyboard.press("End")
    await page.keyboard.press("ArrowLeft")
    await expect(page.locator(".charts-said")).to_contain_text("CPU, busiest process: peak")
    await zoom_and_back(page)
    costs = page.get_by_text("Where its CPU goes, as fitted")
    await costs.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("rowheader", name="WebSocket messages")).to_be_visible()
    assert watched.complaints == []


async def test_running_server_fills_the_page_by_itself(daphne: StartServer, chromium: Chromium) -> None:
    server = daphne(env={"VITAL_SNAPSHOT_INTERVAL_S": "1"})
    assert isinstance(server, DaphneServer)
    server.python(BOSS)
    watched = await opened(server, chromium)
    page = watched.page
    link = page.get_by_role("link", name="Capacity").first
    async with asyncio.timeout(30):
        while "lead-samples/s in" not in (await page.text_content("#content") or ""):
            await link.click()
            await page.wait_for_load_state()
    await expect(page.locator("#content")).to_contain_text("too little history")
    await expect(page.locator("#content")).to_contain_text("how many more patients")
    assert watched.complaints == []
