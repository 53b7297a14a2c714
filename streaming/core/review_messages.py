"""What a viewer asks of the past, and how the answer is cut to pieces that find room beside what is live."""

from __future__ import annotations

import re
import struct
from base64 import b64encode
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from streaming.core.deflate import Method
from streaming.core.fields import Fields
from streaming.core.strict_json import MAX_SAFE_INTEGER, to_json
from streaming.exceptions import ProtocolError

MAX_COLUMNS = 4096
"""Of an overview: more than a screen has."""
MAX_LEAD_NAME = 16
MAX_MS = 4e12
"""The year 2096: what is beyond is a mistake."""
DAY_MS = 24 * 3600e3
_SIZE = struct.Struct("<I")
_SLOT = re.compile(r"[a-z]{1,16}")
_ENVELOPE_BYTES = 90
"""Of a `review` message without its data."""
_LEAST_DATA = 300
"""Characters of a piece, however little room there is: the envelope would be most of it."""
_METHOD = Method(6, 15, 8)


class Subject(StrEnum):
    """What is asked for."""

    TREND = "trend"
    OVERVIEW = "overview"
    WAVE = "wave"
    EVENTS = "events"


LONGEST_MS = {
    Subject.TREND: DAY_MS + 3600e3,
    Subject.OVERVIEW: DAY_MS + 3600e3,
    Subject.WAVE: 60e3,
    Subject.EVENTS: DAY_MS + 3600e3,
}
"""What of each may be asked for at once."""


@dataclass(frozen=True, slots=True)
class Question:
    """A stretch of a stream's past, by the server's clock. A newer one in its `slot` takes its place.

    `columns` and `lead` are of an overview; without a lead it is of the first one.
    """

    id: int
    slot: str
    stream: str
    what: Subject
    from_ms: float
    to_ms: float
    columns: int = 1
    lead: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Facts, and numbers beside them that would be many times as long in JSON."""

    facts: dict[str, Any]
    data: bytes = b""

    def body(self) -> bytes:
        """The size of what follows when inflated, as u32; then raw deflate of: the size of the facts as u32,
        the facts as JSON, the data.
        """
        facts = to_json(self.facts).encode()
        plain = _SIZE.pack(len(facts)) + facts + self.data
        return _SIZE.pack(len(plain)) + _METHOD.deflate(plain)


def read_question(fields: Fields, stream_id: re.Pattern[str]) -> Question:
    """A viewer's `review`; raises ProtocolError."""
    what = Subject(fields.choice("what", Subject))
    from_ms = fields.number("from_ms", 0, MAX_MS)
    to_ms = fields.number("to_ms", 0, MAX_MS)
    if not 0 < to_ms - from_ms <= LONGEST_MS[what]:
        raise ProtocolError(f"to_ms is not up to {LONGEST_MS[what] / 1000:.0f} s behind from_ms")
    return Question(
        fields.integer("id", 0, MAX_SAFE_INTEGER),
        fields.text("slot", longest=16, pattern=_SLOT),
        fields.text("stream", longest=64, pattern=stream_id),
        what,
        from_ms,
        to_ms,
        fields.integer("columns", 1, MAX_COLUMNS, default=1),
        fields.optional_text("lead", longest=MAX_LEAD_NAME),
    )


class Cutter:
    """Hands out an answer in pieces, each as long as there is room for when it leaves."""

    def __init__(self, question: int, body: bytes) -> None:
        self._question = question
        self._text = b64encode(body).decode()
        self._at = 0

    @property
    def is_done(self) -> bool:
        """Whether all of it was handed out."""
        return self._at >= len(self._text)

    def next(self, room_bytes: int) -> str:
        """The next piece, as a message of about that size."""
        size = max(room_bytes - _ENVELOPE_BYTES, _LEAST_DATA) // 4 * 4  # each piece is base64 by itself
        data, self._at = self._text[self._at : self._at + size], self._at + size
        return to_json({"type": "review", "id": self._question, "more": not self.is_done, "data": data})
