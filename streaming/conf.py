"""What VITAL says of itself on every page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext

if TYPE_CHECKING:
    from django.http import HttpRequest

NOTICE = (
    "Not a medical device. Not for diagnosis, treatment or patient monitoring. "
    "Alarms may be late, wrong or missing."
)


def notice(_request: HttpRequest) -> dict[str, str]:
    """Template context: the notice, as `vital_notice`."""
    return {"vital_notice": gettext(NOTICE)}
