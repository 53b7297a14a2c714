from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.strict_json import MAX_DEPTH, MAX_SAFE_INTEGER, parse_any_json, parse_json, to_json
from streaming.exceptions import ProtocolError

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not valid JSON"),
        ("{} x", "not valid JSON"),
        ('{"a":"' + "[" * 50, "not valid JSON"),
        ("\ufeff{}", "not valid JSON"),
        ('{"a":"\t"}', "not valid JSON"),
        ("[1]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('{"a":1,"b":2,"a":1}', "duplicate key"),
        ('{"b":{"a":1,"a":2}}', "duplicate key"),
        ('{"a":NaN}', "NaN"),
        ('{"a":-Infinity}', "-Infinity"),
        ('{"a":1e999}', "beyond the range of a double"),
        ('{"a":-1e999}', "beyond the range of a double"),
        ('{"a":9007199254740992}', "beyond 2\\^53"),
        ('{"a":-9007199254740992}', "beyond 2\\^53"),
        ('{"a":' + "9" * 60_000 + "}", "beyond 2\\^53"),
        ('{"a":"\\ud800"}', "surrogate"),
        ('{"\\uDFFF":1}', "surrogate"),
        ('{"a":"\ud800"}', "surrogate"),
        ('{"a":"' + "é" * 32_768 + '"}', "larger than 65536 bytes"),
        ('{"a":"' + "e" * 65_536 + '"}', "larger than 65536 bytes"),
        ("[" * 60_000, "nested deeper"),
        ('{"a":' * 12_000, "nested deeper"),
    ],
)
def test_refuses(text: str, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        parse_json(text)


def test_integers_up_to_the_largest_safe_one_pass() -> None:
    assert parse_json('{"a":9007199254740991,"b":-9007199254740991}') == {
        "a": MAX_SAFE_INTEGER,
        "b": -MAX_SAFE_INTEGER,
    }


def test_paired_surrogates_are_one_character() -> None:
    assert parse_json('{"a":"\\ud83e\\udec0"}') == {"a": "\U0001fac0"}


def test_brackets_inside_strings_are_not_depth() -> None:
    value = {"a": "[" * 100, "b": '\\"' + "{" * 100, "c": ["]" * 50]}
    assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_depth_is_counted_to_the_level(opening: str) -> None:
    closing = "]" if opening == "[" else "}"

    def nested(depth: int) -> str:
        return '{"a":' + opening * (depth - 1) + "1" + closing * (depth - 1) + "}"

    parse_json(nested(MAX_DEPTH))
    with pytest.raises(ProtocolError, match="nested deeper"):
        parse_json(nested(MAX_DEPTH + 1))


def test_many_shallow_brackets_are_not_deep() -> None:
    value: dict[str, Any] = {"a": [[] for _ in range(1000)]}
    assert parse_json(json.dumps(value)) == value


@given(JSON_VALUES)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert parse_any_json(to_json(value)) == value


@given(st.text(st.sampled_from('{}[]",:\\u0dD8f1.eE-+ naN'), max_size=60) | st.text(max_size=60))
def test_any_text_is_a_value_or_a_protocol_error(text: str) -> None:
    try:
        value = parse_any_json(text)
    except ProtocolError:
        return
    assert json.loads(text) == value


def test_own_nan_is_our_error() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json({"a": float("nan")})
