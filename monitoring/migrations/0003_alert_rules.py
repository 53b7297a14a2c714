"""The tables of alert rules, alerts, notification channels, and messages."""

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import monitoring.models_alerts
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0002_columns_and_resolutions'),
    ]

    operations = [
        migrations.CreateModel(
            name='AlertRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.SlugField(blank=True, editable=False, help_text='Of a shipped rule.', max_length=40, null=True, unique=True)),
                ('name', models.CharField(help_text='What alerts, log lines and metrics call it.', max_length=60, unique=True)),
                ('metric', models.CharField(help_text='Counters are judged by what they grew since the tick before, not since the process started.', max_length=40)),
                ('op', models.CharField(choices=[('>', '>'), ('>=', '>='), ('<', '<'), ('<=', '<=')], default='>', max_length=2, verbose_name='is')),
                ('value', models.FloatField(help_text='In the unit of the figure. A share is from 0 to 1; words count from 0, the best one.')),
                ('hold_s', models.PositiveIntegerField(default=60, help_text='Seconds for which the figure has to be known to be beyond; 0: at once.', verbose_name='for')),
                ('clear_value', models.FloatField(blank=True, help_text='An alert that is open resolves at this value, on the better side of the other one: what wavers about one value does not open and resolve all the time. Empty: as soon as the rule holds no more.', null=True, verbose_name='until')),
                ('cooldown_s', models.PositiveIntegerField(default=300, help_text='Seconds after resolving before it may open, and be told, anew.', verbose_name='cool-down')),
                ('severity', models.CharField(choices=[('info', 'info'), ('warning', 'warning'), ('critical', 'critical')], default='warning', max_length=8)),
                ('pattern', models.CharField(default='*', help_text="*: all; ecg. and a stream's id; ward: and a ward's slug; or a pattern that ends in *, as ecg.*. A figure of the process has no group: leave *.", max_length=99, validators=[django.core.validators.RegexValidator('^(\\*|[A-Za-z0-9_.-]+\\*?|ward:[A-Za-z0-9_-]+)\\Z', 'Letters, digits, dots, dashes and underscores; a * at the end; ward: and its slug.')], verbose_name='groups')),
                ('enabled', models.BooleanField(default=True, help_text='Switched off, it opens nothing, and resolves what is open.')),
                ('advice', models.TextField(blank=True, help_text='For whoever is told: how to look, what to change.', max_length=2000, verbose_name='what to do')),
                ('updated_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='changed')),
            ],
            options={
                'ordering': ['name'],
                'constraints': [models.CheckConstraint(condition=models.Q(('op__in', ['>', '>=', '<', '<='])), name='alert_rule_op'), models.CheckConstraint(condition=models.Q(('severity__in', ['info', 'warning', 'critical'])), name='alert_rule_severity'), models.CheckConstraint(condition=models.Q(('hold_s__lte', 86400)), name='alert_rule_hold_s'), models.CheckConstraint(condition=models.Q(('cooldown_s__lte', 604800)), name='alert_rule_cooldown_s'), models.CheckConstraint(condition=models.Q(('metric', ''), _negated=True), name='alert_rule_metric'), models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='alert_rule_name'), models.CheckConstraint(condition=models.Q(('pattern__regex', '^(\\*|[A-Za-z0-9_.-]+\\*?|ward:[A-Za-z0-9_-]+)\\Z')), name='alert_rule_pattern_is_a_name', violation_error_message='No group, ward or pattern can have this name.'), models.CheckConstraint(condition=models.Q(models.Q(('clear_value__lte', models.F('value')), ('op__in', ['>', '>='])), models.Q(models.Q(('op__in', ['>', '>=']), _negated=True), ('clear_value__gte', models.F('value'))), _connector='OR'), name='alert_rule_clears_on_the_better_side', violation_error_message='An alert has to resolve on the better side of the value at which it opens.')],
            },
        ),
        migrations.CreateModel(
            name='NotificationChannel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60, unique=True)),
                ('kind', models.CharField(choices=[('email', 'e-mail'), ('webhook', 'webhook')], default='email', max_length=8)),
                ('address', models.CharField(help_text='E-mail addresses, separated by commas; or the https:// address of a webhook.', max_length=500)),
                ('least_severity', models.CharField(choices=[('info', 'info'), ('warning', 'warning'), ('critical', 'critical')], default='warning', max_length=8, verbose_name='minimum severity')),
                ('enabled', models.BooleanField(default=True)),
                ('salt', models.CharField(blank=True, default='', editable=False, max_length=32)),
            ],
            options={
                'ordering': ['name'],
                'constraints': [models.CheckConstraint(condition=models.Q(('kind__in', ['email', 'webhook'])), name='channel_kind'), models.CheckConstraint(condition=models.Q(('least_severity__in', ['info', 'warning', 'critical'])), name='channel_severity'), models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='channel_name'), models.CheckConstraint(condition=models.Q(models.Q(('address__contains', '@'), ('kind', 'email')), models.Q(('address__startswith', 'https://'), ('kind', 'webhook')), models.Q(('address__startswith', 'http://'), ('kind', 'webhook')), _connector='OR'), name='channel_address_fits_its_kind', violation_error_message='An e-mail channel wants e-mail addresses, a webhook an https:// address.')],
            },
        ),
        migrations.CreateModel(
            name='Alert',
            fields=[
                ('uid', models.CharField(default=monitoring.models_alerts.new_uid, editable=False, max_length=16, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=60, verbose_name='rule')),
                ('severity', models.CharField(choices=[('info', 'info'), ('warning', 'warning'), ('critical', 'critical')], max_length=8)),
                ('condition', models.CharField(help_text='When the rule opens an alert.', max_length=200)),
                ('metric', models.CharField(max_length=40)),
                ('group', models.CharField(blank=True, help_text='Empty: the whole process.', max_length=100)),
                ('process', models.CharField(max_length=64)),
                ('opened_at', models.DateTimeField(verbose_name='opened')),
                ('updated_at', models.DateTimeField(help_text='When the value was written.', verbose_name='last told')),
                ('resolved_at', models.DateTimeField(null=True, verbose_name='resolved')),
                ('reason', models.CharField(blank=True, help_text='Why it is over.', max_length=80)),
                ('value', models.FloatField(help_text='As last written.')),
                ('peak', models.FloatField(help_text='The value that was furthest beyond.', verbose_name='worst')),
                ('rule', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='alerts', to='monitoring.alertrule')),
            ],
            options={
                'ordering': ['-opened_at', 'uid'],
                'indexes': [models.Index(fields=['opened_at'], name='alert_opened_at'), models.Index(condition=models.Q(('resolved_at__isnull', True)), fields=['rule'], name='alert_open_by_rule')],
                'constraints': [models.CheckConstraint(condition=models.Q(('resolved_at__isnull', True), ('resolved_at__gte', models.F('opened_at')), _connector='OR'), name='alert_resolves_after_it_opened'), models.CheckConstraint(condition=models.Q(models.Q(('reason', ''), ('resolved_at__isnull', True)), models.Q(('resolved_at__isnull', False), models.Q(('reason', ''), _negated=True)), _connector='OR'), name='alert_resolves_for_a_reason')],
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('uid', models.CharField(default=monitoring.models_alerts.new_uid, editable=False, max_length=16, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('alerts', 'alerts'), ('test', 'test')], max_length=8)),
                ('told', models.JSONField(default=list)),
                ('process', models.CharField(blank=True, help_text='Which delivers it; any other, once that has ended.', max_length=64)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='made')),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('delivered', 'delivered'), ('given up', 'given up')], default='waiting', max_length=9)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('next_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='next attempt')),
                ('done_at', models.DateTimeField(null=True, verbose_name='done')),
                ('last_error', models.CharField(blank=True, max_length=200)),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='monitoring.notificationchannel')),
            ],
            options={
                'verbose_name_plural': 'deliveries',
                'ordering': ['-created_at', 'uid'],
                'indexes': [models.Index(condition=models.Q(('state', 'waiting')), fields=['next_at'], name='delivery_waiting'), models.Index(fields=['channel', 'created_at'], name='delivery_by_channel')],
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['waiting', 'delivered', 'given up'])), name='delivery_state')],
            },
        ),
    ]
