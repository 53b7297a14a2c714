"""What a feed needs before it can send: a ward, a patient, a device admitted to a bed, and a token."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from streaming.core.streams import Source
from streaming.models import Device, DeviceToken, Patient, Stream, Ward
from streaming.store import alarm_settings, audit, tokens

ACTOR = "system:feed"


@dataclass(frozen=True, slots=True)
class Feed:
    """An open admission, and a token for its device that lasts as long as the program that feeds it."""

    stream: str
    token: str = field(repr=False)
    token_id: int


def ensure_feed(
    ward_name: str, patient_label: str, device_name: str, source: Source, bed: str | None = None
) -> Feed:
    """Make what is missing of ward, patient, device and admission, and begin to feed it.

    A device that lies elsewhere is moved: its open admission ends, and a new stream begins. A new ward has
    no groups yet, so that only superusers see it until the admin gives it some. Raises ValueError when the
    device exists with another source: a simulation must not take over a device that is LIVE.
    """
    with transaction.atomic():
        return begin_feed(ensure_admission(ward_name, patient_label, device_name, source, bed))


def feed_where_it_lies(patient_label: str, device_name: str, source: Source) -> Feed | None:
    """Begin to feed a device that is admitted at this patient, in whichever ward; None when it is not."""
    lying = Stream.objects.select_related("device").filter(
        device__name=device_name,
        device__source=source.value,
        patient__display_name=patient_label,
        ended_at=None,
    )
    stream = lying.first()
    return begin_feed(stream) if stream else None


def begin_feed(stream: Stream) -> Feed:
    """Issue a token for the device of an open admission; the device's others stay as they are.

    One of them may be in use: a second program must not end the first. `end_feed` it when it ends.
    """
    token = tokens.issue_device_token(stream.device, actor=ACTOR, overlap=None)
    return Feed(stream.pk, token.text, token.token_id)


def end_feed(feed: Feed) -> None:
    """Revoke the token, so that no run leaves one behind. Harmless when it has gone with its device."""
    token = DeviceToken.objects.filter(pk=feed.token_id).first()
    if token is not None:
        tokens.revoke(token, actor=ACTOR)


def ensure_admission(
    ward_name: str, patient_label: str, device_name: str, source: Source, bed: str | None = None
) -> Stream:
    """`ensure_feed` without the token.

    A patient is known by the label within the ward alone: the same label elsewhere is somebody else, unless
    the device lies at them and moves with them. Raises ValueError where the ward knows two by that label.
    """
    slug = slugify(ward_name)
    if not slug:
        raise ValueError("a ward's name needs a letter or a digit")
    with transaction.atomic():
        ward, _ = Ward.objects.get_or_create(slug=slug, defaults={"name": ward_name})
        device, _ = Device.objects.get_or_create(name=device_name, defaults={"source": source.value})
        if device.source != source.value:
            raise ValueError(f"the device exists, with the source {device.source}; take another name")
        last = device.streams.filter(ended_at__isnull=True).select_related("patient").first()
        if last is not None and last.patient.display_name == patient_label:
            patient = last.patient
        else:
            patient = _patient(ward, patient_label)
        if last is not None:
            if (last.ward_id, last.patient_id) == (ward.pk, patient.pk) and bed in (None, last.bed):
                return last
            end_admission(last, actor=ACTOR)
        return begin_admission(device, patient, ward, bed or _free_bed(ward), actor=ACTOR)


def begin_admission(device: Device, patient: Patient, ward: Ward, bed: str, *, actor: str) -> Stream:
    """Admit now; the device must have no open admission."""
    stream = Stream.objects.create(device=device, patient=patient, ward=ward, bed=bed)
    audit.record(actor, "admission.begin", f"stream:{stream.pk}", "done", **audit_detail(stream))
    return stream


def audit_detail(stream: Stream) -> dict[str, int]:
    """What an audit entry on an admission says of it: ids, no names."""
    return {"device": stream.device_id, "patient": stream.patient_id, "ward": stream.ward_id}


def end_admission(stream: Stream, *, actor: str) -> None:
    """End it now: its device may no longer send, nobody sees it any more. Harmless when it has ended.

    With the patient's last one ends that their alarms are off: who comes back is watched again.
    """
    if stream.ended_at is not None:
        return
    stream.ended_at = timezone.now()
    stream.save(update_fields=["ended_at"])
    audit.record(actor, "admission.end", f"stream:{stream.pk}", "done")
    if not Stream.objects.filter(patient_id=stream.patient_id, ended_at__isnull=True).exists():
        alarm_settings.end_off(stream, actor)


def _patient(ward: Ward, label: str) -> Patient:
    """The one whom the ward knows by that label, made if there is none."""
    known = list(Patient.objects.filter(display_name=label, streams__ward=ward).distinct()[:2])
    if len(known) > 1:
        raise ValueError(f"{ward} knows several patients by that name; admit the right one in the admin")
    return known[0] if known else Patient.objects.create(display_name=label)


def _free_bed(ward: Ward) -> str:
    """The lowest two-digit bed that nobody lies in."""
    taken = set(ward.streams.filter(ended_at__isnull=True).values_list("bed", flat=True))
    number = 1
    while f"{number:02}" in taken:
        number += 1
    return f"{number:02}"
