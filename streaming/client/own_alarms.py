"""Alarms that a device has found itself, until the server has them on disk."""

from __future__ import annotations

from streaming.core.alarm_messages import DeviceAlarm
from streaming.core.client_messages import device_alarm


class OwnAlarms:
    """Those of one session, in their order; sent again after a reconnect until each is confirmed. Pure."""

    def __init__(self) -> None:
        self._unconfirmed: dict[tuple[str, bool], str] = {}
        self._unsent: dict[tuple[str, bool], None] = {}

    @property
    def is_settled(self) -> bool:
        """Whether all are confirmed."""
        return not self._unconfirmed

    @property
    def unconfirmed(self) -> int:
        """How many beginnings and ends of alarms are not."""
        return len(self._unconfirmed)

    def add(self, alarm: DeviceAlarm) -> None:
        """One that begins, or ends."""
        key = alarm.alarm, alarm.on
        self._unconfirmed[key] = device_alarm(alarm)
        self._unsent[key] = None

    def take(self) -> str | None:
        """The next message to send, if there is one.

        What has ended goes first: a server that takes no more alarms waits for just that.
        """
        ended = (key for key in self._unsent if not key[1] and (key[0], True) not in self._unconfirmed)
        key = next(ended, None) or next(iter(self._unsent), None)
        if key is None:
            return None
        del self._unsent[key]
        return self._unconfirmed[key]

    def confirm(self, alarm: str, *, on: bool) -> None:
        """It is on disk, however often it was sent."""
        self._unconfirmed.pop((alarm, on), None)
        self._unsent.pop((alarm, on), None)

    def again(self) -> None:
        """On a new connection: what is not confirmed is unsent."""
        self._unsent = dict.fromkeys(self._unconfirmed)
