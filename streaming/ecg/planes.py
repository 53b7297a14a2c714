"""The older waveform payload: samples as differences, zigzag, byte planes and raw deflate.

Neighbouring samples are close, so most differences fit one byte; zigzag makes the other bytes zero, and the
planes put them side by side, where deflate takes them away. It holds any integers of 16 or 32 bits, and any
deflate library decodes it: `ecg1` falls back to it.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

from streaming.exceptions import ProtocolError

HEADER = struct.Struct("<BBH")
MAX_LEADS = 16
MAX_SAMPLES = 8192
PLANES16, PLANES32 = 1, 2
ITEM_BYTES = {PLANES16: 2, PLANES32: 4}

Samples = npt.NDArray[np.int16] | npt.NDArray[np.int32]


def encode_planes(samples: Samples, *, level: int, window_bits: int, mem_level: int) -> bytes:
    """Samples of shape (leads, n), int16 or int32, as one payload; 1-16 leads, 1-8192 samples each.

    Raises ValueError for other shapes and types. The arguments are zlib's, `window_bits` from 9 to 15.
    """
    leads, count = samples.shape if samples.ndim == 2 else (0, 0)
    if not 1 <= leads <= MAX_LEADS or not 1 <= count <= MAX_SAMPLES:
        raise ValueError(f"samples of shape {samples.shape} do not fit one payload")
    codec = PLANES16 if samples.dtype.itemsize == 2 else PLANES32
    deflate = zlib.compressobj(level, zlib.DEFLATED, -window_bits, mem_level)
    body = deflate.compress(to_planes(samples)) + deflate.flush()
    return HEADER.pack(codec, leads, count) + body


def decode_planes(payload: bytes) -> Samples:
    """The samples of a payload, shape (leads, n), int16 or int32, C order.

    Raises ProtocolError for every malformed payload; takes no more memory than the header announces, and
    time in proportion to that.
    """
    codec, leads, count = read_header(payload)
    item_bytes = ITEM_BYTES[codec]
    plain = _inflate(payload[HEADER.size :], leads * count * item_bytes)
    return from_planes(plain, (leads, count), item_bytes)


def read_header(payload: bytes) -> tuple[int, int, int]:
    """Codec, leads and samples a lead; raises ProtocolError."""
    if len(payload) <= HEADER.size:
        raise ProtocolError("payload is shorter than its header and one byte")
    codec, leads, count = HEADER.unpack_from(payload)
    if codec not in ITEM_BYTES:
        raise ProtocolError("payload codec is unknown")
    if not 1 <= leads <= MAX_LEADS or not 1 <= count <= MAX_SAMPLES:
        raise ProtocolError("payload leads or samples are out of bounds")
    return codec, leads, count


def to_planes(samples: Samples) -> bytes:
    """Differences along the last axis (the first from 0), zigzag, lowest bytes of all first.

    Arithmetic wraps modulo 2^16 or 2^32, so that every value comes back exactly.
    """
    if samples.dtype not in (np.int16, np.int32):
        raise ValueError(f"samples are {samples.dtype}, not int16 or int32")
    signed = samples.dtype.newbyteorder("<")
    unsigned = np.dtype(f"<u{signed.itemsize}")
    values = np.ascontiguousarray(samples, dtype=signed).view(unsigned)
    differences = values.copy()
    differences[..., 1:] -= values[..., :-1]
    steps = differences.view(signed)
    zigzag: npt.NDArray[np.integer] = (steps << 1) ^ (steps >> (8 * signed.itemsize - 1))
    return zigzag.view(np.uint8).reshape(-1, signed.itemsize).T.tobytes()


def from_planes(planes: bytes, shape: tuple[int, ...], item_bytes: int) -> Samples:
    """The inverse of `to_planes`, for samples of `shape` and 2 or 4 bytes each."""
    unsigned = np.dtype(f"<u{item_bytes}")
    interleaved = np.frombuffer(planes, np.uint8).reshape(item_bytes, -1).T
    zigzag = np.ascontiguousarray(interleaved).view(unsigned).reshape(shape)
    steps = (zigzag >> 1) ^ (0 - (zigzag & 1))
    return np.cumsum(steps, axis=-1, dtype=unsigned).view(f"<i{item_bytes}")


def _inflate(body: bytes, size: int) -> bytes:
    # No deflate encoder makes a body of twice the size; a longer one could only be meant to cost time
    # (empty blocks). One byte more than expected is asked for, so that a longer stream shows itself.
    if len(body) > 2 * size + 64:
        raise ProtocolError("payload body is longer than its samples")
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflate.decompress(body, size + 1)
    except zlib.error:
        raise ProtocolError("payload body is not raw deflate") from None
    if len(plain) != size or not inflate.eof or inflate.unused_data:
        raise ProtocolError("payload body has another size than its header says")
    return plain
