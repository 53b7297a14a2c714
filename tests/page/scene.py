"""A ward for one test: a server, devices of this process, and a browser in which somebody is signed in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from playwright.async_api import Page, WebSocketRoute

from streaming.client import Device
from streaming.core.streams import Lead, Source
from tests.browser import Chromium, WatchedPage
from tests.e2e.shell import Shell
from tests.servers import Server

PASSWORD = "correct horse battery"
DEADLINE_MS = 20_000
"""What a test waits for at most; several times what two busy cores take."""
LEAD = Lead("II", 5.0)
RATE_HZ = 250.0
Answer = Callable[[WebSocketRoute], None]
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Bed:
    """An open admission: its stream, and the token of its device."""

    stream: str
    token: str


class Scene:
    """One ward of its own on a shared server, an annex without beds, and one person who may see both."""

    def __init__(self, server: Server, shell: Shell, chromium: Chromium) -> None:
        number = next(_numbers)
        self.server = server
        self.ward = f"Ward {number}"
        self.annex = f"Ward {number} annex"
        self.user = f"nurse{number}"
        self._shell = shell
        self._chromium = chromium
        self._pages: list[WatchedPage] = []
        self._expected: list[str] = []
        shell.run("employ", self.user, self.ward, self.annex, password=PASSWORD)

    def admit(self, name: str, source: str = "SIM", *, ward: str | None = None) -> Bed:
        """A patient in the next bed of the ward, or of another one."""
        return Bed(**self._shell.run("admit", f"{self.user}-{name}", ward or self.ward, source))

    def device(
        self,
        bed: Bed,
        *,
        signals: Sequence[Lead] = (LEAD,),
        rate_hz: float = RATE_HZ,
        source: Source = Source.SIM,
    ) -> Device:
        """The device of a bed, to be entered."""
        return Device(self.server.ws_url, bed.token, signals=signals, rate_hz=rate_hz, source=source)

    def colleague(self, *wards: str) -> str:
        """The name of another user, who sees these wards."""
        name = f"{self.user}-{next(_numbers)}"
        self._shell.run("employ", name, *wards, password=PASSWORD)
        return name

    def allow(self, *codenames: str) -> None:
        """Give the scene's user these permissions."""
        self._shell.run("allow", self.user, *codenames)

    def store_past(self, bed: Bed, minutes_long: int, *leads: str, calm: bool = False) -> dict[str, float]:
        """A past of a bed, as `tests.store.pasts.a_past` makes it; when it was."""
        past: dict[str, float] = self._shell.run("store_past", bed.stream, minutes_long, *leads, calm=calm)
        return past

    def journal(self, alarm: str) -> list[dict[str, Any]]:
        """The steps that are stored of an alarm."""
        steps: list[dict[str, Any]] = self._shell.run("journal", alarm)
        return steps

    async def open(
        self,
        path: str = "/",
        *,
        state: str = "online",
        answer: Answer | None = None,
        script: str | None = None,
        user: str | None = None,
        url: str | None = None,
        **context: Any,
    ) -> Page:
        """Sign in and go to `path`; returns when the page's connection is in `state`.

        With `answer`, the page's WebSocket ends there, and not at the server. `script` runs before any of the
        page's own. `user`: the scene's by default.
        `url`: of something on the way to the server, where the page is to go through it.
        """
        watched = await self._chromium.page(**{"viewport": {"width": 1280, "height": 800}, **context})
        self._pages.append(watched)
        page = watched.page
        page.set_default_timeout(DEADLINE_MS)
        if answer is not None:
            await page.route_web_socket("**/ws/viewer/", answer)
        if script is not None:
            await page.add_init_script(script)
        await page.goto((url or self.server.url) + path)
        await page.fill("#id_username", user or self.user)
        await page.fill("#id_password", PASSWORD)
        await page.click("button[type=submit]")
        await page.wait_for_function("(state) => window.vital?.stats().phase === state", arg=state)
        return page

    def expect_complaint(self, words: str) -> None:
        """A page may complain in these words: a browser does of each refusal, which the test is about."""
        self._expected.append(words)

    def check(self) -> None:
        """No page complained: no console error, no uncaught exception, nothing against the CSP."""
        for watched in self._pages:
            told = watched.complaints
            assert [one for one in told if not any(words in one for words in self._expected)] == []


@asynccontextmanager
async def scene(server: Server, chromium: Chromium) -> AsyncIterator[Scene]:
    """A scene; at its end no page may have complained."""
    with Shell(server) as shell:
        made = Scene(server, shell, chromium)
        yield made
        made.check()


async def stop_of(page: Page, stream: str, at_least: int) -> None:
    """Wait until the page has decoded and drawn samples up to this index."""
    await page.wait_for_function(
        "([stream, stop]) => window.vital.stats().drawn[stream] >= stop", arg=[stream, at_least]
    )


async def traced(
    page: Page,
    selector: str,
    left: float = 0.0,
    right: float = 1.0,
    *,
    token: str = "--trace",
    rows: tuple[float, float] = (0.0, 1.0),
) -> int:
    """Pixel columns with the colour of `token`, in the part of the canvas between shares of its size."""
    # The hatch is hardly lighter than the grid; a line's colour is met nowhere but at its middle.
    tolerance = 8 if token == "--hatch" else 24
    columns: int = await page.evaluate(_TRACED, [selector, left, right, token, *rows, tolerance])
    return columns


_TRACED = """([selector, left, right, token, top, bottom, tolerance]) => {
  const canvas = document.querySelector(selector + " canvas.trace");
  const from = Math.floor(left * canvas.width);
  const wide = Math.floor(right * canvas.width) - from;
  const over = Math.floor(top * canvas.height);
  const high = Math.floor(bottom * canvas.height) - over;
  const { data } = canvas.getContext("2d").getImageData(from, over, wide, high);
  const hex = getComputedStyle(document.documentElement).getPropertyValue(token).trim();
  const colour = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  let columns = 0;
  for (let x = 0; x < wide; x++) {
    for (let y = 0; y < high; y++) {
      const at = 4 * (y * wide + x);
      if (colour.every((value, channel) => Math.abs(data[at + channel] - value) < tolerance)) {
        columns++;
        break;
      }
    }
  }
  return columns;
}"""
