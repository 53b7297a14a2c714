"""The pages of the profiles in a real browser: by keyboard, in both themes, on a phone and on a desk."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Page

from tests.browser import Chromium
from tests.servers import Server, StartServer

pytestmark = [pytest.mark.browser, pytest.mark.server]

PASSWORD = "only-for-this-test"
PREPARE = f"""
from django.contrib.auth.models import User
from streaming.core.streams import Source
from streaming.models import Profile
from streaming.store import feeds
boss = User.objects.create_superuser("boss", "", {PASSWORD!r})
feed = feeds.ensure_feed("Intensive care and recovery, building 4", "Jane Doe", "monitor", Source.SIM)
Profile(group="ecg.*", mem_level=7, updated_by=boss).save()
Profile(group="ward:intensive-care-and-recovery-building-4", age_high=0.5, updated_by=boss).save()
Profile(group="ecg." + feed.stream, compression_level=9, low_watermark=0.1, updated_by=boss).save()
print(feed.stream, end="")
"""


@pytest.fixture(scope="module")
def place(module_daphne: StartServer) -> tuple[Server, str]:
    """A server, and the id of its one stream."""
    server = module_daphne()
    return server, server.python(PREPARE)


async def sign_in(page: Page, server: Server) -> None:
    await page.goto(f"{server.url}/accounts/login/?next=/admin/streaming/profile/")
    await page.fill("#id_username", "boss")
    await page.fill("#id_password", PASSWORD)
    await page.click("button[type=submit]")
    await page.wait_for_url("**/admin/streaming/profile/")


async def test_version_is_undone_by_keyboard(place: tuple[Server, str], chromium: Chromium) -> None:
    server, _ = place
    watched = await chromium.page(viewport={"width": 1280, "height": 900})
    page = watched.page
    await sign_in(page, server)
    async with asyncio.timeout(30):
        while not await page.get_by_text("1 of 1 process runs version 4").count():
            await page.reload()  # the process follows by itself, the page does not
    await page.get_by_role("link", name="Presets", exact=True).press("Enter")
    await page.get_by_role("link", name="See what it would change").last.press("Enter")
    await page.get_by_label("Comment").press_sequentially("go live")
    await page.keyboard.press("Enter")
    await page.get_by_text("Version 5 applies to running streams within 2 s.").wait_for()
    await page.get_by_role("link", name="Versions", exact=True).press("Enter")
    await page.get_by_role("link", name="5", exact=True).press("Enter")
    await page.get_by_role("link", name="Undo this change").press("Enter")
    await page.get_by_role("button", name="Undo version 5").press("Enter")
    await page.get_by_text("Version 6 applies to running streams within 2 s.").wait_for()
    assert watched.complaints == []
