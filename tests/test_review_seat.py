"""What of the past leaves for a viewer, in which order, and what stops it."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest

from streaming.core.review_messages import Question, Subject
from streaming.core.ring import Rings
from streaming.exceptions import HistoryAwayError
from streaming.recovery import Recovery
from streaming.review_seat import MOST_SLOTS, ReviewSeat
from streaming.store import access
from streaming.store.access import Principal, PrincipalKind
from tests.viewers import Viewer, turns

PRINCIPAL = Principal(PrincipalKind.SESSION, user_id=1)


class Source:
    """Answers with the number of the question, many times, once it is let."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.may = asyncio.Event()
        self.may.set()
        self.is_away = False

    async def answer(self, question: Question) -> bytes:
        self.asked.append(question.id)
        await self.may.wait()
        if self.is_away:
            raise HistoryAwayError("away")
        return bytes([question.id]) * 900


class Desk:
    """A seat, and all around it."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.source = Source()
        self.recovery = Recovery(Rings(), [])
        self.tasks: list[asyncio.Task[None]] = []
        self.seat = ReviewSeat(self.source, PRINCIPAL, viewer.subscriber, self.recovery, self._spawn)
        self.seat.see(frozenset({"a", "b"}))

    def _spawn(self, work: Awaitable[None]) -> None:
        self.tasks.append(asyncio.ensure_future(work))

    def ask(self, number: int, *, slot: str = "main", stream: str = "a") -> None:
        self.seat.hear(Question(number, slot, stream, Subject.TREND, 0, 1))

    async def answers(self) -> dict[int, bytes]:
        """Every answer that has come, by question; the viewer acks until nothing more comes."""
        seen = -1
        while seen != len(self.viewer.texts()):
            seen = len(self.viewer.texts())
            await turns(60)
            self.viewer.ack_all()
            await turns(60)
        found: dict[int, bytes] = {}
        for message in self.said("review"):
            found[message["id"]] = found.get(message["id"], b"") + b64decode(message["data"])
        return found

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.viewer.texts() if message["type"] == kind]


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(access, "note_review", lambda *_: None)
    viewer = Viewer()
    made = Desk(viewer)
    yield made
    made.seat.leave()
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)
    await viewer.subscriber.aclose()
