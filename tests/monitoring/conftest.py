"""What tests of monitoring ask for: databases of their own, and the rules that are shipped."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections

from monitoring.models import MetricsSnapshot, UsageSnapshot
from monitoring.models_alerts import AlertRule
from tests.store.databases import copy_of, database_at
from vital import env

if TYPE_CHECKING:
    from pytest_django import DjangoDbBlocker


def migrate(url: str) -> None:
    """Make the table of snapshots."""
    with database_at("default", env.database(url, Path())):
        call_command("migrate", "monitoring", verbosity=0)
        if connections["default"].vendor == "sqlite":
            with connections["default"].cursor() as cursor:
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.fixture
def shipped_rules(db: None) -> None:
    """As the migration makes them: a test with real transactions ends with an empty table."""
    AlertRule.objects.all().delete()
    migration = import_module("monitoring.migrations.0004_shipped_alert_rules")
    migration.ship(apps, SimpleNamespace(connection=connections["default"]))


@pytest.fixture(scope="session")
def snapshots_template(django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database in a file."""
    file = tmp_path_factory.mktemp("snapshots") / "snapshots.sqlite3"
    with django_db_blocker.unblock():
        migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def snapshots_postgres(django_db_blocker: DjangoDbBlocker, request: pytest.FixtureRequest) -> str:
    """The URL of a migrated database in PostgreSQL, which the tests share."""
    url: str = request.getfixturevalue("postgres").database()
    with django_db_blocker.unblock():
        migrate(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def snapshots_db(
    request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """The alias `default` names an empty database with nothing but snapshots; its vendor."""
    if request.param == "postgresql":
        url = str(request.getfixturevalue("snapshots_postgres"))
    else:
        url = copy_of(request.getfixturevalue("snapshots_template"), tmp_path)
    with django_db_blocker.unblock(), database_at("default", env.database(url, Path())):
        yield request.param
        MetricsSnapshot.objects.all().delete()
        UsageSnapshot.objects.all().delete()
