"""Raw deflate of whole messages: nothing is carried from one to the next, and inflating is bounded."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from streaming.core.dictionary import DICTIONARY
from streaming.exceptions import ProtocolError

_COPIED_BITS = 13
"""Windows up to so many bits are copied together with the dictionary that was read into them.

A copy of 12 bits takes 2 us, of 14 bits 8, of 15 bits 50 to 90; reading the dictionary takes 6.
"""


class Strategy(IntEnum):
    """Where deflate looks for what repeats; every inflate reads all of them."""

    DEFAULT = zlib.Z_DEFAULT_STRATEGY
    FILTERED = zlib.Z_FILTERED
    """Only matches of 6 bytes and more: digits that happen to be the same are dearer than their codes."""
    RLE = zlib.Z_RLE
    """Only runs of one byte, which is what byte planes of differences have."""


@dataclass(frozen=True, slots=True)
class Method:
    """One way to deflate a message."""

    level: int
    window_bits: int
    mem_level: int
    strategy: Strategy = Strategy.DEFAULT
    dictionary: bool = False
    """Whether what it deflates may refer to `DICTIONARY`, as if that stood before it."""

    @property
    def name(self) -> str:
        """Short, and the same for the same method: `deflate-6-w12m5`, `deflate-6-w12m5-d1`."""
        kind = "deflate" if self.strategy is Strategy.DEFAULT else self.strategy.name.lower()
        version = "-d1" if self.dictionary else ""
        return f"{kind}-{self.level}-w{self.window_bits}m{self.mem_level}{version}"

    def deflate(self, data: bytes) -> bytes:
        """`data` as one raw deflate stream (RFC 1951)."""
        copied = self.dictionary and self.window_bits <= _COPIED_BITS
        stream = _begun(self).copy() if copied else _begin(self)
        return stream.compress(data) + stream.flush()


@lru_cache(maxsize=1024)
def deflate_short(data: bytes) -> bytes:
    """A message so short that finding out how is best would cost more than it saves; with the dictionary.

    The last ones are kept: many viewers are told the same.
    """
    return deflate_once(data)


def deflate_once(data: bytes) -> bytes:
    """The same of a message that is for one viewer alone: it would only drive out what many are told."""
    return _SHORT.deflate(data)


_SHORT = Method(6, 12, 5, dictionary=True)


def _begin(method: Method) -> zlib._Compress:
    settings = (method.level, zlib.DEFLATED, -method.window_bits, method.mem_level, method.strategy)
    return zlib.compressobj(*settings, DICTIONARY) if method.dictionary else zlib.compressobj(*settings)


@lru_cache(maxsize=64)
def _begun(method: Method) -> zlib._Compress:
    """One that is only copied from; up to 64 KiB each."""
    return _begin(method)


def deflate(
    data: bytes,
    *,
    level: int,
    window_bits: int,
    mem_level: int,
    strategy: int = Strategy.DEFAULT,
    dictionary: bytes = b"",
) -> bytes:
    """`data` as one raw deflate stream (RFC 1951); the arguments are zlib's, `window_bits` from 9 to 15."""
    settings = (level, zlib.DEFLATED, -window_bits, mem_level, strategy)
    stream = zlib.compressobj(*settings, dictionary) if dictionary else zlib.compressobj(*settings)
    return stream.compress(data) + stream.flush()


def inflate(data: bytes, *, max_bytes: int, dictionary: bytes = b"") -> bytes:
    """The inverse of `deflate`, for any window.

    Raises ProtocolError for what is not one complete stream, has bytes behind its end, or inflates to more
    than `max_bytes`; no more than one byte beyond that is ever inflated.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS, dictionary)
    try:
        plain = stream.decompress(data, max_bytes + 1)
    except zlib.error:
        raise ProtocolError("data is not raw deflate") from None
    if len(plain) > max_bytes:
        raise ProtocolError(f"data inflates to more than {max_bytes} bytes")
    if not stream.eof or stream.unused_data:
        raise ProtocolError("data is not one complete deflate stream")
    return plain
