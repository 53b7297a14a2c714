"""Typed, bounded reading of one JSON object's fields; each refusal names the field, never its value."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from streaming.exceptions import ProtocolError


class Fields:
    """The fields of one object; `path` prefixes the names in errors, as in "signals[2].gain".

    Every reader raises ProtocolError when the field is missing, has another type, or is out of bounds.
    A reader with a `default` returns that for a field that is missing or null.
    """

    __slots__ = ("_path", "_values")

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self._values = values
        self._path = path

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._values.get(name) is not None

    def is_empty(self, name: str) -> bool:
        """Whether the field is the empty string."""
        return bool(self._values.get(name) == "")

    def text(self, name: str, *, longest: int, pattern: re.Pattern[str] | None = None) -> str:
        """A printable string of 1 to `longest` characters that matches all of `pattern`."""
        return self._checked_text(self._get(name), name, longest, pattern)

    def optional_text(self, name: str, *, longest: int, pattern: re.Pattern[str] | None = None) -> str | None:
        """As `text`, or None for a field that is missing or null."""
        return self.text(name, longest=longest, pattern=pattern) if self.has(name) else None

    def texts(
        self, name: str, *, most: int, longest: int, pattern: re.Pattern[str] | None = None
    ) -> tuple[str, ...]:
        """A list of at most `most` strings, each as `text` has it; repeats are left out."""
        items = self._list(name, most)
        return tuple(dict.fromkeys(self._checked_text(item, name, longest, pattern) for item in items))

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """An integer from `low` to `high`; true, false and 1.0 are not integers."""
        if default is not None and not self.has(name):
            return default
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.refusal(name, "is not an integer")
        if not low <= value <= high:
            raise self.refusal(name, f"is not from {low} to {high}")
        return value

    def number(self, name: str, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number from `low` to `high`."""
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.refusal(name, "is not a number")
        if not low <= value <= high:
            raise self.refusal(name, f"is not from {low:g} to {high:g}")
        return float(value)

    def choice(self, name: str, choices: Iterable[str]) -> str:
        """One of `choices`."""
        value = self._get(name)
        if value not in tuple(choices):
            raise self.refusal(name, f"is not one of {', '.join(choices)}")
        return str(value)

    def flag(self, name: str) -> bool:
        """True or false; false when the field is missing."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise self.refusal(name, "is not true or false")
        return value

    def objects(self, name: str, *, most: int) -> list[Fields]:
        """A list of 1 to `most` objects."""
        items = self._list(name, most)
        if not items or not all(isinstance(item, dict) for item in items):
            raise self.refusal(name, f"is not a list of 1 to {most} objects")
        return [Fields(item, f"{self._path}{name}[{i}].") for i, item in enumerate(items)]

    def refusal(self, name: str, why: str) -> ProtocolError:
        """The error that says why the field is refused."""
        return ProtocolError(f"{self._path}{name} {why}")

    def _get(self, name: str) -> Any:
        if name not in self._values:
            raise self.refusal(name, "is missing")
        return self._values[name]

    def _list(self, name: str, most: int) -> list[Any]:
        value = self._get(name)
        if not isinstance(value, list):
            raise self.refusal(name, "is not a list")
        if len(value) > most:
            raise self.refusal(name, f"has more than {most} entries")
        return value

    def _checked_text(self, value: Any, name: str, longest: int, pattern: re.Pattern[str] | None) -> str:
        if not isinstance(value, str):
            raise self.refusal(name, "is not a string")
        if not 1 <= len(value) <= longest or not value.isprintable():
            raise self.refusal(name, f"is not 1 to {longest} printable characters")
        if pattern is not None and not pattern.fullmatch(value):
            raise self.refusal(name, "has characters that are not allowed")
        return value
