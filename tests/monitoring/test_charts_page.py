"""The snapshots' page in a real browser: by keyboard, light and dark, wide and narrow, no complaint."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser import Chromium, WatchedPage
from tests.monitoring.charts import zoom_and_back
from tests.monitoring.signing_in import PASSWORD, signed_in
from tests.servers import DaphneServer, StartServer

LIST = "/admin/monitoring/metricssnapshot/"
BOSS = f"""
from django.contrib.auth.models import User
User.objects.create_superuser("boss", "boss@example.org", {PASSWORD!r})
"""
HOUR = """
from datetime import timedelta
from django.utils import timezone
from monitoring.models import MetricsSnapshot
from tests.monitoring.some_snapshots import snapshots
start = timezone.now() - timedelta(hours=1)
rows = snapshots(start, 360, 10, groups=("ecg.a", "ecg.b"))
MetricsSnapshot.objects.bulk_create(
    row for row in rows if not 1200 < (row.at - start).total_seconds() < 1500
)
"""
CHARTS = 13
READY = ".charts-state:text-matches('a point every')"
WIDE, NARROW = (1280, 390)


@pytest.fixture(scope="module")
def stored(module_daphne: StartServer) -> DaphneServer:
    """A server whose database has an hour of two groups, with a gap of five minutes."""
    server = module_daphne(env={"VITAL_SNAPSHOT_INTERVAL_S": "10"})
    assert isinstance(server, DaphneServer)
    server.python(BOSS + HOUR)
    return server


async def opened(server: DaphneServer, chromium: Chromium, **options: Any) -> WatchedPage:
    return await signed_in(server, chromium, LIST, **options)


async def state(page: Page) -> str:
    return (await page.text_content(".charts-state")) or ""


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_charts_are_drawn_at_every_width_in_light_and_dark(
    stored: DaphneServer, chromium: Chromium, width: int, scheme: Any
) -> None:
    watched = await opened(stored, chromium, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = watched.page
    await page.wait_for_selector(READY)
    await expect(page.locator(".chart canvas")).to_have_count(CHARTS)
    assert await page.evaluate("document.documentElement.scrollWidth") == width
    for box in [await each.bounding_box() for each in await page.locator(".chart canvas").all()]:
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    assert (await page.text_content(".vital-notice") or "").startswith("Not a medical device.")
    assert watched.complaints == []


async def test_all_is_reached_by_keyboard(stored: DaphneServer, chromium: Chromium) -> None:
    watched = await opened(stored, chromium)
    page = watched.page
    await page.wait_for_selector(READY)
    whole = await state(page)
    await page.get_by_role("button", name="Zoom in").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".charts-state")).not_to_have_text(whole)
    closer = await state(page)
    await page.get_by_role("button", name="Earlier").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".charts-state")).not_to_have_text(closer)
    await page.get_by_role("button", name="Whole time").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".charts-state")).to_have_text(whole)
    chart = page.locator(".chart-canvas").nth(1)
    await chart.focus()
    await page.keyboard.press("End")
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("Shift+ArrowLeft")
    await expect(page.locator(".charts-said")).to_contain_text("Age when acknowledged: p50")
    await expect(page.locator(".charts-time")).to_contain_text("Figures are those of")
    await page.keyboard.press("Escape")
    await expect(page.locator(".charts-time")).to_have_text("Figures are the latest.")
    key = page.locator(".chart-keys button").first
    await key.focus()
    await page.keyboard.press("Space")
    await expect(key).to_have_attribute("aria-pressed", "false")
    values = page.get_by_label("Values of Age when acknowledged").first
    await values.focus()
    await page.keyboard.press("Enter")
    table = page.locator(".chart-table table")
    await expect(table.locator("caption")).to_have_text("Age when acknowledged, ms")
    heads = await table.locator("thead th").all_text_contents()
    assert heads == ["Time", "p50", "p95", "p99"]
    assert await table.locator("tbody tr").count() > 60
    assert "--" in await table.locator("tbody td").all_text_contents(), "the gap has no figures"
    assert watched.complaints == []


async def test_drawing_across_a_chart_zooms_all_and_a_double_click_ends_it(
    stored: DaphneServer, chromium: Chromium
) -> None:
    watched = await opened(stored, chromium)
    page = watched.page
    await page.wait_for_selector(READY)
    await zoom_and_back(page)
    assert watched.complaints == []


async def test_two_groups_and_two_times_are_compared(stored: DaphneServer, chromium: Chromium) -> None:
    watched = await opened(stored, chromium)
    page = watched.page
    await page.wait_for_selector(READY)
    await page.select_option("select[name=other-group]", "ecg.b")
    await expect(page.locator(".charts-state")).to_contain_text("Grey and in brackets: ecg.b.")
    await page.locator(".chart-canvas").first.focus()
    for key in ("Home", "Shift+ArrowRight"):
        await page.keyboard.press(key)
    await expect(page.locator(".chart-other").first).to_have_text("(91.4)")
    await page.select_option("select[name=other-time]", "3600")
    await expect(page.locator(".charts-state")).to_contain_text("ecg.b, an hour before.")
    assert watched.complaints == []


async def test_theme_is_followed_at_once(stored: DaphneServer, chromium: Chromium) -> None:
    watched = await opened(stored, chromium, color_scheme="light")
    page = watched.page
    await page.wait_for_selector(READY)
    line = page.locator(".chart-keys line").first
    await expect(line).to_have_attribute("stroke", "#3546b8")
    await page.emulate_media(color_scheme="dark")
    await expect(line).to_have_attribute("stroke", "#aebcff")
    assert watched.complaints == []


async def test_file_is_saved_under_its_name(stored: DaphneServer, chromium: Chromium, tmp_path: Path) -> None:
    watched = await opened(stored, chromium)
    page = watched.page
    await page.goto(f"{stored.url}{LIST}?group=ecg.a")
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="CSV").click()
    download = await downloading.value
    assert download.suggested_filename.startswith("vital-snapshots-ecg.a-")
    await download.save_as(tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(newline="") as file:
        header, *lines = csv.reader(file)
    assert "age_p95_ms [ms]" in header
    assert 300 < len(lines) < 360
    assert watched.complaints == []


async def test_empty_page_says_what_to_do(daphne: StartServer, chromium: Chromium) -> None:
    server = daphne(env={"VITAL_SNAPSHOT_INTERVAL_S": "3600"})
    assert isinstance(server, DaphneServer)
    server.python(BOSS)
    watched = await opened(server, chromium)
    await expect(watched.page.get_by_role("heading", name="No snapshots yet")).to_be_visible()
    assert watched.complaints == []
