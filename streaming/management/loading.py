"""What a load test needs in the database, made for it and gone with it: beds, devices, who may look."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from django.contrib.auth.models import Group, User
from django.core.management.base import CommandError
from django.db import transaction
from django.utils import timezone

from streaming.core.messages import CONNECTIONS_PER_PRINCIPAL
from streaming.core.streams import Source
from streaming.models import ApiToken, Stream, Ward
from streaming.store import feeds, tokens
from streaming.store.readiness import require_migrated

WARD = "Load test"
USER = "loadtest"
"""It has no password, and is active while a test runs."""
_SPARE = timedelta(hours=1)
"""Tokens end by themselves so long after the test: one that is killed leaves none in force."""


@dataclass(frozen=True, slots=True)
class Access:
    """The tokens of a test; `devices` may be none."""

    devices: tuple[str, ...] = field(repr=False)
    viewers: tuple[str, ...] = field(repr=False)


@contextmanager
def admitted_for_load(patients: int, viewers: int, seconds: float) -> Iterator[Access]:
    """Beds in a ward of their own that one user sees; tokens, admissions, that user's access end with it."""
    require_migrated()
    count = math.ceil(viewers / CONNECTIONS_PER_PRINCIPAL)
    begun: list[feeds.Feed] = []
    issued: list[int] = []
    user = None
    try:
        with transaction.atomic():
            begun = [
                feeds.ensure_feed(WARD, f"Load {number:02}", f"load-{number:02}", Source.SIM)
                for number in range(1, patients + 1)
            ]
            ward = Ward.objects.get(streams=begun[0].stream)
            user = _observer(ward)
            expires = timezone.now() + timedelta(seconds=seconds) + _SPARE
            made = [
                tokens.issue_api_token(
                    user, f"load test {number}", [ward], actor=feeds.ACTOR, expires=expires
                )
                for number in range(1, count + 1)
            ]
            issued = [token.token_id for token in made]
        yield Access(tuple(feed.token for feed in begun), tuple(token.text for token in made))
    except ValueError as error:
        raise CommandError(str(error)) from None
    finally:
        _end(begun, issued, user)


def _observer(ward: Ward) -> User:
    """The user whose tokens these are: it sees this ward and nothing else."""
    user, is_new = User.objects.get_or_create(username=USER)
    if is_new or not user.is_active:
        user.set_unusable_password()
        user.is_active = True
        user.save()
    group, _ = Group.objects.get_or_create(name=WARD)
    user.groups.add(group)
    ward.groups.add(group)
    return user


def _end(begun: list[feeds.Feed], issued: list[int], user: User | None) -> None:
    for token in ApiToken.objects.filter(pk__in=issued):
        tokens.revoke(token, actor=feeds.ACTOR)
        token.delete()
    for feed in begun:
        feeds.end_feed(feed)
        feeds.end_admission(Stream.objects.get(pk=feed.stream), actor=feeds.ACTOR)
    if user is not None and not user.api_tokens.exists():  # another test may run
        user.is_active = False
        user.save()


def access_from(path: Path) -> Access:
    """Tokens out of a file, one a line: `vtd_...` are devices', `vta_...` viewers'; CommandError if none."""
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read the tokens: {error}") from None
    by_kind = {
        kind: tuple(line for line in lines if line.startswith(f"{kind}_"))
        for kind in (tokens.DEVICE_KIND, tokens.API_KIND)
    }
    if not by_kind[tokens.API_KIND]:
        raise CommandError(
            f"{path} has no token of a viewer: one a line, vta_... for viewers, vtd_... for devices"
        )
    return Access(by_kind[tokens.DEVICE_KIND], by_kind[tokens.API_KIND])
