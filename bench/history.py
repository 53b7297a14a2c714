"""What the history costs: CPU, and the time of what is live, of 64 patients with twelve leads at 500 Hz.

One process publishes 640 frames a second in real time, encoded beforehand, to a hub whose 32 viewers watch
two patients each and acknowledge at once. In every other stretch of time the same frames also go to the
recorder, which writes them to SQLite in a file and prunes as much as it writes; nothing else differs. CPU is
user and system time: of the whole process, stretch against stretch; and of the history alone, which is its
thread, and what `take` costs on the loop's. Latency is from the call of `publish` to the viewer's socket.
Bytes are those of chunks of the simulated heart, and of real records where there are any (VITAL_DATA).
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from channels.layers import InMemoryChannelLayer

from bench.support.records import CLASSES, records, reference_folder
from bench.support.report import Figure, at_most, parser, report
from streaming.compression import CompressionHandler
from streaming.core.bundle import Bundle, WaveFrame
from streaming.core.chunks import Chunk, ChunkGatherer
from streaming.core.frames import Frame, FrameKind, decode_bundle
from streaming.core.messages import Ack
from streaming.core.profiles import ProfileSet
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.ecg.codec import WaveformEncoder
from streaming.ecg.leads import TWELVE_LEADS
from streaming.ecg.simulator import Simulator
from streaming.hub import Hub
from streaming.recorder import Recorder
from streaming.subscriber import Subscriber
from tests.servers import migrated

if TYPE_CHECKING:
    from streaming.store.history_keeper import HistoryKeeper

PATIENTS = 64
VIEWERS = 32
RATE_HZ = 500
FRAME = 50
FRAME_S = FRAME / RATE_HZ
SOURCE_S = 20
WARM_UP_S = 5.0
PRUNE_EVERY_S = 2.0
KEPT_BYTES = 1_000_000
APART = 10_000_000
"""Between the sample indices of two patients, so that an index alone tells a frame from all others."""
DAY_S = 86_400


@dataclass(slots=True)
class Stretch:
    """What was measured while the history was on, or while it was off."""

    seconds: float = 0.0
    cpu_s: float = 0.0
    take_s: float = 0.0
    thread_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    """How much later than planned each frame was published: what else the loop was at."""


class Screen:
    """A viewer's socket: notes when each frame came, and acknowledges at once."""

    def __init__(self, ward: Ward) -> None:
        self._ward = ward
        self._messages = 0
        self.subscriber = Subscriber(
            self,
            profiles=ProfileSet(),
            compression=CompressionHandler(),
            on_cut=lambda code, reason: sys.exit(f"a viewer was cut: {code} {reason}"),
        )

    async def send_bytes(self, data: bytes) -> None:
        """A bundle."""
        now = time.perf_counter()
        for frame in decode_bundle(data):
            self._note(frame, now)
        self._ack()

    async def send_text(self, _data: str) -> None:
        """A message about the connection."""
        self._ack()

    def _note(self, frame: Frame, now: float) -> None:
        published = self._ward.published.pop(frame.first, None)
        if frame.kind is FrameKind.WAVEFORM and published is not None:
            stretch, at = published
            stretch.latencies_s.append(now - at)

    def _ack(self) -> None:
        self._messages += 1
        asyncio.get_running_loop().call_soon(self.subscriber.acked, Ack(self._messages, 0.0, 0))


class Ward:
    """All patients, their viewers, and the history, which is on or off."""

    def __init__(self, keeper: HistoryKeeper, payloads: Sequence[bytes]) -> None:
        self.hub = Hub(InMemoryChannelLayer(), process_id="bench", shared=False)
        self.published: dict[int, tuple[Stretch, float]] = {}
        """By its first sample, when each frame was published that has not arrived."""
        self.recorder = Recorder(keeper)
        self._keeper = keeper
        self._payloads = payloads
        self._infos = [info(f"patient{n}") for n in range(PATIENTS)]
        self._screens = [Screen(self) for _ in range(VIEWERS)]
        self._sent = 0

    async def open(self) -> None:
        """Let the viewers watch, and the writer write."""
        await self.hub.start()
        for number, screen in enumerate(self._screens):
            self.hub.add(screen.subscriber)
            for patient in self._infos[number::VIEWERS]:
                await self.hub.watch(screen.subscriber, patient.stream)
        self.recorder.start()

    async def aclose(self) -> None:
        """End it all."""
        await self.recorder.aclose(5.0)
        for screen in self._screens:
            self.hub.remove(screen.subscriber)
            await screen.subscriber.aclose()
        await self.hub.aclose()

    async def run(self, seconds: float, stretch: Stretch, *, record: bool) -> None:
        """Publish in real time, evenly over the patients."""
        prune_due = PRUNE_EVERY_S if record else seconds + 1
        pruning: asyncio.Task[object] | None = None
        thread_s = await self._keeper_cpu_s()
        began, cpu_s = time.perf_counter(), time.process_time()
        for number in range(round(seconds * PATIENTS / FRAME_S)):
            due = began + number * FRAME_S / PATIENTS
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            self._publish(stretch, due, record=record)
            if due - began >= prune_due:
                prune_due += PRUNE_EVERY_S
                pruning = asyncio.create_task(self._keeper.prune())
        if pruning is not None:
            await pruning
        stretch.seconds += time.perf_counter() - began
        stretch.cpu_s += time.process_time() - cpu_s
        stretch.thread_s += await self._keeper_cpu_s() - thread_s

    def _publish(self, stretch: Stretch, due: float, *, record: bool) -> None:
        patient, number = self._sent % PATIENTS, self._sent // PATIENTS
        self._sent += 1
        first = APART * patient + FRAME * number
        payload = self._payloads[(number + 7 * patient) % len(self._payloads)]
        frame = WaveFrame(FrameKind.WAVEFORM, first, FRAME, payload)
        bundle = Bundle(self._infos[patient], frames=(frame,))
        now = time.perf_counter()
        stretch.late_s.append(now - due)
        self.published[first] = stretch, now
        self.hub.publish(bundle)
        if record:
            before_s = time.thread_time()
            self.recorder.take(bundle)
            stretch.take_s += time.thread_time() - before_s

    async def _keeper_cpu_s(self) -> float:
        return await self._keeper._thread.run(time.thread_time)


def info(stream: str) -> StreamInfo:
    """Twelve leads in steps of 1 microvolt."""
    leads = tuple(Lead(name, 1.0) for name in TWELVE_LEADS)
    return StreamInfo(stream, 1, "P-BENCH", "bench", Source.SIM, float(RATE_HZ), leads)


def simulated_payloads() -> list[bytes]:
    """Canonical frames of a simulated heart."""
    encoder = WaveformEncoder()
    samples = Simulator("sinus", rate_hz=float(RATE_HZ), leads=TWELVE_LEADS, seed=1).read(SOURCE_S * RATE_HZ)
    return [encoder.encode(samples[:, at : at + FRAME]) for at in range(0, samples.shape[1], FRAME)]


def bytes_a_day(payloads: Sequence[bytes], rate_hz: float, frame: int) -> float:
    """What chunks of these frames take, a patient and day."""
    gatherer = ChunkGatherer()
    stream = StreamInfo("a", 1, "P-BENCH", "bench", Source.SIM, rate_hz, (Lead("II", 1.0),))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    chunks: list[Chunk] = []
    for number, payload in enumerate(payloads):
        wave = WaveFrame(FrameKind.WAVEFORM, frame * number, frame, payload)
        chunks += gatherer.add(stream, wave, now=0.0, at=at)
    chunks += gatherer.flush()
    return sum(len(chunk.blob) for chunk in chunks) / (len(payloads) * frame / rate_hz) * DAY_S


def of_records() -> Iterator[Figure]:
    """The same of real records, by class."""
    for kind in CLASSES:
        found = list(records(reference_folder(), kind))[:4]
        if not found:
            continue
        sizes = []
        for record in found:
            frame, encoder = round(record.rate_hz * FRAME_S), WaveformEncoder()
            part = record.samples[:, : round(60 * record.rate_hz)]
            whole = part.shape[1] // frame * frame
            frames = [encoder.encode(part[:, at : at + frame]) for at in range(0, whole, frame)]
            sizes.append(bytes_a_day(frames, record.rate_hz, frame))
        leads = found[0].samples.shape[0]
        name = f"a patient and day, {kind.name}, {leads} leads at {found[0].rate_hz:g} Hz"
        yield Figure(name, float(np.mean(sizes)) / 1e6, "MB")


async def measure(seconds: float, rounds: int) -> list[Figure]:
    """The figures, over so many rounds of as many seconds without and with the history."""
    from streaming.store.history_keeper import HistoryKeeper
    from streaming.store.history_limits import Limits

    keeper = HistoryKeeper(Limits(timedelta(hours=1), KEPT_BYTES))
    payloads = simulated_payloads()
    ward = Ward(keeper, payloads)
    await ward.open()
    off, on = Stretch(), Stretch()
    try:
        await ward.run(WARM_UP_S, Stretch(), record=True)
        for _ in range(rounds):
            await ward.run(seconds, off, record=False)
            await ward.run(seconds, on, record=True)
    finally:
        await ward.aclose()
        keeper.close()
    total = ward.recorder.total
    if total.lost_chunks or not total.stored_chunks:
        raise RuntimeError(f"{total.lost_chunks} chunks of {total.stored_chunks} were lost")
    p99_off, p99_on = (1000 * float(np.percentile(s.latencies_s, 99)) for s in (off, on))
    late_off, late_on = (1000 * float(np.percentile(s.late_s, 99)) for s in (off, on))
    alone = 100 * (on.take_s + on.thread_s) / on.seconds
    difference = 100 * (on.cpu_s / on.seconds - off.cpu_s / off.seconds)
    load = f"{PATIENTS} patients x 12 leads, {len(on.latencies_s)} frames"
    return [
        Figure("process without history", 100 * off.cpu_s / off.seconds, "% core"),
        at_most("history, its thread and its calls", alone, 5, "% core", against=load),
        at_most("history, process with it less without", difference, 5, "% core", against=load),
        Figure("of it on the event loop", 100 * on.take_s / on.seconds, "% core"),
        Figure(
            "publish to delivered without history, median", 1000 * float(np.median(off.latencies_s)), "ms"
        ),
        Figure("publish to delivered without history, p99", p99_off, "ms"),
        at_most("publish to delivered with history, p99", p99_on, 1.1 * p99_off, "ms", against="without"),
        Figure("event loop late without history, p99", late_off, "ms"),
        Figure("event loop late with history, p99", late_on, "ms"),
        Figure("chunks stored a second", total.stored_chunks / (WARM_UP_S + on.seconds), ""),
        Figure(
            "a patient and day, simulated, 12 leads at 500 Hz",
            bytes_a_day(payloads, RATE_HZ, FRAME) / 1e6,
            "MB",
        ),
        *of_records(),
    ]


def main() -> int:
    """Make a history, measure, report."""
    options = parser(__doc__ or "")
    options.add_argument("--seconds", type=float, default=2.5, help="of each stretch (default: 2.5)")
    options.add_argument("--rounds", type=int, default=5, help="pairs of stretches (default: 5)")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="vital-bench-") as directory:
        os.environ["VITAL_VAR_DIR"] = str(migrated(Path(directory) / "var"))
        os.environ["DJANGO_SETTINGS_MODULE"] = "vital.settings"
        import django

        django.setup()
        return report(asyncio.run(measure(chosen.seconds, chosen.rounds)), as_json=chosen.json)


if __name__ == "__main__":
    sys.exit(main())
