"""What each process did for each group, and used in all: every interval, then by the minute and the hour."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any, ClassVar

from django.db import models

from monitoring.models_alerts import (  # noqa: F401  # Django finds models here
    Alert,
    AlertRule,
    Delivery,
    NotificationChannel,
)
from streaming.core.network import NetworkCondition
from streaming.core.overload import OverloadState
from streaming.core.stats import GroupStats, ProcessUsage

SINCE_START = "Since the process started."


class Resolution(models.IntegerChoices):
    """The seconds that a row stands for."""

    FULL = 0, "as taken"
    MINUTE = 60, "per minute"
    HOUR = 3600, "per hour"


class State(models.IntegerChoices):
    """The gravest state that any viewer of the group was in."""

    NORMAL = 0, "normal"
    PAUSED = 1, "paused"
    BACKPRESSURE = 2, "backpressure"
    EMERGENCY = 3, "emergency"

    @classmethod
    def of(cls, stats: GroupStats) -> State:
        """The state that these figures tell."""
        if stats.emergency_mode:
            return cls.EMERGENCY
        if stats.backpressure_active:
            return cls.BACKPRESSURE
        return cls.PAUSED if stats.paused else cls.NORMAL


def _counter(help_text: str = SINCE_START) -> Any:
    return models.PositiveBigIntegerField(default=0, help_text=help_text)


def _viewers(help_text: str) -> Any:
    return models.PositiveIntegerField(default=0, help_text=help_text)


def _percentile(help_text: str) -> Any:
    return models.FloatField(null=True, help_text=help_text)


class MetricsSnapshot(models.Model):
    """The figures of one group in one process, at one moment or over one minute or hour.

    The columns are `GroupStats`' fields, and what `figures` says of each. `at` is the moment, or where the
    minute or hour begins. `detail` holds what has no column, and is empty in rows of minutes and hours.
    """

    at = models.DateTimeField("time")
    resolution = models.PositiveSmallIntegerField(
        choices=Resolution.choices, default=Resolution.FULL, help_text="What the row stands for."
    )
    samples = models.PositiveIntegerField(default=1, help_text="Snapshots that became this row.")
    process = models.CharField(max_length=64, help_text="Which server process measured this.")
    group = models.CharField(max_length=100, help_text="Channel-layer group: ecg. and a stream, or control.")
    state = models.PositiveSmallIntegerField(choices=State.choices, default=State.NORMAL)
    lost_snapshots = _counter("Snapshots that the process could not store, since it started.")

    viewers = models.PositiveIntegerField(help_text="Connections of this process that watch the group.")
    viewers_lossless = _viewers("Sent every sample.")
    viewers_diagnostic = _viewers("Sent every sample, wrong by at most 2.5 µV.")
    viewers_display = _viewers("Sent what a screen can show.")
    viewers_overview = _viewers("Sent one lead at a lower rate.")
    viewers_vitals = _viewers("Sent numbers and no samples.")
    viewers_excellent = _viewers("By the condition of their network.")
    viewers_good = _viewers("By the condition of their network.")
    viewers_fair = _viewers("By the condition of their network.")
    viewers_poor = _viewers("By the condition of their network.")
    viewers_critical = _viewers("By the condition of their network.")

    buffer_size = models.PositiveIntegerField("size", help_text="Messages queued, over all viewers.")
    buffer_bytes = _counter("Bytes queued, over all viewers.")
    buffer_utilization = models.FloatField(
        "utilization", help_text="The fullest viewer's share of MAX_BUFFER_SIZE."
    )
    pressure = models.FloatField(
        default=0.0, help_text="What the watermarks act on: of count, bytes and age the nearest to its bound."
    )
    high_watermark = models.FloatField(help_text="Utilization at which backpressure sets in.")

    offered_messages = _counter()
    sent_messages = models.PositiveBigIntegerField(help_text=SINCE_START)
    dropped_messages = models.PositiveBigIntegerField(
        help_text="Dropped or expired, since the process started."
    )
    drops_expired = _counter("Waited longer than their class may, since the process started.")
    drops_dropped = _counter("Gave way under backpressure, since the process started.")
    drops_quota = _counter("Their class or connection was full, since the process started.")
    drops_emergency = _counter("Only what is critical was kept, since the process started.")
    drops_overload = _counter("The process had too much to do, since it started.")
    drop_rate = models.FloatField(help_text="Dropped or expired messages among all that were offered.")
    messages_per_second = models.FloatField("messages/s", help_text="Mean of the last 10 s.")
    bytes_sent = models.PositiveBigIntegerField(help_text=SINCE_START)
    gaps = models.PositiveBigIntegerField(help_text="Holes announced to viewers in place of frames.")

    backpressure_active = models.BooleanField()
    emergency_mode = models.BooleanField()
    paused = models.BooleanField(help_text="Waiting for a viewer's acknowledgement.")

    current_level = models.PositiveSmallIntegerField("level", help_text="Deflate effort, 1 to 9.")
    messages_processed = models.PositiveBigIntegerField(help_text=SINCE_START)
    average_compression_ratio = models.FloatField(
        "compression ratio", null=True, help_text="Bytes saved, against the bytes given."
    )
    ratio_vs_json = models.FloatField(
        "ratio against JSON", null=True, help_text="Bytes saved, against the same samples as JSON."
    )
    average_latency_ms = models.FloatField(
        "latency", null=True, help_text="Mean time to compress one message."
    )
    space_saved_mb = models.FloatField("space saved", help_text=SINCE_START)
    compress_s = models.FloatField(default=0.0, help_text="Spent on compressing, since the process started.")
    bytes_in = _counter()
    bytes_out = _counter()
    waveform_bytes_out = _counter()
    waveform_json_bytes = _counter("The same samples as JSON, since the process started.")

    network_condition = models.CharField(
        max_length=10,
        blank=True,
        choices=[(each.value, each.value) for each in NetworkCondition],
        help_text="The worst of the group's viewers.",
    )
    throughput_mbps = models.FloatField(null=True, help_text="Uncompressed, mean of the last 10 s.")

    age_p50_ms = _percentile("From the device's socket to a viewer's acknowledgement.")
    age_p95_ms = _percentile("From the device's socket to a viewer's acknowledgement.")
    age_p99_ms = _percentile("From the device's socket to a viewer's acknowledgement.")
    encode_p95_ms = _percentile("From a frame's first sample to its encoding.")
    queue_p95_ms = _percentile("In the viewer's queue.")
    followed_messages = models.PositiveIntegerField(
        default=0, help_text="Messages of the last five minutes that the percentiles are of."
    )

    overload = models.CharField(
        max_length=10,
        blank=True,
        choices=[(each.value, each.value) for each in OverloadState],
        help_text="Whether the process had more to do than it can.",
    )
    loop_lag_ms = models.FloatField(
        "event-loop lag", default=0.0, help_text="How late the process's timers are."
    )
    rss_mb = models.FloatField("memory", default=0.0, help_text="Resident memory of the process.")

    detail = models.JSONField(default=dict)

    class Meta:
        verbose_name = "metrics snapshot"
        ordering: ClassVar = ["-at", "group", "process", "resolution"]
        constraints: ClassVar = [
            # Its index lists one resolution by time, and names the groups and processes without the table.
            models.UniqueConstraint(
                fields=["resolution", "at", "group", "process"], name="snapshot_resolution_at"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["group", "resolution", "at"], name="snapshot_group_at"),
            models.Index(fields=["state", "resolution", "at"], name="snapshot_state_at"),
            models.Index(fields=["network_condition", "resolution", "at"], name="snapshot_condition_at"),
        ]

    def __str__(self) -> str:
        return f"{self.group} at {self.at:%Y-%m-%d %H:%M:%S} UTC"

    @classmethod
    def of(cls, stats: GroupStats, *, at: datetime, process: str, lost_snapshots: int = 0) -> MetricsSnapshot:
        """An unsaved row with the figures of `stats`."""
        values: dict[str, Any] = {field.name: getattr(stats, field.name) for field in fields(stats)}
        values |= {"detail": dict(stats.detail), "state": State.of(stats), "lost_snapshots": lost_snapshots}
        return cls(at=at, process=process, **values)

    @property
    def stats(self) -> GroupStats:
        """The row's figures, as they were given to `of`."""
        return GroupStats(**{field.name: getattr(self, field.name) for field in fields(GroupStats)})


def _size(help_text: str) -> Any:
    return models.FloatField(null=True, help_text=help_text)


class UsageSnapshot(models.Model):
    """What one process used of its machine and did with it, at one moment or over one minute or hour.

    The columns are `ProcessUsage`' fields, and what `figures` says of each; beside them what is known of the
    machine and its databases when the row is written. A null is not known there.
    """

    at = models.DateTimeField("time")
    resolution = models.PositiveSmallIntegerField(choices=Resolution.choices, default=Resolution.FULL)
    samples = models.PositiveIntegerField(default=1, help_text="Snapshots that became this row.")
    process = models.CharField(max_length=64, help_text="Which server process measured this.")

    cpu_s = models.FloatField(default=0.0, help_text="User and system time since the process started.")
    cpu_share = models.FloatField(
        null=True, help_text="CPU since the snapshot before, as a share of one core."
    )
    rss_mb = models.FloatField(default=0.0, help_text="Resident memory.")
    loop_lag_ms = models.FloatField(default=0.0, help_text="How late the process's timers are.")
    overload = models.CharField(
        max_length=10,
        blank=True,
        choices=[(each.value, each.value) for each in OverloadState],
        help_text="Whether the process had more to do than it can.",
    )
    streams = _viewers("That devices write to this process.")
    viewers = _viewers("Connections of viewers.")
    viewer_streams = _viewers("Streams that viewers watch, counted for each viewer.")
    chunks = _counter("That came from devices, since the process started.")
    lead_samples = _counter("That came from devices, each lead's by itself, since the process started.")
    sent_messages = _counter("Logical messages written to viewers, since the process started.")
    websocket_messages = _counter("In which these left, since the process started.")
    bytes_sent = _counter()
    sent_mbps = models.FloatField(
        null=True, help_text="Megabits a second to viewers since the snapshot before."
    )
    queued_bytes = _counter("Waiting for viewers.")
    buffer_utilization = models.FloatField(
        default=0.0, help_text="The fullest viewer's share of MAX_BUFFER_SIZE."
    )
    pressure = models.FloatField(default=0.0, help_text="What the watermarks act on; 1 is full.")

    cores = models.FloatField(null=True, help_text="That the process may use.")
    memory_limit_mb = _size("Of the process's control group, or else the machine's memory.")
    database_mb = _size("Of the default database.")
    history_mb = _size("Of the history's, where it is another one.")
    journal_mb = _size("Of the alarm journal's, where it is another one.")
    disk_free_mb = _size("Where the databases' files are; unknown of a database server.")

    class Meta:
        verbose_name = "usage snapshot"
        verbose_name_plural = "capacity"
        default_permissions: ClassVar = ()  # whoever may see metrics snapshots may see these
        ordering: ClassVar = ["-at", "process", "resolution"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["resolution", "at", "process"], name="usage_resolution_at"),
        ]

    def __str__(self) -> str:
        return f"{self.process} at {self.at:%Y-%m-%d %H:%M:%S} UTC"

    @classmethod
    def of(cls, usage: ProcessUsage, *, at: datetime, process: str, **others: Any) -> UsageSnapshot:
        """An unsaved row with the figures of `usage`, and others by the names of their columns."""
        values = {field.name: getattr(usage, field.name) for field in fields(usage)}
        return cls(at=at, process=process, **values | others)
