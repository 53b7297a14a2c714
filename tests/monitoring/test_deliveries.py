"""Messages arrive once, are tried again ever later, and outlive the process that was to send them."""

from __future__ import annotations

import json
import logging
import smtplib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from django.core import mail

from monitoring import alert_store, deliveries, webhook
from monitoring.deliveries import LEASE_S, Deliverer, deliver_due
from monitoring.delivery_times import MOST_ATTEMPTS, MOST_RETRY_S
from monitoring.models_alerts import ChannelKind, Delivery, DeliveryState, NotificationChannel
from tests.monitoring.receiver import Receiver, is_from_vital, receiver
from tests.monitoring.test_alert_store import channel, entry, rule

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    """The time that the tests decide."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def go(self, seconds: float) -> None:
        """Later."""
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def there(settings: Any) -> Iterator[Receiver]:
    with receiver() as listening:
        settings.VITAL_WEBHOOK_HOSTS = [listening.host]
        yield listening


def hook(there: Receiver, **values: Any) -> NotificationChannel:
    return channel("hook", kind=ChannelKind.WEBHOOK, address=there.url, salt="s", **values)


def opened(process: str = "p1") -> Delivery:
    """An alert that a process told of."""
    alert_store.write([entry(rule())], process)
    message = Delivery.objects.get()
    Delivery.objects.update(created_at=NOON, next_at=NOON)
    return message


def due(clock: Clock, process: str = "p1", living: set[str] = frozenset({"p1"})) -> int:  # type: ignore[assignment]
    return deliver_due(process, set(living), clock, Random(1))


def test_webhook_is_delivered_once_signed_and_recorded(there: Receiver, clock: Clock) -> None:
    hook(there)
    message = opened()
    assert due(clock) == 1
    assert due(clock) == 0
    (one,) = there.received
    assert is_from_vital(webhook.secret_of("s"), one.headers, one.content, NOON.timestamp())
    assert json.loads(one.content)["id"] == message.pk
    message.refresh_from_db()
    assert (message.state, message.attempts, message.done_at) == (DeliveryState.DELIVERED, 1, NOON)


def test_failures_are_tried_again_ever_later_with_the_same_message(there: Receiver, clock: Clock) -> None:
    hook(there)
    message = opened()
    there.statuses = [500, 503]
    waits = []
    while True:
        due(clock)
        message.refresh_from_db()
        if message.state != DeliveryState.WAITING:
            break
        waits.append((message.next_at - clock.now).total_seconds())
        clock.go(waits[-1] - 0.01)
        assert due(clock) == 0, "too early"
        clock.go(0.02)
    assert len(waits) == 2
    assert 2.5 <= waits[0] <= 5 <= waits[1] <= 10
    assert (message.state, message.attempts, message.last_error) == (DeliveryState.DELIVERED, 3, "")
    assert len({one.content for one in there.received}) == 1
    assert len({one.headers["VITAL-Timestamp"] for one in there.received}) == 3, "each attempt is signed anew"


def test_attempts_end(there: Receiver, clock: Clock) -> None:
    hook(there)
    message = opened()
    there.statuses = [500] * 100
    for _ in range(MOST_ATTEMPTS + 5):
        due(clock)
        clock.go(MOST_RETRY_S)
    message.refresh_from_db()
    assert (message.state, message.attempts) == (DeliveryState.GIVEN_UP, MOST_ATTEMPTS)
    assert message.last_error == "the answer is 500"
    assert len(there.received) == MOST_ATTEMPTS


def test_what_will_never_be_taken_is_given_up_at_once(there: Receiver, clock: Clock) -> None:
    hook(there)
    message = opened()
    there.statuses = [404]
    due(clock)
    message.refresh_from_db()
    assert (message.state, message.attempts) == (DeliveryState.GIVEN_UP, 1)


def test_message_of_a_living_process_is_left_to_it_and_of_a_dead_one_sent(
    there: Receiver, clock: Clock
) -> None:
    hook(there)
    opened("p1")
    assert due(clock, "p2", {"p1", "p2"}) == 0
    assert due(clock, "p2", {"p2"}) == 1
    assert len(there.received) == 1


def test_two_processes_do_not_both_make_an_attempt(
    there: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook(there)
    opened("dead")
    take = deliveries._take
    tried: list[int] = []

    def raced(message: Delivery, now: datetime) -> bool:
        """The other process is faster, between our look and our claim."""
        if not tried:
            tried.append(0)
            tried.append(due(clock, "p3", {"p2", "p3"}))
        return take(message, now)

    monkeypatch.setattr(deliveries, "_take", raced)
    assert due(clock, "p2", {"p2", "p3"}) == 0
    assert tried[1] == 1
    assert len(there.received) == 1


def test_attempt_that_one_process_has_begun_is_no_other_s(there: Receiver, clock: Clock) -> None:
    hook(there)
    opened("dead")
    one, other = (Delivery.objects.select_related("channel").get() for _ in range(2))
    assert deliveries._take(one, clock.now)
    assert not deliveries._take(other, clock.now)


def test_attempt_that_a_dying_process_began_is_made_again_after_its_lease(
    there: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook(there)
    message = opened()

    def die(*_args: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(deliveries, "_send", die)
        with pytest.raises(SystemExit):
            due(clock)
    assert due(clock, "p2", {"p2"}) == 0
    clock.go(LEASE_S + 1)
    assert due(clock, "p2", {"p2"}) == 1
    message.refresh_from_db()
    assert (message.state, message.attempts) == (DeliveryState.DELIVERED, 2)
    assert len(there.received) == 1


def test_channel_that_fails_does_not_hold_up_another(there: Receiver, clock: Clock) -> None:
    bad = hook(there)
    good = channel("ops")
    Delivery.objects.bulk_create(
        Delivery(channel=bad, kind="alerts", told=[], next_at=NOON, process="p1") for _ in range(3)
    )
    Delivery.objects.create(channel=good, kind="test", next_at=NOON, process="p1")
    there.statuses = [500] * 10
    assert due(clock) == 2
    assert len(there.received) == 1
    assert len(mail.outbox) == 1


def test_message_that_cannot_be_made_holds_up_no_other_and_is_given_up_in_the_end(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = channel("bad"), channel("good")
    spoilt = Delivery.objects.create(channel=bad, kind="alerts", told=[{}], next_at=NOON, process="p1")
    Delivery.objects.create(channel=good, kind="test", next_at=NOON + timedelta(seconds=1), process="p1")
    clock.go(1)
    assert due(clock) == 2
    assert len(mail.outbox) == 1
    for _ in range(MOST_ATTEMPTS + 5):
        clock.go(MOST_RETRY_S)
        due(clock)
    spoilt.refresh_from_db()
    assert (spoilt.state, spoilt.attempts) == (DeliveryState.GIVEN_UP, MOST_ATTEMPTS)
    assert spoilt.last_error == "it could not be made (KeyError): see the log"
    assert "could not be made" in caplog.text


def test_mail_is_sent_with_its_id_and_to_all(clock: Clock, settings: Any) -> None:
    settings.DEFAULT_FROM_EMAIL = "vital@example.org"
    channel(address="ops@example.org, it@example.org")
    message = opened()
    assert due(clock) == 1
    (letter,) = mail.outbox
    assert letter.to == ["ops@example.org", "it@example.org"]
    assert letter.from_email == "vital@example.org"
    assert letter.subject == "[VITAL] warning: pressed"
    assert "pressure > 50 % for 60 s" in letter.body
    assert "Not a medical device." in letter.body
    assert letter.extra_headers["Message-ID"] == f"<{message.pk}@vital>"
    message.refresh_from_db()
    assert message.state == DeliveryState.DELIVERED


@pytest.mark.parametrize(
    ("fault", "state", "said"),
    [
        (smtplib.SMTPServerDisconnected("gone"), "waiting", "was not reached"),
        (ConnectionRefusedError(), "waiting", "was not reached"),
        (smtplib.SMTPDataError(451, b"later, ops@example.org"), "waiting", "says 451"),
        (smtplib.SMTPDataError(550, b"never, ops@example.org"), "given up", "says 550"),
        (smtplib.SMTPRecipientsRefused({"ops@example.org": (550, b"no")}), "waiting", "refuses every"),
    ],
)
def test_mail_server_that_fails_is_told_without_its_words(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, fault: Exception, state: str, said: str
) -> None:
    def send(*_args: Any, **_kwargs: Any) -> int:
        raise fault

    monkeypatch.setattr(mail.EmailMessage, "send", send)
    channel()
    message = opened()
    due(clock)
    message.refresh_from_db()
    assert message.state == state
    assert said in message.last_error
    assert "example.org" not in message.last_error


def test_without_a_mail_server_it_is_said(clock: Clock, settings: Any) -> None:
    settings.EMAIL_BACKEND = deliveries.NO_MAIL
    channel()
    message = opened()
    due(clock)
    message.refresh_from_db()
    assert (message.state, message.last_error) == ("given up", "no mail server is set: EMAIL_URL")


def test_test_message_is_tried_once_even_of_a_channel_that_is_off(there: Receiver, clock: Clock) -> None:
    hooked = hook(there, enabled=False)
    there.statuses = [500]
    message = alert_store.enqueue_test(hooked)
    Delivery.objects.update(next_at=NOON)
    assert due(clock) == 1
    message.refresh_from_db()
    assert (message.state, message.last_error) == (DeliveryState.GIVEN_UP, "the answer is 500")
    assert json.loads(there.received[0].content)["kind"] == "test"


def test_channel_that_was_switched_off_meanwhile_is_told_no_more(there: Receiver, clock: Clock) -> None:
    hook(there)
    message = opened()
    NotificationChannel.objects.update(enabled=False)
    due(clock)
    message.refresh_from_db()
    assert (message.state, message.last_error) == ("given up", "the channel is switched off")
    assert there.received == []


def test_log_names_neither_address_nor_secret(
    there: Receiver, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "monitoring")
    hooked = hook(there)
    opened()
    there.statuses = [500]
    due(clock)
    clock.go(10)
    due(clock)
    assert f"to channel {hooked.pk} is not delivered (attempt 1 of {MOST_ATTEMPTS}, again in" in caplog.text
    assert f"to channel {hooked.pk} is delivered" in caplog.text
    assert "127.0.0.1" not in caplog.text
    assert "vtw_" not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_thread_sends_what_comes_and_ends(there: Receiver) -> None:
    hook(there)
    deliverer = Deliverer("p1")
    deliverer.start()
    alert_store.write([entry(rule())], "p1")
    deliverer.wake()
    there.until(1)
    deliverer.end()
    deliverer._thread.join(10)
    assert not deliverer._thread.is_alive()
    assert Delivery.objects.get().state == DeliveryState.DELIVERED
