"""What the monitoring costs: CPU at a central station's load, and pages over 1,000,000 metrics snapshots.

The pages are those of SQLite and of PostgreSQL, which is measured where it is installed, after VACUUM
ANALYZE, as autovacuum leaves it. Seventeen patients on one process, as its limits keep them by default: a day
as taken, a month of minutes, a year of hours. Each page is asked for through Django's test client by somebody
who is signed in: five times after one for the caches, and the median counts.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.support import monitoring_cpu
from bench.support.report import Figure, at_least, at_most, parser, report
from tests.postgres import NoPostgresError
from tests.postgres import postgres as postgres_server
from tests.servers import ROOT

if TYPE_CHECKING:
    from django.test import Client

    from monitoring.models import Resolution

PATIENTS = 17
DAY_S = 86_400
BOUND_MS = 300.0
ROWS = 1_000_000
AGAIN = 5
PATTERN = 360
GROUPS = [f"ecg.{number:02d}" for number in range(PATIENTS)]
LIST = "/admin/monitoring/metricssnapshot/"
DETAIL = {"stages_ms": {f"stage{n}": [1.25, 20.5, 40.75] for n in range(6)}, "layer": "ok", "text": "x" * 700}
"""As long as a patient's is."""
PAGES = {
    "list, last hour": "",
    "list, last 24 hours": "?time=24h",
    "list, one group, sorted by drop rate": f"?time=24h&group={GROUPS[3]}&o=-9",
    "list, last 7 days": "?time=7d",
    "list, last year": "?time=365d",
    "list, last 30 days per minute": "?time=30d&resolution=60",
    "list, state emergency, 24 hours": "?time=24h&state=emergency",
    "list, network poor, 30 days": "?time=30d&network=poor",
    "list, a process that is not there": "?time=24h&process=none",
}
SPANS = {
    "hour": 3600,
    "6 hours": 6 * 3600,
    "day": DAY_S,
    "week": 7 * DAY_S,
    "30 days": 30 * DAY_S,
    "year": 365 * DAY_S,
}


def main(arguments: list[str]) -> int:
    """Measure, and report; the exit status is 1 when a figure misses its bound."""
    options = parser(__doc__ or "")
    options.add_argument("--only", choices=("load", "pages"), help="half of it")
    chosen = options.parse_args(arguments)
    load = [] if chosen.only == "pages" else [*monitoring_cpu.figures()]
    return report(load + ([] if chosen.only == "load" else [*pages()]), as_json=chosen.json)


def pages() -> Iterator[Figure]:
    """The times of list and charts over each kind of database."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vital-monitoring-")))
        urls = {"SQLite": f"sqlite:///{directory / 'db.sqlite3'}"}
        try:
            urls["PostgreSQL"] = stack.enter_context(postgres_server()).database()
        except NoPostgresError as reason:
            sys.stderr.write(f"not measured: {reason}\n")
        begin(directory)
        for vendor, url in urls.items():
            yield from _over(vendor, url)


def begin(directory: Path) -> None:
    """Set Django up, with databases in `directory`."""
    os.environ |= {"VITAL_VAR_DIR": str(directory), "DJANGO_SETTINGS_MODULE": "vital.settings"}
    os.chdir(ROOT)
    import django

    django.setup()


def _over(vendor: str, url: str) -> Iterator[Figure]:
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.test import Client

    from monitoring.models import MetricsSnapshot
    from tests.store.databases import database_at
    from vital import env

    with database_at("default", env.database(url, Path())):
        call_command("migrate", verbosity=0)
        now = datetime.now(UTC)
        _fill(now)
        yield at_least(f"{vendor}: snapshots", MetricsSnapshot.objects.count(), ROWS, "rows", against="")
        client = Client(SERVER_NAME="localhost")
        client.force_login(User.objects.create_superuser("boss"))
        for name, query in PAGES.items():
            yield _timed(f"{vendor}: {name}", lambda query=query: _ask(client, LIST + query))  # type: ignore[misc]
        stop = now.timestamp()
        for name, span_s in SPANS.items():
            query = f"charts.json?group={GROUPS[5]}&start={stop - span_s}&stop={stop}&points=400"
            yield _timed(f"{vendor}: charts of a {name}", lambda query=query: _ask(client, LIST + query))  # type: ignore[misc]


def _fill(now: datetime) -> None:
    """A day of full rows, a month of minutes, a year of hours; the last ten minutes as taken alone."""
    from django.db import connection

    from monitoring.buckets import floor
    from monitoring.models import Resolution

    settled = now - timedelta(minutes=10)
    for resolution, days in ((Resolution.HOUR, 366), (Resolution.MINUTE, 31), (Resolution.FULL, 1)):
        step_s = resolution or 10
        stop = floor(settled, step_s) if resolution else now
        count = days * DAY_S // step_s
        _store(_columns(stop - timedelta(seconds=count * step_s), count, step_s, resolution))
    vacuum = "VACUUM ANALYZE" if connection.vendor == "postgresql" else "PRAGMA wal_checkpoint(TRUNCATE)"
    with connection.cursor() as cursor:
        cursor.execute(vacuum)


def _columns(start: datetime, count: int, step_s: int, resolution: Resolution) -> Iterator[dict[str, Any]]:
    """Each row by its columns; but for time, group and counters, an hour's figures come again and again."""
    from django.db import connection

    from monitoring.models import MetricsSnapshot
    from tests.monitoring.some_snapshots import snapshots

    fields = [field for field in MetricsSnapshot._meta.concrete_fields if not field.primary_key]
    at = MetricsSnapshot._meta.get_field("at")
    detail = {} if resolution else DETAIL
    made = snapshots(start, PATTERN, step_s, groups=GROUPS, resolution=resolution, detail=detail)
    pattern = [
        {field.attname: field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields}
        for row in made
    ]
    for n in range(count):
        when = at.get_db_prep_save(start + timedelta(seconds=n * step_s), connection)
        first = n % PATTERN * PATIENTS
        for row in pattern[first : first + PATIENTS]:
            grown = {name: row[name] + n // PATTERN * PATTERN * 100 for name in ("sent_messages", "bytes_in")}
            yield row | grown | {"at": when}


def _store(rows: Iterator[dict[str, Any]]) -> None:
    from django.db import connection, transaction

    from monitoring.models import MetricsSnapshot

    first = next(rows)
    names = ", ".join(f'"{name}"' for name in first)
    table = MetricsSnapshot._meta.db_table
    lines: Any = (tuple(row.values()) for row in chain([first], rows))  # the stubs want a list of them
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for line in lines:
                    copy.write_row(line)
        else:
            marks = ", ".join(["%s"] * len(first))
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", lines)


def _ask(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200, f"{path}: {response.status_code}"


def _timed(name: str, act: Callable[[], None]) -> Figure:
    act()
    took, cpu = [], []
    for _ in range(AGAIN):
        began, spent = time.perf_counter(), time.process_time()
        act()
        took.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (time.process_time() - spent))
    against = f"worst {max(took):.0f} ms, CPU of this process {statistics.median(cpu):.0f} ms"
    return at_most(name, statistics.median(took), BOUND_MS, "ms", against=against)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
