"""Which texts the page's modules have, as literals of `t`, `word` and `plural`, and which servers tell it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from streaming.core.renditions import Quality
from streaming.ecg.alarms import TRAITS
from tests.servers import ROOT

SCRIPTS = ROOT / "static" / "js"
_LITERAL = r'"((?:[^"\\]|\\.)*)"'
_ONE = re.compile(rf"\b(?:t|word)\(\s*{_LITERAL}")
_TWO = re.compile(rf"\bplural\(\s*[^\",]+,\s*{_LITERAL},\s*{_LITERAL}")
_ENTRY = re.compile(
    rf"^  {_LITERAL}: (?:{_LITERAL}|\{{ one: {_LITERAL}, other: {_LITERAL} \}}),$", re.MULTILINE
)
_PLACE = re.compile(r"\{\w+\}")
FROM_SERVER = frozenset(
    {
        *(traits.title for traits in TRAITS.values()),
        *(quality.name.lower() for quality in Quality),
        "you may not acknowledge alarms",
        "you may not change alarm limits",
        "you may not pause the sound",
        "you may not switch alarms off or on",
        "ALARMS NOT STORED",
        "the patient is not one of yours",
        "the alarm is over, or not for you",
        "too much is asked for at once, try again",
        "the database does not answer, try again",
        "this server has no lab",
        "you are signed out",
    }
)
"""What `t` is given of messages; `UNBROKEN` and the rest stand in the modules."""


@dataclass(frozen=True, slots=True)
class Used:
    """What modules say."""

    plain: frozenset[str]
    counted: frozenset[str]
    """By the form for more than one."""


def used() -> Used:
    """Of all modules of the page."""
    plain, counted = set(FROM_SERVER), set()
    for path in sorted(SCRIPTS.rglob("*.js")):
        if path.is_relative_to(SCRIPTS / "admin") or path.is_relative_to(SCRIPTS / "words"):
            continue
        text = path.read_text()
        plain |= {unescaped(found) for found in _ONE.findall(text)}
        counted |= {unescaped(other) for _, other in _TWO.findall(text)}
    return Used(frozenset(plain), frozenset(counted))


def catalogue(path: Path) -> dict[str, str | tuple[str, str]]:
    """The entries of a language's module, one a line."""
    entries: dict[str, str | tuple[str, str]] = {}
    for key, plain, one, other in _ENTRY.findall(path.read_text()):
        assert unescaped(key) not in entries, f"{key} stands there twice"
        entries[unescaped(key)] = unescaped(plain) if not other else (unescaped(one), unescaped(other))
    return entries


def places(text: str) -> set[str]:
    """What is filled in."""
    return set(_PLACE.findall(text))


def unescaped(literal: str) -> str:
    """As JavaScript reads it."""
    return str(json.loads(f'"{literal}"'))
