"""Many encoded frames in one WebSocket message."""

from __future__ import annotations

from collections.abc import Iterable

BUNDLE_VERSION = 1
_VERSION_BYTE = bytes([BUNDLE_VERSION])


def encode_bundle(frames: Iterable[bytes]) -> bytes:
    """Encoded frames as one WebSocket message: version, then each frame behind its varint length."""
    parts = [_VERSION_BYTE]
    for frame in frames:
        parts.append(_varint(len(frame)))
        parts.append(frame)
    return b"".join(parts)


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14))
