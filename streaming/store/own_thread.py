"""A thread that does one program part's blocking work, so that what hangs there holds up nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import connections

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    function: Callable[[], Any]
    done: asyncio.Future[Any]


class OwnThread:
    """Runs blocking functions one after the other.

    A daemon thread and not a pool's: a pool is joined when the process ends, and a statement that waits for a
    lock would hold that up. It begins with the first function; the owner ends it by `close`.
    """

    def __init__(self, *, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, function: Callable[[], T]) -> T:
        """What the function returns or raises, once its turn has come.

        Who is cancelled while it waits gets no answer: a function that has begun goes on to its end.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(function, done))
        return await done

    def close(self) -> None:
        """Let the thread end after what it was given; returns at once. Harmless when none was begun."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread = None

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.done.cancelled():
                self._do(job)
            del job  # what it holds must not stay until the next one comes
        self._end()

    def _call(self, function: Callable[[], Any]) -> Any:
        return function()

    def _end(self) -> None:
        """What is left to do in the thread itself."""

    def _do(self, job: _Job) -> None:
        result, error = None, None
        try:
            result = self._call(job.function)
        except Exception as raised:  # noqa: BLE001  # it is raised again where the result is awaited
            error = raised
        # The loop is gone when the process ended while the database kept this thread waiting.
        with contextlib.suppress(RuntimeError):
            job.done.get_loop().call_soon_threadsafe(_settle, job.done, result, error)


class DatabaseThread(OwnThread):
    """The same on a connection of its own, which stays open between them."""

    def __init__(self, alias: str, *, name: str) -> None:
        super().__init__(name=name)
        self._alias = alias

    def _call(self, function: Callable[[], Any]) -> Any:
        connections[self._alias].close_if_unusable_or_obsolete()
        try:
            return function()
        except Exception as error:
            let_go(error)
            raise

    def _end(self) -> None:
        connections[self._alias].close()


def let_go(error: BaseException | None) -> None:
    """Let cursors that an error holds by its frames end here and now, and those of what caused it.

    Django's errors and their frames hold each other, so that the collector ends them, in whichever thread it
    runs: most often the event loop's. There a cursor of SQLite waits for its connection, and so for the lock
    that this thread waits for by then: five seconds in which no frame was sent.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _settle(done: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if done.cancelled():
        return
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(result)
