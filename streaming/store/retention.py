"""What a trail gives up by its age: whole beginnings of chains, up to a signed checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Min, Q

from streaming.models_chain import Checkpoint, CheckpointKind
from streaming.models_journal import OpenAlarm
from streaming.store import chain, checkpoints
from streaming.store.chain import GENESIS, Head
from streaming.store.head_log import HeadLog
from streaming.store.trails import ALARMS, Trail

logger = logging.getLogger(__name__)

STEP_ROWS = 1000
"""About so many a transaction, for which SQLite holds its write lock some ten milliseconds."""


def prune(trail: Trail, before: datetime, log: HeadLog) -> Iterator[int]:
    """Delete what is older, and how many rows in each step; each is a transaction, and blocks.

    A chain keeps its first row that is not old enough, or belongs to an open alarm, and all behind that.
    What is deleted ends at a checkpoint, and a signed statement in its place says so. A chain that is not
    whole is left as it is. Raises django.db.Error or OSError.
    """
    old = trail.rows._default_manager.filter(at__lt=before)
    for writer in sorted(set(old.order_by().values_list("writer", flat=True).distinct())):
        rows = trail.rows._default_manager.filter(writer=writer)
        kept = rows.filter(Q(at__gte=before) | _in_use(trail)).aggregate(first=Min("seq"))["first"]
        while (step := _next_step(trail, writer, kept)) is not None:
            begin, end = step
            if not _is_whole(trail, begin, end):
                logger.error(
                    "chain %s of the %s trail is not whole, and is not pruned: run verify_audit",
                    writer,
                    trail.name,
                )
                break
            try:
                deleted = _delete(trail, end, log)
            except IntegrityError:  # another process did the same meanwhile
                break
            yield deleted


def _in_use(trail: Trail) -> Q:
    """Rows that stay whatever their age."""
    return Q(alarm__in=OpenAlarm.objects.values("alarm")) if trail is ALARMS else Q(pk__in=[])


def _next_step(trail: Trail, writer: str, kept: int | None) -> tuple[Head, Checkpoint] | None:
    """Where a chain begins, and the checkpoint up to which it is pruned next; None when there is none."""
    of_chain = trail.checkpoints._default_manager.filter(writer=writer)
    begun = of_chain.filter(kind=CheckpointKind.BEGIN.value).order_by("-seq").first()
    begin = Head(writer, begun.seq, begun.hash) if begun is not None else Head(writer, 0, GENESIS)
    ends = of_chain.filter(kind=CheckpointKind.HEAD.value, seq__gt=begin.seq)
    if kept is not None:
        ends = ends.filter(seq__lt=kept)
    end = ends.filter(seq__lte=begin.seq + STEP_ROWS).order_by("-seq").first() or ends.order_by("seq").first()
    return None if end is None else (begin, end)


def _is_whole(trail: Trail, begin: Head, end: Checkpoint) -> bool:
    """Whether the rows between them are what they were when the checkpoint was signed."""
    rows = trail.rows._default_manager.filter(writer=end.writer, seq__lte=end.seq).order_by("seq")
    problems = list(chain.problems(rows.iterator(chunk_size=1000), {end.writer: begin}))
    is_named = rows.filter(seq=end.seq, hash=end.hash).exists()
    return not problems and is_named and checkpoints.statement_of(trail, end).is_genuine()


def _delete(trail: Trail, end: Checkpoint, log: HeadLog) -> int:
    head = Head(end.writer, end.seq, end.hash)
    with log.held() as file, transaction.atomic(using=trail.alias):
        checkpoints.record(trail, [checkpoints.made(trail, CheckpointKind.BEGIN, head, log)], file)
        rows = trail.rows._default_manager.filter(writer=end.writer, seq__lte=end.seq)
        return rows._raw_delete(trail.alias)
