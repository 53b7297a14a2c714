"""Two wards, their patients and staff: what the tests of access begin with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group, User
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from streaming.core.streams import Source
from streaming.models import Device, Stream, Ward
from streaming.store import access, feeds, tokens
from streaming.store.access import Principal

NAMES = ("Zaunkoenig", "Rotkehlchen", "Kleiber", "Buntspecht")
"""Display names; they must turn up in rosters and nowhere else."""


NO_ALARM_SETTINGS = {"alarms-TOTAL_FORMS": "0", "alarms-INITIAL_FORMS": "0"}
"""What the admin's form of a patient also sends, where nothing is set about its alarms."""


@dataclass(frozen=True, slots=True)
class Hospital:
    """Wards a and b with a group each; streams by ward; one admission of ward a has ended."""

    wards: dict[str, Ward]
    groups: dict[str, Group]
    streams: dict[str, Stream]
    ended: Stream

    def user(self, name: str, *wards: str, **fields: Any) -> User:
        """Somebody whose groups see these wards; without a password, whose hash would take 0.3 s."""
        user = User.objects.create_user(name, **fields)
        user.groups.set([self.groups[ward] for ward in wards])
        return user

    def device(self, ward: str) -> Device:
        """The device that lies in a ward."""
        return self.streams[ward].device


def hospital() -> Hospital:
    """Make it."""
    wards, groups, streams = {}, {}, {}
    for at, letter in enumerate("ab"):
        stream = feeds.ensure_admission(f"Ward {letter}", NAMES[at], f"device {letter}", Source.SIM)
        group = Group.objects.create(name=f"staff {letter}")
        stream.ward.groups.add(group)
        wards[letter], groups[letter], streams[letter] = stream.ward, group, stream
    ended = feeds.ensure_admission("Ward a", NAMES[2], "device c", Source.LIVE)
    feeds.end_admission(ended, actor="system:test")
    return Hospital(wards, groups, streams, ended)


def session_of(user: User) -> Principal:
    """The principal of a browser in which `user` signed in."""
    client = Client()
    client.force_login(user)
    return access.principal_from_session(client.session.session_key, user)


def api_token_of(user: User, *wards: Ward) -> str:
    """A fresh API token for these wards."""
    return tokens.issue_api_token(user, "test", wards, actor="system:test").text


def session_store(principal: Principal) -> SessionStore:
    """The session behind a principal."""
    return SessionStore(principal.session_key)
