"""What of the past leaves for a viewer, in which order, and what stops it."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

from streaming.core import messages
from streaming.core.deflate import deflate_short
from streaming.core.review_messages import Question, Subject
from streaming.core.ring import Rings
from streaming.exceptions import HistoryAwayError
from streaming.recovery import Recovery
from streaming.review_seat import MOST_SLOTS, ReviewSeat
from streaming.store.access import Principal, PrincipalKind
from tests.fakes import virtual_time
from tests.viewers import Viewer, turns

SIZE = 9000
PRINCIPAL = Principal(PrincipalKind.SESSION, user_id=1)


class Source:
    """Answers with the number of the question, many times, once it is let."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.noted: list[Principal | None] = []
        self.may = asyncio.Event()
        self.may.set()
        self.is_away = False

    async def answer(self, question: Question, *, noting: Principal | None) -> bytes:
        self.noted.append(noting)
        self.asked.append(question.id)
        await self.may.wait()
        if self.is_away:
            raise HistoryAwayError("away")
        return bytes([question.id]) * SIZE


class Desk:
    """A seat, and all around it."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.source = Source()
        self.recovery = Recovery(Rings(), [])
        self.tasks: list[asyncio.Task[None]] = []
        self.seat = ReviewSeat(self.source, PRINCIPAL, viewer.subscriber, self.recovery, self._spawn)
        self.seat.see(frozenset({"a", "b"}))
        viewer.subscriber.tell(messages.roster([]))

    def _spawn(self, work: Awaitable[None]) -> None:
        self.tasks.append(asyncio.ensure_future(work))

    def ask(self, number: int, *, slot: str = "main", stream: str = "a") -> None:
        self.seat.hear(Question(number, slot, stream, Subject.TREND, 0, 1))

    async def answers(self) -> dict[int, bytes]:
        """Every answer that has come, by question; the viewer acks until nothing more comes."""
        for _ in range(200):
            await self.viewer.catch_up()
            await asyncio.sleep(0.05)  # of virtual time
        found: dict[int, bytes] = {}
        for message in self.viewer.messages("review"):
            found[message["id"]] = found.get(message["id"], b"") + b64decode(message["data"])
        return found


@asynccontextmanager
async def seated() -> AsyncIterator[Desk]:
    viewer = Viewer()
    made = Desk(viewer)
    yield made
    made.seat.leave()
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)
    await viewer.subscriber.aclose()


@virtual_time
async def test_an_answer_comes_whole_in_pieces_of_bulk() -> None:
    async with seated() as desk:
        before = deflate_short.cache_info()
        desk.ask(7)
        assert await desk.answers() == {7: bytes([7]) * SIZE}
        pieces = desk.viewer.messages("review")
        after = deflate_short.cache_info()
        told = after.hits + after.misses - before.hits - before.misses
        assert told < len(pieces), "they drive out nothing that many viewers are told"
        assert [piece["more"] for piece in pieces] == [True] * (len(pieces) - 1) + [False]
        assert len(pieces) > 3, "it leaves room for what is live"
        accounts = desk.viewer.subscriber.handler.get_metrics()
        assert accounts.dropped_messages == 0


@virtual_time
async def test_only_the_first_look_at_a_stream_is_noted() -> None:
    async with seated() as desk:
        for number, stream in enumerate(("a", "a", "b")):
            desk.ask(number, stream=stream)
            await desk.answers()
        assert desk.source.noted == [PRINCIPAL, None, PRINCIPAL]


@virtual_time
async def test_a_newer_question_takes_the_place_of_an_older_one_in_its_slot() -> None:
    async with seated() as desk:
        desk.source.may.clear()
        desk.ask(1)
        await turns()
        for number in (2, 3, 4):
            desk.ask(number)
        desk.source.may.set()
        assert await desk.answers() == {4: bytes([4]) * SIZE}
        assert desk.source.asked == [1, 4]


@virtual_time
async def test_answers_take_turns() -> None:
    async with seated() as desk:
        desk.ask(1, slot="one")
        desk.ask(2, slot="two")
        answers = await desk.answers()
        assert answers.keys() == {1, 2}
        order = [piece["id"] for piece in desk.viewer.messages("review")]
        assert order.index(2) < len(order) - order[::-1].index(1), (
            "the second begins before the first has ended"
        )


@virtual_time
async def test_a_stream_that_may_not_be_seen_is_denied() -> None:
    async with seated() as desk:
        desk.ask(1, stream="c")
        assert await desk.answers() == {}
        assert [message["stream"] for message in desk.viewer.messages("denied")] == ["c"]
        assert desk.source.asked == []


@virtual_time
async def test_a_right_that_is_withdrawn_stops_what_waits_and_what_is_being_read() -> None:
    async with seated() as desk:
        desk.ask(1, slot="one")
        await turns()
        desk.source.may.clear()
        desk.ask(2, slot="two")
        desk.ask(3, slot="three", stream="b")
        await turns()
        before = len(desk.viewer.messages("review"))
        desk.seat.see(frozenset({"b"}))
        desk.source.may.set()
        answers = await desk.answers()
        assert answers[3] == bytes([3]) * SIZE
        assert 2 not in answers
        assert [piece["id"] for piece in desk.viewer.messages("review")][before:].count(1) == 0


@virtual_time
async def test_nothing_leaves_while_the_process_holds_back_what_is_late() -> None:
    async with seated() as desk:
        desk.ask(1)
        await turns()
        desk.recovery.paused = True
        sent = len(desk.viewer.messages("review"))
        desk.ask(2, slot="two")
        assert sum(map(len, (await desk.answers()).values())) < 2 * SIZE
        assert len(desk.viewer.messages("review")) <= sent + 1
        desk.recovery.paused = False
        assert (await desk.answers()).keys() == {1, 2}


@virtual_time
async def test_too_many_questions_and_a_database_that_is_away_are_refused() -> None:
    async with seated() as desk:
        desk.source.may.clear()
        for number in range(MOST_SLOTS + 2):
            desk.ask(number, slot="abcdefghijkl"[number])
        desk.source.is_away = True
        desk.source.may.set()
        assert await desk.answers() == {}
        refused = desk.viewer.messages("refused")
        assert {message["target"] for message in refused} == {str(number) for number in range(MOST_SLOTS + 2)}
        assert all(message["of"] == "review" for message in refused)
