"""Costs of what a process does: found where loads varied, the prior where not, and what fits beside them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.costs import (
    CPU_TERMS,
    MEMORY_TERMS,
    PRIOR_CPU,
    PRIOR_MEMORY,
    Costs,
    Load,
    Reading,
    Room,
    fit,
    least_squares_not_negative,
    measured,
    more_patients,
    more_viewers,
)

TRUE_CPU = (0.02, 600e-6, 0.3e-6, 5e-6, 90e-6, 2e-9)
BED = Load(
    streams=8,
    viewers=40,
    viewer_streams=320,
    chunks=80,
    lead_samples=4000,
    messages=3200,
    websocket_messages=400,
    sent_bytes=300_000,
)


def loads(count: int, *, seed: int = 1) -> list[Load]:
    """Patients and viewers come and go by themselves."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        patients, viewers, quality = rng.uniform(1, 20), rng.uniform(0, 100), rng.uniform(0.3, 1)
        load = BED.with_patients(patients - 8).with_viewers(viewers - 40)
        found.append(replace(load, sent_bytes=load.sent_bytes * quality, messages=load.messages * quality))
    return found


def cpu_of(load: Load, costs: tuple[float, ...] = TRUE_CPU) -> float:
    parts = (cost * getattr(load, term) for cost, term in zip(costs[1:], CPU_TERMS, strict=True))
    return float(sum(parts, costs[0]))


def cpu_costs(known: list[Load], *, noise: float = 0.0, seed: int = 2) -> Costs:
    rng = np.random.default_rng(seed)
    return fit(known, [cpu_of(load) * (1 + rng.normal(0, noise)) for load in known], CPU_TERMS, PRIOR_CPU)


def reading(**values: Any) -> Reading:
    facts: dict[str, Any] = {
        "process": "p1",
        "at": 100.0,
        "cpu_s": 5.0,
        "rss_mb": 120.0,
        "streams": 2,
        "viewers": 4,
        "viewer_streams": 8,
        "chunks": 100,
        "lead_samples": 1000,
        "sent_messages": 400,
        "websocket_messages": 200,
        "bytes_sent": 10_000,
    }
    return Reading(**facts | values)


def test_what_a_process_did_between_two_snapshots() -> None:
    after = reading(
        at=110.0,
        cpu_s=6.0,
        rss_mb=130.0,
        viewers=6,
        chunks=300,
        lead_samples=6000,
        sent_messages=900,
        websocket_messages=300,
        bytes_sent=30_000,
    )
    found = measured(reading(), after)
    assert found is not None
    assert [found.cpu, found.memory_mb, found.seconds] == pytest.approx([0.1, 130.0, 10.0])
    assert found.load == Load(2, 5, 8, 20, 500, 50, 10, 2000)


@pytest.mark.parametrize("changed", [{"process": "p2"}, {"cpu_s": 1.0}, {"at": 100.0}, {"at": 90.0}])
def test_process_that_began_anew_or_a_clock_that_went_back_says_nothing(changed: dict[str, Any]) -> None:
    assert measured(reading(), reading(**{"at": 110.0} | changed)) is None


def test_costs_are_found_where_loads_varied() -> None:
    costs = cpu_costs(loads(300), noise=0.02)
    for load in loads(20, seed=9):
        assert costs.of(load) == pytest.approx(cpu_of(load), rel=0.03)
    assert costs.snapshots == 300


def test_small_loads_predict_one_several_times_as_large() -> None:
    small = [BED.with_patients(-4), BED.with_viewers(-20), BED.with_viewers(-39)]
    costs = cpu_costs([load for load in small for _ in range(5)], noise=0.03)
    large = BED.with_patients(12).with_viewers(160)
    assert costs.of(large) == pytest.approx(cpu_of(large), rel=0.2)


def test_without_snapshots_the_prior_holds() -> None:
    costs = fit([], [], CPU_TERMS, PRIOR_CPU)
    assert costs.values == pytest.approx(PRIOR_CPU)
    assert (costs.snapshots, costs.error) == (0, 0.0)
    assert costs.doubt(BED) > 0.1 * costs.of(BED)


def test_one_load_says_what_all_of_it_costs_and_no_more() -> None:
    costs = cpu_costs([BED] * 60, noise=0.01)
    assert costs.of(BED) == pytest.approx(cpu_of(BED), rel=0.02)
    assert costs.doubt(BED) < 0.02 * costs.of(BED)
    viewer = replace(BED.with_viewers(100), streams=BED.streams)
    assert costs.doubt(viewer) / costs.of(viewer) > 5 * costs.doubt(BED) / costs.of(BED)


def test_variety_takes_away_doubt() -> None:
    same, varied = cpu_costs([BED] * 60, noise=0.02), cpu_costs(loads(60), noise=0.02)
    large = BED.with_viewers(200)
    assert varied.doubt(large) < 0.5 * same.doubt(large)


def test_no_cost_is_negative_whatever_is_measured() -> None:
    known = loads(40)
    falling = [0.5 - 0.4 * cpu_of(load) / cpu_of(BED.with_viewers(200)) for load in known]
    costs = fit(known, falling, CPU_TERMS, PRIOR_CPU)
    assert min(costs.values) >= 0


def test_shares_add_up_to_the_whole() -> None:
    costs = cpu_costs(loads(50))
    shares = costs.shares(BED)
    assert list(shares) == ["base", *CPU_TERMS]
    assert sum(shares.values()) == pytest.approx(costs.of(BED))


def test_more_patients_bring_their_streams_to_everybody_in_as_many_messages() -> None:
    more = BED.with_patients(8)
    assert (more.streams, more.viewer_streams, more.messages, more.chunks) == (16, 640, 6400, 160)
    assert (more.viewers, more.websocket_messages) == (40, 400)
    assert Load(viewers=3).with_patients(5) == Load(viewers=3)


def test_more_viewers_watch_what_the_present_ones_do() -> None:
    more = BED.with_viewers(40)
    assert (more.viewers, more.viewer_streams, more.messages, more.websocket_messages) == (80, 640, 6400, 800)
    assert (more.streams, more.chunks) == (8, 80)
    assert Load(streams=3).with_viewers(5) == Load(streams=3)


def test_room_is_what_fits_below_the_limit() -> None:
    costs = Costs(CPU_TERMS, TRUE_CPU, tuple((0.0,) * 6 for _ in range(6)), 0.0, 100)
    room = more_viewers(costs, BED, 0.8)
    assert room.more is not None
    assert cpu_of(BED.with_viewers(room.more)) <= 0.8 < cpu_of(BED.with_viewers(room.more + 1))
    assert room.least == room.most == room.more
    patients = more_patients(costs, BED, 0.8)
    assert patients.more is not None
    assert cpu_of(BED.with_patients(patients.more)) <= 0.8 < cpu_of(BED.with_patients(patients.more + 1))


def test_room_has_a_range_that_doubt_widens() -> None:
    sure, unsure = (
        more_viewers(cpu_costs(loads(60), noise=0.02), BED, 0.8),
        more_viewers(cpu_costs([BED] * 5, noise=0.02), BED, 0.8),
    )
    for room in (sure, unsure):
        assert room.least is not None
        assert room.more is not None
        assert room.least < room.more
        assert room.most is None or room.more < room.most
    assert (unsure.least or 0) < (sure.least or 0)


def test_full_process_has_room_for_nobody() -> None:
    costs = cpu_costs(loads(50))
    assert more_viewers(costs, BED, cpu_of(BED) * 0.9) == Room(0, 0, 0)


def test_process_without_any_of_them_cannot_say_how_many_more() -> None:
    costs = cpu_costs(loads(50))
    assert more_patients(costs, Load(), 0.8) == Room(None, None, None)
    assert more_viewers(costs, Load(streams=3), 0.8) == Room(None, None, None)


def test_what_costs_nothing_fits_without_end() -> None:
    memory = Costs(MEMORY_TERMS, (100.0, 1.0, 0.0, 0.0), tuple((0.0,) * 4 for _ in range(4)), 0.0, 9)
    assert more_viewers(memory, BED, 500.0) == Room(None, None, None)


def test_memory_is_fitted_like_cpu() -> None:
    known = loads(100)
    true = (90.0, 0.8, 0.2, 0.05)
    told = [
        true[0] + sum(c * getattr(load, term) for c, term in zip(true[1:], MEMORY_TERMS, strict=True))
        for load in known
    ]
    costs = fit(known, told, MEMORY_TERMS, PRIOR_MEMORY)
    assert costs.of(BED) == pytest.approx(90 + 6.4 + 8 + 16, rel=0.03)


@given(
    st.lists(st.lists(st.floats(-10, 10), min_size=3, max_size=3), min_size=3, max_size=8),
    st.lists(st.floats(-10, 10), min_size=3, max_size=3),
)
def test_law_least_squares_without_negative_values_is_the_best_that_is_feasible(
    rows: list[list[float]], tried: list[float]
) -> None:
    matrix = np.array(rows)
    wanted = matrix[:, 0] * 2 - matrix[:, 1]
    found = least_squares_not_negative(matrix, wanted)
    assert (found >= 0).all()
    squares = float(np.sum((matrix @ found - wanted) ** 2))
    other = float(np.sum((matrix @ np.abs(np.array(tried)) - wanted) ** 2))
    assert squares <= other + 1e-6 * (1 + other)


@given(st.floats(0.05, 1.0), st.floats(0.01, 0.5), st.integers(0, 3))
def test_law_higher_limit_never_carries_fewer(limit: float, more: float, seed: int) -> None:
    costs = cpu_costs(loads(20, seed=seed), noise=0.05)
    lower, higher = more_viewers(costs, BED, limit), more_viewers(costs, BED, limit + more)
    for low, high in ((lower.more, higher.more), (lower.least, higher.least)):
        assert low is not None
        assert high is not None
        assert low <= high
