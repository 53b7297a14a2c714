"""A superuser's browser at a page of the admin."""

from __future__ import annotations

from typing import Any

from tests.browser import Chromium, WatchedPage
from tests.servers import Server

PASSWORD = "only-for-this-test"
WIDTH = 1280


async def signed_in(server: Server, chromium: Chromium, address: str, **options: Any) -> WatchedPage:
    """Signed in as boss, by PASSWORD; the options are those of playwright's `new_context`."""
    watched = await chromium.page(**{"viewport": {"width": WIDTH, "height": 900}, **options})
    page = watched.page
    await page.goto(f"{server.url}/accounts/login/?next={address}")
    await page.fill("#id_username", "boss")
    await page.fill("#id_password", PASSWORD)
    await page.click("button[type=submit]")
    await page.wait_for_url(f"**{address}")
    return watched
