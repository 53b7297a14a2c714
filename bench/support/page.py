"""A ward for the benches of the page: a server, simulated devices in this process, a signed-in Chromium."""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from playwright.async_api import TimeoutError as TookTooLongError
from playwright.async_api import ViewportSize

from streaming.client import Device, Pacer, Source
from streaming.client.playback import CHUNK_S, play, simulated, simulated_leads
from streaming.ecg.codec import Samples
from streaming.ecg.leads import TWELVE_LEADS
from streaming.ecg.rhythms import WARD_RHYTHMS
from streaming.ecg.simulator import Simulator
from tests.browser import Chromium, WatchedPage, chromium
from tests.servers import DaphneServer, migrated

VIEWPORT = ViewportSize(width=1920, height=1080)
READY_MS = 120_000
_USER = "bench"
_LEADS = ("II", *(name for name in TWELVE_LEADS if name != "II"))
_ADMIT = """
import json
from django.contrib.auth import get_user_model
from streaming.core.streams import Source
from streaming.models_layout import BedsPerPage
from streaming.store.feeds import ensure_feed
from streaming.store.layouts import Layout, save
user = get_user_model().objects.create_superuser({user!r}, password={password!r})
save(user.pk, Layout(per_page=BedsPerPage.MANY if {patients} > BedsPerPage.FEW else BedsPerPage.FEW))
beds = [ensure_feed("Bench", f"Bench {{n:02}}", f"bench-{{n:02}}", Source.SIM) for n in range({patients})]
print(json.dumps([[bed.stream, bed.token] for bed in beds]))
"""
_SHOWN = """(patients) => {
  const { vital } = window;
  const drawn = Object.values(vital?.stats().drawn ?? {});
  return vital?.streams().length === patients && drawn.length > 0 && drawn.every((stop) => stop > 0);
}"""


class Bed(Device):
    """A device that feeds one simulated patient, and remembers when it was given which samples."""

    def __init__(self, url: str, stream: str, token: str, patient: Simulator) -> None:
        signals = simulated_leads(patient)
        super().__init__(url, token, signals=signals, rate_hz=patient.rate_hz, source=Source.SIM)
        self.name = stream
        self.patient = patient
        self.handed_over: list[tuple[int, float]] = []
        """Index after a chunk's last sample, and the seconds since 1970 when `send` was called with it."""
        self.joined_after = 0
        """Reconnects until all were there: at the start many knock at once."""

    async def send(self, samples: Samples) -> None:
        """As the SDK's."""
        at = time.time()
        await super().send(samples)
        self.handed_over.append((self.next_sample, at))

    async def feed(self, wait_s: float) -> None:
        """Play without end, beginning after `wait_s`."""
        await asyncio.sleep(wait_s)
        await play(self, simulated(self.patient), Pacer())


@dataclass(frozen=True, slots=True)
class Ward:
    """What runs: the server at `url`, the beds, and the browser, which draws as `rendering` says."""

    url: str
    server: DaphneServer
    beds: Sequence[Bed]
    browser: Chromium
    rendering: str
    password: str

    async def open(self, path: str) -> WatchedPage:
        """Sign in and go to `path` in a new context of VIEWPORT's size; every trace on it has begun."""
        watched = await self.browser.page(viewport=VIEWPORT)
        page = watched.page
        page.set_default_timeout(READY_MS)
        await page.goto(self.url + path)
        await page.fill("#id_username", _USER)
        await page.fill("#id_password", self.password)
        await page.click("button[type=submit]", no_wait_after=True)
        try:
            await page.wait_for_function(_SHOWN, arg=len(self.beds), timeout=READY_MS)
        except TookTooLongError as error:
            raise RuntimeError(f"the traces did not begin; the page: {watched.complaints}") from error
        return watched

    def check(self, watched: WatchedPage) -> None:
        """RuntimeError when a device lost its connection or the page complained: no fair measurement."""
        lost = [bed.name for bed in self.beds if bed.reconnects > bed.joined_after or not bed.connected]
        if lost or watched.complaints:
            raise RuntimeError(f"devices that lost their connection: {lost}; the page: {watched.complaints}")


@asynccontextmanager
async def ward(patients: int, rate_hz: float, leads: int) -> AsyncIterator[Ward]:
    """Start all of it, feed it in chunks of CHUNK_S, and end it whatever happens, also on SIGTERM.

    All are on one page of the ward, up to 32. They take turns in the rhythms of WARD_RHYTHMS. They begin
    spread evenly over a chunk's length, as devices that know nothing of each other do.
    """
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    password = token_urlsafe(16)
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(DaphneServer(migrated(directory / "var")))
        admitted = json.loads(server.python(_ADMIT.format(user=_USER, password=password, patients=patients)))
        beds = [
            Bed(
                server.ws_url,
                stream,
                token,
                Simulator(rhythm, rate_hz=rate_hz, leads=_LEADS[:leads], seed=seed),
            )
            for seed, (rhythm, (stream, token)) in enumerate(
                zip(islice(cycle(WARD_RHYTHMS), patients), admitted, strict=True)
            )
        ]
        for bed in beds:
            await stack.enter_async_context(bed)
        for bed in beds:
            await bed.wait_connected()
        for bed in beds:
            bed.joined_after = bed.reconnects
        browser = await stack.enter_async_context(chromium())
        await stack.enter_async_context(
            _running([bed.feed(CHUNK_S * at / patients) for at, bed in enumerate(beds)])
        )
        yield Ward(server.url, server, beds, browser, await _rendering(browser), password)


async def _rendering(chromium: Chromium) -> str:
    devtools = await chromium.browser.new_browser_cdp_session()
    features = (await devtools.send("SystemInfo.getInfo"))["gpu"]["featureStatus"]
    await devtools.detach()
    return "software rendering" if features["gpu_compositing"].startswith("disabled") else "GPU rendering"


@asynccontextmanager
async def _running(work: Sequence[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Each of them as a task while the body runs."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
