"""All that is charted and filtered by has a column, and rows may stand for a minute or an hour."""

from django.db import migrations, models


def tell_states(apps, schema_editor):
    """Name the gravest state of the rows that are there."""
    rows = apps.get_model("monitoring", "MetricsSnapshot").objects.using(
        schema_editor.connection.alias
    )
    for state, fact in ((1, "paused"), (2, "backpressure_active"), (3, "emergency_mode")):
        rows.filter(**{fact: True}).update(state=state)


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0001_metricssnapshot'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='metricssnapshot',
            options={'ordering': ['-at', 'group', 'process', 'resolution'], 'verbose_name': 'metrics snapshot'},
        ),
        migrations.RemoveIndex(
            model_name='metricssnapshot',
            name='snapshot_group_at',
        ),
        migrations.RemoveIndex(
            model_name='metricssnapshot',
            name='snapshot_at_group',
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='age_p50_ms',
            field=models.FloatField(help_text="From the device's socket to a viewer's acknowledgement.", null=True),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='age_p95_ms',
            field=models.FloatField(help_text="From the device's socket to a viewer's acknowledgement.", null=True),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='age_p99_ms',
            field=models.FloatField(help_text="From the device's socket to a viewer's acknowledgement.", null=True),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='buffer_bytes',
            field=models.PositiveBigIntegerField(default=0, help_text='Bytes queued, over all viewers.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='bytes_in',
            field=models.PositiveBigIntegerField(default=0, help_text='Since the process started.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='bytes_out',
            field=models.PositiveBigIntegerField(default=0, help_text='Since the process started.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='compress_s',
            field=models.FloatField(default=0.0, help_text='Spent on compressing, since the process started.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='drops_dropped',
            field=models.PositiveBigIntegerField(default=0, help_text='Gave way under backpressure, since the process started.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='drops_emergency',
            field=models.PositiveBigIntegerField(default=0, help_text='Only what is critical was kept, since the process started.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='drops_expired',
            field=models.PositiveBigIntegerField(default=0, help_text='Waited longer than their class may, since the process started.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='drops_overload',
            field=models.PositiveBigIntegerField(default=0, help_text='The process had too much to do, since it started.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='drops_quota',
            field=models.PositiveBigIntegerField(default=0, help_text='Their class or connection was full, since the process started.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='encode_p95_ms',
            field=models.FloatField(help_text="From a frame's first sample to its encoding.", null=True),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='followed_messages',
            field=models.PositiveIntegerField(default=0, help_text='Messages of the last five minutes that the percentiles are of.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='loop_lag_ms',
            field=models.FloatField(default=0.0, help_text="How late the process's timers are.", verbose_name='event-loop lag'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='lost_snapshots',
            field=models.PositiveBigIntegerField(default=0, help_text='Snapshots that the process could not store, since it started.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='network_condition',
            field=models.CharField(blank=True, choices=[('excellent', 'excellent'), ('good', 'good'), ('fair', 'fair'), ('poor', 'poor'), ('critical', 'critical')], help_text="The worst of the group's viewers.", max_length=10),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='offered_messages',
            field=models.PositiveBigIntegerField(default=0, help_text='Since the process started.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='overload',
            field=models.CharField(blank=True, choices=[('normal', 'normal'), ('shedding', 'shedding'), ('emergency', 'emergency')], help_text='Whether the process had more to do than it can.', max_length=10),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='pressure',
            field=models.FloatField(default=0.0, help_text='What the watermarks act on: of count, bytes and age the nearest to its bound.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='queue_p95_ms',
            field=models.FloatField(help_text="In the viewer's queue.", null=True),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='resolution',
            field=models.PositiveSmallIntegerField(choices=[(0, 'as taken'), (60, 'per minute'), (3600, 'per hour')], default=0, help_text='What the row stands for.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='rss_mb',
            field=models.FloatField(default=0.0, help_text='Resident memory of the process.', verbose_name='memory'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='samples',
            field=models.PositiveIntegerField(default=1, help_text='Snapshots that became this row.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='state',
            field=models.PositiveSmallIntegerField(choices=[(0, 'normal'), (1, 'paused'), (2, 'backpressure'), (3, 'emergency')], default=0),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='throughput_mbps',
            field=models.FloatField(help_text='Uncompressed, mean of the last 10 s.', null=True),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='viewers_critical',
            field=models.PositiveIntegerField(default=0, help_text='By the condition of their network.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='viewers_diagnostic',
            field=models.PositiveIntegerField(default=0, help_text='Sent every sample, wrong by at most 2.5 µV.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='viewers_display',
            field=models.PositiveIntegerField(default=0, help_text='Sent what a screen can show.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='viewers_excellent',
            field=models.PositiveIntegerField(default=0, help_text='By the condition of their network.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='viewers_fair',
            field=models.PositiveIntegerField(default=0, help_text='By the condition of their network.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='viewers_good',
            field=models.PositiveIntegerField(default=0, help_text='By the condition of their network.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='viewers_lossless',
            field=models.PositiveIntegerField(default=0, help_text='Sent every sample.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='viewers_overview',
            field=models.PositiveIntegerField(default=0, help_text='Sent one lead at a lower rate.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='viewers_poor',
            field=models.PositiveIntegerField(default=0, help_text='By the condition of their network.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='viewers_vitals',
            field=models.PositiveIntegerField(default=0, help_text='Sent numbers and no samples.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='waveform_bytes_out',
            field=models.PositiveBigIntegerField(default=0, help_text='Since the process started.'),
        ),
        migrations.AddField(
            model_name='metricssnapshot',
            name='waveform_json_bytes',
            field=models.PositiveBigIntegerField(default=0, help_text='The same samples as JSON, since the process started.'),
        ),
        migrations.RunPython(tell_states, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name='metricssnapshot',
            index=models.Index(fields=['group', 'resolution', 'at'], name='snapshot_group_at'),
        ),
        migrations.AddIndex(
            model_name='metricssnapshot',
            index=models.Index(fields=['state', 'resolution', 'at'], name='snapshot_state_at'),
        ),
        migrations.AddIndex(
            model_name='metricssnapshot',
            index=models.Index(fields=['network_condition', 'resolution', 'at'], name='snapshot_condition_at'),
        ),
        migrations.AddConstraint(
            model_name='metricssnapshot',
            constraint=models.UniqueConstraint(fields=('resolution', 'at', 'group', 'process'), name='snapshot_resolution_at'),
        ),
    ]
