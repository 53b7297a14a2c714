"""A process that records for as long as it lives, and prints every chunk once it is stored.

Run as `python -m tests.store.recording EPOCH`, to be killed. A line is stream, epoch, first and stop.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Sequence

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vital.settings")
django.setup()

from streaming import recorder  # noqa: E402  # needs the app registry
from streaming.core.bundle import Bundle  # noqa: E402
from streaming.core.chunks import Chunk  # noqa: E402
from streaming.store.history_keeper import HistoryKeeper  # noqa: E402
from tests.store.histories import FRAME, frame_of  # noqa: E402
from tests.viewers import stream_info  # noqa: E402

STREAMS = "abcd"
COMMIT_EVERY_S = 0.005
"""So that a kill at any moment is likely to meet a transaction."""


class Told:
    """The history, and a word on everything that it has."""

    def __init__(self) -> None:
        self._keeper = HistoryKeeper()

    async def write(self, chunks: Sequence[Chunk]) -> None:
        """Store, then tell."""
        await self._keeper.write(chunks)
        lines = "".join(f"{c.stream} {c.epoch} {c.first} {c.stop}\n" for c in chunks)
        os.write(sys.stdout.fileno(), lines.encode())


async def record(epoch: int) -> None:
    """Take five seconds of each stream in a millisecond, again and again."""
    recorder.WRITE_EVERY_S = COMMIT_EVERY_S
    taking = recorder.Recorder(Told())
    taking.start()
    for first in itertools.count(step=10 * FRAME):
        for stream in STREAMS:
            frames = tuple(frame_of(first + at) for at in range(0, 10 * FRAME, FRAME))
            taking.take(Bundle(stream_info(stream, epoch), frames=frames))
        await asyncio.sleep(0.001)


if __name__ == "__main__":
    asyncio.run(record(int(sys.argv[1])))
