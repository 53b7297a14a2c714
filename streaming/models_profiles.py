"""The rows that hold the profiles: one default, overrides by group, and the version of them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Abs
from django.db.models.lookups import LessThan
from django.dispatch import Signal
from django.utils import timezone
from django.utils.functional import cached_property

from streaming.core.priority import MessagePriority
from streaming.core.profiles import (
    KIB,
    BackpressureProfile,
    ClassBounds,
    CompressionProfile,
    ConnectionProfile,
    GroupProfile,
)
from streaming.exceptions import ProfileError

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

DEFAULT_GROUP = "*"
"""The default row's group: no channel layer accepts the name, so no group can ever have it."""

profiles_changed = Signal()
"""Sent after the commit of any change, with `version`, in the thread that made the change."""

MAX_BYTES = 64 * KIB * KIB
MIN_AGE_S, MAX_AGE_S = 0.05, 3600.0
NEVER_EXPIRES = 0.0
"""In a column of ages; an empty one inherits."""

_CLASSES = {priority: priority.name.lower() for priority in MessagePriority}
QUOTAS = tuple(f"quota_{name}" for name in _CLASSES.values())
BYTES = tuple(f"bytes_{name}" for name in _CLASSES.values())
AGES = tuple(f"age_{name}" for name in _CLASSES.values() if name != "critical")
WATERMARKS = ("low_watermark", "high_watermark", "critical_watermark")
_COMPRESSION = {
    "window_bits": "window_bits",
    "mem_level": "mem_level",
    "compression_level": "level",
    "compression_threshold": "threshold_bytes",
}
_BUFFER = ("max_buffer_size", "max_retries", "emergency_mode")
CONNECTION = ("max_window_bytes", "max_total_bytes", "stall_s")
"""Of a viewer's connection, whatever groups it follows: the default's hold, an override has none."""
SETTINGS = (*_COMPRESSION, *_BUFFER, *WATERMARKS, *QUOTAS, *BYTES, *AGES, *CONNECTION)
"""Every column that is a setting; empty in an override means that the default's value holds."""


class ProfileVersion(models.Model):
    """The one row that counts changes; whoever polls it knows in one small read whether to load."""

    number = models.PositiveBigIntegerField(default=0)
    updated_at = models.DateTimeField(default=timezone.now)
    updated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    def __str__(self) -> str:
        return str(self.number)

    @classmethod
    def bump(cls, by: AbstractBaseUser | None) -> int:
        """Count one change, as part of the transaction that makes it, and announce it once committed.

        The first to bump holds the row until it commits, so that changes follow one another.
        """
        changes = {"number": F("number") + 1, "updated_at": timezone.now(), "updated_by": by}
        if not cls.objects.filter(pk=1).update(**changes):
            cls.objects.get_or_create(pk=1)
            cls.objects.filter(pk=1).update(**changes)
        version = cls.objects.get(pk=1).number
        transaction.on_commit(partial(profiles_changed.send_robust, sender=Profile, version=version))
        return version


class ProfileQuerySet(models.QuerySet["Profile"]):
    """Profiles; changes made to many rows at once count as one version."""

    def default(self) -> Profile:
        """The default row, made with the shipped values if it is not there."""
        shipped = Profile.columns_of(GroupProfile())
        row, _ = self.get_or_create(group=DEFAULT_GROUP, defaults=shipped)
        return row

    def update(self, **values: Any) -> int:
        """Change the rows without validation other than the database's."""
        with transaction.atomic(using=self.db):
            version = ProfileVersion.bump(values.get("updated_by"))
            return super().update(**values, version=version, updated_at=timezone.now())

    def bulk_create(self, objs: Iterable[Profile], *args: Any, **kwargs: Any) -> list[Profile]:
        """Insert the rows without validation other than the database's."""
        with transaction.atomic(using=self.db):
            rows = list(objs)
            version = ProfileVersion.bump(None)
            for row in rows:
                row.version = version
            return super().bulk_create(rows, *args, **kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete overrides; with the default among them, none."""
        with transaction.atomic(using=self.db):
            if default := list(self.filter(group=DEFAULT_GROUP)):
                raise models.ProtectedError("the default profile cannot be deleted", set(default))
            ProfileVersion.bump(None)
            return super().delete()

    delete.queryset_only = True  # type: ignore[attr-defined]  # as Django's own: `objects.delete()` is a slip
    delete.alters_data = True  # type: ignore[attr-defined]


def _setting(
    field: type[models.Field[Any, Any]], help_text: str, label: str | None = None, **kwargs: Any
) -> Any:
    return field(label, null=True, blank=True, help_text=help_text, **kwargs)


_count = partial(_setting, models.PositiveIntegerField)
_share = partial(_setting, models.FloatField)
_bytes = partial(_setting, models.PositiveIntegerField)
_seconds = partial(_setting, models.FloatField)


def _between(field: str, low: float, high: float) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=Q(**{f"{field}__gte": low, f"{field}__lte": high}),
        name=f"profile_{field}",
    )


def _may_never_expire(age: str) -> bool:
    # Stale ECG is worth less than none: a trace that lags without end would look alive.
    return age != "age_high"


def _age_allowed(age: str) -> Q:
    within = Q(**{f"{age}__gte": MIN_AGE_S, f"{age}__lte": MAX_AGE_S})
    return within | Q(**{age: NEVER_EXPIRES}) if _may_never_expire(age) else within


class Profile(models.Model):
    """The numbers of one channel-layer group, or the default of all groups.

    In an override, an empty field inherits the default's value. Every change, deletion included, bumps
    `ProfileVersion` in its own transaction; `version` is the one with which the row last changed.
    """

    group = models.CharField(
        max_length=99,
        unique=True,
        validators=[
            RegexValidator(r"^([A-Za-z0-9_.-]+|\*)\Z", "Letters, digits, dots, dashes and underscores.")
        ],
        help_text="ecg. and a stream's id; or control, for everything about connections.",
    )

    window_bits = _count("Deflate window, 9 to 15; 12 is a window of 4 KiB.", "WINDOW_BITS")
    mem_level = _count("Memory level, 1 to 9; 5 balances speed and memory.", "MEM_LEVEL")
    compression_level = _count("Deflate effort, 1 (fast) to 9 (small).", "COMPRESSION_LEVEL")
    compression_threshold = _count(
        "Bytes; shorter JSON is sent as it is. For the default and control: waveforms are always compressed.",
        "COMPRESSION_THRESHOLD",
    )

    max_buffer_size = _count("Messages that one viewer's queue may hold, 10 to 1,000,000.", "MAX_BUFFER_SIZE")
    max_retries = _count(
        "Where sends are awaited: attempts after a transient error, and waits of 3 s anew, 0 to 20.",
        "MAX_RETRIES",
    )
    emergency_mode = models.BooleanField(
        "emergency mode",
        null=True,
        blank=True,
        help_text="Above CRITICAL_WATERMARK accept only critical messages and the latest vital signs.",
    )

    high_watermark = _share("Share of the buffer that starts backpressure; 0.8 is 80 %.", "HIGH_WATERMARK")
    low_watermark = _share("Share of the buffer that ends it; 0.2 is 20 %.", "LOW_WATERMARK")
    critical_watermark = _share(
        "Share of the buffer that starts emergency; 0.95 is 95 %.", "CRITICAL_WATERMARK"
    )

    quota_critical = _share("Anomaly alerts, life-threatening arrhythmias; reserved for these.", "CRITICAL")
    quota_high = _share("Real-time ECG, vital signs.", "HIGH")
    quota_normal = _share("Status updates, patient information.", "NORMAL")
    quota_low = _share("Metrics, logs.", "LOW")
    quota_bulk = _share("Historical data, batches.", "BULK")

    bytes_critical = _bytes(
        "Bytes that count as full; nothing of this class is dropped. Fixed: over 64 KiB cuts the viewer.",
        "CRITICAL bytes",
    )
    bytes_high = _bytes(
        "Bytes, 1024 to 67108864, as for all classes: live ECG that waits for one viewer.", "HIGH bytes"
    )
    bytes_normal = _bytes("Bytes.", "NORMAL bytes")
    bytes_low = _bytes("Bytes.", "LOW bytes")
    bytes_bulk = _bytes("Bytes.", "BULK bytes")
    age_high = _seconds("Seconds, 0.05 to 3600; older ECG becomes a gap.", "HIGH age")
    age_normal = _seconds("Seconds, 0.05 to 3600, until it is dropped; 0: never.", "NORMAL age")
    age_low = _seconds("Seconds, 0.05 to 3600, until it is dropped; 0: never.", "LOW age")
    age_bulk = _seconds("Seconds, 0.05 to 3600, until it is dropped; 0: never.", "BULK age")

    max_window_bytes = _bytes("Bytes, 4096 to 67108864, that may be in flight to one viewer.")
    max_total_bytes = _bytes("Bytes, 65536 to 1073741824, that may wait for one viewer, over all groups.")
    stall_s = _seconds(
        "Seconds, 1 to 3600, without an acknowledgement until the viewer is cut.", "stall time"
    )

    version = models.PositiveBigIntegerField(default=0, editable=False)
    updated_at = models.DateTimeField("changed", default=timezone.now, editable=False)
    updated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name="changed by",
        null=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )

    objects = ProfileQuerySet.as_manager()

    class Meta:
        ordering: ClassVar[list[str]] = ["group"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            _between("window_bits", 9, 15),
            _between("mem_level", 1, 9),
            _between("compression_level", 1, 9),
            _between("compression_threshold", 0, 1024 * 1024),
            _between("max_buffer_size", 10, 1_000_000),
            _between("max_retries", 0, 20),
            models.CheckConstraint(
                condition=Q(low_watermark__gt=0)
                & Q(low_watermark__lt=F("high_watermark"))
                & Q(high_watermark__lt=F("critical_watermark"))
                & Q(critical_watermark__lte=1),
                name="profile_watermarks_in_order",
            ),
            *(
                models.CheckConstraint(
                    condition=Q(**{f"{quota}__gt": 0, f"{quota}__lt": 1}),
                    name=f"profile_{quota}",
                )
                for quota in QUOTAS
            ),
            models.CheckConstraint(
                condition=LessThan(
                    Abs(
                        F("quota_critical")
                        + F("quota_high")
                        + F("quota_normal")
                        + F("quota_low")
                        + F("quota_bulk")
                        - 1.0
                    ),
                    2e-6,
                ),
                name="profile_quotas_sum_to_1",
            ),
            *(_between(field, KIB, MAX_BYTES) for field in BYTES),
            *(models.CheckConstraint(condition=_age_allowed(age), name=f"profile_{age}") for age in AGES),
            _between("max_window_bytes", 4 * KIB, 64 * KIB * KIB),
            _between("max_total_bytes", 64 * KIB, 1024 * KIB * KIB),
            _between("stall_s", 1, 3600),
            models.CheckConstraint(
                condition=Q(group=DEFAULT_GROUP) | Q(**{f"{field}__isnull": True for field in CONNECTION}),
                name="profile_override_has_no_connection",
            ),
            models.CheckConstraint(
                condition=~Q(group=DEFAULT_GROUP) | Q(**{f"{field}__isnull": False for field in SETTINGS}),
                name="profile_default_is_complete",
            ),
        ]

    def __str__(self) -> str:
        return "default" if self.is_default else self.group

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the row and count the change; `updated_by` is whoever the caller set there."""
        with transaction.atomic(using=kwargs.get("using")):
            self.version = ProfileVersion.bump(self.updated_by)
            self.updated_at = timezone.now()
            if kwargs.get("update_fields") is not None:
                kwargs["update_fields"] = {*kwargs["update_fields"], "version", "updated_at", "updated_by"}
            super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete an override; the default stays."""
        if self.is_default:
            raise models.ProtectedError("the default profile cannot be deleted", {self})
        with transaction.atomic(using=kwargs.get("using")):
            ProfileVersion.bump(self.updated_by)
            return super().delete(*args, **kwargs)

    @property
    def is_default(self) -> bool:
        """Whether this row holds the default of all groups."""
        return self.group == DEFAULT_GROUP

    @cached_property
    def default(self) -> Profile:
        """The row that this one inherits from; the default inherits from itself."""
        return self if self.is_default else Profile.objects.default()

    @property
    def effective(self) -> dict[str, Any]:
        """Each setting's value as it applies: the row's own, else the default's."""
        own = {name: getattr(self, name) for name in SETTINGS}
        return {name: getattr(self.default, name) if value is None else value for name, value in own.items()}

    def to_profile(self) -> GroupProfile:
        """The row as the frozen value that the transport works with; raises ProfileError."""
        values = self.effective
        if missing := [name for name, value in values.items() if value is None]:
            raise ProfileError(f"no value for {', '.join(missing)}")
        return GroupProfile(
            CompressionProfile(**{attribute: values[name] for name, attribute in _COMPRESSION.items()}),
            BackpressureProfile(
                **{name: values[name] for name in (*_BUFFER, *WATERMARKS)},
                quotas={priority: values[f"quota_{name}"] for priority, name in _CLASSES.items()},
                bounds={
                    priority: ClassBounds(values[f"bytes_{name}"], values.get(f"age_{name}") or None)
                    for priority, name in _CLASSES.items()
                },
            ),
            ConnectionProfile(**{name: values[name] for name in CONNECTION}),
        )

    @staticmethod
    def columns_of(profile: GroupProfile) -> dict[str, Any]:
        """The inverse of `to_profile`: a value for every setting."""
        compression, backpressure = profile.compression, profile.backpressure
        columns: dict[str, Any] = {name: getattr(compression, of) for name, of in _COMPRESSION.items()}
        columns |= {name: getattr(backpressure, name) for name in (*_BUFFER, *WATERMARKS)}
        columns |= {name: getattr(profile.connection, name) for name in CONNECTION}
        for priority, name in _CLASSES.items():
            columns[f"quota_{name}"] = backpressure.quotas[priority]
            columns[f"bytes_{name}"] = backpressure.bounds[priority].max_bytes
            columns[f"age_{name}"] = backpressure.bounds[priority].max_age_s or NEVER_EXPIRES
        return {name: columns[name] for name in SETTINGS}

    def clean(self) -> None:
        """Say at each field what is wrong with it, alone and together with what it inherits."""
        if not self.is_default and self.default.pk == self.pk:
            raise ValidationError({"group": "The default profile keeps its name."})
        if faults := self._faults():
            raise ValidationError(faults)
        if self.is_default:
            self._check_overrides()

    def _faults(self) -> dict[str, str]:
        own = {name: value for name in SETTINGS if (value := getattr(self, name)) is not None}
        values = self.effective
        faults = {name: "The default profile needs a value." for name in SETTINGS if values[name] is None}
        faults |= {name: fault for name, value in own.items() if (fault := _fault_alone(name, value))}
        if not self.is_default:
            faults |= {name: "Set in the default profile alone." for name in CONNECTION if name in own}
        if faults.keys() & {*WATERMARKS, *QUOTAS}:
            return faults
        # These are right or wrong together: told at each one that the row sets itself.
        if fault := _fault(BackpressureProfile, {name: values[name] for name in WATERMARKS}):
            faults |= {name: fault for name in WATERMARKS if name in own}
        quotas = {priority: values[f"quota_{name}"] for priority, name in _CLASSES.items()}
        if fault := _fault(BackpressureProfile, {"quotas": quotas}):
            faults |= {name: fault for name in QUOTAS if name in own}
        return faults

    def _check_overrides(self) -> None:
        """An override that inherits part of what must fit together could be broken by a new default."""
        broken = []
        for override in Profile.objects.exclude(group=DEFAULT_GROUP):
            override.default = self
            if faults := override._faults():
                reasons = " ".join(sorted(set(faults.values())))
                broken.append(f"{override} would no longer be valid: {reasons}")
        if broken:
            raise ValidationError(broken)


def _fault_alone(name: str, value: Any) -> str | None:
    """What is wrong with one setting's value, whatever the others are."""
    if name in _COMPRESSION:
        return _fault(CompressionProfile, {_COMPRESSION[name]: value})
    if name in _BUFFER:
        return _fault(BackpressureProfile, {name: value})
    if name in CONNECTION:
        return _fault(ConnectionProfile, {name: value})
    if name in BYTES:
        return _fault(ClassBounds, {"max_bytes": value})
    if name in AGES and not (value == NEVER_EXPIRES and _may_never_expire(name)):
        return _fault(ClassBounds, {"max_bytes": KIB, "max_age_s": value})
    return None


def _fault(value: Callable[..., object], settings_of_it: Mapping[str, Any]) -> str | None:
    """What the frozen value says against these settings, all others being as shipped."""
    try:
        value(**settings_of_it)
    except ProfileError as error:
        return f"{error}."
    except TypeError:
        return "not a number."
    return None
