"""The whole server over many seeds: whatever happens, nothing is lost unseen."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import fields

import pytest

from streaming.core.renditions import Quality
from tests.servers import ROOT
from tests.whole.world import Outcome, simulate

SEEDS = 50
NIGHTLY_SEEDS = int(os.environ.get("PROOF_SEEDS") or 1000)


def total(outcomes: list[Outcome]) -> Counter[str]:
    """What happened over all of them: a simulation in which nothing goes wrong shows nothing."""
    return Counter(
        {
            field.name: sum(getattr(outcome, field.name) for outcome in outcomes)
            for field in fields(Outcome)
            if field.name not in {"trace", "qualities"}
        }
    )


@pytest.mark.parametrize("first", range(0, SEEDS, 5))
def test_nothing_is_lost_unseen(first: int) -> None:
    outcomes = [simulate(seed) for seed in range(first, first + 5)]
    seen = total(outcomes)
    for what in ("frames", "gaps", "criticals", "connections"):
        assert seen[what] > 0, f"five seeds without {what}"


def test_the_same_seed_leaves_the_same_trace() -> None:
    assert simulate(3) == simulate(3)
    assert simulate(3).trace != simulate(4).trace


def test_the_trace_depends_on_nothing_of_the_process() -> None:
    """Neither on the order of sets, which differs from process to process, nor on where things lie."""
    program = "from tests.whole.world import simulate; print(simulate(1).trace)"
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert told == {f"{simulate(1).trace}\n"}


@pytest.mark.nightly
def test_a_thousand_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.perf_counter()
    outcomes, failed = [], {}
    for seed in range(1000, 1000 + NIGHTLY_SEEDS):
        try:
            outcomes.append(simulate(seed))
        except AssertionError as error:
            failed[seed] = str(error)
    took_s = time.perf_counter() - began
    seen = total(outcomes)
    with capsys.disabled():
        sys.stdout.write(f"\n{NIGHTLY_SEEDS} seeds in {took_s:.0f} s: {dict(seen)}\n")
    assert not failed
    assert min(seen.values()) > 0, "something never happened"
    qualities = set().union(*(outcome.qualities for outcome in outcomes))
    assert {Quality.LOSSLESS} < qualities
