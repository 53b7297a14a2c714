"""The alarm limits of one patient as a page shows and sets them: who may, and who did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from django.core.exceptions import ValidationError
from django.utils import timezone

from streaming.ecg.alarm_limits import AlarmLimits
from streaming.exceptions import ForbiddenError, LimitsConflictError, LimitsError
from streaming.models import Patient, Stream
from streaming.models_alarms import AlarmLimitChange, PatientAlarms
from streaming.store import access, alarm_access, audit
from streaming.store.access import Principal
from streaming.store.alarm_access import AlarmRight

SHOWN_CHANGES = 20
NAMES = tuple(field.name for field in fields(AlarmLimits))
Limits = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class LimitsChange:
    """One line of the log."""

    at: datetime
    by: str
    changed: Mapping[str, tuple[float, float]]
    """By the name of the limit: before, and after."""


@dataclass(frozen=True, slots=True)
class PatientLimits:
    """What there is to know of one patient's limits."""

    limits: Limits
    may: bool
    """Whether who asks may change them."""
    changes: tuple[LimitsChange, ...]
    """The last ones, the newest first."""


def limits_of(principal: Principal, stream: str) -> PatientLimits:
    """Those of the stream's patient. Raises ForbiddenError for one that the principal does not see."""
    patient = _patient_of(principal, stream)
    changes = AlarmLimitChange.objects.filter(patient=patient)[:SHOWN_CHANGES]
    return PatientLimits(
        limits=_values(PatientAlarms.objects.filter(patient=patient).first()),
        may=AlarmRight.SET_LIMITS in alarm_access.rights(principal),
        changes=tuple(
            LimitsChange(row.at, row.by, {name: tuple(pair) for name, pair in row.changed.items()})
            for row in changes
        ),
    )


def set_limits(principal: Principal, stream: str, seen: Limits, wanted: Limits) -> None:
    """Set them, where they still are what the user has `seen`; logged, audited, and announced.

    Raises ForbiddenError, LimitsConflictError when somebody else has changed them meanwhile, LimitsError for
    values that cannot be limits, and django.db.Error; nothing is set then.
    """
    by = alarm_access.authorize(principal, AlarmRight.SET_LIMITS, stream)
    patient = _patient_of(principal, stream)
    changed = {name: (seen[name], wanted[name]) for name in NAMES if seen[name] != wanted[name]}
    # The trail takes no floats: they come back with other digits.
    told = {name: [f"{before:g}", f"{after:g}"] for name, (before, after) in changed.items()}
    with audit.recording(principal.actor, "alarm.limits", f"stream:{stream}", "done", changed=told):
        row = PatientAlarms.objects.select_for_update().filter(patient=patient).first()
        if _values(row) != {name: seen[name] for name in NAMES}:
            raise LimitsConflictError("somebody else has changed these limits meanwhile")
        row = row or PatientAlarms(patient=patient)
        for name in NAMES:
            setattr(row, name, wanted[name])
        _check(row)
        row.save()
        log_change(patient, by, changed)


def log_change(patient: Patient, by: str, changed: Mapping[str, tuple[float, float]]) -> None:
    """In the transaction in progress; nothing where nothing has changed."""
    if changed:
        AlarmLimitChange.objects.create(patient=patient, at=timezone.now(), by=by, changed=dict(changed))


def differences(before: PatientAlarms | None, after: PatientAlarms | None) -> dict[str, tuple[float, float]]:
    """Which limits are others; without a row, the default ones hold."""
    old, new = _values(before), _values(after)
    return {name: (old[name], new[name]) for name in NAMES if old[name] != new[name]}


def _values(row: PatientAlarms | None) -> dict[str, float]:
    return {name: getattr(row, name) for name in NAMES} if row else asdict(AlarmLimits())


def _patient_of(principal: Principal, stream: str) -> Patient:
    found = access.visible_admissions(principal).select_related("patient").filter(pk=stream).first()
    if not isinstance(found, Stream):
        raise ForbiddenError("the patient is not one of yours")
    return found.patient


def _check(row: PatientAlarms) -> None:
    try:
        row.full_clean(validate_unique=False)
    except ValidationError as error:
        raise LimitsError({name: " ".join(told) for name, told in error.message_dict.items()}) from None
