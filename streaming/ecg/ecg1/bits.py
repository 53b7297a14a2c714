"""Bit fields of any width in one byte string, most significant bit first, packed many at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int = npt.NDArray[np.int64]

_ZERO = np.zeros(1, np.int64)


def pack(codes: Int, lengths: Int) -> list[bytes]:
    """One byte string per row: the fields of the row one behind the other, zero bits up to a whole byte.

    `codes` and `lengths` have shape (rows, fields); the lowest `lengths` bits of each code count, 0 to 57 of
    them, and no other bit may be set.
    """
    ends = np.cumsum(lengths, axis=1)
    sizes = (ends[:, -1] + 7) >> 3
    bases = np.cumsum(sizes) - sizes
    starts = (ends - lengths + (bases << 3)[:, None]).ravel()
    widths = lengths.ravel()
    words, offsets = starts >> 6, starts & 63
    # numpy shifts by 64 to zero, which is what an empty field needs.
    left = codes.ravel().astype(np.uint64) << (64 - widths).astype(np.uint64)
    out = np.zeros((int(sizes.sum()) + 15 >> 3) + 1, np.uint64)
    firsts = np.flatnonzero(words[1:] != words[:-1]) + 1
    firsts = np.concatenate([_ZERO, firsts])
    out[words[firsts]] = np.bitwise_or.reduceat(left >> offsets.astype(np.uint64), firsts)
    crossing = np.flatnonzero(offsets + widths > 64)
    out[words[crossing] + 1] |= left[crossing] << (64 - offsets[crossing]).astype(np.uint64)
    data = out.astype(">u8").tobytes()
    return [data[base : base + size] for base, size in zip(bases.tolist(), sizes.tolist(), strict=True)]


def windows(data: bytes, width: int) -> npt.NDArray[np.uint16]:
    """The `width` (up to 16) bits from each bit position on; behind the end there are zeros."""
    padded = np.frombuffer(data + bytes(3), np.uint8).astype(np.uint32)
    at_byte = (padded[:-2] << 16) | (padded[1:-1] << 8) | padded[2:]
    shifts = np.arange(24 - width, 16 - width, -1, dtype=np.uint32)
    return ((at_byte[:, None] >> shifts) & ((1 << width) - 1)).astype(np.uint16).ravel()
