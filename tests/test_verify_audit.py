"""`manage.py verify_audit`, as an operator meets it: a status, one line for each fault, or JSON."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ROOT, StartServer, run

WRITE = """
import django, os
os.environ["DJANGO_SETTINGS_MODULE"] = "vital.settings"
django.setup()
from streaming.store import audit, chain, checkpoints, journal_rows
from streaming.store.head_log import HeadLog
from streaming.store.journal_rows import line_of
from streaming.store.trails import ALARMS, AUDIT
from tests.store.journals import closed
for n in range(4):
    audit.record("user:1", "test", f"stream:{n}", "done")
checkpoints.mark(AUDIT, audit.head(), HeadLog())
head = journal_rows.store([line_of(each) for each in closed()], chain.new_head())
checkpoints.mark(ALARMS, head, HeadLog())
"""


def environment(var_dir: Path) -> dict[str, str]:
    return {**os.environ, "VITAL_VAR_DIR": str(var_dir)}


def verify(var_dir: Path, *arguments: str) -> tuple[int, str]:
    """Its exit status and what it said."""
    done = subprocess.run(
        [sys.executable, "manage.py", "verify_audit", *arguments],
        cwd=ROOT,
        env=environment(var_dir),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def cut_off(file: Path, table: str, checkpoints: str, last: int) -> None:
    """Take the end of a trail out, its checkpoints with it."""
    with sqlite3.connect(file) as database:
        for name in (table, checkpoints):
            database.execute(f"DROP TRIGGER streaming_{name}_no_delete")
            database.execute(f"DELETE FROM streaming_{name} WHERE seq >= {last}")


@pytest.fixture
def var_dir(migrated_var: Path, tmp_path: Path) -> Path:
    """A var directory with both trails."""
    import shutil

    copy = Path(shutil.copytree(migrated_var, tmp_path / "var"))
    run([sys.executable, "-c", WRITE], {**environment(copy), "PYTHONPATH": str(ROOT)}, 60.0)
    return copy


def test_whole_trails_are_a_summary_and_0(var_dir: Path) -> None:
    status, said = verify(var_dir)
    assert status == 0
    assert "audit: 4 entries in 1 chains, by 2 checkpoints; 0 entries since the last of these" in said
    assert "alarms: 5 entries in 1 chains, by 2 checkpoints; 0 entries since the last of these" in said
    assert said.endswith("All is whole.\n")


def test_each_fault_is_a_line_and_1(var_dir: Path) -> None:
    cut_off(var_dir / "db.sqlite3", "auditentry", "auditcheckpoint", 4)
    cut_off(var_dir / "journal.sqlite3", "journalentry", "journalcheckpoint", 2)
    status, said = verify(var_dir)
    assert status == 1
    faults = [line for line in said.splitlines() if line.startswith("FAULT ")]
    assert len(faults) == 5
    for trail, seq in (("audit", 4), ("alarms", 2)):
        assert any(f"FAULT {trail} " in line and f"/{seq}: the end of the chain" in line for line in faults)
    assert "FAULT alarms: open alarm alarm-1: it is not in the table, and its entries have it active" in said
    assert said.endswith("5 faults.\n")
    status, said = verify(var_dir, "--json")
    assert status == 1
    told = json.loads(said)
    assert len(told["faults"]) == 5
    assert told["trails"]["audit"]["entries"] == 3


def test_a_table_of_open_alarms_that_was_emptied_is_a_fault_until_it_is_repaired(var_dir: Path) -> None:
    setup = WRITE.partition("for n in")[0].replace("import closed", "import raised")
    setup += "journal_rows.store([line_of(raised('open'))], chain.new_head())\n"
    run([sys.executable, "-c", setup], {**environment(var_dir), "PYTHONPATH": str(ROOT)}, 60.0)
    with sqlite3.connect(var_dir / "journal.sqlite3") as database:
        database.execute("DELETE FROM streaming_openalarm")
    text = "open alarm open: it is not in the table, and its entries have it active"
    status, said = verify(var_dir)
    assert (status, said.splitlines()[0]) == (1, f"FAULT alarms: {text}")
    status, said = verify(var_dir, "--repair", "--json")
    assert (status, json.loads(said)["repaired"]) == (0, [text])
    with sqlite3.connect(var_dir / "db.sqlite3") as database:
        query = "SELECT detail FROM streaming_auditentry WHERE action = 'journal.repair'"
        assert json.loads(database.execute(query).fetchone()[0]) == {"count": 1, "alarms": ["open"]}
    assert verify(var_dir, "--repair")[1].endswith("All is whole.\n")


def test_a_server_leaves_checkpoints_behind(daphne: StartServer) -> None:
    """Of what was there before it, and of its own chain when it ends."""
    server = daphne()
    setup = WRITE.partition("for n in")[0] + "audit.record('user:1', 'test', 'stream:1', 'done')\n"
    run([sys.executable, "-c", setup], {**server.environment(), "PYTHONPATH": str(ROOT)}, 60.0)
    server.stop()
    server.start()
    server.stop()
    with sqlite3.connect(server.var_dir / "db.sqlite3") as database:
        (marked,) = database.execute("SELECT count(*) FROM streaming_auditcheckpoint").fetchone()
    assert marked >= 1
    status, said = verify(server.var_dir)
    assert (status, said.splitlines()[-1]) == (0, "All is whole.")
