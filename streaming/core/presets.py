"""Settings that belong together and are taken together."""

from __future__ import annotations

from dataclasses import dataclass

from streaming.core.precedence import DEFAULT_NAME, Rows
from streaming.core.profile_columns import columns_of
from streaming.core.profiles import GroupProfile


@dataclass(frozen=True, slots=True)
class Preset:
    """Values for some settings of some rows; all others are left as they are."""

    slug: str
    title: str
    meant_for: str
    rows: Rows


PRESETS = (
    Preset(
        "shipped",
        "Shipped defaults",
        "Everything in the default profile as VITAL comes. Overrides stay.",
        {DEFAULT_NAME: columns_of(GroupProfile())},
    ),
    # The documentation's "Production configuration" of backpressure.
    Preset(
        "production",
        "Production",
        "Twice as many messages may wait, backpressure begins at 75 %, and emergency mode is on.",
        {DEFAULT_NAME: {"max_buffer_size": 20_000, "high_watermark": 0.75, "emergency_mode": True}},
    ),
)
