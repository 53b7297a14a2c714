"""Two Daphnes on one database and a Valkey of their own, each of which a test may kill or stop."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.shell import Shell
from tests.servers import DaphneServer, Server
from tests.valkeys import Valkey

BEHIND_TLS = {"VITAL_SNAPSHOT_INTERVAL_S": "1", "VITAL_HTTPS": "1", "VITAL_TRUSTED_PROXIES": "127.0.0.1"}
"""As behind a proxy that speaks TLS."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The parts; `token` is a viewer's that may see Ward a."""

    first: Server
    second: Server
    valkey: Valkey
    shell: Shell
    token: str


@contextmanager
def cluster(migrated_var: Path, home: Path, settings: Mapping[str, str] = BEHIND_TLS) -> Iterator[Cluster]:
    """Start all parts, with these settings; all end with it, whatever became of them."""
    shutil.copytree(migrated_var, home / "first")
    (home / "second").mkdir()
    with ExitStack() as stack:
        valkey = stack.enter_context(Valkey())
        env = {
            "DATABASE_URL": f"sqlite:///{home / 'first' / 'db.sqlite3'}",
            "REDIS_URL": valkey.url,
            "VITAL_SECRET_KEY": secrets.token_urlsafe(64),
            **settings,
        }
        first, second = (
            stack.enter_context(DaphneServer(home / name, env=env)) for name in ("first", "second")
        )
        shell = stack.enter_context(Shell(first))
        yield Cluster(first, second, valkey, shell, shell.run("employ", "nurse", "Ward a"))
