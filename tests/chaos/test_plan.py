"""Every part is killed as often as any other, and a seed's plan is always the same."""

from __future__ import annotations

import random
from collections import Counter

from tests.chaos.plan import PAUSE_S, strikes

PARTS = ("one", "two", "three")


def test_each_part_has_its_share_while_alarms_are_raised() -> None:
    plan = strikes(random.Random(1), PARTS, kills=10, alarms=500)
    assert sorted(Counter(strike.part for strike in plan).values()) == [3, 3, 4]
    assert plan == sorted(plan, key=lambda strike: strike.alarms)
    assert all(1 <= strike.alarms < 500 and 0 <= strike.pause_s <= PAUSE_S for strike in plan)


def test_a_seed_has_one_plan_and_another_has_another() -> None:
    one, same, other = (strikes(random.Random(n), PARTS, kills=10, alarms=500) for n in (1, 1, 2))
    assert one == same != other
