"""What a stretch of signal looks like, in one word."""

from __future__ import annotations

from enum import StrEnum


class DataPattern(StrEnum):
    """What the samples of a message, or of the last seconds, are."""

    NORMAL = "normal"
    NOISY = "noisy"
    ARRHYTHMIA = "arrhythmia"
    FLAT = "flat"
    LEAD_OFF = "lead-off"
