"""The documentation keeps up: links lead somewhere, and nothing that a user can set or run is left out."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

import make
from streaming.core.profile_columns import SETTINGS
from streaming.ecg.artefacts import LEVELS_MV, Artefact
from streaming.ecg.labels import as_json
from streaming.ecg.rhythms import HEART_RATES, RHYTHMS
from streaming.ecg.scenario_file import read_scenario
from streaming.ecg.simulator import Simulator
from tests.servers import ROOT

README = ROOT / "README.md"
OPERATIONS = ROOT / "docs" / "operations.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
CODE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
VARIABLE = re.compile(
    r"""["'](VITAL_[A-Z_]+|(?:HISTORY_|JOURNAL_)?DATABASE_URL|EMAIL_URL|REDIS_URL|CHROMIUM)["']"""
)
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
        re.findall(
            r"`(VITAL_[A-Z_]+|(?:HISTORY_|JOURNAL_)?DATABASE_URL|EMAIL_URL|REDIS_URL|CHROMIUM)`",
            prose(OPERATIONS),
        )
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


@pytest.mark.parametrize("name", [name for name in RHYTHMS if name != "lead_off"])
def test_every_rhythm_is_described_with_its_heart_rates(name: str) -> None:
    rhythm = RHYTHMS[name]
    rates = [] if rhythm.heart_rate is None else [rhythm.heart_rate]
    if rhythm.heart_rates != HEART_RATES:
        rates += rhythm.heart_rates
    row = row_of(name)
    assert all(re.search(rf"\b{rate:g}\b", row) for rate in rates)


@pytest.mark.parametrize("kind", Artefact)
def test_every_artefact_is_described_with_its_level(kind: Artefact) -> None:
    assert f"{LEVELS_MV[kind]}" in row_of(kind) if kind in LEVELS_MV else row_of(kind).endswith("| none |")


def row_of(name: str) -> str:
    """The row of a table in operations.md whose first column has the name."""
    rows = [line for line in OPERATIONS.read_text().splitlines() if line.startswith("|")]
    return next(row for row in rows if f"`{name}`" in row.split("|")[1])


def test_labels_of_the_example_are_as_described() -> None:
    example = (ROOT / "docs/examples/deterioration.toml").read_text()
    patient = Simulator(read_scenario(example), rate_hz=250, leads=("II", "V1"), seed=7)
    patient.read(140 * 250)
    labels = [{"patient": 1, **as_json(label)} for label in patient.labels_from(0)]
    described = re.findall(r'^\{"patient".*\}$', OPERATIONS.read_text(), re.MULTILINE)
    assert len(described) >= 2
    assert all(json.loads(line) in labels for line in described)


def test_every_decision_is_in_the_list_and_numbered_in_order() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    overview = (ROOT / "docs" / "adr" / "README.md").read_text()
    for record in records:
        assert f"({record.name})" in overview
        assert record.read_text().startswith(f"# {int(record.name[:4])}. ")
