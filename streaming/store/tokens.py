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

from streaming.models import BASE32_LOWER, ApiToken, Device, DeviceToken, Token, Ward
from streaming.store import audit

if TYPE_CHECKING:
    from django.contrib.auth.models import User

DEVICE_KIND = "vtd"
API_KIND = "vta"
ROTATION_OVERLAP = timedelta(minutes=10)
"""How long a device may go on with its old token after a new one was issued."""

_TOKEN = re.compile(r"vt[da]_([a-z2-7]{8})_[A-Za-z0-9_-]{43}")
_NO_DIGEST = "0" * 64

T = TypeVar("T", bound=Token)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token in clear: to be shown or used now, for it is stored nowhere."""

    text: str = field(repr=False)
    prefix: str
    expires: datetime | None
    token_id: int


def issue_device_token(
    device: Device,
    *,
    actor: str,
    overlap: timedelta | None = ROTATION_OVERLAP,
    lifetime: timedelta | None = None,
) -> IssuedToken:
    """A new token for `device`; its others end after `overlap`, or stay as they are where that is None.

    Two queries.
    """
    now = timezone.now()
    token = DeviceToken(device=device, created=now, expires=None if lifetime is None else now + lifetime)
    text = _stamp(token)
    with transaction.atomic():
        count = 0
        if overlap is not None:
            count = _outliving(device, now + overlap).update(expires=now + overlap)
        token.save()
        audit.record(actor, "token.issue", f"device:{device.pk}", "done", token=token.pk, rotated=count)
    return IssuedToken(text, token.prefix, token.expires, token.pk)


def issue_api_token(
    user: User, name: str, wards: Iterable[Ward], *, actor: str, expires: datetime | None = None
) -> IssuedToken:
    """A new token with which a program may see `wards`, as far as `user` may. Four queries."""
    token = ApiToken(user=user, name=name, expires=expires)
    text = _stamp(token)
    with transaction.atomic():
        token.save()
        token.wards.set(wards)
        audit.record(actor, "token.issue", f"user:{user.pk}", "done", token=token.pk)
    return IssuedToken(text, token.prefix, token.expires, token.pk)


def _stamp(token: DeviceToken | ApiToken) -> str:
    """Give an unsaved token its prefix and digest; what is returned is the only copy of its text.

    Forty random bits to find it by, 256 to prove it with: enough for a plain SHA-256.
    """
    kind = DEVICE_KIND if isinstance(token, DeviceToken) else API_KIND
    token.prefix = "".join(secrets.choice(BASE32_LOWER) for _ in range(8))
    text = f"{kind}_{token.prefix}_{secrets.token_urlsafe(32)}"
    token.digest = _digest(text)
    return text


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
    return _find(DeviceToken, text, "device")


def find_api_token(text: str) -> ApiToken | None:
    """The valid API token that `text` is, with its user; else None. One query."""
    return _find(ApiToken, text, "user")


def _find(model: type[T], text: str, owner: str) -> T | None:
    """Look the prefix up, then compare digests in constant time, also when nothing was found."""
    match = _TOKEN.fullmatch(text)
    prefix = match[1] if match else ""
    token = model._default_manager.select_related(owner).filter(prefix=prefix).first()
    same = compare_digest(_digest(text), token.digest if token else _NO_DIGEST)
    return token if token and same and token.is_valid(timezone.now()) else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _outliving(device: Device, limit: datetime) -> models.QuerySet[DeviceToken]:
    """The device's tokens that would still be valid at `limit`."""
    return device.tokens.filter(Q(expires__isnull=True) | Q(expires__gt=limit), revoked__isnull=True)
