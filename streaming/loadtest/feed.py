"""The patients of a load test: each a device that sends on time, whatever becomes of what it has sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from streaming.client import Device
from streaming.client.playback import CHUNK_S, simulated_leads
from streaming.core.streams import Source
from streaming.ecg.codec import Samples
from streaming.ecg.rhythms import WARD_RHYTHMS
from streaming.ecg.simulator import Simulator

LOOP_S = 20.0
"""Signal that is made before the test and played over and over: making it costs as much as serving it."""
LEAD_TIME_S = 1.0
"""From the last device that is welcome to the first chunk, so that all begin together."""


@dataclass(frozen=True, slots=True)
class Patients:
    """What is sent: how fast and how many leads, and how far apart in time the devices send.

    Devices of one gateway send together; by themselves, they are spread over the time of a chunk.
    """

    rate_hz: float = 250.0
    leads: tuple[str, ...] = ("II", "V1")
    seed: int = 1
    together: bool = False


@dataclass(slots=True)
class _Bed:
    device: Device
    chunks: Sequence[Samples] = field(repr=False)


class Feed:
    """Devices, one per token: `async with Feed(...) as feed`, then `feed.begin()`.

    Open loop: chunk n is due CHUNK_S x (n + 1) after the start, whether the server takes it or not; what
    comes of a lag of this process itself is in `late_s`.
    """

    def __init__(self, url: str, tokens: Sequence[str], patients: Patients) -> None:
        self._patients = patients
        self._beds = [self._bed(url, token, number) for number, token in enumerate(tokens)]
        self._tasks: list[asyncio.Task[None]] = []
        self._began_at = 0.0
        self.late_s = 0.0
        """The most by which a chunk left too late, by this process's own fault."""

    async def __aenter__(self) -> Feed:
        entered = []
        try:
            for bed in self._beds:
                await bed.device.__aenter__()
                entered.append(bed)
            await asyncio.gather(*(bed.device.wait_connected() for bed in self._beds))
        except BaseException:
            await self._leave(entered)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._leave(self._beds)

    def begin(self) -> None:
        """Send from now on."""
        self._began_at = asyncio.get_running_loop().time() + LEAD_TIME_S
        self._tasks = [
            asyncio.create_task(self._play(bed, self._start_of(number)))
            for number, bed in enumerate(self._beds)
        ]

    def check(self) -> None:
        """Raise what a device was refused with, if one was."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    def origins(self) -> dict[str, tuple[float, float]]:
        """By stream: when sample 0 is taken, on the loop's clock, and samples a second."""
        rate_hz = self._patients.rate_hz
        starts = {bed.device.stream: self._start_of(number) for number, bed in enumerate(self._beds)}
        return {stream: (start, rate_hz) for stream, start in starts.items() if stream is not None}

    @property
    def problem(self) -> str | None:
        """What went wrong last with a device, for people."""
        return next((bed.device.problem for bed in self._beds if bed.device.problem), None)

    @property
    def reconnects(self) -> int:
        """Connections that devices lost."""
        return sum(bed.device.reconnects for bed in self._beds)

    def _bed(self, url: str, token: str, number: int) -> _Bed:
        patients = self._patients
        rhythm = WARD_RHYTHMS[number % len(WARD_RHYTHMS)]
        patient = Simulator(
            rhythm, rate_hz=patients.rate_hz, leads=patients.leads, seed=patients.seed + number
        )
        count = max(1, round(CHUNK_S * patients.rate_hz))
        chunks = [patient.read(count) for _ in range(round(LOOP_S / CHUNK_S))]
        signals = simulated_leads(patient)
        return _Bed(Device(url, token, signals=signals, rate_hz=patients.rate_hz, source=Source.SIM), chunks)

    def _start_of(self, number: int) -> float:
        spread = 0.0 if self._patients.together else CHUNK_S * number / len(self._beds)
        return self._began_at + spread

    async def _play(self, bed: _Bed, start: float) -> None:
        loop = asyncio.get_running_loop()
        sent = 0
        while True:
            for chunk in bed.chunks:
                sent += chunk.shape[1]
                due = start + sent / self._patients.rate_hz
                await asyncio.sleep(max(0.0, due - loop.time()))
                self.late_s = max(self.late_s, loop.time() - due)
                await bed.device.send(chunk)

    @staticmethod
    async def _leave(beds: Sequence[_Bed]) -> None:
        await asyncio.gather(
            *(bed.device.__aexit__(None, None, None) for bed in beds), return_exceptions=True
        )
