"""From which sample on each viewer of a stream is sent it, and what those who come back lack before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from streaming.core.items import Span
from streaming.core.messages import SAMPLE_LIMIT, Resume
from streaming.subscriber import Subscriber

LIVE_WAIT_S = 1.0
"""How long the stream itself is waited for; then what is kept of it has to say where it stands."""
MAX_EPOCHS = 4
"""So many epochs back a viewer gets what it missed: a device may restart over and over."""


class _Start(NamedTuple):
    epoch: int
    first: int


class Returning:
    """Knows where each viewer of one stream began, and calls `lacks(viewer, span, newest_s, now)`.

    A viewer begins where the stream stands when it comes; where nothing is known of that, it begins with
    what comes first.
    """

    def __init__(self, stream: str, lacks: Callable[[Subscriber, Span, float | None, float], None]) -> None:
        self._stream = stream
        self._lacks = lacks
        self._starts: dict[Subscriber, _Start] = {}
        self._newcomers: set[Subscriber] = set()
        self._unseen: dict[Subscriber, _Start] = {}
        """Those who begin where it was kept that the stream stands: nothing came since."""
        self._resumes: dict[Subscriber, tuple[Resume, float]] = {}
        """Of newcomers, with the time at which they are looked up."""
        self._ahead: dict[Subscriber, _Start] = {}
        """Those who had more, on another process, than has come here."""

    @property
    def waits(self) -> bool:
        """Whether anybody has to hear where the next samples begin."""
        return bool(self._newcomers or self._unseen)

    def enter(self, viewer: Subscriber, stands_at: tuple[int, int] | None) -> None:
        """A viewer has come; `stands_at` is the epoch and the index of the next sample, where known."""
        if stands_at is None:
            self._newcomers.add(viewer)
        else:
            self._starts[viewer] = _Start(*stands_at)

    def leave(self, viewer: Subscriber) -> None:
        """A viewer is gone."""
        self._newcomers.discard(viewer)
        for known in (self._starts, self._unseen, self._ahead, self._resumes):
            known.pop(viewer, None)

    def resume(self, viewer: Subscriber, resume: Resume, now: float) -> None:
        """A viewer says what it has."""
        if viewer in self._newcomers:
            self._resumes[viewer] = (resume, now + LIVE_WAIT_S)
        elif (start := self._starts.get(viewer)) is not None:
            self._return(viewer, _Start(resume.epoch, resume.next_sample), start, resume.newest_s, now)

    def ahead(self, viewer: Subscriber, epoch: int) -> int:
        """Before which index a viewer has all of the epoch, where that is not known by what came here."""
        has = self._ahead.get(viewer)
        return has.first if has is not None and has.epoch == epoch else 0

    def begins(self, epoch: int, first: int, now: float) -> None:
        """The next samples are those from `first` on."""
        start = _Start(epoch, first)
        unseen, self._unseen = self._unseen, {}
        for viewer, had in unseen.items():
            if had.epoch < epoch:
                self._return(viewer, had, start, None, now)
        self._settle(start, now)

    def stands(self, epoch: int, stop: int, now: float) -> None:
        """It is kept that the stream has come up to `stop`, and nobody knows more."""
        self._unseen |= dict.fromkeys(self._newcomers, _Start(epoch, stop))
        self._settle(_Start(epoch, stop), now)

    def look_up_again(self, resume: Resume, at: float) -> None:
        """What this asked for was not found, by who may find it later."""
        for viewer, (waiting, _) in self._resumes.items():
            if waiting == resume:
                self._resumes[viewer] = (resume, at)

    def overdue(self, now: float) -> list[Resume]:
        """What is to be looked up, because nothing has come for so long; each is told once."""
        due = [(viewer, resume) for viewer, (resume, due_at) in self._resumes.items() if now >= due_at]
        for viewer, resume in due:
            self._resumes[viewer] = (resume, float("inf"))
        return list(dict.fromkeys(resume for _, resume in due))

    def _settle(self, start: _Start, now: float) -> None:
        newcomers, self._newcomers = self._newcomers, set()
        for viewer in newcomers:
            self._starts[viewer] = start
            if (waiting := self._resumes.pop(viewer, None)) is not None:
                resume = waiting[0]
                has = _Start(resume.epoch, resume.next_sample)
                self._return(viewer, has, start, resume.newest_s, now)

    def _return(
        self, viewer: Subscriber, has: _Start, start: _Start, newest_s: float | None, now: float
    ) -> None:
        """A viewer that has all before `has` is sent what comes from `start` on; the newest first."""
        spans: list[tuple[int, int, int]] = []
        if has > start:
            self._ahead[viewer] = has
        elif has.epoch == start.epoch:
            spans = [(has.epoch, has.first, start.first)]
        else:
            between = range(start.epoch - 1, max(has.epoch, start.epoch - MAX_EPOCHS), -1)
            spans = [
                (start.epoch, 0, start.first),
                *((epoch, 0, SAMPLE_LIMIT) for epoch in between),
                (has.epoch, has.first, SAMPLE_LIMIT),
            ]
        for epoch, first, stop in spans:
            if first < stop:
                self._lacks(viewer, Span(self._stream, epoch, first, stop), newest_s, now)
