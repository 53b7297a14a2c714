"""The rows that hold the profiles: one default, and overrides by group, ward and pattern."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, ClassVar

from django.apps import apps
from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Abs
from django.db.models.lookups import LessThan
from django.utils import timezone
from django.utils.functional import cached_property

from streaming.core.precedence import (
    DEFAULT_NAME,
    NAME,
    Fault,
    Rows,
    chain_of,
    effective,
    faults,
    wards_of,
)
from streaming.core.profile_columns import (
    AGES,
    BYTES,
    CONNECTION,
    NEVER_EXPIRES,
    QUOTAS,
    RENDITIONS,
    SETTINGS,
    columns_of,
    may_never_expire,
)
from streaming.core.profiles import KIB, GroupProfile
from streaming.core.renditions import Rendition
from streaming.core.streams import group_of
from streaming.models_profile_versions import recorded

MAX_BYTES = 64 * KIB * KIB
MIN_AGE_S, MAX_AGE_S = 0.05, 3600.0


class ProfileQuerySet(models.QuerySet["Profile"]):
    """Profiles; changes made to many rows at once count as one version."""

    def default(self) -> Profile:
        """The default row, made with the shipped values if it is not there."""
        row, _ = self.get_or_create(group=DEFAULT_NAME, defaults=columns_of(GroupProfile()))
        return row

    def as_rows(self) -> Rows:
        """Their own values, by name; one query."""
        return {
            values.pop("group"): {name: value for name, value in values.items() if value is not None}
            for values in self.order_by().values("group", *SETTINGS)
        }

    def update(self, **values: Any) -> int:
        """Change the rows without validation other than the database's."""
        with recorded(_all_rows, by=values.get("updated_by"), using=self.db) as version:
            return super().update(**values, version=version, updated_at=timezone.now())

    def bulk_create(self, objs: Iterable[Profile], *args: Any, **kwargs: Any) -> list[Profile]:
        """Insert the rows without validation other than the database's."""
        with recorded(_all_rows, by=None, using=self.db) as version:
            rows = list(objs)
            for row in rows:
                row.version = version
            return super().bulk_create(rows, *args, **kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete overrides; with the default among them, none."""
        with recorded(_all_rows, by=None, using=self.db):
            if default := list(self.filter(group=DEFAULT_NAME)):
                raise models.ProtectedError("the default profile cannot be deleted", set(default))
            return super().delete()

    delete.queryset_only = True  # type: ignore[attr-defined]  # as Django's own: `objects.delete()` is a slip
    delete.alters_data = True  # type: ignore[attr-defined]


def places_of(wards: Iterable[str]) -> dict[str, str]:
    """The ward's slug of each group whose stream lies in one of these now; no query without any."""
    slugs = list(wards)
    if not slugs:
        return {}
    streams = apps.get_model("streaming", "Stream")._default_manager  # it knows the profiles, not they it
    placed = streams.filter(ended_at=None, ward__slug__in=slugs).order_by().values_list("pk", "ward__slug")
    return {group_of(stream): ward for stream, ward in placed}


def _all_rows() -> Rows:
    return Profile.objects.all().as_rows()


def _setting(
    field: type[models.Field[Any, Any]], help_text: str, label: str | None = None, **kwargs: Any
) -> Any:
    return field(label, null=True, blank=True, help_text=help_text, **kwargs)


_count = partial(_setting, models.PositiveIntegerField)
_share = partial(_setting, models.FloatField)
_bytes = partial(_setting, models.PositiveIntegerField)
_seconds = partial(_setting, models.FloatField)


def _spoken(rendition: Rendition) -> str:
    return f"{rendition.quality}, frames of {rendition.frame_s:g} s"


def _between(field: str, low: float, high: float) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=Q(**{f"{field}__gte": low, f"{field}__lte": high}),
        name=f"profile_{field}",
    )


def _age_allowed(age: str) -> Q:
    within = Q(**{f"{age}__gte": MIN_AGE_S, f"{age}__lte": MAX_AGE_S})
    return within | Q(**{age: NEVER_EXPIRES}) if may_never_expire(age) else within


class Profile(models.Model):
    """The numbers of one channel-layer group, of a ward, of a pattern, or the default of all groups.

    In an override, an empty field inherits: `core.precedence` says from whom. Every change, deletion
    included, is a `ProfileRevision` in its own transaction; `version` is the one with which the row last
    changed. `change_comment` is kept with the version that the next `save` or `delete` makes.
    """

    change_comment: str = ""

    group = models.CharField(
        "governs",
        max_length=99,
        unique=True,
        validators=[
            RegexValidator(
                NAME, "Letters, digits, dots, dashes and underscores; a * at the end; ward: and its slug."
            )
        ],
        help_text="ecg. and a stream's id; ward: and a ward's slug; a pattern that ends in *, as ecg.*; "
        "or control, for everything about connections.",
    )

    window_bits = _count("Deflate window, 9 to 15; 12 is a window of 4 KiB.", "WINDOW_BITS")
    mem_level = _count("Memory level, 1 to 9; 5 balances speed and memory.", "MEM_LEVEL")
    compression_level = _count("Deflate effort, 1 (fast) to 9 (small).", "COMPRESSION_LEVEL")
    compression_threshold = _count(
        "Bytes; shorter JSON is sent as it is. For the default and control: waveforms are always compressed.",
        "COMPRESSION_THRESHOLD",
    )

    adaptive = models.BooleanField(
        "adaptive level",
        null=True,
        blank=True,
        help_text="Level and method of what is no waveform follow network and data; off: always the level.",
    )
    min_level = _count("Deflate effort, 1 to 9, that the adaptation does not go below.", "least level")
    max_level = _count("Deflate effort, 1 to 9, that it does not go above.", "greatest level")
    hysteresis = _share("Share, 0 to 0.5, that another method has to save before it is taken.")
    explore_share = _share(
        "Share, 0 to 0.1, of delivery time and CPU that comparing methods may take; 0: never compare.",
        "exploration",
    )
    cpu_weight = _share("Seconds of delivery, 0.1 to 10, that a second of CPU counts as.", "weight of CPU")
    best_rendition = models.CharField(  # noqa: DJ001  # null inherits, as in every column
        "best rendition",
        max_length=20,
        null=True,
        blank=True,
        choices=[(name, _spoken(rendition)) for name, rendition in RENDITIONS.items()],
        help_text="Quality and frames; nothing better is sent, whatever the network carries. "
        "Where an arrhythmia is suspected, everything is sent all the same.",
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
            models.CheckConstraint(
                condition=Q(group__regex=NAME),
                name="profile_group_is_a_name",
                violation_error_message="No group, ward or pattern can have this name.",
            ),
            _between("window_bits", 9, 15),
            _between("mem_level", 1, 9),
            _between("compression_level", 1, 9),
            _between("compression_threshold", 0, 1024 * 1024),
            _between("min_level", 1, 9),
            _between("max_level", 1, 9),
            _between("hysteresis", 0, 0.5),
            _between("explore_share", 0, 0.1),
            _between("cpu_weight", 0.1, 10),
            models.CheckConstraint(
                # One of them may be empty, and inherited: the two others have an order of their own.
                condition=Q(min_level__lte=F("compression_level"))
                & Q(compression_level__lte=F("max_level"))
                & Q(min_level__lte=F("max_level")),
                name="profile_levels_in_order",
            ),
            models.CheckConstraint(
                condition=Q(best_rendition__in=list(RENDITIONS)), name="profile_best_rendition"
            ),
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
                condition=Q(group=DEFAULT_NAME) | Q(**{f"{field}__isnull": True for field in CONNECTION}),
                name="profile_override_has_no_connection",
            ),
            models.CheckConstraint(
                condition=~Q(group=DEFAULT_NAME) | Q(**{f"{field}__isnull": False for field in SETTINGS}),
                name="profile_default_is_complete",
            ),
        ]

    def __str__(self) -> str:
        return "default" if self.is_default else self.group

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the row and count the change; `updated_by` is whoever the caller set there."""
        with self._recorded(kwargs.get("using")) as self.version:
            self.updated_at = timezone.now()
            if kwargs.get("update_fields") is not None:
                kwargs["update_fields"] = {*kwargs["update_fields"], "version", "updated_at", "updated_by"}
            super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete an override; the default stays."""
        if self.is_default:
            raise models.ProtectedError("the default profile cannot be deleted", {self})
        with self._recorded(kwargs.get("using")):
            return super().delete(*args, **kwargs)

    def _recorded(self, using: str | None) -> AbstractContextManager[int]:
        return recorded(_all_rows, by=self.updated_by, comment=self.change_comment, using=using)

    @property
    def is_default(self) -> bool:
        """Whether this row holds the default of all groups."""
        return self.group == DEFAULT_NAME

    @property
    def own(self) -> dict[str, Any]:
        """The values that the row sets itself."""
        return {name: value for name in SETTINGS if (value := getattr(self, name)) is not None}

    @cached_property
    def others(self) -> Rows:
        """All other rows as they are stored; the default is among them, as shipped where it is not there."""
        rows = {**_all_rows()}
        rows.setdefault(DEFAULT_NAME, columns_of(GroupProfile()))
        stored = Profile.objects.filter(pk=self.pk).values_list("group", flat=True).first()
        return {name: row for name, row in rows.items() if name not in (self.group, stored)}

    @property
    def rows(self) -> Rows:
        """All rows, this one as it is here."""
        return {**self.others, self.group: self.own}

    @cached_property
    def places(self) -> dict[str, str]:
        """The wards of the groups that lie in one which has a row."""
        return places_of(wards_of(self.rows))

    @property
    def effective(self) -> dict[str, tuple[Any, str]]:
        """Each setting's value as it applies, and the name of the row that it comes from."""
        return effective(self.rows, chain_of(self.rows, self.group, self.places))

    @property
    def inherited(self) -> dict[str, tuple[Any, str]]:
        """For an override: each setting's value if it had none of its own, and whose that is."""
        without = {**self.others, self.group: {}}
        return effective(without, chain_of(without, self.group, self.places))

    def clean(self) -> None:
        """Say at each field what is wrong with it, alone and together with what it inherits."""
        if not self.is_default and DEFAULT_NAME not in self.others:
            raise ValidationError({"group": "The default profile keeps its name."})
        found = [fault for fault in faults(self.rows, self.places) if self.group in fault.chain]
        if mine := [fault for fault in found if fault.chain[0] == self.group]:
            raise ValidationError(self._at_fields(mine))
        if found:
            # What inherits part of what must fit together can be broken by what it inherits.
            raise ValidationError([_broken(fault) for fault in found])

    def _at_fields(self, mine: Iterable[Fault]) -> dict[str, list[str]]:
        """The faults of this row by its own fields; one of inherited values alone is told at none."""
        told: dict[str, list[str]] = {}
        for fault in mine:
            is_alone = len(fault.chain) == 1
            columns = [name for name in fault.columns if is_alone or name in self.own]
            text = fault.text if columns else _broken(fault)
            for column in columns or [NON_FIELD_ERRORS]:
                told.setdefault(column, []).append(text)
        return told


def _broken(fault: Fault) -> str:
    return f"{fault.chain[0]} would no longer be valid: {fault.text}"
