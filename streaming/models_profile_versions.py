"""The versions of the profiles: their count, and what each of them changed, when, by whom and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import F
from django.dispatch import Signal
from django.utils import timezone

from streaming.core.precedence import Row, Rows

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

profiles_changed = Signal()
"""Sent after the commit of any change, with `version`, in the thread that made the change."""


class ProfileVersion(models.Model):
    """The one row that counts changes; whoever polls it knows in one small read whether to load."""

    number = models.PositiveBigIntegerField(default=0)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    def __str__(self) -> str:
        return str(self.number)

    @classmethod
    def bump(cls, by: AbstractBaseUser | None) -> int:
        """Count one change, as part of the transaction that makes it, and announce it once committed.

        The first to bump holds the row until it commits, so that changes follow one another.
        """
        changes = {"number": F("number") + 1, "updated_at": timezone.now(), "updated_by": by}
        if not cls.objects.filter(pk=1).update(**changes):
            cls.objects.get_or_create(pk=1)
            cls.objects.filter(pk=1).update(**changes)
        version = cls.objects.get(pk=1).number
        transaction.on_commit(partial(profiles_changed.send_robust, sender=cls, version=version))
        return version


class ProfileRevision(models.Model):
    """What one version changed; written with it, and never changed.

    `changes` holds of each row that is other than before, by its name, its own values before and after;
    None stands for a row that was not there, or is not any more.
    """

    number = models.PositiveBigIntegerField("version", unique=True)
    at = models.DateTimeField("time", default=timezone.now)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name="by"
    )
    cause = models.CharField(max_length=80, help_text="What made it, if it was no change of a single row.")
    comment = models.CharField(max_length=200)
    changes = models.JSONField(default=dict)

    class Meta:
        verbose_name = "profile version"
        ordering: ClassVar[list[str]] = ["-number"]
        default_permissions = ()  # who may see or change profiles, may do so with their versions

    def __str__(self) -> str:
        return f"version {self.number}"

    @property
    def rows(self) -> Iterator[tuple[str, Row | None, Row | None]]:
        """Each row that it changed: name, own values before, and after."""
        for name, (before, after) in sorted(self.changes.items()):
            yield name, before, after


@contextmanager
def recorded(
    read: Callable[[], Rows], *, by: Any, cause: str = "", comment: str = "", using: str | None = None
) -> Iterator[int]:
    """One version, given as its number: whatever is done to the profiles inside is what it changed."""
    with transaction.atomic(using=using):
        # The count first: it is held until the commit, so that nobody else's change comes in between.
        version = ProfileVersion.bump(by)
        before = read()
        yield version
        after = read()
        changed = {
            name: [before.get(name), after.get(name)]
            for name in before.keys() | after.keys()
            if before.get(name) != after.get(name)
        }
        # A flush or a restored backup turns the count back: the numbers that come again are other versions.
        ProfileRevision.objects.filter(number__gte=version).delete()
        ProfileRevision.objects.create(number=version, by=by, cause=cause, comment=comment, changes=changed)
