"""Signed checkpoints, append-only too; rows before one where a chain begins may be deleted, and no others."""

from django.db import migrations, models

TRAILS = {
    "audit": ("streaming_auditentry", "streaming_auditcheckpoint", "the audit trail is append-only"),
    "journal": ("streaming_journalentry", "streaming_journalcheckpoint", "the alarm journal is append-only"),
}
PRUNED = (
    "EXISTS (SELECT 1 FROM {checkpoints} c "
    "WHERE c.writer = OLD.writer AND c.kind = 'begin' AND c.seq >= OLD.seq)"
)


def statements(trail):
    """By kind of database: those of the new triggers, and those that go back to the old ones."""
    rows, checkpoints, refusal = TRAILS[trail]
    pruned = PRUNED.format(checkpoints=checkpoints)
    refuse = f"BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
    function = f"CREATE OR REPLACE FUNCTION {rows}_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    raising = f"RAISE EXCEPTION '{refusal}'; END $$"
    return {
        "sqlite": (
            (
                f"DROP TRIGGER IF EXISTS {rows}_no_delete",
                f"CREATE TRIGGER {rows}_no_delete BEFORE DELETE ON {rows} WHEN NOT {pruned} {refuse}",
                f"CREATE TRIGGER {checkpoints}_no_update BEFORE UPDATE ON {checkpoints} {refuse}",
                f"CREATE TRIGGER {checkpoints}_no_delete BEFORE DELETE ON {checkpoints} {refuse}",
            ),
            (
                f"DROP TRIGGER IF EXISTS {checkpoints}_no_delete",
                f"DROP TRIGGER IF EXISTS {checkpoints}_no_update",
                f"DROP TRIGGER IF EXISTS {rows}_no_delete",
                f"CREATE TRIGGER {rows}_no_delete BEFORE DELETE ON {rows} {refuse}",
            ),
        ),
        "postgresql": (
            (
                f"{function} IF TG_OP = 'DELETE' THEN IF {pruned} THEN RETURN OLD; END IF; END IF; {raising}",
                f"CREATE FUNCTION {checkpoints}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN {raising}",
                f"CREATE TRIGGER {checkpoints}_append_only BEFORE UPDATE OR DELETE ON {checkpoints} "
                f"FOR EACH ROW EXECUTE FUNCTION {checkpoints}_append_only()",
            ),
            (
                f"DROP TRIGGER IF EXISTS {checkpoints}_append_only ON {checkpoints}",
                f"DROP FUNCTION IF EXISTS {checkpoints}_append_only()",
                f"{function} {raising}",
            ),
        ),
    }


def install(trail):
    """A function that makes the new triggers of a trail."""
    return lambda _apps, schema_editor: _run(schema_editor, trail, 0)


def remove(trail):
    """A function that goes back to the old ones."""
    return lambda _apps, schema_editor: _run(schema_editor, trail, 1)


def _run(schema_editor, trail, which):
    for statement in statements(trail).get(schema_editor.connection.vendor, ((), ()))[which]:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):

    dependencies = [
        ('streaming', '0007_journal'),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditCheckpoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('head', 'head'), ('begin', 'begin')], max_length=5)),
                ('writer', models.CharField(max_length=32)),
                ('seq', models.PositiveBigIntegerField()),
                ('hash', models.CharField(max_length=64)),
                ('at', models.DateTimeField()),
                ('log', models.TextField()),
                ('signature', models.CharField(max_length=64)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('writer', 'seq', 'kind'), name='audit_checkpoint_once')],
            },
        ),
        migrations.CreateModel(
            name='JournalCheckpoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('head', 'head'), ('begin', 'begin')], max_length=5)),
                ('writer', models.CharField(max_length=32)),
                ('seq', models.PositiveBigIntegerField()),
                ('hash', models.CharField(max_length=64)),
                ('at', models.DateTimeField()),
                ('log', models.TextField()),
                ('signature', models.CharField(max_length=64)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('writer', 'seq', 'kind'), name='journal_checkpoint_once')],
            },
        ),
        migrations.RunPython(install("audit"), remove("audit"), elidable=False),
        migrations.RunPython(
            install("journal"), remove("journal"), elidable=False, hints={"model_name": "journalcheckpoint"}
        ),
    ]
