"""The numbers by which frames name what they carry."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from streaming.subscriber import Announcement, Subscriber

MAX_ALIASES = 0xFFFF


class Aliases:
    """The process's u16 names for (stream, epoch, rendition), free again when no connection knows them.

    `evict(subscriber)` must release what the subscriber holds.
    """

    def __init__(self, evict: Callable[[Subscriber], None]) -> None:
        self._evict = evict
        self._free: deque[int] = deque()
        self._next = 0
        self._holders: dict[int, set[Subscriber]] = {}
        self._retired: dict[int, None] = {}

    def take(self) -> int:
        """An unused alias.

        When all 65,536 are held, the connections that hold the oldest retired one are asked to come again:
        that takes a device changing sessions for days under one viewer.
        """
        if self._free:
            alias = self._free.popleft()
        elif self._next <= MAX_ALIASES:
            alias, self._next = self._next, self._next + 1
        else:
            alias = next(iter(self._retired))
            for subscriber in list(self._holders[alias]):
                self._evict(subscriber)
            self._free.remove(alias)
        self._holders[alias] = set()
        return alias

    def hold(self, alias: int, subscriber: Subscriber) -> None:
        """`subscriber` has been told what `alias` means."""
        self._holders[alias].add(subscriber)

    def retire(self, announcement: Announcement) -> None:
        """No new frame will carry this alias."""
        alias = announcement.alias
        if self._holders[alias]:
            self._retired[alias] = None
        else:
            self._set_free(alias)

    def release(self, subscriber: Subscriber) -> None:
        """The connection is closed: whatever it alone held is free."""
        for alias, holders in list(self._holders.items()):
            holders.discard(subscriber)
            if not holders and alias in self._retired:
                self._set_free(alias)

    def _set_free(self, alias: int) -> None:
        self._retired.pop(alias, None)
        del self._holders[alias]
        self._free.append(alias)
