"""Where samples that a viewer lacks can be had: this process's rings, and those of others over the layer."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from streaming.core.bundle import WaveFrame
from streaming.core.frames import FrameKind
from streaming.core.ring import AWAY, NOTHING, Page, Rings
from streaming.core.streams import StreamInfo
from streaming.layer_link import CONTROL_GROUP, LayerLink, LayerMessage

logger = logging.getLogger(__name__)

ASK_TYPE = "vital.ring.ask"
PAGE_TYPE = "vital.ring.page"
DEADLINE_S = 1.0
"""How long a process that may have the samples is waited for."""
GRACE_S = 0.1
"""How long others are waited for behind an answer that lacks samples: a device may change processes."""
SILENT_S = 5.0
"""For how long nobody is asked again for a stream of which nobody had a ring."""
DOUBT_S = 20.0
"""A process may have been too late to answer: that nobody has what was not brought is believed when it is
asked for again within this time, and not before `SILENT_S`."""
MAX_PAGE_BYTES = 64 * 1024


class FrameSource(Protocol):
    """Keeps frames of streams, and reads them back by position."""

    async def read(self, stream: str, epoch: int, first: int, stop: int, *, max_bytes: int) -> Page:
        """Frames that have any of samples `first` to `stop`, newest first; at least one if there is any."""


class LocalRings:
    """The rings of this process; never waits."""

    def __init__(self, rings: Rings) -> None:
        self._rings = rings

    async def read(self, stream: str, epoch: int, first: int, stop: int, *, max_bytes: int) -> Page:
        """As every source."""
        return self._rings.read(stream, epoch, first, stop, max_bytes=max_bytes)


class LayerRings:
    """The rings of the processes to which devices are connected, or were, asked for over the channel layer.

    One question serves all who ask the same, and what comes is kept in the rings here, also when it comes too
    late for that question. Where nobody has the stream, nobody answers: that costs the deadline once in five
    seconds, and is believed the second time.
    """

    def __init__(
        self,
        rings: Rings,
        link: LayerLink,
        process_id: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rings = rings
        self._link = link
        self._process_id = process_id
        self._clock = clock
        self._numbers = itertools.count()
        self._asked: dict[int, _Question] = {}
        self._shared: dict[tuple[Any, ...], asyncio.Task[Page]] = {}
        self._silent_until: dict[str, float] = {}
        self._doubted_at: dict[str, float] = {}
        """When a question about each stream was last without an answer that brought all."""

    async def read(self, stream: str, epoch: int, first: int, stop: int, *, max_bytes: int) -> Page:
        """As every source."""
        if not (self._link.healthy or self._link.has_just_heard):
            return AWAY
        if self._is_silent(stream):
            return AWAY if self._is_doubtful(stream) else NOTHING
        key = (stream, epoch, first, stop, max_bytes)
        task = self._shared.get(key)
        if task is None:
            task = self._shared[key] = asyncio.create_task(self._ask(*key), name="vital-ring-ask")
            task.add_done_callback(lambda _: self._shared.pop(key))
        return await asyncio.shield(task)

    def hear(self, message: LayerMessage) -> bool:
        """Answer a question, or take an answer; False for messages about other things."""
        if message["type"] == ASK_TYPE:
            if message["origin"] != self._process_id:
                self._answer(message)
        elif message["type"] == PAGE_TYPE:
            self._take(message)
        else:
            return False
        return True

    async def aclose(self) -> None:
        """End what waits for answers."""
        tasks = list(self._shared.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _is_silent(self, stream: str) -> bool:
        now = self._clock()
        self._silent_until = {name: until for name, until in self._silent_until.items() if now < until}
        return stream in self._silent_until

    async def _ask(self, stream: str, epoch: int, first: int, stop: int, max_bytes: int) -> Page:
        number = next(self._numbers)
        question = self._asked[number] = _Question(first, stop)
        self._link.publish(
            CONTROL_GROUP,
            {
                "type": ASK_TYPE,
                "origin": self._process_id,
                "reply": self._link.channel,
                "id": number,
                "what": [stream, epoch, first, stop, max_bytes],
            },
        )
        try:
            answered = await question.answered()
        finally:
            del self._asked[number]
        if not answered:
            self._silent_until[stream] = self._clock() + SILENT_S
        return question.page(unheard=not question.is_whole and self._is_doubtful(stream))

    def _is_doubtful(self, stream: str) -> bool:
        """Whether who has not answered about a stream may do so yet."""
        now = self._clock()
        self._doubted_at = {name: at for name, at in self._doubted_at.items() if now - at < DOUBT_S}
        return now - self._doubted_at.setdefault(stream, now) < SILENT_S

    def _take(self, message: LayerMessage) -> None:
        answer = _Answer.of(message)
        if answer.info is not None:
            self._rings.keep(answer.info, answer.frames, self._clock())
        question = self._asked.get(message["id"])
        if question is not None:
            question.take(answer)

    def _answer(self, message: LayerMessage) -> None:
        stream, epoch, first, stop, max_bytes = message["what"]
        ring = self._rings.own(stream)
        if ring is None:
            return
        page = ring.read(epoch, first, stop, max_bytes=min(max_bytes, MAX_PAGE_BYTES))
        self._link.reply(
            message["reply"],
            {
                "type": PAGE_TYPE,
                "origin": self._process_id,
                "id": message["id"],
                "info": None if page.info is None else page.info.to_dict(),
                "frames": [[int(f.kind), f.first, f.count, f.payload] for f in page.frames],
                "next": page.next,
            },
            sum(len(frame.payload) for frame in page.frames),
        )


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one process has of what was asked for; `next` as of a `Page`."""

    info: StreamInfo | None
    frames: tuple[WaveFrame, ...]
    next: int | None

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> _Answer:
        info = message["info"]
        return cls(
            None if info is None else StreamInfo.from_dict(info),
            tuple(WaveFrame(FrameKind(kind), *rest) for kind, *rest in message["frames"]),
            message.get("next"),
        )


class _Question:
    """What the processes answered to one question."""

    def __init__(self, first: int, stop: int) -> None:
        self._first = first
        self._stop = stop
        self._info: StreamInfo | None = None
        self._frames: dict[int, WaveFrame] = {}
        self._whole_from = first
        """Below, one of those who answered has more than it could say."""
        self._any = asyncio.Event()
        self._whole = asyncio.Event()

    @property
    def is_whole(self) -> bool:
        """Whether no sample lacks, of those about which everybody who answered has said all."""
        return self._whole.is_set()

    def take(self, answer: _Answer) -> None:
        """One process has answered."""
        self._frames |= {frame.first: frame for frame in answer.frames}
        self._info = answer.info or self._info
        if answer.next is not None:
            self._whole_from = max(self._whole_from, answer.next)
        if self._reach() <= self._whole_from:
            self._whole.set()
        self._any.set()

    def _reach(self) -> int:
        """The first of the samples that came without a hole up to the end of the span."""
        reach = self._stop
        for first in sorted(self._frames, reverse=True):
            if first + self._frames[first].count < reach:
                break
            reach = first
        return reach

    async def answered(self) -> bool:
        """Wait for an answer, and where samples lack then, a moment for others; whether any came."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._any.wait()
        except TimeoutError:
            return False
        try:
            async with asyncio.timeout(GRACE_S):
                await self._whole.wait()
        except TimeoutError:
            pass
        return True

    def page(self, *, unheard: bool) -> Page:
        """What came, newest first, as far down as it is all that they have."""
        if self._info is None or not self._frames:
            return AWAY if unheard else NOTHING
        newest_first = (self._frames[first] for first in sorted(self._frames, reverse=True))
        frames = tuple(frame for frame in newest_first if frame.first + frame.count > self._whole_from)
        lowest = frames[-1].first
        return Page(self._info, frames, lowest if lowest > self._first else None, unheard)
