"""How far the state machines go at night, and how they say it."""

from __future__ import annotations

import os
import sys
import time
import unittest

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine

NIGHTLY_STEPS = int(os.environ.get("PROOF_STEPS") or 1_000_000)
"""Of each state machine in `make nightly`."""
_STEPS_AN_EXAMPLE = 200


def nightly_of(machine: type[RuleBasedStateMachine], *, steps: int) -> type[unittest.TestCase]:
    """A test of the machine for the night: so many steps, and their number and duration printed."""

    class Counted(machine):  # type: ignore[misc, valid-type]
        examples = 0

        def __init__(self) -> None:
            super().__init__()
            type(self).examples += 1

    Counted.__name__ = machine.__name__
    case = Counted.TestCase
    case.settings = settings(
        max_examples=max(1, steps // _STEPS_AN_EXAMPLE),
        stateful_step_count=_STEPS_AN_EXAMPLE,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )

    class Nightly(case):  # type: ignore[misc, valid-type]
        def runTest(self) -> None:  # noqa: N802  # unittest's name
            began = time.perf_counter()
            super().runTest()
            took_s = time.perf_counter() - began
            said = f"{machine.__name__}: {Counted.examples} runs of up to {_STEPS_AN_EXAMPLE} steps"
            assert sys.__stdout__ is not None
            sys.__stdout__.write(
                f"\n{said} in {took_s:.0f} s\n"
            )  # past pytest's capture: a night's report names its size

    return pytest.mark.nightly(Nightly)
