"""A process that appends to the journal for as long as it lives, and prints the key of all that is durable.

Run as `python -m tests.store.journaling LIFE SPOOL_DIR`, to be killed.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vital.settings")
django.setup()

from streaming.core.alarm_record import AlarmEntry, AlarmStep  # noqa: E402  # needs the app registry
from streaming.store import journal as journal_module  # noqa: E402
from streaming.store.journal import AlarmJournal  # noqa: E402
from streaming.store.journal_rows import line_of  # noqa: E402
from tests.store.journals import entry, raised  # noqa: E402

SPOOL_AFTER_S = 0.002
"""So that a kill at any moment meets the spool as often as a transaction."""


async def append_on(life: str, spool_dir: Path) -> None:
    """Append one alarm after the other, with two steps each."""
    journal_module.SPOOL_AFTER_S = SPOOL_AFTER_S
    journal = AlarmJournal(spool_dir)
    await journal.start()
    for number in itertools.count():
        alarm = f"{life}-{number}"
        entries = [raised(alarm), entry(AlarmStep.PUBLISHED, alarm, 1)]
        durable = journal.append(entries).durable
        durable.add_done_callback(lambda _done, entries=entries: tell(entries))  # type: ignore[misc]
        await asyncio.sleep(0.001)


def tell(entries: list[AlarmEntry]) -> None:
    """These outlive this process."""
    os.write(sys.stdout.fileno(), "".join(f"{line_of(each).key}\n" for each in entries).encode())


if __name__ == "__main__":
    asyncio.run(append_on(sys.argv[1], Path(sys.argv[2])))
