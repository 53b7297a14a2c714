"""Alarms over many seeds: whatever is cut, locked, lost and killed, none is lost, and none comes back."""

from __future__ import annotations

import os
import sys
import time

import pytest

from tests.alarm_world import Outcome, simulate

SEEDS = 20
NIGHTLY_SEEDS = int(os.environ.get("PROOF_SEEDS") or 1000)
NIGHTLY_ALARMS_PER_S = 100.0


def total(outcomes: list[Outcome]) -> dict[str, int]:
    names = ("raised", "shown", "acknowledged", "kills", "cuts", "locks", "resent", "spooled")
    return {name: sum(getattr(outcome, name) for outcome in outcomes) for name in names}


def test_no_alarm_is_lost() -> None:
    seen = total([simulate(seed) for seed in range(SEEDS)])
    assert min(seen.values()) > 0, f"something never happened: {seen}"


def test_the_same_seed_leaves_the_same_trace() -> None:
    assert simulate(3).trace == simulate(3).trace
    assert simulate(3).trace != simulate(4).trace


@pytest.mark.nightly
def test_a_thousand_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.perf_counter()
    outcomes, failed = [], {}
    for seed in range(1000, 1000 + NIGHTLY_SEEDS):
        try:
            outcomes.append(simulate(seed, NIGHTLY_ALARMS_PER_S))
        except AssertionError as error:
            failed[seed] = str(error)
    seen = total(outcomes)
    with capsys.disabled():
        sys.stdout.write(f"\n{NIGHTLY_SEEDS} seeds in {time.perf_counter() - began:.0f} s: {seen}\n")
    assert not failed
