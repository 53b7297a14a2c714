"""What the tests of pages with charts do with them."""

from __future__ import annotations

from playwright.async_api import Page, expect

STATE = ".charts-state"
"""Says what the charts show, in words."""


async def zoom_and_back(page: Page) -> None:
    """Draw across the first chart, which zooms all; a double click on the third ends it."""
    whole = await page.text_content(STATE) or ""
    over = page.locator(".chart .u-over").first
    await over.scroll_into_view_if_needed()
    box = await over.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 40, box["y"] + 40)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 160, box["y"] + 40, steps=4)
    await page.mouse.up()
    await expect(page.locator(STATE)).not_to_have_text(whole)
    await page.locator(".chart .u-over").nth(2).dblclick()
    await expect(page.locator(STATE)).to_have_text(whole)
