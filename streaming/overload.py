"""A process with too much to do: it measures that, says so, and holds its viewers to less."""

from __future__ import annotations

import logging
from collections.abc import Collection

from streaming.core.overload import Overload
from streaming.subscriber import Subscriber

logger = logging.getLogger(__name__)


class OverloadWatch:
    """The overload state of one process, and the viewers that are held to it.

    `turn` wants to be called a few times a second by whoever owns the loop's timer, with how late that was.
    """

    def __init__(self) -> None:
        self.state = Overload()

    def turn(self, late_s: float, viewers: Collection[Subscriber], now: float) -> bool:
        """Read how it goes; True when the state changed: what viewers are sent has to be chosen anew."""
        state = self.state
        before = state.state
        if not state.read(late_s, sum(viewer.handler.queued_bytes for viewer in viewers), now):
            return False
        if state.state is not before:
            logger.warning(
                "overload: %s after %s (timers %.0f ms late, %.1f MiB in the queues of %d viewers)",
                state.state,
                before,
                1000 * state.lag_s,
                state.queued_bytes / 2**20,
                len(viewers),
            )
        for viewer in viewers:
            viewer.limit(state)
        return True
