"""The simulated link itself, and what the ladder makes of it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from bench.adaptation import oracle, outcome
from bench.support.traces import LEAST_BPS, MOST_BPS, traces
from streaming.core.ladder import Decision, Reason
from streaming.core.messages import Ack
from streaming.core.renditions import LADDER, Quality
from tests.fakes import virtual_time
from tests.simulation import Bottleneck, Trace, TracedLink, always, by_ladder, watch

RUN_S = 90.0


def constant(bps: float, rtt_s: float = 0.1) -> Trace:
    return Trace("constant", rtt_s, RUN_S, ((0.0, bps),))


class TestBottleneck:
    def test_carries_what_the_rate_allows(self) -> None:
        assert Bottleneck([(0.0, 8000.0)]).through_at(2.0, 500) == pytest.approx(2.5)

    def test_across_a_step_and_an_outage(self) -> None:
        link = Bottleneck([(0.0, 8000.0), (1.0, 0.0), (3.0, 16000.0)])
        assert link.passed(2.0) == 1000
        assert link.through_at(0.5, 500) == pytest.approx(1.0)
        assert link.through_at(0.5, 1500) == pytest.approx(3.5)
        assert link.through_at(1.5, 1000) == pytest.approx(3.5)


@virtual_time
async def test_a_traced_link_keeps_the_order_and_says_how_long_acks_were_held() -> None:
    link = TracedLink(Trace("x", 0.2, 10.0, ((0.0, 80_000.0),), jitter_s=0.5), rng=random.Random(1))
    acks: list[Ack] = []
    link.acknowledge = acks.append
    for number in range(6):
        await link.send_text(f"{number}" * 34)
    began = asyncio.get_running_loop().time()
    await asyncio.sleep(2.0)
    assert [str(message)[0] for _, message in link.received] == list("012345")
    delays = [at - began - 0.01 * number - 0.1 for number, (at, _) in enumerate(link.received, start=1)]
    assert -1e-6 <= min(delays) < 0.1 < max(delays) <= 0.5
    assert acks[-1].n == 6
    assert all(0 <= ack.held_ms <= 100.1 for ack in acks)
    assert any(ack.held_ms > 99 for ack in acks)


class TestTraces:
    def test_are_within_what_they_promise(self) -> None:
        drawn = traces(1)
        assert len(drawn) >= 12
        for trace in drawn:
            assert trace.length_s >= 300
            assert 0.005 <= trace.rtt_s <= 0.6
            assert all(bps == 0 or LEAST_BPS <= bps <= MOST_BPS for _, bps in trace.steps)
            assert all(end - at < 10 for at, end in trace.outages)

    def test_are_those_of_their_seed(self) -> None:
        assert traces(3) == traces(3)
        assert all(one != other for one, other in zip(traces(3), traces(4), strict=True))


class TestLadder:
    def reasons(self, trace: Trace, *, after_s: float, streams: int = 1) -> Counter[Reason]:
        seen: Counter[Reason] = Counter()

        def count(now: float, decision: Decision) -> None:
            seen[decision.reason] += now - 1000 >= after_s

        assert watch(trace, by_ladder(streams, on_decision=count), streams=streams).cut is None
        return seen

    @pytest.mark.parametrize("bps", [60e3, 1e6, 100e6])
    def test_stays_at_the_top_of_a_path_that_carries_it(self, bps: float) -> None:
        recording = watch(constant(bps), by_ladder())
        assert [rendition for _, _, rendition in recording.switches] == [LADDER[0]]
        assert all(arrival.at_s - arrival.stop_s < 0.4 for arrival in recording.arrivals)

    @pytest.mark.parametrize("bps", [17e3, 21e3])
    def test_does_not_swing_on_a_constant_path_once_it_has_converged(self, bps: float) -> None:
        trace = Trace("constant", 0.1, 300.0, ((0.0, bps),))
        switches = watch(trace, by_ladder()).switches
        settled = [rendition for at, _, rendition in switches if at >= 120]
        assert len(settled) <= 2 * 3 + 1  # a trial a minute, and back
        qualities = {rendition.quality for rendition in settled}
        assert qualities <= {Quality.LOSSLESS, Quality.DIAGNOSTIC, Quality.DISPLAY}

    def test_is_the_same_every_time(self) -> None:
        trace = traces(1)[9]
        assert watch(trace, by_ladder(), seed=2) == watch(trace, by_ladder(), seed=2)

    def test_falls_where_lossless_would_be_stale_and_comes_back(self) -> None:
        trace = Trace("step", 0.06, RUN_S, ((0.0, 1e6), (25.0, 18e3), (50.0, 1e6)))
        ours, lossless = (outcome(trace, choose, 1, 0) for choose in (by_ladder(), always(LADDER[0])))
        assert ours.stale < 0.04
        assert lossless.stale > 0.2
        assert watch(trace, by_ladder()).switches[-1][2] == LADDER[0]

    def test_an_outage_costs_one_step_at_most(self) -> None:
        trace = Trace("outage", 0.06, RUN_S, ((0.0, 300e3), (30.0, 0.0), (35.0, 300e3)))
        assert [LADDER.index(rendition) for _, _, rendition in watch(trace, by_ladder()).switches] == [
            0,
            1,
            0,
        ]

    def test_a_ward_gets_its_bases_first(self) -> None:
        recording = watch(constant(40e3), by_ladder(8), streams=8)
        last = {name: rendition.quality for _, name, rendition in recording.switches}
        assert Quality.VITALS not in last.values()
        order = list(Quality)
        assert order.index(last["bed-0"]) == min(map(order.index, last.values()))

    def test_no_plan_is_better_than_the_oracle_where_all_is_known(self) -> None:
        assert oracle(constant(1e6), 1) == pytest.approx(1.0)
        assert oracle(constant(16e3), 1) < 0.99
        assert outcome(constant(17e3), by_ladder(), 1, 0).score <= oracle(constant(17e3), 1)
