"""What other processes do to the server's database; `Shell.run` calls these by name, with plain values."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User

from streaming.core.streams import Source
from streaming.ecg import codec
from streaming.models import ApiToken, AuditEntry, DeviceToken, Stream, StreamEpoch, Ward
from streaming.models_profiles import Profile
from streaming.store import feeds, history, tokens

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


def set_profile(group: str | None = None, **values: Any) -> None:
    """Change the default profile, or the override of `group`."""
    row = Profile.objects.default() if group is None else Profile(group=group)
    for name, value in values.items():
        setattr(row, name, value)
    row.full_clean()
    row.save()


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
    """The stored figures of a group, oldest first."""
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
    return [{name: getattr(row, name) for name in columns} for row in rows]


def audited(action: str) -> int:
    """How often an action is in the audit trail."""
    return AuditEntry.objects.filter(action=action).count()
