"""What the user is told to type is what works where the user is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django import Settings

from streaming import command_line
from tests.servers import ROOT


@pytest.fixture
def checkout(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a virtual environment in it, in which the user stands."""
    root = tmp_path / "the checkout"
    root.mkdir()
    settings.BASE_DIR = root
    monkeypatch.setattr(sys, "executable", str(root / ".venv" / "bin" / "python"))
    monkeypatch.chdir(root)
    return root


def test_python_is_named_as_it_is_reached_from_the_checkout(checkout: Path) -> None:
    assert command_line.here("manage.py", "migrate") == ".venv/bin/python manage.py migrate"
    assert command_line.in_project("manage.py", "migrate") == ".venv/bin/python manage.py migrate"


def test_from_elsewhere_the_way_to_the_checkout_is_part_of_it(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command_line.here("manage.py", "migrate") == (
        f"cd '{checkout}' && .venv/bin/python manage.py migrate"
    )


def test_python_outside_of_the_checkout_is_named_whole_but_on_no_page(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/vital/bin/python")
    assert command_line.here("manage.py", "migrate") == "/opt/vital/bin/python manage.py migrate"
    assert command_line.in_project("manage.py", "migrate") == "python manage.py migrate"


def test_what_is_said_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for directory in (ROOT, tmp_path):
        monkeypatch.chdir(directory)
        line = command_line.here("manage.py", "setup_demo", "--help")
        typed = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
        assert "--reset-password" in typed.stdout, (line, typed.stderr)
