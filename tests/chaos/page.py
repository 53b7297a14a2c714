"""A real page in a real browser: its renderer, or the whole browser, is killed, and it is opened again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from contextlib import AsyncExitStack
from typing import Any

from playwright.async_api import BrowserContext, Error, Page

from tests.browser import Chromium, chromium
from tests.chaos.balancer import Balancer
from tests.chaos.book import CLOSED, Book

PAGE, BROWSER = "page", "browser"
OPEN_DEADLINE_MS = 20_000
_WATCH = """(() => {
  let shown = new Set();
  setInterval(() => {
    const alarms = window.vital?.alarms() ?? [];
    const now = new Set(alarms.map(({ key }) => key).filter((key) => !key.startsWith("own ")));
    const drew = [...now].filter((key) => !shown.has(key));
    const removed = [...shown].filter((key) => !now.has(key));
    shown = now;
    if (drew.length || removed.length) window.chaosSays(drew, removed);
  }, 50);
})()"""
"""Says what the page draws as new, and what it takes away."""


class OpenPage:
    """Somebody signed in, whose page shows alarms; what it draws is kept in the book."""

    name = "page"

    def __init__(self, at: Balancer, user: str, password: str, book: Book) -> None:
        self._at = at
        self._user, self._password = user, password
        self._book = book
        self._browser_ends = AsyncExitStack()
        self._chromium: Chromium | None = None
        self._context: BrowserContext | None = None

    async def start(self, stack: AsyncExitStack) -> None:
        """Start the browser, and open the page; both end with `stack`."""
        stack.push_async_callback(self._end_browser)
        await self._start_browser()

    async def kill(self, kind: str) -> None:
        """SIGKILL for the page's renderers, or for the browser; then open the page again."""
        assert self._chromium is not None
        session = await self._chromium.browser.new_browser_cdp_session()
        processes = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
        wanted = "browser" if kind == BROWSER else "renderer"
        for process in processes:
            # One that is only being started has the id 0: to `kill`, that is this process and all its group.
            if process["type"] == wanted and process["id"] > 0:
                with contextlib.suppress(ProcessLookupError):  # of a page closed before
                    os.kill(process["id"], signal.SIGKILL)
        if kind == BROWSER:
            await self._end_browser()
            await self._start_browser()
        else:
            await self._open()

    async def _start_browser(self) -> None:
        self._browser_ends = AsyncExitStack()
        self._chromium = await self._browser_ends.enter_async_context(chromium())
        self._context = await self._chromium.browser.new_context()
        await self._context.expose_binding("chaosSays", self._says)
        await self._context.add_init_script(_WATCH)
        await self._open()

    async def _end_browser(self) -> None:
        await self._browser_ends.aclose()

    async def _open(self) -> None:
        """In place of the pages that there were; again and again while no server answers."""
        context = self._context
        assert context is not None
        while True:
            for old in context.pages:
                await old.close()
            self._book.begin(self.name)
            page = await context.new_page()
            page.set_default_timeout(OPEN_DEADLINE_MS)
            try:
                await self._sign_in(page)
            except Error:
                await asyncio.sleep(0.5)  # no server lives, or it died meanwhile
            else:
                return

    async def _sign_in(self, page: Page) -> None:
        await page.goto(self._at.url)
        if await page.locator("#id_username").count():
            await page.fill("#id_username", self._user)
            await page.fill("#id_password", self._password)
            await page.click("button[type=submit]")
        await page.wait_for_function("() => window.vital !== undefined")

    def _says(self, source: dict[str, Any], drew: list[str], removed: list[str]) -> None:
        now = time.monotonic()
        if source["page"].is_closed():
            return
        for alarm in drew:
            self._book.drew(self.name, alarm, now)
        for alarm in removed:
            self._book.removed(self.name, alarm, now, CLOSED)


class PagePart:
    """One way in which the page can die."""

    def __init__(self, page: OpenPage, kind: str, turn: asyncio.Lock) -> None:
        self._page = page
        self._kind = kind
        self._turn = turn

    async def die_and_return(self) -> None:
        """As the protocol has it; after the other way, where both are due."""
        async with self._turn:
            await self._page.kill(self._kind)
