"""What a viewer says behind a reconnect, and when its network has room again."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from streaming.client import Frame, Gap, GapReason, Lead, Source, Stats, StreamFormat
from streaming.client.held import MAX_ASKED, MAX_EPOCHS, MAX_MISSING, Held, has_room
from streaming.core.messages import SAMPLE_LIMIT


def format_of(factor: int = 1, epoch: int = 1) -> StreamFormat:
    return StreamFormat(
        "a", epoch, "lossless", 500.0, factor, (Lead("II", 5.0),), ("II",), Source.SIM, "P-1", 100
    )


def frame(first: int, count: int = 50, *, live: bool = True, factor: int = 1, epoch: int = 1) -> Frame:
    return Frame("a", epoch, first, np.zeros((1, count), np.int16), format_of(factor, epoch), live)


def gap(
    first: int,
    stop: int,
    *,
    reason: GapReason = GapReason.EXPIRED,
    recoverable: bool = True,
    epoch: int = 1,
    stream: str = "a",
) -> Gap:
    return Gap(stream, epoch, first, stop, reason, recoverable)


def held(*events: Frame | Gap) -> Held:
    made = Held()
    for event in events:
        made.take(event)
    return made


def said(texts: list[str]) -> list[tuple[Any, ...]]:
    values = [json.loads(text) for text in texts]
    assert all(value["type"] == "resume" for value in values)
    return [(value["epoch"], value["next_sample"], value.get("to")) for value in values]


def test_goes_on_behind_the_newest_sample() -> None:
    assert said(held(frame(0), frame(50)).on_connect()) == [(1, 100, None)]
    assert held().on_connect() == []


def test_a_gap_moves_on_and_is_asked_for_by_itself() -> None:
    assert said(held(frame(0), gap(50, 100)).on_connect()) == [(1, 100, None), (1, 50, 100)]


def test_what_came_late_is_asked_for_no_more_and_what_is_lost_neither() -> None:
    mine = held(frame(0), gap(50, 200), frame(150, live=False), gap(50, 60, recoverable=False))
    assert mine.missing("a") == [(1, 60, 150)]
    assert said(mine.on_connect()) == [(1, 200, None), (1, 60, 150)]


def test_a_coarse_sample_speaks_for_those_beside_it() -> None:
    mine = held(frame(0), gap(50, 101), frame(52, 25, live=False, factor=2))
    assert mine.missing("a") == [(1, 50, 51)]


def test_the_newest_epoch_is_resumed_and_older_ones_asked_for() -> None:
    mine = held(frame(0), gap(50, SAMPLE_LIMIT), frame(0, epoch=2))
    assert said(mine.on_connect()) == [(2, 50, None), (1, 50, SAMPLE_LIMIT)]


def test_a_gap_is_asked_for_at_the_second_look_and_once() -> None:
    mine = held(gap(0, 50))
    assert mine.on_room() == []
    assert said(mine.on_room()) == [(1, 0, 50)]
    assert mine.on_room() == []


def test_what_came_by_itself_in_between_is_not_asked_for() -> None:
    mine = held(gap(0, 100))
    mine.on_room()
    mine.take(frame(50, live=False))
    assert said(mine.on_room()) == [(1, 0, 50)]


def test_what_the_device_may_still_send_is_asked_for_behind_a_reconnect_alone() -> None:
    mine = held(frame(0), gap(50, 100, reason=GapReason.SOURCE))
    assert mine.on_room() + mine.on_room() == []
    assert said(mine.on_connect()) == [(1, 100, None), (1, 50, 100)]


def test_few_are_asked_for_at_a_time_the_newest_first() -> None:
    mine = held(*(gap(100 * n, 100 * n + 50) for n in range(MAX_ASKED + 3)))
    first = said(mine.on_connect())[1:]
    assert first == [(1, 100 * n, 100 * n + 50) for n in range(MAX_ASKED + 2, 2, -1)]
    assert said(mine.on_room()) == [(1, 200, 250), (1, 100, 150), (1, 0, 50)]


def test_what_is_not_watched_any_more_is_forgotten() -> None:
    mine = held(frame(0), gap(0, 10, stream="b"))
    mine.watch(["b"])
    assert said(mine.on_connect()) == [(1, 10, None), (1, 0, 10)]


def test_memory_is_bounded() -> None:
    mine = held(*(gap(4 * n, 4 * n + 1) for n in range(MAX_MISSING + 5)))
    assert len(mine.missing("a")) == MAX_MISSING
    mine = held(*(gap(0, 1, epoch=epoch) for epoch in range(MAX_EPOCHS + 3)))
    assert len(mine.missing("a")) == MAX_EPOCHS


@pytest.mark.parametrize(
    ("condition", "rendition", "waiting", "room"),
    [
        ("excellent", "lossless", 0, True),
        ("good", "display", 3, True),
        ("critical", "lossless", 0, True),
        ("fair", "lossless", 1, False),
        ("fair", "diagnostic", 0, False),
    ],
)
def test_a_network_has_room_that_is_good_or_carries_every_sample_while_nothing_waits(
    condition: str, rendition: str, waiting: int, room: bool
) -> None:
    queued = {"critical": 0, "high": waiting}
    assert has_room(Stats(1.0, 1e6, 4096, 0, queued, 0, 0, condition, rendition, "steady")) is room
