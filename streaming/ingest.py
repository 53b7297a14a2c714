"""What arrives from devices: checked, positioned, analysed, and encoded once for everybody."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from streaming.alarm_sink import AlarmSink, NoAlarms
from streaming.compression import CompressionHandler
from streaming.core import messages
from streaming.core.bundle import Bundle, Event, Gap, WaveFrame
from streaming.core.frames import Frame, FrameKind
from streaming.core.messages import MAX_CHUNK_S, GapReason, SignalState
from streaming.core.patterns import DataPattern
from streaming.core.position import SampleRange, StreamPosition
from streaming.core.priority import MessagePriority
from streaming.core.rate import RateEstimator
from streaming.core.streams import StreamInfo
from streaming.core.token_bucket import TokenBucket
from streaming.ecg import codec
from streaming.ecg.alarm_board import NewId, counted_ids
from streaming.ecg.alarms import Alarm
from streaming.exceptions import ProtocolError, RateLimitError, StreamBusyError
from streaming.guarded_analysis import GuardedAnalysis, OnGrave

FRAME_S = 0.1
"""The canonical live frame. Shorter chunks are joined up to it; longer ones travel as they came."""
SILENCE_S = 10.0
"""How long a session must be silent before another may take its stream."""
CPU_S_PER_S = 0.25
CPU_BURST_S = 2.0
"""What one stream may cost: a chunk of 100 ms takes 0.2-0.3 ms, 0.3 % of a core; at twentyfold speed 6 %.

Paid in time, not in chunks: one that fills a hole is encoded by itself, and costs five times one that joins
its neighbours.
"""
FORGET_S = 3600.0
"""How long the position of a silent session is kept, so that it can continue its epoch."""

Samples = npt.NDArray[np.signedinteger]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session stands: its next sample, and the holes before it that may still be filled.

    `confirmed_elsewhere`: another process had the session and cannot be asked. A hole at the very beginning
    was confirmed by it, as far as anybody knows; a room that lacks the samples says so itself.
    """

    next_sample: int
    holes: tuple[SampleRange, ...] = ()
    confirmed_elsewhere: bool = False


@dataclass(slots=True)
class Taken:
    """What devices have sent since the process began."""

    chunks: int = 0
    lead_samples: int = 0
    """Samples, each lead's by itself."""


@dataclass(frozen=True, slots=True)
class Tenure:
    """What this process knows of a session whose epoch it has; `published` is where its frames end."""

    heard_at: float
    ended: bool
    published: int
    holes: tuple[SampleRange, ...]


class Ingest:
    """The streams whose devices are connected to this process, one epoch and one writer each.

    That no other process writes them is `writers`' part. `alarms` is told what becomes of alarms, each named
    by `new_id`; `on_grave` of what should be kept of the signal. The owner calls `tend` once a second.
    """

    def __init__(
        self,
        publish: Callable[[Bundle], None],
        compression: Callable[[str], CompressionHandler],
        *,
        alarms: AlarmSink | None = None,
        new_id: NewId | None = None,
        on_grave: OnGrave = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self.taken = Taken()
        self._publish = publish
        self._compression = compression
        self._alarms = alarms or NoAlarms()
        self._new_id = new_id or counted_ids()
        self._on_grave = on_grave
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._epochs: dict[str, _Epoch] = {}
        self._budgets: dict[str, TokenBucket] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def opening(self, stream: str, session: str) -> AsyncIterator[None]:
        """Hold `stream` for `session` while its epoch is made; one session at a time.

        Raises StreamBusyError unless the session that writes is the same, has ended, or has been silent for
        10 s.
        """
        lock = self._locks.setdefault(stream, asyncio.Lock())
        async with lock:
            now = self._clock()
            self._forget_silent(now)
            epoch = self._epochs.get(stream)
            if epoch is not None and epoch.session != session and epoch.is_alive(now):
                raise StreamBusyError(busy_reason(epoch.session, epoch.began))
            yield

    def open(
        self,
        info: StreamInfo,
        session: str,
        place: Place,
        on_replaced: Callable[[], None] = lambda: None,
    ) -> Intake:
        """Let a device write `info.stream`, within `opening`.

        The same session continues its epoch, over however many connections: the newest one writes, and the
        one before it is told by `on_replaced`. An epoch that is not here begins at `place`. The time that
        all connections may cost is one budget.
        """
        now = self._clock()
        epoch = self._epochs.get(info.stream)
        if epoch is not None and epoch.writer is not None:
            epoch.writer.replaced()
        if epoch is None or epoch.session != session or epoch.info != info:
            epoch = self._epochs[info.stream] = self._begin(info, session, place, epoch)
        epoch.heard_at = now
        epoch.ended = False
        epoch.set_silent(False)
        budget = self._budgets.setdefault(info.stream, TokenBucket(CPU_S_PER_S, CPU_BURST_S, now))
        return Intake(epoch, budget, self._clock, self._cpu_clock, on_replaced)

    def _begin(self, info: StreamInfo, session: str, place: Place, before: _Epoch | None) -> _Epoch:
        """An epoch after the one that was here; where only facts about it have changed, alarms go on."""
        if before is not None:
            before.supersede()
        if before is not None and before.info.epoch == info.epoch:
            standing: Sequence[Alarm] = before.analysis.standing
        else:
            if before is not None:
                before.analysis.end()
            standing = self._alarms.standing(info)
        analysis = GuardedAnalysis(
            info,
            place.next_sample,
            self._alarms,
            self._new_id,
            standing=standing,
            on_grave=self._on_grave,
            continuity=None if before is None else before.analysis.continuity,
        )
        handler = self._compression(info.group)
        return _Epoch(info, session, place, self._publish, handler, analysis, self._clock, self.taken)

    def tend(self, now: float) -> None:
        """Call it about once a second: a stream from which nothing comes is an alarm."""
        for epoch in self._epochs.values():
            epoch.analysis.tend(now - epoch.sampled_at)
            if epoch.writer is not None and epoch.is_alive(now):  # else another process may have the stream
                epoch.analysis.settle()

    def end(self, stream: str) -> None:
        """The patient's admission has ended: its alarms end, and what is known of its position goes."""
        epoch = self._epochs.pop(stream, None)
        if epoch is not None:
            epoch.supersede()
            epoch.set_silent(True)
            epoch.analysis.end()

    def release(self, stream: str) -> Place | None:
        """Another process has the stream: what is held is published, and who wrote it is replaced.

        Its alarms go on there, or are ended there.
        Where the session stands, None when there is no epoch of the stream here.
        """
        epoch = self._epochs.pop(stream, None)
        if epoch is None:
            return None
        writer = epoch.writer
        epoch.supersede()
        if writer is not None:
            writer.replaced()
        return Place(epoch.position.next_sample, epoch.position.holes)

    def writes(self, stream: str, session: str) -> bool:
        """Whether the epoch of `session` is here."""
        epoch = self._epochs.get(stream)
        return epoch is not None and epoch.session == session

    def tenures(self) -> dict[str, Tenure]:
        """Every stream that has an epoch here."""
        return {stream: epoch.tenure() for stream, epoch in self._epochs.items()}

    def is_online(self, stream: str) -> bool:
        """Whether a device of this process writes `stream` now."""
        epoch = self._epochs.get(stream)
        return epoch is not None and epoch.is_alive(self._clock())

    def streams(self) -> frozenset[str]:
        """Those that have an epoch here: being written, or silent for less than an hour."""
        self._forget_silent(self._clock())
        return frozenset(self._epochs)

    def _forget_silent(self, now: float) -> None:
        silent = [s for s, e in self._epochs.items() if e.writer is None and now - e.heard_at > FORGET_S]
        for stream in silent:
            del self._epochs[stream]
            self._budgets.pop(stream, None)


class Intake:
    """One device connection's way into its epoch."""

    def __init__(
        self,
        epoch: _Epoch,
        budget: TokenBucket,
        clock: Callable[[], float],
        cpu_clock: Callable[[], float],
        on_replaced: Callable[[], None],
    ) -> None:
        self.replaced = on_replaced
        self._epoch = epoch
        self._budget = budget
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._flush: asyncio.TimerHandle | None = None
        epoch.writer = self

    @property
    def info(self) -> StreamInfo:
        """The epoch that is written."""
        return self._epoch.info

    @property
    def next_sample(self) -> int:
        """The first sample index that has not arrived."""
        return self._epoch.position.next_sample

    def push(self, frame: Frame) -> None:
        """Take one chunk.

        Raises ProtocolError for what is malformed or implausible, RateLimitError when the stream's chunks
        cost more of this process than they may.
        """
        self._check_still_writer()
        began = self._cpu_clock()
        self._epoch.push(frame, self._clock())
        if not self._budget.take(self._cpu_clock() - began, self._clock()):
            raise RateLimitError(f"chunks cost more than {CPU_S_PER_S:.0%} of a core")
        if not self._epoch.has_pending:
            self._cancel_flush()
        elif self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(FRAME_S, self._flush_pending)

    def report_quality(self, quality: messages.DeviceQuality) -> None:
        """The device says which of its leads are off."""
        self._check_still_writer()
        self._epoch.report_quality(quality)

    def close(self, *, ended: bool) -> None:
        """The connection is gone; `ended` says that the device's session is over as well."""
        self._flush_pending()
        if self._epoch.writer is self:
            self._epoch.writer = None
            self._epoch.ended = ended
            self._epoch.set_silent(True)

    def _cancel_flush(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None

    def _flush_pending(self) -> None:
        self._cancel_flush()
        if self._epoch.writer is self:
            self._epoch.flush()

    def _check_still_writer(self) -> None:
        if self._epoch.writer is not self:
            raise StreamBusyError("another connection of this device writes the stream now")


@dataclass(slots=True)
class _Pending:
    """Contiguous samples that do not yet fill a frame."""

    first: int
    came_at: float
    chunks: list[Samples] = field(default_factory=list)
    count: int = 0


class _Epoch:
    """Position, analysis and encoding of one device session."""

    def __init__(
        self,
        info: StreamInfo,
        session: str,
        place: Place,
        publish: Callable[[Bundle], None],
        compression: CompressionHandler,
        analysis: GuardedAnalysis,
        clock: Callable[[], float],
        taken: Taken,
    ) -> None:
        self.info = info
        self.analysis = analysis
        self.session = session
        self.position = StreamPosition(info.rate_hz, start=place.next_sample, holes=place.holes)
        self._confirmed_from = place.next_sample if place.confirmed_elsewhere else None
        self.began = datetime.now(UTC)
        self.heard_at = self.sampled_at = clock()
        self.writer: Intake | None = None
        self.ended = False
        self._publish = publish
        self._compression = compression
        self._clock = clock
        self._taken = taken
        self._rate = RateEstimator()
        self._vitals_due = place.next_sample
        self._pattern: DataPattern | None = None
        self._leads_off: tuple[str, ...] = ()
        self._silent: bool | None = None
        self._pending: _Pending | None = None
        self._encoder = codec.WaveformEncoder()
        self._frame_samples = max(1, round(FRAME_S * info.rate_hz))
        self._max_frame_samples = codec.max_frame_samples(len(info.leads))
        self._limits = np.array([[2.0**lead.adc_bits] for lead in info.leads])

    @property
    def has_pending(self) -> bool:
        """Whether samples wait for their frame to fill."""
        return self._pending is not None

    def is_alive(self, now: float) -> bool:
        """Whether the session still owns the stream."""
        return not self.ended and now - self.heard_at < SILENCE_S

    def tenure(self) -> Tenure:
        """What other processes may have to know."""
        pending = self._pending
        published = self.position.next_sample if pending is None else pending.first
        return Tenure(self.heard_at, self.ended, published, self.position.holes)

    def push(self, frame: Frame, now: float) -> None:
        """Place one chunk; publish what fills a frame, what came late, and the hole before it."""
        if frame.kind is not FrameKind.WAVEFORM or frame.flags:
            raise ProtocolError("a device sends waveform frames without flags")
        samples = codec.decode(frame.payload)
        self._check_values(samples)
        self._taken.chunks += 1
        self._taken.lead_samples += samples.size
        accepted = self.position.accept(frame.first, samples.shape[1])
        self.heard_at = now
        for late in accepted.backfill:
            self._publish_frame(FrameKind.BACKFILL, late.first, _part(samples, frame.first, late), now)
        live = accepted.live
        if live is None:
            return
        self.sampled_at = now
        self._rate.arrived(live.stop, now)
        if accepted.hole is not None:
            self._note_hole(accepted.hole)
        whole = (live.first, live.stop) == (frame.first, frame.first + samples.shape[1])
        if whole and self._may_pass(frame.payload, samples):
            self._pass_on(frame, samples)
        else:
            self._add(live.first, _part(samples, frame.first, live))

    def flush(self) -> None:
        """Publish what waits, however short."""
        pending, self._pending = self._pending, None
        if pending is not None:
            samples = (
                pending.chunks[0] if len(pending.chunks) == 1 else np.concatenate(pending.chunks, axis=1)
            )
            self._publish_frame(FrameKind.WAVEFORM, pending.first, samples, pending.came_at)

    def supersede(self) -> None:
        """Another session has the stream: what waits is published, and no connection writes here any more."""
        self.flush()
        self.writer = None

    def report_quality(self, quality: messages.DeviceQuality) -> None:
        """Keep the leads that are off, and tell the viewers."""
        known = {lead.name for lead in self.info.leads}
        if not known.issuperset(quality.leads_off):
            raise ProtocolError("leads_off names a lead that the stream does not have")
        self._leads_off = tuple(quality.leads_off)
        self.analysis.set_leads_off(self._leads_off)
        self._publish_quality()

    def set_silent(self, silent: bool) -> None:
        """The device has gone or come back."""
        if silent is not self._silent:
            self._silent = silent
            self._publish_quality()

    def _check_values(self, samples: Samples) -> None:
        if samples.shape[0] != len(self.info.leads):
            raise ProtocolError("chunk does not have the leads of the hello")
        if samples.shape[1] > MAX_CHUNK_S * self.info.rate_hz:
            raise ProtocolError(f"chunk is longer than {MAX_CHUNK_S} s")
        if (np.abs(samples.astype(np.int64)) >= self._limits).any():
            raise ProtocolError("a sample does not fit the signal's adc_bits")

    def _note_hole(self, hole: SampleRange) -> None:
        self.flush()
        if hole.first != self._confirmed_from:
            self._publish(Bundle(self.info, gaps=(Gap(hole.first, hole.stop, GapReason.SOURCE),)))

    def _add(self, first: int, samples: Samples) -> None:
        if self._pending is not None and self._pending.count + samples.shape[1] > 2 * self._frame_samples:
            self.flush()
        if self._pending is None:
            self._pending = _Pending(first, self.heard_at)
        self._pending.chunks.append(samples)
        self._pending.count += samples.shape[1]
        if self._pending.count >= self._frame_samples:
            self.flush()

    def _may_pass(self, payload: bytes, samples: Samples) -> bool:
        """Whether a device's own payload, which was decoded and so is valid, is a frame for viewers."""
        return (
            self._frame_samples <= samples.shape[1] <= self._max_frame_samples
            and codec.read_header(payload).codec is codec.CodecId.ECG1
        )

    def _pass_on(self, frame: Frame, samples: Samples) -> None:
        """Publish a device's own payload: compressed at the edge, it is not compressed again."""
        self.flush()
        self._compression.took_compressed(samples, frame.payload)
        stamps = (self.heard_at, self._clock())
        wave = WaveFrame(FrameKind.WAVEFORM, frame.first, samples.shape[1], frame.payload, samples, stamps)
        self._publish_live(wave, samples)

    def _publish_frame(self, kind: FrameKind, first: int, samples: Samples, came_at: float) -> None:
        for at in range(0, samples.shape[1], self._max_frame_samples):
            part = samples[:, at : at + self._max_frame_samples]
            payload = self._compression.compress_samples(part, self._encoder)
            stamps = (came_at, self._clock())
            frame = WaveFrame(kind, first + at, part.shape[1], payload, part, stamps)
            if kind is FrameKind.WAVEFORM:
                self._publish_live(frame, part)
            else:
                self._publish(Bundle(self.info, frames=(frame,)))

    def _publish_live(self, frame: WaveFrame, samples: Samples) -> None:
        """With what is seen in them: numbers once a second, the pattern also when it changes."""
        self.analysis.push(frame.first, samples)
        pattern, stop = self.analysis.pattern, frame.first + frame.count
        events: tuple[Event, ...] = ()
        if is_due := stop >= self._vitals_due:
            self._vitals_due = stop + round(self.info.rate_hz)
            events = (self._vitals_event(stop), self._quality_event())
        news = pattern if is_due or pattern is not self._pattern else None
        self._pattern = pattern
        self._publish(Bundle(self.info, frames=(frame,), events=events, pattern=news))

    def _vitals_event(self, stop: int) -> Event:
        vitals, info = self.analysis.vitals, self.info
        rhythm = self.analysis.rhythm()
        text = messages.vitals(
            info.stream,
            epoch=info.epoch,
            sample=stop,
            hr=vitals.hr,
            hr_source=vitals.source,
            rhythm=None if rhythm is None else rhythm.name,
            pvc_per_min=None if rhythm is None else rhythm.ventricular_per_minute,
            beats=[(beat.sample, beat.ventricular) for beat in self.analysis.beats()],
        )
        return Event(text, MessagePriority.HIGH, "vitals")

    def _publish_quality(self) -> None:
        self._publish(Bundle(self.info, events=(self._quality_event(),)))

    def _quality_event(self) -> Event:
        text = messages.quality(
            self.info.stream,
            epoch=self.info.epoch,
            sample=self.position.next_sample,
            state=SignalState.SILENT if self._silent else SignalState.LIVE,
            leads_off=self._leads_off,
            rate_hz=self._rate.rate_hz(),
        )
        return Event(text, MessagePriority.NORMAL, "quality")


def busy_reason(session: str, began: datetime) -> str:
    """What a device is told that another session keeps out."""
    return (
        f"another session of this device ({session[:6]}...) writes the stream "
        f"since {began:%Y-%m-%d %H:%M:%S} UTC"
    )


def _part(samples: Samples, first: int, span: SampleRange) -> Samples:
    """The samples of `span`, out of a chunk that begins at index `first`."""
    return samples[:, span.first - first : span.stop - first]
