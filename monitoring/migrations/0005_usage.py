"""What each process uses of its machine, and does with it, has a table of its own."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("monitoring", "0004_shipped_alert_rules"),
    ]

    operations = [
        migrations.CreateModel(
            name="UsageSnapshot",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="time")),
                (
                    "resolution",
                    models.PositiveSmallIntegerField(
                        choices=[(0, "as taken"), (60, "per minute"), (3600, "per hour")], default=0
                    ),
                ),
                (
                    "samples",
                    models.PositiveIntegerField(default=1, help_text="Snapshots that became this row."),
                ),
                ("process", models.CharField(help_text="Which server process measured this.", max_length=64)),
                (
                    "cpu_s",
                    models.FloatField(
                        default=0.0, help_text="User and system time since the process started."
                    ),
                ),
                (
                    "cpu_share",
                    models.FloatField(
                        help_text="CPU since the snapshot before, as a share of one core.", null=True
                    ),
                ),
                ("rss_mb", models.FloatField(default=0.0, help_text="Resident memory.")),
                (
                    "loop_lag_ms",
                    models.FloatField(default=0.0, help_text="How late the process's timers are."),
                ),
                (
                    "overload",
                    models.CharField(
                        blank=True,
                        choices=[("normal", "normal"), ("shedding", "shedding"), ("emergency", "emergency")],
                        help_text="Whether the process had more to do than it can.",
                        max_length=10,
                    ),
                ),
                (
                    "streams",
                    models.PositiveIntegerField(default=0, help_text="That devices write to this process."),
                ),
                ("viewers", models.PositiveIntegerField(default=0, help_text="Connections of viewers.")),
                (
                    "viewer_streams",
                    models.PositiveIntegerField(
                        default=0, help_text="Streams that viewers watch, counted for each viewer."
                    ),
                ),
                (
                    "chunks",
                    models.PositiveBigIntegerField(
                        default=0, help_text="That came from devices, since the process started."
                    ),
                ),
                (
                    "lead_samples",
                    models.PositiveBigIntegerField(
                        default=0,
                        help_text="That came from devices, each lead's by itself, since the process started.",
                    ),
                ),
                (
                    "sent_messages",
                    models.PositiveBigIntegerField(
                        default=0, help_text="Logical messages written to viewers, since the process started."
                    ),
                ),
                (
                    "websocket_messages",
                    models.PositiveBigIntegerField(
                        default=0, help_text="In which these left, since the process started."
                    ),
                ),
                (
                    "bytes_sent",
                    models.PositiveBigIntegerField(default=0, help_text="Since the process started."),
                ),
                (
                    "sent_mbps",
                    models.FloatField(
                        help_text="Megabits a second to viewers since the snapshot before.", null=True
                    ),
                ),
                ("queued_bytes", models.PositiveBigIntegerField(default=0, help_text="Waiting for viewers.")),
                (
                    "buffer_utilization",
                    models.FloatField(
                        default=0.0, help_text="The fullest viewer's share of MAX_BUFFER_SIZE."
                    ),
                ),
                (
                    "pressure",
                    models.FloatField(default=0.0, help_text="What the watermarks act on; 1 is full."),
                ),
                ("cores", models.FloatField(help_text="That the process may use.", null=True)),
                (
                    "memory_limit_mb",
                    models.FloatField(
                        help_text="Of the process's control group, or else the machine's memory.", null=True
                    ),
                ),
                ("database_mb", models.FloatField(help_text="Of the default database.", null=True)),
                (
                    "history_mb",
                    models.FloatField(help_text="Of the history's, where it is another one.", null=True),
                ),
                (
                    "journal_mb",
                    models.FloatField(
                        help_text="Of the alarm journal's, where it is another one.", null=True
                    ),
                ),
                (
                    "disk_free_mb",
                    models.FloatField(
                        help_text="Where the databases' files are; unknown of a database server.", null=True
                    ),
                ),
            ],
            options={
                "verbose_name": "usage snapshot",
                "verbose_name_plural": "capacity",
                "ordering": ["-at", "process", "resolution"],
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("resolution", "at", "process"), name="usage_resolution_at"
                    )
                ],
            },
        ),
    ]
