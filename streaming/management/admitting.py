"""Where a feeding command puts its patients, and the tokens with which their devices may send."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError, CommandParser, OutputWrapper
from django.db import transaction

from streaming.core.streams import Source
from streaming.models import Ward
from streaming.store import demo, feeds
from streaming.store.feeds import Feed
from streaming.store.readiness import require_migrated


def add_ward_argument(parser: CommandParser, otherwise: str) -> None:
    """The option that names the ward."""
    parser.add_argument(
        "--ward",
        help=f"name of the ward to admit to (default: {demo.EMPTY_WARD} of the demo, else {otherwise})",
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

    The tokens end with the block.
    """
    require_migrated()
    if ward is None:
        ward = demo.EMPTY_WARD if Ward.objects.filter(name=demo.EMPTY_WARD).exists() else otherwise
    try:
        with transaction.atomic():
            begun = [feeds.ensure_feed(ward, patient, device, source) for patient, device in devices]
    except ValueError as error:
        raise CommandError(str(error)) from None
    out.write(f"Admitted to {ward}: {len(begun)}")
    if not Ward.objects.filter(name=ward, groups__isnull=False).exists():
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
