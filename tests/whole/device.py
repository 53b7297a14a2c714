"""A device that sends its truth in chunks of its own size, over connections that break."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from streaming.core.frames import Frame, FrameFlag, FrameKind
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.ecg import codec, planes
from streaming.exceptions import StreamBusyError
from streaming.ingest import Place

if TYPE_CHECKING:
    from streaming.ingest import Intake
    from tests.whole.world import Process, World

RATE_HZ = 250.0
ACK_S = 0.5
Samples = npt.NDArray[np.int32]


@cache
def truth(stream: str, epoch: int) -> Samples:
    """Two minutes of a signal that says by its values where it stands."""
    rng = np.random.default_rng([*stream.encode(), epoch])
    return rng.normal(0, 20, (1, 30_000)).cumsum(axis=1).astype(np.int32) % 16_000 - 8_000


class SimulatedDevice:
    """Keeps what is not confirmed, and sends it again to whichever process it reaches next."""

    def __init__(self, world: World, stream: str, rng: random.Random) -> None:
        self.stream = stream
        self.next_sample = 0
        """One past the newest sample that was measured in this session."""
        self.epoch = 0
        self.holes: set[tuple[int, int]] = set()
        self._world = world
        self._rng = rng
        self._session = ""
        self._unconfirmed: deque[tuple[int, int]] = deque()
        self._sending: deque[tuple[int, int]] = deque()
        self._late: tuple[int, int] | None = None
        self._process: Process | None = None
        self._intake: Intake | None = None
        self._connections = 0
        self._begin_session()

    @property
    def is_connected(self) -> bool:
        return self._intake is not None

    async def run(self) -> None:
        """Measure, and send while there is a connection."""
        while not self._world.over:
            await asyncio.sleep(self._rng.choice((0.1, 0.2, 0.2, 0.25)))
            self._measure(self._rng.choice((25, 50, 50)))
            self._measure(self._rng.choice((3, 12)))
            self._send()

    async def keep_connected(self) -> None:
        """Connect to a process that lives, now and then to another one, until it is over."""
        while not self._world.over:
            await asyncio.sleep(self._rng.uniform(0.05, 0.4))
            if self._intake is None:
                await self._connect()

    async def confirm(self) -> None:
        """What the server has it does not need again."""
        while not self._world.over:
            await asyncio.sleep(ACK_S)
            if self._intake is not None:
                self._confirmed(self._intake.next_sample)

    def break_connection(self, *, told: bool) -> None:
        """The device notices at once, the process when it is told."""
        intake, self._intake, self._process = self._intake, None, None
        if intake is not None and told:
            intake.close(ended=False)

    def lose(self, process: Process) -> None:
        """The process is gone, and with it what it had not passed on."""
        if self._process is process:
            self._intake = self._process = None

    def leave_a_hole(self) -> None:
        """Samples that were never measured."""
        skipped = self._rng.randrange(1, 200)
        self.holes.add((self.next_sample, self.next_sample + skipped))
        self.next_sample += skipped

    async def begin_anew(self) -> None:
        """End the session; the next is a new epoch."""
        intake, self._intake, self._process = self._intake, None, None
        if intake is None:
            return
        self._send_all(intake)
        intake.close(ended=True)
        self._begin_session()

    # -- within

    def _begin_session(self) -> None:
        self._session = f"{self.stream}-{self._rng.getrandbits(32):08x}"
        self.epoch = self._world.epoch_of(self.stream, self._session)
        self.next_sample = self._rng.choice((0, 0, 501))
        self.holes.clear()
        self._unconfirmed.clear()
        self._sending.clear()
        self._late = None

    def _measure(self, count: int) -> None:
        chunk = self.next_sample, self.next_sample + count
        self.next_sample += count
        self._unconfirmed.append(chunk)
        self._sending.append(chunk)

    def _send(self) -> None:
        if self._intake is not None:
            self._send_all(self._intake)

    def _send_all(self, intake: Intake) -> None:
        if self._late is None and len(self._sending) > 1 and self._rng.random() < 0.1:
            self._late = self._sending.popleft()  # overtaken by what was measured after it
        elif self._late is not None and self._rng.random() < 0.2:
            self._sending.append(self._late)
            self._late = None
        while self._sending:
            first, stop = self._sending.popleft()
            samples = truth(self.stream, self.epoch)[:, first:stop]
            payload = (
                codec.WaveformEncoder().encode(samples)  # a device that compresses at the edge
                if self._rng.random() < 0.2
                else planes.encode_planes(samples, level=1, window_bits=12, mem_level=5)
            )
            intake.push(Frame(FrameKind.WAVEFORM, FrameFlag.NONE, 0, first, payload))

    async def _connect(self) -> None:
        process = self._world.some_process(self._rng)
        if process is None:
            return
        oldest = self._unconfirmed[0][0] if self._unconfirmed else self.next_sample
        leads = (Lead("II", 2.5),)
        info = StreamInfo(self.stream, self.epoch, "P-1", "ward", Source.SIM, RATE_HZ, leads)
        try:
            async with process.ingest.opening(self.stream, self._session):
                intake = process.ingest.open(info, self._session, Place(oldest))
        except StreamBusyError:
            return
        self._intake, self._process = intake, process
        self._confirmed(intake.next_sample)
        self._sending = deque(self._unconfirmed)
        self._send()

    def _confirmed(self, next_sample: int) -> None:
        while self._unconfirmed and self._unconfirmed[0][1] <= next_sample:
            self._unconfirmed.popleft()
