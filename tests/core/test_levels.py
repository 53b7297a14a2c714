"""Which method a message is sent by: the cheapest, within a budget, and the fixed one when in doubt."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from streaming.core.deflate import Method, Strategy
from streaming.core.levels import (
    FRAMES_S,
    DataKind,
    LevelController,
    Plan,
    fixed_method,
    methods_for,
)
from streaming.core.predictor import Chunk
from streaming.core.profiles import CompressionProfile
from streaming.core.token_bucket import TokenBucket

PROFILE = CompressionProfile()
SLOW, FAST = 1 / 2000, 1 / 12_500_000
"""Seconds a byte at 16 kbit/s and 100 Mbit/s."""
NS_PER_BYTE = (0, 4, 5, 7, 10, 18, 35, 40, 60, 62)


def samples_as_json(seed: int, values: int = 2000) -> bytes:
    """Digits that hardly repeat: effort pays there, and costs."""
    walk = np.cumsum(np.random.default_rng(seed).integers(-20, 21, values))
    return json.dumps(walk.tolist(), separators=(",", ":")).encode()


@dataclass
class World:
    """A controller on a path; bytes are zlib's, time is what a table says of each level."""

    s_per_byte: float
    chance: Callable[[], float] = field(default_factory=lambda: random.Random(1).random)
    budget: TokenBucket = field(default_factory=lambda: TokenBucket(1e3, 1e3, 0))
    kind: DataKind = DataKind.TEXT
    slowness: float = 1.0
    now: float = 0.0

    def __post_init__(self) -> None:
        self.controller = LevelController(self.budget, chance=self.chance)
        self.plans: list[Plan] = []

    def outcome(self, method: Method, plain: bytes) -> tuple[int, float]:
        return len(method.deflate(plain)), self.slowness * 1e-9 * NS_PER_BYTE[method.level] * len(plain)

    def send(self, plain: bytes) -> Plan:
        self.now += 1
        plan = self.controller.plan(self.kind, plain, self.now)
        one = self.outcome(plan.method, plain)
        other = None if plan.rival is None else self.outcome(plan.rival, plain)
        self.controller.learn(plan, one, self.now, other)
        self.controller.path.learn(one[0], one[0] * self.s_per_byte)
        self.plans.append(plan)
        return plan

    def send_many(self, count: int, values: int = 2000) -> list[Plan]:
        return [self.send(samples_as_json(int(self.now), values)) for _ in range(count)]


def level_at_the_end(plans: list[Plan]) -> float:
    return sum(plan.method.level for plan in plans[-20:]) / 20


def test_a_slow_path_is_worth_much_effort() -> None:
    assert level_at_the_end(World(SLOW).send_many(150)) >= 8


def test_a_fast_path_is_worth_little() -> None:
    assert level_at_the_end(World(FAST).send_many(150)) <= 4


def test_a_slow_machine_is_worth_less_than_a_quick_one() -> None:
    slow = level_at_the_end(World(1 / 500_000, slowness=30.0).send_many(150))
    quick = level_at_the_end(World(1 / 500_000, slowness=0.1).send_many(150))
    assert slow < quick


def test_it_is_not_stuck_at_a_high_level_after_data_of_low_entropy() -> None:
    world = World(SLOW)
    for _ in range(300):
        world.send(b"0," * 5000)
    world.s_per_byte = FAST
    assert level_at_the_end(world.send_many(40, values=5000)) <= 4


def test_it_is_not_stuck_at_a_low_level_after_data_that_does_not_compress() -> None:
    world = World(FAST)
    for seed in range(300):
        world.send(np.random.default_rng(seed).bytes(20_000))
    world.s_per_byte = SLOW
    assert level_at_the_end(world.send_many(60, values=5000)) >= 6


def test_planes_go_by_run_lengths() -> None:
    world = World(SLOW, kind=DataKind.SAMPLES)
    draw = np.random.default_rng(0)
    for _ in range(100):
        plane = np.abs(draw.normal(0, 6, 20_000)).astype(np.uint8)
        world.send(plane.tobytes() + bytes(20_000))
    assert world.plans[-1].method.strategy is Strategy.RLE


@pytest.mark.parametrize("kind", DataKind)
@pytest.mark.parametrize("level", range(1, 10))
def test_the_profiles_own_choice_comes_first_and_no_method_twice(kind: DataKind, level: int) -> None:
    profile = CompressionProfile(level=level)
    methods = methods_for(kind, profile)
    dictionary = kind is DataKind.MESSAGE
    assert methods[0] == fixed_method(kind, profile) == Method(level, 12, 5, dictionary=dictionary)
    assert len(set(methods)) == len(methods)
    assert {method.dictionary for method in methods} == {dictionary}


def test_text_may_go_by_each_of_the_nine_levels() -> None:
    assert {Method(level, 12, 5) for level in range(1, 10)} <= set(methods_for(DataKind.TEXT, PROFILE))


def test_without_cpu_to_spend_the_least_effort_is_made() -> None:
    world = World(SLOW, budget=TokenBucket(0.0, 0.0, 0))
    plans = world.send_many(30)
    least = min(NS_PER_BYTE[plan.method.level] for plan in plans)
    assert NS_PER_BYTE[plans[-1].method.level] == least
    assert all(plan.rival is None for plan in plans)


def test_cpu_that_is_spent_is_taken_from_the_budget() -> None:
    budget = TokenBucket(0.0, 1.0, 0)
    world = World(SLOW, budget=budget, slowness=1000.0)
    world.send_many(200)
    assert budget.left(world.now) < 0.1


def test_comparing_costs_no_more_than_its_share() -> None:
    for s_per_byte in (SLOW, 1 / 100_000, FAST):
        world = World(s_per_byte)
        world.send_many(300)
        controller = world.controller
        assert 0 < controller.explored_s <= 1.5 * PROFILE.explore_share * controller.spent_s


def test_without_luck_nothing_is_compared() -> None:
    world = World(SLOW, chance=lambda: 0.99)
    assert all(plan.rival is None for plan in world.send_many(50))
    assert world.controller.explored_s == 0


def test_a_rival_is_another_method() -> None:
    plans = World(SLOW, chance=lambda: 0.0).send_many(100)
    assert any(plan.rival for plan in plans)
    assert all(plan.rival != plan.method for plan in plans)


def test_the_choice_stands_while_little_is_to_be_gained() -> None:
    world = World(1 / 200_000)
    world.send_many(200)
    settled = world.controller.adaptations
    world.send_many(200)
    assert world.controller.adaptations <= settled + 2


def test_small_messages_share_a_decision_and_large_ones_do_not() -> None:
    small, large = World(SLOW), World(SLOW)
    decided_small = [plan.chunk is not None for plan in small.send_many(100, values=600)]
    decided_large = [plan.chunk is not None for plan in large.send_many(100, values=8000)]
    assert sum(decided_small) < 20
    assert all(decided_large)


def test_a_decision_is_made_anew_when_the_path_has_changed() -> None:
    world = World(SLOW)
    world.send_many(60, values=600)
    world.s_per_byte = FAST
    world.send(samples_as_json(0, 600))
    assert world.send(samples_as_json(1, 600)).chunk is not None


def test_forecasts_that_are_off_lead_back_to_the_fixed_choice_until_they_hold_again() -> None:
    world = World(FAST)
    world.send_many(100, values=8000)
    for slowness in itertools.islice(itertools.cycle([300.0, 0.01]), 60):
        world.slowness = slowness
        world.send(samples_as_json(1, 8000))
    text = world.controller.stats()["kinds"]["text"]
    assert text["fallback"]
    assert world.plans[-1].method == fixed_method(DataKind.TEXT, PROFILE)
    world.slowness = 1.0
    assert level_at_the_end(world.send_many(200, values=8000)) <= 4
    assert not world.controller.stats()["kinds"]["text"]["fallback"]


def test_a_path_that_says_nothing_about_the_next_delivery_leads_back_to_the_fixed_choice() -> None:
    world = World(SLOW)
    world.send_many(60)
    for s_per_byte in itertools.islice(itertools.cycle([SLOW, FAST]), 80):
        world.s_per_byte = s_per_byte
        world.send(samples_as_json(1))
    assert world.send(samples_as_json(2)).method == fixed_method(DataKind.TEXT, PROFILE)


def test_other_settings_bring_other_methods_and_keep_what_is_known() -> None:
    world = World(SLOW)
    world.send_many(100)
    learned = world.controller.updates
    world.controller.profile = CompressionProfile()
    assert world.controller.updates == learned
    world.controller.profile = CompressionProfile(level=2, window_bits=10)
    assert world.controller.updates == learned
    plan = world.send(samples_as_json(1))
    assert plan.method in methods_for(DataKind.TEXT, CompressionProfile(level=2, window_bits=10))
    assert world.controller.profile.level == 2


def test_level_that_is_not_adaptive_is_the_profiles_and_nothing_is_compared() -> None:
    world = World(FAST, chance=lambda: 0.0)
    world.controller.profile = CompressionProfile(level=9, adaptive=False)
    plans = world.send_many(60)
    assert {plan.method for plan in plans} == {Method(9, 12, 5)}
    assert world.controller.explored_s == 0
    world.controller.profile = CompressionProfile(level=9)
    assert level_at_the_end(world.send_many(100)) < 9


@pytest.mark.parametrize("kind", DataKind)
def test_levels_stay_within_the_profiles_bounds(kind: DataKind) -> None:
    profile = CompressionProfile(min_level=4, max_level=6)
    assert {method.level for method in methods_for(kind, profile)} <= {4, 5, 6}
    for s_per_byte, level in ((SLOW, 6), (FAST, 4)):
        world = World(s_per_byte)
        world.controller.profile = profile
        assert level_at_the_end(world.send_many(150)) == pytest.approx(level, abs=0.5)


def test_without_exploration_nothing_is_compared() -> None:
    world = World(SLOW, chance=lambda: 0.0)
    world.controller.profile = CompressionProfile(explore_share=0.0)
    assert all(plan.rival is None for plan in world.send_many(100))


def test_cpu_that_weighs_more_is_spent_less() -> None:
    levels = []
    for weight in (0.1, 10.0):
        world = World(1 / 200_000)
        world.controller.profile = CompressionProfile(cpu_weight=weight)
        levels.append(level_at_the_end(world.send_many(150)))
    assert levels[0] > levels[1]


def test_greater_hysteresis_holds_on_to_the_choice() -> None:
    def changes(hysteresis: float) -> int:
        world = World(SLOW)
        world.controller.profile = CompressionProfile(hysteresis=hysteresis)
        for s_per_byte in (SLOW, FAST) * 3:
            world.s_per_byte = s_per_byte
            world.send_many(40)
        return world.controller.adaptations

    assert changes(0.5) < changes(0.01)


def test_what_was_planned_under_former_settings_teaches_nothing() -> None:
    controller = LevelController(TokenBucket(1.0, 1.0, 0), chance=lambda: 0.99)
    former, always = Method(3, 12, 5), Method(4, 15, 9, Strategy.FILTERED)
    controller.profile = CompressionProfile(window_bits=9)
    controller.learn(Plan(DataKind.TEXT, former, Chunk(5000, 0.4), 1e-3), (100, 1e-4), 1)
    assert controller.updates == 0
    assert controller.spent_s > 0
    before = controller.to_state()["kinds"]["text"]["differences"]
    plan = Plan(DataKind.TEXT, always, Chunk(5000, 0.4), 1e-3, former)
    controller.learn(plan, (100, 1e-4), 1, (90, 1e-4))
    assert controller.updates == 1
    assert controller.to_state()["kinds"]["text"]["differences"] == before


def test_a_frame_is_as_short_as_the_path_allows() -> None:
    durations = []
    for rate in (1e6, 4000, 2000, 100):
        controller = LevelController(TokenBucket(1.0, 1.0, 0), chance=lambda: 0.99)
        controller.path.learn(1000, 1000 / rate)
        durations.append(controller.frame_duration_s(DataKind.TEXT, 4000))
    assert durations[0] == FRAMES_S[0]
    assert durations[-1] == FRAMES_S[-1]
    assert durations == sorted(durations)
    assert len(set(durations)) > 2


def test_what_was_learned_outlives_the_process() -> None:
    world = World(FAST)
    world.send_many(150)
    state = json.loads(json.dumps(world.controller.to_state(), allow_nan=False))
    again = World(FAST, chance=lambda: 0.99)
    again.controller.take_state(state)
    assert again.controller.updates == world.controller.updates
    again.controller.path.learn(1000, 1000 * FAST)
    assert again.send(samples_as_json(7)).method.level <= 4


@pytest.mark.parametrize(
    "state",
    [
        None,
        [],
        {},
        {"version": 0, "kinds": {}},
        {"version": 1},
        {"version": 1, "kinds": []},
        {"version": 1, "kinds": {"film": {}}},
        {"version": 1, "kinds": {"text": {}}},
        {"version": 1, "kinds": {"text": None}},
        {"version": 1, "kinds": {"text": {"updates": 10**400}}},
    ],
)
def test_a_state_that_is_none_is_refused_and_changes_nothing(state: Any) -> None:
    world = World(SLOW)
    world.send_many(20)
    before = world.controller.to_state()
    with pytest.raises(ValueError, match=r".+"):
        world.controller.take_state(state)
    assert world.controller.to_state() == before


def test_its_stats_are_plain_and_say_what_is_chosen() -> None:
    world = World(SLOW)
    assert world.controller.stats()["explored_share"] == 0.0
    world.send_many(100)
    stats = json.loads(json.dumps(world.controller.stats(), allow_nan=False))
    assert stats["path_kbps"] == pytest.approx(16, rel=0.01)
    assert stats["kinds"]["text"]["messages_learned"] == world.controller.updates
    assert world.plans[-1].method.name in stats["kinds"]["text"]["methods"]
