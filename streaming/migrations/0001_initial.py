"""The tables of wards, patients, devices, admissions, tokens and the audit trail."""

import django.db.models.deletion
import django.utils.timezone
import streaming.models
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Device',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=80, unique=True)),
                ('source', models.CharField(choices=[('LIVE', 'LIVE'), ('SIM', 'SIM'), ('REPLAY', 'REPLAY')], default='SIM', help_text='A LIVE device may say that it sends SIM or REPLAY; no other may claim to be LIVE.', max_length=6)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Patient',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('pseudonym', models.CharField(editable=False, max_length=7, unique=True)),
                ('display_name', models.CharField(blank=True, help_text='Shown to those who may see the ward; never logged.', max_length=80)),
            ],
            options={
                'ordering': ['pseudonym'],
            },
        ),
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('writer', models.CharField(max_length=32)),
                ('seq', models.PositiveBigIntegerField()),
                ('at', models.DateTimeField()),
                ('actor', models.CharField(max_length=40)),
                ('action', models.CharField(max_length=40)),
                ('object', models.CharField(max_length=80)),
                ('outcome', models.CharField(max_length=20)),
                ('detail', models.JSONField(default=dict)),
                ('prev_hash', models.CharField(max_length=64)),
                ('hash', models.CharField(max_length=64)),
            ],
            options={
                'verbose_name_plural': 'audit entries',
                'ordering': ['-at', '-seq'],
                'indexes': [models.Index(fields=['at'], name='audit_by_time')],
                'constraints': [models.UniqueConstraint(fields=('writer', 'seq'), name='audit_seq_is_unique')],
            },
        ),
        migrations.CreateModel(
            name='DeviceToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('prefix', models.CharField(editable=False, max_length=12, unique=True)),
                ('digest', models.CharField(editable=False, max_length=64)),
                ('created', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('expires', models.DateTimeField(blank=True, null=True)),
                ('revoked', models.DateTimeField(blank=True, editable=False, null=True)),
                ('device', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tokens', to='streaming.device')),
            ],
            options={
                'ordering': ['-created'],
            },
        ),
        migrations.CreateModel(
            name='Ward',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(unique=True)),
                ('name', models.CharField(max_length=80)),
                ('groups', models.ManyToManyField(blank=True, help_text='Members of these groups see this ward.', related_name='wards', to='auth.group')),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Stream',
            fields=[
                ('id', models.CharField(default=streaming.models.new_stream_id, editable=False, max_length=12, primary_key=True, serialize=False)),
                ('bed', models.CharField(max_length=12)),
                ('started_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('device', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='streams', to='streaming.device')),
                ('patient', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='streams', to='streaming.patient')),
                ('ward', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='streams', to='streaming.ward')),
            ],
            options={
                'ordering': ['ward', 'bed'],
            },
        ),
        migrations.CreateModel(
            name='ApiToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('prefix', models.CharField(editable=False, max_length=12, unique=True)),
                ('digest', models.CharField(editable=False, max_length=64)),
                ('created', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('expires', models.DateTimeField(blank=True, null=True)),
                ('revoked', models.DateTimeField(blank=True, editable=False, null=True)),
                ('name', models.CharField(help_text='What it is for.', max_length=80)),
                ('last_used', models.DateTimeField(editable=False, null=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='api_tokens', to=settings.AUTH_USER_MODEL)),
                ('wards', models.ManyToManyField(help_text='It sees these wards, as far as its user may see them.', related_name='+', to='streaming.ward')),
            ],
            options={
                'verbose_name': 'API token',
                'verbose_name_plural': 'API tokens',
                'ordering': ['-created'],
            },
        ),
        migrations.CreateModel(
            name='StreamEpoch',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('session', models.CharField(max_length=64)),
                ('source', models.CharField(choices=[('LIVE', 'LIVE'), ('SIM', 'SIM'), ('REPLAY', 'REPLAY')], max_length=6)),
                ('started_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('rate_hz', models.FloatField()),
                ('leads', models.JSONField()),
                ('stream', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='epochs', to='streaming.stream')),
            ],
            options={
                'ordering': ['stream', 'number'],
                'constraints': [models.UniqueConstraint(fields=('stream', 'number'), name='epoch_numbers_are_unique'), models.UniqueConstraint(fields=('stream', 'session'), name='one_epoch_per_session')],
            },
        ),
        migrations.AddConstraint(
            model_name='stream',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at__isnull', True)), fields=('device',), name='one_open_admission_per_device'),
        ),
        migrations.AddConstraint(
            model_name='stream',
            constraint=models.CheckConstraint(condition=models.Q(('ended_at__isnull', True), ('ended_at__gte', models.F('started_at')), _connector='OR'), name='admission_ends_after_its_start', violation_error_message='An admission cannot end before it starts.'),
        ),
    ]
