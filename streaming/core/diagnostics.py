"""How each viewer and the whole process fare, as values for those who run the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streaming.core.items import DropReason
from streaming.core.ladder import Readings, Reason, Want
from streaming.core.network import NetworkCondition
from streaming.core.overload import OverloadState
from streaming.core.priority import MessagePriority
from streaming.core.renditions import Quality, Rendition
from streaming.core.stages import Percentiles


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerStats:
    """One connection of a viewer, without its name, its token or what it watches.

    `queued` and `drops` count logical messages, the drops since the connection began; `streams` counts what
    it watches by what that is sent as, `rendition` is the coarsest of these, `reason` why.
    """

    condition: NetworkCondition
    rtt_s: float | None
    goodput_bps: float | None
    """Bits a second that arrive, over 10 s."""
    window_bytes: int
    in_flight_bytes: int
    queued: Mapping[MessagePriority, int]
    queued_bytes: int
    drops: Mapping[DropReason, int]
    streams: Mapping[Quality, int]
    rendition: Quality
    reason: Reason


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose connection a viewer's is, by ids alone: as the log, and as the audit trail, name them."""

    connection: str
    actor: str
    user_id: int | None
    peer: str
    """The address, of IPv6 its network, for which the server counts what it does."""
    since: float
    """When it was let in, by the clock of its process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerReading:
    """All that one look at a viewer tells: what explains how it fares."""

    stats: ViewerStats
    readings: Readings
    wants: tuple[Want, ...]
    sent_as: Mapping[str, Rendition]
    """By stream."""
    need: float
    """Bytes a second that all of that is expected to take."""
    unheard_s: float | None
    """How long ago it acknowledged anything."""
    backlog: int
    """Messages that waited in the client when it last acknowledged one."""
    decoded_ms: float
    """How long the client took to decode what it last acknowledged."""
    lost_s: float | None
    """How long ago something was last dropped or expired; None while nothing was."""
    is_paused: bool
    is_under_pressure: bool
    is_in_emergency: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HubStats:
    """One process now, and where the time of its messages went in the last minutes."""

    overload: OverloadState
    lag_s: float
    """How late the event loop's timers are, smoothed over a second."""
    queued_bytes: int
    """In the outboxes of all viewers."""
    viewers: tuple[ViewerStats, ...]
    stages: Mapping[str, Percentiles]
    """By the name of the stage, and `total`; empty when nothing was followed."""
    unfollowed: int
    """Sampled messages that were dropped on the way, or not acked within 10 s."""
