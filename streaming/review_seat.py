"""What one viewer's connection has to do with the past: what it asks, and what of the answers leaves next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from streaming.core import alarm_messages, messages
from streaming.core.deflate import deflate_once
from streaming.core.frames import pack_json_frame
from streaming.core.items import Item
from streaming.core.priority import MessagePriority
from streaming.core.review_messages import Cutter, Question
from streaming.exceptions import HistoryAwayError
from streaming.recovery import Recovery
from streaming.store.access import Principal
from streaming.subscriber import Subscriber

MOST_SLOTS = 8
"""Questions of one viewer that are open at once; a newer one takes the place of an older in its slot."""
MOST_ANSWERED = 3
"""Answers of one viewer that wait for room: each has half a megabyte at most."""


class AnswersQuestions(Protocol):
    """Where answers come from."""

    async def answer(self, question: Question, *, noting: Principal | None) -> bytes:
        """The body of an answer, after an audit entry for `noting`; raises HistoryAwayError."""


class ReviewSeat:
    """From when a viewer has been let in until it is gone; `spawn` runs what waits for the database.

    One question of a viewer is answered at a time, and nothing more is read while as much as an answer waits:
    what it may see is looked at again before each piece leaves.
    """

    def __init__(
        self,
        source: AnswersQuestions,
        principal: Principal,
        subscriber: Subscriber,
        recovery: Recovery,
        spawn: Callable[[Awaitable[None]], None],
    ) -> None:
        self._source = source
        self._principal = principal
        self._subscriber = subscriber
        self._recovery = recovery
        self._spawn = spawn
        self._visible: frozenset[str] = frozenset()
        self._noted: set[str] = set()
        self._asked: dict[str, Question] = {}
        """What waits to be answered, by slot, in the order in which it is."""
        self._answered: dict[str, tuple[Question, Cutter]] = {}
        """What is being sent, in the order of their turns."""
        self._answering = False
        self._is_pulled = False
        self._sent = asyncio.Event()
        self._recovery.on_resumed.add(self._wake)

    def see(self, visible: frozenset[str]) -> None:
        """These are the streams that the viewer may see now; what is on its way of others is given up."""
        self._visible = visible
        self._noted &= visible
        for waiting in (self._asked, self._answered):
            for slot in [slot for slot, one in waiting.items() if _stream_of(one) not in visible]:
                del waiting[slot]
        self._sent.set()

    def hear(self, question: Question) -> None:
        """Take a question; its answer follows when there is room for it."""
        if question.stream not in self._visible:
            self._subscriber.tell(messages.denied(question.stream), key=f"denied.{question.stream}")
            return
        self._answered.pop(question.slot, None)
        self._asked.pop(question.slot, None)
        if len(self._asked.keys() | self._answered.keys()) >= MOST_SLOTS:
            self._refuse(question, f"more than {MOST_SLOTS} questions are open")
            return
        self._asked[question.slot] = question
        self._sent.set()
        if not self._answering:
            self._answering = True
            self._spawn(self._answer_all())

    def leave(self) -> None:
        """The connection is gone."""
        self._recovery.on_resumed.discard(self._wake)
        self._asked.clear()
        self._answered.clear()

    async def _answer_all(self) -> None:
        try:
            while self._asked:
                if len(self._answered) >= MOST_ANSWERED or self._recovery.paused:
                    self._sent.clear()
                    await self._sent.wait()
                else:
                    await self._answer(self._asked.pop(next(iter(self._asked))))
        finally:
            self._answering = False

    async def _answer(self, question: Question) -> None:
        try:
            noting = None if question.stream in self._noted else self._principal
            body = await self._source.answer(question, noting=noting)
        except HistoryAwayError as error:
            self._refuse(question, str(error))
            return
        self._noted.add(question.stream)
        if question.slot in self._asked or question.stream not in self._visible:
            return  # another wish has taken its place, or the right to see it has gone
        self._answered[question.slot] = question, Cutter(question.id, body)
        if not self._is_pulled:
            self._is_pulled = True
            self._subscriber.handler.pull_from(self._pull)
        self._wake()

    def _pull(self, limit_bytes: int) -> list[Item] | None:
        """The next piece of the answer whose turn it is; never waits. None when nothing is to be sent."""
        if not self._answered:
            self._is_pulled = False
            return None
        if self._recovery.paused:
            return []
        slot = next(iter(self._answered))
        question, cutter = self._answered.pop(slot)
        frame = pack_json_frame(cutter.next(limit_bytes), deflate=deflate_once)
        if cutter.is_done:
            self._sent.set()
        else:
            self._answered[slot] = question, cutter  # behind the others
        return [Item(frame, MessagePriority.BULK, time.monotonic(), len(frame))]

    def _wake(self) -> None:
        self._sent.set()
        if self._is_pulled:
            self._subscriber.handler.wake_to_pull()

    def _refuse(self, question: Question, reason: str) -> None:
        text = alarm_messages.refused("review", str(question.id), reason)
        self._subscriber.tell(text, key=f"review.{question.slot}")


def _stream_of(waiting: Question | tuple[Question, Cutter]) -> str:
    return waiting.stream if isinstance(waiting, Question) else waiting[0].stream
