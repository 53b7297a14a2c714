"""The rows that hold what adaptive compression has learned, so that a restart does not unlearn it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone


class AdaptationState(models.Model):
    """What was learned for one channel-layer group; the last process to write it wins."""

    group = models.CharField(max_length=100, primary_key=True)
    state = models.JSONField(help_text="As AdaptiveCompression.export_state gives it.")
    updated_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        verbose_name = "adaptation state"
        ordering: ClassVar = ["group"]

    def __str__(self) -> str:
        return self.group
