"""The demo: eight patients in a ward, and somebody who may watch them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models import Q

from streaming.core.streams import Source
from streaming.models import Device, Stream, Ward
from streaming.store import audit, feeds
from streaming.store.feeds import Feed

USERNAME = "demo"
GROUP = "Demo ward staff"
WARD = "Cardiology 4B"
EMPTY_WARD = "Step-down 4C"
"""Visible and empty: for what `simulate` and `replay` add, and for moving a patient."""
_PASSWORD_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class DemoBed:
    """Who lies in a bed, and what is sent for them: a simulated rhythm, or a recording in a loop."""

    bed: str
    patient: str
    device: str
    source: Source
    content: str


BEDS = (
    DemoBed("01", "Heron 27", "demo-sim-1", Source.SIM, "sinus"),
    DemoBed("02", "Osprey 12", "demo-sim-2", Source.SIM, "af"),
    DemoBed("03", "Lapwing 8", "demo-sim-3", Source.SIM, "bradycardia"),
    DemoBed("04", "Dunlin 31", "demo-sim-4", Source.SIM, "tachycardia"),
    DemoBed("05", "Wren 44", "demo-replay-1", Source.REPLAY, "mitdb/208"),
    DemoBed("06", "Kestrel 19", "demo-sim-5", Source.SIM, "vt"),
    DemoBed("07", "Plover 2", "demo-sim-6", Source.SIM, "pvc"),
    DemoBed("08", "Curlew 15", "demo-sim-7", Source.SIM, "lead_off"),
)
"""The names are birds': nobody is meant."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What there is now. `password` is only there when it was made just now; it is stored as a hash."""

    username: str
    password: str | None = field(repr=False)
    streams: dict[str, str]
    """Stream id by bed."""


def set_up(*, reset_password: bool = False) -> Demo:
    """Make what is missing of the demo; whatever is there already stays as it is.

    What is there is found by the devices' names, so that patients and beds may be renamed. Raises
    ValueError when one of the devices no longer has the demo's source.
    """
    with transaction.atomic():
        streams = {bed.bed: admission(bed) for bed in BEDS}
        group, group_is_new = Group.objects.get_or_create(name=GROUP)
        if group_is_new:
            empty_ward, _ = Ward.objects.get_or_create(slug="step-down-4c", defaults={"name": EMPTY_WARD})
            group.wards.add(streams["01"].ward, empty_ward)
            group.permissions.add(*_staff_permissions())
        user, user_is_new = User.objects.get_or_create(username=USERNAME, defaults={"is_staff": True})
        if user_is_new:
            user.groups.add(group)
        password = None
        if user_is_new or reset_password:
            password = "-".join(_letters(4) for _ in range(4))
            user.set_password(password)
            user.save(update_fields=["password"])
            audit.record("system:demo", "user.password", f"user:{user.pk}", "done")
    return Demo(user.username, password, {bed: stream.pk for bed, stream in streams.items()})


def admission(bed: DemoBed) -> Stream:
    """The open admission of a bed's device, wherever it lies now; made or begun anew if there is none.

    Raises ValueError when the device has another source than the demo's.
    """
    device = Device.objects.filter(name=bed.device).first()
    if device is None:
        return feeds.ensure_admission(WARD, bed.patient, bed.device, bed.source, bed.bed)
    if device.source != bed.source.value:
        raise ValueError(
            f"the demo's device {device.name} has the source {device.source}; "
            f"make it {bed.source.value} again in the admin, or give it another name"
        )
    admissions = device.streams.select_related("patient", "ward", "device")
    current = admissions.filter(ended_at=None).first()
    if current is not None:
        return current
    last = admissions.order_by("-ended_at", "-started_at").first()
    if last is None:
        return feeds.ensure_admission(WARD, bed.patient, bed.device, bed.source, bed.bed)
    return feeds.begin_admission(device, last.patient, last.ward, last.bed, actor=feeds.ACTOR)


def begin_feed(bed: DemoBed) -> Feed:
    """Begin to feed a bed's device, which is admitted if it is not; raises as `admission` does."""
    return feeds.begin_feed(admission(bed))


def _staff_permissions() -> list[Permission]:
    """See everything of ours; change settings, patients, devices and admissions; make tokens for oneself;
    delete and export history; do all that there is to do about alarms.

    Not the wards' groups and not the users: the demo's login cannot give itself more.
    """
    ours = Q(content_type__app_label__in=("streaming", "monitoring"))
    seen = Q(codename__startswith="view_")
    changed = Q(
        codename__in=[
            f"{verb}_{model}"
            for verb in ("add", "change")
            for model in ("profile", "patient", "device", "stream", "apitoken", "patientalarms")
        ]
    )
    deleted = Q(codename__in=["delete_profile", "delete_historychunk"])
    exported = Q(codename="export_history")
    alarms = Q(
        codename__in=["acknowledge_alarms", "pause_alarm_audio", "switch_off_alarms", "set_alarm_limits"]
    )
    return list(Permission.objects.filter(ours & (seen | changed | deleted | exported | alarms)))


def _letters(count: int) -> str:
    return "".join(secrets.choice(_PASSWORD_LETTERS) for _ in range(count))
