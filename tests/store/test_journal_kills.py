"""What was durable is in the journal, once, whenever the process that appended it is killed."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from streaming.models_journal import JournalEntry
from streaming.store.journal import AlarmJournal
from streaming.store.spool import SUFFIX
from tests.servers import ROOT
from tests.store.journals import problems


def append_and_kill(url: str, life: str, spool_dir: Path, after_s: float, *, locked: bool) -> set[str]:
    """The keys of what one process said was durable until it was killed, so long after its first word.

    `locked`: the file is, from that word on, so that all it says is in its spool.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.journaling", life, str(spool_dir)],
        cwd=ROOT,
        env={**os.environ, "JOURNAL_DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        told = process.stdout.readline()  # it has begun
        assert told, "the process ended by itself"
        if locked:
            with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as lock:
                lock.execute("BEGIN IMMEDIATE")
                told += process.stdout.readline()
                time.sleep(after_s)
                process.kill()
                process.wait()
        else:
            time.sleep(after_s)
    finally:
        process.kill()
        process.wait()
    with process.stdout as rest:
        told += rest.read()
    return set(told.decode().rpartition("\n")[0].splitlines())


async def take_over(spool_dir: Path) -> None:
    """As the next process does."""
    journal = AlarmJournal(spool_dir)
    await journal.start()
    async with asyncio.timeout(60):
        while list(spool_dir.glob(f"*{SUFFIX}")):  # noqa: ASYNC110, ASYNC240  # the disk says it
            await asyncio.sleep(0.01)
    threads = [owner._thread for owner in (journal._writer, journal._reader, journal._keeper)]
    await journal.aclose(10.0)
    for thread in threads:
        if thread is not None:
            thread.join(10.0)


def kill_often(url: str, times: int, spool_dir: Path, seed: int) -> int:
    """How many entries were durable in so many lives; AssertionError when one of them is missing."""
    rng = random.Random(seed)
    durable: set[str] = set()
    for life in range(times):
        after_s = rng.uniform(0.0, 0.3)
        locked = url.startswith("sqlite") and rng.random() < 0.5
        durable |= append_and_kill(url, f"{seed}-{life}", spool_dir, after_s, locked=locked)
    asyncio.run(take_over(spool_dir))
    stored = list(JournalEntry.objects.values_list("key", flat=True))
    lost = durable - set(stored)
    assert not lost, f"seed {seed}: {len(lost)} of {len(durable)} lost"
    assert len(stored) == len(set(stored))
    assert problems() == []
    return len(durable)


@pytest.mark.parametrize(
    ("journal_url", "times"), [("sqlite", 6), ("postgresql", 2)], indirect=["journal_url"], ids=str
)
def test_nothing_durable_is_lost_by_a_kill(journal_db: str, times: int, tmp_path: Path) -> None:
    assert kill_often(journal_db, times, tmp_path / "spool", random.randrange(10**6)) >= 2 * times


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("journal_url", "times"), [("sqlite", 300), ("postgresql", 40)], indirect=["journal_url"], ids=str
)
def test_nothing_durable_is_lost_by_hundreds_of_kills(journal_db: str, times: int, tmp_path: Path) -> None:
    assert kill_often(journal_db, times, tmp_path / "spool", random.randrange(10**6)) >= 2 * times
