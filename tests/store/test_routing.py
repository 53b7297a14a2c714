"""Which database has which tables, however they are migrated, and that a lack is told."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connections, router

from streaming.models import AuditEntry
from streaming.models_checkpoints import AuditCheckpoint, JournalCheckpoint
from streaming.models_history import HistoryChunk, HistoryMinute, HistoryPin
from streaming.models_journal import JournalEntry, OpenAlarm
from streaming.store import routing
from streaming.store.routing import HISTORY, JOURNAL
from tests.postgres import Postgres
from tests.servers import run


def manage(var_dir: Path, *arguments: str, **environ: str) -> str:
    environment = {**os.environ, "VITAL_VAR_DIR": str(var_dir), **environ}
    return run([sys.executable, "manage.py", *arguments], environment, 120.0)


def tables(file: Path) -> set[str]:
    with sqlite3.connect(file) as database:
        return {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_models_go_where_they_belong() -> None:
    homes = {
        HISTORY: (HistoryChunk, HistoryMinute, HistoryPin),
        JOURNAL: (JournalEntry, JournalCheckpoint, OpenAlarm),
        "default": (User, AuditEntry, AuditCheckpoint),
    }
    for home, models in homes.items():
        for model in models:
            assert router.db_for_read(model) == router.db_for_write(model) == home


def test_one_command_migrates_all_and_each_has_its_own_tables_alone(migrated_var: Path) -> None:
    for file, ours in (
        ("history.sqlite3", {"streaming_historychunk", "streaming_historyminute", "streaming_historypin"}),
        ("journal.sqlite3", {"streaming_journalentry", "streaming_journalcheckpoint", "streaming_openalarm"}),
    ):
        assert tables(migrated_var / file) == {*ours, "django_migrations", "sqlite_sequence"}
        assert ours < tables(migrated_var / "db.sqlite3")


def test_aliases_share_a_database_when_all_that_names_it_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert routing.databases_in_use() == ("default", HISTORY, JOURNAL)
    default = connections["default"].settings_dict["NAME"]
    monkeypatch.setitem(connections[HISTORY].settings_dict, "NAME", default)
    assert routing.databases_in_use() == ("default", JOURNAL)
    monkeypatch.setitem(connections[JOURNAL].settings_dict, "NAME", default)
    assert routing.databases_in_use() == ("default",)


@pytest.mark.parametrize("named", [HISTORY, JOURNAL])
def test_what_lies_in_the_same_postgresql_is_migrated_with_it(
    named: str, tmp_path: Path, postgres: Postgres
) -> None:
    """Also when somebody names that first: all have one record of what was applied."""
    url = postgres.database()
    said = manage(tmp_path, "migrate", "--database", named, DATABASE_URL=url)
    assert "Database default" in said
    assert "Database history" not in said
    assert "Database journal" not in said
    assert "No migrations to apply" in manage(tmp_path, "migrate", DATABASE_URL=url)
    found = (
        "from streaming.store import history as h, journal_rows as j, readiness as r; "
        "r.require_migrated(); print(h.sizes(), j.open_alarms())"
    )
    environment = {**os.environ, "VITAL_VAR_DIR": str(tmp_path), "DATABASE_URL": url}
    setup = "import django, os; os.environ['DJANGO_SETTINGS_MODULE'] = 'vital.settings'; django.setup(); "
    assert run([sys.executable, "-c", setup + found], environment, 60.0) == "() []\n"
    assert not (tmp_path / "history.sqlite3").exists()
    assert not (tmp_path / "journal.sqlite3").exists()


def test_one_that_lacks_migrations_is_refused_with_what_to_do(tmp_path: Path) -> None:
    manage(tmp_path, "migrate", "--database", "default", "--verbosity", "0")
    with pytest.raises(AssertionError, match=r"the history's database lacks \d+ migrations. Run: .* migrate"):
        manage(tmp_path, "setup_demo")
    manage(tmp_path, "migrate", "--database", "history", "--verbosity", "0")
    with pytest.raises(AssertionError, match=r"the journal's database lacks \d+ migrations. Run: .* migrate"):
        manage(tmp_path, "setup_demo")
    manage(tmp_path, "migrate", "--verbosity", "0")
    manage(tmp_path, "setup_demo")
