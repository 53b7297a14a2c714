"""Where the alarms of a stream go, and what is known of it there: its standing alarms and its settings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from streaming.core.streams import StreamInfo
from streaming.ecg.alarm_limits import AlarmSettings
from streaming.ecg.alarms import Alarm, AlarmEvent


class AlarmSink(Protocol):
    """Asked and told by the ingest, on its event loop: nothing here waits, and nothing here raises."""

    def standing(self, info: StreamInfo) -> Sequence[Alarm]:
        """The alarms of this epoch that are on, as another process, or an earlier one, has left them.

        Asked when the epoch begins here. Alarms of an older epoch of the stream are over then: whoever
        raised them can end them no more.
        """

    def settings(self, stream: str) -> AlarmSettings:
        """What has been set for the patient, as of now; asked several times a second."""

    def take(self, info: StreamInfo, events: Sequence[AlarmEvent]) -> None:
        """These changes have just happened, in this order."""

    def settle(self, info: StreamInfo, on: Collection[str]) -> Collection[str]:
        """Those of the alarms that are `on` here, by id, that somebody else has ended.

        Asked once a second while samples come. Others of the stream that are open, and that only its analysis
        could end, are over: their process died, or has lost the stream.
        """


class NoAlarms:
    """Takes no notice: nothing stands, and all settings are the default."""

    def __init__(self) -> None:
        self._settings = AlarmSettings()

    def standing(self, info: StreamInfo) -> Sequence[Alarm]:  # noqa: ARG002  # as AlarmSink has it
        """None."""
        return ()

    def settings(self, stream: str) -> AlarmSettings:  # noqa: ARG002  # as above
        """The default ones."""
        return self._settings

    def take(self, info: StreamInfo, events: Sequence[AlarmEvent]) -> None:
        """Forget them."""

    def settle(self, info: StreamInfo, on: Collection[str]) -> Collection[str]:  # noqa: ARG002  # as above
        """None."""
        return ()
