"""What was acknowledged is there, whenever the process that wrote it is killed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

import pytest

from streaming.store import history
from streaming.store.history import PAGE_BYTES
from tests.servers import ROOT
from tests.store.histories import FRAME, frame_of

START_DEADLINE_S = 60.0


def record_and_kill(url: str, epoch: int, after_s: float) -> set[tuple[str, int, int]]:
    """What one process acknowledged until it was killed, so long after its first word."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.recording", str(epoch)],
        cwd=ROOT,
        env={**os.environ, "HISTORY_DATABASE_URL": url},
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        told = process.stdout.readline()  # it has begun
        assert told, "the recording process ended by itself"
        time.sleep(after_s)
    finally:
        process.kill()
        process.wait()
    with process.stdout as rest:
        told += rest.read()
    whole = told.decode().rpartition("\n")[0]
    return {
        (stream, int(first), int(stop))
        for stream, written, first, stop in (line.split() for line in whole.splitlines())
        if int(written) == epoch
    }


def missing(epoch: int, acknowledged: set[tuple[str, int, int]]) -> list[tuple[str, int]]:
    """Frames that were acknowledged and are not there as they were."""
    lost = []
    for stream in {stream for stream, _first, _stop in acknowledged}:
        stops = [stop for name, _first, stop in acknowledged if name == stream]
        high: int | None = max(stops)
        stored: set[tuple[int, int, bytes]] = set()
        while high is not None:
            page = history.read(stream, epoch, 0, high, max_bytes=16 * PAGE_BYTES)
            stored.update((frame.first, frame.count, frame.payload) for frame in page.frames)
            high = page.next
        for name, first, stop in acknowledged:
            if name == stream:
                frames = (frame_of(at) for at in range(first, stop, FRAME))
                lost += [(stream, f.first) for f in frames if (f.first, f.count, f.payload) not in stored]
    return lost


def kill_often(url: str, times: int, seed: int) -> int:
    """How many chunks were acknowledged in so many lives; AssertionError when one of them is missing."""
    rng = random.Random(seed)
    total = 0
    for epoch in range(1, times + 1):
        after_s = rng.uniform(0.0, 0.2)
        acknowledged = record_and_kill(url, epoch, after_s)
        lost = missing(epoch, acknowledged)
        assert not lost, f"seed {seed}, life {epoch}, killed after {after_s:.3f} s: {lost[:5]} of {len(lost)}"
        total += len(acknowledged)
    return total


@pytest.mark.parametrize(
    ("history_url", "times"), [("sqlite", 5), ("postgresql", 2)], indirect=["history_url"], ids=str
)
def test_no_acknowledged_chunk_is_lost_by_a_kill(history_db: str, times: int) -> None:
    assert kill_often(history_db, times, seed=random.randrange(10**6)) >= 4 * times


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("history_url", "times"), [("sqlite", 200), ("postgresql", 20)], indirect=["history_url"], ids=str
)
def test_no_acknowledged_chunk_is_lost_by_hundreds_of_kills(history_db: str, times: int) -> None:
    assert kill_often(history_db, times, seed=random.randrange(10**6)) >= 4 * times
