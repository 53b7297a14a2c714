from django.db import migrations, models
from django.db.models.functions import Length


def measure(apps, schema_editor):
    """What was stored before has a size as well."""
    minutes = apps.get_model("streaming", "HistoryMinute").objects.using(schema_editor.connection.alias)
    minutes.update(size_bytes=Length("coarse") + Length("fine"))


class Migration(migrations.Migration):

    dependencies = [
        ('streaming', '0017_ward_layout'),
    ]

    operations = [
        migrations.AddField(
            model_name='historyminute',
            name='size_bytes',
            field=models.PositiveIntegerField(default=0, help_text='Of `coarse` and `fine` together.'),
            preserve_default=False,
        ),
        migrations.RunPython(measure, migrations.RunPython.noop, hints={'model_name': 'historyminute'}),
        migrations.RemoveIndex(
            model_name='historyminute',
            name='history_minute_by_time',
        ),
        migrations.AddIndex(
            model_name='historyminute',
            index=models.Index(fields=['began_ms', 'size_bytes'], name='history_minute_by_age'),
        ),
    ]
