"""Pins of the history as rows: written once, and made longer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from streaming.models_history import HistoryPin
from streaming.pins import Pin
from streaming.store.routing import HISTORY

REASON_LENGTH = 80


def write(pins: Sequence[Pin], *, keep: timedelta, now: datetime) -> None:
    """Store them in one transaction, each for so long; a pin of the same beginning takes the new end."""
    until = now + keep
    with transaction.atomic(using=HISTORY):
        for pin in pins:
            same = HistoryPin.objects.filter(stream=pin.stream, epoch=pin.epoch, first=pin.first)
            if not same.update(stop=pin.stop, until=until):
                HistoryPin.objects.create(
                    stream=pin.stream,
                    epoch=pin.epoch,
                    first=pin.first,
                    stop=pin.stop,
                    reason=pin.reason[:REASON_LENGTH],
                    until=until,
                    made_at=now,
                )
