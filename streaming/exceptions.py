"""What can go wrong, as a tree, and the close code that tells the peer.

VitalError
|-- ProtocolError              the peer broke vital.v1                   4400
|   |-- AuthenticationError    no, wrong, expired or revoked credential  4401
|   |-- ForbiddenError         known, but not allowed                    4403
|   |-- StreamBusyError        another device session owns the stream    4009
|   |-- BusyError              more viewers come than are taken in       4013
|   `-- RateLimitError         more than the limit in force              4029
|-- ProfileError               a setting outside its bounds
|-- LayoutError                an arrangement of the ward that is none
|-- LimitsError                values that cannot be alarm limits
|-- LimitsConflictError        somebody else has changed them meanwhile
|-- ScenarioError              a scenario that cannot be played
|-- HistoryAwayError           the history database takes nothing now
`-- RecordingError             a recording that cannot be read
"""

from __future__ import annotations

from enum import IntEnum


class CloseCode(IntEnum):
    """WebSocket close codes of vital.v1; the range tells a client what to do.

    4000-4099: reconnect, not before the time that the `bye` names.
    4100-4199: reconnect with full jitter.
    4400-4499: do not reconnect; what was sent, or who sent it, has to change first.
    """

    SLOW = 4008
    STREAM_BUSY = 4009
    GOING_AWAY = 4012
    BUSY = 4013
    CUT = 4014
    RATE_LIMIT = 4029
    INTERNAL = 4100
    SILENT = 4101
    PROTOCOL = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403


RETRY_AFTER_MS = {
    CloseCode.SLOW: 2000,
    CloseCode.STREAM_BUSY: 2000,
    CloseCode.GOING_AWAY: 1000,
    CloseCode.CUT: 30_000,
    CloseCode.RATE_LIMIT: 5000,
}
"""The time that the `bye` before a close names; for all other codes the client's own jitter does."""


class VitalError(Exception):
    """Root of everything that VITAL raises on purpose."""


class ProtocolError(VitalError):
    """The peer sent what vital.v1 does not allow.

    `reason` is safe to send to the peer: it never holds a token, a name or a sample value.
    """

    close_code: CloseCode = CloseCode.PROTOCOL
    retry_after_ms: int | None = None
    """When it may come again, where that is another time than its code's."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AuthenticationError(ProtocolError):
    """The peer did not prove who it is."""

    close_code = CloseCode.UNAUTHENTICATED


class ForbiddenError(ProtocolError):
    """The peer is known, and may not do this."""

    close_code = CloseCode.FORBIDDEN


class StreamBusyError(ProtocolError):
    """Another session still writes this stream; try again after its silence (10 s)."""

    close_code = CloseCode.STREAM_BUSY


class BusyError(ProtocolError):
    """More viewers come at once than this process takes in; each is told of a time of its own."""

    close_code = CloseCode.BUSY

    def __init__(self, reason: str, retry_after_ms: int) -> None:
        super().__init__(reason)
        self.retry_after_ms = retry_after_ms


class RateLimitError(ProtocolError):
    """The peer sends more messages or bytes than the limit in force."""

    close_code = CloseCode.RATE_LIMIT


class LayoutError(VitalError):
    """An arrangement of the ward with what it cannot have; says what."""


class LimitsError(VitalError):
    """Values that cannot be alarm limits.

    `fields` says why, by their names; `__all__` where they contradict each other.
    """

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {why}" for name, why in fields.items()))
        self.fields = fields


class LimitsConflictError(VitalError):
    """Alarm limits that somebody else has changed since they were read."""


class ProfileError(VitalError, ValueError):
    """A profile value lies outside its bounds, or contradicts another."""


class ScenarioError(VitalError, ValueError):
    """What a scenario says cannot be played: which table, counted from 1, and key, and what it may say.

    `table` is empty for a key outside of any; `key` is empty where the file is no TOML.
    """

    def __init__(self, table: str, key: str, what: str) -> None:
        super().__init__(": ".join(part for part in (table, key, what) if part))
        self.table = table
        self.key = key
        self.what = what


class HistoryAwayError(VitalError):
    """The history database is away, locked or full; what was to be written may be tried again."""


class JournalAwayError(VitalError):
    """The journal of alarms cannot be read now."""


class RecordingError(VitalError):
    """A recording is missing, malformed, or holds no ECG signal."""
