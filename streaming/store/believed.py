"""Up to which time something is old: a clock that has jumped ahead must not empty what is kept for years."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from streaming.models_history import HistoryChunk
from streaming.store.trails import Trail

logger = logging.getLogger(__name__)

SLACK = timedelta(days=4)
"""How far the clock may go on unseen: a long weekend without a server needs nobody's word."""
FILE = "clock"


class BelievedClock:
    """The time of day, as far as it is believed, for one thing that is pruned by its age; it blocks.

    What was believed last lies in a file, for all processes of a var directory. It never goes back: a host
    that begins in 1970 and is set right is believed. Rows are no witness, but for the first time: a clock
    that has jumped has written some of its own by the time that anything is pruned.
    """

    def __init__(self, what: str, newest: Callable[[], datetime | None], path: Path | None = None) -> None:
        self._what = what
        self._newest = newest
        self._path = path
        self._first: datetime | None = None
        """What the first look had found in the place of a file."""
        self._unwritten: datetime | None = None
        """What a full disk did not take: it is emptied by what asks here."""
        self._is_said = False

    def now(self) -> datetime:
        """The time of day, or what was believed last where that is more than SLACK before it.

        Raises django.db.Error where there is no file yet, and no database.
        """
        now = timezone.now()
        last = max(filter(None, (read(self._path), self._unwritten)), default=None)
        if last is None:
            self._first = self._first or self._newest()
            if self._first is None:
                return now  # there is nothing that could be deleted
            known = self._first
        else:
            known = last
        if now - known > SLACK:
            self._say(now, known)
            return known
        self._is_said = False
        self._note(now if last is None else max(now, last))
        return now

    def _note(self, at: datetime) -> None:
        try:
            write(at, self._path)
        except OSError as error:
            if self._unwritten is None:
                logger.warning("the last believed time cannot be written: %s", error)
            self._unwritten = at
        else:
            self._unwritten = None

    def _say(self, now: datetime, known: datetime) -> None:
        """Once, until it is believed again."""
        if not self._is_said:
            logger.error(
                "the clock says %s UTC, %d days after %s, which was believed last: the %s is pruned as of "
                "then. If the clock is right: manage.py confirm_clock --yes",
                f"{now:%Y-%m-%d %H:%M}",
                (now - known).days,
                f"{known:%Y-%m-%d %H:%M}",
                self._what,
            )
        self._is_said = True


def read(path: Path | None = None) -> datetime | None:
    """What was believed last; None where no file says it."""
    try:
        at = datetime.fromisoformat((path or _file()).read_text().strip())
    except (OSError, ValueError):
        return None
    return at if at.tzinfo is not None else None


def write(at: datetime, path: Path | None = None) -> None:
    """Believe this. Raises OSError."""
    path = path or _file()
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(f"{at.isoformat()}\n")
    fresh.replace(path)


def newest_of(trail: Trail) -> datetime | None:
    """The time of the newest row or checkpoint; None for an empty trail."""
    models = (trail.rows, trail.checkpoints)
    found = (model._default_manager.aggregate(newest=Max("at"))["newest"] for model in models)
    return max(filter(None, found), default=None)


def newest_of_history() -> datetime | None:
    """When the newest chunk began; None where there is none."""
    newest: datetime | None = HistoryChunk.objects.aggregate(newest=Max("began_at"))["newest"]
    return newest


def _file() -> Path:
    return Path(settings.VAR_DIR) / FILE
