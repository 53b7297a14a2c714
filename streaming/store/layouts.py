"""Each user's arrangement of the ward: read with the page, written when the user changes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from streaming.exceptions import LayoutError
from streaming.models_layout import BedOrder, WardLayout

MAX_PINNED = 64
_STREAM_ID = re.compile(r"[a-z2-7]{12}")


@dataclass(frozen=True, slots=True)
class Layout:
    """In which order beds stand, and which of them come first."""

    order: BedOrder = BedOrder.WARD
    pinned: tuple[str, ...] = ()

    @classmethod
    def read(cls, value: Any) -> Layout:
        """Of a page's JSON. Raises LayoutError, which says what is wrong with it."""
        if not isinstance(value, dict) or set(value) != {"order", "pinned"}:
            raise LayoutError("a layout has order and pinned, and nothing else")
        if value["order"] not in BedOrder.values:
            raise LayoutError(f"order is one of {', '.join(BedOrder.values)}")
        pinned = value["pinned"]
        if not isinstance(pinned, list) or len(pinned) > MAX_PINNED:
            raise LayoutError(f"pinned is a list of at most {MAX_PINNED} streams")
        if not all(isinstance(stream, str) and _STREAM_ID.fullmatch(stream) for stream in pinned):
            raise LayoutError("pinned has what is no id of a stream")
        if len(set(pinned)) < len(pinned):
            raise LayoutError("pinned names a stream twice")
        return cls(BedOrder(value["order"]), tuple(pinned))

    def as_json(self) -> dict[str, Any]:
        """As `read` takes it."""
        return {"order": self.order.value, "pinned": list(self.pinned)}


def load(user_id: int) -> Layout:
    """The user's, or the one that all begin with. One query."""
    row = WardLayout.objects.filter(user_id=user_id).first()
    if row is None:
        return Layout()
    try:
        return Layout.read({"order": row.order, "pinned": row.pinned})
    except LayoutError:  # another program wrote it
        return Layout()


def save(user_id: int, layout: Layout) -> None:
    """It is this one from now on. Raises django.db.Error."""
    values = {"order": layout.order, "pinned": list(layout.pinned)}
    WardLayout.objects.update_or_create(user_id=user_id, defaults=values)
