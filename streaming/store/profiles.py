"""The profiles as the database holds them now, as one frozen value with a version."""

from __future__ import annotations

from collections.abc import Iterable

from django.apps.registry import Apps
from django.apps.registry import apps as global_apps

from streaming import command_line
from streaming.core.precedence import DEFAULT_NAME, resolve, wards_of
from streaming.core.profiles import ProfileSet
from streaming.exceptions import ProfileError
from streaming.models_profile_versions import ProfileVersion, profiles_changed
from streaming.models_profiles import Profile, places_of

__all__ = ["current_version", "ensure_default", "keep_default", "load", "places", "profiles_changed"]


def load() -> ProfileSet:
    """All settings and their version; blocks.

    Raises ProfileError, naming the row, when one of them is not valid: the caller keeps what it had.
    """
    # The version first: should a change come in between, the next look at the version loads once more.
    version = current_version()
    rows = Profile.objects.all().as_rows()
    if DEFAULT_NAME not in rows:
        migrate = command_line.here("manage.py", "migrate")
        raise ProfileError(f"there is no default profile; this makes one: {migrate}")
    return resolve(rows, places_of(wards_of(rows)), version)


def current_version() -> int:
    """The number of the last change; 0 before the first. One read of one row; blocks.

    Load again when it differs, not only when it is greater: a flush or a restored backup turns it back.
    """
    return ProfileVersion.objects.values_list("number", flat=True).filter(pk=1).first() or 0


def places(wards: Iterable[str]) -> dict[str, str]:
    """Which group lies in which of these wards; load again when that changes. Blocks, if there are any."""
    return places_of(wards)


def ensure_default() -> Profile:
    """The default row, made with the shipped values if it is not there."""
    return Profile.objects.default()


def keep_default(*, using: str, apps: Apps = global_apps, **_kwargs: object) -> None:
    """Receiver of `post_migrate`: the default row is there after the first migration, and after a flush."""
    # `migrate` passes the models as of its last migration; the tables may not be there yet, or any more.
    if using == "default" and _columns(apps) == _columns(global_apps):
        ensure_default()


def _columns(apps: Apps) -> dict[str, set[str]]:
    """What the tables of the profiles and their versions have, as far as they are there."""
    models = apps.all_models["streaming"]
    return {
        name: {field.name for field in model._meta.fields}
        for name, model in models.items()
        if name.startswith("profile")
    }
