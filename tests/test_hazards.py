"""docs/hazards.md answers every hazard, and the tests that it names exist."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.servers import ROOT

PAGE = (ROOT / "docs" / "hazards.md").read_text()
ROWS = re.findall(r"^\| (H\d+) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
NAMED = [(row[0], test) for row in ROWS for test in re.findall(r"`(tests/[^`]+)`", row[3])]


@cache
def names_in(path: str) -> set[str]:
    """The tests of a file, as pytest names them; of JavaScript, by their titles."""
    file = ROOT / path
    if not file.exists():
        return set()
    if path.endswith(".js"):
        return set(re.findall(r'^test\("([^"]+)"', file.read_text(), re.MULTILINE))
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            methods = (part for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef))
            names |= {f"{node.name}::{method.name}" for method in methods}
    return {name for name in names if "test_" in name}


def test_every_hazard_is_answered_once_in_order() -> None:
    assert [row[0] for row in ROWS] == [f"H{number}" for number in range(1, 19)]


@pytest.mark.parametrize(("hazard", "answer", "tests"), [(row[0], row[2], row[3]) for row in ROWS])
def test_every_answer_is_shown_by_a_test(hazard: str, answer: str, tests: str) -> None:
    assert answer.strip()
    assert "`tests/" in tests, hazard


@pytest.mark.parametrize(("hazard", "named"), NAMED)
def test_every_test_that_is_named_exists(hazard: str, named: str) -> None:
    path, _, name = named.partition("::")
    assert name in names_in(path), f"{hazard} names {named}"
