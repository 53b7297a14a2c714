"""The waveform payload: the samples of all leads of one frame, and which codec they are in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from streaming.ecg import planes
from streaming.ecg.ecg1 import decode as ecg1_decode
from streaming.ecg.ecg1 import encode as ecg1_encode
from streaming.ecg.grid import THOUSANDTHS
from streaming.ecg.planes import MAX_LEADS, MAX_SAMPLES, Samples
from streaming.exceptions import ProtocolError

__all__ = [
    "MAX_LEADS",
    "MAX_SAMPLES",
    "CodecId",
    "PayloadHeader",
    "Samples",
    "WaveformEncoder",
    "decode",
    "max_frame_samples",
    "read_header",
]

_MAX_PLAIN_BYTES = 60 * 1024


class CodecId(IntEnum):
    """How a payload is made, by its first byte; of ECG1 the lowest four bits are flags."""

    PLANES16 = 1
    PLANES32 = 2
    ECG1 = 0x10


@dataclass(frozen=True, slots=True)
class PayloadHeader:
    """What the first bytes of a payload say."""

    codec: CodecId
    leads: int
    samples: int
    step: float = 1.0
    """All samples are whole multiples of it, rounded: the converter's step, where the encoder found one."""


class WaveformEncoder:
    """Encodes the frames of one stream: ECG1, and deflated planes for what that does not hold.

    What it remembers of the stream saves time and changes no meaning: every payload stands alone.
    """

    def __init__(self) -> None:
        self._ecg1 = ecg1_encode.Encoder()

    def encode(self, samples: Samples, *, level: int = 6, window_bits: int = 12, mem_level: int = 5) -> bytes:
        """Samples of shape (leads, n), int16 or int32, as one payload; 1-16 leads, 1-8192 samples each.

        The settings are zlib's, and matter for the planes alone. Raises ValueError for other shapes or types.
        """
        if samples.dtype not in (np.int16, np.int32):
            raise ValueError(f"samples are {samples.dtype}, not int16 or int32")
        if samples.ndim == 2 and samples.shape[1] <= ecg1_encode.MAX_SAMPLES:
            try:
                return self._ecg1.encode(samples)
            except OverflowError:
                pass
        return planes.encode_planes(samples, level=level, window_bits=window_bits, mem_level=mem_level)


def decode(payload: bytes, *, max_leads: int = MAX_LEADS, max_samples: int = MAX_SAMPLES) -> Samples:
    """The samples of a payload, shape (leads, n), int16 or int32, C order.

    Raises ProtocolError for every malformed payload; takes no more memory than the header announces, and
    time in proportion to that.
    """
    header = read_header(payload)
    if header.leads > max_leads or header.samples > max_samples:
        raise ProtocolError("payload has more leads or samples than allowed")
    if header.codec is CodecId.ECG1:
        return ecg1_decode.decode(payload)
    return planes.decode_planes(payload)


def max_frame_samples(leads: int) -> int:
    """Samples of each lead that fit a frame (64 KiB) even as int32 on which nothing is gained."""
    return min(_MAX_PLAIN_BYTES // (4 * leads), MAX_SAMPLES)


def read_header(payload: bytes) -> PayloadHeader:
    """Codec, leads and samples of a payload, without decoding it; raises ProtocolError."""
    if payload[:1] and payload[0] & 0xF0 == CodecId.ECG1:
        header = ecg1_decode.read_header(payload)
        step = 1.0 if header.grid is None else header.grid.step / THOUSANDTHS
        return PayloadHeader(CodecId.ECG1, header.leads, header.samples, step)
    codec, leads, samples = planes.read_header(payload)
    return PayloadHeader(CodecId(codec), leads, samples)
