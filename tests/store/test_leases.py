"""The leases of streams in a real table: one holder, by the database's clock."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F
from pytest_django import DjangoAssertNumQueries

from streaming.core.position import SampleRange
from streaming.ingest import SILENCE_S
from streaming.models_lease import StreamLease
from streaming.store import leases
from streaming.store.leases import Lease
from tests.store.people import Hospital


@pytest.fixture
def stream(place: Hospital) -> str:
    return place.streams["a"].pk


def take(stream: str, session: str = "one", process: str = "here", at: int = 0) -> int | None:
    return leases.take(stream, session, process, seen=leases.read(stream), next_sample=at)


def grow_old(stream: str, seconds: float) -> None:
    rows = StreamLease.objects.filter(pk=stream)
    rows.update(expires_at=F("expires_at") - timedelta(seconds=seconds))


def test_it_lasts_as_long_as_a_session_may_be_silent() -> None:
    assert leases.LEASE.total_seconds() == SILENCE_S


def test_nobody_has_a_stream_that_was_never_written(stream: str) -> None:
    assert leases.read(stream) == Lease()
    assert leases.online([stream]) == set()


def test_it_is_in_force_until_it_expires(stream: str) -> None:
    assert take(stream, at=25) == 1
    lease = leases.read(stream)
    assert (lease.session, lease.process, lease.token, lease.next_sample) == ("one", "here", 1, 25)
    assert lease.is_open
    assert lease.in_force
    assert leases.online([stream, "nobody"]) == {stream}
    grow_old(stream, 9)
    assert leases.read(stream).in_force
    grow_old(stream, 2)
    assert leases.read(stream).is_open
    assert not leases.read(stream).in_force
    assert leases.online([stream]) == set()


@pytest.mark.parametrize("is_new", [True, False])
def test_of_two_who_saw_the_same_one_gets_it(stream: str, is_new: bool) -> None:
    if not is_new:
        take(stream)
    seen = leases.read(stream)
    assert leases.take(stream, "two", "here", seen=seen, next_sample=0) == seen.token + 1
    assert leases.take(stream, "three", "there", seen=seen, next_sample=0) is None
    assert leases.read(stream).session == "two"


def test_a_session_that_goes_on_keeps_the_time_when_it_began(stream: str) -> None:
    take(stream)
    began = leases.read(stream).began_at
    take(stream, process="there")
    assert leases.read(stream).began_at == began
    take(stream, session="two")
    again = leases.read(stream).began_at
    assert began is not None
    assert again is not None
    assert again > began


def test_a_renewal_is_one_statement_for_all_and_tells_what_was_taken(
    place: Hospital, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    a, b = (place.streams[ward].pk for ward in "ab")
    take(a)
    take(b)
    grow_old(a, 9)
    with django_assert_num_queries(1):
        assert leases.renew("here", {a: 250, b: 500}) == set()
    assert [leases.read(each).next_sample for each in (a, b)] == [250, 500]
    grow_old(a, 9)
    assert leases.read(a).in_force
    take(b, process="there", at=600)
    with django_assert_num_queries(2):
        assert leases.renew("here", {a: 300, b: 700}) == {b}
    assert [leases.read(each).next_sample for each in (a, b)] == [300, 600]


def test_an_ended_session_leaves_the_stream_to_any(stream: str) -> None:
    take(stream)
    leases.end("there", {stream: 9}, {stream: 1})
    leases.end("here", {stream: 9}, {stream: 0})
    assert leases.read(stream).in_force
    leases.end("here", {stream: 9}, {stream: 1})
    lease = leases.read(stream)
    assert (lease.is_open, lease.in_force, lease.next_sample) == (False, False, 9)


def test_who_gives_up_leaves_the_position_and_the_holes(stream: str) -> None:
    take(stream)
    leases.give_up("there", {stream: 1}, {stream: (SampleRange(0, 1),)})
    assert (leases.read(stream).process, leases.read(stream).holes) == ("here", ())
    leases.give_up("here", {stream: 90}, {stream: (SampleRange(10, 20), SampleRange(40, 50))})
    lease = leases.read(stream)
    assert (lease.process, lease.next_sample, lease.in_force) == ("", 90, True)
    assert lease.holes == (SampleRange(10, 20), SampleRange(40, 50))
    take(stream, at=90)
    assert leases.read(stream).holes == ()
