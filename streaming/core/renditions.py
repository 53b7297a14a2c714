"""The qualities in which a stream's signal may be sent."""

from __future__ import annotations

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
    """The first lead alone, at least 100 Hz, with its peaks kept."""
    VITALS = "vitals"
    """Numbers, and no samples."""
