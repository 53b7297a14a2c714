"""How each user has arranged the ward."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models


class BedOrder(models.TextChoices):
    """In which order beds stand; pinned ones come first in each."""

    WARD = "ward"
    """By ward, and in it by bed."""
    BED = "bed"
    """By bed, and of the same bed by ward."""
    ALARM = "alarm"
    """By the gravest alarm at the moment of sorting; nothing moves by itself afterwards."""


class BedsPerPage(models.IntegerChoices):
    """How many beds of a ward stand on one page of it."""

    FEW = 16
    MANY = 32


class WardLayout(models.Model):
    """One user's; without a row, beds stand by ward and bed, 16 on a page, and none is pinned."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="ward_layout"
    )
    order = models.CharField(max_length=8, choices=BedOrder.choices, default=BedOrder.WARD)
    pinned: models.JSONField[Any, Any] = models.JSONField(default=list)
    """Ids of streams, in the order in which they stand."""
    per_page = models.PositiveSmallIntegerField(
        choices=BedsPerPage.choices, default=BedsPerPage.FEW, db_default=BedsPerPage.FEW
    )
    """In the database as well: a process of before writes rows that do not name it."""

    class Meta:
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return f"layout of {self.user}"
