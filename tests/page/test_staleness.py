"""Whatever dies on a sample's way, no picture shows as live what is not: each is told within its bound.

A witness in the page looks at every picture before it is painted, after the page has drawn it, and compares
what stands there with the time since samples came. What the page says is never more than a second behind,
however slow the machine is: a page that stood still for longer says how old all is before it paints anything.
"""

from __future__ import annotations

import math
import os
import signal
from typing import Any

import pytest
from playwright.async_api import Page, expect

from streaming.client import Pacer
from tests.browser import Chromium
from tests.e2e.shell import Shell
from tests.narrow import narrow_path
from tests.page.desk import Desk, stream_of
from tests.page.monitor import monitor
from tests.page.scene import DEADLINE_MS, RATE_HZ, Scene, stop_of
from tests.servers import StartServer

pytestmark = [pytest.mark.server, pytest.mark.browser]

expect.set_options(timeout=DEADLINE_MS)

_WITNESS = """() => {
  const BEHIND_S = 1;
  const now = () => performance.now() / 1000;
  const shows = {
    late: (tile) => tile.querySelector(".age").hasAttribute("data-late"),
    stale: (tile) =>
      /^(stale|lost)$/.test(tile.dataset.state) && tile.querySelector(".hr-val").textContent === "--",
  };
  const bounds = { late: 1, stale: 3 };
  const witness = { lies: [], pictures: 0, oldest: 0, stillest: 0 };
  let samples = -1;
  let cameAt = now();
  let before = now();
  const look = (/* of the picture, not of its end: a page may be stopped in between */ ms) => {
    requestAnimationFrame(look);
    const at = ms / 1000;
    if (window.vital.stats().samples !== samples) {
      samples = window.vital.stats().samples;
      cameAt = now();
    }
    const age = at - cameAt;
    const tile = document.querySelector(".tile");
    for (const [badge, bound] of Object.entries(bounds)) {
      if (age > bound + BEHIND_S && !shows[badge](tile)) witness.lies.push([badge, age, tile.dataset.state]);
    }
    const answers = document.querySelector(".conn").dataset.phase === "online";
    // The last word may have come a little behind the last samples.
    const isDue = window.isCut && age > bounds.stale + 1.5 * BEHIND_S;
    if (isDue && answers) witness.lies.push(["connection", age]);
    witness.pictures++;
    witness.oldest = Math.max(witness.oldest, age);
    witness.stillest = Math.max(witness.stillest, at - before);
    before = at;
  };
  window.witness = witness;
  requestAnimationFrame(look);
}"""
_OLD = "() => window.witness.oldest > 5"
"""Until then, the bounds are past."""


async def _lies(page: Page) -> list[Any]:
    """What was painted as if it were fresh, once everything must say that it is not."""
    await page.wait_for_function(_OLD)
    lies: list[Any] = await page.evaluate("window.witness.lies")
    return lies


async def test_a_source_that_is_killed(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page = await ward.open()
    async with monitor(ward.server.ws_url, bed) as source:
        await stop_of(page, bed.stream, round(2 * RATE_HZ))
        await expect(page.locator(".tile")).to_have_attribute("data-state", "live")
        await page.evaluate(_WITNESS)
        source.kill()
        assert await _lies(page) == []
    await expect(page.locator(".tile .wave-note")).to_have_text("no data")
    await expect(page.locator(".conn b")).to_have_text("Connected")


async def test_a_server_that_is_killed(daphne: StartServer, chromium: Chromium) -> None:
    # Over 10 s: a server of its own.
    server = daphne()
    with Shell(server) as shell:
        ward = Scene(server, shell, chromium)
        bed = ward.admit("monitor")
        page = await ward.open()
        async with monitor(server.ws_url, bed):
            await stop_of(page, bed.stream, round(2 * RATE_HZ))
            await page.evaluate(_WITNESS)
            await page.evaluate("window.isCut = true")
            server.kill()
            await expect(page.locator(".offline")).to_be_visible()
            assert await _lies(page) == []
        await expect(page.locator(".tile .rend")).to_have_attribute("data-level", "0")


async def test_a_network_that_carries_nothing_any_more(ward: Scene) -> None:
    # Over 10 s: after 8 s of silence the page gives the connection up.
    bed = ward.admit("monitor")
    async with narrow_path(ward.server.url, math.inf) as path, monitor(ward.server.ws_url, bed):
        page = await ward.open(url=path.url)
        await stop_of(page, bed.stream, round(2 * RATE_HZ))
        await page.evaluate(_WITNESS)
        await page.evaluate("window.isCut = true")
        path.bytes_per_s = 1e-6  # connections stay open, as where a cable is pulled
        assert await _lies(page) == []
        await expect(page.locator(".offline")).to_be_visible()
        path.bytes_per_s = math.inf
        await path.cut()
        await expect(page.locator(".tile")).to_have_attribute("data-state", "live")


async def test_a_tab_that_is_frozen(ward: Scene, chromium: Chromium) -> None:
    # What a browser says to a page before it freezes it is in test_parts; here it says nothing.
    desk = Desk()
    page = await ward.open(answer=desk)
    desk.samples(1, 2)
    vitals = {"stream": stream_of(1), "epoch": 1, "sample": 480, "hr": 71, "hr_source": "II"}
    desk.tell({"type": "vitals", **vitals})
    await expect(page.locator(".hr-val").first).to_have_text("71")
    await page.evaluate(_WITNESS)
    renderers = await chromium.renderers()
    for pid in renderers:
        os.kill(pid, signal.SIGSTOP)
    try:
        await Pacer().until(5.0)  # for so long nothing of the page runs
    finally:
        for pid in renderers:
            os.kill(pid, signal.SIGCONT)
    assert await _lies(page) == []
    assert await page.evaluate("window.witness.stillest") > 4.5, "it was frozen"
