"""A real Chromium: where it is, and a page that remembers every complaint it made."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

EXPECT_WITHIN_MS = 20_000
"""What `expect` waits for at most; playwright's own 5 s are what a slow machine may take."""
expect.set_options(timeout=EXPECT_WITHIN_MS)

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--disable-background-networking",  # no look-ups of the maker's hosts
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


class NoChromiumError(Exception):
    """Neither the machine nor playwright has a Chromium."""


class Chromium:
    """One browser; each page is in a context of its own, with its own cookies."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    async def page(self, **context_options: Any) -> WatchedPage:
        """Open an empty page; the options are those of playwright's `new_context`."""
        context = await self.browser.new_context(**context_options)
        return WatchedPage(await context.new_page())

    async def renderers(self) -> list[int]:
        """Ids of the processes that run its pages."""
        session = await self.browser.new_browser_cdp_session()
        told = await session.send("SystemInfo.getProcessInfo")
        await session.detach()
        return [process["id"] for process in told["processInfo"] if process["type"] == "renderer"]


class WatchedPage:
    """A page and what went wrong on it: console errors, uncaught exceptions, CSP violations."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" or "Content Security Policy" in message.text:
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")


@asynccontextmanager
async def chromium(*, headless: bool = True) -> AsyncIterator[Chromium]:
    """Start a Chromium and end it. Raises NoChromiumError when there is none.

    Looks at CHROMIUM (a path), then at the machine's own, then at the one that playwright installed.
    """
    async with async_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
        if path is None:
            path = playwright.chromium.executable_path
            if shutil.which(path) is None:
                raise NoChromiumError("no Chromium: install it (apt install chromium) or set CHROMIUM")
        # A browser run by root, as in a container, has no sandbox to drop privileges into.
        arguments = [*ARGUMENTS, "--no-sandbox"] if os.geteuid() == 0 else list(ARGUMENTS)
        browser = await playwright.chromium.launch(executable_path=path, headless=headless, args=arguments)
        try:
            yield Chromium(browser)
        finally:
            await browser.close()
