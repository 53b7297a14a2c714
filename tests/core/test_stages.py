"""What is followed, how long each stage took, and that the stages are the whole way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streaming.core.items import Item, Span
from streaming.core.priority import MessagePriority
from streaming.core.stages import SPAN_S, Journey, Stage, StageTimes


def journey(*marks: float, sample: int = 99, stream: str = "a") -> Journey:
    """One that is over, if it has all six marks."""
    ingest, encoded, published, *rest = marks
    made = Journey(stream, 1, sample, object(), ingest, encoded, published)
    for name, mark in zip(("queued", "written", "acked"), rest, strict=False):
        setattr(made, name, mark)
    return made


def item(stream: str, first: int, stop: int, *, epoch: int = 1, control: bool = False) -> Item:
    span = Span(stream, epoch, first, stop)
    return Item(b"x", MessagePriority.HIGH, 0.0, 1, span=span, control=control)


def test_the_item_that_brings_the_sample_is_found_and_no_other() -> None:
    followed = journey(0.0, 0.0, 0.0, sample=99)
    others = [
        item("b", 50, 100),
        item("a", 50, 100, epoch=2),
        item("a", 50, 100, control=True),
        item("a", 50, 99),
        item("a", 100, 150),
        Item("{}", MessagePriority.HIGH, 0.0, 2),
    ]
    right = item("a", 0, 100)
    assert followed.find(others) is None
    assert followed.find([*others, right]) is right


@given(st.lists(st.floats(0, 1e6), min_size=6, max_size=6).map(sorted))
def test_the_stages_are_exactly_the_way_from_end_to_end(marks: list[float]) -> None:
    durations = journey(*marks).durations_us()
    assert len(durations) == len(Stage) - 1
    assert min(durations) >= 0
    assert sum(durations) == round(1e6 * marks[-1]) - round(1e6 * marks[0])


def test_percentiles_are_of_the_last_minutes() -> None:
    times = StageTimes()
    assert (times.summary(0.0), times.last()) == ({}, {})
    times.add(journey(0.0, 9.0, 9.0, 9.0, 9.0, 9.0))
    for number in range(1, 101):
        at = SPAN_S + number
        times.add(journey(at - 0.001 * number, at, at, at, at, at))
    summary = times.summary(SPAN_S + 100)
    assert set(summary) == {stage.value for stage in Stage if stage is not Stage.INGEST} | {"total"}
    encoded = summary["encoded"]
    assert (encoded.p50_s, encoded.p99_s, encoded.max_s) == (0.051, 0.1, 0.1)
    assert summary["total"] == encoded
    assert summary["acked"].max_s == 0.0
    assert times.last()[Stage.ENCODED] == 100_000


def test_each_stream_has_percentiles_of_its_own_messages() -> None:
    times = StageTimes()
    times.add(journey(0.0, 1.0, 1.0, 1.0, 1.0, 1.0, stream="old"))
    at = SPAN_S + 2
    for stream, seconds in (("a", 0.1), ("b", 0.3), ("a", 0.2)):
        times.add(journey(at - seconds, at, at, at, at, at, stream=stream))
    by_stream = times.by_stream(at)
    assert {stream: (stages["total"].max_s, n) for stream, (stages, n) in by_stream.items()} == {
        "a": (0.2, 2),
        "b": (0.3, 1),
    }


def test_what_is_lost_is_counted_and_not_timed() -> None:
    times = StageTimes()
    assert not journey(0.0, 1.0, 2.0).is_over
    lost = journey(0.0, 1.0, 2.0)
    lost.is_lost = True
    assert lost.is_over
    times.add(lost)
    assert (times.lost, times.summary(0.0)) == (1, {})
