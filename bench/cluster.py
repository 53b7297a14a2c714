"""Two processes and the Valkey between them: what its death costs viewers, and what the way across it costs.

`--kills` times Valkey gets SIGKILL under a running stream, and is started again at once. Two viewers judge
every sample: one at the device's own process, one at the other. An interruption is the longest time between
two live frames; a hole that no GAP names is undetected, and a viewer to whom nothing comes for 20 s is deaf.

The CPU is that of a process with viewers less that of the same process without: the peer of a viewer on the
other process is one on the device's own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path

from bench.fanout import swarm
from bench.support.report import Figure, at_most, parser, report
from tests.e2e.cluster import Cluster, cluster
from tests.e2e.witness import RATE_HZ, Witness, numbered_device, witness
from tests.servers import Server, migrated

INTERRUPTION_S = 2.0
PATIENTS, VIEWERS = 8, 40
MEASURED_S = 8.0
SETTLE_S = 2.0


async def kills(parts: Cluster, number: int) -> list[Figure]:
    """What viewers notice of so many deaths of Valkey."""
    bed = (await parts.shell.do("admit", "under kills")).result
    seen: list[Witness] = []
    with contextlib.suppress(AssertionError):  # a viewer's complaint: they are counted below
        async with contextlib.AsyncExitStack() as stack:
            feed = await stack.enter_async_context(numbered_device(parts.first.ws_url, bed["token"]))
            for server in (parts.first, parts.second):
                watching = witness(server.ws_url, parts.token, bed["stream"])
                seen.append(await stack.enter_async_context(watching))
            await asyncio.gather(*(each.reaches(int(RATE_HZ)) for each in seen))
            for each in seen:
                each.forget_pause()
            for _ in range(number):
                parts.valkey.kill()
                parts.valkey.start()
                sample = feed.next_sample + int(RATE_HZ)
                await asyncio.gather(*(each.reaches(sample) for each in seen))
    complaints = [complaint for each in seen for complaint in each.complaints]
    deaf, hidden = (sum(word in complaint for complaint in complaints) for word in ("deaf", "hidden gap"))
    wrong = len(complaints) - deaf - hidden
    longest = max(each.longest_s for each in seen)
    near, far = seen
    against = f"Valkey kill -9 x {number}; {len(far.gaps)} gaps told, {len(near.gaps)} at the device's own"
    return [
        at_most("longest interruption of a stream", longest, INTERRUPTION_S, "s", against=against),
        at_most("undetected gaps", hidden, 0, "", against=against),
        at_most("samples wrong or twice", wrong, 0, "", against=against),
        at_most("deaf sockets", deaf, 0, "", against=against),
    ]


async def spent_s(server: Server) -> float:
    """CPU that the process takes in the measured time."""
    await asyncio.sleep(SETTLE_S)
    began = server.cpu_seconds()
    await asyncio.sleep(MEASURED_S)
    return server.cpu_seconds() - began


async def costs(parts: Cluster) -> list[Figure]:
    """CPU per delivered frame, at the device's own process and across the layer."""
    beds = [(await parts.shell.do("admit", f"bed {number}")).result for number in range(PATIENTS)]
    streams = [bed["stream"] for bed in beds]
    per_frame_us: list[float] = []
    async with contextlib.AsyncExitStack() as stack:
        for bed in beds:
            await stack.enter_async_context(numbered_device(parts.first.ws_url, bed["token"]))
        for server in (parts.first, parts.second):
            idle_s = await spent_s(server)
            url = f"{server.ws_url}/ws/viewer/"
            async with swarm(url, parts.token, ",".join(streams), viewers=VIEWERS) as viewers:
                await viewers.expect("ready")
                before = (await viewers.counts())["frames"]
                busy_s = await spent_s(server)
                frames = (await viewers.counts())["frames"] - before
            frames_measured = frames * MEASURED_S / (MEASURED_S + SETTLE_S)
            per_frame_us.append(1e6 * (busy_s - idle_s) / frames_measured)
    own, across = per_frame_us
    against = f"{PATIENTS} patients, {VIEWERS} viewers, 10 frames a second of each"
    return [
        Figure("CPU per frame of a viewer at the device's own process", own, "us", against=against),
        Figure("CPU per frame of a viewer at another process", across, "us", against=against),
        Figure("the same, across / own", across / own, "x", against=against),
    ]


async def run(options: argparse.Namespace) -> list[Figure]:
    """All figures."""
    with tempfile.TemporaryDirectory(prefix="vital-bench-") as directory:
        home = Path(directory)
        with cluster(migrated(home / "migrated"), home) as parts:
            return [*await kills(parts, options.kills), *await costs(parts)]


def main() -> int:
    """Measure and report; 1 when a figure misses its bound."""
    options = parser(__doc__ or "")
    options.add_argument("--kills", type=int, default=10, help="how often Valkey is killed (nightly: 50)")
    arguments = options.parse_args()
    return report(asyncio.run(run(arguments)), as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
