"""The rows of alerts: rules, what they found, whom it is told to, and what is still to be told."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from monitoring.alert_rules import (
    MOST_COOLDOWN_S,
    MOST_HOLD_S,
    AlertRuleError,
    Op,
    Rule,
    Severity,
)
from monitoring.channel_addresses import fault_of_address
from streaming.core.precedence import DEFAULT_NAME, NAME

SEVERITIES = [(each.value, each.value) for each in Severity]
OPS = [(each.value, each.value) for each in Op]
_UPPER = [Op.GT.value, Op.GE.value]


def new_uid() -> str:
    """Sixteen hex digits, of an alert or a message."""
    return secrets.token_hex(8)


class AlertRule(models.Model):
    """What an operator wants to be told of. `rule()` is the same as the engine wants it, checked."""

    key = models.SlugField(
        max_length=40, unique=True, null=True, blank=True, editable=False, help_text="Of a shipped rule."
    )
    name = models.CharField(
        max_length=60, unique=True, help_text="What alerts, log lines and metrics call it."
    )
    metric = models.CharField(
        max_length=40,
        help_text="Counters are judged by what they grew since the tick before, not since the process "
        "started.",
    )
    op = models.CharField("is", max_length=2, choices=OPS, default=Op.GT.value)
    value = models.FloatField(
        help_text="In the unit of the figure. A share is from 0 to 1; words count from 0, the best one."
    )
    hold_s = models.PositiveIntegerField(
        "for", default=60, help_text="Seconds for which the figure has to be known to be beyond; 0: at once."
    )
    clear_value = models.FloatField(
        "until",
        null=True,
        blank=True,
        help_text="An alert that is open resolves at this value, on the better side of the other one: what "
        "wavers "
        "about one value does not open and resolve all the time. Empty: as soon as the rule holds no more.",
    )
    cooldown_s = models.PositiveIntegerField(
        "cool-down", default=300, help_text="Seconds after resolving before it may open, and be told, anew."
    )
    severity = models.CharField(max_length=8, choices=SEVERITIES, default=Severity.WARNING.value)
    pattern = models.CharField(
        "groups",
        max_length=99,
        default=DEFAULT_NAME,
        validators=[
            RegexValidator(
                NAME, "Letters, digits, dots, dashes and underscores; a * at the end; ward: and its slug."
            )
        ],
        help_text="*: all; ecg. and a stream's id; ward: and a ward's slug; or a pattern that ends in *, "
        "as ecg.*. "
        "A figure of the process has no group: leave *.",
    )
    enabled = models.BooleanField(
        default=True, help_text="Switched off, it opens nothing, and resolves what is open."
    )
    advice = models.TextField(
        "what to do",
        blank=True,
        max_length=2000,
        help_text="For whoever is told: how to look, what to change.",
    )
    updated_at = models.DateTimeField("changed", default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=Q(op__in=[value for value, _ in OPS]), name="alert_rule_op"),
            models.CheckConstraint(
                condition=Q(severity__in=[value for value, _ in SEVERITIES]), name="alert_rule_severity"
            ),
            models.CheckConstraint(condition=Q(hold_s__lte=MOST_HOLD_S), name="alert_rule_hold_s"),
            models.CheckConstraint(
                condition=Q(cooldown_s__lte=MOST_COOLDOWN_S), name="alert_rule_cooldown_s"
            ),
            models.CheckConstraint(condition=~Q(metric=""), name="alert_rule_metric"),
            models.CheckConstraint(condition=~Q(name=""), name="alert_rule_name"),
            models.CheckConstraint(
                condition=Q(pattern__regex=NAME),
                name="alert_rule_pattern_is_a_name",
                violation_error_message="No group, ward or pattern can have this name.",
            ),
            models.CheckConstraint(
                # Without a value to clear at, each of these is unknown, which a constraint lets pass.
                condition=Q(op__in=_UPPER, clear_value__lte=F("value"))
                | (~Q(op__in=_UPPER) & Q(clear_value__gte=F("value"))),
                name="alert_rule_clears_on_the_better_side",
                violation_error_message="An alert has to resolve on the better side of the value at which "
                "it opens.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep when it was changed."""
        self.updated_at = timezone.now()
        super().save(*args, **kwargs)

    def rule(self) -> Rule:
        """As the engine judges it. Raises AlertRuleError, which names the column at fault."""
        try:
            op = Op(self.op)
        except ValueError:
            raise AlertRuleError("op", "One of >, >=, < and <=.") from None
        try:
            severity = Severity(self.severity)
        except ValueError:
            raise AlertRuleError("severity", "One of info, warning and critical.") from None
        return Rule(
            id=self.pk or 0,
            name=self.name,
            metric=self.metric,
            op=op,
            value=self.value,
            severity=severity,
            hold_s=self.hold_s,
            cooldown_s=self.cooldown_s,
            clear_value=self.clear_value,
            pattern=self.pattern,
            advice=self.advice,
        )

    @property
    def fault(self) -> str:
        """Why it cannot be judged; empty when it can."""
        try:
            self.rule()
        except AlertRuleError as error:
            return str(error)
        return ""

    def clean(self) -> None:
        """Say at the field what is wrong."""
        if None in (self.value, self.hold_s, self.cooldown_s):
            return  # the fields say it themselves
        try:
            self.rule()
        except AlertRuleError as error:
            raise ValidationError({error.column: str(error)}) from None


class Alert(models.Model):
    """What a rule found in one process, of one group or of the process; written by the process alone.

    What it says of its rule is as it was then: the rule may be another one by now, or none.
    """

    uid = models.CharField(max_length=16, primary_key=True, default=new_uid, editable=False)
    rule = models.ForeignKey(
        AlertRule, null=True, on_delete=models.SET_NULL, db_constraint=False, related_name="alerts"
    )
    name = models.CharField("rule", max_length=60)
    severity = models.CharField(max_length=8, choices=SEVERITIES)
    condition = models.CharField(max_length=200, help_text="When the rule opens an alert.")
    metric = models.CharField(max_length=40)
    group = models.CharField(max_length=100, blank=True, help_text="Empty: the whole process.")
    process = models.CharField(max_length=64)
    opened_at = models.DateTimeField("opened")
    updated_at = models.DateTimeField("last told", help_text="When the value was written.")
    resolved_at = models.DateTimeField("resolved", null=True)
    reason = models.CharField(max_length=80, blank=True, help_text="Why it is over.")
    value = models.FloatField(help_text="As last written.")
    peak = models.FloatField("worst", help_text="The value that was furthest beyond.")

    class Meta:
        ordering: ClassVar[list[str]] = ["-opened_at", "uid"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(resolved_at__isnull=True) | Q(resolved_at__gte=F("opened_at")),
                name="alert_resolves_after_it_opened",
            ),
            models.CheckConstraint(
                condition=Q(resolved_at__isnull=True, reason="")
                | (Q(resolved_at__isnull=False) & ~Q(reason="")),
                name="alert_resolves_for_a_reason",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["opened_at"], name="alert_opened_at"),
            models.Index(fields=["rule"], condition=Q(resolved_at__isnull=True), name="alert_open_by_rule"),
        ]

    def __str__(self) -> str:
        return f"{self.name}, {self.opened_at:%Y-%m-%d %H:%M:%S} UTC"


class ChannelKind(models.TextChoices):
    """How a channel tells."""

    EMAIL = "email", "e-mail"
    WEBHOOK = "webhook", "webhook"


def new_salt() -> str:
    """What makes a channel's secret unlike any other's."""
    return secrets.token_hex(16)


class NotificationChannel(models.Model):
    """Whom alerts are told to. A webhook's secret is made of `salt` and the server's own, stored nowhere."""

    name = models.CharField(max_length=60, unique=True)
    kind = models.CharField(max_length=8, choices=ChannelKind.choices, default=ChannelKind.EMAIL)
    address = models.CharField(
        max_length=500,
        help_text="E-mail addresses, separated by commas; or the https:// address of a webhook.",
    )
    least_severity = models.CharField(
        "minimum severity", max_length=8, choices=SEVERITIES, default=Severity.WARNING.value
    )
    enabled = models.BooleanField(default=True)
    salt = models.CharField(max_length=32, default=new_salt, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=Q(kind__in=ChannelKind.values), name="channel_kind"),
            models.CheckConstraint(
                condition=Q(least_severity__in=[value for value, _ in SEVERITIES]), name="channel_severity"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="channel_name"),
            models.CheckConstraint(
                condition=Q(kind=ChannelKind.EMAIL.value, address__contains="@")
                | Q(kind=ChannelKind.WEBHOOK.value, address__startswith="https://")
                | Q(kind=ChannelKind.WEBHOOK.value, address__startswith="http://"),
                name="channel_address_fits_its_kind",
                violation_error_message="An e-mail channel wants e-mail addresses, a webhook an https:// "
                "address.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Say at the address what is wrong with it."""
        if fault := fault_of_address(self.kind, self.address):
            raise ValidationError({"address": fault})

    def takes(self, severity: str) -> bool:
        """Whether it is told of alerts of this severity."""
        return Severity(severity).rank >= Severity(self.least_severity).rank


class DeliveryState(models.TextChoices):
    """What became of a message."""

    WAITING = "waiting", "waiting"
    DELIVERED = "delivered", "delivered"
    GIVEN_UP = "given up", "given up"


class Delivery(models.Model):
    """One message to one channel: the queue while it waits, the record of what became of it afterwards."""

    uid = models.CharField(max_length=16, primary_key=True, default=new_uid, editable=False)
    channel = models.ForeignKey(NotificationChannel, on_delete=models.CASCADE, related_name="deliveries")
    kind = models.CharField(max_length=8, choices=[("alerts", "alerts"), ("test", "test")])
    told = models.JSONField(default=list)
    process = models.CharField(
        max_length=64, blank=True, help_text="Which delivers it; any other, once that has ended."
    )
    created_at = models.DateTimeField("made", default=timezone.now)
    state = models.CharField(max_length=9, choices=DeliveryState.choices, default=DeliveryState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField("next attempt", default=timezone.now)
    done_at = models.DateTimeField("done", null=True)
    last_error = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering: ClassVar[list[str]] = ["-created_at", "uid"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=Q(state__in=DeliveryState.values), name="delivery_state"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["next_at"], condition=Q(state=DeliveryState.WAITING), name="delivery_waiting"
            ),
            models.Index(fields=["channel", "created_at"], name="delivery_by_channel"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.channel}"
