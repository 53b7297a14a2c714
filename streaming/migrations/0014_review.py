
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('streaming', '0013_cut_viewer'),
    ]

    operations = [
        migrations.CreateModel(
            name='HistoryMinute',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('stream', models.CharField(max_length=64)),
                ('epoch', models.PositiveIntegerField()),
                ('first', models.BigIntegerField()),
                ('began_ms', models.BigIntegerField(help_text='When sample `first` was taken, in ms since 1970.')),
                ('column_s', models.FloatField(help_text='How long one column of `fine` takes.')),
                ('leads', models.PositiveSmallIntegerField()),
                ('told', models.PositiveIntegerField(help_text='Seconds of which a heart rate was asked for.')),
                ('counted', models.PositiveIntegerField(help_text='Those of them that had one.')),
                ('hr_total', models.PositiveIntegerField()),
                ('hr_low', models.PositiveSmallIntegerField()),
                ('hr_high', models.PositiveSmallIntegerField()),
                ('coarse', models.BinaryField(help_text='Ranges of each lead in columns of five seconds, int16.')),
                ('fine', models.BinaryField(help_text='The same in columns of a tenth of a second, deflated.')),
            ],
            options={
                'verbose_name': 'history minute',
                'default_permissions': (),
            },
        ),
        migrations.AlterModelOptions(
            name='historychunk',
            options={'permissions': (('export_history', 'Can export stored ECG'),), 'verbose_name': 'history chunk'},
        ),
        migrations.AddIndex(
            model_name='journalentry',
            index=models.Index(fields=['stream', 'step', 'at'], name='journal_by_stream'),
        ),
        migrations.AddIndex(
            model_name='historyminute',
            index=models.Index(fields=['stream', 'began_ms'], name='history_minute_by_stream'),
        ),
        migrations.AddIndex(
            model_name='historyminute',
            index=models.Index(fields=['began_ms'], name='history_minute_by_time'),
        ),
    ]
