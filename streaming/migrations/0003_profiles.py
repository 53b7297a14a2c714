"""The tables of the profiles and of their version."""

import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.math
import django.db.models.lookups
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("streaming", "0002_audit_append_only"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ProfileVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveBigIntegerField(default=0)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "updated_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Profile",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "group",
                    models.CharField(
                        help_text="ecg. and a stream's id; or control, for everything about connections.",
                        max_length=99,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^([A-Za-z0-9_.-]+|\\*)\\Z", "Letters, digits, dots, dashes and underscores."
                            )
                        ],
                    ),
                ),
                (
                    "window_bits",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Deflate window, 9 to 15; 12 is a window of 4 KiB.",
                        null=True,
                        verbose_name="WINDOW_BITS",
                    ),
                ),
                (
                    "mem_level",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Memory level, 1 to 9; 5 balances speed and memory.",
                        null=True,
                        verbose_name="MEM_LEVEL",
                    ),
                ),
                (
                    "compression_level",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Deflate effort, 1 (fast) to 9 (small).",
                        null=True,
                        verbose_name="COMPRESSION_LEVEL",
                    ),
                ),
                (
                    "compression_threshold",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Bytes; shorter JSON is sent as it is. For the default and control: waveforms are always compressed.",
                        null=True,
                        verbose_name="COMPRESSION_THRESHOLD",
                    ),
                ),
                (
                    "max_buffer_size",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Messages that one viewer's queue may hold, 10 to 1,000,000.",
                        null=True,
                        verbose_name="MAX_BUFFER_SIZE",
                    ),
                ),
                (
                    "max_retries",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Where sends are awaited: attempts after a transient error, and waits of 3 s anew, 0 to 20.",
                        null=True,
                        verbose_name="MAX_RETRIES",
                    ),
                ),
                (
                    "emergency_mode",
                    models.BooleanField(
                        blank=True,
                        help_text="Above CRITICAL_WATERMARK accept only critical messages and the latest vital signs.",
                        null=True,
                        verbose_name="emergency mode",
                    ),
                ),
                (
                    "high_watermark",
                    models.FloatField(
                        blank=True,
                        help_text="Share of the buffer that starts backpressure; 0.8 is 80 %.",
                        null=True,
                        verbose_name="HIGH_WATERMARK",
                    ),
                ),
                (
                    "low_watermark",
                    models.FloatField(
                        blank=True,
                        help_text="Share of the buffer that ends it; 0.2 is 20 %.",
                        null=True,
                        verbose_name="LOW_WATERMARK",
                    ),
                ),
                (
                    "critical_watermark",
                    models.FloatField(
                        blank=True,
                        help_text="Share of the buffer that starts emergency; 0.95 is 95 %.",
                        null=True,
                        verbose_name="CRITICAL_WATERMARK",
                    ),
                ),
                (
                    "quota_critical",
                    models.FloatField(
                        blank=True,
                        help_text="Anomaly alerts, life-threatening arrhythmias; reserved for these.",
                        null=True,
                        verbose_name="CRITICAL",
                    ),
                ),
                (
                    "quota_high",
                    models.FloatField(
                        blank=True, help_text="Real-time ECG, vital signs.", null=True, verbose_name="HIGH"
                    ),
                ),
                (
                    "quota_normal",
                    models.FloatField(
                        blank=True,
                        help_text="Status updates, patient information.",
                        null=True,
                        verbose_name="NORMAL",
                    ),
                ),
                (
                    "quota_low",
                    models.FloatField(blank=True, help_text="Metrics, logs.", null=True, verbose_name="LOW"),
                ),
                (
                    "quota_bulk",
                    models.FloatField(
                        blank=True, help_text="Historical data, batches.", null=True, verbose_name="BULK"
                    ),
                ),
                (
                    "bytes_critical",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Bytes that count as full; nothing of this class is dropped. Fixed: over 64 KiB cuts the viewer.",
                        null=True,
                        verbose_name="CRITICAL bytes",
                    ),
                ),
                (
                    "bytes_high",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Bytes, 1024 to 67108864, as for all classes: live ECG that waits for one viewer.",
                        null=True,
                        verbose_name="HIGH bytes",
                    ),
                ),
                (
                    "bytes_normal",
                    models.PositiveIntegerField(
                        blank=True, help_text="Bytes.", null=True, verbose_name="NORMAL bytes"
                    ),
                ),
                (
                    "bytes_low",
                    models.PositiveIntegerField(
                        blank=True, help_text="Bytes.", null=True, verbose_name="LOW bytes"
                    ),
                ),
                (
                    "bytes_bulk",
                    models.PositiveIntegerField(
                        blank=True, help_text="Bytes.", null=True, verbose_name="BULK bytes"
                    ),
                ),
                (
                    "age_high",
                    models.FloatField(
                        blank=True,
                        help_text="Seconds, 0.05 to 3600; older ECG becomes a gap.",
                        null=True,
                        verbose_name="HIGH age",
                    ),
                ),
                (
                    "age_normal",
                    models.FloatField(
                        blank=True,
                        help_text="Seconds, 0.05 to 3600, until it is dropped; 0: never.",
                        null=True,
                        verbose_name="NORMAL age",
                    ),
                ),
                (
                    "age_low",
                    models.FloatField(
                        blank=True,
                        help_text="Seconds, 0.05 to 3600, until it is dropped; 0: never.",
                        null=True,
                        verbose_name="LOW age",
                    ),
                ),
                (
                    "age_bulk",
                    models.FloatField(
                        blank=True,
                        help_text="Seconds, 0.05 to 3600, until it is dropped; 0: never.",
                        null=True,
                        verbose_name="BULK age",
                    ),
                ),
                (
                    "max_window_bytes",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Bytes, 4096 to 67108864, that may be in flight to one viewer.",
                        null=True,
                    ),
                ),
                (
                    "max_total_bytes",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Bytes, 65536 to 1073741824, that may wait for one viewer, over all groups.",
                        null=True,
                    ),
                ),
                (
                    "stall_s",
                    models.FloatField(
                        blank=True,
                        help_text="Seconds, 1 to 3600, without an acknowledgement until the viewer is cut.",
                        null=True,
                        verbose_name="stall time",
                    ),
                ),
                ("version", models.PositiveBigIntegerField(default=0, editable=False)),
                (
                    "updated_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="changed"
                    ),
                ),
                (
                    "updated_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="changed by",
                    ),
                ),
            ],
            options={
                "ordering": ["group"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("window_bits__gte", 9), ("window_bits__lte", 15)),
                        name="profile_window_bits",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("mem_level__gte", 1), ("mem_level__lte", 9)),
                        name="profile_mem_level",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("compression_level__gte", 1), ("compression_level__lte", 9)),
                        name="profile_compression_level",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("compression_threshold__gte", 0), ("compression_threshold__lte", 1048576)
                        ),
                        name="profile_compression_threshold",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("max_buffer_size__gte", 10), ("max_buffer_size__lte", 1000000)),
                        name="profile_max_buffer_size",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("max_retries__gte", 0), ("max_retries__lte", 20)),
                        name="profile_max_retries",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("low_watermark__gt", 0),
                            ("low_watermark__lt", models.F("high_watermark")),
                            ("high_watermark__lt", models.F("critical_watermark")),
                            ("critical_watermark__lte", 1),
                        ),
                        name="profile_watermarks_in_order",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("quota_critical__gt", 0), ("quota_critical__lt", 1)),
                        name="profile_quota_critical",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("quota_high__gt", 0), ("quota_high__lt", 1)),
                        name="profile_quota_high",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("quota_normal__gt", 0), ("quota_normal__lt", 1)),
                        name="profile_quota_normal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("quota_low__gt", 0), ("quota_low__lt", 1)),
                        name="profile_quota_low",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("quota_bulk__gt", 0), ("quota_bulk__lt", 1)),
                        name="profile_quota_bulk",
                    ),
                    models.CheckConstraint(
                        condition=django.db.models.lookups.LessThan(
                            django.db.models.functions.math.Abs(
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        django.db.models.expressions.CombinedExpression(
                                            django.db.models.expressions.CombinedExpression(
                                                django.db.models.expressions.CombinedExpression(
                                                    models.F("quota_critical"), "+", models.F("quota_high")
                                                ),
                                                "+",
                                                models.F("quota_normal"),
                                            ),
                                            "+",
                                            models.F("quota_low"),
                                        ),
                                        "+",
                                        models.F("quota_bulk"),
                                    ),
                                    "-",
                                    models.Value(1.0),
                                )
                            ),
                            2e-06,
                        ),
                        name="profile_quotas_sum_to_1",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("bytes_critical__gte", 1024), ("bytes_critical__lte", 67108864)),
                        name="profile_bytes_critical",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("bytes_high__gte", 1024), ("bytes_high__lte", 67108864)),
                        name="profile_bytes_high",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("bytes_normal__gte", 1024), ("bytes_normal__lte", 67108864)),
                        name="profile_bytes_normal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("bytes_low__gte", 1024), ("bytes_low__lte", 67108864)),
                        name="profile_bytes_low",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("bytes_bulk__gte", 1024), ("bytes_bulk__lte", 67108864)),
                        name="profile_bytes_bulk",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("age_high__gte", 0.05), ("age_high__lte", 3600.0)),
                        name="profile_age_high",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("age_normal__gte", 0.05), ("age_normal__lte", 3600.0)),
                            ("age_normal", 0.0),
                            _connector="OR",
                        ),
                        name="profile_age_normal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("age_low__gte", 0.05), ("age_low__lte", 3600.0)),
                            ("age_low", 0.0),
                            _connector="OR",
                        ),
                        name="profile_age_low",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("age_bulk__gte", 0.05), ("age_bulk__lte", 3600.0)),
                            ("age_bulk", 0.0),
                            _connector="OR",
                        ),
                        name="profile_age_bulk",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("max_window_bytes__gte", 4096), ("max_window_bytes__lte", 67108864)
                        ),
                        name="profile_max_window_bytes",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("max_total_bytes__gte", 65536), ("max_total_bytes__lte", 1073741824)
                        ),
                        name="profile_max_total_bytes",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("stall_s__gte", 1), ("stall_s__lte", 3600)),
                        name="profile_stall_s",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("group", "*"),
                            models.Q(
                                ("max_total_bytes__isnull", True),
                                ("max_window_bytes__isnull", True),
                                ("stall_s__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="profile_override_has_no_connection",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("group", "*"), _negated=True),
                            models.Q(
                                ("age_bulk__isnull", False),
                                ("age_high__isnull", False),
                                ("age_low__isnull", False),
                                ("age_normal__isnull", False),
                                ("bytes_bulk__isnull", False),
                                ("bytes_critical__isnull", False),
                                ("bytes_high__isnull", False),
                                ("bytes_low__isnull", False),
                                ("bytes_normal__isnull", False),
                                ("compression_level__isnull", False),
                                ("compression_threshold__isnull", False),
                                ("critical_watermark__isnull", False),
                                ("emergency_mode__isnull", False),
                                ("high_watermark__isnull", False),
                                ("low_watermark__isnull", False),
                                ("max_buffer_size__isnull", False),
                                ("max_retries__isnull", False),
                                ("max_total_bytes__isnull", False),
                                ("max_window_bytes__isnull", False),
                                ("mem_level__isnull", False),
                                ("quota_bulk__isnull", False),
                                ("quota_critical__isnull", False),
                                ("quota_high__isnull", False),
                                ("quota_low__isnull", False),
                                ("quota_normal__isnull", False),
                                ("stall_s__isnull", False),
                                ("window_bits__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="profile_default_is_complete",
                    ),
                ],
            },
        ),
    ]
