"""Questions about the past are bounded; an answer comes whole out of its pieces, whatever room they had."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode
from typing import Any

import pytest

from streaming.core.client_messages import review
from streaming.core.messages import parse_viewer_message
from streaming.core.review_messages import MAX_COLUMNS, MAX_MS, Answer, Cutter, Question, Subject
from streaming.exceptions import ProtocolError

ASKED = {
    "type": "review",
    "id": 1,
    "slot": "zoom",
    "stream": "a",
    "what": "wave",
    "from_ms": 1000,
    "to_ms": 61000,
}


def test_a_question_is_read() -> None:
    text = review(3, "a", "overview", from_ms=5, to_ms=10.5, slot="day", columns=100, lead="V1")
    expected = Question(3, "day", "a", Subject.OVERVIEW, 5, 10.5, 100, "V1")
    assert parse_viewer_message(text) == expected
    assert parse_viewer_message(json.dumps(ASKED)) == Question(1, "zoom", "a", Subject.WAVE, 1000, 61000)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"id": -1}, "id"),
        ({"slot": "Zoom"}, "slot"),
        ({"slot": "a" * 17}, "slot"),
        ({"stream": "a/b"}, "stream"),
        ({"what": "all"}, "what"),
        ({"from_ms": -1}, "from_ms"),
        ({"from_ms": "0"}, "from_ms"),
        ({"to_ms": MAX_MS * 2}, "to_ms"),
        ({"to_ms": 1000}, "to_ms"),
        ({"to_ms": 61001}, "to_ms"),
        ({"what": "trend", "to_ms": 1000 + 90_001_000}, "to_ms"),
        ({"columns": 0}, "columns"),
        ({"columns": MAX_COLUMNS + 1}, "columns"),
        ({"lead": "x" * 17}, "lead"),
    ],
)
def test_what_is_out_of_bounds_is_refused(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ProtocolError, match=named):
        parse_viewer_message(json.dumps(ASKED | change))


@pytest.mark.parametrize("room", [0, 512, 5000, 100_000])
def test_the_pieces_of_an_answer_are_all_of_it(room: int) -> None:
    data = bytes(range(256)) * 100
    cutter = Cutter(7, Answer({"columns": 3}, data).body())
    joined, more = b"", True
    while more:
        text = cutter.next(room)
        assert len(text) <= max(room, 400)
        piece = json.loads(text)
        assert (piece["type"], piece["id"]) == ("review", 7)
        joined += b64decode(piece["data"])
        more = piece["more"]
    assert cutter.is_done
    plain = zlib.decompress(joined[4:], wbits=-15)
    assert int.from_bytes(joined[:4], "little") == len(plain)
    size = int.from_bytes(plain[:4], "little")
    assert json.loads(plain[4 : 4 + size]) == {"columns": 3}
    assert plain[4 + size :] == data
