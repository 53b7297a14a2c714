import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('streaming', '0014_review'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='patientalarms',
            options={'permissions': [('acknowledge_alarms', 'Can acknowledge alarms'), ('pause_alarm_audio', 'Can pause the sound of alarms'), ('switch_off_alarms', 'Can switch the alarms of a patient off and on'), ('set_alarm_limits', 'Can change the alarm limits of a patient')], 'verbose_name': 'alarm settings', 'verbose_name_plural': 'alarm settings'},
        ),
        migrations.CreateModel(
            name='AlarmLimitChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('by', models.CharField(max_length=150)),
                ('changed', models.JSONField()),
                ('patient', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='limit_changes', to='streaming.patient')),
            ],
            options={
                'ordering': ['-at', '-pk'],
                'default_permissions': (),
                'indexes': [models.Index(fields=['patient', '-at'], name='limits_by_patient')],
            },
        ),
    ]
