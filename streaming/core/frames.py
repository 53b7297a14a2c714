"""The bytes of vital.v1: an 8-byte frame header, what is in a frame, and how to read a bundle of them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import STRICT, IntEnum, IntFlag

from streaming.core.deflate import deflate_short, inflate
from streaming.core.dictionary import DICTIONARY
from streaming.core.framing import BUNDLE_VERSION
from streaming.core.strict_json import MAX_SERVER_TEXT_BYTES
from streaming.exceptions import ProtocolError

SUBPROTOCOL = "vital.v1"
HEADER = struct.Struct("<BBHI")
MAX_FRAME_BYTES = 64 * 1024
"""Sixteen leads of two seconds at 1 kHz and 16 bits, before any compression, are 64 KB."""


class FrameKind(IntEnum):
    """What a frame's payload is."""

    WAVEFORM = 1
    BACKFILL = 2
    JSON = 3


class FrameFlag(IntFlag, boundary=STRICT):
    """Bits of the header's second byte; unknown bits are a protocol error."""

    NONE = 0
    DEFLATED = 1
    DICTIONARY = 2
    """Only with DEFLATED: behind `dictionary.DICTIONARY`."""


_WITH_DICTIONARY = FrameFlag.DEFLATED | FrameFlag.DICTIONARY
_OF_JSON = (FrameFlag.NONE, FrameFlag.DEFLATED, _WITH_DICTIONARY)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: `alias` names the stream (server) or counts chunks (device); `first` is a sample index."""

    kind: FrameKind
    flags: FrameFlag
    alias: int
    first: int
    payload: bytes


def encode_frame(kind: FrameKind, alias: int, first: int, payload: bytes, flags: int = 0) -> bytes:
    """Header and payload as one byte string; ValueError when no receiver would take it."""
    if not 0 < len(payload) <= MAX_FRAME_BYTES - HEADER.size:
        raise ValueError(f"payload of {len(payload)} bytes does not fit a frame")
    return HEADER.pack(kind, flags, alias, first) + payload


def encode_json_frame(text: str) -> bytes:
    """A JSON message as a frame, plain; ValueError when it is too long for one."""
    return encode_frame(FrameKind.JSON, 0, 0, text.encode())


def pack_json_frame(text: str, *, deflate: Callable[[bytes], bytes] = deflate_short) -> bytes:
    """A short JSON message as a frame, deflated with the dictionary; plain where that is no longer.

    A threshold has no say here: with the dictionary 100 bytes become 40. `deflate` is `deflate_once` for what
    is for one viewer alone. ValueError as `encode_json_frame`.
    """
    plain = text.encode()
    body = deflate(plain)
    if len(body) < len(plain):
        return encode_frame(FrameKind.JSON, 0, 0, body, _WITH_DICTIONARY)
    return encode_frame(FrameKind.JSON, 0, 0, plain)


def decode_bundle(message: bytes) -> Iterator[Frame]:
    """Yield the frames of one message; raises ProtocolError at the first malformed byte."""
    if not message or message[0] != BUNDLE_VERSION:
        raise ProtocolError("bundle version is not 1")
    at, end = 1, len(message)
    if at == end:
        raise ProtocolError("bundle is empty")
    while at < end:
        size, at = _read_varint(message, at)
        if not HEADER.size < size <= MAX_FRAME_BYTES or at + size > end:
            raise ProtocolError("frame length is out of bounds")
        yield decode_frame(message[at : at + size])
        at += size


def decode_frame(data: bytes) -> Frame:
    """One frame from its bytes; raises ProtocolError when the header is not valid."""
    if len(data) <= HEADER.size:
        raise ProtocolError("frame is shorter than its header and one byte")
    kind, flags, alias, first = HEADER.unpack_from(data)
    try:
        frame = Frame(FrameKind(kind), FrameFlag(flags), alias, first, data[HEADER.size :])
    except ValueError:
        raise ProtocolError("frame kind or flags are unknown") from None
    if flags and (frame.kind is not FrameKind.JSON or frame.flags not in _OF_JSON):
        raise ProtocolError("frame flags do not fit its kind")
    return frame


def frame_text(frame: Frame, *, max_bytes: int = MAX_SERVER_TEXT_BYTES) -> str:
    """The text of a JSON frame, inflated where its flag says so; raises ProtocolError."""
    if frame.kind is not FrameKind.JSON:
        raise ProtocolError("frame is not JSON")
    plain = frame.payload
    if frame.flags & FrameFlag.DEFLATED:
        dictionary = DICTIONARY if frame.flags & FrameFlag.DICTIONARY else b""
        plain = inflate(plain, max_bytes=max_bytes, dictionary=dictionary)
    try:
        return plain.decode()
    except UnicodeDecodeError:
        raise ProtocolError("frame is not UTF-8") from None


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift <= 14:
        if at >= len(data):
            raise ProtocolError("frame length is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                raise ProtocolError("frame length has a needless byte")
            return value, at
        shift += 7
    raise ProtocolError("frame length has too many bytes")
