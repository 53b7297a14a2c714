"""One viewer as a test sees it: what it was sent, decoded, and each frame under the alias it was told of."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streaming.compression import CompressionHandler
from streaming.core.bundle import Bundle, Event, Gap, WaveFrame
from streaming.core.frames import Frame, FrameKind, decode_bundle, frame_text
from streaming.core.messages import Ack
from streaming.core.priority import MessagePriority
from streaming.core.profiles import ProfileSet
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.ecg import codec
from streaming.exceptions import CloseCode
from streaming.subscriber import Subscriber
from tests.fakes import FakeSocket

FRAME = 50
"""Samples of a canonical frame at 500 Hz."""


def stream_info(stream: str = "a", epoch: int = 1, rate_hz: float = 500.0, leads: int = 1) -> StreamInfo:
    """A simulated stream of 16 bits and 5 uV a step."""
    names = ("II", "V1", "V5")[:leads]
    return StreamInfo(
        stream, epoch, "P-1", "ward", Source.SIM, rate_hz, tuple(Lead(name, 5.0) for name in names)
    )


def wave(index: int, kind: FrameKind = FrameKind.WAVEFORM) -> WaveFrame:
    """The frame of samples 50 * index to 50 * (index + 1); its payload is not a real one."""
    return WaveFrame(kind, FRAME * index, FRAME, b"payload %d" % index)


def frames_of(info: StreamInfo, *indices: int) -> Bundle:
    """A bundle of these frames."""
    return Bundle(info, frames=tuple(wave(index) for index in indices))


def hole_in(info: StreamInfo, *gaps: Gap) -> Bundle:
    """A bundle of these gaps."""
    return Bundle(info, gaps=gaps)


def vitals_of(info: StreamInfo, hr: int) -> Bundle:
    """A bundle of one event."""
    text = json.dumps({"type": "vitals", "stream": info.stream, "hr": hr})
    return Bundle(info, events=(Event(text, MessagePriority.HIGH, "vitals"),))


async def turns(count: int = 30) -> None:
    """Let every other task run until it waits."""
    for _ in range(count):
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Placed:
    """A frame, and the `stream` message that its alias stood for when it came."""

    frame: Frame
    announced: dict[str, Any]

    @property
    def epoch(self) -> int:
        """The epoch that its samples belong to."""
        return int(self.announced["epoch"])


class Viewer:
    """A Subscriber before a socket that remembers everything; acks only when it is told to."""

    def __init__(self, profiles: ProfileSet | None = None) -> None:
        self.socket = FakeSocket()
        self.cuts: list[tuple[CloseCode, str]] = []
        self.subscriber = Subscriber(
            self.socket,
            profiles=profiles or ProfileSet(),
            compression=CompressionHandler(),
            on_cut=lambda code, reason: self.cuts.append((code, reason)),
            clock=asyncio.get_running_loop().time,
            rng=random.Random(1),
        )

    def ack(self) -> None:
        """Everything that came is decoded."""
        self.subscriber.acked(Ack(len(self.socket.sent), 0.0, 0))

    async def catch_up(self) -> None:
        """Take and ack until nothing more comes."""
        seen = -1
        while seen != len(self.socket.sent):
            seen = len(self.socket.sent)
            await turns()
            self.ack()
            await turns()

    @property
    def received(self) -> list[dict[str, Any] | Placed]:
        """Messages and frames in the order in which they came; KeyError for a frame of an unknown alias."""
        came: list[dict[str, Any] | Placed] = []
        aliases: dict[int, dict[str, Any]] = {}
        for message in self.socket.sent:
            parts: list[Frame | str] = [message] if isinstance(message, str) else [*decode_bundle(message)]
            for part in parts:
                if isinstance(part, Frame) and part.kind is not FrameKind.JSON:
                    came.append(Placed(part, aliases[part.alias]))
                    continue
                value = json.loads(frame_text(part) if isinstance(part, Frame) else part)
                for event in value if isinstance(value, list) else [value]:
                    if event["type"] == "stream":
                        aliases[event["alias"]] = event
                    came.append(event)
        return came

    @property
    def frames(self) -> list[Placed]:
        """The frames alone."""
        return [part for part in self.received if isinstance(part, Placed)]

    @property
    def firsts(self) -> list[int]:
        """The first sample index of each frame."""
        return [placed.frame.first for placed in self.frames]

    def messages(self, kind: str) -> list[dict[str, Any]]:
        """The messages of one type."""
        return [part for part in self.received if isinstance(part, dict) and part["type"] == kind]

    @property
    def gaps(self) -> list[tuple[int, int, str]]:
        """From, to and reason of each GAP."""
        return [(gap["from"], gap["to"], gap["reason"]) for gap in self.messages("gap")]

    @property
    def samples(self) -> npt.NDArray[np.int64]:
        """The samples of all live frames, one behind the other."""
        live = [p.frame.payload for p in self.frames if p.frame.kind is FrameKind.WAVEFORM]
        return np.concatenate([codec.decode(payload).astype(np.int64) for payload in live], axis=1)
