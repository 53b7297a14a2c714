"""Raw deflate of whole messages: nothing is carried from one to the next, and inflating is bounded."""

from __future__ import annotations

import zlib

from streaming.exceptions import ProtocolError


def deflate(data: bytes, *, level: int, window_bits: int, mem_level: int) -> bytes:
    """`data` as one raw deflate stream (RFC 1951); the arguments are zlib's, `window_bits` from 9 to 15."""
    stream = zlib.compressobj(level, zlib.DEFLATED, -window_bits, mem_level)
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
