"""Each part is killed or stopped while a stream runs: no hidden gap, nothing wrong or twice, nobody deaf."""

from __future__ import annotations

import asyncio
import math
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest

from streaming.client import Device
from tests.e2e.cluster import Cluster
from tests.e2e.witness import RATE_HZ, Witness, numbered_device, witness
from tests.narrow import NarrowPath, narrow_path
from tests.servers import ROOT, Server

pytestmark = [pytest.mark.server, pytest.mark.valkey]

SECOND = int(RATE_HZ)
INTERRUPTION_S = 2.0
NARROW_BYTES_PER_S = 8000.0
TAKEOVER_S = 5.0
"""Until a device that lost its process streams at another: its own jitter, up to 1.5 s, and a second's wait
for an answer."""


class ProxyProcess:
    """A buffering path of 8 kB/s in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self._process = process
        self.url = url

    def signal(self, number: int) -> None:
        """Signal this process and no other."""
        self._process.send_signal(number)

    async def wait(self) -> None:
        """Until it is gone."""
        await self._process.wait()


@asynccontextmanager
async def proxy_to(server: Server) -> AsyncIterator[ProxyProcess]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.narrow", server.url, str(NARROW_BYTES_PER_S), "buffering"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        url = (await process.stdout.readline()).decode().strip()
        yield ProxyProcess(process, url.replace("http", "ws", 1))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@dataclass(frozen=True, slots=True)
class Scene:
    """A patient at the first process, whom somebody watches at each; paths that may lead elsewhere."""

    parts: Cluster
    feed: Device
    near: Witness
    far: Witness
    to_feed: NarrowPath
    to_near: NarrowPath
    to_far: NarrowPath

    @property
    def witnesses(self) -> tuple[Witness, Witness]:
        return self.near, self.far

    async def all_go_on(self) -> None:
        """Everybody is sent what the patient will have sent in a second."""
        sample = self.feed.next_sample + SECOND
        await asyncio.gather(*(seen.reaches(sample) for seen in self.witnesses))

    def one_epoch(self) -> None:
        """The session never began anew."""
        assert {epoch for seen in self.witnesses for epoch in seen.epochs} == {self.feed.epoch}
        assert self.feed.abandoned_samples == 0


@asynccontextmanager
async def scene(parts: Cluster, name: str) -> AsyncIterator[Scene]:
    bed = (await parts.shell.do("admit", name)).result
    async with AsyncExitStack() as stack:
        paths = [
            await stack.enter_async_context(narrow_path(server.url, math.inf))
            for server in (parts.first, parts.first, parts.second)
        ]
        feed = await stack.enter_async_context(numbered_device(paths[0].ws_url, bed["token"]))
        near, far = [
            await stack.enter_async_context(witness(path.ws_url, parts.token, bed["stream"]))
            for path in paths[1:]
        ]
        made = Scene(parts, feed, near, far, *paths)
        await made.all_go_on()
        yield made
        await made.all_go_on()


async def test_a_device_whose_process_was_killed_goes_on_at_the_other(parts: Cluster) -> None:
    async with scene(parts, "killed") as at:
        at.far.forget_pause()
        parts.first.kill()
        await at.to_feed.lead_to(parts.second.url)
        await at.to_near.lead_to(parts.second.url)
        await at.all_go_on()
        assert at.far.longest_s < TAKEOVER_S
        assert at.far.disconnects == 0
        at.one_epoch()
        await asyncio.to_thread(parts.first.start)


async def test_a_process_that_was_stopped_finds_its_stream_taken(parts: Cluster) -> None:
    async with scene(parts, "frozen") as at:
        os.kill(parts.first.pid, signal.SIGSTOP)
        try:
            await at.to_feed.lead_to(parts.second.url)
            await at.far.reaches(at.feed.next_sample + SECOND)
            assert at.far.disconnects == 0
        finally:
            os.kill(parts.first.pid, signal.SIGCONT)
        await at.all_go_on()
        at.one_epoch()
        assert at.feed.reconnects == 1


async def test_behind_a_proxy_that_buffers_without_bound_and_is_stopped_and_killed(parts: Cluster) -> None:
    async with scene(parts, "behind a proxy") as at, proxy_to(parts.second) as proxy:
        assert at.feed.stream is not None
        async with witness(proxy.url, parts.token, at.feed.stream) as behind:
            await behind.reaches(at.feed.next_sample + SECOND)
            proxy.signal(signal.SIGSTOP)
            await at.all_go_on()
            proxy.signal(signal.SIGCONT)
            await behind.reaches(at.feed.next_sample + SECOND)
            assert behind.disconnects == 0
            proxy.signal(signal.SIGKILL)
            await proxy.wait()
            await behind.until(lambda: behind.disconnects == 1, "never told that it is cut")
        at.one_epoch()
        assert at.far.gaps == at.near.gaps == []


@pytest.mark.nightly
async def test_fifty_deaths_of_valkey(parts: Cluster) -> None:
    async with scene(parts, "fifty deaths") as at:
        for seen in at.witnesses:
            seen.forget_pause()
        for _ in range(50):
            parts.valkey.kill()
            parts.valkey.start()
            await at.all_go_on()
        assert at.far.longest_s < INTERRUPTION_S
        assert at.near.gaps == []
        assert at.far.disconnects == at.near.disconnects == 0


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(10))
async def test_whatever_is_killed_or_stopped_streams_go_on(parts: Cluster, seed: int) -> None:
    rng = random.Random(seed)
    async with scene(parts, f"chaos {seed}") as at:
        for _ in range(5):
            await _misfortune(at, rng)
            await at.all_go_on()
        at.one_epoch()


async def _misfortune(at: Scene, rng: random.Random) -> None:
    parts, paths = at.parts, (at.to_feed, at.to_near, at.to_far)
    servers = [parts.first, parts.second]
    rng.shuffle(servers)
    victim, other = servers
    match rng.choice(("kill valkey", "stop valkey", "kill", "stop", "move", "cut")):
        case "kill valkey":
            parts.valkey.kill()
            await asyncio.sleep(rng.uniform(0, 3))
            parts.valkey.start()
        case "stop valkey":
            parts.valkey.freeze()
            await asyncio.sleep(rng.uniform(0, 5))
            parts.valkey.thaw()
        case "kill":
            victim.kill()
            for path in paths:
                await path.lead_to(other.url)
            await asyncio.to_thread(victim.start)
        case "stop":
            os.kill(victim.pid, signal.SIGSTOP)
            await asyncio.sleep(rng.uniform(0, 4))
            os.kill(victim.pid, signal.SIGCONT)
        case "move":
            for path in paths:
                await path.lead_to(rng.choice(servers).url)
        case _:
            for path in rng.sample(paths, rng.randint(1, 3)):
                await path.cut()
