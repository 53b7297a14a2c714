"""What aliases stand for of epochs that a stream has left, for viewers who are still sent some of them."""

from __future__ import annotations

from streaming.aliases import Aliases
from streaming.channel import announcement_text
from streaming.core.renditions import Rendition
from streaming.core.streams import StreamInfo
from streaming.core.tally import GroupTally
from streaming.subscriber import Announcement

MAX_KEPT = 16
"""Beyond, the oldest is given up: whoever is still sent it is told of a new alias."""


class Past:
    """The aliases of a stream's former epochs, one for each rendition in which somebody is sent them."""

    def __init__(self, aliases: Aliases, tally: GroupTally) -> None:
        self._aliases = aliases
        self._tally = tally
        self._known: dict[tuple[StreamInfo, Rendition], Announcement] = {}

    def announcement(self, info: StreamInfo, rendition: Rendition) -> Announcement:
        """The alias of an epoch in this rendition."""
        announcement = self._known.get((info, rendition))
        if announcement is None:
            while len(self._known) >= MAX_KEPT:
                self._aliases.retire(self._known.pop(next(iter(self._known))))
            alias = self._aliases.take()
            text = announcement_text(info, alias, rendition)
            announcement = Announcement(alias, info, text, self._tally, self._aliases.hold)
            self._known[info, rendition] = announcement
        return announcement

    def close(self) -> None:
        """Give the aliases back."""
        known, self._known = self._known, {}
        for announcement in known.values():
            self._aliases.retire(announcement)
