"""How soon an alarm is on the screen: from a rhythm's first sample, and from the detector beside BULK.

A real server, devices of this process, and a signed-in Chromium, all on one machine and its clock. An alarm
is shown when the page tells the server so, in the frame after the one in which it was drawn; what a screen
takes to show a painted frame is not included.

Onset to shown: a patient for each lethal alarm, all at once, 30 s of sinus, then the rhythm, in real time.

Detector to paint: the page behind a link that carries live traces and what it missed while nothing came
through, which is BULK. Devices raise alarms of their own; each begins when the desk of the server has it,
before it is stored, as one of the analysis does. They are of medium severity, so that they end without
anybody who acknowledges them; on the way all alarms are CRITICAL.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Page

from bench.support.page import VIEWPORT
from bench.support.report import Figure, at_least, at_most, parser, report
from streaming.client import AlarmSeverity, Device, Pacer
from streaming.client.playback import play, simulated, simulated_leads
from streaming.ecg.alarms import TRAITS, AlarmKind
from streaming.ecg.leads import TWELVE_LEADS
from streaming.ecg.simulator import Simulator
from tests.alarm_onsets import RHYTHMS
from tests.browser import Chromium, chromium
from tests.e2e.shell import Shell
from tests.page.lethal import ASYSTOLE_S, BEYOND_S, Shown, compare_clocks, play_lethal
from tests.page.scene import RATE_HZ, Scene, scene
from tests.servers import ROOT, DaphneServer, Server, migrated

LINK_BYTES_PER_S = 64_000.0
PATIENTS = 8
AWAY_S = 40.0
"""Of the minute that the server keeps of a stream."""
ALARM_EVERY_S = 0.2
ROUNDS = 6
"""At most: another one as long as there are too few alarms."""
LATEST_S = 0.25
PATIENCE_MS = 20_000
_BEGUN = (
    "(patients) => Object.values(window.vital.stats().drawn).filter((stop) => stop > 0).length === patients"
)
_AWAY = "() => window.vital.stats().phase !== 'online'"
_ONLINE = "() => window.vital.stats().phase === 'online'"
_MISSING = "(patients) => window.vital.streams().filter(({ spans }) => spans.length > 1).length === patients"
"""What comes live stands after what the page had: there is a hole until BULK has filled it."""
_STATE = """() => ({
  holes: window.vital.streams().reduce((sum, { spans }) => sum + spans.length - 1, 0),
  bytes: window.vital.stats().bytes,
  shown: window.vital.probe.alarms.map(({ text }) => text),
})"""
_DISPLAYED = """(names) => {
  const shown = new Set(window.vital.probe.alarms.map(({ text }) => text));
  return names.every((name) => shown.has(name));
}"""
_TOLD = "() => window.vital.probe.alarms.splice(0)"


async def onsets(server: Server, browser: Chromium, leads: tuple[str, ...], seeds: int) -> list[Figure]:
    """The figures of each lethal alarm, over so many repetitions."""
    shown: list[Shown] = []
    for seed in range(seeds):
        async with scene(server, browser) as ward:
            shown += await play_lethal(ward, leads, 1 + 10 * seed)
    return [figure for kind in RHYTHMS for figure in _of_kind(kind, shown, leads)]


def _of_kind(kind: AlarmKind, shown: Sequence[Shown], leads: tuple[str, ...]) -> list[Figure]:
    mine = [alarm for alarm in shown if alarm.kind is kind]
    times = ", ".join(f"{alarm.shown_s:.2f}" for alarm in mine)
    title, conditions = TRAITS[kind].title, f"{len(leads)} leads, a page at rest; each: {times}"
    latest = max(alarm.shown_s for alarm in mine)
    figures = [
        Figure(f"{title}: its rule could first hold, latest", max(alarm.due_s for alarm in mine), "s"),
        Figure(
            f"{title}: raised to shown, longest",
            1000 * max(alarm.shown_s - alarm.raised_s for alarm in mine),
            "ms",
        ),
    ]
    if kind is AlarmKind.ASYSTOLE:
        return [*figures, at_most(f"{title}: onset to shown", latest, ASYSTOLE_S, "s", against=conditions)]
    beyond = max(alarm.shown_s - alarm.due_s for alarm in mine)
    return [
        *figures,
        Figure(f"{title}: onset to shown", latest, "s"),
        at_most(f"{title}: rule to shown", beyond, BEYOND_S, "s", against=conditions),
    ]


@dataclass(slots=True)
class Burdened:
    """What was seen of alarms while BULK was under way."""

    told: list[dict[str, Any]]
    sent_s: dict[str, float]
    """When the device was given each, by its text."""
    load_bytes: float = 0.0
    load_s: float = 0.0

    def of(self, begins: str, ends: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Milliseconds between two of an alarm's times, of all."""
        return np.array([alarm[ends] - alarm[begins] for alarm in self.told])


async def under_bulk(server: Server, browser: Chromium, alarms: int) -> list[Figure]:
    """The figures of so many alarms that came while the page was sent what it had missed."""
    seen = Burdened([], {})
    async with AsyncExitStack() as stack:
        # No `scene`: a page that is cut off complains.
        ward = Scene(server, stack.enter_context(Shell(server)), browser)
        path = await stack.enter_async_context(_narrow(server))
        devices = await stack.enter_async_context(_patients(ward))
        page = await ward.open("/?probe=1", url=path.url, viewport=VIEWPORT)
        await page.wait_for_function(_BEGUN, arg=PATIENTS)
        for number in range(ROUNDS):
            if len(seen.told) >= alarms:
                break
            await _be_away(page, path)
            await _raise_while_filling(page, devices, seen, alarms, random.Random(number))
        await compare_clocks(page)
    return _figures(seen, alarms)


async def _be_away(page: Page, path: Narrow) -> None:
    """Let nothing through for AWAY_S, and see the page come back."""
    path.process.send_signal(signal.SIGSTOP)
    try:
        await page.wait_for_function(_AWAY)
        await asyncio.sleep(AWAY_S)
    finally:
        path.process.send_signal(signal.SIGCONT)
    # It would come back by itself, but at a time of its own.
    await page.evaluate("dispatchEvent(new Event('online'))")
    await page.wait_for_function(_ONLINE)
    await page.wait_for_function(_MISSING, arg=PATIENTS)


async def _raise_while_filling(
    page: Page, devices: Sequence[Device], seen: Burdened, alarms: int, rng: random.Random
) -> None:
    """An alarm now and then, each until it is shown, while the page misses anything and they are too few."""
    loop = asyncio.get_running_loop()
    began, state = loop.time(), await page.evaluate(_STATE)
    first_bytes = state["bytes"]
    on: dict[str, Device] = {}
    while state["holes"] and len(seen.sent_s) < alarms:
        await asyncio.sleep(rng.uniform(0.5, 1.5) * ALARM_EVERY_S)
        name = f"B{len(seen.sent_s)}"
        on[name] = rng.choice(devices)
        seen.sent_s[name] = time.time()
        await on[name].raise_alarm(name, kind="bench", text=name, severity=AlarmSeverity.MEDIUM)
        state = await page.evaluate(_STATE)
        for shown in on.keys() & set(state["shown"]):
            await on.pop(shown).end_alarm(shown)
    seen.load_s += loop.time() - began
    seen.load_bytes += state["bytes"] - first_bytes
    await page.wait_for_function(_DISPLAYED, arg=list(on), timeout=PATIENCE_MS)
    for name, device in on.items():
        await device.end_alarm(name)
    seen.told += [alarm for alarm in await page.evaluate(_TOLD) if alarm["text"] in seen.sent_s]


@dataclass(frozen=True, slots=True)
class Narrow:
    """A path of LINK_BYTES_PER_S in a process of its own, so that nothing here makes it narrower."""

    url: str
    process: asyncio.subprocess.Process


@asynccontextmanager
async def _narrow(server: Server) -> AsyncIterator[Narrow]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.narrow", server.url, str(LINK_BYTES_PER_S)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Narrow((await process.stdout.readline()).decode().strip(), process)
    finally:
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def _patients(ward: Scene) -> AsyncIterator[list[Device]]:
    """Simulated, in sinus rhythm, twelve leads each, played in real time."""
    async with AsyncExitStack() as stack:
        devices, playing = [], []
        for seed in range(PATIENTS):
            patient = Simulator("sinus", rate_hz=RATE_HZ, leads=TWELVE_LEADS, seed=seed)
            bed = ward.admit(f"monitor-{seed}")
            device = await stack.enter_async_context(ward.device(bed, signals=simulated_leads(patient)))
            await device.wait_connected()
            devices.append(device)
            playing.append(asyncio.create_task(play(device, simulated(patient), Pacer())))
        try:
            yield devices
        finally:
            for task in playing:
                task.cancel()
            await asyncio.gather(*playing, return_exceptions=True)


def _figures(seen: Burdened, alarms: int) -> list[Figure]:
    to_paint = seen.of("raised_ms", "displayed_ms")
    device_ms = np.array([alarm["raised_ms"] - 1000 * seen.sent_s[alarm["text"]] for alarm in seen.told])
    link = f"{LINK_BYTES_PER_S / 1000:g} kB/s"
    conditions = f"{PATIENTS} patients of 12 leads live, and the BULK of {AWAY_S:g} s that were missed"
    used = 100 * seen.load_bytes / seen.load_s / LINK_BYTES_PER_S
    figures = [
        at_least(f"{link} and BULK: alarms", len(to_paint), alarms, "", against=conditions),
        Figure(f"{link} and BULK: link in use by messages", used, "%"),
    ]
    for name, times_ms in (
        ("device to detector", device_ms),
        ("detector to page", seen.of("raised_ms", "told_ms")),
        ("page to paint", seen.of("told_ms", "displayed_ms")),
    ):
        p50, p99 = np.percentile(times_ms, [50, 99])
        figures += [
            Figure(f"{link} and BULK: {name}, median", float(p50), "ms"),
            Figure(f"{link} and BULK: {name}, 99th percentile", float(p99), "ms"),
        ]
    p50, p99 = np.percentile(to_paint, [50, 99])
    return [
        *figures,
        Figure(f"{link} and BULK: detector to paint, median", float(p50), "ms"),
        at_most(
            f"{link} and BULK: detector to paint, 99th percentile",
            float(p99),
            1000 * LATEST_S,
            "ms",
            against=conditions,
        ),
        Figure(f"{link} and BULK: detector to paint, longest", float(to_paint.max()), "ms"),
    ]


async def main(options: argparse.Namespace) -> int:
    """Both parts at one server; report."""
    leads = ("I", "II", "V1") if options.leads == 3 else TWELVE_LEADS
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vital-bench-")))
        server = stack.enter_context(DaphneServer(migrated(directory / "var")))
        async with chromium() as browser:
            figures = []
            if options.repetitions:
                figures += await onsets(server, browser, leads, options.repetitions)
            if options.alarms:
                figures += await under_bulk(server, browser, options.alarms)
    return report(figures, as_json=options.json)


if __name__ == "__main__":
    choices = parser("How soon an alarm is painted in Chromium: after its rhythm's onset, and beside BULK.")
    choices.add_argument("--repetitions", type=int, default=3, help="of the onsets (default: 3; 0: none)")
    choices.add_argument("--leads", type=int, default=3, choices=(3, 12), help="of the onsets (default: 3)")
    choices.add_argument("--alarms", type=int, default=200, help="raised beside BULK (default: 200; 0: none)")
    sys.exit(asyncio.run(main(choices.parse_args())))
