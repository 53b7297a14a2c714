"""Triggers that refuse to change or delete audit entries, whoever asks."""

from django.db import migrations

SQLITE = (
    "CREATE TRIGGER streaming_auditentry_no_update BEFORE UPDATE ON streaming_auditentry "
    "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END",
    "CREATE TRIGGER streaming_auditentry_no_delete BEFORE DELETE ON streaming_auditentry "
    "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END",
)
SQLITE_REVERSE = (
    "DROP TRIGGER IF EXISTS streaming_auditentry_no_update",
    "DROP TRIGGER IF EXISTS streaming_auditentry_no_delete",
)
POSTGRESQL = (
    "CREATE FUNCTION streaming_auditentry_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$",
    "CREATE TRIGGER streaming_auditentry_append_only BEFORE UPDATE OR DELETE ON streaming_auditentry "
    "FOR EACH ROW EXECUTE FUNCTION streaming_auditentry_append_only()",
)
POSTGRESQL_REVERSE = (
    "DROP TRIGGER IF EXISTS streaming_auditentry_append_only ON streaming_auditentry",
    "DROP FUNCTION IF EXISTS streaming_auditentry_append_only()",
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
    dependencies = [("streaming", "0001_initial")]
    operations = [migrations.RunPython(install, remove, elidable=False)]
