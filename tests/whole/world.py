"""Two processes, their layer, devices and viewers, and the misfortunes that a seed has in store for them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest import mock

from streaming.compression import CompressionHandler
from streaming.core.priority import MessagePriority
from streaming.core.profiles import (
    DEFAULT_CLASS_BOUNDS,
    BackpressureProfile,
    ClassBounds,
    ConnectionProfile,
    GroupProfile,
    ProfileSet,
)
from streaming.core.renditions import Quality
from streaming.core.streams import group_of
from streaming.core.window import CRITICAL_CREDIT_BYTES, MAX_BUNDLE_BYTES
from streaming.hub import Hub
from streaming.ingest import Ingest
from tests.accounting import assert_accounts, assert_metrics_account
from tests.fakes import VirtualLoop
from tests.whole.device import SimulatedDevice
from tests.whole.layer import Broker, SimulatedLayer
from tests.whole.viewer import Connection, SimulatedViewer, is_behind

STREAMS = ("a", "b")
VIEWERS = 3
PROCESSES = 2
ROUGH_S = 7.0
"""So long misfortunes happen."""
CALM_S = 4.5
"""So long after them everything must be well again: a layer is joined anew every 2 s."""
QUIET_S = 3.37
"""So long after the last sample: what renditions hold back has come, and all is acked."""
LOOK_S = 0.1
CONTROL_BYTES = 64 * 1024


class Process:
    """One server process: a hub and an ingest, for as long as it lives."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.lives = True
        self.viewers: list[Connection] = []
        self.channel = f"{name}-channel"
        self.hub = Hub(
            SimulatedLayer(world.broker, self.channel),
            process_id=name,
            profiles=world.profiles,
            clock=world.now,
            shared=True,
        )
        self.ingest = Ingest(
            self.hub.publish,
            lambda _group: CompressionHandler(clock=lambda: 0.0),
            clock=world.now,
            cpu_clock=lambda: 0.0,
        )


@dataclass
class Outcome:
    """What one seed came to."""

    trace: str = ""
    """A hash of every message that reached a client, and when."""
    messages: int = 0
    frames: int = 0
    gaps: int = 0
    backfills: int = 0
    criticals: int = 0
    connections: int = 0
    cuts: int = 0
    kills: int = 0
    outages: int = 0
    expired: int = 0
    dropped: int = 0
    layer_lost: int = 0
    qualities: set[Quality] = field(default_factory=set)


def simulate(seed: int) -> Outcome:
    """One run of 15 virtual seconds; AssertionError when an invariant is broken."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_simulate(seed))


async def _simulate(seed: int) -> Outcome:
    loop = asyncio.get_running_loop()
    wall = SimpleNamespace(time=lambda: 1.7e9 + round(loop.time(), 3), monotonic=loop.time)
    loggers = [logging.getLogger(name) for name in ("streaming.layer_link", "streaming.room")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)  # outages are what this is about
    try:
        with mock.patch("streaming.subscriber.time", wall):
            return await World(seed).lived()
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class World:
    """All that there is; every choice is drawn from generators that the seed begins."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.over = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Ends with the first error of a callback that belongs to no task."""
        asyncio.get_running_loop().set_exception_handler(self._on_error)
        self.profiles = ProfileSet()
        self.broker = Broker(self.rng_of("broker"))
        self.processes: list[Process] = []
        self.outcome = Outcome()
        self.now = asyncio.get_running_loop().time
        self._fate = self.rng_of("fate")
        self._epochs: dict[str, list[str]] = {}
        self._trace: dict[int, hashlib._Hash] = {}
        self._started = 0
        self._version = 0
        self.devices = [SimulatedDevice(self, name, self.rng_of(f"device {name}")) for name in STREAMS]
        watching = [STREAMS if self._fate.random() < 0.6 else STREAMS[:1] for _ in range(VIEWERS)]
        self.viewers = [
            SimulatedViewer(self, seat, streams, self.rng_of(f"viewer {seat}"))
            for seat, streams in enumerate(watching, 1)
        ]

    def rng_of(self, what: str) -> random.Random:
        """A generator of its own for each part, so that one part's draws are not another's."""
        return random.Random(f"{self.seed} {what}")

    def epoch_of(self, stream: str, session: str) -> int:
        """As the database has it: one epoch for each session of a stream."""
        sessions = self._epochs.setdefault(stream, [])
        if session not in sessions:
            sessions.append(session)
        return sessions.index(session) + 1

    def some_process(self, rng: random.Random) -> Process | None:
        return rng.choice(self.processes) if self.processes else None

    def trace(self, seat: int, connection: int, data: bytes | str) -> None:
        """Note what reached a client, and when."""
        self.outcome.messages += 1
        digest = self._trace.setdefault(seat, hashlib.sha256())
        digest.update(f"{self.now():.6f} {connection} {len(data)} ".encode())
        digest.update(data.encode() if isinstance(data, str) else data)

    async def lived(self) -> Outcome:
        """From the start of the first process to the end of the last."""
        for _ in range(PROCESSES):
            await self._start_process()
        works: list[Awaitable[None]] = [self._look()]
        works += [work for d in self.devices for work in (d.run(), d.keep_connected(), d.confirm())]
        works += [viewer.keep_connected() for viewer in self.viewers]
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            await self._watched(tasks, self._misfortunes())
            self._heal()
            await self._watched(tasks, asyncio.sleep(CALM_S))
            self.over = True
            await asyncio.wait_for(asyncio.gather(*tasks), 2.0)
            await asyncio.sleep(QUIET_S)
            self._look_once()
            self._all_is_well()
            if self.failed.done():
                self.failed.result()
        finally:
            self.over = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for viewer in self.viewers:
                await viewer.end()
            for process in self.processes:
                await process.hub.aclose()
        return self._told()

    def _on_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception") or RuntimeError(context["message"])
        if not self.failed.done():
            self.failed.set_exception(error)

    async def _watched(self, tasks: Sequence[asyncio.Future[None]], work: Awaitable[None]) -> None:
        """Do `work` while the others do theirs; what fails one of them fails all."""
        mine = asyncio.ensure_future(work)
        done, _ = await asyncio.wait([mine, self.failed, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        assert mine in done

    # -- misfortunes

    async def _misfortunes(self) -> None:
        ends_at = self.now() + ROUGH_S
        self.broker.loss = self._fate.choice((0.0, 0.0, 0.02, 0.2))
        self.broker.max_delay_s = self._fate.choice((0.002, 0.02, 0.3))
        acts: list[Callable[[], Awaitable[None]]] = [
            *[self._cut_a_viewer] * 4,
            *[self._stall_a_viewer] * 4,
            *[self._change_a_link] * 4,
            *[self._ring_an_alarm] * 10,
            *[self._break_a_device] * 3,
            *[self._leave_a_hole] * 3,
            *[self._begin_a_session] * 1,
            *[self._change_settings] * 2,
            *[self._lose_the_layer] * 1,
            *[self._kill_a_process] * 1,
        ]
        while self.now() < ends_at:
            await asyncio.sleep(self._fate.expovariate(4.0))
            await self._fate.choice(acts)()

    async def _cut_a_viewer(self) -> None:
        self._fate.choice(self.viewers).cut()

    async def _stall_a_viewer(self) -> None:
        connection = self._fate.choice(self.viewers).connection
        lasts_s = self._fate.choice((0.3, 1.5, 4.0, 15.0))
        if connection is not None:
            connection.link.stall()
            asyncio.get_running_loop().call_later(lasts_s, connection.link.go_on)

    async def _change_a_link(self) -> None:
        viewer = self._fate.choice(self.viewers)
        viewer.rate = self._fate.choice((300.0, 800.0, 2_000.0, 64_000.0))
        if viewer.connection is not None:
            viewer.connection.link.rate = viewer.rate

    async def _ring_an_alarm(self) -> None:
        self.outcome.criticals += 1
        for viewer in self.viewers:
            if viewer.connection is not None:
                viewer.connection.tell_critical(f"alarm-{self.outcome.criticals}")

    async def _break_a_device(self) -> None:
        self._fate.choice(self.devices).break_connection(told=self._fate.random() < 0.7)

    async def _leave_a_hole(self) -> None:
        self._fate.choice(self.devices).leave_a_hole()

    async def _begin_a_session(self) -> None:
        await self._fate.choice(self.devices).begin_anew()

    async def _change_settings(self) -> None:
        self._version += 1
        bounds = {
            **DEFAULT_CLASS_BOUNDS,
            MessagePriority.HIGH: ClassBounds(
                self._fate.choice((2000, 20_000, 262_144)), self._fate.choice((0.5, 1.0, 2.0))
            ),
        }
        backpressure = BackpressureProfile(
            max_buffer_size=self._fate.choice((20, 100, 10_000)),
            emergency_mode=self._fate.random() < 0.7,
            bounds=bounds,
        )
        profile = GroupProfile(
            backpressure=backpressure,
            connection=ConnectionProfile(
                max_window_bytes=self._fate.choice((4096, 262_144)),
                max_total_bytes=self._fate.choice((64 * 1024, 2048 * 1024)),
            ),
        )
        if self._fate.random() < 0.5:
            self.profiles = ProfileSet(version=self._version, default=profile)
        else:
            self.profiles = ProfileSet(version=self._version, overrides={group_of("a"): profile})
        for process in self.processes:
            process.hub.apply_profiles(self.profiles)

    async def _lose_the_layer(self) -> None:
        self.outcome.outages += 1
        self.broker.go_away()
        asyncio.get_running_loop().call_later(self._fate.choice((0.1, 1.0, 4.0)), self.broker.come_back)

    async def _kill_a_process(self) -> None:
        """As kill -9 does: nobody is told, every connection breaks, and another one starts later."""
        if len(self.processes) < PROCESSES:
            return
        self.outcome.kills += 1
        process = self._fate.choice(self.processes)
        self.processes.remove(process)
        self.broker.forget(process.channel)
        for device in self.devices:
            device.lose(process)
        for connection in list(process.viewers):
            connection.viewer.lose(connection, noticed_s=0.0)
        with mock.patch.object(process.hub.link, "healthy", new=False):  # so that it takes leave of nothing
            await process.hub.aclose()
        await asyncio.sleep(0)
        task = asyncio.ensure_future(self._start_later(self._fate.choice((0.3, 2.0))))
        self._restarting = task

    async def _start_later(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self._start_process()

    async def _start_process(self) -> None:
        self._started += 1
        process = Process(self, f"process-{self._started}")
        await process.hub.start()
        self.processes.append(process)

    def _heal(self) -> None:
        self.broker.loss = 0.0
        self.broker.come_back()
        self.profiles = ProfileSet(version=self._version + 1)
        for process in self.processes:
            process.hub.apply_profiles(self.profiles)
        for viewer in self.viewers:
            viewer.rate = max(viewer.rate, 20_000.0)
            if viewer.connection is not None and viewer.connection.link.is_slow:
                viewer.cut()  # what is on a slow link comes no sooner when it is faster
            elif viewer.connection is not None:
                viewer.connection.link.rate = viewer.rate
                viewer.connection.link.go_on()

    # -- what must hold

    async def _look(self) -> None:
        while not self.over:
            await asyncio.sleep(LOOK_S)
            self._look_once()

    def _look_once(self) -> None:
        """At every moment: accounts are right, memory is bounded, nothing waits longer than it may."""
        for process in self.processes:
            assert process.hub.link._outbound_bytes <= 4 * 1024 * 1024
            for connection in process.viewers:
                subscriber = connection.subscriber
                handler = subscriber.handler
                assert_accounts(handler)
                most = handler._queue.outbox._totals
                assert handler.queued_bytes - most.protected_bytes <= 2048 * 1024
                assert most.protected_bytes <= CONTROL_BYTES + MAX_BUNDLE_BYTES
                largest = subscriber.window.max_bytes + CRITICAL_CREDIT_BYTES + 2 * MAX_BUNDLE_BYTES
                assert subscriber.window.in_flight_bytes <= max(largest, 256 * 1024)
                for lane in handler._queue.outbox._lanes.values():
                    for queue in lane.queues:
                        waits_s = self.now() - queue.oldest_at()
                        assert not is_behind(queue.priority, waits_s, queue.max_age_s), "starves"

    def _all_is_well(self) -> None:
        """Everybody is back, has all of it or was told of what is missing, and no alarm was lost."""
        for viewer in self.viewers:
            connection = viewer.connection
            assert connection is not None, "a viewer that was cut did not come back"
            handler = connection.subscriber.handler
            assert handler.cut is None
            assert handler.get_metrics().buffer_size == 0, "what waits was not sent"
            assert connection.critical_came == connection.critical_told, "an alarm was lost"
            for device in self.devices:
                if device.stream not in viewer.streams:
                    continue
                reading = connection.readings[device.stream]
                assert reading.vitals_at[1] > 0, "no vitals came"
                if not reading.numbers_only:
                    at = reading.reached[device.epoch]
                    spare = 0 if reading.quality.get(device.epoch) is Quality.LOSSLESS else 10
                    assert device.next_sample - spare <= at <= device.next_sample, "the end is missing"

    def _told(self) -> Outcome:
        outcome = self.outcome
        for viewer in self.viewers:
            for connection in viewer.past:
                assert (
                    connection.critical_came == connection.critical_told[: len(connection.critical_came)]
                ), "alarms out of order, or one left out"
                assert_accounts(connection.subscriber.handler)
                assert_metrics_account(connection.subscriber.handler)
                metrics = connection.subscriber.handler.get_metrics()
                outcome.expired += metrics.expired_messages
                outcome.dropped += metrics.dropped_messages
                outcome.frames += connection.frames
                outcome.gaps += connection.gaps
                outcome.backfills += connection.backfills
                outcome.connections += 1
                outcome.cuts += connection.cut_by is not None
                for reading in connection.readings.values():
                    outcome.qualities |= set(reading.quality.values())
        outcome.layer_lost = self.broker.lost
        with contextlib.suppress(KeyError):
            outcome.trace = hashlib.sha256(
                b"".join(self._trace[seat].digest() for seat in sorted(self._trace))
            ).hexdigest()
        return outcome
