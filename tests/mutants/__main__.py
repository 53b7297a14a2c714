"""`python -m tests.mutants [WORD ...]`: apply each mutant whose words match to a copy, and run its tests.

Exits with 1 when one survives, or does not apply any more.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.listed import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("bench", "make.py", "monitoring", "pyproject.toml", "streaming", "templates", "tests", "vital")
TIMEOUT_S = 300.0
_TESTS_FAILED = 1
"""pytest's exit status; any other but 0 means that the tests could not be run."""


def main(words: Sequence[str]) -> int:
    """Try the mutants, and say how each ended."""
    chosen = [m for m in MUTANTS if all(word in f"{m.what} {m.path}" for word in words)]
    endings = []
    with tempfile.TemporaryDirectory(prefix="vital-mutants-") as directory:
        tree = Path(directory)
        copy_to(tree)
        for number, mutant in enumerate(chosen, 1):
            began = time.monotonic()
            ending = try_one(mutant, tree)
            endings.append(ending)
            took_s = time.monotonic() - began
            say(f"{number:3}/{len(chosen)}  {ending:14} {took_s:5.1f} s  {mutant.path}: {mutant.what}")
    killed = endings.count("killed")
    say(f"{killed} of {len(chosen)} mutants killed")
    return 0 if chosen and killed == len(chosen) else 1


def copy_to(tree: Path) -> None:
    """A tree in which tests run."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=ignored)
        else:
            shutil.copy(source, tree / name)


def try_one(mutant: Mutant, tree: Path) -> str:
    """Apply it to the tree, run its tests, and put the tree right again."""
    path = tree / mutant.path
    whole = path.read_text()
    if whole.count(mutant.old) != 1:
        return "does not apply"
    write(path, whole.replace(mutant.old, mutant.new))
    try:
        return {0: "survived", _TESTS_FAILED: "killed"}.get(run(mutant.tests, tree), "tests broken")
    except subprocess.TimeoutExpired:
        return "killed"  # it hangs, which no test of these does
    finally:
        write(path, whole)


def write(path: Path, text: str) -> None:
    """Without what was compiled of it: a file of the same length and second would pass for the same."""
    path.write_text(text)
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        compiled.unlink()


def run(tests: Sequence[str], tree: Path) -> int:
    """The same examples every time (`CI`), until the first failure."""
    options = ["-q", "-x", "-p", "no:cacheprovider", "--no-header"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=tree,
        env={**os.environ, "CI": "1", "PYTHONDONTWRITEBYTECODE": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=TIMEOUT_S,
        check=False,
    ).returncode


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
