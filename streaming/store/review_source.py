"""The past of streams as the event loop asks for it: answered on a thread of its own, within a deadline."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

from django.db import Error as DatabaseFault

from streaming.core.breaker import Breaker
from streaming.core.review_messages import Question
from streaming.exceptions import HistoryAwayError
from streaming.store import access
from streaming.store.access import Principal
from streaming.store.reading_thread import ReadingThread
from streaming.store.review import ANSWERS

logger = logging.getLogger(__name__)

DEADLINE_S = 10.0
PASSED_OVER_S = 5.0
LONGEST_PASSED_OVER_S = 30.0


class ReviewSource:
    """One answer at a time, in the order of the questions; a database that hangs is away for all who ask.

    The owner calls `close`.
    """

    def __init__(
        self, *, deadline_s: float = DEADLINE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._thread = ReadingThread(name="vital-review")
        self._deadline_s = deadline_s
        self._clock = clock
        self._breaker = Breaker(first_s=PASSED_OVER_S, longest_s=LONGEST_PASSED_OVER_S)
        self._turn = asyncio.Lock()

    async def answer(self, question: Question, *, noting: Principal | None) -> bytes:
        """The body of the answer, after an audit entry that `noting` looks at this past.

        Raises HistoryAwayError.
        """
        async with self._turn:
            if not self._breaker.lets_through(self._clock()):
                raise HistoryAwayError("the history's database does not answer, try again")
            try:
                async with asyncio.timeout(self._deadline_s):
                    body = await self._thread.run(partial(_body, question, noting))
            except (DatabaseFault, TimeoutError) as error:
                if not self._breaker.is_open:
                    logger.warning("the past cannot be read: %s", type(error).__name__)
                self._breaker.failed(self._clock())
                raise HistoryAwayError("the history's database does not answer, try again") from error
            self._breaker.worked()
        return body

    def close(self) -> None:
        """End the thread, after what it was given; returns at once."""
        self._thread.close()


def _body(question: Question, noting: Principal | None) -> bytes:
    if noting is not None:
        access.note_review(noting, question.stream)
    return ANSWERS[question.what](question).body()
