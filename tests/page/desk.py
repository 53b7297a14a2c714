"""The server's end of a page's WebSockets, as a script: tells of alarms, and keeps what the page says."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

from playwright.async_api import WebSocketRoute

from streaming.client import Pacer
from streaming.core import messages
from streaming.core.frames import FrameKind, encode_frame
from streaming.core.framing import encode_bundle
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.ecg.codec import WaveformEncoder
from streaming.ecg.simulator import Simulator
from tests.page.scene import RATE_HZ

DEADLINE_S = 20.0
CHUNK = round(0.5 * RATE_HZ)
MAY = ("acknowledge", "pause_audio", "switch_off")


class Desk:
    """Give it to `Scene.open` as `answer`. Bed 1 is `stream_of(1)`, of patient `P-1`, and so on."""

    def __init__(self, beds: int = 2, may: tuple[str, ...] = MAY) -> None:
        self.alarms: dict[str, dict[str, Any]] = {}
        """What is told to who comes, by id."""
        self.heard: list[dict[str, Any]] = []
        self.connections = 0
        self.answers = True
        """Whether a page that comes is welcomed."""
        self.carries = True
        """Whether anything that the page says gets here, and anything is answered."""
        self._may = may
        self._roster = [
            {
                "stream": stream_of(bed),
                "patient": f"P-{bed}",
                "name": f"Patient {bed}",
                "ward": "icu",
                "ward_name": "ICU",
                "bed": f"{bed:02}",
                "source": "SIM",
                "online": True,
            }
            for bed in range(1, beds + 1)
        ]
        self._socket: WebSocketRoute | None = None
        self._news = asyncio.Event()

    def __call__(self, socket: WebSocketRoute) -> None:
        self._socket = socket
        socket.on_message(self._hear)

    def tell(self, *told: dict[str, Any]) -> None:
        """Send the page these, in one message."""
        assert self._socket is not None
        self._socket.send(json.dumps(told))

    def alarm(self, name: str, **fields: Any) -> None:
        """Tell of an alarm, of which a later call changes the given fields."""
        self.alarms[name] = self.alarms.get(name, alarm(name)) | fields
        self.tell(self.alarms[name])

    def samples(self, bed: int, seconds: int, *, leads: tuple[str, ...] = ("II",)) -> None:
        """The first seconds of a simulated patient's leads, at RATE_HZ."""
        patient = self._describe(bed, leads)
        encoder = WaveformEncoder()
        for second in range(seconds):
            self._samples(bed, round(second * RATE_HZ), encoder.encode(patient.read(round(RATE_HZ))))

    @asynccontextmanager
    async def live(self, *beds: int) -> AsyncIterator[None]:
        """Samples of these beds as they are due, beside the body: there is data, however long it takes."""
        feeding = asyncio.create_task(self._feed(beds))
        try:
            yield
        finally:
            feeding.cancel()
            with suppress(asyncio.CancelledError):
                await feeding

    async def _feed(self, beds: tuple[int, ...]) -> None:
        pacer = Pacer()
        sources = [(bed, self._describe(bed, ("II",)), WaveformEncoder()) for bed in beds]
        for first in count(0, CHUNK):
            for bed, patient, encoder in sources:
                self._samples(bed, first, encoder.encode(patient.read(CHUNK)))
            await pacer.until((first + CHUNK) / RATE_HZ)

    def _describe(self, bed: int, leads: tuple[str, ...]) -> Simulator:
        patient = Simulator("sinus", rate_hz=RATE_HZ, leads=leads, seed=bed)
        signals = tuple(Lead(name, patient.gain_uv) for name in patient.leads)
        info = StreamInfo(stream_of(bed), 1, f"P-{bed}", "icu", Source.SIM, RATE_HZ, signals)
        self.tell(json.loads(messages.stream(info, bed)))
        return patient

    def _samples(self, bed: int, first: int, payload: bytes) -> None:
        assert self._socket is not None
        frame = encode_frame(FrameKind.WAVEFORM, bed, first, payload)
        self._socket.send(encode_bundle([frame]))

    def audio(self, paused_s: float | None, broken_by: str | None = None) -> None:
        """Say for how long there is no sound; None: there is."""
        until = None if paused_s is None else now_ms() + 1000 * paused_s
        self.tell({"type": "audio", "paused_until_ms": until, "broken_by": broken_by})

    async def close(self, code: int) -> None:
        """End the page's connection."""
        assert self._socket is not None
        await self._socket.close(code=code, reason="test")

    def said(self, kind: str) -> list[dict[str, Any]]:
        """What the page said of a type so far, without the type."""
        return [
            {name: value for name, value in message.items() if name != "type"}
            for message in self.heard
            if message["type"] == kind
        ]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what the page says to make this true."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def displayed(self, *names: str, hidden: bool = False) -> None:
        """Wait until the page has reported these, in so many connections as there were."""
        await self.until(lambda: set(names) <= set(self.reports(hidden=hidden)))

    def reports(self, *, hidden: bool = False) -> list[str]:
        """The ids that were reported as displayed, as often as they were."""
        reports = [report for report in self.said("alarm_displayed") if report["hidden"] is hidden]
        return [name for report in reports for name in report["alarms"]]

    def _hear(self, text: str | bytes) -> None:
        message = json.loads(text)
        if not self.carries:
            return
        self.heard.append(message)
        if message["type"] == "hello" and self.answers:
            self.connections += 1
            self._welcome()
        elif message["type"] == "time":
            self.tell({"type": "time", "t0": message["t0"], "server_ms": now_ms()})
        self._news.set()

    def _welcome(self) -> None:
        limits = {"max_streams": 64, "max_message_bytes": 65536}
        self.tell(
            {
                "type": "welcome",
                "protocol": "vital.v1",
                "connection": "test",
                "server_ms": now_ms(),
                "limits": limits,
                "ack": {"messages": 4, "ms": 100},
                "keepalive_s": 3,
            },
        )
        open_now = [name for name, told in self.alarms.items() if told["state"] != "closed"]
        self.tell(
            *(self.alarms[name] for name in open_now),
            {"type": "alarms", "count": len(open_now), "may": list(self._may), "paused_until_ms": None},
            {"type": "roster", "streams": self._roster},
        )


def stream_of(bed: int) -> str:
    """The id of the stream of a bed, of 26 at most."""
    return f"streamofbed{chr(ord('a') + bed - 1)}"


def now_ms() -> float:
    """The server's clock."""
    return time.time() * 1000


def alarm(name: str, **fields: Any) -> dict[str, Any]:
    """An `alarm` message: asystole in bed 1, twelve seconds ago, but for what is given."""
    return {
        "type": "alarm",
        "alarm": name,
        "state": "active",
        "origin": "analysis",
        "stream": stream_of(1),
        "epoch": 1,
        "ward": "icu",
        "patient": "P-1",
        "kind": "asystole",
        "severity": "high",
        "priority": "critical",
        "latching": True,
        "text": "ASYSTOLE 4.2 >= 4 s",
        "value": 4.2,
        "limit": 4.0,
        "unit": "s",
        "from": 100,
        "to": 1200,
        "lead": "II",
        "sample": 1200,
        "revision": 0,
        "condition_delay_s": 4.2,
        "signal_delay_s": 0.1,
        "raised_ms": now_ms() - 12_000,
        "cleared_ms": None,
        "acknowledged_ms": None,
        "acknowledged_by": "",
        "unstored": False,
    } | fields


def second(**fields: Any) -> dict[str, Any]:
    """What makes an alarm one of medium severity in bed 2."""
    return {
        "stream": stream_of(2),
        "patient": "P-2",
        "kind": "hr high",
        "severity": "medium",
        "latching": False,
        "text": "HR 134 > 120",
        "value": 134.0,
        "limit": 120.0,
        "unit": "bpm",
    } | fields
