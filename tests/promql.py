"""A reader of PromQL, for what the examples in docs/ use: it finds the metrics and labels, or a fault.

The grammar is that of Prometheus's documentation (Querying, Basics and Operators), without subqueries and
without what is experimental.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<duration>\d+(?:ms|[smhdwy])(?:\d+(?:ms|[smhdwy]))*)\b
    | (?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)
    | (?P<name>[a-zA-Z_:][\w:]*)
    | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<sign>==|!=|>=|<=|=~|!~|[-+*/%^<>=(){}\[\],@])
    )""",
    re.VERBOSE,
)
_MATCHES = ("=", "!=", "=~", "!~")
_BINARY = (
    ("or",),
    ("and", "unless"),
    ("==", "!=", ">", "<", ">=", "<="),
    ("+", "-"),
    ("*", "/", "%"),
    ("^",),
)
_AGGREGATIONS = {
    **dict.fromkeys(("sum", "min", "max", "avg", "count", "group", "stddev", "stdvar"), 1),
    **dict.fromkeys(("topk", "bottomk", "quantile", "count_values"), 2),
}
_OF_RANGE = frozenset(("rate", "irate", "increase", "delta", "deriv", "avg_over_time", "max_over_time"))
_FUNCTIONS = _OF_RANGE | {"abs", "vector", "absent", "clamp_min", "clamp_max", "time", "round"}


class PromqlError(ValueError):
    """What is no PromQL, and where."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric that is asked for, and by which labels."""

    name: str
    labels: frozenset[str]
    is_range: bool = False


@dataclass(slots=True)
class Found:
    """All that one expression asks for; `grouped` are labels that it keeps or matches by."""

    selectors: list[Selector] = field(default_factory=list)
    grouped: set[str] = field(default_factory=set)


def read(text: str) -> Found:
    """What the expression asks for. Raises PromqlError."""
    return _Reader(text).read()


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at, text = 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise PromqlError(f"no token at {text[at:]!r}")
        at = match.end()
        assert match.lastgroup is not None
        yield match.lastgroup, match[match.lastgroup]


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [*_tokens(text), ("end", "")]
        self._at = 0
        self._found = Found()

    def read(self) -> Found:
        self._binary(0)
        if self._kind != "end":
            raise self._fault("an end")
        return self._found

    @property
    def _kind(self) -> str:
        return self._tokens[self._at][0]

    @property
    def _next(self) -> str:
        return self._tokens[self._at][1]

    def _fault(self, wanted: str) -> PromqlError:
        return PromqlError(f"{wanted} is expected, not {self._next!r}, in {self._text!r}")

    def _take(self, *wanted: str) -> bool:
        """Pass over the next token if it is one of these."""
        if self._kind in ("sign", "name") and self._next in wanted:
            self._at += 1
            return True
        return False

    def _need(self, wanted: str) -> None:
        if not self._take(wanted):
            raise self._fault(wanted)

    def _need_kind(self, kind: str) -> str:
        if self._kind != kind:
            raise self._fault(f"a {kind}")
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _binary(self, level: int) -> None:
        if level == len(_BINARY):
            self._unary()
            return
        self._binary(level + 1)
        while self._take(*_BINARY[level]):
            self._take("bool")
            if self._take("on", "ignoring"):
                self._labels()
                if self._take("group_left", "group_right") and self._next == "(":
                    self._labels()
            self._binary(level + 1)

    def _unary(self) -> None:
        while self._take("-", "+"):
            pass
        if self._take("("):
            self._binary(0)
            self._need(")")
        elif self._kind in ("number", "string"):
            self._at += 1
        elif self._next == "{":
            self._selector("")
        else:
            self._named(self._need_kind("name"))

    def _named(self, name: str) -> None:
        if name in _AGGREGATIONS and self._next in ("(", "by", "without"):
            self._grouping()
            self._arguments(_AGGREGATIONS[name])
            self._grouping()
        elif self._next == "(":
            if name not in _FUNCTIONS:
                raise PromqlError(f"no function {name!r} in {self._text!r}")
            before = len(self._found.selectors)
            self._arguments(None)
            given = self._found.selectors[before:]
            if any(selector.is_range is not (name in _OF_RANGE) for selector in given):
                raise PromqlError(f"{name} is given a range where it takes none, or none, in {self._text!r}")
        else:
            self._selector(name)

    def _grouping(self) -> None:
        if self._take("by", "without"):
            self._labels()

    def _arguments(self, count: int | None) -> None:
        self._need("(")
        given = 0
        while not self._take(")"):
            if given:
                self._need(",")
            self._binary(0)
            given += 1
        if count not in (None, given):
            raise PromqlError(f"{given} arguments in place of {count} in {self._text!r}")

    def _labels(self) -> None:
        self._need("(")
        self._found.grouped.add(self._need_kind("name"))
        while self._take(","):
            self._found.grouped.add(self._need_kind("name"))
        self._need(")")

    def _selector(self, name: str) -> None:
        labels: set[str] = set()
        if self._take("{"):
            while not self._take("}"):
                if labels:
                    self._need(",")
                labels.add(self._need_kind("name"))
                if not self._take(*_MATCHES):
                    raise self._fault("a match")
                self._need_kind("string")
        is_range = self._take("[")
        if is_range:
            self._need_kind("duration")
            self._need("]")
        if self._take("offset"):
            self._need_kind("duration")
        self._found.selectors.append(Selector(name, frozenset(labels), is_range))
