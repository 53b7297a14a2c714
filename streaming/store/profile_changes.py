"""Changes to the profiles as a whole: what becomes of them, whether that is valid, made as one version."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone

from streaming.core.precedence import DEFAULT_NAME, Fault, Row, Rows, faults, is_name, wards_of
from streaming.core.profile_columns import SETTINGS
from streaming.exceptions import ProfileError
from streaming.models_profile_versions import ProfileRevision, recorded
from streaming.models_profiles import Profile, places_of
from streaming.store.profiles import current_version


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row before and after; None where it is not there."""

    name: str
    before: Row | None
    after: Row | None

    @property
    def verb(self) -> str:
        """What happens to it: add, change or delete; also the permission that this takes."""
        return "add" if self.before is None else "delete" if self.after is None else "change"

    @property
    def values(self) -> list[tuple[str, Any, Any]]:
        """Setting, old and new value of each that is other than before; None is an inherited one."""
        before, after = self.before or {}, self.after or {}
        return [
            (setting, before.get(setting), after.get(setting))
            for setting in SETTINGS
            if before.get(setting) != after.get(setting)
        ]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the rows of one version are to become."""

    version: int
    present: Rows
    target: Rows

    @property
    def changes(self) -> list[RowChange]:
        """Each row that would be other than it is, the default first."""
        return changes_between(self.present, self.target)

    @property
    def faults(self) -> list[Fault]:
        """Why it cannot be done; empty when it can."""
        if DEFAULT_NAME not in self.target:
            return [Fault((DEFAULT_NAME,), (), "it has to be there, with a value for every setting")]
        wrong = [
            Fault((name,), (), "this is no name of a group, ward or pattern")
            for name in self.target
            if not is_name(name)
        ]
        return wrong or faults(self.target, places_of(wards_of(self.target)))


def changes_between(before: Rows, after: Rows) -> list[RowChange]:
    """What turns one state into the other, the default first."""
    names = sorted(before.keys() | after.keys(), key=lambda name: (name != DEFAULT_NAME, name))
    changes = (RowChange(name, before.get(name), after.get(name)) for name in names)
    return [change for change in changes if change.before != change.after]


def changes_of(revision: ProfileRevision) -> list[RowChange]:
    """What a version changed."""
    rows = list(revision.rows)
    return changes_between(
        {name: row for name, row, _ in rows if row is not None},
        {name: row for name, _, row in rows if row is not None},
    )


def merged(rows: Rows) -> Plan:
    """Give these rows these values; all others stay as they are."""
    return _plan(
        lambda present: {**present, **{name: {**present.get(name, {}), **rows[name]} for name in rows}}
    )


def replaced(rows: Rows) -> Plan:
    """Have these rows, and no others."""
    return _plan(lambda _: rows)


def without(names: Collection[str]) -> Plan:
    """Delete these overrides."""
    return _plan(lambda present: {name: row for name, row in present.items() if name not in names})


def undone(revision: ProfileRevision) -> Plan:
    """Give what this version changed the values that it had before; what others changed stays."""

    def target(present: Rows) -> Rows:
        rows = dict(present)
        for change in changes_of(revision):
            if change.before is None:
                rows.pop(change.name, None)
                continue
            row = dict(rows.get(change.name, {}))
            for setting, old, _ in change.values:
                _put(row, setting, old)
            rows[change.name] = row
        return rows

    return _plan(target)


def returned_to(number: int) -> Plan:
    """Have everything as it was as this version. Raises ProfileError where the history has a hole."""

    def target(present: Rows) -> Rows:
        later = list(ProfileRevision.objects.filter(number__gt=number))
        if len(later) != current_version() - number:
            raise ProfileError(f"not all versions after {number} are known")
        rows = dict(present)
        for revision in later:  # the last one first
            for name, before, _ in revision.rows:
                if before is None:
                    rows.pop(name, None)
                else:
                    # A default of an older release lacks the settings that came since: these stay.
                    rows[name] = {**rows[name], **_known(before)} if name == DEFAULT_NAME else _known(before)
        return rows

    return _plan(target)


def apply(plan: Plan, *, by: User | None, cause: str, comment: str = "") -> int:
    """Make the plan's target what is there, as one version; its number.

    Raises ProfileError, and changes nothing, where the target is not valid or the plan is of another version.
    """
    if wrong := plan.faults:
        raise ProfileError("; ".join(str(fault) for fault in wrong))
    rows: models.QuerySet[Profile] = models.QuerySet(
        Profile
    )  # without the recording of `Profile.objects`: all of it is one version
    with recorded(Profile.objects.all().as_rows, by=by, cause=cause, comment=comment) as version:
        if version != plan.version + 1:
            raise ProfileError("the profiles were changed meanwhile")
        marks = {"version": version, "updated_at": timezone.now(), "updated_by": by}
        for change in plan.changes:
            values = {setting: (change.after or {}).get(setting) for setting in SETTINGS}
            if change.after is None:
                rows.filter(group=change.name).delete()
            elif change.before is None:
                rows.bulk_create([Profile(group=change.name, **values, **marks)])
            else:
                rows.filter(group=change.name).update(**values, **marks)
    return version


def _plan(target: Callable[[Rows], Rows]) -> Plan:
    # The version first: a change that comes in between makes the plan one of a former version.
    version = current_version()
    present = Profile.objects.all().as_rows()
    return Plan(version, present, target(present))


def _known(row: Row) -> dict[str, Any]:
    return {setting: row[setting] for setting in SETTINGS if setting in row}


def _put(row: dict[str, Any], setting: str, value: Any) -> None:
    if value is None:
        row.pop(setting, None)
    else:
        row[setting] = value
