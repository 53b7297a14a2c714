"""What is set about the alarms of one patient."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from streaming.ecg.alarm_limits import BOUNDS, AlarmLimits, AlarmSettings

_LIMITS = AlarmLimits()


def _within(name: str) -> list[MinValueValidator | MaxValueValidator]:
    least, greatest = BOUNDS[name]
    return [MinValueValidator(least), MaxValueValidator(greatest)]


def _rate(default: int, help_text: str) -> models.PositiveSmallIntegerField[Any, Any]:
    return models.PositiveSmallIntegerField(
        default=default, validators=_within("hr_high"), help_text=f"Beats a minute. {help_text}"
    )


class PatientAlarms(models.Model):
    """Limits of one patient, and whether any alarm is raised; without a row, the default limits hold."""

    patient = models.OneToOneField("streaming.Patient", on_delete=models.CASCADE, related_name="alarms")
    is_off = models.BooleanField(
        "alarms off",
        default=False,
        help_text="No alarm is raised for this patient but the one that says so. Everybody sees that.",
    )
    hr_high = _rate(_LIMITS.hr_high, "A medium alarm above it.")
    hr_low = _rate(_LIMITS.hr_low, "A medium alarm below it.")
    extreme_tachycardia = _rate(_LIMITS.extreme_tachycardia, "A lethal alarm above it.")
    extreme_bradycardia = _rate(_LIMITS.extreme_bradycardia, "A lethal alarm below it.")
    asystole_s = models.FloatField(
        "asystole",
        default=_LIMITS.asystole_s,
        validators=_within("asystole_s"),
        help_text="Seconds without a QRS, 3 to 10.",
    )
    run_beats = models.PositiveSmallIntegerField(
        "ventricular run",
        default=_LIMITS.run_beats,
        validators=_within("run_beats"),
        help_text="Ventricular beats in a row, 3 to 15, that are a tachycardia.",
    )
    run_rate = _rate(_LIMITS.run_rate, "The least rate of such a run.")
    hr_signal_delay_s = models.FloatField(
        "delay of HR alarms",
        default=_LIMITS.hr_signal_delay_s,
        validators=_within("hr_signal_delay_s"),
        help_text="Seconds that HR must be beyond its limit; what has passed by then is no alarm.",
    )

    class Meta:
        verbose_name = "alarm settings"
        verbose_name_plural = "alarm settings"
        permissions: ClassVar[Any] = [
            ("acknowledge_alarms", "Can acknowledge alarms"),
            ("pause_alarm_audio", "Can pause the sound of alarms"),
            ("switch_off_alarms", "Can switch the alarms of a patient off and on"),
            ("set_alarm_limits", "Can change the alarm limits of a patient"),
        ]

    def __str__(self) -> str:
        return f"alarm settings of {self.patient}"

    def clean(self) -> None:
        """Say what no single field shows: limits that contradict each other."""
        try:
            self.settings()
        except ValueError as error:
            raise ValidationError(f"{error}.") from None

    def settings(self) -> AlarmSettings:
        """As the analysis wants them. Raises ValueError where they contradict each other."""
        limits = AlarmLimits(
            hr_high=self.hr_high,
            hr_low=self.hr_low,
            extreme_tachycardia=self.extreme_tachycardia,
            extreme_bradycardia=self.extreme_bradycardia,
            asystole_s=self.asystole_s,
            run_beats=self.run_beats,
            run_rate=self.run_rate,
            hr_signal_delay_s=self.hr_signal_delay_s,
        )
        return AlarmSettings(limits, is_off=self.is_off)


class AlarmLimitChange(models.Model):
    """Who set which limits of a patient to what; the audit trail has the same, chained."""

    patient = models.ForeignKey("streaming.Patient", on_delete=models.CASCADE, related_name="limit_changes")
    at = models.DateTimeField()
    by = models.CharField(max_length=150)
    """The user's name, as it was then."""
    changed = models.JSONField()
    """By the name of the limit: the value before, and the one after."""

    class Meta:
        default_permissions = ()
        ordering: ClassVar[list[str]] = ["-at", "-pk"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["patient", "-at"], name="limits_by_patient")
        ]

    def __str__(self) -> str:
        return f"limits of {self.patient} at {self.at:%Y-%m-%d %H:%M:%S}"
