"""A day of one patient on the review page: out to the day, in to a beat, and what that does to live viewers.

Daphne serves; the history holds a day of three leads at 250 Hz, ten simulated minutes over and over, while
simulated devices send live. A signed-in Chromium zooms: from a key pressed to the whole window drawn out of
what the server has answered, by the page's clock. Each step goes to what the page does not hold: another
lead, another time of the day. Meanwhile a viewer in this process watches all patients: from the SDK's
hand-over of a chunk to its frame decoded, in turns with the page at rest, with the page zooming, and with the
page at rest while a client that draws nothing asks what the zooming page did, as often: in a process of its
own that gives way to all others. So what the server's answers take of live is told from what a browser takes
that draws on the server's own cores.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import time
from asyncio.subprocess import PIPE, Process
from bisect import bisect_left
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from playwright.async_api import Page, WebSocket

from bench.support.page import Bed, Ward, ward
from bench.support.report import Figure, at_most, parser, report
from streaming.client import Frame, Viewer

PATIENTS = 8
RATE_HZ = 250.0
DAY_MIN = 1440
LEADS = ("II", "V1", "V5")
STRETCH_S = 10.0
ROUNDS = 2
WARM_UP_S = 5.0
NICE = 10
_STORE = """
import json
from tests.store import pasts
print(json.dumps(pasts.a_past({stream!r}, minutes_long={minutes}, leads={leads}, number=0)))
"""
_TOKEN = """
from django.contrib.auth import get_user_model
from streaming.models import Ward
from streaming.store import tokens
user = get_user_model().objects.get(username="bench")
print(tokens.issue_api_token(user, "bench", Ward.objects.all(), actor="bench").text)
"""
_ZOOM = """async ({ key, wheel, shows }) => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const box = document.querySelector(".zoom-box");
  const canvas = box.querySelector("canvas");
  const { left, top, width } = box.getBoundingClientRect();
  const began = performance.now();
  if (key) document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  else {
    const at = { clientX: left + wheel.at * width, clientY: top + 9 };
    box.dispatchEvent(new WheelEvent("wheel", { deltaY: wheel.by, cancelable: true, ...at }));
  }
  do await frame();
  while (canvas.dataset.whole === undefined || canvas.dataset.shows !== shows);
  return performance.now() - began;
}"""
_OTHER_LEAD = (
    """() => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "l", bubbles: true }))"""
)


class Watcher:
    """A viewer of all patients, and how late each frame was."""

    def __init__(self, beds: Ward, token: str) -> None:
        self._beds = {bed.name: bed for bed in beds.beds}
        self._token = token
        self._url = beds.server.ws_url
        self.late_ms: list[float] = []

    async def watch(self) -> None:
        """Until cancelled."""
        async with Viewer(self._url, token=self._token) as viewer:
            await viewer.subscribe(self._beds)
            async for event in viewer:
                if isinstance(event, Frame) and event.live and (bed := self._beds.get(event.stream)):
                    self._note(bed, event.first + event.samples.shape[1], time.time())

    def _note(self, bed: Bed, stop: int, at: float) -> None:
        place = bisect_left(bed.handed_over, (stop, 0.0))
        if place < len(bed.handed_over):
            self.late_ms.append(1000 * (at - bed.handed_over[place][1]))

    async def during(self, work: Awaitable[object]) -> list[float]:
        """What comes as long as that takes."""
        self.late_ms = []
        await work
        return self.late_ms


class Questions:
    """Counts what a page asks of the past."""

    def __init__(self, page: Page) -> None:
        self.count = 0
        page.on("websocket", self._open)

    def _open(self, socket: WebSocket) -> None:
        socket.on("framesent", self._sent)

    def _sent(self, text: str | bytes) -> None:
        self.count += isinstance(text, str) and '"type":"review"' in text


@dataclass(slots=True)
class Late:
    """How late live frames were, in ms."""

    rest: list[float] = field(default_factory=list)
    zooming: list[float] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    """While a client that draws nothing asks."""


async def out_and_in(page: Page, rng: random.Random) -> tuple[float, float]:
    """To the day, then to a beat somewhere in it, both in ms."""
    await page.evaluate(_OTHER_LEAD)
    out = await page.evaluate(_ZOOM, {"key": "Home", "shows": "overview"})
    wheel = {"by": -3500, "at": rng.uniform(0.3, 0.98)}
    return out, await page.evaluate(_ZOOM, {"wheel": wheel, "shows": "wave"})


async def measure(beds: Ward, trials: int) -> list[Figure]:
    """The figures."""
    stream = beds.beds[0].name
    beds.server.python(_STORE.format(stream=stream, minutes=DAY_MIN, leads=LEADS))
    token = beds.server.python(_TOKEN).split()[-1]
    rng = random.Random(1)
    watcher = Watcher(beds, token)
    watching = asyncio.create_task(watcher.watch())
    late, questions, answers = Late(), 0, 0
    try:
        watched = await beds.browser.page(viewport={"width": 1920, "height": 1080})
        page = watched.page
        asked = Questions(page)
        await page.goto(f"{beds.url}/patients/{stream}/review/")
        await page.fill("#id_username", "bench")
        await page.fill("#id_password", beds.password)
        await page.click("button[type=submit]")
        await page.click('.review [data-hours="24"]')
        await page.click('.review [data-mode="zoom"]')
        await page.wait_for_selector(".zoom-box canvas[data-whole]")
        await asyncio.sleep(WARM_UP_S)
        times = [await out_and_in(page, rng) for _ in range(trials)]
        for _ in range(ROUNDS):
            late.rest += await watcher.during(asyncio.sleep(STRETCH_S))
            before = asked.count
            late.zooming += await watcher.during(_zoom_on(page, rng))
            questions += (count := asked.count - before)
            asker = await _asker(beds.server.ws_url, token, stream, count / 2 / STRETCH_S)
            late.asked += await watcher.during(asker.wait())
            answers += await _answers(asker)
        beds.check(watched)
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    outs, ins = np.array(times).T
    against = f"a day of {len(LEADS)} leads at {RATE_HZ:g} Hz, {PATIENTS} patients live, {beds.rendering}"
    rest, zooming, asking_ms = (
        float(np.percentile(some, 95)) for some in (late.rest, late.zooming, late.asked)
    )
    return [
        Figure("zoom out to a day, median", float(np.median(outs)), "ms", against=f"of {trials}"),
        at_most("zoom out to a day, longest", float(outs.max()), 300, "ms", against=against),
        Figure("zoom in to a beat, median", float(np.median(ins)), "ms", against=f"of {trials}"),
        at_most("zoom in to a beat, longest", float(ins.max()), 300, "ms", against=against),
        Figure("live, device to a viewer, p95, page at rest", rest, "ms", against=f"{len(late.rest)} frames"),
        Figure("the same, a client asks without drawing", asking_ms, "ms", against=f"{answers} answers"),
        at_most("the same, more by", asking_ms - rest, 25, "ms", against="what the answers take of live"),
        Figure("the same, page zooming", zooming, "ms", against=f"{questions} questions"),
        at_most("the same, more by", zooming - rest, 25, "ms", against="browser and server share two cores"),
    ]


async def _zoom_on(page: Page, rng: random.Random) -> None:
    end = time.monotonic() + STRETCH_S
    while time.monotonic() < end:
        await out_and_in(page, rng)


async def _asker(url: str, token: str, stream: str, pairs_s: float) -> Process:
    """A client in a process of its own that asks as many pairs of questions a second, from now on."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.support.asker", url, stream, f"{STRETCH_S}", f"{pairs_s:.3f}", *LEADS),
        stdin=PIPE,
        stdout=PIPE,
        preexec_fn=lambda: os.nice(NICE),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{token}\n".encode())
    await process.stdout.readline()
    return process


async def _answers(asker: Process) -> int:
    """How many it got; RuntimeError when it did not get to its end."""
    output, _ = await asker.communicate()
    if asker.returncode != 0:
        raise RuntimeError(f"the client that asks ended with {asker.returncode}")
    return int(output)


async def main(options: argparse.Namespace) -> int:
    """Start all, measure, report."""
    async with ward(PATIENTS, RATE_HZ, leads=len(LEADS)) as beds:
        figures = await measure(beds, options.trials)
    return report(figures, as_json=options.json)


if __name__ == "__main__":
    choices = parser("A day of one patient: zoom out to a day, in to a beat, live viewers meanwhile.")
    choices.add_argument("--trials", type=int, default=20, help="of each step (default: 20)")
    sys.exit(asyncio.run(main(choices.parse_args())))
