"""A tick of a stream crosses the channel layer and comes out as it went in."""

from __future__ import annotations

import msgpack  # type: ignore[import-untyped]  # has no types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.core.bundle import MESSAGE_TYPE, Bundle, Event, Gap, WaveFrame
from streaming.core.frames import FrameKind
from streaming.core.messages import GapReason
from streaming.core.patterns import DataPattern
from streaming.core.priority import MessagePriority
from streaming.core.streams import Lead, Source, StreamInfo

INFO = StreamInfo(
    "a1", 3, "P-1", "icu", Source.REPLAY, 360.0, (Lead("MLII", 5.0, 1024, 11), Lead("V1", 4.88, -3, 12))
)
INDEX = st.integers(0, 2**32 - 1)
FRAMES = st.builds(
    WaveFrame,
    st.sampled_from((FrameKind.WAVEFORM, FrameKind.BACKFILL)),
    INDEX,
    st.integers(1, 8192),
    st.binary(max_size=40),
)
GAPS = st.builds(Gap, INDEX, INDEX, st.sampled_from(GapReason))
EVENTS = st.builds(Event, st.text(max_size=20), st.sampled_from(MessagePriority), st.text(max_size=8))


@settings(max_examples=50)
@given(
    st.lists(FRAMES, max_size=3),
    st.lists(GAPS, max_size=3),
    st.lists(EVENTS, max_size=3),
    st.none() | st.sampled_from(DataPattern),
)
def test_it_comes_out_as_it_went_in(
    frames: list[WaveFrame], gaps: list[Gap], events: list[Event], pattern: DataPattern | None
) -> None:
    bundle = Bundle(INFO, tuple(frames), tuple(gaps), tuple(events), pattern)
    # msgpack is what the Redis layers speak: no enum, no tuple survives it.
    message = msgpack.unpackb(msgpack.packb(bundle.to_message("here")))
    came = Bundle.from_message(message)
    assert came == bundle
    assert [type(frame.kind) for frame in came.frames] == [FrameKind] * len(frames)
    assert [type(event.priority) for event in came.events] == [MessagePriority] * len(events)
    assert came.pattern is pattern


def test_a_process_that_says_nothing_of_patterns_is_understood() -> None:
    message = Bundle(INFO).to_message("here")
    del message["pattern"]
    assert Bundle.from_message(message) == Bundle(INFO)


def test_the_message_says_what_it_is_and_whose() -> None:
    message = Bundle(INFO).to_message("here")
    assert (message["type"], message["origin"]) == (MESSAGE_TYPE, "here")


def test_stream_and_leads_are_whole_on_the_other_side() -> None:
    came = Bundle.from_message(Bundle(INFO).to_message("here")).info
    assert came == INFO
    assert came.source is Source.REPLAY
    assert came.group == "ecg.a1"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("info", {"stream": "a"}),
        ("frames", [[9, 0, 1, b""]]),
        ("frames", [[1, 0, 1]]),
        ("gaps", [[0, 1, "lost in thought"]]),
        ("gaps", [[0, 1]]),
        ("events", [["{}", 9, "k"]]),
        ("pattern", "mysterious"),
    ],
)
def test_what_another_version_writes_is_refused(field: str, value: object) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Bundle.from_message(Bundle(INFO).to_message("here") | {field: value})
