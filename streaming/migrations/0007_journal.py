"""The alarm journal's tables, and triggers that refuse to change or delete its entries, whoever asks."""

from django.db import migrations, models

TABLE = "streaming_journalentry"
REFUSAL = "the alarm journal is append-only"
SQLITE = tuple(
    f"CREATE TRIGGER {TABLE}_no_{verb.lower()} BEFORE {verb} ON {TABLE} "
    f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    for verb in ("UPDATE", "DELETE")
)
SQLITE_REVERSE = tuple(f"DROP TRIGGER IF EXISTS {TABLE}_no_{verb}" for verb in ("update", "delete"))
POSTGRESQL = (
    f"CREATE FUNCTION {TABLE}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$",
    f"CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE OR DELETE ON {TABLE} "
    f"FOR EACH ROW EXECUTE FUNCTION {TABLE}_append_only()",
)
POSTGRESQL_REVERSE = (
    f"DROP TRIGGER IF EXISTS {TABLE}_append_only ON {TABLE}",
    f"DROP FUNCTION IF EXISTS {TABLE}_append_only()",
)


def install(_apps, schema_editor):
    """Create the triggers of this database's kind."""
    _run(schema_editor, {"sqlite": SQLITE, "postgresql": POSTGRESQL})


def remove(_apps, schema_editor):
    """Drop them."""
    _run(schema_editor, {"sqlite": SQLITE_REVERSE, "postgresql": POSTGRESQL_REVERSE})


def _run(schema_editor, statements):
    for statement in statements.get(schema_editor.connection.vendor, ()):
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):

    dependencies = [
        ('streaming', '0006_stream_lease'),
    ]

    operations = [
        migrations.CreateModel(
            name='OpenAlarm',
            fields=[
                ('alarm', models.TextField(primary_key=True, serialize=False)),
                ('record', models.TextField(help_text='JSON, as AlarmRecord.to_dict gives it.')),
            ],
            options={
                'verbose_name': 'open alarm',
            },
        ),
        migrations.CreateModel(
            name='JournalEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('writer', models.CharField(max_length=32)),
                ('seq', models.PositiveBigIntegerField()),
                ('prev_hash', models.CharField(max_length=64)),
                ('hash', models.CharField(max_length=64)),
                ('key', models.CharField(help_text='Of what it says: what comes twice is one.', max_length=64, unique=True)),
                ('alarm', models.TextField()),
                ('step', models.CharField(choices=[('raised', 'raised'), ('updated', 'updated'), ('published', 'published'), ('displayed', 'displayed'), ('acknowledged', 'acknowledged'), ('cleared', 'cleared')], max_length=16)),
                ('at', models.DateTimeField()),
                ('at_ms', models.FloatField(help_text='The same moment to the last digit, in ms since 1970.')),
                ('monotonic_s', models.FloatField(help_text='By the clock of the process that it happened in.')),
                ('actor', models.TextField()),
                ('stream', models.TextField(blank=True)),
                ('ward', models.TextField(blank=True)),
                ('kind', models.TextField(blank=True)),
                ('severity', models.CharField(blank=True, choices=[('high', 'high'), ('medium', 'medium'), ('low', 'low'), ('technical', 'technical')], max_length=16)),
                ('facts', models.TextField(blank=True, help_text='JSON, in the characters that were hashed.')),
                ('by', models.TextField(blank=True)),
                ('hidden', models.BooleanField(default=False)),
            ],
            options={
                'verbose_name_plural': 'journal entries',
                'indexes': [models.Index(fields=['alarm', 'id'], name='journal_by_alarm'), models.Index(fields=['at'], name='journal_by_time')],
                'constraints': [models.UniqueConstraint(fields=('writer', 'seq'), name='journal_seq_is_unique')],
            },
        ),
        migrations.RunPython(install, remove, elidable=False, hints={"model_name": "journalentry"}),
    ]
