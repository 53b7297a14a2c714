"""The qualities in which a stream's signal may be sent, how long their frames are, and what they take."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Quality(StrEnum):
    """How much of the signal a rendition keeps; best first, so that the order is that of the ladder."""

    LOSSLESS = "lossless"
    """Every sample as the device sent it."""
    DIAGNOSTIC = "diagnostic"
    """Every sample, wrong by at most 2.5 microvolts."""
    DISPLAY = "display"
    """What a screen can show: at least 200 Hz, in steps of 5 microvolts."""
    OVERVIEW = "overview"
    """One lead, at least 100 Hz, with its peaks kept."""
    VITALS = "vitals"
    """Numbers, and no samples."""


@dataclass(frozen=True, slots=True)
class Rendition:
    """A quality, and the seconds of signal in one frame of it."""

    quality: Quality
    frame_s: float


LADDER = (
    Rendition(Quality.LOSSLESS, 0.1),
    Rendition(Quality.LOSSLESS, 0.25),
    Rendition(Quality.LOSSLESS, 0.5),
    Rendition(Quality.DIAGNOSTIC, 0.5),
    Rendition(Quality.DISPLAY, 0.5),
    Rendition(Quality.OVERVIEW, 1.0),
    Rendition(Quality.VITALS, 1.0),
)
"""All renditions there are, best first. Long frames save headers: 150 bytes a second at 0.1 s, 30 at 0.5."""

SHARE_OF_INT16 = {Quality.LOSSLESS: 0.208, Quality.DIAGNOSTIC: 0.126, Quality.DISPLAY: 0.083}
"""Bytes of `ecg1` to those of the samples as int16, all leads at the native rate.

PTB-XL, 12 leads x 500 Hz, messages of 1 s, each independent: 79.2, 87.4 and 91.7 % saved. Other records
give other figures (2 leads of mitdb 25.3 %): where a stream's own bytes are known, scale by them.
"""
OVERVIEW_SHARE = 0.4
"""The same for the one lead of an overview at its own rate: assumed; 26 % at 360 Hz, more at a lower one."""
OVERVIEW_HZ = 100
"""An overview keeps at least this rate, by the largest whole divisor."""
FRAME_BYTES = 15
"""Of each frame besides samples: the bundle's version and length (3), header (8), payload's header (4)."""
LEAD_BYTES = 1.1
"""Of each lead in a frame, to start it anew: by the 0.6 points that 0.25 s of one lead lose to 1 s of two."""
VITALS_BYTES_PER_S = 130
"""Heart rate once a second, with every rendition, and a part of what is said about the connection."""


def bytes_per_s(rendition: Rendition, *, leads: int, rate_hz: float) -> float:
    """What one stream is expected to take, in bytes a second of WebSocket messages."""
    if rendition.quality is Quality.VITALS:
        return VITALS_BYTES_PER_S
    return frame_bytes(rendition, leads=leads, rate_hz=rate_hz) / rendition.frame_s + VITALS_BYTES_PER_S


def frame_bytes(rendition: Rendition, *, leads: int, rate_hz: float) -> float:
    """What one waveform frame is expected to take; there is none of `vitals`."""
    share = SHARE_OF_INT16.get(rendition.quality, OVERVIEW_SHARE)
    if rendition.quality is Quality.OVERVIEW:
        leads, rate_hz = 1, rate_hz / max(1, rate_hz // OVERVIEW_HZ)
    return 2 * leads * rate_hz * rendition.frame_s * share + leads * LEAD_BYTES + FRAME_BYTES
