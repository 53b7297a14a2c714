"""The fuzzer's seeds, replayed each time; at night the fuzzer itself (`FUZZ_SECONDS` for each target)."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from tests.conftest import unavailable
from tests.fuzz import corpus
from tests.fuzz.targets import MAX_INPUT_BYTES, MIB, TARGETS, Target
from tests.servers import ROOT

SECONDS = int(os.environ.get("FUZZ_SECONDS") or 30)
SPARE_S = 120
"""For starting, and for the last input."""
DONE = re.compile(r"^#(?P<runs>\d+)\s+DONE\s+cov: (?P<coverage>\d+) .*corp: (?P<size>\d+)/", re.MULTILINE)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_decoded_or_refused_in_bounded_memory(name: str) -> None:
    seeds = corpus.seeds(name)
    assert replay(TARGETS[name], seeds + corpus.bombs(name)) == {True, False}
    assert max(map(len, seeds)) <= MAX_INPUT_BYTES


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_the_same_every_time(name: str) -> None:
    assert corpus.seeds(name) == corpus.seeds(name)


def test_every_regression_belongs_to_a_target() -> None:
    assert {path.name for path in corpus.REGRESSIONS.iterdir()} <= set(TARGETS)


@pytest.mark.nightly
@pytest.mark.parametrize("name", TARGETS)
def test_fuzzing_finds_nothing(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if importlib.util.find_spec("atheris") is None:
        unavailable("atheris is not installed (requirements/fuzz.lock)")
    grown = tmp_path / name
    corpus.write(name, grown)
    log = fuzz(name, grown)
    failures = {path.name: path.read_bytes() for path in tmp_path.glob("*-*")}
    done = DONE.search(log)
    assert done, f"{log[-4000:]}\n{failures}"
    assert not failures, f"{log[-4000:]}\n{failures}"
    with capsys.disabled():
        sys.stdout.write(
            f"\n{name}: {done['runs']} runs, {done['coverage']} branches, {done['size']} inputs kept\n"
        )
    replay(TARGETS[name], [path.read_bytes() for path in sorted(grown.iterdir())])


def fuzz(name: str, grown: Path) -> str:
    """What libFuzzer said; beside `grown` it leaves the input that failed."""
    log = grown.parent / f"{name}.log"
    options = [
        f"-max_total_time={SECONDS}",
        f"-dict={grown.parent / name}.dict",
        f"-artifact_prefix={grown.parent}{os.sep}",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.run", name, *options, str(grown)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            process.wait(SECONDS + SPARE_S)
        finally:
            process.kill()
            process.wait()
    return log.read_text(errors="replace")


def replay(target: Target, inputs: list[bytes]) -> set[bool]:
    """What there was among the answers; each input within the target's memory."""
    answers = set()
    tracemalloc.start()
    try:
        for data in inputs:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            answers.add(target.accepts(data))
            taken = tracemalloc.get_traced_memory()[1] - before
            assert taken <= target.max_bytes, f"{taken / MIB:.0f} MiB for {data[:200].hex()}"
    finally:
        tracemalloc.stop()
    return answers
