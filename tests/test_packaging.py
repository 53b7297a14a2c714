"""What is installed is what pyproject.toml asks for: pinned, hashed, and tied to nobody's mirror."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import make
from tests.servers import ROOT

EXTRAS_OF = {
    "server": {"redis", "postgres"},
    "demo": {"demo"},
    "test": {"test"},
    "check": {"check"},
    "fuzz": {"fuzz"},
}
PIN = re.compile(r"^(?P<name>[a-z0-9.-]+)==(?P<version>\S+)", re.MULTILINE)
LOCKS = sorted((ROOT / "requirements").glob("*.lock"), key=lambda path: path.name)


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]  # type: ignore[no-any-return]


def wanted(extras: set[str]) -> list[Requirement]:
    """The requirements of the project with these extras, those that refer to other extras resolved."""
    lines, requirements = list(project()["dependencies"]), []
    for extra in extras:
        lines += project()["optional-dependencies"][extra]
    for line in lines:
        requirement = Requirement(line)
        if requirement.name == project()["name"]:
            requirements += wanted(requirement.extras)
        else:
            requirements.append(requirement)
    return requirements


def pins(lock: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for match in PIN.finditer(lock.read_text()):
        found.setdefault(canonicalize_name(match["name"]), []).append(match["version"])
    return found


def test_every_lock_is_known() -> None:
    assert [lock.stem for lock in LOCKS] == sorted(EXTRAS_OF)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_lock_satisfies_pyproject(lock: Path) -> None:
    locked = pins(lock)
    for requirement in wanted(EXTRAS_OF[lock.stem]):
        versions = locked.get(canonicalize_name(requirement.name))
        assert versions, f"{requirement.name} is not in {lock.name}: run `make lock`"
        for version in versions:
            assert requirement.specifier.contains(version, prereleases=True), f"{requirement}: {version}"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_lock_pins_every_package_by_hash_and_names_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    packages = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert packages
    for package in packages:
        assert PIN.match(package), package.partition("\n")[0]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", package), package.partition("\n")[0]


@pytest.mark.parametrize(
    ("smaller", "larger"), [("demo", "test"), ("test", "check"), ("server", "check"), ("check", "fuzz")]
)
def test_a_larger_lock_holds_the_smaller_ones_versions(smaller: str, larger: str) -> None:
    few, many = (pins(ROOT / "requirements" / f"{name}.lock") for name in (smaller, larger))
    assert {name: many.get(name) for name in few} == few


def test_npm_lock_names_no_address_but_every_hash() -> None:
    packages: dict[str, dict[str, Any]] = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    installed = {path: package for path, package in packages.items() if path}
    assert installed
    for path, package in installed.items():
        assert "resolved" not in package, path
        assert package["integrity"].startswith("sha512-"), path


def test_every_dependency_says_what_it_is_for() -> None:
    lines = (ROOT / "pyproject.toml").read_text().partition("dependencies = [")[2].partition("]\n")[0]
    for line in filter(None, map(str.strip, lines.splitlines())):
        assert re.search(r'",?\s+# \w', line), line


def test_what_error_texts_say_to_install_is_what_the_project_asks_for() -> None:
    rooms = (ROOT / room for room in ("vital", "monitoring", "streaming"))
    source = "\n".join(path.read_text() for room in rooms for path in room.rglob("*.py"))
    advice = set(re.findall(r"pip install (-r \S+?|'.+?')\"", source))
    optional = {line for lines in project()["optional-dependencies"].values() for line in lines}
    locks = {f"-r requirements/{lock.name}" for lock in LOCKS}
    assert advice
    assert advice <= locks | {f"'{line}'" for line in optional}
    assert f"{project()['name']}[" not in source  # no index need know it


def test_makefile_knows_every_command_and_no_other() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(phony.split()) == {*make.COMMANDS, "help"}


def test_pipeline_is_a_valid_script() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)
