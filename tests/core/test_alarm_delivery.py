"""An alarm that nobody says they see is sent again; one that is seen, or over, is not."""

from __future__ import annotations

from streaming.core.alarm_delivery import LONGEST_RESEND_S, RESEND_S, AlarmDelivery


def test_an_alarm_that_was_acked_and_not_displayed_is_sent_again() -> None:
    delivery = AlarmDelivery()
    delivery.told("a", 300)
    assert delivery.due(100.0) == []  # still queued
    assert delivery.queued_bytes == 300
    delivery.written("a", 7)
    assert delivery.queued_bytes == 0
    delivery.acked(6, 0.0)
    assert delivery.due(100.0) == []  # not acked: it is the connection that will be cut
    delivery.acked(7, 100.0)
    assert delivery.due(100.0 + RESEND_S - 0.01) == []
    assert delivery.due(100.0 + RESEND_S) == ["a"]
    assert delivery.due(1000.0) == []  # it is queued anew
    assert delivery.undisplayed == 1


def test_it_is_sent_ever_more_seldom() -> None:
    delivery, now, waits = AlarmDelivery(), 0.0, []
    delivery.told("a", 300)
    for number in range(8):
        delivery.written("a", number)
        delivery.acked(number, now)
        since = now
        while not delivery.due(now):
            now += 0.5
        waits.append(now - since)
    assert waits == [3, 6, 12, 24, 48, LONGEST_RESEND_S, LONGEST_RESEND_S, LONGEST_RESEND_S]


def test_what_is_displayed_is_not_sent_again_however_it_changes() -> None:
    delivery = AlarmDelivery()
    delivery.told("a", 300)
    delivery.written("a", 1)
    delivery.acked(1, 0.0)
    assert delivery.displayed("a")
    assert not delivery.displayed("a")
    delivery.told("a", 300)  # an update
    delivery.written("a", 2)
    delivery.acked(2, 5.0)
    assert delivery.due(1e6) == []
    assert delivery.undisplayed == 0


def test_an_update_before_the_display_waits_for_its_own_ack() -> None:
    delivery = AlarmDelivery()
    delivery.told("a", 300)
    delivery.written("a", 1)
    delivery.acked(1, 0.0)
    delivery.told("a", 300)
    assert delivery.due(1e6) == []
    delivery.written("a", 2)
    delivery.acked(2, 10.0)
    delivery.acked(3, 12.0)  # a later ack of the same does not put it off
    assert delivery.due(10.0 + RESEND_S) == ["a"]


def test_an_alarm_that_is_over_is_forgotten() -> None:
    delivery = AlarmDelivery()
    for alarm in ("a", "b"):
        delivery.told(alarm, 300)
        delivery.written(alarm, 1)
    delivery.acked(1, 0.0)
    delivery.over("a")
    delivery.over("unknown")
    delivery.written("a", 9)
    assert delivery.due(1e6) == ["b"]
    assert delivery.displayed("a")  # said on the way, of one that is over: nothing breaks


def test_what_is_withdrawn_is_not_sent_again_and_its_message_takes_the_place_of_what_waits() -> None:
    delivery = AlarmDelivery()
    delivery.told("a", 300)
    delivery.told("b", 200)
    delivery.withdrawn("a", 50)
    assert (delivery.queued_bytes, delivery.undisplayed) == (250, 1)
    for alarm in ("a", "b"):
        delivery.written(alarm, 1)
    assert delivery.queued_bytes == 0
    delivery.acked(1, 0.0)
    assert delivery.due(100.0) == ["b"]
