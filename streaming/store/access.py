"""Who may see or send which stream: proof of identity, the ward's check, and the check again while it lasts.

All functions are synchronous: consumers call them through `database_sync_to_async`, at the hello and at a
subscribe, never per frame. The number of queries that each names excludes the one INSERT of its audit entry.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hmac import compare_digest
from typing import Any

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now
from django.dispatch import Signal
from django.utils import timezone

from streaming.core.messages import RosterEntry
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.ecg.alarm_limits import AlarmLimits
from streaming.exceptions import AuthenticationError, ForbiddenError, ProtocolError
from streaming.models import ApiToken, DeviceToken, Stream, StreamEpoch, Ward
from streaming.models_alarms import PatientAlarms
from streaming.store import audit, tokens

_STREAM_ID = re.compile(r"[a-z2-7]{12}")
_LAST_USED_STEP = timedelta(minutes=1)
"""`last_used` is for people who look for forgotten tokens; a write per connection would be wasted."""

access_changed = Signal()
"""Sent after the commit that changed somebody's access, or what there is to see; `reason` names the table.

`streaming.signals` sends it, in the thread that committed. Not sent for `QuerySet.update`, nor for what other
programs do to the database: those are found by asking `recheck` every two seconds.
"""


class PrincipalKind(StrEnum):
    """How the holder of a connection proved who it is."""

    SESSION = "session"
    TOKEN = "token"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a connection, as far as its rights depend on it; hashable, so that it can be asked for.

    `token_id` is that of the API token or of the device token, by `kind`.
    """

    kind: PrincipalKind
    user_id: int | None = None
    session_key: str | None = field(default=None, repr=False)
    token_id: int | None = None
    device_id: int | None = None

    @property
    def actor(self) -> str:
        """How the audit trail names it."""
        if self.kind is PrincipalKind.SESSION:
            return f"user:{self.user_id}"
        if self.kind is PrincipalKind.TOKEN:
            return f"api-token:{self.token_id}"
        return f"device:{self.device_id}"


@dataclass(frozen=True, slots=True)
class DeviceAccess:
    """A device that proved who it is."""

    device_id: int
    source: Source
    token_id: int

    @property
    def principal(self) -> Principal:
        """For `recheck`."""
        return Principal(PrincipalKind.DEVICE, token_id=self.token_id, device_id=self.device_id)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a principal still is who it was, and what it may see (a device: send) now."""

    valid: bool
    streams: frozenset[str]


_INVALID = Verdict(valid=False, streams=frozenset())


def authenticate_device(token: str) -> DeviceAccess:
    """The device that `token` belongs to; raises AuthenticationError. One query."""
    found = tokens.find_device_token(token)
    if found is None:
        audit.record_refusal("device.authenticate", "device")
        raise AuthenticationError(
            "device token is not valid: wrong, replaced by a newer one, revoked or expired"
        )
    audit.record(f"device:{found.device_id}", "device.authenticate", f"device:{found.device_id}", "allowed")
    return DeviceAccess(found.device_id, Source(found.device.source), found.pk)


def admitted_stream(device_id: int) -> str:
    """The stream of the device's open admission; raises ForbiddenError when it has none. One query."""
    stream = (
        Stream.objects.filter(device_id=device_id, ended_at__isnull=True).values_list("pk", flat=True).first()
    )
    if stream is None:
        audit.record(f"device:{device_id}", "stream.publish", "stream", "denied")
        raise ForbiddenError("device is not admitted")
    return str(stream)


def open_epoch(
    device_id: int, session: str, rate_hz: float, leads: Sequence[Lead], claimed_source: Source
) -> StreamInfo:
    """The epoch that a device's session writes, on the stream of its open admission.

    The session that wrote last continues its epoch; a new one starts the next. Raises ForbiddenError when
    the device is not admitted, ProtocolError when a session comes back with another rate, other leads or
    another source, or after a newer session took its place. Two queries, three for a new epoch.
    """
    with transaction.atomic():
        stream = (
            Stream.objects.select_for_update(of=("self",))
            .select_related("patient", "ward", "device")
            .filter(device_id=device_id, ended_at__isnull=True)
            .first()
        )
        if stream is None:
            audit.record(f"device:{device_id}", "stream.publish", "stream", "denied")
            refusal = ForbiddenError("device is not admitted")
        else:
            source = _marked(Source(stream.device.source), claimed_source)
            stored_leads = [asdict(lead) for lead in leads]
            last = stream.epochs.order_by("-number").first()
            if last is None or last.session != session:
                if last is not None and stream.epochs.filter(session=session).exists():
                    raise ProtocolError("a newer session has taken this stream")
                last = StreamEpoch.objects.create(
                    stream=stream,
                    number=last.number + 1 if last else 1,
                    session=session,
                    source=source.value,
                    rate_hz=rate_hz,
                    leads=stored_leads,
                )
            elif (last.rate_hz, last.leads, last.source) != (rate_hz, stored_leads, source.value):
                raise ProtocolError("rate, signals or source changed within a session")
            audit.record(
                f"device:{device_id}", "stream.publish", f"stream:{stream.pk}", "allowed", epoch=last.number
            )
            return _stream_info(stream, last)
    raise refusal


def epoch_info(stream: str, number: int) -> StreamInfo | None:
    """What an epoch of a stream consists of, also of an admission that has ended; None if there is none.

    One query.
    """
    epoch = (
        StreamEpoch.objects.select_related("stream__patient", "stream__ward")
        .filter(stream=stream, number=number)
        .first()
    )
    return None if epoch is None else _stream_info(epoch.stream, epoch)


def newest_epoch(stream: str) -> int | None:
    """The number of a stream's last epoch; None before the first. One query."""
    return (
        StreamEpoch.objects.filter(stream=stream).order_by("-number").values_list("number", flat=True).first()
    )


def may_see(principal: Principal, stream: str) -> bool:
    """Whether a viewer may see a stream now; audited by whoever asks. Two queries."""
    return visible_admissions(principal).filter(pk=stream).exists()


def note_review(principal: Principal, stream: str) -> None:
    """Audit that a viewer began to look at the past of a stream that it may see."""
    audit.record(principal.actor, "stream.review", f"stream:{stream}", "allowed")


def _stream_info(stream: Stream, epoch: StreamEpoch) -> StreamInfo:
    return StreamInfo(
        stream=stream.pk,
        epoch=epoch.number,
        patient=stream.patient.pseudonym,
        ward=stream.ward.slug,
        source=Source(epoch.source),
        rate_hz=epoch.rate_hz,
        leads=tuple(Lead(**lead) for lead in epoch.leads),
    )


def principal_from_session(session_key: str | None, user: User | AnonymousUser) -> Principal:
    """The principal of a browser; raises AuthenticationError when nobody is signed in. No query."""
    if not session_key or not user.is_authenticated or not user.is_active:
        raise AuthenticationError("not signed in")
    return Principal(PrincipalKind.SESSION, user_id=user.pk, session_key=session_key)


def authenticate_viewer_token(token: str) -> Principal:
    """The principal of an API token; raises AuthenticationError. One query, at times two."""
    found = tokens.find_api_token(token)
    if found is None or not found.user.is_active:
        audit.record_refusal("viewer.authenticate", "viewer")
        raise AuthenticationError("API token is not valid")
    now = timezone.now()
    if found.last_used is None or now - found.last_used > _LAST_USED_STEP:
        ApiToken.objects.filter(pk=found.pk).update(last_used=now)
    audit.record(f"api-token:{found.pk}", "viewer.authenticate", f"user:{found.user_id}", "allowed")
    return Principal(PrincipalKind.TOKEN, user_id=found.user_id, token_id=found.pk)


def visible_streams(principal: Principal) -> list[RosterEntry]:
    """The open admissions that a viewer may see, by ward and bed; audited. Two queries.

    `online` is False throughout: whether a device sends now is for the ingest to say, not for the database.
    """
    last_source = StreamEpoch.objects.filter(stream=OuterRef("pk")).order_by("-number").values("source")[:1]
    streams = (
        visible_admissions(principal)
        .select_related("patient__alarms", "ward", "device")
        .annotate(last_source=Subquery(last_source))
        .order_by("ward__name", "bed", "pk")
    )
    limits = {stream.pk: _limits_of(stream) for stream in streams}
    roster = [
        RosterEntry(
            stream=stream.pk,
            patient=stream.patient.pseudonym,
            name=stream.patient.display_name,
            ward=stream.ward.slug,
            ward_name=stream.ward.name,
            bed=stream.bed,
            source=_marked(Source(stream.device.source), Source(stream.last_source or stream.device.source)),
            online=False,
            hr_low=limits[stream.pk].hr_low,
            hr_high=limits[stream.pk].hr_high,
        )
        for stream in streams
    ]
    audit.record(
        principal.actor, "roster.view", "streams", "allowed", streams=[entry.stream for entry in roster]
    )
    return roster


def authorize_streams(principal: Principal, stream_ids: Collection[str]) -> tuple[set[str], set[str]]:
    """The asked ids, as allowed and denied; audited. Two queries, whatever the answer.

    An id that never was, one whose admission ended and one of another ward are all just denied, found by
    the same query. What has not even the form of an id is not asked for, nor audited but for its count.
    """
    asked = set(stream_ids)
    known_form = {stream_id for stream_id in asked if _STREAM_ID.fullmatch(stream_id)}
    allowed = set(visible_admissions(principal).filter(pk__in=known_form).values_list("pk", flat=True))
    denied = asked - allowed
    audit.record(
        principal.actor,
        "stream.subscribe",
        "streams",
        "denied" if denied and not allowed else "partly" if denied else "allowed",
        allowed=allowed,
        denied=denied & known_form,
        malformed=len(asked - known_form),
    )
    return allowed, denied


def ended_streams(stream_ids: Collection[str]) -> set[str]:
    """Those of the given streams whose admission has ended. One query."""
    ended = Stream.objects.filter(pk__in=stream_ids, ended_at__isnull=False)
    return set(ended.values_list("pk", flat=True))


def abandoned_streams() -> dict[StreamInfo, str]:
    """Of patients who are admitted: those that once were sent, and are sent by no device now.

    With a mark that is another for each time that one falls silent. One query.
    """
    newest = StreamEpoch.objects.filter(stream=OuterRef("stream")).order_by("-number").values("number")[:1]
    epochs = StreamEpoch.objects.select_related("stream__patient", "stream__ward").filter(
        number=Subquery(newest),
        stream__ended_at__isnull=True,
    )
    lapsed = Q(stream__streamlease__expires_at__lt=Now()) | Q(stream__streamlease__expires_at__isnull=True)
    marked = epochs.filter(lapsed, stream__streamlease__isnull=False).annotate(
        until=F("stream__streamlease__expires_at"), token=F("stream__streamlease__token")
    )
    return {_stream_info(epoch.stream, epoch): _silence(epoch.token, epoch.until) for epoch in marked}


def _silence(token: int, until: datetime | None) -> str:
    """What tells one silence of a stream from another: whose it was, and where it did not end, until when."""
    return f"{token}" if until is None else f"{token}.{round(1000 * until.timestamp())}"


def recheck(principals: Iterable[Principal]) -> dict[Principal, Verdict]:
    """What is left of the rights of all live connections; not audited: who cuts one, calls `note_cut`.

    A session must exist unexpired, its user be active and the password unchanged; an API token be neither
    revoked nor expired, and its user active; a device token likewise, and a device sees its admission.
    Seven queries at most, however many principals.
    """
    asked = set(principals)
    if not asked:
        return {}
    facts = _Facts.read(asked)
    return {principal: facts.verdict(principal) for principal in asked}


def note_cut(principal: Principal, reason: str) -> None:
    """Audit that a live connection was cut because its principal lost its rights; `reason` holds no names."""
    audit.record(principal.actor, "connection.cut", principal.actor, "done", reason=reason)


@dataclass(frozen=True, slots=True)
class _Facts:
    """All that the verdicts depend on, read at one moment."""

    users: dict[int, User]
    wards_of_user: dict[int, set[int]]
    sessions: dict[str, dict[str, Any]]
    api_tokens: dict[int, ApiToken]
    device_tokens: dict[int, DeviceToken]
    streams_of_ward: dict[int, set[str]]
    stream_of_device: dict[int, str]
    now: datetime

    @classmethod
    def read(cls, principals: set[Principal]) -> _Facts:
        now = timezone.now()
        user_ids = {principal.user_id for principal in principals if principal.user_id is not None}
        keys = {principal.session_key for principal in principals if principal.session_key}
        api_ids = {p.token_id for p in principals if p.kind is PrincipalKind.TOKEN}
        device_token_ids = {p.token_id for p in principals if p.kind is PrincipalKind.DEVICE}
        sessions = Session.objects.filter(session_key__in=keys, expire_date__gt=now)
        memberships = Ward.groups.through.objects.filter(group__user__in=user_ids)
        wards_of_user: dict[int, set[int]] = {}
        for user_id, ward_id in memberships.values_list("group__user", "ward_id") if user_ids else ():
            wards_of_user.setdefault(user_id, set()).add(ward_id)
        streams_of_ward: dict[int, set[str]] = {}
        stream_of_device: dict[int, str] = {}
        admissions = Stream.objects.filter(ended_at__isnull=True).order_by()
        for stream_id, ward_id, device_id in admissions.values_list("pk", "ward_id", "device_id"):
            streams_of_ward.setdefault(ward_id, set()).add(stream_id)
            stream_of_device[device_id] = stream_id
        return cls(
            users=get_user_model().objects.in_bulk(user_ids),
            wards_of_user=wards_of_user,
            sessions={session.session_key: session.get_decoded() for session in sessions} if keys else {},
            api_tokens=ApiToken.objects.prefetch_related("wards").in_bulk(api_ids),
            device_tokens=DeviceToken.objects.in_bulk(device_token_ids),
            streams_of_ward=streams_of_ward,
            stream_of_device=stream_of_device,
            now=now,
        )

    def verdict(self, principal: Principal) -> Verdict:
        if principal.kind is PrincipalKind.DEVICE:
            return self._device_verdict(principal)
        user = self.users.get(principal.user_id or 0)
        if user is None or not user.is_active:
            return _INVALID
        wards = set(self.streams_of_ward) if user.is_superuser else self.wards_of_user.get(user.pk, set())
        if principal.kind is PrincipalKind.TOKEN:
            token = self.api_tokens.get(principal.token_id or 0)
            if token is None or not token.is_valid(self.now):
                return _INVALID
            wards = wards & {ward.pk for ward in token.wards.all()}
        elif not _session_is_of(self.sessions.get(principal.session_key or ""), user):
            return _INVALID
        return Verdict(True, frozenset().union(*(self.streams_of_ward.get(ward, ()) for ward in wards)))

    def _device_verdict(self, principal: Principal) -> Verdict:
        token = self.device_tokens.get(principal.token_id or 0)
        stream = self.stream_of_device.get(principal.device_id or 0)
        if token is None or not token.is_valid(self.now):
            return _INVALID
        return Verdict(True, frozenset({stream} if stream else ()))


def visible_admissions(principal: Principal) -> QuerySet[Stream]:
    """The open admissions that a viewer may see, after one query for its rights; none for a device."""
    streams = Stream.objects.filter(ended_at__isnull=True)
    user = user_in_force(principal)
    if user is None:
        # An impossible condition rather than `none()`: the query runs, so that a refusal takes its time too.
        return streams.filter(pk="")
    if not user.is_superuser:
        streams = streams.filter(ward__in=Ward.objects.filter(groups__user=user))
    if principal.kind is PrincipalKind.TOKEN:
        scope = ApiToken.wards.through.objects.filter(apitoken_id=principal.token_id or 0)
        streams = streams.filter(ward__in=scope.values("ward_id"))
    return streams


def user_in_force(principal: Principal) -> User | None:
    """The active user behind a viewer, by a valid token where it came with one. One query."""
    if principal.kind is PrincipalKind.TOKEN:
        token = ApiToken.objects.select_related("user").filter(pk=principal.token_id or 0).first()
        user = token.user if token and token.is_valid(timezone.now()) else None
    else:
        user = get_user_model().objects.filter(pk=principal.user_id or 0).first()
    return user if user and user.is_active else None


def _session_is_of(session: dict[str, Any] | None, user: User) -> bool:
    """Whether a session still belongs to `user`, signed in with the password of today."""
    if session is None or session.get(SESSION_KEY) != str(user.pk):
        return False
    known = session.get(HASH_SESSION_KEY, "")
    if compare_digest(known, user.get_session_auth_hash()):
        return True
    return any(compare_digest(known, old) for old in user.get_session_auth_fallback_hash())


def _limits_of(stream: Stream) -> AlarmLimits:
    """Those that its patient's analysis goes by: of a row that contradicts itself, the default ones."""
    try:
        return stream.patient.alarms.settings().limits
    except (PatientAlarms.DoesNotExist, ValueError):
        return AlarmLimits()


def _marked(device_source: Source, claimed: Source) -> Source:
    """The mark that samples carry: only a LIVE device may choose, so that no other ever looks LIVE."""
    return claimed if device_source is Source.LIVE else device_source
