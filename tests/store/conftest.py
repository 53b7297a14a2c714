"""Fixtures of the store's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from streaming.store import audit
from streaming.store.routing import HISTORY, JOURNAL
from tests.store import histories, journals
from tests.store.databases import copy_of, database_at, migrate
from tests.store.people import Hospital, hospital

if TYPE_CHECKING:
    from pytest_django import DjangoDbBlocker


@pytest.fixture(autouse=True)
def fresh_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins a chain of its own: what it wrote is rolled back, and the writer would not know."""
    monkeypatch.setattr(audit, "_writer", audit.AuditWriter())
    monkeypatch.setattr(audit, "_refusals", audit.Repeats())


@pytest.fixture
def place(db: None) -> Hospital:
    """Two wards with patients and staff."""
    return hospital()


@pytest.fixture(scope="session")
def history_template(django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated history in a file."""
    file = tmp_path_factory.mktemp("history") / "history.sqlite3"
    with django_db_blocker.unblock():
        migrate(HISTORY, histories.settings_of(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
def history_postgres(django_db_blocker: DjangoDbBlocker, request: pytest.FixtureRequest) -> str:
    """The URL of a migrated history in PostgreSQL, which the tests share."""
    url: str = request.getfixturevalue("postgres").database()
    with django_db_blocker.unblock():
        migrate(HISTORY, histories.settings_of(url))
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def history_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty, migrated history."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("history_postgres"))
    return copy_of(request.getfixturevalue("history_template"), tmp_path)


@pytest.fixture
def history_db(django_db_blocker: DjangoDbBlocker, history_url: str) -> Iterator[str]:
    """The alias `history` names a database of its own: once SQLite, once PostgreSQL."""
    with (
        django_db_blocker.unblock(),
        database_at(HISTORY, histories.settings_of(history_url)),
    ):
        yield history_url
        histories.empty()


@pytest.fixture(scope="session")
def journal_template(django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated journal in a file."""
    file = tmp_path_factory.mktemp("journal") / "journal.sqlite3"
    with django_db_blocker.unblock():
        migrate(JOURNAL, journals.settings_of(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
def journal_postgres(django_db_blocker: DjangoDbBlocker, request: pytest.FixtureRequest) -> str:
    """The URL of a migrated journal in PostgreSQL, which the tests share."""
    url: str = request.getfixturevalue("postgres").database()
    with django_db_blocker.unblock():
        migrate(JOURNAL, journals.settings_of(url))
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def journal_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty, migrated journal."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("journal_postgres"))
    return copy_of(request.getfixturevalue("journal_template"), tmp_path)


@pytest.fixture
def journal_db(django_db_blocker: DjangoDbBlocker, journal_url: str) -> Iterator[str]:
    """The alias `journal` names a database of its own: once SQLite, once PostgreSQL."""
    with (
        django_db_blocker.unblock(),
        database_at(JOURNAL, journals.settings_of(journal_url)),
    ):
        yield journal_url
        journals.empty()
