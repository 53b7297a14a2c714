"""What each process did for each group, one row every interval."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any, ClassVar

from django.db import models

from streaming.core.stats import GroupStats


class MetricsSnapshot(models.Model):
    """The figures of one group in one process at one moment; the columns are `GroupStats`' fields.

    `detail` holds what has no column: per-class counts, network conditions, `lost_snapshots`.
    """

    at = models.DateTimeField("time")
    process = models.CharField(max_length=64, help_text="Which server process measured this.")
    group = models.CharField(max_length=100, help_text="Channel-layer group: ecg. and a stream, or control.")
    viewers = models.PositiveIntegerField(help_text="Connections of this process that watch the group.")

    buffer_size = models.PositiveIntegerField("size", help_text="Messages queued, over all viewers.")
    buffer_utilization = models.FloatField(
        "utilization", help_text="The fullest viewer's share of MAX_BUFFER_SIZE."
    )
    high_watermark = models.FloatField(help_text="Utilization at which backpressure sets in.")

    sent_messages = models.PositiveBigIntegerField(help_text="Since the process started.")
    dropped_messages = models.PositiveBigIntegerField(
        help_text="Dropped or expired, since the process started."
    )
    drop_rate = models.FloatField(help_text="Dropped or expired messages among all that were offered.")
    messages_per_second = models.FloatField("messages/s", help_text="Mean of the last 10 s.")
    bytes_sent = models.PositiveBigIntegerField(help_text="Since the process started.")
    gaps = models.PositiveBigIntegerField(help_text="Holes announced to viewers in place of frames.")

    backpressure_active = models.BooleanField()
    emergency_mode = models.BooleanField()
    paused = models.BooleanField(help_text="Waiting for a viewer's acknowledgement.")

    current_level = models.PositiveSmallIntegerField("level", help_text="Deflate effort, 1 to 9.")
    messages_processed = models.PositiveBigIntegerField(help_text="Since the process started.")
    average_compression_ratio = models.FloatField(
        "compression ratio", null=True, help_text="Bytes saved, against the bytes given."
    )
    ratio_vs_json = models.FloatField(
        "ratio against JSON", null=True, help_text="Bytes saved, against the same samples as JSON."
    )
    average_latency_ms = models.FloatField(
        "latency", null=True, help_text="Mean time to compress one message."
    )
    space_saved_mb = models.FloatField("space saved", help_text="Since the process started.")

    detail = models.JSONField(default=dict)

    class Meta:
        verbose_name = "metrics snapshot"
        ordering: ClassVar = ["-at", "group", "process"]
        indexes: ClassVar = [
            models.Index(fields=["group", "at"], name="snapshot_group_at"),
            # With the group behind the time, the admin's list of groups reads this index alone.
            models.Index(fields=["at", "group"], name="snapshot_at_group"),
        ]

    def __str__(self) -> str:
        return f"{self.group} at {self.at:%Y-%m-%d %H:%M:%S} UTC"

    @classmethod
    def of(cls, stats: GroupStats, *, at: datetime, process: str) -> MetricsSnapshot:
        """An unsaved row with the figures of `stats`."""
        values: dict[str, Any] = {field.name: getattr(stats, field.name) for field in fields(stats)}
        return cls(at=at, process=process, **values | {"detail": dict(stats.detail)})

    @property
    def stats(self) -> GroupStats:
        """The row's figures, as they were given to `of`, with whatever the writer added to `detail`."""
        return GroupStats(**{field.name: getattr(self, field.name) for field in fields(GroupStats)})
