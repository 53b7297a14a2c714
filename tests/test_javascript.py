"""The page's own tests, `node --test`, one case per file: with the machine's node, else playwright's."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import unavailable
from tests.servers import ROOT

FILES = sorted((ROOT / "tests" / "js").rglob("*.test.*js"))
OLDEST = 18
"""The first node whose test runner is part of it."""


@pytest.fixture(scope="session")
def node() -> str:
    """A node that has a test runner."""
    if (found := shutil.which("node")) and major(found) >= OLDEST:
        return found
    try:
        import playwright
    except ImportError:
        unavailable(f"no node >= {OLDEST}, and no playwright, which ships one")
    return str(Path(playwright.__file__).parent / "driver" / "node")


def major(node: str) -> int:
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.lstrip("v").partition(".")[0])


def test_there_are_tests() -> None:
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_node(node: str, path: Path) -> None:
    # Inherited, NODE_TEST_CONTEXT would make it report to a parent that is not there.
    environment = {name: value for name, value in os.environ.items() if name != "NODE_TEST_CONTEXT"}
    done = subprocess.run(
        [node, "--test", "--test-reporter=spec", str(path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "pass 0" not in done.stdout, "no test ran"
