"""One load test from its first connection to its figures."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from streaming.loadtest import local
from streaming.loadtest.crew import Order
from streaming.loadtest.feed import Feed, Patients
from streaming.loadtest.progress import Progress
from streaming.loadtest.report import Outcome
from streaming.loadtest.tally import Tally
from streaming.loadtest.team import Team

SETTLE_S = 2.0
"""Between the last viewer's first frame and the measurement: windows have opened, aliases are known."""
REACH_S = 5.0
"""For a server that is not there on a network that says nothing."""
_EVERY_S = 1.0
_DEVICES_S = 20.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. Without device tokens nothing is fed: viewers watch what their tokens may see."""

    url: str
    viewers: int
    patients: int
    seconds: float
    viewer_tokens: tuple[str, ...] = field(repr=False)
    device_tokens: tuple[str, ...] = field(default=(), repr=False)
    bytes_per_s: float | None = None
    processes: int = 1
    decoders: int = 1
    signal: Patients = field(default_factory=Patients)


async def run(plan: Plan, progress: Progress, stop: asyncio.Event | None = None) -> Outcome:
    """Connect, settle, measure; `stop` ends it early, with the figures so far.

    Raises ConnectionError where nobody, or no device, gets in; ProtocolError where devices are refused.
    """
    stop = stop or asyncio.Event()
    await _reach(plan.url)
    async with _fed(plan) as feed:
        origins = {}
        if feed is not None:
            feed.begin()
            origins = feed.origins()
        order = Order(
            plan.url,
            plan.viewers,
            plan.viewer_tokens,
            tuple(origins),
            plan.patients,
            plan.bytes_per_s,
            plan.decoders,
            origins,
        )
        async with Team(order, plan.processes) as team:
            await _settle(team, progress, stop)
            return await _measure(plan, team, feed, progress, stop)


async def _reach(url: str) -> None:
    """Raise ConnectionError where nobody listens: viewers and devices would try again and again."""
    place = urlsplit(url)
    port = place.port or (443 if place.scheme == "wss" else 80)
    try:
        async with asyncio.timeout(REACH_S):
            _, writer = await asyncio.open_connection(place.hostname, port)
    except TimeoutError:
        raise ConnectionError(f"{place.netloc} does not answer within {REACH_S:g} s") from None
    except OSError as error:
        raise ConnectionError(f"nobody listens at {place.netloc}: {error.strerror or error}") from None
    writer.close()


@asynccontextmanager
async def told_to_stop() -> AsyncIterator[asyncio.Event]:
    """An event that Ctrl-C or SIGTERM sets, in place of what they do otherwise."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _settle(team: Team, progress: Progress, stop: asyncio.Event) -> None:
    """Until every viewer has had a frame, or has failed and is being tried again; then a moment more."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not stop.is_set():
        is_settled, tally = await team.settling()
        progress.connecting(loop.time() - began, tally.connected)
        if is_settled:
            if not tally.connected:
                reasons = ", ".join(tally.refused or tally.closes) or "no stream has frames"
                raise ConnectionError(f"no viewer gets a frame: {reasons}")
            await _pause(stop, SETTLE_S)
            break
        await _pause(stop, _EVERY_S)
    progress.clear()


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    """So long, or until it is told to stop."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def _measure(
    plan: Plan, team: Team, feed: Feed | None, progress: Progress, stop: asyncio.Event
) -> Outcome:
    loop = asyncio.get_running_loop()
    parts = urlsplit(plan.url)
    server = local.server_at(parts.hostname or "", parts.port or 0)
    if feed is not None:
        feed.late_s = 0.0
    await team.begin()
    began, cpu_s = loop.time(), None if server is None else local.cpu_seconds(server)
    tally = Tally()
    while (left_s := began + plan.seconds - loop.time()) > 0 and not stop.is_set():
        await _pause(stop, min(_EVERY_S, left_s))
        if feed is not None:
            feed.check()
        tally = await team.count()
        progress.update(loop.time() - began, tally)
    after_s = None if server is None else local.cpu_seconds(server)
    progress.clear()
    return Outcome(
        viewers=plan.viewers,
        patients=plan.patients,
        seconds=loop.time() - began,
        tally=tally,
        bytes_per_s=plan.bytes_per_s,
        server_cpu_s=None if cpu_s is None or after_s is None else after_s - cpu_s,
        feed_late_s=None if feed is None else feed.late_s,
        device_reconnects=0 if feed is None else feed.reconnects,
        was_stopped=stop.is_set(),
    )


@asynccontextmanager
async def _fed(plan: Plan) -> AsyncIterator[Feed | None]:
    if not plan.device_tokens:
        yield None
        return
    feed = Feed(plan.url, plan.device_tokens, plan.signal)
    try:
        async with asyncio.timeout(_DEVICES_S):
            await feed.__aenter__()
    except TimeoutError:
        raise ConnectionError(f"the devices do not get in within {_DEVICES_S:g} s: {feed.problem}") from None
    try:
        yield feed
    finally:
        await feed.__aexit__()
