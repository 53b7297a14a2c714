"""Raw deflate of whole messages: nothing is carried from one to the next, and inflating is bounded."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import IntEnum

from streaming.exceptions import ProtocolError


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

    @property
    def name(self) -> str:
        """Short, and the same for the same method: `deflate-6-w12m5`."""
        kind = "deflate" if self.strategy is Strategy.DEFAULT else self.strategy.name.lower()
        return f"{kind}-{self.level}-w{self.window_bits}m{self.mem_level}"


def deflate(
    data: bytes, *, level: int, window_bits: int, mem_level: int, strategy: int = Strategy.DEFAULT
) -> bytes:
    """`data` as one raw deflate stream (RFC 1951); the arguments are zlib's, `window_bits` from 9 to 15."""
    stream = zlib.compressobj(level, zlib.DEFLATED, -window_bits, mem_level, strategy)
    return stream.compress(data) + stream.flush()


def inflate(data: bytes, *, max_bytes: int) -> bytes:
    """The inverse of `deflate`, for any window.

    Raises ProtocolError for what is not one complete stream, has bytes behind its end, or inflates to more
    than `max_bytes`; no more than one byte beyond that is ever inflated.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = stream.decompress(data, max_bytes + 1)
    except zlib.error:
        raise ProtocolError("data is not raw deflate") from None
    if len(plain) > max_bytes:
        raise ProtocolError(f"data inflates to more than {max_bytes} bytes")
    if not stream.eof or stream.unused_data:
        raise ProtocolError("data is not one complete deflate stream")
    return plain
