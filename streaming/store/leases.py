"""Who may write a stream, over all processes: one lease per stream, by the database's own clock.

All functions are synchronous: they are called through `database_sync_to_async`, when a device connects and
every few seconds, never per frame. One statement each, whatever the number of streams, unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import BooleanField, Case, ExpressionWrapper, F, PositiveBigIntegerField, Q, Value, When
from django.db.models.functions import Now

from streaming.core.position import SampleRange
from streaming.models_lease import StreamLease

LEASE = timedelta(seconds=10)
"""As long as another session has to wait for one that is silent: `ingest.SILENCE_S`."""

_IN_FORCE = ExpressionWrapper(Q(expires_at__gt=Now()), output_field=BooleanField(null=True))


@dataclass(frozen=True, slots=True)
class Lease:
    """What is known of the right to write one stream; token 0 when nobody ever had it.

    `process` is empty when it gave the lease up, which it does with its last position. `is_open` says that
    the session has not ended, `in_force` that it was heard within the last 10 s.
    """

    session: str = ""
    process: str = ""
    token: int = 0
    next_sample: int = 0
    holes: tuple[SampleRange, ...] = ()
    began_at: datetime | None = None
    is_open: bool = False
    in_force: bool = False


def read(stream: str) -> Lease:
    """The lease as it is now."""
    row = StreamLease.objects.filter(pk=stream).annotate(in_force=_IN_FORCE).first()
    if row is None:
        return Lease()
    return Lease(
        session=row.session,
        process=row.process,
        token=row.token,
        next_sample=row.next_sample,
        holes=tuple(SampleRange(first, stop) for first, stop in row.holes),
        began_at=row.began_at,
        is_open=row.expires_at is not None,
        in_force=bool(row.in_force),
    )


def take(stream: str, session: str, process: str, *, seen: Lease, next_sample: int) -> int | None:
    """Take the lease as it was seen; its new token, None when somebody has taken it since.

    Two statements for a stream that never had one.
    """
    if not seen.token:
        StreamLease.objects.bulk_create([StreamLease(stream_id=stream)], ignore_conflicts=True)
    began_at = seen.began_at if seen.session == session and seen.is_open else Now()
    taken = StreamLease.objects.filter(pk=stream, token=seen.token).update(
        session=session,
        process=process,
        token=seen.token + 1,
        next_sample=next_sample,
        holes=[],
        began_at=began_at,
        expires_at=Now() + LEASE,
    )
    return seen.token + 1 if taken else None


def renew(process: str, positions: Mapping[str, int]) -> set[str]:
    """Ten more seconds for streams that were heard, by their next sample; those that are another's now.

    Two statements when there are any.
    """
    mine = StreamLease.objects.filter(process=process, pk__in=positions)
    renewed = mine.update(expires_at=Now() + LEASE, next_sample=_by_stream(positions))
    if renewed == len(positions):
        return set()
    return positions.keys() - set(mine.values_list("pk", flat=True))


def end(process: str, positions: Mapping[str, int], tokens: Mapping[str, int]) -> None:
    """Their sessions are over: any other may have these streams. What was taken since is left alone."""
    mine = StreamLease.objects.filter(process=process, pk__in=positions, token=_by_stream(tokens))
    mine.update(expires_at=None, next_sample=_by_stream(positions))


def give_up(process: str, positions: Mapping[str, int], holes: Mapping[str, Collection[SampleRange]]) -> None:
    """The process ends: the next one need not ask it where these streams stand.

    One more statement for each stream with holes that a device may still fill.
    """
    for stream, spans in holes.items():
        if spans:
            lease = StreamLease.objects.filter(process=process, pk=stream)
            lease.update(holes=[[span.first, span.stop] for span in spans])
    if positions:
        mine = StreamLease.objects.filter(process=process, pk__in=positions)
        mine.update(process="", next_sample=_by_stream(positions))


def online(streams: Collection[str]) -> set[str]:
    """Those of the streams that some process is sent now."""
    return set(StreamLease.objects.filter(pk__in=streams, expires_at__gt=Now()).values_list("pk", flat=True))


def _by_stream(numbers: Mapping[str, int]) -> Case:
    return Case(
        *(When(pk=stream, then=Value(number)) for stream, number in numbers.items()),
        default=F("next_sample"),
        output_field=PositiveBigIntegerField(),
    )
