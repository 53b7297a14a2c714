"""Rows in a chain: each holds the hash of the one before it by the same writer, and none is ever changed."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import models


class AppendOnly(models.Model):
    """Rows refuse to be changed or deleted here, and triggers refuse it in the database."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert; a row that exists stays as it is."""
        if not self._state.adding:
            raise PermissionDenied(f"{self._meta.verbose_name_plural} are append-only")
        super().save(*args, **(kwargs | {"force_insert": True}))

    def delete(self, *_args: Any, **_kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refused."""
        raise PermissionDenied(f"{self._meta.verbose_name_plural} are append-only")


class ChainedRow(AppendOnly):
    """One link. `seq` counts from 1 in each chain, and a chain is what one `writer` made."""

    writer = models.CharField(max_length=32)
    seq = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    prev_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.writer[:8]}/{self.seq}"

    def hashed_values(self) -> list[Any]:
        """All that the row says, `prev_hash` included, as values that JSON has."""
        raise NotImplementedError


class CheckpointKind(StrEnum):
    """What a checkpoint says of the row that it names."""

    HEAD = "head"
    """It was the last of its chain."""
    BEGIN = "begin"
    """It and all before it were pruned: the chain begins after it."""


class Checkpoint(AppendOnly):
    """A signed statement about a row of a chain; the same lies in the file that `log` names."""

    kind = models.CharField(max_length=5, choices=[(kind.value, kind.value) for kind in CheckpointKind])
    writer = models.CharField(max_length=32)
    seq = models.PositiveBigIntegerField()
    hash = models.CharField(max_length=64)
    at = models.DateTimeField()
    log = models.TextField()
    signature = models.CharField(max_length=64)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.kind} {self.writer[:8]}/{self.seq}"


def utc_text(at: datetime) -> str:
    """The moment as a text that is the same in every database."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
