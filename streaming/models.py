"""Who lies where and who may see it: wards, patients, devices, admissions, tokens, and the audit trail."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from streaming.core.streams import Source
from streaming.models_adaptation import AdaptationState  # noqa: F401  # Django finds models here
from streaming.models_alarms import AlarmLimitChange, PatientAlarms  # noqa: F401
from streaming.models_chain import ChainedRow, utc_text
from streaming.models_checkpoints import AuditCheckpoint, JournalCheckpoint  # noqa: F401
from streaming.models_history import HistoryChunk, HistoryMinute, HistoryPin  # noqa: F401
from streaming.models_journal import JournalEntry, OpenAlarm  # noqa: F401
from streaming.models_layout import WardLayout  # noqa: F401
from streaming.models_lease import StreamLease  # noqa: F401
from streaming.models_processes import ServerProcess  # noqa: F401
from streaming.models_profile_versions import ProfileRevision, ProfileVersion  # noqa: F401
from streaming.models_profiles import Profile  # noqa: F401

_PSEUDONYM_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""No 0/O and no 1/I: a pseudonym is read out over the telephone."""
BASE32_LOWER = "abcdefghijklmnopqrstuvwxyz234567"
"""RFC 4648, in lower case: of what people may have to copy."""


def new_stream_id() -> str:
    """Twelve letters of lower base32: 60 random bits, so that an id cannot be guessed."""
    return "".join(secrets.choice(BASE32_LOWER) for _ in range(12))


def new_pseudonym() -> str:
    """Like P-7K3QX; 33 million of them, so that `Patient.save` has to look for the first free one."""
    return "P-" + "".join(secrets.choice(_PSEUDONYM_LETTERS) for _ in range(5))


class Ward(models.Model):
    """A place with beds; the users of its groups may see every admission in it."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    groups = models.ManyToManyField(
        Group, related_name="wards", blank=True, help_text="Members of these groups see this ward."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name


class Patient(models.Model):
    """A person, known to streams, logs and metrics by the pseudonym alone."""

    pseudonym = models.CharField(max_length=7, unique=True, editable=False)
    display_name = models.CharField(
        max_length=80, blank=True, help_text="Shown to those who may see the ward; never logged."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["pseudonym"]

    def __str__(self) -> str:
        return self.pseudonym

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Give a new patient a free pseudonym."""
        while not self.pseudonym:
            candidate = new_pseudonym()
            if not Patient.objects.filter(pseudonym=candidate).exists():
                self.pseudonym = candidate
        super().save(*args, **kwargs)


class Device(models.Model):
    """Something that sends ECG; its source is the mark that every view of its samples carries."""

    name = models.CharField(max_length=80, unique=True)
    source = models.CharField(
        max_length=6,
        choices=[(source.value, source.value) for source in Source],
        default=Source.SIM.value,
        help_text="A LIVE device may say that it sends SIM or REPLAY; no other may claim to be LIVE.",
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name


class Token(models.Model):
    """A credential of which only the SHA-256 digest is kept; the prefix finds and names it."""

    prefix = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    created = models.DateTimeField(default=timezone.now, editable=False)
    expires = models.DateTimeField(null=True, blank=True)
    revoked = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.prefix

    def is_valid(self, now: datetime) -> bool:
        """Neither revoked nor expired at `now`."""
        return self.revoked is None and (self.expires is None or now < self.expires)


class DeviceToken(Token):
    """What a device proves itself with; a rotation leaves the old one valid for a while."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="tokens")

    class Meta:
        ordering: ClassVar[list[str]] = ["-created"]


class ApiToken(Token):
    """What a viewer without a browser proves itself with: the user's access, within the named wards."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80, help_text="What it is for.")
    wards = models.ManyToManyField(
        Ward, related_name="+", help_text="It sees these wards, as far as its user may see them."
    )
    last_used = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["-created"]
        verbose_name = "API token"
        verbose_name_plural = "API tokens"


class Stream(models.Model):
    """One admission: a device at a patient in a ward, from a start to an end. Its id is public."""

    id = models.CharField(primary_key=True, max_length=12, default=new_stream_id, editable=False)
    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="streams")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="streams")
    ward = models.ForeignKey(Ward, on_delete=models.PROTECT, related_name="streams")
    bed = models.CharField(max_length=12)
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["ward", "bed"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["device"],
                condition=Q(ended_at__isnull=True),
                name="one_open_admission_per_device",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("started_at")),
                name="admission_ends_after_its_start",
                violation_error_message="An admission cannot end before it starts.",
            ),
        ]

    def __str__(self) -> str:
        return self.id

    def clean(self) -> None:
        """Say in words what the constraint refuses: forms leave it out, because they hold no `ended_at`."""
        others = Stream.objects.filter(device_id=self.device_id, ended_at=None).exclude(pk=self.pk)
        if self.ended_at is None and others.exists():
            raise ValidationError({"device": "This device has an open admission; end that first."})


class StreamEpoch(models.Model):
    """One device session on a stream: the count of samples starts anew with each."""

    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="epochs")
    number = models.PositiveIntegerField()
    session = models.CharField(max_length=64)
    source = models.CharField(max_length=6, choices=[(source.value, source.value) for source in Source])
    started_at = models.DateTimeField(default=timezone.now)
    rate_hz = models.FloatField()
    leads = models.JSONField()

    class Meta:
        ordering: ClassVar[list[str]] = ["stream", "number"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["stream", "number"], name="epoch_numbers_are_unique"),
            models.UniqueConstraint(fields=["stream", "session"], name="one_epoch_per_session"),
        ]

    def __str__(self) -> str:
        return f"{self.stream_id}/{self.number}"


class AuditEntry(ChainedRow):
    """One line of the audit trail."""

    actor = models.CharField(max_length=40)
    action = models.CharField(max_length=40)
    object = models.CharField(max_length=80)
    outcome = models.CharField(max_length=20)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar[list[str]] = ["-at", "-seq"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["writer", "seq"], name="audit_seq_is_unique")
        ]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["at"], name="audit_by_time")]
        verbose_name_plural = "audit entries"

    def hashed_values(self) -> list[Any]:
        """All of it."""
        return [
            self.writer,
            self.seq,
            utc_text(self.at),
            self.actor,
            self.action,
            self.object,
            self.outcome,
            self.detail,
            self.prev_hash,
        ]
