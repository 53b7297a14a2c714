"""What other processes do to the server's database; `Shell.run` calls these by name, with plain values."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Count
from django.utils import timezone

from monitoring.models_alerts import Alert, AlertRule, Delivery, NotificationChannel
from monitoring.webhook import secret_of
from streaming.core.alarm_record import AlarmStep
from streaming.core.streams import Source
from streaming.ecg import codec
from streaming.models import ApiToken, AuditEntry, DeviceToken, Stream, StreamEpoch, Ward
from streaming.models_journal import JournalEntry, OpenAlarm
from streaming.models_profiles import Profile
from streaming.store import feeds, history, processes, profiles, tokens
from tests.store import pasts

ACTOR = "system:test"


def admit(device: str, ward: str = "Ward a", source: str = "SIM") -> dict[str, str]:
    """A patient with `device` in `ward`: the stream's id and a token for the device."""
    feed = feeds.ensure_feed(ward, f"patient of {device}", device, Source(source))
    return {"stream": feed.stream, "token": feed.token}


def employ(name: str, *wards: str, password: str | None = None, **fields: Any) -> str:
    """A user who sees these wards, each through a group of its own; an API token for them."""
    user = User.objects.create_user(name, password=password, **fields)
    rows = [
        Ward.objects.get_or_create(slug=ward.lower().replace(" ", "-"), defaults={"name": ward})[0]
        for ward in wards
    ]
    for row in rows:
        group, _ = Group.objects.get_or_create(name=f"{name} in {row.slug}")
        row.groups.add(group)
        user.groups.add(group)
    return tokens.issue_api_token(user, "test", rows, actor=ACTOR).text


def allow(name: str, *codenames: str) -> None:
    """Give a user these permissions of ours."""
    user = User.objects.get(username=name)
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))


def disallow(name: str) -> None:
    """Take all permissions from a user."""
    User.objects.get(username=name).user_permissions.clear()


def journal(alarm: str = "") -> list[dict[str, Any]]:
    """The steps of an alarm, or of all, in the order in which they were stored."""
    rows = JournalEntry.objects.order_by("pk")
    rows = rows.filter(alarm=alarm) if alarm else rows
    return [dict(row) for row in rows.values("alarm", "step", "actor", "hidden")]


def times_raised(kind: str) -> dict[str, int]:
    """How often each alarm of this kind begins in the journal."""
    rows = JournalEntry.objects.filter(step=AlarmStep.RAISED.value, kind=kind)
    return dict(rows.values_list("alarm").annotate(times=Count("pk")))


def open_alarms() -> list[str]:
    """The ids of those that the journal has as open."""
    return list(OpenAlarm.objects.values_list("alarm", flat=True))


def revoke_api_tokens(name: str) -> None:
    """End the API tokens of a user."""
    for token in ApiToken.objects.filter(user__username=name):
        tokens.revoke(token, actor=ACTOR)


def revoke_device_tokens(stream: str) -> None:
    """End the tokens of the device that writes `stream`."""
    for token in DeviceToken.objects.filter(device__streams=stream):
        tokens.revoke(token, actor=ACTOR)


def deactivate(name: str) -> None:
    """A user may no longer sign in."""
    User.objects.filter(username=name).update(is_active=False)


def take_out_of_groups(name: str) -> None:
    """A user loses all wards."""
    User.objects.get(username=name).groups.clear()


def close_ward_to(name: str, ward: str) -> None:
    """The ward's groups lose it, the user stays in them."""
    Ward.objects.get(name=ward).groups.remove(*User.objects.get(username=name).groups.all())


def end_session(key: str) -> None:
    """As a logout elsewhere does."""
    from django.contrib.sessions.backends.db import SessionStore

    SessionStore(key).delete()


def end_admission(stream: str) -> None:
    """The patient leaves the bed."""
    feeds.end_admission(Stream.objects.get(pk=stream), actor=ACTOR)


def set_profile(group: str | None = None, **values: Any) -> int:
    """Change the default profile, or the override of `group`; the version that it is."""
    row = Profile.objects.default() if group is None else Profile(group=group)
    for name, value in values.items():
        setattr(row, name, value)
    row.full_clean()
    row.save()
    return profiles.current_version()


def spoil_profile(group: str, **values: Any) -> int:
    """Set what no form would take, as by hand in the database; the version that it is."""
    Profile.objects.filter(group=group).update(**values)
    return profiles.current_version()


def told_by_processes() -> list[dict[str, Any]]:
    """What each process says of its settings, and when, on the machine's monotonic clock."""
    return [
        {
            "version": known.version,
            "refused": known.refusal and known.refusal.version,
            "at": time.monotonic() - known.silent_s,
        }
        for known in processes.known()
        if not known.is_gone
    ]


def history_of(stream: str) -> list[dict[str, Any]]:
    """What is stored of a stream: of each stretch its epoch, first index, and first lead."""
    epoch_end = 2**32
    stretches = []
    for epoch in StreamEpoch.objects.filter(stream_id=stream):
        for span in history.spans(stream, epoch.number, 0, epoch_end):
            page = history.read(stream, epoch.number, span.first, span.stop, max_bytes=10**7)
            samples = [int(n) for frame in page.frames for n in codec.decode(frame.payload)[0]]
            stretches.append({"epoch": epoch.number, "first": span.first, "samples": samples})
    return stretches


def primary_keys() -> dict[str, dict[str, int]]:
    """For the admin's URLs: users and API tokens by user name."""
    return {
        "user": dict(User.objects.values_list("username", "pk")),
        "token": dict(ApiToken.objects.values_list("user__username", "pk")),
    }


def snapshots(group: str) -> list[dict[str, Any]]:
    """The stored figures of a group, oldest first; `at` is on the machine's monotonic clock."""
    from monitoring.models import MetricsSnapshot

    rows = MetricsSnapshot.objects.filter(group=group).order_by("at", "pk")
    columns = (
        "process",
        "viewers",
        "high_watermark",
        "current_level",
        "sent_messages",
        "bytes_sent",
        "detail",
    )
    return [{"at": _monotonic(row.at), **{name: getattr(row, name) for name in columns}} for row in rows]


def snapshot_gap(group: str) -> dict[str, float]:
    """The longest time without rows of a group, how many the last row says were lost, and what charts say."""
    from monitoring.models import MetricsSnapshot
    from monitoring.periods import Period
    from monitoring.series import series

    rows = MetricsSnapshot.objects.filter(group=group, resolution=0).order_by("at")
    times = list(rows.values_list("at", flat=True))
    holes = [(after - before).total_seconds() for before, after in pairwise(times)]
    period = Period(times[0], times[-1] + timedelta(seconds=1))
    return {
        "hole_s": max(holes),
        "lost_snapshots": rows.values_list("lost_snapshots", flat=True)[len(times) - 1],
        "charts": series(group, None, period, 300, times[-1])["lost_snapshots"],
    }


def audited(action: str) -> int:
    """How often an action is in the audit trail."""
    return AuditEntry.objects.filter(action=action).count()


def set_alert_rule(name: str, **values: Any) -> None:
    """A rule of this name, with these values; made if there is none."""
    row = AlertRule.objects.filter(name=name).first() or AlertRule(name=name)
    for column, value in values.items():
        setattr(row, column, value)
    row.full_clean()
    row.save()


def spoil_alert_rule(name: str, **values: Any) -> None:
    """As an operator may in the database, without any validation."""
    AlertRule.objects.filter(name=name).update(**values)


def tell_webhook(address: str) -> str:
    """A channel that is told everything; its secret."""
    row = NotificationChannel(
        name="hook", kind="webhook", address=address, least_severity="info", salt="salt"
    )
    row.full_clean()
    row.save()
    return secret_of(row.salt)


def alerts(rule: str) -> list[dict[str, Any]]:
    """Those that a rule opened, the oldest first; `at` is the last step of each, on the monotonic clock."""
    rows = Alert.objects.filter(name=rule).order_by("opened_at", "uid")
    names = ("uid", "process", "group", "value", "peak", "reason")
    return [
        {
            **{name: getattr(row, name) for name in names},
            "open": row.resolved_at is None,
            "at": _monotonic(row.resolved_at or row.opened_at),
        }
        for row in rows
    ]


def open_alert(rule: str) -> str:
    """An alert of a process that runs, as it would have stored it; its id."""
    now = timezone.now()
    row = Alert(name=rule, severity="critical", condition="loss > 1 % for 60 s", metric="process_loss")
    row.process = next(known.name for known in processes.known() if not known.is_gone)
    row.opened_at = row.updated_at = now
    row.value = row.peak = 0.025
    row.save(force_insert=True)
    return str(row.pk)


def resolve_alert(uid: str) -> None:
    """It is over."""
    Alert.objects.filter(pk=uid).update(resolved_at=timezone.now(), reason="over")


def messages() -> list[dict[str, Any]]:
    """All messages about alerts, the oldest first."""
    rows = Delivery.objects.order_by("created_at", "uid")
    return [dict(row) for row in rows.values("uid", "process", "state", "attempts", "last_error")]


def audited_details(action: str) -> list[dict[str, Any]]:
    """Who did this, to what, how it went and with which detail, oldest first."""
    rows = AuditEntry.objects.filter(action=action).order_by("at")
    return [dict(row) for row in rows.values("actor", "object", "outcome", "detail")]


def store_past(stream: str, minutes_long: int, *leads: str, calm: bool = False) -> dict[str, float]:
    """As `tests.store.pasts.a_past`."""
    return pasts.a_past(stream, minutes_long=minutes_long, leads=leads or ("II",), calm=calm)


def _monotonic(at: datetime) -> float:
    """A time of a row on the machine's monotonic clock."""
    return time.monotonic() - (timezone.now() - at).total_seconds()
