"""Bundles that wait as they are: in order, within limits, and as old as their items may be."""

from __future__ import annotations

import math

import pytest

from streaming.core.backlog import Backlog, SharedBundle
from streaming.core.frames import FrameKind, decode_bundle, encode_frame, encode_json_frame
from streaming.core.items import Item, Span
from streaming.core.lane import HoldLimits
from streaming.core.priority import MessagePriority

NO_LIMITS = HoldLimits()


def frame(first: int, *, group: str = "ecg.a", at: float = 0.0, size: int = 40) -> tuple[Item, str]:
    payload = encode_frame(FrameKind.WAVEFORM, 1, first, bytes(size))
    span = Span(group.removeprefix("ecg."), 1, first, first + 1)
    return Item(payload, MessagePriority.HIGH, at, len(payload), span=span), group


def gap(first: int) -> tuple[Item, str]:
    text = "{}"
    span = Span("a", 1, first, first + 1)
    return Item(text, MessagePriority.HIGH, 0.0, 2, ("gap", "source"), span, control=True), "ecg.a"


def value(priority: MessagePriority = MessagePriority.HIGH) -> tuple[Item, str]:
    return Item('{"hr":60}', priority, 0.0, 9, key=("a", "hr")), "ecg.a"


def bundle(*items: tuple[Item, str]) -> SharedBundle:
    frames = [
        item.payload if isinstance(item.payload, bytes) else encode_json_frame(item.payload)
        for item, _ in items
    ]
    return SharedBundle(items, frames)


def firsts(message: bytes) -> list[int]:
    return [frame.first for frame in decode_bundle(message)]


def filled(*bundles: SharedBundle) -> Backlog:
    backlog = Backlog()
    for each in bundles:
        assert backlog.takes(each, NO_LIMITS)
    return backlog


def test_bundles_leave_whole_and_in_order() -> None:
    backlog = filled(bundle(frame(0), frame(1)), bundle(frame(2)))
    assert (len(backlog), backlog.size_bytes) == (3, 3 * 48)
    first, second = backlog.take(10_000), backlog.take(10_000)
    assert first is not None
    assert second is not None
    assert first.is_whole
    assert first.message is first.bundle.message, "nothing is copied"
    assert (firsts(first.message), firsts(second.message)) == ([0, 1], [2])
    assert first.classes == (0, 2, 0, 0, 0)
    assert (first.size_bytes, second.size_bytes) == (96, 48)
    assert (len(backlog), backlog.size_bytes, backlog.offered_at) == (0, 0, math.inf)
    assert backlog.take(10_000) is None


@pytest.mark.parametrize("budget", [1, 48, 100, 149, 150])
def test_a_bundle_that_is_too_large_leaves_in_parts(budget: int) -> None:
    backlog = filled(bundle(*(frame(n) for n in range(7))), bundle(frame(7)))
    seen: list[int] = []
    while (share := backlog.take(budget)) is not None:
        assert share.size_bytes <= max(48, budget), "one, if there is any room at all"
        seen += firsts(share.message)
        assert len(backlog) == 8 - len(seen)
        assert backlog.size_bytes == 48 * len(backlog)
        assert [item.span.first for item, _ in backlog.waiting() if item.span] == [*range(len(seen), 8)]
    assert seen == [*range(8)]


def test_without_room_nothing_leaves() -> None:
    backlog = filled(bundle(frame(0)))
    assert backlog.take(0) is None
    assert backlog.take(-5) is None
    assert len(backlog) == 1


def test_what_is_not_waveform_has_to_queue() -> None:
    mixed = bundle(frame(0), value(), gap(1), value(MessagePriority.NORMAL))
    assert mixed.groups == {"ecg.a"}
    assert mixed.classes == (0, 3, 1, 0, 0)
    assert mixed.others == [1, 3]
    backlog = filled(mixed)
    assert [item for item, _ in backlog.waiting()] == [mixed.items[0][0], mixed.items[2][0]]
    assert mixed.waveform is mixed.waveform, "made once for all"
    assert filled(bundle(value())).take(1000) is None
    pure = bundle(frame(0))
    assert pure.waveform is pure


def test_limits_are_by_the_fullest_group_and_by_all_bytes() -> None:
    backlog = Backlog()
    limits = HoldLimits(messages=3, size_bytes=300)
    assert backlog.takes(bundle(frame(0), frame(0, group="ecg.b"), frame(1, group="ecg.b")), limits)
    assert backlog.fullness(limits) == 2 / 3
    assert not backlog.takes(bundle(frame(1, group="ecg.b")), limits), "a third of one group"
    assert not backlog.takes(bundle(frame(1, size=200)), HoldLimits(size_bytes=300))
    assert len(backlog) == 3
    assert backlog.take(10_000) is not None
    assert backlog.fullness(limits) == 0
    assert backlog.takes(bundle(frame(1, group="ecg.b")), limits), "it has left"


def test_the_old_expires_out_of_the_midst_of_bundles_and_gaps_stay() -> None:
    old, young = (
        bundle(gap(0), frame(1, at=1.0), frame(2, at=2.0)),
        bundle(frame(3, at=0.5), frame(4, at=3.0)),
    )
    backlog = filled(old, young)
    assert backlog.offered_at == 0.5
    assert backlog.holds_control
    assert (old.controls, young.controls) == (1, 0)
    assert backlog.waits_s(2.0) == 1.5
    assert backlog.take_expired(0.5) == []
    assert [item.span.first for item, _ in backlog.take_expired(2.0) if item.span] == [1, 3]
    assert [item.span.first for item, _ in backlog.waiting() if item.span] == [0, 2, 4]
    assert backlog.size_bytes == 2 + 2 * 48
    assert backlog.offered_at == 2.0
    assert [item.span.first for item, _ in backlog.take_expired(9.0) if item.span] == [2, 4]
    assert len(backlog) == 1, "a gap does not age"
    assert backlog.waits_s(100.0) == 0.0


def test_what_has_left_of_a_bundle_does_not_expire() -> None:
    backlog = filled(bundle(frame(0), frame(1), frame(2, at=5.0)), bundle(frame(3, at=5.0)))
    assert backlog.take(1) is not None
    assert [item.span.first for item, _ in backlog.take_expired(1.0) if item.span] == [1]
    share = backlog.take(10_000)
    assert share is not None
    assert firsts(share.message) == [2]


def test_draining_takes_out_all_and_counting_is_by_group() -> None:
    backlog = filled(bundle(frame(0), frame(1)), bundle(frame(2, group="ecg.b")))
    assert backlog.take(1) is not None
    assert backlog.by_group() == {"ecg.a": 1, "ecg.b": 1}
    assert [item.span.first for item, _ in backlog.drain() if item.span] == [1, 2]
    assert (len(backlog), backlog.size_bytes) == (0, 0)
    assert backlog.fullness(HoldLimits(1, 1)) == 0
    assert backlog.take(1000) is None
