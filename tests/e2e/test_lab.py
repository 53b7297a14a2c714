"""A viewer that makes its own link worse: the ladder does its work for it alone; without a lab nobody can."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streaming.client import Device, Pacer
from streaming.client.playback import play, simulated, simulated_leads
from streaming.core.client_messages import throttle
from streaming.core.lab import Throttle
from streaming.core.streams import Source
from streaming.ecg.leads import TWELVE_LEADS
from streaming.ecg.simulator import Simulator
from streaming.exceptions import CloseCode
from tests.e2e.peers import DEADLINE_S, Peer, viewer
from tests.e2e.shell import Shell
from tests.servers import StartServer

pytestmark = pytest.mark.server


async def said(peer: Peer, **wanted: str) -> dict[str, Any]:
    """The first message heard that has these fields; all that comes until then is acknowledged."""
    known = 0
    async with asyncio.timeout(DEADLINE_S):
        while True:
            for item in peer.heard[known:]:
                if wanted.items() <= item.items():
                    return item
            known = len(peer.heard)
            await peer.hear_any()
            await peer.ack()


async def test_the_ladder_follows_a_link_that_a_viewer_makes_worse_for_itself(daphne: StartServer) -> None:
    server = daphne(env={"VITAL_LAB": "1"})
    with Shell(server) as shell:
        bed = shell.run("admit", "monitor")
        token = shell.run("employ", "nurse", "Ward a")
    # Twelve leads at 500 Hz take 3 kB/s.
    patient = Simulator("sinus", rate_hz=500.0, leads=TWELVE_LEADS, seed=1, gain_uv=1.0)
    signals = simulated_leads(patient)
    async with (
        Device(server.ws_url, bed["token"], signals=signals, rate_hz=500.0, source=Source.SIM) as device,
        viewer(server, token, bed["stream"]) as slow,
        viewer(server, token, bed["stream"]) as other,
    ):
        playing = asyncio.create_task(play(device, simulated(patient), Pacer()))
        staying = asyncio.create_task(other.stay())
        try:
            await said(slow, type="stream", rendition="lossless")
            await slow.say(throttle(Throttle.NARROW))
            assert (await said(slow, type="throttled"))["link"] == "2k"
            await said(slow, type="stream", rendition="display")
            await slow.say(throttle(Throttle.OFF))
            await said(slow, type="throttled", link="off")
            await slow.say(throttle(Throttle.CUT))
            ending = await slow.ended()
            assert (ending.code, ending.reason) == (CloseCode.SILENT, "")
            renditions = {item["rendition"] for item in other.heard if item["type"] == "stream"}
            assert renditions == {"lossless"}
            assert not staying.done()
        finally:
            for task in (playing, staying):
                task.cancel()
            await asyncio.gather(playing, staying, return_exceptions=True)


async def test_a_server_without_a_lab_refuses(daphne: StartServer) -> None:
    server = daphne()
    with Shell(server) as shell:
        token = shell.run("employ", "nurse", "Ward a")
    async with viewer(server, token) as peer:
        for link in Throttle:
            await peer.say(throttle(link))
            refused = await said(peer, type="refused")
            assert (refused["of"], refused["reason"]) == ("throttle", "this server has no lab")
            peer.heard.clear()
        await peer.say({"type": "time", "t0": 1})
        await said(peer, type="time")
