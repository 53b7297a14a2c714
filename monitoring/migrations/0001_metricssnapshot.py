"""The table of metrics snapshots."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="MetricsSnapshot",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="time")),
                ("process", models.CharField(help_text="Which server process measured this.", max_length=64)),
                (
                    "group",
                    models.CharField(
                        help_text="Channel-layer group: ecg. and a stream, or control.", max_length=100
                    ),
                ),
                (
                    "viewers",
                    models.PositiveIntegerField(
                        help_text="Connections of this process that watch the group."
                    ),
                ),
                (
                    "buffer_size",
                    models.PositiveIntegerField(
                        help_text="Messages queued, over all viewers.", verbose_name="size"
                    ),
                ),
                (
                    "buffer_utilization",
                    models.FloatField(
                        help_text="The fullest viewer's share of MAX_BUFFER_SIZE.", verbose_name="utilization"
                    ),
                ),
                ("high_watermark", models.FloatField(help_text="Utilization at which backpressure sets in.")),
                ("sent_messages", models.PositiveBigIntegerField(help_text="Since the process started.")),
                (
                    "dropped_messages",
                    models.PositiveBigIntegerField(
                        help_text="Dropped or expired, since the process started."
                    ),
                ),
                (
                    "drop_rate",
                    models.FloatField(help_text="Dropped or expired messages among all that were offered."),
                ),
                (
                    "messages_per_second",
                    models.FloatField(help_text="Mean of the last 10 s.", verbose_name="messages/s"),
                ),
                ("bytes_sent", models.PositiveBigIntegerField(help_text="Since the process started.")),
                (
                    "gaps",
                    models.PositiveBigIntegerField(
                        help_text="Holes announced to viewers in place of frames."
                    ),
                ),
                ("backpressure_active", models.BooleanField()),
                ("emergency_mode", models.BooleanField()),
                ("paused", models.BooleanField(help_text="Waiting for a viewer's acknowledgement.")),
                (
                    "current_level",
                    models.PositiveSmallIntegerField(
                        help_text="Deflate effort, 1 to 9.", verbose_name="level"
                    ),
                ),
                (
                    "messages_processed",
                    models.PositiveBigIntegerField(help_text="Since the process started."),
                ),
                (
                    "average_compression_ratio",
                    models.FloatField(
                        help_text="Bytes saved, against the bytes given.",
                        null=True,
                        verbose_name="compression ratio",
                    ),
                ),
                (
                    "ratio_vs_json",
                    models.FloatField(
                        help_text="Bytes saved, against the same samples as JSON.",
                        null=True,
                        verbose_name="ratio against JSON",
                    ),
                ),
                (
                    "average_latency_ms",
                    models.FloatField(
                        help_text="Mean time to compress one message.", null=True, verbose_name="latency"
                    ),
                ),
                (
                    "space_saved_mb",
                    models.FloatField(help_text="Since the process started.", verbose_name="space saved"),
                ),
                ("detail", models.JSONField(default=dict)),
            ],
            options={
                "verbose_name": "metrics snapshot",
                "ordering": ["-at", "group", "process"],
                "indexes": [
                    models.Index(fields=["group", "at"], name="snapshot_group_at"),
                    models.Index(fields=["at", "group"], name="snapshot_at_group"),
                ],
            },
        ),
    ]
