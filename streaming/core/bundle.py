"""What one tick of one stream carries from its ingest to every hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from streaming.core.frames import FrameKind
from streaming.core.messages import GapReason
from streaming.core.patterns import DataPattern
from streaming.core.priority import MessagePriority
from streaming.core.streams import StreamInfo

MESSAGE_TYPE = "vital.bundle"


@dataclass(frozen=True, slots=True)
class WaveFrame:
    """`count` encoded samples from sample index `first` on, lossless, as its viewers get them.

    `samples`, (leads, n), are the same decoded, where the process has them at hand, and `stamps` is when the
    first of them came and when the frame was encoded, on the process's clock. Neither crosses the layer.
    """

    kind: FrameKind
    first: int
    count: int
    payload: bytes
    samples: npt.NDArray[np.signedinteger] | None = field(default=None, compare=False, repr=False)
    stamps: tuple[float, float] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Gap:
    """Samples `first` to `stop` (exclusive) that are not there."""

    first: int
    stop: int
    reason: GapReason


@dataclass(frozen=True, slots=True)
class Event:
    """A server message about the stream, as its final JSON text.

    A later event of the same `key` replaces one that still waits: the latest value wins.
    """

    text: str
    priority: MessagePriority
    key: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """Gaps come before the frames behind them. Each bundle describes its stream: losing one loses no more.

    `pattern` is that of the stream as of its last frame, None where nothing new is said: it comes once a
    second, and when it changes.
    """

    info: StreamInfo
    frames: tuple[WaveFrame, ...] = ()
    gaps: tuple[Gap, ...] = ()
    events: tuple[Event, ...] = ()
    pattern: DataPattern | None = None

    def to_message(self, origin: str) -> dict[str, Any]:
        """As a channel-layer message; `origin` is the process that publishes."""
        return {
            "type": MESSAGE_TYPE,
            "origin": origin,
            "info": self.info.to_dict(),
            "frames": [[int(f.kind), f.first, f.count, f.payload] for f in self.frames],
            "gaps": [[g.first, g.stop, g.reason.value] for g in self.gaps],
            "events": [[e.text, int(e.priority), e.key] for e in self.events],
            "pattern": None if self.pattern is None else self.pattern.value,
        }

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Bundle:
        """The inverse of `to_message`; a version that says nothing of patterns is read as well."""
        pattern = message.get("pattern")
        return cls(
            StreamInfo.from_dict(message["info"]),
            tuple(WaveFrame(FrameKind(kind), *rest) for kind, *rest in message["frames"]),
            tuple(Gap(first, stop, GapReason(reason)) for first, stop, reason in message["gaps"]),
            tuple(Event(text, MessagePriority(priority), key) for text, priority, key in message["events"]),
            None if pattern is None else DataPattern(pattern),
        )
