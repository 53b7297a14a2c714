"""A patient monitor in a process of its own, which may be killed: a simulated patient without end.

`python -m tests.page.monitor WS_URL TOKEN`
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streaming.client import Device, Pacer
from streaming.client.playback import play, simulated, simulated_leads
from streaming.ecg.simulator import Simulator
from tests.page.scene import RATE_HZ, Bed
from tests.servers import ROOT


@asynccontextmanager
async def monitor(ws_url: str, bed: Bed) -> AsyncIterator[asyncio.subprocess.Process]:
    """The monitor of a bed; killed at the end at the latest."""
    command = (sys.executable, "-m", "tests.page.monitor", ws_url, bed.token)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _main(ws_url: str, token: str) -> None:
    patient = Simulator("sinus", rate_hz=RATE_HZ, seed=1)
    async with Device(ws_url, token, signals=simulated_leads(patient), rate_hz=RATE_HZ) as device:
        await device.wait_connected()
        await play(device, simulated(patient), Pacer())


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
