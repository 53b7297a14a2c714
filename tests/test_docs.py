"""The documentation keeps up: links lead somewhere, and nothing that a user can set or run is left out."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

import make
from streaming.models_profiles import SETTINGS
from tests.servers import ROOT

README = ROOT / "README.md"
OPERATIONS = ROOT / "docs" / "operations.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
CODE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
VARIABLE = re.compile(r"""["'](VITAL_[A-Z_]+|(?:HISTORY_)?DATABASE_URL|REDIS_URL|CHROMIUM)["']""")
ROOMS = ("vital/**/*.py", "monitoring/**/*.py", "streaming/**/*.py")


@cache
def prose(page: Path) -> str:
    """A page without its code blocks."""
    return CODE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """The anchors that a renderer makes of the headings."""
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(prose(page)))
    return {heading.strip().replace(" ", "-") for heading in kept}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def sources(*patterns: str) -> str:
    return "\n".join(path.read_text() for pattern in patterns for path in sorted(ROOT.glob(pattern)))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name(page)} links to {link}"
        assert target.is_relative_to(ROOT), f"{name(page)} links outside the project: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{name(page)} links to {link}"


def test_every_page_is_linked_from_another() -> None:
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in LINK.findall(prose(page))
    }
    unlinked = {name(page) for page in PAGES if page not in linked} - {"README.md"}
    assert not unlinked


def test_every_variable_of_the_environment_is_described_and_no_other() -> None:
    read = set(
        VARIABLE.findall(sources(*ROOMS, "make.py", "manage.py", "tests/conftest.py", "tests/browser.py"))
    )
    described = set(
        re.findall(r"`(VITAL_[A-Z_]+|(?:HISTORY_)?DATABASE_URL|REDIS_URL|CHROMIUM)`", prose(OPERATIONS))
    )
    named = set(re.findall(r"\bVITAL_[A-Z_]+\b", sources(*ROOMS)))  # settings.VITAL_..., or in a message
    assert (read | named) - described == set(), "not in docs/operations.md"
    assert described - read == set(), "nobody reads it"


def test_every_setting_of_ours_that_the_code_asks_for_can_be_set() -> None:
    asked = set(re.findall(r"settings(?:\.|, \"|, ')(VITAL_[A-Z_]+)", sources(*ROOMS)))
    assert asked
    assert asked <= set(re.findall(r"^(VITAL_[A-Z_]+) = ", sources("vital/settings.py"), re.MULTILINE))


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_of_a_profile_is_described(setting: str) -> None:
    family = setting.partition("_")[0]
    ranges = re.findall(rf"`{family}_\w+` \.\. `{family}_\w+`", prose(OPERATIONS))
    assert ranges or f"`{setting}`" in prose(OPERATIONS)


@pytest.mark.parametrize("command", sorted(path.stem for path in ROOT.glob("*/management/commands/[!_]*.py")))
def test_every_management_command_is_described(command: str) -> None:
    pages = README.read_text() + OPERATIONS.read_text()
    assert re.search(rf"manage\.py {command}\b|`{command}`", pages)


@pytest.mark.parametrize("command", sorted(make.COMMANDS))
def test_every_make_command_is_described(command: str) -> None:
    pages = README.read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    assert re.search(rf"make {command}\b", pages)


def test_every_decision_is_in_the_list_and_numbered_in_order() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    overview = (ROOT / "docs" / "adr" / "README.md").read_text()
    for record in records:
        assert f"({record.name})" in overview
        assert record.read_text().startswith(f"# {int(record.name[:4])}. ")
