"""What is set about the alarms of each admitted patient, as the processes that watch them want it."""

from __future__ import annotations

import logging

from django.db import transaction
from django.dispatch import Signal

from streaming.ecg.alarm_limits import AlarmSettings
from streaming.models import Stream
from streaming.models_alarms import PatientAlarms
from streaming.store import audit

logger = logging.getLogger(__name__)

alarm_settings_changed = Signal()
"""Sent after the commit that changed something; not for `QuerySet.update`, nor for other programs' work."""


def load() -> dict[str, AlarmSettings]:
    """By stream, for each open admission whose patient has settings of their own. One query.

    A row that contradicts itself, which only another program can have written, is as if it were not there,
    but for whether alarms are off; it is logged.
    """
    settings: dict[str, AlarmSettings] = {}
    admissions = Stream.objects.filter(ended_at__isnull=True, patient__alarms__isnull=False)
    for stream in admissions.select_related("patient__alarms"):
        row = stream.patient.alarms
        try:
            settings[stream.pk] = row.settings()
        except ValueError as error:
            logger.warning("alarm settings %s are not usable, the default holds: %s", row.pk, error)
            settings[stream.pk] = AlarmSettings(is_off=row.is_off)
    return settings


def end_off(stream: Stream, actor: str) -> None:
    """Switch the alarms of the stream's patient on, if they are off, in the transaction in progress; audited
    after its commit, and announced. One query where they are on.
    """
    if PatientAlarms.objects.filter(patient_id=stream.patient_id, is_off=True).exists():
        with transaction.atomic():
            _set(stream.pk, off=False)
            audit.record(actor, "alarms.on", f"stream:{stream.pk}", "done")


def switch(stream_id: str, actor: str, *, off: bool) -> None:
    """Switch the alarms of the stream's patient off or on, and announce it. Four queries.

    Raises django.db.Error; nothing is switched then, nor without its entry in the audit trail.
    """
    with audit.recording(actor, "alarms.off" if off else "alarms.on", f"stream:{stream_id}", "done"):
        _set(stream_id, off=off)


def _set(stream_id: str, *, off: bool) -> None:
    patient_id = Stream.objects.values_list("patient_id", flat=True).get(pk=stream_id)
    row, _ = PatientAlarms.objects.select_for_update().get_or_create(patient_id=patient_id)
    if row.is_off is not off:
        row.is_off = off
        row.save(update_fields=["is_off"])
