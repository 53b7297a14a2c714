"""What one binary message holds, read once for all viewers of a process who are sent the same bytes."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, NamedTuple

from streaming.core.frames import HEADER, Frame, FrameKind, decode_bundle, frame_text
from streaming.ecg.codec import read_header
from streaming.exceptions import ProtocolError

_KEPT = 512


class Wave(NamedTuple):
    """A frame of samples: the header's facts, and the frame itself for those who decode it."""

    is_live: bool
    alias: int
    first: int
    samples: int
    size_bytes: int
    frame: Frame


class Contents(NamedTuple):
    """The waves of a bundle in their order, and its texts in theirs, each with its size as it came.

    A GAP takes the place of the frames that it speaks for: `parts` has both in the order of the bundle.
    """

    parts: tuple[Wave | tuple[dict[str, Any], int], ...]


@lru_cache(maxsize=_KEPT)
def contents_of(message: bytes) -> Contents:
    """Read a bundle. Raises ProtocolError. What it returns is shared: nobody may change it."""
    parts: list[Wave | tuple[dict[str, Any], int]] = []
    for frame in decode_bundle(message):
        size = HEADER.size + len(frame.payload)
        if frame.kind is FrameKind.JSON:
            items = items_of(frame_text(frame))
            parts += [(item, size // len(items)) for item in items]
        else:
            samples = read_header(frame.payload).samples
            live = frame.kind is FrameKind.WAVEFORM
            parts.append(Wave(live, frame.alias, frame.first, samples, size, frame))
    return Contents(tuple(parts))


def items_of(text: str) -> list[dict[str, Any]]:
    """The messages of a text. Raises ProtocolError for what is none."""
    try:
        value = json.loads(text)
    except ValueError:
        raise ProtocolError("text is not JSON") from None
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, dict) and isinstance(item.get("type"), str) for item in items):
        raise ProtocolError("text is no message of vital.v1")
    return items
