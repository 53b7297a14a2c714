"""Rules, alerts and messages as the database holds them. All functions block."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When

from monitoring.alert_defaults import SHIPPED
from monitoring.alert_engine import Event, Why
from monitoring.alert_metrics import METRICS, spoken_of
from monitoring.alert_rules import AlertRuleError, Rule, Rules, Severity
from monitoring.delivery_times import MOST_WAITING
from monitoring.models_alerts import Alert, AlertRule, Delivery, DeliveryState, NotificationChannel
from streaming.core.precedence import wards_of
from streaming.models_profiles import places_of
from streaming.store import processes

logger = logging.getLogger(__name__)

MOST_PRUNED = 500
"""Rows of one kind that one look deletes: SQLite holds its write lock for some milliseconds."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The rules that are switched on, as far as they can be judged, and by id why others cannot."""

    rules: Rules
    faults: Mapping[int, str]


def load(held: Rules) -> Loaded:
    """All rules; one that cannot be judged is what it was in `held`, if it was there. One query, or two."""
    found: dict[int, Rule] = {}
    faults: dict[int, str] = {}
    for row in AlertRule.objects.filter(enabled=True).order_by("pk"):
        try:
            found[row.pk] = row.rule()
        except AlertRuleError as error:
            faults[row.pk] = f"{row.name!r}, {error.column}: {error}"
            if row.pk in held.by_id:
                found[row.pk] = held.by_id[row.pk]
    places = places_of(wards_of([rule.pattern for rule in found.values()]))
    return Loaded(Rules(found, places), faults)


@dataclass(frozen=True, slots=True)
class Entry:
    """One alert as it is to be stored; a later one takes the place of all before it."""

    uid: str
    rule: Rule
    group: str
    opened_at: datetime
    updated_at: datetime
    value: float
    peak: float
    resolved_at: datetime | None = None
    why: Why | None = None


def write(entries: Sequence[Entry], process: str) -> int:
    """Store what became of alerts, and a message to each channel that is to hear of it; one transaction.

    The number of messages. An alert whose row another process has resolved meanwhile, because this one was
    silent for too long, is open again, and told again: whoever heard that it is over was misled. One that is
    over is not told twice.
    """
    told: list[tuple[Event, Alert]] = []
    with transaction.atomic():
        for entry in entries:
            row = _row(entry, process)
            if not Alert.objects.filter(pk=row.pk).exists():
                row.save(force_insert=True)
                told.append((Event.OPENED, row))
                if row.resolved_at is not None:
                    told.append((Event.RESOLVED, row))
                continue
            now = {
                name: getattr(row, name)
                for name in ("value", "peak", "updated_at", "severity", "condition", "name")
            }
            if row.resolved_at is None:
                same = Alert.objects.filter(pk=row.pk)
                if same.exclude(resolved_at=None).update(**now, resolved_at=None, reason=""):
                    told.append((Event.OPENED, row))
                else:
                    same.update(**now)
            elif _resolve(row.pk, row.resolved_at, row.reason, **now):
                told.append((Event.RESOLVED, row))
        return _enqueue(told, process)


def resolve_orphans(process: str, now: datetime) -> int:
    """Resolve what processes have left open that are not there any more; how many alerts that were.

    Whichever process is first does it, and tells of it. `process` is the one that looks, and its own are its
    own business. While the database has not taken its own word either, it judges nobody by theirs.
    """
    known = processes.known()
    if any(each.name == process and each.is_gone for each in known):
        return 0
    living = {process, *(each.name for each in known if not each.is_gone)}
    orphans = Alert.objects.filter(resolved_at=None).exclude(process__in=living)
    if not orphans.exists():
        return 0
    with transaction.atomic():
        rows = list(orphans)
        told = []
        for row in rows:
            at = max(now, row.opened_at)
            if _resolve(row.pk, at, Why.PROCESS_LOST, updated_at=at):
                row.resolved_at, row.reason = at, Why.PROCESS_LOST
                told.append((Event.RESOLVED, row))
        _enqueue(told, process)
    return len(told)


def living_processes() -> set[str]:
    """Those that have told of themselves within the last seconds."""
    return {each.name for each in processes.known() if not each.is_gone}


def prune(now: datetime) -> int:
    """Delete some of what was resolved, or delivered, VITAL_ALERT_DAYS ago; how many rows."""
    before = now - timedelta(days=settings.VITAL_ALERT_DAYS)
    alerts = Alert.objects.filter(resolved_at__lt=before)
    done = Delivery.objects.exclude(state=DeliveryState.WAITING).filter(created_at__lt=before)
    deleted = 0
    for old in (alerts, done):
        chosen = list(old.order_by().values_list("pk", flat=True)[:MOST_PRUNED])
        deleted += old.model._default_manager.filter(pk__in=chosen).delete()[0] if chosen else 0
    return deleted


def open_alerts() -> QuerySet[Alert]:
    """The open alerts of all processes, the gravest first, then the newest."""
    rank = Case(
        *(When(severity=each, then=Value(each.rank)) for each in Severity), output_field=IntegerField()
    )
    return Alert.objects.filter(resolved_at=None).order_by(rank.desc(), "-opened_at", "uid")


@dataclass(frozen=True, slots=True)
class OpenNow:
    """The gravest of the open alerts of all processes, and how many there are in all."""

    gravest: list[Alert]
    count: int


def open_now(most: int) -> OpenNow:
    """One query, or two where there are more."""
    rows = list(open_alerts()[:most])
    return OpenNow(rows, len(rows) if len(rows) < most else open_alerts().count())


def may_see(user: AbstractUser) -> bool:
    """Whether somebody may be told of alerts, as their own page has it."""
    return user.has_perm("monitoring.view_alert") or user.has_perm("monitoring.change_alert")


def restore_shipped() -> tuple[list[AlertRule], list[AlertRule]]:
    """Make the shipped rules what they were: those that were changed, and those that were gone.

    A rule of an operator's that has a shipped one's name keeps it; the shipped one has its key behind it.
    """
    changed, made = [], []
    with transaction.atomic():
        rows = {row.key: row for row in AlertRule.objects.exclude(key=None)}
        for values in SHIPPED:
            wanted = {**values, "name": _free_name(values["name"], values["key"])}
            row = rows.get(values["key"])
            if row is None:
                made.append(AlertRule.objects.create(**wanted))
            elif any(getattr(row, name) != value for name, value in wanted.items()):
                for name, value in wanted.items():
                    setattr(row, name, value)
                row.save()
                changed.append(row)
    return changed, made


def enqueue_test(channel: NotificationChannel) -> Delivery:
    """A message that says that it is a test, for whichever process is first."""
    return Delivery.objects.create(channel=channel, kind="test", told=[])


def _free_name(name: str, key: str) -> str:
    taken = AlertRule.objects.filter(name=name).exclude(key=key).exists()
    return f"{name} ({key})" if taken else name


def _row(entry: Entry, process: str) -> Alert:
    rule = entry.rule
    return Alert(
        uid=entry.uid,
        rule_id=rule.id if AlertRule.objects.filter(pk=rule.id).exists() else None,
        name=rule.name,
        severity=rule.severity.value,
        condition=rule.condition[:200],
        metric=rule.metric,
        group=entry.group,
        process=process,
        opened_at=entry.opened_at,
        updated_at=entry.updated_at,
        resolved_at=entry.resolved_at,
        reason="" if entry.why is None else entry.why.value,
        value=entry.value,
        peak=entry.peak,
    )


def _resolve(uid: str, at: datetime, reason: str, **now: object) -> bool:
    """Whether it was open until now."""
    return bool(Alert.objects.filter(pk=uid, resolved_at=None).update(resolved_at=at, reason=reason, **now))


def _enqueue(told: Sequence[tuple[Event, Alert]], process: str) -> int:
    """One message to each channel with all that it is to hear; none to one whose queue is full."""
    if not told:
        return 0
    advice = dict(AlertRule.objects.values_list("pk", "advice"))
    waiting = Count("deliveries", filter=Q(deliveries__state=DeliveryState.WAITING))
    messages = []
    for channel in NotificationChannel.objects.filter(enabled=True).annotate(waiting=waiting):
        heard = [_told(event, row, advice) for event, row in told if channel.takes(row.severity)]
        if not heard:
            continue
        message = Delivery(channel=channel, kind="alerts", told=heard, process=process)
        if channel.waiting >= MOST_WAITING:
            message.state, message.done_at = DeliveryState.GIVEN_UP, message.created_at
            message.last_error = f"{MOST_WAITING} messages wait already"
            logger.warning("channel %d is told no more: %s", channel.pk, message.last_error)
        messages.append(message)
    Delivery.objects.bulk_create(messages)
    return len(messages)


def _told(event: Event, row: Alert, advice: Mapping[int, str]) -> dict[str, object]:
    """As a message says it; see docs/operations.md."""
    metric = METRICS.get(row.metric)
    return {
        "event": event.value,
        "alert": row.uid,
        "rule": row.name,
        "severity": row.severity,
        "condition": row.condition,
        "metric": row.metric,
        "unit": "" if metric is None else metric.unit,
        "value": row.value,
        "value_text": spoken_of(row.metric, row.value),
        "peak": row.peak,
        "peak_text": spoken_of(row.metric, row.peak),
        "group": row.group,
        "process": row.process,
        "opened_at": row.opened_at.isoformat(),
        "resolved_at": None
        if row.resolved_at is None or event is Event.OPENED
        else row.resolved_at.isoformat(),
        "reason": row.reason if event is Event.RESOLVED else "",
        "advice": advice.get(row.rule_id or 0, ""),
    }
