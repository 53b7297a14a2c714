"""Two processes' alarm desks, their journal and layer, devices and pages, and what a seed does to them."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from streaming.alarm_desk import AlarmDesk
from streaming.alarm_viewers import AlarmViewer
from streaming.client.own_alarms import OwnAlarms
from streaming.compression import CompressionHandler
from streaming.core.alarm_messages import DeviceAlarm
from streaming.core.alarm_record import AlarmOrigin, AlarmRecord, AlarmSeverity, AlarmState
from streaming.core.frames import Frame, FrameKind, decode_bundle, frame_text
from streaming.core.messages import parse_device_message
from streaming.core.profiles import ProfileSet
from streaming.core.streams import StreamInfo
from streaming.device_alarms import MOST_DEVICE_ALARMS
from streaming.ecg.alarms import Alarm, AlarmEvent, AlarmKind, Change, Condition, Evidence
from streaming.exceptions import ForbiddenError, RateLimitError
from streaming.layer_link import LayerLink
from streaming.subscriber import Subscriber
from tests.fake_journal import FakeJournal, Store
from tests.fakes import VirtualLoop
from tests.viewers import stream_info
from tests.whole.layer import Broker, SimulatedLayer
from tests.whole.viewer import SeededLink

STREAMS = {name: stream_info(name) for name in ("a", "b")}
SEES = ({"a", "b"}, {"a"}, {"b"})
"""What each page may see."""
ROUGH_S, CALM_S = 12.0, 36.0
POLL_S, TEND_S = 1.5, 0.5
KINDS = (AlarmKind.ASYSTOLE, AlarmKind.VENTRICULAR_TACHYCARDIA, AlarmKind.HR_HIGH, AlarmKind.NO_SIGNAL)
DRAWN_S = 0.03
UNNAMED_S = 20.0


@dataclass
class Outcome:
    """What one seed came to."""

    raised: int = 0
    shown: int = 0
    acknowledged: int = 0
    kills: int = 0
    cuts: int = 0
    locks: int = 0
    resent: int = 0
    spooled: int = 0
    trace: list[tuple[float, str, str, str]] = field(default_factory=list)


def simulate(seed: int, alarms_per_s: float = 4.0) -> Outcome:
    """One run of 32 virtual seconds; AssertionError when an alarm is lost, shown wrongly, or comes back."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_simulate(seed, alarms_per_s))


async def _simulate(seed: int, alarms_per_s: float) -> Outcome:
    return await AlarmWorld(seed, alarms_per_s).lived()


class Process:
    """A desk, its journal and its link, for as long as it lives."""

    def __init__(self, world: AlarmWorld, name: str) -> None:
        self.name, self.lives = name, True
        self.journal = FakeJournal(world.store)
        self.channel = f"{name}-channel"
        numbers = iter(range(10**9))
        self.link = LayerLink(SimulatedLayer(world.broker, self.channel), self._hear)
        self.desk = AlarmDesk(
            self.journal,
            self.link,
            process_id=name,
            clock=world.now,
            utc_ms=lambda: 1000 * world.now(),
            new_id=lambda: f"{name}-{next(numbers)}",
        )

    def _hear(self, message: dict[str, Any]) -> None:
        self.desk.hear(message)


class Page:
    """A page that merges what it hears as the protocol has it, shows it, and at times acknowledges."""

    def __init__(self, world: AlarmWorld, name: str, streams: set[str]) -> None:
        self.world, self.name, self.streams = world, name, frozenset(streams)
        self.rng = random.Random(f"{world.seed} page {name}")
        self.known: dict[str, dict[str, Any]] = {}
        self.shown: set[str] = set()
        self.told_at: dict[str, float] = {}
        self.connected_at = 0.0
        self.process: Process | None = None
        self.seat: AlarmViewer | None = None
        self.subscriber: Subscriber | None = None
        self.link: SeededLink | None = None

    async def connect(self, process: Process) -> None:
        self.connected_at = self.world.now()
        self.link = link = SeededLink(20_000.0, 0.01, lambda data: self._hear(data, link))
        self.subscriber = Subscriber(
            link,
            profiles=ProfileSet(),
            compression=CompressionHandler(clock=lambda: 0.0),
            on_cut=lambda *_: self.world.later(0.0, self._was_cut),
            clock=self.world.now,
            rng=random.Random(1),
        )
        link.acknowledge = self.subscriber.acked
        self.process = process
        self.seat = AlarmViewer(self.subscriber, self.name, f"user:{self.name}", self.streams)
        process.desk.viewers.enter(self.seat)
        await process.desk.attend(["ward"])

    async def _was_cut(self) -> None:
        self.cut()

    def cut(self) -> None:
        """The connection is gone, and the server knows."""
        if self.process is not None and self.seat is not None and self.subscriber is not None:
            assert self.link is not None
            self.link.is_cut = True
            self.process.desk.viewers.leave(self.seat)
            self.world.later(0.0, self.subscriber.aclose)
        self.process = self.seat = self.subscriber = self.link = None

    def open_alarms(self) -> dict[str, dict[str, Any]]:
        return {alarm: known for alarm, known in self.known.items() if known["state"] != "closed"}

    def _hear(self, data: bytes | str, link: SeededLink) -> None:
        if link is not self.link:
            return
        parts: list[Frame | str] = [data] if isinstance(data, str) else [*decode_bundle(data)]
        for part in parts:
            assert isinstance(part, str) or part.kind is FrameKind.JSON
            value = json.loads(part if isinstance(part, str) else frame_text(part))
            for message in value if isinstance(value, list) else [value]:
                if message["type"] == "alarm":
                    self._merge(message)
                elif message["type"] == "alarms":
                    at, connected_at = self.world.now(), self.connected_at
                    gone = {a for a in self.open_alarms() if self.told_at[a] < connected_at}
                    self.world.later(UNNAMED_S, lambda gone=gone, at=at: self._drop(gone, at))  # type: ignore[misc]

    def _merge(self, message: dict[str, Any]) -> None:
        alarm = message["alarm"]
        assert message["stream"] in (*self.streams, ""), "told of another's patient"
        known = self.known.get(alarm)
        self.told_at[alarm] = self.world.now()
        self.world.outcome.trace.append((self.world.now(), self.name, alarm, message["state"]))
        if known is not None:
            newer = message if message["revision"] >= known["revision"] else known
            times = {
                name: min((m[name] for m in (message, known) if m[name] is not None), default=None)
                for name in ("cleared_ms", "acknowledged_ms")
            }
            message = {**newer, **times}
        is_over = message["cleared_ms"] is not None
        is_acked = message["acknowledged_ms"] is not None
        closed = is_over and (is_acked or not message["latching"])
        message["state"] = "closed" if closed else "ended" if is_over else "active"
        self.known[alarm] = message
        if not closed and alarm not in self.shown:
            self.world.later(DRAWN_S, lambda: self._draw(alarm))
        elif not closed:
            self.world.outcome.resent += 1
            self.world.later(DRAWN_S, lambda: self._draw(alarm))

    async def _drop(self, gone: set[str], since: float) -> None:
        """What this connection had not told of when all was said, and has not since, is over."""
        for alarm in gone:
            if self.told_at[alarm] < since:
                self.known[alarm]["state"] = "closed"

    async def _draw(self, alarm: str) -> None:
        if alarm not in self.shown:
            self.shown.add(alarm)
            self.world.outcome.shown += 1
        if self.process is not None and self.seat is not None:
            self.process.desk.displayed(self.seat, [alarm], hidden=False)
            if self.rng.random() < 0.5:
                self.world.later(self.rng.random() * 3.0, lambda: self._acknowledge(alarm))

    async def _acknowledge(self, alarm: str) -> None:
        if self.process is not None and self.seat is not None and self.known[alarm]["stream"]:
            try:
                self.process.desk.acknowledge(self.seat, alarm, by=self.name)
            except ForbiddenError:
                return
            self.world.outcome.acknowledged += 1


class Bedside:
    """A device that raises alarms itself, and sends each until it is confirmed."""

    def __init__(self, world: AlarmWorld, info: StreamInfo) -> None:
        self.world, self.info = world, info
        self.alarms = OwnAlarms()
        self.said: list[str] = []
        self.confirmed: set[tuple[str, bool]] = set()
        self.connection = 0
        self.on = 0

    def ring(self) -> None:
        alarm = f"d{len(self.said)}"
        self.said.append(alarm)
        self.on += 1
        self.alarms.add(
            DeviceAlarm(alarm, True, 100, "vent tachy", AlarmSeverity.HIGH, "VENT TACHY 182 > 100", 182.0)
        )
        ends_s = random.Random(f"{self.world.seed} {alarm}").random() * 4.0
        self.world.later(ends_s, lambda: self._end(alarm))

    def reconnected(self) -> None:
        self.connection += 1
        self.alarms.again()

    async def _end(self, alarm: str) -> None:
        self.on -= 1
        self.alarms.add(DeviceAlarm(alarm, False, 200))

    async def send(self) -> None:
        """One connection's turn: what is unsent reaches the owner of the stream."""
        process, connection = self.world.owner[self.info.stream], self.connection
        while process.lives and (text := self.alarms.take()) is not None:
            said = parse_device_message(text)
            assert isinstance(said, DeviceAlarm)

            def confirm(said: DeviceAlarm = said) -> None:
                if process.lives and connection == self.connection:
                    self.alarms.confirm(said.alarm, on=said.on)
                    self.confirmed.add((said.alarm, said.on))

            try:
                await process.desk.devices.take(self.info, said, actor="device:1", on_durable=confirm)
            except RateLimitError:
                self.reconnected()
                return


class AlarmWorld:
    """All that there is; every choice is drawn from generators that the seed begins."""

    def __init__(self, seed: int, alarms_per_s: float) -> None:
        self.seed, self._alarms_per_s = seed, alarms_per_s
        self.now = asyncio.get_running_loop().time
        self.store = Store()
        self.broker = Broker(random.Random(f"{seed} broker"))
        self.outcome = Outcome()
        self.processes: list[Process] = []
        self.owner: dict[str, Process] = {}
        self.standing: dict[str, dict[str, Alarm]] = {name: {} for name in STREAMS}
        """What the analysis of each stream believes to be on."""
        self.pages = [Page(self, f"p{n}", streams) for n, streams in enumerate(SEES)]
        self.bedside = Bedside(self, STREAMS["b"])
        self.over = False
        self._fate = random.Random(f"{seed} fate")
        self._started = 0
        self._raised = 0
        self._orphaned: list[Any] = []
        """What dead processes left in their spools."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: list[BaseException] = []

    def later(self, delay_s: float, work: Callable[[], Awaitable[None]]) -> None:
        async def do() -> None:
            await asyncio.sleep(delay_s)
            await work()

        task = asyncio.ensure_future(do())
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed.append(error)

    async def lived(self) -> Outcome:
        """From the start of the first process to the end of the last."""
        for _ in range(2):
            await self._start_process()
        for stream in STREAMS:
            self._own(stream)
        works = [self._every(POLL_S, self._poll), self._every(TEND_S, self._tend)]
        works += [self._every(0.05, self.bedside.send), self._every(0.2, self._keep_connected)]
        works += [self._every(5.0, self._take_over)]
        for work in works:
            self.later(0.0, lambda work=work: work)  # type: ignore[misc]
        try:
            await self._misfortunes()
            self.broker.loss = 0.0
            self.broker.come_back()
            await asyncio.sleep(CALM_S)
            assert not self._failed, self._failed
            self._all_is_well()
        finally:
            self.over = True
            for page in self.pages:
                page.cut()
            await asyncio.sleep(0)
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for process in self.processes:
                await process.link.aclose()
        return self.outcome

    async def _every(self, every_s: float, act: Callable[[], Awaitable[None]]) -> None:
        while not self.over:
            await asyncio.sleep(every_s)
            await act()

    # -- what processes do

    async def _start_process(self) -> None:
        self._started += 1
        process = Process(self, f"s{self._started}")
        await process.link.start()
        process.desk.begin(r for r in self.store.records() if not r.is_closed)
        self.processes.append(process)

    def _own(self, stream: str) -> None:
        """A process goes on with a stream, and with the alarms of it that it knows of."""
        process = self.owner[stream] = self._fate.choice(self.processes)
        self.standing[stream] = {known.id: known for known in process.desk.standing(STREAMS[stream])}

    async def _poll(self) -> None:
        for process in self.processes:
            await process.desk.poll()

    async def _tend(self) -> None:
        for process in self.processes:
            process.desk.tend()
        for stream, process in self.owner.items():
            for over in process.desk.settle(STREAMS[stream], self.standing[stream].keys()):
                del self.standing[stream][over]

    async def _take_over(self) -> None:
        """A process stores what dead ones had on disk."""
        orphaned, self._orphaned = self._orphaned, []
        self.outcome.spooled += len(orphaned)
        if orphaned:
            self._fate.choice(self.processes).journal.append(orphaned)

    async def _keep_connected(self) -> None:
        for page in self.pages:
            if page.process is None and self._fate.random() < 0.5:
                await page.connect(self._fate.choice(self.processes))

    # -- misfortunes

    async def _misfortunes(self) -> None:
        ends_at = self.now() + ROUGH_S
        self.broker.loss = self._fate.choice((0.0, 0.1, 0.5))
        self.broker.max_delay_s = self._fate.choice((0.002, 0.3))
        rare: list[Callable[[], Awaitable[None]]] = [
            self._cut_a_page,
            self._stall_a_page,
            self._lose_the_layer,
            self._lock_the_journal,
            self._kill_a_process,
            self._move_a_stream,
        ]
        while self.now() < ends_at:
            await asyncio.sleep(self._fate.expovariate(self._alarms_per_s))
            await self._ring()
            if self._fate.random() < 0.6 / self._alarms_per_s:
                await self._fate.choice(rare)()
        for process in self.processes:
            process.journal.unlock()
        for page in self.pages:
            if page.link is not None:
                page.link.go_on()

    async def _ring(self) -> None:
        if self._fate.random() < 0.4 and self.bedside.on < MOST_DEVICE_ALARMS - 4:
            self.bedside.ring()
            return
        stream = self._fate.choice(list(STREAMS))
        desk, on = self.owner[stream].desk, self.standing[stream]
        if on and self._fate.random() < 0.6:
            alarm = self._fate.choice(list(on.values()))
            if self._fate.random() < 0.3:
                desk.take(STREAMS[stream], [AlarmEvent(Change.UPDATED, alarm, 300)])
            else:
                del on[alarm.id]
                desk.take(STREAMS[stream], [AlarmEvent(Change.ENDED, alarm, 400)])
            return
        self._raised += 1
        evidence = Evidence(float(self._raised), 4.0, "s", 100, 200, "II")
        alarm = Alarm(desk.new_id(), Condition(self._fate.choice(KINDS), evidence), 200, 4.0, 0.0)
        on[alarm.id] = alarm
        desk.take(STREAMS[stream], [AlarmEvent(Change.RAISED, alarm, 200)])

    async def _cut_a_page(self) -> None:
        self.outcome.cuts += 1
        self._fate.choice(self.pages).cut()

    async def _stall_a_page(self) -> None:
        if (link := self._fate.choice(self.pages).link) is not None:
            link.stall()
            asyncio.get_running_loop().call_later(self._fate.choice((0.5, 4.0, 20.0)), link.go_on)

    async def _lose_the_layer(self) -> None:
        self.broker.go_away()
        asyncio.get_running_loop().call_later(self._fate.choice((0.1, 3.0)), self.broker.come_back)

    async def _lock_the_journal(self) -> None:
        self.outcome.locks += 1
        for process in self.processes:
            process.journal.lock()

        def unlock() -> None:
            for process in self.processes:
                process.journal.unlock()

        asyncio.get_running_loop().call_later(self._fate.choice((0.1, 1.0, 4.0)), unlock)

    async def _kill_a_process(self) -> None:
        """As kill -9 does; what was on disk is left to others, and another process starts at once."""
        self.outcome.kills += 1
        process = self._fate.choice(self.processes)
        self.processes.remove(process)
        process.lives = False
        self._orphaned += process.journal.die()
        self.broker.forget(process.channel)
        for page in self.pages:
            if page.process is process:
                page.cut()
        process.link.healthy = False
        await process.link.aclose()
        await self._start_process()
        for stream, owner in list(self.owner.items()):
            if owner is process:
                self._own(stream)
        self.bedside.reconnected()

    async def _move_a_stream(self) -> None:
        """Its device comes back to a process that has just read the journal."""
        stream = self._fate.choice(list(STREAMS))
        for process in self.processes:
            await process.desk.poll()
        self._own(stream)
        self.bedside.reconnected()

    # -- in the end

    def _all_is_well(self) -> None:
        stored = {record.alarm: record for record in self.store.records()}
        self.outcome.raised = len(stored)
        assert not self._orphaned
        for said in self.bedside.said:
            assert {(said, True), (said, False)} <= self.bedside.confirmed, f"{said} was never confirmed"
            assert f"b.1.{said}" in stored, f"{said} was confirmed and is not stored"
        still_open = {alarm: record for alarm, record in stored.items() if not record.is_closed}
        for page in self.pages:
            mine = {a: r for a, r in still_open.items() if r.facts.stream in page.streams}
            theirs = {a: k for a, k in page.open_alarms().items() if k["stream"]}
            assert theirs.keys() == mine.keys(), (page.name, theirs.keys() ^ mine.keys())
            assert mine.keys() <= page.shown
            for alarm, record in mine.items():
                heard = {name: theirs[alarm][name] for name in _told(record)}
                assert _told(record) == heard, (page.name, alarm, _told(record), heard)
        for stream, on in self.standing.items():
            of_analysis = {a: r for a, r in still_open.items() if r.facts.origin is AlarmOrigin.ANALYSIS}
            holds = {a for a, r in of_analysis.items() if r.facts.stream == stream and r.cleared_ms is None}
            assert holds == on.keys(), f"{holds ^ on.keys()} are on for one, and not for the other"
        for alarm, record in stored.items():
            if record.facts.latching:
                seen = any(alarm in page.shown for page in self.pages)
                assert seen, f"nobody was shown {alarm}"
            if record.displayed_ms is not None:
                assert any(alarm in page.shown for page in self.pages)


def _told(record: AlarmRecord) -> dict[str, Any]:
    return {
        "revision": record.facts.revision,
        "text": record.facts.text,
        "cleared_ms": record.cleared_ms,
        "acknowledged_ms": record.acknowledged_ms,
        "state": AlarmState.ENDED.value if record.cleared_ms is not None else AlarmState.ACTIVE.value,
    }
