"""A device that feeds one stream, and keeps every sample until the server has confirmed it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl as ssl_module
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from websockets.exceptions import ConnectionClosed

from streaming.client.connection import Client, Connector, Line, refuse_unknown
from streaming.client.session import Session
from streaming.core.alarm_messages import DeviceAlarm, check_device_alarm
from streaming.core.alarm_record import AlarmSeverity
from streaming.core.client_messages import device_hello
from streaming.core.fields import Fields
from streaming.core.messages import ADC_BITS, GAIN_UV, MAX_LEAD_NAME, MAX_LEADS, RATE_HZ, SAMPLE_LIMIT
from streaming.core.position import MAX_JUMP_S
from streaming.core.streams import Lead, Source
from streaming.core.strict_json import MAX_SAFE_INTEGER
from streaming.ecg.codec import MAX_SAMPLES, Samples, WaveformEncoder
from streaming.exceptions import ProtocolError

PATH = "/ws/device/"
BUNDLE_BYTES = 16 * 1024
"""Frames are packed into one message up to this: a quarter of what the server accepts."""
FRAME_RAW_BYTES = 32 * 1024
"""Samples of one frame before compression: even incompressible ones stay far below 64 KiB."""
MESSAGE_SPACING_S = 0.004
"""At most 250 messages a second, half of what the server allows; chunks handed over meanwhile share one."""
EXIT_DRAIN_S = 5.0
"""How long leaving the context waits for the last confirmations."""


logger = logging.getLogger(__name__)


class Device(Client):
    """Feeds one stream of a VITAL server; an async context manager.

        lead = Lead("II", gain_uv=5.0)
        async with Device("ws://127.0.0.1:8000", token, signals=[lead], rate_hz=250) as device:
            async for samples in monitor:          # int16, shape (1, n)
                await device.send(samples)

    It connects in the background and reconnects by itself, with full jitter; the session, and with it the
    epoch of the stream, continues. Samples stay in a buffer of `buffer_s` seconds of signal until the server
    has confirmed them and are sent again after a reconnect; when the buffer is full the oldest are given up
    and counted in `abandoned_samples`. Errors that trying again cannot heal (AuthenticationError,
    ForbiddenError, ProtocolError) are raised by the next call. `signals` are the leads in the order of the
    rows; leads, rate and gains out of vital.v1's bounds are a ValueError.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        signals: Sequence[Lead],
        rate_hz: float,
        source: Source = Source.LIVE,
        buffer_s: float = 30.0,
        ssl: ssl_module.SSLContext | None = None,
        rng: random.Random | None = None,
    ) -> None:
        _check_signals(signals, rate_hz)
        if not buffer_s >= 1.0:
            raise ValueError(f"a buffer must hold 1 s or more, not {buffer_s:g}")
        self.signals = tuple(signals)
        self.rate_hz = rate_hz
        self.source = source
        self.stream: str | None = None
        """The stream's id, known after the first welcome."""
        self.epoch: int | None = None
        self.abandoned_samples = 0
        """Samples per lead given up before they were confirmed. Those on their way may still arrive."""

        self._token = token
        self._capacity = int(buffer_s * rate_hz)
        self._max_hole = int(MAX_JUMP_S * rate_hz)
        self._limits = np.array([[2**lead.adc_bits] for lead in signals], np.int64)
        super().__init__(Connector(url, PATH, ssl=ssl, rng=rng))
        self._sessions = deque([Session()])
        self._line: Line | None = None
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._encoder = WaveformEncoder()
        self._welcomed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def next_sample(self) -> int:
        """Index that the next sample to be sent will get."""
        return self._sessions[-1].next_sample

    @property
    def unacked_samples(self) -> int:
        """Samples per lead that the server has not confirmed."""
        return sum(session.samples for session in self._sessions)

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise RuntimeError("a Device is entered once")
        self._task = asyncio.create_task(self._run(), name="vital device")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self._drain_briefly()
        finally:
            await self._stop()

    async def wait_connected(self) -> None:
        """Wait for a first welcome, however long it takes; raises the error that makes it impossible."""
        await self._happens(self._welcomed)

    async def send(self, samples: Samples) -> None:
        """Hand over samples, int16 or int32, (leads, n), any n up to the buffer's length.

        Copies and encodes them, and returns without waiting for the network. Raises TypeError or ValueError
        for another type or shape, or values beyond a lead's `adc_bits`.
        """
        self._check()
        samples = self._checked(samples)
        session = self._session_for(samples.shape[1])
        width = FRAME_RAW_BYTES // (samples.shape[0] * samples.itemsize)
        step = max(1, min(int(self.rate_hz), MAX_SAMPLES, width))
        for start in range(0, samples.shape[1], step):
            piece = samples[:, start : start + step]
            session.append(self._encoder.encode(piece), piece.shape[1])
        excess = self.unacked_samples - self._capacity
        if excess > 0:
            if self.abandoned_samples == 0:
                logger.warning("buffer of %d samples is full: giving up the oldest", self._capacity)
            self._give_up(excess)
        self._wake()
        await asyncio.sleep(0)  # a caller in a tight loop must not keep the writer from its turn

    def skip(self, n: int) -> None:
        """Leave a hole of `n` samples: the recording has none there, and the server will show a gap.

        After a hole of more than ten minutes a new epoch begins, as after an outage of that length.
        """
        self._check()
        if n < 0:
            raise ValueError("a hole cannot have a negative length")
        session = self._sessions[-1]
        if session.hole + n > self._max_hole or session.next_sample + n >= SAMPLE_LIMIT:
            self._sessions.append(Session())
        else:
            session.skip(n)

    async def report_leads_off(self, names: Sequence[str]) -> None:
        """Say which leads are off from the next sample on; an empty list says that all are attached."""
        self._check()
        unknown = set(names) - {lead.name for lead in self.signals}
        if unknown:
            raise ValueError(f"not among this device's signals: {', '.join(sorted(unknown))}")
        self._sessions[-1].report_leads_off(tuple(names))
        self._wake()

    async def raise_alarm(
        self,
        alarm: str,
        *,
        kind: str,
        text: str,
        severity: AlarmSeverity,
        value: float | None = None,
        limit: float | None = None,
        unit: str = "",
        lead: str = "",
    ) -> None:
        """Tell an alarm that the device has found itself, at the next sample to be sent.

        `alarm` is an id of the device's own, never used twice; `text` is what people read, with the value
        and the limit that it passed. It is sent until the server has it on disk. ValueError for a spelling
        that vital.v1 does not have.
        """
        self._check()
        session = self._sessions[-1]
        said = DeviceAlarm(alarm, True, session.next_sample, kind, severity, text, value, limit, unit, lead)
        check_device_alarm(said)
        session.alarms.add(said)
        self._wake()

    async def end_alarm(self, alarm: str) -> None:
        """The condition of an alarm that was raised by this name has ended."""
        self._check()
        session = self._sessions[-1]
        session.alarms.add(DeviceAlarm(alarm, False, session.next_sample))
        self._wake()

    @property
    def unconfirmed_alarms(self) -> int:
        """Beginnings and ends of alarms that the server has not confirmed to be on disk."""
        return sum(session.alarms.unconfirmed for session in self._sessions)

    async def drain(self) -> None:
        """Wait until the server has confirmed all samples and alarms, however long that takes.

        `asyncio.timeout` bounds it.
        """
        await self._happens(self._idle)

    def _check(self) -> asyncio.Task[None]:
        if self._task is None:
            raise RuntimeError("use the Device in an `async with` block")
        if self._task.done():
            if not self._task.cancelled():
                self._task.result()
            raise RuntimeError("the Device is closed")
        return self._task

    def _checked(self, samples: Samples) -> Samples:
        if not isinstance(samples, np.ndarray) or samples.dtype not in (np.int16, np.int32):
            raise TypeError("samples must be a numpy array of int16 or int32")
        if samples.ndim != 2 or samples.shape[0] != len(self.signals):
            raise ValueError(f"samples must have the shape ({len(self.signals)}, n), not {samples.shape}")
        if samples.shape[1] > self._capacity:
            raise ValueError(
                f"{samples.shape[1]} samples at once are more than the buffer's {self._capacity}"
            )
        if samples.size == 0:
            return samples
        low, high = int(samples.min()), int(samples.max())
        bound = int(self._limits.min())
        if not -bound < low <= high < bound and np.any(np.abs(samples.astype(np.int64)) >= self._limits):
            raise ValueError("samples exceed the range of their lead's adc_bits")
        if samples.dtype == np.int32 and low >= -(2**15) and high < 2**15:
            return samples.astype(np.int16)
        return samples

    def _session_for(self, samples: int) -> Session:
        """The session that takes so many more samples: a new one, where the index would leave 32 bits."""
        if self._sessions[-1].next_sample + samples >= SAMPLE_LIMIT:
            self._sessions.append(Session())
        return self._sessions[-1]

    def _give_up(self, excess: int) -> None:
        """Abandon the oldest chunks that hold `excess` samples."""
        for session in self._sessions:
            given_up = session.abandon(excess)
            self.abandoned_samples += given_up
            excess -= given_up
            if excess <= 0:
                return

    def _wake(self) -> None:
        """Let the writer, those who drain and who waits for the next connection see what there is."""
        self._work.set()
        if self.unconfirmed_alarms:
            self._connector.urgent.set()
        else:
            self._connector.urgent.clear()
        if all(session.is_settled for session in self._sessions):
            self._idle.set()
        else:
            self._idle.clear()

    async def _happens(self, event: asyncio.Event) -> None:
        """Wait for `event`, or raise what ended the connection for good."""
        task = self._check()
        waiting = asyncio.create_task(event.wait())
        try:
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not event.is_set():
            self._check()

    async def _drain_briefly(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXIT_DRAIN_S):
                await self.drain()
        lost = self.unacked_samples
        if lost:
            logger.warning("closing with %d samples unconfirmed", lost)
            self._give_up(lost)

    async def _stop(self) -> None:
        self._closing = True
        if self._line is not None:
            await self._line.leave()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._closing:  # once per session, of which most devices have one
            await self._connector.run(self._talk)

    async def _talk(self, line: Line) -> None:
        """One connection: greet, then write and read until it closes, or the session is over."""
        session = self._sessions[0]
        welcome = Fields((await line.greet(self._hello(session)))[0])
        self.stream = welcome.text("stream", longest=64)
        self.epoch = welcome.integer("epoch", 0, MAX_SAFE_INTEGER)
        stands_at = welcome.integer("next_sample", 0, SAMPLE_LIMIT)
        session.resume(stands_at)
        if session.oldest_sample - stands_at > self._max_hole:
            session.begin_anew()
            await line.leave()
            return
        self._connector.welcomed()
        self._welcomed.set()
        self._line = line
        self._wake()
        writer = asyncio.create_task(self._write(line, session))
        reader = asyncio.create_task(self._read(line, session))
        try:
            done, _ = await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            self._line = None
            for task in (writer, reader):
                task.cancel()
            await asyncio.gather(writer, reader, return_exceptions=True)

    def _hello(self, session: Session) -> str:
        return device_hello(
            token=self._token,
            session=session.name,
            next_sample=session.oldest_sample,
            source=self.source,
            rate_hz=self.rate_hz,
            leads=self.signals,
        )

    async def _write(self, line: Line, session: Session) -> None:
        # A closed connection ends the reader too, and the reader knows what the server's last words were.
        with contextlib.suppress(ConnectionClosed):
            while not self._is_over(session):
                message = session.take(BUNDLE_BYTES)
                if message is None:
                    self._work.clear()
                    await self._work.wait()
                else:
                    await line.send(message)
                    self._wake()
                    await asyncio.sleep(MESSAGE_SPACING_S)
            await line.leave()

    async def _read(self, line: Line, session: Session) -> None:
        try:
            while True:
                message = await line.receive()
                if isinstance(message, bytes):
                    raise ProtocolError("the server sends no binary messages to a device")
                for item in message:
                    self._on_message(item, session)
                self._wake()
        except ConnectionClosed:
            if not self._is_over(session):
                raise
            self._sessions.popleft()

    def _on_message(self, item: Mapping[str, Any], session: Session) -> None:
        match item["type"]:
            case "ack":
                session.confirm(Fields(item).integer("next_sample", 0, SAMPLE_LIMIT))
            case "alarm_stored":
                fields = Fields(item)
                alarm = fields.text("alarm", longest=64)
                session.alarms.confirm(alarm, on=fields.choice("state", ("on", "off")) == "on")
            case "time" | "bye":
                pass  # alive; a bye has been noted by the line
            case _:
                refuse_unknown(item)

    def _is_over(self, session: Session) -> bool:
        """Whether all of a session is confirmed, and another has begun."""
        return session is not self._sessions[-1] and session.is_settled


def _check_signals(signals: Sequence[Lead], rate_hz: float) -> None:
    if not 1 <= len(signals) <= MAX_LEADS or len({lead.name for lead in signals}) != len(signals):
        raise ValueError(f"a device has 1 to {MAX_LEADS} signals of different names")
    if not RATE_HZ[0] <= rate_hz <= RATE_HZ[1]:
        raise ValueError(f"the rate must be from {RATE_HZ[0]:g} to {RATE_HZ[1]:g} Hz, not {rate_hz:g}")
    for lead in signals:
        if not 1 <= len(lead.name) <= MAX_LEAD_NAME or not lead.name.isprintable():
            raise ValueError(f"a lead's name has 1 to {MAX_LEAD_NAME} printable characters: {lead.name!r}")
        if not GAIN_UV[0] <= lead.gain_uv <= GAIN_UV[1]:
            raise ValueError(f"{lead.name}: gain must be from {GAIN_UV[0]:g} to {GAIN_UV[1]:g} uV per step")
        if not ADC_BITS[0] <= lead.adc_bits <= ADC_BITS[1]:
            raise ValueError(f"{lead.name}: adc_bits must be from {ADC_BITS[0]} to {ADC_BITS[1]}")
