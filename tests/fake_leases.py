"""The table of leases in memory, for tests in virtual time; what it may do is `store.leases`' contract."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from streaming import writers
from streaming.core.position import SampleRange
from streaming.store import leases
from streaming.store.leases import LEASE, Lease

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class FakeLeases:
    """One database for all processes of a test; `faults` are raised by the calls to come, one each."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.rows: dict[str, Lease] = {}
        self.faults: list[Exception] = []
        self.calls: list[str] = []
        self._expires: dict[str, float] = {}
        self._clock = clock

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the place of the database."""
        for name in ("read", "take", "renew", "end", "give_up", "online"):
            monkeypatch.setattr(leases, name, self._counted(name))
        monkeypatch.setattr(writers, "database_sync_to_async", _at_once)

    def read(self, stream: str) -> Lease:
        row = self.rows.get(stream, Lease())
        return replace(row, in_force=row.is_open and self._expires[stream] > self._clock())

    def take(self, stream: str, session: str, process: str, *, seen: Lease, next_sample: int) -> int | None:
        if self.rows.get(stream, Lease()).token != seen.token:
            return None
        token = seen.token + 1
        self.rows[stream] = Lease(session, process, token, next_sample, began_at=BEGAN, is_open=True)
        self._expires[stream] = self._clock() + LEASE.total_seconds()
        return token

    def renew(self, process: str, positions: Mapping[str, int]) -> set[str]:
        mine = self._write(process, positions)
        for stream in mine:
            self._expires[stream] = self._clock() + LEASE.total_seconds()
        return positions.keys() - mine

    def end(self, process: str, positions: Mapping[str, int], tokens: Mapping[str, int]) -> None:
        mine = {s: position for s, position in positions.items() if self.rows[s].token == tokens[s]}
        for stream in self._write(process, mine):
            self.rows[stream] = replace(self.rows[stream], is_open=False)

    def give_up(
        self, process: str, positions: Mapping[str, int], holes: Mapping[str, Collection[SampleRange]]
    ) -> None:
        for stream in self._write(process, positions):
            self.rows[stream] = replace(self.rows[stream], process="", holes=tuple(holes[stream]))

    def online(self, streams: Collection[str]) -> set[str]:
        return {stream for stream in streams if stream in self.rows and self.read(stream).in_force}

    def _write(self, process: str, positions: Mapping[str, int]) -> set[str]:
        mine = {stream for stream in positions if self.rows[stream].process == process}
        for stream in mine:
            self.rows[stream] = replace(self.rows[stream], next_sample=positions[stream])
        return mine

    def _counted(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **values: Any) -> Any:
            self.calls.append(name)
            if self.faults:
                raise self.faults.pop()
            return getattr(self, name)(*args, **values)

        return call


def _at_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where a thread would run it."""

    async def call(*args: Any, **values: Any) -> Any:
        return function(*args, **values)

    return call
