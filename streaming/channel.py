"""One rendition of one stream in one process: who is sent it, and what its frames and its alias are."""

from __future__ import annotations

from streaming.core import messages
from streaming.core.bundle import WaveFrame
from streaming.core.frames import HEADER, FrameKind, encode_frame
from streaming.core.items import Item, Span
from streaming.core.priority import MessagePriority
from streaming.core.renditions import LADDER, Quality, Rendition
from streaming.core.streams import StreamInfo
from streaming.ecg import codec
from streaming.ecg.frame_maker import FrameMaker, RenderedFrame
from streaming.ecg.renditions import Renderer
from streaming.exceptions import ProtocolError
from streaming.subscriber import Announcement, Subscriber

CANONICAL = LADDER[0]
"""Frames as the ingest made them: nothing is left to do but to forward them."""


class Channel:
    """One rendition of a stream: who is sent it, under which alias, and how its frames are made.

    Whoever changes to it joins where it stands. `joining` are those who have been sent later samples of
    another rendition than are in a frame of this one yet, up to the index there; `items` is what the bundle
    at hand has for `viewers`. `fills` is what those who came since the last samples were sent to catch up, by
    where they and the channel stood: viewers who share a network change together.
    """

    __slots__ = ("announcement", "fills", "items", "joining", "maker", "rendition", "viewers")

    def __init__(self, rendition: Rendition) -> None:
        self.rendition = rendition
        self.viewers: set[Subscriber] = set()
        self.joining: dict[Subscriber, int] = {}
        self.announcement: Announcement | None = None
        self.maker: FrameMaker | None = None
        self.items: list[Item] = []
        self.fills: dict[tuple[int, int], list[Item]] = {}

    @property
    def is_used(self) -> bool:
        """Whether anybody is sent it, or about to be."""
        return bool(self.viewers or self.joining)

    def leave(self, subscriber: Subscriber) -> int | None:
        """Send it no more; up to where it was sent what came before, where that is another index."""
        self.viewers.discard(subscriber)
        return self.joining.pop(subscriber, None)


def announcement_text(info: StreamInfo, alias: int, rendition: Rendition) -> str:
    """The `stream` message of a rendition; that of numbers only tells of the source."""
    numbers_only = rendition.quality is Quality.VITALS
    made = Renderer(Quality.LOSSLESS if numbers_only else rendition.quality, info.rate_hz, info.leads)
    return messages.stream(
        info,
        alias,
        rendition=rendition.quality,
        leads=made.leads,
        factor=made.factor,
        frame_ms=round(1000 * rendition.frame_s),
    )


def frame_item(info: StreamInfo, alias: int, kind: FrameKind, frame: RenderedFrame, now: float) -> Item:
    """The one queue item that all viewers of a channel share; its bytes are never copied again."""
    live = kind is FrameKind.WAVEFORM
    return Item(
        encode_frame(kind, alias, frame.first, frame.payload),
        MessagePriority.HIGH if live else MessagePriority.BULK,
        now,
        HEADER.size + len(frame.payload),
        span=Span(info.stream, info.epoch, frame.after, frame.stop),
    )


def as_it_came(frame: WaveFrame) -> RenderedFrame:
    """A canonical frame: it speaks for its own samples."""
    return RenderedFrame(frame.first, frame.first, frame.first + frame.count, frame.payload)


def clip(frame: WaveFrame, first: int, stop: int | None = None) -> WaveFrame | None:
    """The samples of a frame from index `first` to `stop`; None where there are none, or none can be read."""
    end = frame.first + frame.count
    first, stop = max(first, frame.first), end if stop is None else min(stop, end)
    if first >= stop:
        return None
    if stop - first == frame.count:
        return frame
    try:
        samples = codec.decode(frame.payload) if frame.samples is None else frame.samples
    except ProtocolError:
        return None
    if samples.shape[1] != frame.count:
        return None
    part = samples[:, first - frame.first : stop - frame.first]
    return WaveFrame(frame.kind, first, stop - first, codec.WaveformEncoder().encode(part), part)
