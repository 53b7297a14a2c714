"""What one viewer has been told of its alarms, and of which it has not yet said that people see them."""

from __future__ import annotations

from dataclasses import dataclass

RESEND_S = 3.0
"""An alarm whose message was acknowledged and that is not displayed is sent again after so long,"""
LONGEST_RESEND_S = 60.0
"""then after twice that, and so on up to this: a page that cannot draw is told, not flooded."""


@dataclass(slots=True)
class _Undisplayed:
    number: int | None = None
    """Of the WebSocket message that holds it, once that has been written."""
    acked_at: float | None = None
    wait_s: float = RESEND_S


class AlarmDelivery:
    """One viewer's. A connection that ends takes it along: the next one is told everything anew."""

    def __init__(self) -> None:
        self._undisplayed: dict[str, _Undisplayed] = {}
        self._displayed: set[str] = set()
        self._queued: dict[str, int] = {}
        self.queued_bytes = 0
        """Of messages about alarms that wait to be written."""

    def told(self, alarm: str, size_bytes: int) -> None:
        """A message of the alarm has been queued, in the place of one that waits."""
        self._queue(alarm, size_bytes)
        if alarm not in self._displayed:
            waiting = self._undisplayed.setdefault(alarm, _Undisplayed())
            waiting.number = waiting.acked_at = None

    def withdrawn(self, alarm: str, size_bytes: int) -> None:
        """A message has been queued that the alarm is not for this viewer now."""
        self._queue(alarm, size_bytes)
        self.over(alarm)

    def written(self, alarm: str, number: int) -> None:
        """It leaves as, or in, WebSocket message `number`."""
        self.queued_bytes -= self._queued.pop(alarm, 0)
        if (waiting := self._undisplayed.get(alarm)) is not None:
            waiting.number = number

    def acked(self, n: int, now: float) -> None:
        """The viewer has decoded all messages up to `n`."""
        for waiting in self._undisplayed.values():
            if waiting.acked_at is None and waiting.number is not None and waiting.number <= n:
                waiting.acked_at = now

    def displayed(self, alarm: str) -> bool:
        """People see it; whether that is news."""
        self._undisplayed.pop(alarm, None)
        if alarm in self._displayed:
            return False
        self._displayed.add(alarm)
        return True

    def over(self, alarm: str) -> None:
        """The alarm is closed, or not for this viewer any more."""
        self._undisplayed.pop(alarm, None)
        self._displayed.discard(alarm)

    @property
    def undisplayed(self) -> int:
        """How many alarms the viewer was told of and has not displayed."""
        return len(self._undisplayed)

    def due(self, now: float) -> list[str]:
        """Those to be sent again now; each counts as queued, and has more time than before."""
        due = []
        for alarm, waiting in self._undisplayed.items():
            if waiting.acked_at is not None and now - waiting.acked_at >= waiting.wait_s:
                due.append(alarm)
                waiting.number = waiting.acked_at = None
                waiting.wait_s = min(2 * waiting.wait_s, LONGEST_RESEND_S)
        return due

    def _queue(self, alarm: str, size_bytes: int) -> None:
        self.queued_bytes += size_bytes - self._queued.get(alarm, 0)
        self._queued[alarm] = size_bytes
