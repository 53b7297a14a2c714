"""Where a feeding command puts its patients, and the tokens with which their devices may send."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.management.base import CommandError, CommandParser, OutputWrapper

from streaming.core.streams import Source
from streaming.models import Ward
from streaming.store import demo, feeds
from streaming.store.readiness import require_migrated


def add_ward_argument(parser: CommandParser, otherwise: str) -> None:
    """The option that names the ward."""
    parser.add_argument(
        "--ward",
        help=f"name of the ward to admit to (default: {demo.EMPTY_WARD} of the demo, else {otherwise})",
    )


def admit(
    devices: Iterable[tuple[str, str]],
    source: Source,
    *,
    ward: str | None,
    otherwise: str,
    out: OutputWrapper,
) -> list[str]:
    """A fresh token for each (patient, device), admitted to `ward` or a default; what is missing is made."""
    require_migrated()
    if ward is None:
        ward = demo.EMPTY_WARD if Ward.objects.filter(name=demo.EMPTY_WARD).exists() else otherwise
    try:
        tokens = [feeds.ensure_feed(ward, patient, device, source).token for patient, device in devices]
    except ValueError as error:
        raise CommandError(str(error)) from None
    out.write(f"Admitted to {ward}: {len(tokens)}")
    if not Ward.objects.filter(name=ward, groups__isnull=False).exists():
        out.write("No group sees this ward yet: give it one in the admin, or sign in as a superuser.")
    return tokens
