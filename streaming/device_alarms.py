"""Alarms that devices find: each taken once, and confirmed when it is on disk."""

from __future__ import annotations

from collections.abc import Callable

from streaming.alarm_facts import device_facts
from streaming.alarm_steps import AlarmSteps
from streaming.core.alarm_messages import DeviceAlarm
from streaming.core.alarm_record import AlarmOrigin, AlarmRecord, AlarmStep
from streaming.core.streams import StreamInfo
from streaming.exceptions import RateLimitError

MOST_DEVICE_ALARMS = 64
"""Of one epoch, on at once."""


class DeviceAlarms:
    """Those of the streams that are written here.

    An alarm of a device is `stream.epoch.id`; `end` is told of one that a device has ended, and which.
    """

    def __init__(self, steps: AlarmSteps, *, end: Callable[[AlarmRecord, str], None]) -> None:
        self._steps = steps
        self._end = end

    async def take(
        self, info: StreamInfo, said: DeviceAlarm, *, actor: str, on_durable: Callable[[], None]
    ) -> None:
        """Take an alarm, or its end; `on_durable` is called once it is on disk.

        What was taken before is not taken again. Raises RateLimitError when too many are on.
        """
        steps, alarm = self._steps, f"{info.stream}.{info.epoch}.{said.alarm}"
        if steps.register.get(alarm) is None:
            await steps.find(alarm)
        known = steps.register.get(alarm)  # another connection of the device may have said it meanwhile
        if known is not None and known.unstored and steps.pending(alarm) is None:
            steps.store_again(known)  # its process has died before it was on disk
        if known is None and said.on and self._on(info.stream) >= MOST_DEVICE_ALARMS:
            raise RateLimitError(f"more than {MOST_DEVICE_ALARMS} alarms of a device are on")
        if known is None and said.on:
            steps.raise_(device_facts(info, alarm, said), actor)
        elif known is None:  # its beginning may lie in the spool of a process that is gone
            steps.append(steps.entry(AlarmStep.CLEARED, alarm, actor))
        elif not said.on:
            self._end(known, actor)
        self._when_durable(alarm, on_durable)

    def _on(self, stream: str) -> int:
        """How many of what devices have raised they have not ended."""
        return sum(
            record.facts.origin is AlarmOrigin.DEVICE and self._steps.is_on(record)
            for record in self._steps.register.open_of(stream)
        )

    def _when_durable(self, alarm: str, on_durable: Callable[[], None]) -> None:
        receipt = self._steps.pending(alarm)
        if receipt is None:
            on_durable()
        else:
            receipt.durable.add_done_callback(lambda done: None if done.cancelled() else on_durable())
