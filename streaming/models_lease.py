"""The rows that say which process writes a stream, so that no two do."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class StreamLease(models.Model):
    """The right to write one stream: one session's, in one process, until it expires.

    All times are the database's own: the clocks of two hosts may differ.
    """

    stream = models.OneToOneField("streaming.Stream", on_delete=models.CASCADE, primary_key=True)
    session = models.CharField(max_length=64, blank=True)
    process = models.CharField(max_length=32, blank=True, help_text="Empty when it was given up.")
    token = models.PositiveBigIntegerField(default=0, help_text="Grows with each takeover.")
    next_sample = models.PositiveBigIntegerField(default=0)
    holes = models.JSONField(default=list, help_text="Of a lease that was given up: what may come late.")
    began_at = models.DateTimeField(null=True, help_text="When the session took the stream.")
    expires_at = models.DateTimeField(null=True, help_text="Null when the session has ended.")

    class Meta:
        verbose_name = "stream lease"
        ordering: ClassVar = ["stream"]
        indexes: ClassVar = [models.Index(fields=["process"], name="lease_by_process")]

    def __str__(self) -> str:
        return f"{self.stream_id} by {self.process or 'nobody'}"
