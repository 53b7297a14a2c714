"""How often a viewer acknowledges: often while its window may fill, seldom while it is far from that."""

from __future__ import annotations

import math
from dataclasses import dataclass

from streaming.core.window import SendWindow


@dataclass(frozen=True, slots=True)
class Cadence:
    """An ack after so many messages, or `ms` after the first of them, whichever is first."""

    messages: int
    ms: int

    @property
    def hold_s(self) -> float:
        """How long an ack may be held."""
        return self.ms / 1000


OFTEN = Cadence(4, 100)
"""What every connection begins with; a window that is full is freed within 100 ms."""
SELDOM = (Cadence(32, 500), Cadence(16, 250))
"""Most seldom first. An ack costs the server half as much as a message: ten frames a second share two."""
CALM_S = 3.0
"""For how long a viewer must have been prompt before it acks seldom."""
_SPARE = 2
"""The window holds so many times what is sent between two acks."""
_CROWDED = 3 / 4
"""Back to often when more than this part of the window is in flight."""


class CadenceChooser:
    """Decides for one connection; pure: every call carries its time.

    The window itself grows by nothing for it: what may be on its way is what the path has proved to carry. It
    goes by the longer hold from the change to seldom until an ack shows that the client has heard of the
    change back.
    """

    def __init__(self, window: SendWindow) -> None:
        self.cadence = OFTEN
        self._window = window
        self._calm_since = math.inf
        self._told_at: int | None = None
        """The number of messages sent when the client was asked to ack often again."""

    def look(self, now: float, *, waits: bool) -> Cadence | None:
        """What to tell the client, where that is another cadence than before; `waits` is of the outbox."""
        window = self._window
        if self._told_at is not None and window.acked > self._told_at:
            self._told_at, window.hold_s = None, OFTEN.hold_s
        prompt = not waits and window.is_prompt(now)
        if self.cadence is not OFTEN:
            if prompt and window.in_flight_bytes <= _CROWDED * window.size:
                return None
            self.cadence, self._calm_since, self._told_at = OFTEN, math.inf, window.sent
            return OFTEN
        if not prompt or self._told_at is not None:
            self._calm_since = math.inf
        elif self._calm_since == math.inf:
            self._calm_since = now
        elif now - self._calm_since >= CALM_S:
            room_s = window.size / max(1.0, _SPARE * window.goodput(now))
            for cadence in SELDOM:
                if cadence.hold_s <= room_s:
                    self.cadence, window.hold_s = cadence, cadence.hold_s
                    return cadence
        return None
