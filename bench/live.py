"""A thousand live viewers of sixteen patients on one process: `manage.py loadtest`, as a row of figures.

The devices send together, as behind one gateway. Viewers, devices and server share one machine: what viewers
lack of a CPU of their own counts against the server.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import resource
import sys
import tempfile
from pathlib import Path

from bench.support.report import Figure, at_least, at_most, parser, report
from bench.support.ward import admit
from streaming.core.messages import CONNECTIONS_PER_PRINCIPAL
from streaming.loadtest.feed import Patients
from streaming.loadtest.progress import Progress
from streaming.loadtest.report import Outcome
from streaming.loadtest.run import Plan, run
from tests.servers import DaphneServer, migrated

PATIENTS = 16
DECODERS = 2
"""One in each process of viewers: 160 frames a second of 12 leads each are 6 % of a core to decode."""
SPARE_FILES = 256


def figures_of(outcome: Outcome) -> list[Figure]:
    """What the load test found, against the bounds."""
    told, tally = outcome.to_json(), outcome.tally
    nothing = {"p50": math.nan, "p99": math.nan, "max": math.nan}
    newest, oldest = told["age_newest_ms"] or nothing, told["age_oldest_ms"] or nothing
    trip = told["round_trip_ms"] or nothing
    against = f"{outcome.viewers} viewers, {outcome.patients} patients, {outcome.seconds:.0f} s"
    frames = sum(tally.renditions.values())
    lossless = 100 * tally.renditions["lossless"] / max(frames, 1)
    return [
        at_least("viewers connected", tally.connected, outcome.viewers, "", against="of those asked for"),
        Figure("age of a frame's newest sample, median", newest["p50"], "ms", against=against),
        at_most("age of a frame's newest sample, p99", newest["p99"], 500, "ms", against=against),
        Figure("age of a frame's oldest sample, p99", oldest["p99"], "ms", against=against),
        Figure("round trip of a CRITICAL message, p99", trip["p99"], "ms", against=against),
        at_most("dropped by the server", sum(tally.drops.values()), 0, "messages", against=against),
        at_most("missing without a GAP", tally.lost_samples, 0, "samples", against=against),
        at_most("connections cut", sum(tally.closes.values()), 0, "", against=against),
        Figure("frames delivered", frames / outcome.seconds, "1/s", against=against),
        Figure("of them lossless", lossless, "%", against=against),
        Figure("WebSocket messages", told["websocket_messages_per_s"], "1/s", against=against),
        Figure("server", told["server_cpu_percent"] or math.nan, "% of a core", against=against),
        Figure("devices late, at most", told["feed_late_ms"] or math.nan, "ms", against="this process"),
    ]


async def main(options: argparse.Namespace) -> int:
    """Start a server, load it, report."""
    viewers = options.viewers
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * viewers + SPARE_FILES), hard))
    with (
        tempfile.TemporaryDirectory(prefix="vital-bench-") as directory,
        DaphneServer(migrated(Path(directory) / "var")) as server,
    ):
        beds = admit(server, PATIENTS, math.ceil(viewers / CONNECTIONS_PER_PRINCIPAL))
        plan = Plan(
            server.ws_url,
            viewers,
            PATIENTS,
            options.seconds,
            beds.viewers,
            beds.devices,
            processes=min(os.cpu_count() or 1, 2),
            decoders=DECODERS,
            signal=Patients(together=True),
        )
        outcome = await run(plan, Progress(sys.stderr, plan.seconds, viewers))
    return report(figures_of(outcome), as_json=options.json)


if __name__ == "__main__":
    choices = parser("Live viewers on one process.")
    choices.add_argument("--viewers", type=int, default=1000, help="default: 1000")
    choices.add_argument("--seconds", type=float, default=20.0, help="measured (default: 20)")
    sys.exit(asyncio.run(main(choices.parse_args())))
