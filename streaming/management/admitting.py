"""Where a feeding command puts its patients, and the tokens with which their devices may send."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError, CommandParser, OutputWrapper
from django.db import transaction
from django.db.models import Count, Q

from streaming.core.streams import Source
from streaming.models import Ward
from streaming.store import demo, feeds
from streaming.store.feeds import Feed
from streaming.store.readiness import require_migrated


def add_ward_argument(parser: CommandParser, otherwise: str) -> None:
    """The option that names the ward."""
    parser.add_argument(
        "--ward",
        help="name of the ward to admit to, or to move to (default: where the device lies, else "
        f"{demo.EMPTY_WARD} of the demo, else {otherwise})",
    )


@contextmanager
def admitted(
    devices: Iterable[tuple[str, str]],
    source: Source,
    *,
    ward: str | None,
    otherwise: str,
    out: OutputWrapper,
) -> Iterator[list[str]]:
    """A token for each (patient, device), admitted to `ward` or a default; what is missing is made.

    Without `ward`, a device that lies at its patient already stays there: another program may feed it. The
    tokens end with the block.
    """
    require_migrated()
    default = demo.EMPTY_WARD if Ward.objects.filter(name=demo.EMPTY_WARD).exists() else otherwise
    try:
        with transaction.atomic():
            begun = [
                (feeds.feed_where_it_lies(patient, device, source) if ward is None else None)
                or feeds.ensure_feed(ward or default, patient, device, source)
                for patient, device in devices
            ]
    except ValueError as error:
        raise CommandError(str(error)) from None
    streams = [feed.stream for feed in begun]
    count = Count("streams", filter=Q(streams__in=streams), distinct=True)
    for name, admissions in Ward.objects.annotate(n=count).filter(n__gt=0).values_list("name", "n"):
        out.write(f"Admitted to {name}: {admissions}")
    if Ward.objects.filter(streams__in=streams, groups=None).exists():
        out.write("No group sees this ward yet: give it one in the admin, or sign in as a superuser.")
    with ended_after(begun):
        yield [feed.token for feed in begun]


@contextmanager
def ended_after(begun: Iterable[Feed]) -> Iterator[None]:
    """End these feeds with the block, however it ends."""
    try:
        yield
    finally:
        for feed in begun:
            feeds.end_feed(feed)
