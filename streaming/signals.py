"""What Django's signals mean here: changed access is announced, and sign-ins are audited."""

from __future__ import annotations

from functools import partial
from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.contrib.sessions.models import Session
from django.db import models, transaction
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest

from streaming.models import ApiToken, Device, DeviceToken, Patient, Stream, Ward
from streaming.models_alarms import PatientAlarms
from streaming.store import audit
from streaming.store.access import access_changed
from streaming.store.alarm_settings import alarm_settings_changed

_User = get_user_model()


def _announce(reason: str, **kwargs: Any) -> None:
    if kwargs.get("raw") or kwargs.get("update_fields") == frozenset({"last_login"}):
        return  # a fixture being loaded; or a login, which gives nobody more or less to see
    transaction.on_commit(partial(access_changed.send_robust, sender=None, reason=reason))


def _connect(reason: str, signal: Any, sender: type[models.Model]) -> None:
    signal.connect(
        partial(_announce, reason), sender=sender, weak=False, dispatch_uid=(reason, id(signal), sender)
    )


# A logout deletes the session row, and so does a changed password for all other sessions of the user.
_connect("session", post_delete, Session)
# The roster tells the limits of each patient.
for _model in (_User, Group, Ward, Stream, Patient, PatientAlarms, Device, DeviceToken, ApiToken):
    _connect(_model.__name__.lower(), post_save, _model)
    _connect(_model.__name__.lower(), post_delete, _model)
for _membership in (
    _User.groups.through,
    _User.user_permissions.through,
    Group.permissions.through,
    Ward.groups.through,
    ApiToken.wards.through,
):
    _connect("membership", m2m_changed, _membership)


@receiver((post_save, post_delete), sender=PatientAlarms)
def _alarm_settings_saved(**_kwargs: Any) -> None:
    transaction.on_commit(partial(alarm_settings_changed.send_robust, sender=None))


@receiver(user_logged_in)
def _signed_in(user: User, **_kwargs: Any) -> None:
    audit.record(f"user:{user.pk}", "user.login", f"user:{user.pk}", "allowed")


@receiver(user_logged_out)
def _signed_out(user: User | None, **_kwargs: Any) -> None:
    if user is not None:  # else a session that had ended already
        audit.record(f"user:{user.pk}", "user.logout", f"user:{user.pk}", "done")


@receiver(user_login_failed)
def _refused(credentials: dict[str, Any], request: HttpRequest | None = None, **_kwargs: Any) -> None:
    _record_failure("denied", credentials.get(_User.USERNAME_FIELD), request)


@receiver(user_locked_out)
def _locked_out(request: HttpRequest, username: str | None = None, **_kwargs: Any) -> None:
    _record_failure("locked", username, request)


def _record_failure(outcome: str, username: str | None, request: HttpRequest | None) -> None:
    """Of whom there is, the id; never what was typed: people type their password into the wrong field."""
    known = _User.objects.filter(**{_User.USERNAME_FIELD: username}).values_list("pk", flat=True).first()
    audit.record_refusal(
        "user.login",
        "user" if known is None else f"user:{known}",
        outcome,
        address=request.META.get("REMOTE_ADDR") if request else None,
    )
