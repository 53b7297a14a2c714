"""Tokens of devices and API users: made, shown once, found again by their digest, rotated, revoked."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import TYPE_CHECKING, TypeVar

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from streaming.models import ApiToken, Device, DeviceToken, Token, Ward
from streaming.store import audit

if TYPE_CHECKING:
    from django.contrib.auth.models import User

DEVICE_KIND = "vtd"
API_KIND = "vta"
ROTATION_OVERLAP = timedelta(minutes=10)
"""How long a device may go on with its old token after a new one was issued."""

_TOKEN = re.compile(r"(vtd|vta)_([a-z2-7]{8})_([A-Za-z0-9_-]{43})")
_NO_DIGEST = "0" * 64
_BASE32_LOWER = "abcdefghijklmnopqrstuvwxyz234567"

T = TypeVar("T", bound=Token)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token in clear: to be shown or used now, for it is stored nowhere."""

    text: str = field(repr=False)
    prefix: str
    expires: datetime | None


def issue_device_token(
    device: Device, *, actor: str, overlap: timedelta = ROTATION_OVERLAP, lifetime: timedelta | None = None
) -> IssuedToken:
    """A new token for `device`; its others end after `overlap`. Three queries."""
    now = timezone.now()
    issued, prefix, digest = _new(DEVICE_KIND, None if lifetime is None else now + lifetime)
    with transaction.atomic():
        ended = _valid(DeviceToken, now).filter(device=device).filter(_outlives(now + overlap))
        count = ended.update(expires=now + overlap)
        token = DeviceToken.objects.create(
            device=device, prefix=prefix, digest=digest, created=now, expires=issued.expires
        )
        audit.record(actor, "token.issue", f"device:{device.pk}", "done", token=token.pk, rotated=count)
    return issued


def issue_api_token(
    user: User, name: str, wards: Iterable[Ward], *, actor: str, lifetime: timedelta | None = None
) -> IssuedToken:
    """A new token with which a program may see `wards`, as far as `user` may. Four queries."""
    now = timezone.now()
    issued, prefix, digest = _new(API_KIND, None if lifetime is None else now + lifetime)
    with transaction.atomic():
        token = ApiToken.objects.create(
            user=user, name=name, prefix=prefix, digest=digest, created=now, expires=issued.expires
        )
        token.wards.set(wards)
        audit.record(actor, "token.issue", f"user:{user.pk}", "done", token=token.pk)
    return issued


def revoke(token: DeviceToken | ApiToken, *, actor: str) -> None:
    """End a token now; live connections that used it are cut. Harmless when it was revoked before."""
    if token.revoked is not None:
        return
    token.revoked = timezone.now()
    token.save(update_fields=["revoked"])
    kind = "device" if isinstance(token, DeviceToken) else "api"
    audit.record(actor, "token.revoke", f"{kind}-token:{token.pk}", "done")


def find_device_token(text: str) -> DeviceToken | None:
    """The valid device token that `text` is, with its device; else None. One query."""
    return _find(DeviceToken, DEVICE_KIND, text, "device")


def find_api_token(text: str) -> ApiToken | None:
    """The valid API token that `text` is, with its user; else None. One query."""
    return _find(ApiToken, API_KIND, text, "user")


def _find(model: type[T], kind: str, text: str, owner: str) -> T | None:
    """Look the prefix up, then compare digests in constant time, also when nothing was found."""
    match = _TOKEN.fullmatch(text)
    prefix = match[2] if match and match[1] == kind else ""
    token = model._default_manager.select_related(owner).filter(prefix=prefix).first()
    same = compare_digest(_digest(text), token.digest if token else _NO_DIGEST)
    return token if token and same and token.is_valid(timezone.now()) else None


def _new(kind: str, expires: datetime | None) -> tuple[IssuedToken, str, str]:
    """Forty random bits to find it by, 256 to prove it with: enough for a plain SHA-256."""
    prefix = "".join(secrets.choice(_BASE32_LOWER) for _ in range(8))
    text = f"{kind}_{prefix}_{secrets.token_urlsafe(32)}"
    return IssuedToken(text, prefix, expires), prefix, _digest(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _valid(model: type[T], now: datetime) -> models.QuerySet[T]:
    return model._default_manager.filter(Q(expires__isnull=True) | Q(expires__gt=now), revoked__isnull=True)


def _outlives(limit: datetime) -> Q:
    return Q(expires__isnull=True) | Q(expires__gt=limit)
