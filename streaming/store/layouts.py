"""Each user's arrangement of the ward: read with the page, written when the user changes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from streaming.exceptions import LayoutError
from streaming.models_layout import BedOrder, BedsPerPage, WardLayout

MAX_PINNED = 64
_STREAM_ID = re.compile(r"[a-z2-7]{12}")


@dataclass(frozen=True, slots=True)
class Layout:
    """In which order beds stand, which of them come first, and how many stand on a page."""

    order: BedOrder = BedOrder.WARD
    pinned: tuple[str, ...] = ()
    per_page: BedsPerPage = BedsPerPage.FEW

    @classmethod
    def read(cls, value: Any, before: Layout | None = None) -> Layout:
        """Of a page's JSON. What a page of a former version does not name stays as it was `before`.

        Raises LayoutError, which says what is wrong.
        """
        if not isinstance(value, dict) or {"per_page", *value} != {"order", "pinned", "per_page"}:
            raise LayoutError("a layout has order, pinned and per_page, and nothing else")
        if value["order"] not in BedOrder.values:
            raise LayoutError(f"order is one of {', '.join(BedOrder.values)}")
        pinned = value["pinned"]
        if not isinstance(pinned, list) or len(pinned) > MAX_PINNED:
            raise LayoutError(f"pinned is a list of at most {MAX_PINNED} streams")
        if not all(isinstance(stream, str) and _STREAM_ID.fullmatch(stream) for stream in pinned):
            raise LayoutError("pinned has what is no id of a stream")
        if len(set(pinned)) < len(pinned):
            raise LayoutError("pinned names a stream twice")
        per_page = value.get("per_page", (before or cls()).per_page)
        if per_page not in BedsPerPage.values:
            raise LayoutError(f"per_page is one of {', '.join(map(str, BedsPerPage.values))}")
        return cls(BedOrder(value["order"]), tuple(pinned), BedsPerPage(per_page))

    def as_json(self) -> dict[str, Any]:
        """As `read` takes it."""
        return {"order": self.order.value, "pinned": list(self.pinned), "per_page": self.per_page.value}


def load(user_id: int) -> Layout:
    """The user's, or the one that all begin with. One query."""
    row = WardLayout.objects.filter(user_id=user_id).first()
    if row is None:
        return Layout()
    try:
        return Layout.read({"order": row.order, "pinned": row.pinned, "per_page": row.per_page})
    except LayoutError:  # another program wrote it
        return Layout()


def save(user_id: int, layout: Layout) -> None:
    """It is this one from now on. Raises django.db.Error."""
    values = layout.as_json()
    WardLayout.objects.update_or_create(user_id=user_id, defaults=values)
