"""Which message is followed through this process, about one a second, and what became of it."""

from __future__ import annotations

from streaming.core.bundle import Bundle
from streaming.core.frames import FrameKind
from streaming.core.stages import Journey, StageTimes
from streaming.subscriber import Subscriber

EVERY_S = 1.0
GIVE_UP_S = 10.0
"""After this a viewer is cut for the ack that it owes."""


class Probe:
    """One journey at a time; where nothing is due, all that it costs is to compare with `due`."""

    def __init__(self) -> None:
        self.due = 0.0
        self.times = StageTimes()
        self._journey: Journey | None = None
        self._number = 0

    def begin(self, bundle: Bundle, viewers: list[Subscriber], now: float) -> Journey | None:
        """Follow this bundle's newest live frame to one of `viewers`, to each of them in turn.

        None where there is nothing to follow, or the message before is still on its way.
        """
        self.settle(now)
        frame = next((f for f in reversed(bundle.frames) if f.kind is FrameKind.WAVEFORM and f.stamps), None)
        if frame is None or frame.stamps is None or self._journey is not None:
            return None
        self.due = now + EVERY_S
        if not viewers:
            return None
        self._number += 1
        info = bundle.info
        self._journey = Journey(
            info.stream,
            info.epoch,
            frame.first + frame.count - 1,
            viewers[self._number % len(viewers)],
            *frame.stamps,
            published=now,
        )
        return self._journey

    def settle(self, now: float) -> None:
        """Take in the journey that is over, or has taken too long."""
        journey = self._journey
        if journey is not None and now - journey.published > GIVE_UP_S:
            journey.is_lost = journey.is_lost or not journey.is_over
        if journey is not None and journey.is_over:
            self.times.add(journey)
            self._journey = None
