"""The profiles as the database holds them now, as one frozen value with a version."""

from __future__ import annotations

from typing import Any

from django.apps.registry import Apps
from django.apps.registry import apps as global_apps

from streaming import command_line
from streaming.core.profiles import GroupProfile, ProfileSet
from streaming.exceptions import ProfileError
from streaming.models_profiles import DEFAULT_GROUP, Profile, ProfileVersion, profiles_changed

__all__ = ["current_version", "ensure_default", "keep_default", "load", "profiles_changed"]


def load() -> ProfileSet:
    """All settings and their version; blocks.

    Raises ProfileError, naming the row, when one of them is not valid: the caller keeps what it had.
    """
    # The version first: should a change come in between, the next look at the version loads once more.
    version = current_version()
    rows = list(Profile.objects.all())
    default = next((row for row in rows if row.is_default), None)
    if default is None:
        migrate = command_line.here("manage.py", "migrate")
        raise ProfileError(f"there is no default profile; this makes one: {migrate}")
    profiles = {row.group: _profile(row, default) for row in rows}
    return ProfileSet(version, profiles.pop(DEFAULT_GROUP), profiles)


def current_version() -> int:
    """The number of the last change; 0 before the first. One read of one row; blocks.

    Load again when it differs, not only when it is greater: a flush or a restored backup turns it back.
    """
    return ProfileVersion.objects.values_list("number", flat=True).filter(pk=1).first() or 0


def ensure_default() -> Profile:
    """The default row, made with the shipped values if it is not there."""
    return Profile.objects.default()


def keep_default(*, using: str, apps: Apps = global_apps, **_kwargs: Any) -> None:
    """Receiver of `post_migrate`: the default row is there after the first migration, and after a flush."""
    # `migrate` passes the models as of its last migration; the table may not be there yet, or any more.
    if using == "default" and "profile" in apps.all_models["streaming"]:
        ensure_default()


def _profile(row: Profile, default: Profile) -> GroupProfile:
    row.default = default
    try:
        return row.to_profile()
    except ProfileError as error:
        raise ProfileError(f"profile {row}: {error}") from error
