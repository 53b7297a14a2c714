"""Signed checkpoints: the ends of chains, in the database and in a file beside it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from streaming.models_chain import Checkpoint, CheckpointKind
from streaming.store.chain import Head
from streaming.store.head_log import HeadLog, HeldLog, Statement
from streaming.store.trails import Trail

logger = logging.getLogger(__name__)

AT_ONCE = 500


def mark(trail: Trail, head: Head, log: HeadLog) -> None:
    """Write where a chain stands, unless it is empty or stood there the last time; blocks.

    Raises django.db.Error or OSError; nothing is in the database then.
    """
    marked = trail.checkpoints._default_manager.filter(writer=head.writer, seq=head.seq)
    if head.seq and not marked.filter(kind=CheckpointKind.HEAD.value).exists():
        with log.held() as file, transaction.atomic(using=trail.alias):
            record(trail, [made(trail, CheckpointKind.HEAD, head, log)], file)


def mark_all(trail: Trail, log: HeadLog) -> int:
    """Write where every chain stands that has grown since its last checkpoint: its process was killed, left
    it after a fault, or is another one; blocks, and raises as `mark` does. How many these were.
    """
    ends = _unmarked(trail)
    marked = 0
    for first in range(0, len(ends), AT_ONCE):
        some = ends[first : first + AT_ONCE]
        try:
            with log.held() as file, transaction.atomic(using=trail.alias):
                record(trail, [made(trail, CheckpointKind.HEAD, head, log) for head in some], file)
        except IntegrityError:  # another process that starts does the same
            logger.info("another process has marked the ends of the %s trail", trail.name)
            return marked
        marked += len(some)
    return marked


def made(trail: Trail, kind: CheckpointKind, head: Head, log: HeadLog) -> Statement:
    """A signed statement about a row, as of now."""
    return Statement(trail.name, kind, head, timezone.now(), log.name).signed()


def record(trail: Trail, statements: Sequence[Statement], file: HeldLog) -> None:
    """Write statements to both, in the transaction in progress: what is not in the file is not committed."""
    trail.checkpoints._default_manager.bulk_create(
        trail.checkpoints(
            kind=statement.kind.value,
            **statement.head._asdict(),
            at=statement.at,
            log=statement.log,
            signature=statement.signature,
        )
        for statement in statements
    )
    file.append(statements)


def statement_of(trail: Trail, row: Checkpoint) -> Statement:
    """What a row states."""
    head = Head(row.writer, row.seq, row.hash)
    return Statement(trail.name, CheckpointKind(row.kind), head, row.at, row.log, row.signature)


def statements(trail: Trail, writers: Iterable[str] | None = None) -> list[Statement]:
    """All that the database has, genuine or not, or those of some writers; blocks."""
    rows = trail.checkpoints._default_manager.order_by("pk")
    if writers is not None:
        rows = rows.filter(writer__in=list(writers))
    return [statement_of(trail, row) for row in rows.iterator(chunk_size=2000)]


def _unmarked(trail: Trail) -> list[Head]:
    """The ends of the chains that have no checkpoint there."""
    rows, checkpoints = trail.rows._default_manager, trail.checkpoints._default_manager
    marked = dict(checkpoints.values_list("writer").annotate(last=Max("seq")))
    ends = rows.values_list("writer").annotate(last=Max("seq"))
    found = [(writer, seq) for writer, seq in ends if seq > marked.get(writer, 0)]
    hashes = (
        rows.filter(writer=writer, seq=seq).values_list("hash", flat=True).first() for writer, seq in found
    )
    return [Head(*end, digest) for end, digest in zip(found, hashes, strict=True) if digest is not None]
