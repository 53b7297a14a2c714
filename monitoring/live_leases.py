"""Who, in other processes, watches this one: for how long still, and which viewers they look at. Pure."""

from __future__ import annotations

from dataclasses import dataclass

LEASE_S = 4.0
"""A process that has live pages open says so every second; three words may be lost."""
MOST_WATCHERS = 64
MOST_INSPECTED = 32
"""Viewers that one watcher may look at, and one process tells of."""


@dataclass(frozen=True, slots=True)
class _Lease:
    ends_at: float
    inspected: frozenset[str]


class Leases:
    """By the channel to answer to; who says nothing more is forgotten."""

    def __init__(self) -> None:
        self._leases: dict[str, _Lease] = {}

    def grant(self, channel: str, inspected: frozenset[str], now: float) -> bool:
        """Tell this channel for LEASE_S from now on; whether it is new, or looks at other viewers.

        Beyond MOST_WATCHERS nobody new is told.
        """
        self._forget(now)
        before = self._leases.get(channel)
        if before is None and len(self._leases) >= MOST_WATCHERS:
            return False
        self._leases[channel] = _Lease(now + LEASE_S, inspected)
        return before is None or not inspected <= before.inspected

    def watching(self, now: float) -> dict[str, frozenset[str]]:
        """The channels to tell now, each with the viewers that are looked at there."""
        self._forget(now)
        return {channel: lease.inspected for channel, lease in self._leases.items()}

    def _forget(self, now: float) -> None:
        self._leases = {channel: lease for channel, lease in self._leases.items() if lease.ends_at > now}
