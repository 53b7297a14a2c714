"""The rows of the history: encoded samples in chunks, spans of them that must stay, minutes in little.

They lie in a database of their own (`store/routing.py`): a stream is a text here, not a foreign key.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class HistoryChunk(models.Model):
    """Contiguous samples of one epoch, `first` to `stop` (exclusive), about five seconds of them."""

    stream = models.CharField(max_length=64)
    epoch = models.PositiveIntegerField()
    first = models.BigIntegerField()
    stop = models.BigIntegerField()
    began_at = models.DateTimeField(help_text="When sample `first` was taken, as far as known.")
    ended_at = models.DateTimeField(help_text="When sample `stop` was taken, as far as known.")
    size_bytes = models.PositiveIntegerField()
    frames = models.BinaryField(help_text="As streaming.core.chunks.unpack reads them.")

    class Meta:
        verbose_name = "history chunk"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            # Also the index of every read. A chunk that is written twice is one chunk.
            models.UniqueConstraint(fields=["stream", "epoch", "first", "stop"], name="history_chunk_once"),
            models.CheckConstraint(condition=Q(first__lt=F("stop")), name="history_chunk_has_samples"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            # Sizes and times come from the indexes alone: the row itself has the blob between its pages.
            models.Index(fields=["began_at", "size_bytes"], name="history_by_time"),
            models.Index(
                fields=["stream", "began_at", "ended_at", "size_bytes"], name="history_by_stream_time"
            ),
        ]
        permissions: ClassVar[tuple[tuple[str, str], ...]] = (("export_history", "Can export stored ECG"),)

    def __str__(self) -> str:
        return f"{self.stream}/{self.epoch}:{self.first}-{self.stop}"


class HistoryPin(models.Model):
    """A span that is kept longer than the rest, also what of it comes later."""

    stream = models.CharField(max_length=64)
    epoch = models.PositiveIntegerField()
    first = models.BigIntegerField()
    stop = models.BigIntegerField()
    reason = models.CharField(max_length=80)
    until = models.DateTimeField(db_index=True)
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "history pin"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["stream", "epoch", "first"], name="history_pin_by_span")
        ]

    def __str__(self) -> str:
        return f"{self.stream}/{self.epoch}:{self.first}-{self.stop} {self.reason}"


class HistoryMinute(models.Model):
    """A part of one minute of one stream in little, as `core.minutes.Minute` has it; readers join the parts.

    What long ranges need stands before what they do not, so that its pages are passed over.
    """

    stream = models.CharField(max_length=64)
    epoch = models.PositiveIntegerField()
    first = models.BigIntegerField()
    began_ms = models.BigIntegerField(help_text="When sample `first` was taken, in ms since 1970.")
    column_s = models.FloatField(help_text="How long one column of `fine` takes.")
    leads = models.PositiveSmallIntegerField()
    told = models.PositiveIntegerField(help_text="Seconds of which a heart rate was asked for.")
    counted = models.PositiveIntegerField(help_text="Those of them that had one.")
    hr_total = models.PositiveIntegerField()
    hr_low = models.PositiveSmallIntegerField()
    hr_high = models.PositiveSmallIntegerField()
    coarse = models.BinaryField(help_text="Ranges of each lead in columns of five seconds, int16.")
    fine = models.BinaryField(help_text="The same in columns of a tenth of a second, deflated.")
    size_bytes = models.PositiveIntegerField(help_text="Of `coarse` and `fine` together.")

    class Meta:
        verbose_name = "history minute"
        default_permissions: ClassVar[tuple[str, ...]] = ()
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["stream", "began_ms"], name="history_minute_by_stream"),
            models.Index(fields=["began_ms", "size_bytes"], name="history_minute_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.stream}/{self.epoch}:{self.first}"
