"""What a session owes the server, whatever is confirmed, cut, given up or skipped in between."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.client.session import Session
from streaming.core.frames import Frame, FrameFlag, FrameKind, decode_bundle
from streaming.core.messages import DeviceQuality, parse_device_message
from streaming.exceptions import ProtocolError

Taken = Frame | DeviceQuality


def take_all(session: Session, max_bytes: int = 1000) -> list[Taken]:
    taken: list[Taken] = []
    while (message := session.take(max_bytes)) is not None:
        if isinstance(message, bytes):
            taken += decode_bundle(message)
        else:
            report = parse_device_message(message)
            assert isinstance(report, DeviceQuality)
            taken.append(report)
    return taken


def places(taken: list[Taken]) -> list[tuple[int, int]]:
    """(number, first) of the frames."""
    return [(item.alias, item.first) for item in taken if isinstance(item, Frame)]


def frame(number: int, first: int, payload: bytes) -> Frame:
    return Frame(FrameKind.WAVEFORM, FrameFlag.NONE, number, first, payload)


def session_of(*counts: int) -> Session:
    session = Session()
    for count in counts:
        session.append(b"x" * count, count)
    return session


def test_a_message_holds_as_many_frames_as_fit_and_at_least_one() -> None:
    session = session_of(10, 10, 10, 50, 10)
    sizes = []
    while (message := session.take(25)) is not None:
        assert isinstance(message, bytes)
        sizes.append(len(list(decode_bundle(message))))
    assert sizes == [2, 1, 1, 1]


def test_what_is_confirmed_is_not_sent_again() -> None:
    session = session_of(10, 10, 10)
    take_all(session)
    session.confirm(20)
    session.resume(20)
    assert places(take_all(session)) == [(2, 20)]
    assert session.samples == 10


def test_what_was_never_sent_cannot_be_confirmed() -> None:
    with pytest.raises(ProtocolError):
        session_of(10).confirm(11)


def test_an_old_confirmation_changes_nothing() -> None:
    session = session_of(10, 10)
    take_all(session)
    session.confirm(10)
    session.confirm(0)
    assert session.samples == 10
    assert session.oldest_sample == 10


def test_a_chunk_that_is_confirmed_in_part_stays_whole() -> None:
    session = session_of(10, 10)
    session.resume(15)
    assert places(take_all(session)) == [(1, 10)]


def test_a_report_is_settled_by_the_first_sample_behind_it() -> None:
    session = session_of(10)
    session.report_leads_off(("II",))
    take_all(session)
    session.confirm(10)
    assert session.is_settled
    session.resume(10)
    assert take_all(session) == [DeviceQuality(10, ("II",))]
    session.append(b"y", 1)
    take_all(session)
    session.confirm(11)
    session.resume(11)
    assert take_all(session) == [DeviceQuality(11, ("II",))], "said again, for a server that has restarted"


def test_a_report_that_got_lost_on_the_way_is_sent_again() -> None:
    session = session_of(10)
    session.report_leads_off(("II",))
    session.append(b"y", 1)
    session.report_leads_off(())
    take_all(session)
    session.confirm(11)
    session.resume(11)
    assert take_all(session) == [DeviceQuality(11, ("II",)), DeviceQuality(11, ())]


def test_of_reports_without_samples_between_them_the_last_one_counts() -> None:
    session = session_of(10)
    for names in (("II",), (), ("V1",)):
        session.report_leads_off(names)
        session.skip(5)
    assert take_all(session)[1:] == [DeviceQuality(20, ("V1",))]


def test_giving_up_takes_whole_chunks_from_the_oldest_on() -> None:
    session = session_of(10, 10, 10)
    session.report_leads_off(("II",))
    take_all(session)
    session.append(b"z", 10)
    assert session.abandon(11) == 20
    assert session.abandon(15) == 20
    assert session.samples == 0
    assert session.oldest_sample == session.next_sample == 40


def test_a_new_beginning_keeps_the_samples_and_starts_all_counts_at_zero() -> None:
    session = session_of(10, 10)
    session.skip(5)
    session.report_leads_off(("II",))
    session.append(b"z" * 10, 10)
    name = session.name
    take_all(session)
    session.confirm(10)
    session.begin_anew()
    assert session.name != name
    assert session.next_sample == 25
    assert take_all(session) == [
        frame(0, 0, b"x" * 10),
        DeviceQuality(15, ("II",)),
        frame(1, 15, b"z" * 10),
    ]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 50)),
        st.tuples(st.just("skip"), st.integers(0, 50)),
        st.tuples(st.just("take"), st.integers(1, 100)),
        st.tuples(st.just("confirm"), st.integers(0, 100)),
        st.tuples(st.just("cut"), st.integers(0, 100)),
        st.tuples(st.just("abandon"), st.integers(1, 60)),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_every_sample_is_received_once_or_counted_as_given_up(steps: list[tuple[str, int]]) -> None:
    """A server that takes what comes in order, over connections that break at any point."""
    session = Session()
    made: set[int] = set()
    received: list[int] = []
    lost = 0
    stands_at = 0
    on_the_way: list[Frame] = []

    def deliver(count: int) -> int:
        nonlocal stands_at
        for frame in on_the_way[:count]:
            assert frame.first >= stands_at, "sent again although it was confirmed"
            received.extend(range(frame.first, frame.first + len(frame.payload)))
            stands_at = frame.first + len(frame.payload)
        del on_the_way[:count]
        return stands_at

    for step, count in steps:
        match step:
            case "append":
                made.update(range(session.next_sample, session.next_sample + count))
                session.append(b"s" * count, count)
            case "skip":
                session.skip(count)
            case "take":
                message = session.take(count)
                on_the_way += decode_bundle(message) if isinstance(message, bytes) else []
            case "confirm":
                session.confirm(deliver(count))
            case "cut":  # some of what was on its way arrives, and nobody hears of it
                stood = deliver(count)
                on_the_way.clear()
                session.resume(stood)
            case _:
                lost += session.abandon(count)
    session.confirm(deliver(len(on_the_way)))
    session.resume(stands_at)
    for item in take_all(session):
        assert isinstance(item, Frame)
        on_the_way.append(item)
    session.confirm(deliver(len(on_the_way)))
    assert session.is_settled
    assert len(received) == len(set(received))
    assert set(received) <= made
    assert len(made) - len(received) <= lost
    assert lost > 0 or set(received) == made
