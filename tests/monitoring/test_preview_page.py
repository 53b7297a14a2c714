"""The preview of a change in a real browser: below the form, by keyboard; without JavaScript on a page."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser import Chromium, WatchedPage
from tests.monitoring.signing_in import PASSWORD, signed_in
from tests.servers import DaphneServer, StartServer

LIST = "/admin/streaming/profile/"
STORED = f"""
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from monitoring.models import MetricsSnapshot
from tests.monitoring.some_snapshots import snapshots
User.objects.create_superuser("boss", "boss@example.org", {PASSWORD!r})
start = timezone.now() - timedelta(minutes=50)
MetricsSnapshot.objects.bulk_create(snapshots(start, 300, 10, groups=("ecg.a", "ecg.b")))
"""
WIDE, NARROW = (1280, 390)


@pytest.fixture(scope="module")
def stored(module_daphne: StartServer) -> DaphneServer:
    """A server whose database has most of an hour of two groups."""
    server = module_daphne(env={"VITAL_SNAPSHOT_INTERVAL_S": "3600"})
    assert isinstance(server, DaphneServer)
    server.python(STORED)
    return server


async def opened(server: DaphneServer, chromium: Chromium, **options: Any) -> WatchedPage:
    """The form of the default profile."""
    watched = await signed_in(server, chromium, LIST, **options)
    page = watched.page
    await page.get_by_role("link", name="default", exact=True).click()
    await page.wait_for_url(f"**{LIST}*/change/")
    return watched


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_preview_comes_below_the_form_by_keyboard_and_saves_nothing(
    stored: DaphneServer, chromium: Chromium, width: int, scheme: Any
) -> None:
    watched = await opened(stored, chromium, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = watched.page
    await page.fill("#id_max_buffer_size", "20000")
    await page.get_by_role("button", name="Preview").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#profile-preview h2")).to_be_focused()
    await expect(page.locator("#profile-preview caption")).to_have_count(2)
    row = page.locator("#profile-preview tr", has_text="Fullest queue, at most").first
    await expect(row).to_contain_text("0.15 %")
    await expect(row).to_contain_text("0.07 % to 0.15 %")
    assert await page.evaluate("document.documentElement.scrollWidth") == width
    assert await page.input_value("#id_max_buffer_size") == "20000", "the form is as it was"
    await page.fill("#id_low_watermark", "0.9")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.locator("#profile-preview .errornote")).to_contain_text("not valid")
    await page.reload()
    assert await page.input_value("#id_max_buffer_size") == "10000", "nothing was saved"
    assert watched.complaints == []


async def test_without_javascript_the_preview_is_a_page_that_can_save(
    stored: DaphneServer, chromium: Chromium
) -> None:
    watched = await opened(stored, chromium, java_script_enabled=False)
    page = watched.page
    await page.fill("#id_stall_s", "12")
    await page.get_by_role("button", name="Preview").click()
    await page.wait_for_url("**/profile-preview/?profile=*")
    await expect(page.locator("#profile-preview")).to_contain_text(
        "Every figure of the column “estimate” is one"
    )
    await page.get_by_role("button", name="Save").click()
    await page.wait_for_url(f"**{LIST}")
    assert "12" in stored.python(
        "from streaming.models_profiles import Profile; print(Profile.objects.default().stall_s)"
    )
