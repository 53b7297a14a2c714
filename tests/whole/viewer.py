"""A viewer behind a link of its own: it decodes, checks and acks, and comes again when it was cut."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from streaming.compression import CompressionHandler
from streaming.core.frames import Frame, FrameKind, decode_bundle, frame_text
from streaming.core.messages import Ack, GapReason
from streaming.core.priority import MessagePriority
from streaming.core.renditions import Quality
from streaming.ecg import codec
from streaming.exceptions import CloseCode
from streaming.subscriber import Subscriber
from tests.fakes import ThrottledLink
from tests.whole.device import truth

if TYPE_CHECKING:
    from tests.whole.world import Process, World

COARSE = 10
"""A coarse rendition's last sample may stand so many native ones before a hole."""
RESENT = 500
"""A device that reaches another process sends half a second again, and vitals are made of it again."""
NOTICED_S = (0.0, 0.0, 0.5, 3.0)
"""After how long a process hears that a viewer is gone."""


@lru_cache(maxsize=64)
def decoded(payload: bytes) -> codec.Samples:
    """Viewers of a process are sent the same bytes."""
    return codec.decode(payload)


class SeededLink(ThrottledLink):
    """A link whose rate changes, which stalls and is cut; the client acks as `welcome` asks."""

    def __init__(self, rate: float, delay_s: float, on_message: Callable[[bytes | str], None]) -> None:
        super().__init__(rate, delay_s=delay_s, ack_messages=4)
        self.is_cut = False
        self.acknowledge: Callable[[Ack], None] = lambda ack: None
        self._on_message = on_message
        self._held: list[bytes | str] = []
        self._stalled = False

    @property
    def is_slow(self) -> bool:
        """Whether what is on its way takes more than a second."""
        return self._free_at > asyncio.get_running_loop().time() + 1.0

    def tell(self, n: int, held_s: float) -> None:
        """Bring an ack to the server."""
        asyncio.get_running_loop().call_later(self.delay_s, self._bring, Ack(n, 0.0, 0, 1000 * held_s))

    def stall(self) -> None:
        """What is on its way waits, as long as this lasts."""
        self._stalled = True

    def go_on(self) -> None:
        """All that waited arrives at once."""
        self._stalled = False
        held, self._held = self._held, []
        for data in held:
            self._arrive(data)

    def _bring(self, ack: Ack) -> None:
        if not self.is_cut:
            self.acknowledge(ack)

    def _arrive(self, data: bytes | str) -> None:
        if self.is_cut:
            return
        if self._stalled:
            self._held.append(data)
            return
        self._on_message(data)
        super()._arrive(data)


@dataclass
class Reading:
    """What one connection has been told of one stream."""

    reached: dict[int, int] = field(default_factory=dict)
    """One past the last sample of an epoch that came, or that a GAP spoke for."""
    quality: dict[int, Quality] = field(default_factory=dict)
    """What an epoch was last sent as."""
    coarse: set[int] = field(default_factory=set)
    """The epochs that may have been sent thinned: perhaps nothing of that came but a GAP."""
    numbers_only: bool = False
    vitals_at: tuple[int, int] = (0, -1)
    epoch: int = 0


class Connection:
    """One connection of a viewer to a process. Resuming the one before is not part of it yet."""

    def __init__(self, viewer: SimulatedViewer, process: Process, number: int) -> None:
        world = viewer.world
        self.viewer = viewer
        self.process = process
        self.number = number
        self.link = SeededLink(viewer.rate, viewer.delay_s, self._message)
        self.subscriber = Seated(
            viewer.seat,
            self.link,
            profiles=process.hub.profiles,
            compression=CompressionHandler(clock=lambda: 0.0),
            on_cut=self._on_cut,
            clock=world.now,
            rng=random.Random(f"{world.seed} {viewer.seat} {number}"),
        )
        self.link.acknowledge = self.subscriber.acked
        self.cut_by: CloseCode | None = None
        self.is_over = False
        self.critical_told: list[str] = []
        self.critical_came: list[str] = []
        self.readings: dict[str, Reading] = {}
        self.frames = 0
        self.backfills = 0
        self.gaps = 0
        self._aliases: dict[int, dict[str, Any]] = {}

    async def open(self) -> None:
        self.process.hub.add(self.subscriber)
        self.process.viewers.append(self)
        for stream in self.viewer.streams:
            if not self.is_over:  # as a consumer, whose tasks end with it
                await self.process.hub.watch(self.subscriber, stream)

    async def end(self) -> None:
        """The process knows that the viewer is gone."""
        if self.is_over:
            return
        self.is_over = True
        if self in self.process.viewers:
            self.process.viewers.remove(self)
            self.process.hub.remove(self.subscriber)
        await self.subscriber.aclose()

    def tell_critical(self, text: str) -> None:
        """As an alarm: nothing may be lost of these while the connection lasts."""
        if self.subscriber.handler.cut is None and not self.is_over:
            self.critical_told.append(text)
            self.subscriber.tell(json.dumps({"type": "test-alarm", "id": text}))

    def _on_cut(self, code: CloseCode, _reason: str) -> None:
        self.cut_by = code
        self.viewer.lose(self, noticed_s=0.0)

    # -- what came

    def _message(self, data: bytes | str) -> None:
        self.viewer.world.trace(self.viewer.seat, self.number, data)
        parts: list[Frame | str] = [data] if isinstance(data, str) else [*decode_bundle(data)]
        for part in parts:
            if isinstance(part, Frame) and part.kind is not FrameKind.JSON:
                self._frame(part)
                continue
            said = json.loads(frame_text(part) if isinstance(part, Frame) else part)
            for event in said if isinstance(said, list) else [said]:
                self._event(event)

    def _event(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "test-alarm":
            self.critical_came.append(event["id"])
        elif kind == "stream":
            self._aliases[event["alias"]] = event
            if event["factor"] > 1:
                self._reading(event["stream"]).coarse.add(event["epoch"])
            if event["rendition"] == Quality.VITALS:
                self._reading(event["stream"]).numbers_only = True
        elif kind == "gap":
            self._gap(event)
        elif kind == "vitals":
            reading = self._reading(event["stream"])
            here = event["epoch"], event["sample"]
            assert here >= (reading.vitals_at[0], reading.vitals_at[1] - RESENT), "older vitals came later"
            reading.vitals_at = here

    def _gap(self, gap: dict[str, Any]) -> None:
        self.gaps += 1
        reading, epoch = self._reading(gap["stream"]), gap["epoch"]
        reason = GapReason(gap["reason"])
        assert 0 <= gap["from"] < gap["to"]
        at = reading.reached.get(epoch)
        if reading.numbers_only and reason is not GapReason.RENDITION:
            if at != gap["from"]:
                return  # one GAP will speak for all of it when there are samples again
        elif at is not None and at < gap["from"]:
            self._no_hidden_hole(reading, epoch, at, gap["from"])
        if reason is GapReason.RENDITION:
            reading.numbers_only = False
        reading.reached[epoch] = max(at or 0, gap["to"])

    def _frame(self, frame: Frame) -> None:
        told = self._aliases[frame.alias]
        stream, epoch, factor = told["stream"], told["epoch"], told["factor"]
        quality = Quality(told["rendition"])
        samples = decoded(frame.payload)
        stop = frame.first + (samples.shape[1] - 1) * factor + 1
        if quality is Quality.LOSSLESS:
            right = truth(stream, epoch)[:, frame.first : stop]
            assert (samples == right).all(), "not what the device sent"
        if frame.kind is FrameKind.BACKFILL:
            self.backfills += 1
            return
        self.frames += 1
        reading = self._reading(stream)
        assert epoch >= reading.epoch, "an epoch that has ended goes on"
        reading.epoch = epoch
        at = reading.reached.get(epoch)
        if at is not None:
            assert frame.first >= at or quality is not Quality.LOSSLESS, "a sample twice, or out of order"
            assert frame.first > at - COARSE, "a sample twice, or out of order"
            if frame.first > at:
                self._no_hidden_hole(reading, epoch, at, frame.first)
        reading.reached[epoch] = stop
        reading.quality[epoch] = quality
        reading.numbers_only = False

    def _no_hidden_hole(self, reading: Reading, epoch: int, at: int, first: int) -> None:
        """Only what a coarse rendition leaves out between two of its samples needs no GAP."""
        assert first - at <= (COARSE if epoch in reading.coarse else 0), f"a hidden hole, {at} to {first}"

    def _reading(self, stream: str) -> Reading:
        return self.readings.setdefault(stream, Reading())


class Seated(Subscriber):
    """A subscriber whose place in sets depends on its seat, and not on where it lies in memory."""

    def __init__(self, seat: int, *arguments: Any, **named: Any) -> None:
        self._seat = seat
        super().__init__(*arguments, **named)

    def __hash__(self) -> int:
        return self._seat


class SimulatedViewer:
    """One user, over all its connections."""

    def __init__(self, world: World, seat: int, streams: tuple[str, ...], rng: random.Random) -> None:
        self.world = world
        self.seat = seat
        self.streams = streams
        self.rate = rng.choice((400.0, 1_000.0, 3_000.0, 64_000.0))
        self.delay_s = rng.choice((0.005, 0.03, 0.15))
        self.connection: Connection | None = None
        self.past: list[Connection] = []
        self._rng = rng
        self._number = 0
        self._ending: set[asyncio.Task[None]] = set()

    async def keep_connected(self) -> None:
        while not self.world.over:
            if self.connection is None and (process := self.world.some_process(self._rng)) is not None:
                self._number += 1
                connection = self.connection = Connection(self, process, self._number)
                await connection.open()
            await asyncio.sleep(self._rng.uniform(0.2, 1.0))

    def cut(self) -> None:
        """The network is gone; the process hears of it later."""
        if self.connection is not None:
            self.lose(self.connection, noticed_s=self._rng.choice(NOTICED_S))

    def lose(self, connection: Connection, *, noticed_s: float) -> None:
        """Nothing passes this connection any more."""
        if connection.link.is_cut:
            return
        connection.link.is_cut = True
        self.past.append(connection)
        if self.connection is connection:
            self.connection = None
        self._end(connection, noticed_s)

    async def end(self) -> None:
        """Close for good."""
        if self.connection is not None:
            self.lose(self.connection, noticed_s=0.0)
        while self._ending:
            await asyncio.gather(*self._ending)

    def _end(self, connection: Connection, after_s: float) -> None:
        async def end() -> None:
            await asyncio.sleep(after_s)
            await connection.end()

        task = asyncio.create_task(end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def is_behind(priority: MessagePriority, waits_s: float, max_age_s: float) -> bool:
    """Whether something of a class has waited for longer than it may, and a timer's step."""
    return priority is not MessagePriority.CRITICAL and waits_s > max_age_s + 0.1
