"""A viewer that is cut and comes back, over two processes and a layer; and what it must have then."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from channels.layers import InMemoryChannelLayer

from streaming.compression import CompressionHandler
from streaming.core.bundle import MESSAGE_TYPE, Bundle, Gap, WaveFrame
from streaming.core.frames import FrameKind, decode_bundle, frame_text
from streaming.core.ladder import Decision, Reason
from streaming.core.messages import SAMPLE_LIMIT, Ack, GapReason, Resume
from streaming.core.profiles import ProfileSet
from streaming.core.renditions import Quality, Rendition
from streaming.core.spans import SpanSet
from streaming.core.streams import StreamInfo
from streaming.ecg import codec
from streaming.ecg.codec import Samples
from streaming.exceptions import CloseCode
from streaming.hub import Hub
from streaming.layer_link import CONTROL_GROUP
from streaming.subscriber import Subscriber
from tests.fakes import ThrottledLink
from tests.viewers import stream_info

RATE_HZ = 250.0
CHUNK = 25


def value_at(epoch: int, index: int) -> int:
    """Every sample says which one it is."""
    return (index * 7919 + epoch * 101) % 20_000 - 10_000


def samples_of(epoch: int, first: int, stop: int) -> Samples:
    """Those of a span, one lead."""
    return np.array([[value_at(epoch, index) for index in range(first, stop)]], np.int16)


class LossyLayer(InMemoryChannelLayer):
    """Loses as many of the bundles as it is told to."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(capacity=1000)
        self.loss = 0.0
        self._rng = rng

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if message["type"] != MESSAGE_TYPE or self._rng.random() >= self.loss:
            await super().group_send(group, message)


@dataclass(slots=True)
class Epoch:
    """What a viewer knows of one epoch."""

    first: int | None = None
    stop: int = 0
    had: SpanSet = field(default_factory=SpanSet)
    missing: SpanSet = field(default_factory=SpanSet)
    lost: SpanSet = field(default_factory=SpanSet)
    source: SpanSet = field(default_factory=SpanSet)


class Client:
    """Keeps what it gets over its connections; AssertionError for a sample that is wrong, or comes twice."""

    def __init__(
        self, *, rate: float = 1e6, delay_s: float = 0.02, rendition: Rendition | None = None
    ) -> None:
        self.epochs: dict[int, Epoch] = {}
        self.cuts: list[tuple[CloseCode, str]] = []
        self.frames: list[tuple[float, FrameKind, int, int, int]] = []
        """When, kind, epoch, first and stop of each frame."""
        self.qualities: set[str] = set()
        self._reach = 1
        """Indices for which the coarsest sample speaks."""
        self._rendition = rendition
        self._rate = rate
        self._delay_s = delay_s
        self._connection: tuple[Hub, Subscriber, ThrottledLink] | None = None
        self._read = 0
        self._aliases: dict[int, dict[str, Any]] = {}

    @property
    def subscriber(self) -> Subscriber:
        """That of the present connection."""
        assert self._connection is not None
        return self._connection[1]

    async def connect(self, hub: Hub, *, profiles: ProfileSet | None = None) -> None:
        """As the consumer does: subscribe, and resume what is known."""
        loop = asyncio.get_running_loop()
        link = ThrottledLink(self._rate, delay_s=self._delay_s, ack_messages=4)
        subscriber = Subscriber(
            link,
            profiles=profiles or ProfileSet(),
            compression=CompressionHandler(),
            on_cut=lambda code, reason: self.cuts.append((code, reason)),
            clock=loop.time,
            rng=random.Random(1),
        )
        link.on_ack = lambda n: subscriber.acked(Ack(n, 0.0, 0))
        self._connection, self._read, self._aliases = (hub, subscriber, link), 0, {}
        if self._rendition is not None:
            subscriber._decision = Decision({"a": self._rendition}, Reason.STREAMS, 0.0)
            subscriber.choose = lambda: False  # type: ignore[method-assign]
        hub.add(subscriber)
        await hub.watch(subscriber, "a")
        self.resume()

    def resume(self) -> None:
        """Say what is there, and ask for what may still come."""
        assert self._connection is not None
        hub, subscriber, _ = self._connection
        if self.epochs:
            epoch = max(self.epochs)
            hub.resume(subscriber, Resume("a", epoch, self.epochs[epoch].stop))
        self.recover()

    def recover(self) -> None:
        """Ask for what is missing and not lost."""
        assert self._connection is not None
        hub, subscriber, _ = self._connection
        for epoch, known in self.epochs.items():
            for first, stop in known.missing:
                hub.resume(subscriber, Resume("a", epoch, first, stop))

    async def cut(self) -> None:
        """The connection is gone, if there is one: what is on the way is lost."""
        if self._connection is None:
            return
        hub, subscriber, link = self._connection
        self.read()
        self._connection = None
        link.reading = False
        hub.remove(subscriber)
        await subscriber.aclose()

    def read(self) -> None:
        """Take in what has arrived."""
        if self._connection is None:
            return
        received = self._connection[2].received
        for at, message in received[self._read :]:
            for part in [message] if isinstance(message, str) else decode_bundle(message):
                if isinstance(part, str) or part.kind is FrameKind.JSON:
                    value = json.loads(part if isinstance(part, str) else frame_text(part))
                    for said in value if isinstance(value, list) else [value]:
                        self._hear(said)
                else:
                    announced = self._aliases[part.alias]
                    self._take(at, part.kind, announced, part.first, codec.decode(part.payload))
        self._read = len(received)

    def _hear(self, said: dict[str, Any]) -> None:
        if said["type"] == "stream":
            self._aliases[said["alias"]] = said
        elif said["type"] == "gap":
            known = self.epochs.setdefault(said["epoch"], Epoch())
            first, stop = said["from"], said["to"]
            if known.first is None:
                known.first = first
            if stop < SAMPLE_LIMIT:
                known.stop = max(known.stop, stop)
            if said["reason"] == GapReason.SOURCE:
                known.source.add(first, stop)
            if said["recoverable"]:
                known.missing.add(first, stop)
            else:
                assert all(a >= stop or b <= first for a, b in known.had), "nothing that came is lost"
                known.missing.remove(first, stop)
                known.lost.add(first, stop)

    def _take(
        self, at: float, kind: FrameKind, announced: dict[str, Any], first: int, samples: Samples
    ) -> None:
        epoch, factor = announced["epoch"], announced["factor"]
        stop = first + (samples.shape[1] - 1) * factor + 1
        known = self.epochs.setdefault(epoch, Epoch())
        if known.first is None:
            known.first = first
        self.frames.append((at, kind, epoch, first, stop))
        self.qualities.add(announced["rendition"])
        self._reach = max(self._reach, factor)
        if announced["rendition"] == Quality.LOSSLESS:
            assert (samples == samples_of(epoch, first, stop)).all(), "every sample is right"
        assert not known.had.overlap(first, stop - factor + 1), f"{first} to {stop} came before"
        if kind is FrameKind.WAVEFORM:
            assert first >= known.stop - (factor - 1), "live samples go on"
            if first - known.stop >= factor:
                assert known.stop == 0 or first == known.first, f"hidden gap {known.stop} to {first}"
            known.stop = stop
        speaks_from = max(0, first - factor + 1)
        known.had.add(speaks_from, stop)
        known.missing.remove(speaks_from, stop + factor - 1)

    def judge(self, epoch: int, stop: int) -> tuple[int, int]:
        """All up to `stop` must have come or be told of; how many samples came, and how many are lost."""
        self.read()
        known = self.epochs[epoch]
        assert known.first is not None
        told = SpanSet()
        for spans in (known.had, known.missing, known.lost):
            for first, end in spans:
                told.add(first, end + self._reach - 1)
        assert told.overlap(known.first, stop) == [(known.first, stop)], "no hidden gap"
        lost = sum(b - a for a, b in known.lost.overlap(known.first, stop))
        return sum(b - a for a, b in known.had.overlap(known.first, stop)), lost


class World:
    """Two processes on one layer; a device at either of them sends four times a second or ten."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.layer = LossyLayer(self.rng)
        self.hubs: list[Hub] = []
        self._clients: list[Client] = []
        self.info: StreamInfo = stream_info(rate_hz=RATE_HZ)
        self.at = 0
        self.epochs: dict[int, int] = {}

    async def start(self, *, shared: bool = True, count: int = 2) -> None:
        """Processes that know of each other."""
        clock = asyncio.get_running_loop().time
        for number in range(count):
            hub = Hub(self.layer, process_id=f"p{number}", clock=clock, shared=shared)
            await hub.start()
            await hub.link.join(CONTROL_GROUP)
            self.hubs.append(hub)

    def client(self, **options: Any) -> Client:
        """A viewer that ends with the world."""
        client = Client(**options)
        self._clients.append(client)
        return client

    async def watching(self, hub: Hub, **options: Any) -> Client:
        """A viewer that is connected to this process."""
        client = self.client(**options)
        await client.connect(hub)
        return client

    async def cut_viewer(self, hub: Hub, *, had_s: float, away_s: float, **options: Any) -> Client:
        """A viewer that had this process's stream for a while, and then was away while that went on."""
        client = await self.watching(hub, **options)
        await self.run(hub, had_s)
        await client.cut()
        await self.run(hub, away_s)
        return client

    def all_came(self, client: Client) -> None:
        """The viewer has all of the present epoch, but perhaps the last two chunks, and lacks nothing."""
        upto = self.at - 2 * CHUNK
        assert client.judge(self.info.epoch, upto) == (upto, 0)
        assert not client.epochs[self.info.epoch].missing

    def send(self, hub: Hub, count: int = CHUNK) -> None:
        """One chunk."""
        samples = samples_of(self.info.epoch, self.at, self.at + count)
        payload = codec.WaveformEncoder().encode(samples)
        frame = WaveFrame(FrameKind.WAVEFORM, self.at, count, payload, samples)
        hub.publish(Bundle(self.info, frames=(frame,)))
        self.at += count
        self.epochs[self.info.epoch] = self.at

    def skip(self, hub: Hub, count: int) -> None:
        """The device has no samples for a while."""
        hub.publish(Bundle(self.info, gaps=(Gap(self.at, self.at + count, GapReason.SOURCE),)))
        self.at += count

    def begin_epoch(self) -> None:
        """The device's next chunk is of a new session."""
        self.info, self.at = replace(self.info, epoch=self.info.epoch + 1), 0

    async def run(self, hub: Hub, seconds: float) -> None:
        """Send in real time."""
        for _ in range(round(seconds * RATE_HZ / CHUNK)):
            self.send(hub)
            await asyncio.sleep(CHUNK / RATE_HZ)

    async def aclose(self) -> None:
        """End the viewers, and the processes."""
        for client in self._clients:
            await client.cut()
        for hub in self.hubs:
            await hub.aclose()


@asynccontextmanager
async def world(seed: int = 1, *, shared: bool = True, count: int = 2) -> AsyncIterator[World]:
    """A world that has begun, and ends with the block."""
    made = World(seed)
    try:
        await made.start(shared=shared, count=count)
        yield made
    finally:
        await made.aclose()
