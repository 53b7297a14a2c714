"""JSON as vital.v1 allows it: one way to read each text, bounded in size, depth and number range."""

from __future__ import annotations

import json
import re
from typing import Any

from streaming.exceptions import ProtocolError

MAX_TEXT_BYTES = 64 * 1024
"""What a client may say at once."""
MAX_SERVER_TEXT_BYTES = 1024 * 1024
"""What a server may say at once: the roster of a large hospital, 5000 streams of 200 bytes, has to pass."""
MAX_DEPTH = 16
MAX_SAFE_INTEGER = 2**53 - 1
"""The largest integer that a JavaScript number holds exactly (ECMA-262, Number.MAX_SAFE_INTEGER)."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""A string (also an unterminated one, so that the scan stays linear) or a bracket outside strings."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def parse_json(text: str, *, max_bytes: int = MAX_TEXT_BYTES, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """The JSON object in `text`.

    Raises ProtocolError for anything else: no object, duplicate keys, NaN or Infinity (spelled out or by
    overflow), integers beyond 2^53 - 1, unpaired surrogates, more than `max_bytes` of UTF-8, or brackets
    nested deeper than `max_depth`. Time and memory grow linearly with the text.
    """
    value = parse_any_json(text, max_bytes=max_bytes, max_depth=max_depth)
    if not isinstance(value, dict):
        raise ProtocolError("message is not a JSON object")
    return value


def parse_any_json(text: str, *, max_bytes: int = MAX_TEXT_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """As `parse_json`, for any JSON value."""
    if len(text) > max_bytes or (not text.isascii() and _size(text) > max_bytes):
        raise ProtocolError(f"message is larger than {max_bytes} bytes")
    _check_depth(text, max_depth)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError:
        raise ProtocolError("message is not valid JSON") from None
    if _SURROGATE.search(text):
        _size(to_json(value))
    return value


def to_json(value: Any) -> str:
    """`value` as compact JSON; NaN and Infinity are a ValueError, for they would be our own mistake."""
    return _ENCODER.encode(value)


def _size(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise ProtocolError("message holds an unpaired surrogate") from None


def _check_depth(text: str, max_depth: int) -> None:
    # Counted before parsing: at depth 1000 the standard parser raises RecursionError. The plain count
    # settles nearly every message without the scan that tells brackets in strings.
    if text.count("[") + text.count("{") <= max_depth:
        return
    depth = 0
    for match in _TOKEN.finditer(text):
        token = match[0][0]
        if token in "[{":
            depth += 1
            if depth > max_depth:
                raise ProtocolError(f"message is nested deeper than {max_depth}")
        elif token in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ProtocolError("message has a duplicate key")
    return value


def _integer(digits: str) -> int:
    # The length first: int() of long digit strings is quadratic, and refused beyond 4300 by a ValueError.
    if len(digits) > 17 or abs(value := int(digits)) > MAX_SAFE_INTEGER:
        raise ProtocolError("message has an integer beyond 2^53 - 1")
    return value


def _real(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ProtocolError("message has a number beyond the range of a double")
    return value


def _constant(name: str) -> Any:
    raise ProtocolError(f"message has {name}, which is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_constant
)
