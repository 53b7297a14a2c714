"""Database work on a thread of its own: in order, with its result or its error, and nobody waits for it."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from django.db import DEFAULT_DB_ALIAS, OperationalError

from streaming.store.own_thread import DatabaseThread
from tests.servers import ROOT


@pytest.fixture
def own() -> Iterator[DatabaseThread]:
    thread = DatabaseThread(DEFAULT_DB_ALIAS, name="test-database")
    yield thread
    thread.close()


async def test_functions_run_in_order_on_one_thread_that_is_not_ours(own: DatabaseThread) -> None:
    names = await asyncio.gather(*(own.run(lambda n=n: (n, threading.current_thread())) for n in range(5)))  # type: ignore[misc]
    assert [number for number, _thread in names] == list(range(5))
    (thread,) = {thread for _number, thread in names}
    assert thread.daemon
    assert thread.name == "test-database"
    own.close()
    thread.join(5.0)
    assert not thread.is_alive()


async def test_an_error_is_raised_where_the_result_is_awaited(own: DatabaseThread) -> None:
    def fail() -> None:
        raise KeyError("a")

    with pytest.raises(KeyError):
        await own.run(fail)
    assert await own.run(lambda: 7) == 7


async def test_what_an_error_holds_ends_in_the_thread_and_not_by_the_collector(own: DatabaseThread) -> None:
    """A cursor that the collector ends on the event loop waits there for what its connection waits for."""
    ended: list[str] = []

    class Cursor:
        def __del__(self) -> None:
            ended.append(threading.current_thread().name)

    def execute() -> None:
        cursor = Cursor()
        raise KeyError(repr(cursor))

    def fail() -> None:
        try:
            execute()
        except KeyError as error:
            named = OperationalError("locked")  # by the frame that is in its traceback, as Django's are
            raise named from error

    gc.disable()
    try:
        with pytest.raises(OperationalError):
            await own.run(fail)
        assert ended == ["test-database"]
    finally:
        gc.enable()


async def test_whoever_gives_up_waiting_leaves_the_thread_to_others(own: DatabaseThread) -> None:
    go_on, ran = threading.Event(), []
    began = threading.Event()

    def hang() -> None:
        began.set()
        go_on.wait()

    hanging = asyncio.create_task(own.run(hang))
    dropped = asyncio.create_task(own.run(lambda: ran.append("dropped")))
    await asyncio.get_running_loop().run_in_executor(None, began.wait)
    for task in (hanging, dropped):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    go_on.set()
    await own.run(lambda: ran.append("next"))
    assert ran == ["next"]


async def test_it_begins_again_after_its_end(own: DatabaseThread) -> None:
    assert await own.run(lambda: 1) == 1
    own.close()
    own.close()
    assert await own.run(lambda: 2) == 2


def test_a_process_ends_although_its_database_hangs() -> None:
    code = """
import asyncio, threading
import django
django.setup()
from streaming.store.own_thread import DatabaseThread

async def main():
    began = threading.Event()
    def hang():
        began.set()
        threading.Event().wait()
    task = asyncio.create_task(DatabaseThread("default", name="x").run(hang))
    await asyncio.get_running_loop().run_in_executor(None, began.wait)
    task.cancel()

asyncio.run(main())
print("ended")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("ended\n", 0), done.stderr
