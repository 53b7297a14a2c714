"""Messages about alerts on their way: one thread takes what is due, sends it, and writes how it went."""

from __future__ import annotations

import logging
import smtplib
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from django.conf import settings
from django.core import mail
from django.db import Error as DatabaseFault
from django.db import close_old_connections, connections
from django.utils import timezone

from monitoring import alert_messages, alert_store, webhook
from monitoring.channel_addresses import recipients
from monitoring.delivery_times import MOST_ATTEMPTS, retry_s
from monitoring.models_alerts import ChannelKind, Delivery, DeliveryState
from monitoring.webhook import DeliveryError, Parcel
from streaming.conf import NOTICE

logger = logging.getLogger(__name__)

POLL_S = 1.0
LEASE_S = 120.0
"""After this a process that began to send a message, and said no more of it, is taken to have failed."""
LIVING_EVERY_S = 5.0
MOST_AT_ONCE = 20
"""Messages in one round."""
NO_MAIL = "django.core.mail.backends.dummy.EmailBackend"
"""What the settings have without EMAIL_URL."""


Now = Callable[[], datetime]


def deliver_due(process: str, living: set[str], now: Now, rng: Random) -> int:
    """Send what is due of this process, and of those that are gone; how many were tried. Blocks.

    A channel that fails has its next turn in the next round: it must not hold up the others.
    """
    foreign = living - {process}
    due = Delivery.objects.filter(state=DeliveryState.WAITING, next_at__lte=now())
    chosen = due.exclude(process__in=foreign).select_related("channel").order_by("next_at")[:MOST_AT_ONCE]
    tried, failed = 0, set[int]()
    for message in chosen:
        if message.channel_id not in failed and _take(message, now()):
            tried += 1
            if not _attempt(message, now, rng):
                failed.add(message.channel_id)
    return tried


def _take(message: Delivery, now: datetime) -> bool:
    """Whether this attempt is ours: of all processes that want to make it, one may."""
    unclaimed = Delivery.objects.filter(pk=message.pk, state=DeliveryState.WAITING, attempts=message.attempts)
    message.attempts += 1
    return bool(unclaimed.update(attempts=message.attempts, next_at=now + timedelta(seconds=LEASE_S)))


def _attempt(message: Delivery, now: Now, rng: Random) -> bool:
    """Send it once, and write how that went; whether it was delivered."""
    written: dict[str, object] = {"state": DeliveryState.DELIVERED, "last_error": ""}
    fault = None
    try:
        _send(message, now())
    except DeliveryError as error:
        fault = error
    except Exception as error:  # a fault of ours: what waits for others is sent all the same, and this ends
        logger.exception("message %s to channel %d could not be made", message.pk, message.channel_id)
        fault = DeliveryError(f"it could not be made ({type(error).__name__}): see the log")
    if fault is None:
        written["done_at"] = now()
        logger.info("message %s to channel %d is delivered", message.pk, message.channel_id)
    else:
        is_final = fault.is_final or message.kind == "test"
        wait_s = None if is_final else retry_s(message.attempts, rng)
        written = {"last_error": str(fault)[:200]}
        if wait_s is None:
            written |= {"state": DeliveryState.GIVEN_UP, "done_at": now()}
        else:
            written["next_at"] = now() + timedelta(seconds=wait_s)
        logger.warning(
            "message %s to channel %d is not delivered (attempt %d of %d, %s): %s",
            message.pk,
            message.channel_id,
            message.attempts,
            MOST_ATTEMPTS,
            "given up" if wait_s is None else f"again in {wait_s:.0f} s",
            fault,
        )
    Delivery.objects.filter(pk=message.pk).update(**written)
    return fault is None


def _send(message: Delivery, now: datetime) -> None:
    """Raises DeliveryError."""
    channel = message.channel
    if not channel.enabled and message.kind != "test":
        raise DeliveryError("the channel is switched off", is_final=True)
    if channel.kind == ChannelKind.EMAIL:
        _mail(message)
        return
    content = alert_messages.body(message.pk, message.kind, message.created_at.isoformat(), message.told)
    parcel = Parcel(message.pk, content, webhook.secret_of(channel.salt))
    webhook.post(channel.address, parcel, int(now.timestamp()))


def _mail(message: Delivery) -> None:
    if settings.EMAIL_BACKEND == NO_MAIL:
        raise DeliveryError("no mail server is set: EMAIL_URL", is_final=True)
    letter = mail.EmailMessage(
        alert_messages.subject(message.kind, message.told),
        alert_messages.text(message.kind, message.told, NOTICE),
        settings.DEFAULT_FROM_EMAIL,
        recipients(message.channel.address),
        headers={"Message-ID": f"<{message.pk}@vital>", "Auto-Submitted": "auto-generated"},
    )
    try:
        letter.send(fail_silently=False)
    except smtplib.SMTPResponseException as error:
        # A server's 5xx is final; its words may quote the addresses.
        raise DeliveryError(
            f"the mail server says {error.smtp_code}", is_final=error.smtp_code >= 500
        ) from None
    except smtplib.SMTPRecipientsRefused:
        raise DeliveryError("the mail server refuses every recipient") from None
    except (OSError, smtplib.SMTPException) as error:
        raise DeliveryError(f"the mail server was not reached ({type(error).__name__})") from None


class Deliverer:
    """Runs `deliver_due` again and again, in a daemon thread with a connection of its own.

    `wake` says that there may be something new. The owner calls `start`, then `end`. Nobody waits for what is
    just being sent: if the process ends before it, another sends it again after LEASE_S, under the same id.
    """

    def __init__(
        self,
        process_id: str,
        *,
        now: Now = timezone.now,
        rng: Random | None = None,
    ) -> None:
        self._process_id = process_id
        self._now = now
        self._rng = rng or Random()  # nosec B311
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._fault = ""
        self._thread = threading.Thread(target=self._run, name="alerts: deliveries", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    def end(self) -> None:
        """Begin nothing more; returns at once."""
        self._ended.set()
        self._wake.set()

    def _run(self) -> None:
        living: set[str] = set()
        asked_at = -LIVING_EVERY_S
        while not self._ended.is_set():
            self._wake.wait(POLL_S)
            self._wake.clear()
            if self._ended.is_set():
                break
            close_old_connections()
            try:
                if time.monotonic() - asked_at >= LIVING_EVERY_S:
                    living, asked_at = alert_store.living_processes(), time.monotonic()
                deliver_due(self._process_id, living, self._now, self._rng)
                self._fault = ""
            except DatabaseFault as error:
                self._note(f"the database failed ({type(error).__name__})")
            except Exception as error:  # a fault of ours: what waits for others must be sent all the same
                self._note(repr(type(error)))
                logger.exception("a message about alerts could not be sent")
        connections.close_all()

    def _note(self, fault: str) -> None:
        """Say it once."""
        if fault != self._fault:
            self._fault = fault
            logger.warning("messages about alerts wait: %s", fault)
