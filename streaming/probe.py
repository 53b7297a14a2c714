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
    """Some journeys at a time; where nothing is due, all that it costs is to compare with `due`."""

    def __init__(self) -> None:
        self.due = 0.0
        self.times = StageTimes()
        self._under_way: list[Journey] = []
        self._number = 0

    def begin(
        self, bundle: Bundle, viewers: list[Subscriber], now: float, *, pending: Journey | None = None
    ) -> Journey | None:
        """Follow this bundle's newest live frame to one of `viewers`, to each of them in turn.

        None where there is nothing to follow; `pending`, which is not queued yet, until that has ended. A
        viewer that still owes an ack for one is passed over.
        """
        self.settle(now)
        frame = next((f for f in reversed(bundle.frames) if f.kind is FrameKind.WAVEFORM and f.stamps), None)
        if frame is None or frame.stamps is None:
            return pending
        self.due = now + EVERY_S
        if pending is not None and not pending.is_over:
            return pending
        viewers = [viewer for viewer in viewers if viewer.journey is None]
        if not viewers:
            return None
        self._number += 1
        info = bundle.info
        journey = Journey(
            info.stream,
            info.epoch,
            frame.first + frame.count - 1,
            viewers[self._number % len(viewers)],
            *frame.stamps,
            published=now,
        )
        self._under_way.append(journey)
        return journey

    def settle(self, now: float) -> None:
        """Take in the journeys that are over, or have taken too long."""
        for journey in list(self._under_way):
            if now - journey.published > GIVE_UP_S and not journey.is_over:
                journey.is_lost = True
            if journey.is_over:
                self.times.add(journey)
                self._under_way.remove(journey)
