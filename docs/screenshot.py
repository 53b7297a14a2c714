"""Takes the pictures of the README and of the user guide: the demo, once its traces are full.

`make test` installs what it needs; then, in the project's directory: `.venv/bin/python -m docs.screenshot`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Page

from tests.browser import Chromium, chromium
from tests.servers import ROOT, DaphneServer, migrated

README = ROOT / "docs" / "ward.png"
GUIDE = ROOT / "docs" / "guide"
BEDS = 8
DESK = {"width": 1440, "height": 1072}
PHONE = {"width": 390, "height": 844}
FILLED = f"""() => {{
  const streams = window.vital?.streams() ?? [];
  return streams.length === {BEDS} && streams.every((stream) => stream.stop - stream.first > 3600);
}}"""
"""Ten seconds at the highest of the demo's rates, 360 Hz: more than a tile shows."""
REVIEWED = "() => document.querySelector('.review .mean') && document.querySelector('.events li')"
"""The trend of a stored minute is drawn, and the alarms have come."""
COARSER = "() => document.querySelector('.drawer [data-part=rendition]')?.textContent !== 'lossless'"
MINUTE_S = 90.0
"""Until a minute of the demo is stored in whole."""


def main() -> None:
    """Start a server with a database of its own, feed it, and take the pictures."""
    argparse.ArgumentParser(prog="python -m docs.screenshot", description=__doc__).parse_args()
    GUIDE.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        DaphneServer(migrated(Path(directory) / "var"), env={"VITAL_LAB": "1"}) as server,
    ):
        login = json.loads(server.manage("setup_demo", "--json"))
        feed = subprocess.Popen(
            [sys.executable, "manage.py", "feed_demo", "--url", server.ws_url],
            cwd=ROOT,
            env=server.environment(),
            stdout=subprocess.DEVNULL,
        )
        try:
            asyncio.run(take(server.url, login["username"], login["password"]))
        finally:
            feed.terminate()
            feed.wait(10)
    for picture in (README, *sorted(GUIDE.glob("*.png"))):
        print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size // 1024} KiB")


async def take(url: str, username: str, password: str) -> None:
    """Sign in on a desk and on a phone, do what the guide tells of, and store what is seen."""
    async with chromium() as browser:
        desk = await _signed_in(browser, url, username, password, DESK)
        await desk.screenshot(path=README)
        await _drawer(desk, "o", "order")
        phone = await _signed_in(browser, url, username, password, PHONE, device_scale_factor=2)
        await _picture(phone, "phone")
        await phone.close()
        await desk.keyboard.press("3")
        await desk.keyboard.press("Enter")
        await desk.wait_for_timeout(6000)  # a screen full of trace
        await _picture(desk, "patient")
        await _drawer(desk, "i", "limits", ".limit-rows small:not(:empty)")
        await desk.keyboard.press("c")
        await desk.wait_for_selector(".frozen .caliper")
        await _picture(desk, "calipers")
        await desk.keyboard.press("Escape")
        await desk.wait_for_timeout(1000 * MINUTE_S)
        await desk.keyboard.press("r")
        await desk.wait_for_function(REVIEWED, timeout=60_000)
        await desk.wait_for_timeout(3000)  # and the strip
        await _picture(desk, "review")
        await desk.keyboard.press("r")
        await desk.keyboard.press("Escape")
        await desk.click("[data-action=lab]")
        await desk.click("[data-link='2k']")
        await desk.wait_for_function(COARSER, timeout=60_000)
        await _picture(desk, "lab")


async def _signed_in(
    browser: Chromium, url: str, username: str, password: str, viewport: dict[str, int], **options: float
) -> Page:
    page = (await browser.page(viewport=viewport, **options)).page
    await page.goto(url)
    await page.fill("#id_username", username)
    await page.fill("#id_password", password)
    await page.click("button[type=submit]")
    await page.wait_for_function(FILLED, timeout=60_000)
    return page


async def _drawer(page: Page, key: str, name: str, full: str = "h2") -> None:
    await page.keyboard.press(key)
    await page.wait_for_selector(f".drawer {full}")
    await _picture(page, name)
    await page.keyboard.press("Escape")


async def _picture(page: Page, name: str) -> None:
    await page.screenshot(path=GUIDE / f"{name}.png")


if __name__ == "__main__":
    main()
