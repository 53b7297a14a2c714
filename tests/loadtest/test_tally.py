"""Counters that several processes add up, and the figures that are made of them."""

from __future__ import annotations

import io
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.loadtest.crew import Order
from streaming.loadtest.progress import Progress
from streaming.loadtest.report import Outcome
from streaming.loadtest.tally import Delays, Tally
from streaming.loadtest.team import share_of, total


def delays(*seconds: float) -> Delays:
    made = Delays()
    for each in seconds:
        made.add(each)
    return made


def test_percentiles_are_to_a_millisecond_and_never_beyond_the_longest() -> None:
    made = delays(*(number / 1000 for number in range(1, 101)))
    assert made.percentile_s(0.5) == pytest.approx(0.050, abs=0.0011)
    assert made.percentile_s(0.99) == pytest.approx(0.099, abs=0.0011)
    assert made.percentile_s(1.0) == made.longest_s == 0.1
    assert Delays().percentile_s(0.5) is None
    assert Delays().summary_ms() is None


def test_what_is_below_zero_or_beyond_the_bins_is_counted_too() -> None:
    made = delays(-1.0, 100.0)
    assert made.count == 2
    assert made.percentile_s(0.5) == pytest.approx(0.001)
    assert made.percentile_s(1.0) == pytest.approx(30.001)
    assert made.longest_s == 100.0


@given(st.lists(st.floats(0, 40), max_size=50), st.lists(st.floats(0, 40), max_size=50))
def test_delays_of_two_processes_are_those_of_one(some: list[float], more: list[float]) -> None:
    together = Delays.from_json(json.loads(json.dumps(delays(*some).to_json())))
    together += delays(*more)
    assert together.to_json() == delays(*some, *more).to_json()


def test_tallies_add_up_and_cross_a_pipe() -> None:
    one, two = Tally(connected=1, lost_samples=3), Tally(connected=2, messages=5)
    one.drops["expired"], two.drops["expired"], two.drops["quota"] = 1, 2, 3
    one.newest.add(0.1)
    crossed = [Tally.from_json(json.loads(json.dumps(each.to_json()))) for each in (one, two)]
    summed = total(crossed)
    assert (summed.connected, summed.messages, summed.lost_samples) == (3, 5, 3)
    assert summed.drops == Counter(expired=3, quota=3)
    assert summed.newest.count == 1
    assert one.drops == Counter(expired=1)


@pytest.mark.parametrize(("viewers", "processes"), [(10, 3), (1, 1), (7, 7), (1000, 4)])
def test_shares_are_even_and_whole(viewers: int, processes: int) -> None:
    order = Order("ws://x", viewers, ("t1", "t2", "t3"), decoders=viewers // 2)
    shares = [share_of(order, number, processes) for number in range(processes)]
    assert sum(share.viewers for share in shares) == viewers
    assert sum(share.decoders for share in shares) == viewers // 2
    assert max(share.viewers for share in shares) - min(share.viewers for share in shares) <= 1
    assert all(share.tokens for share in shares)


def outcome(**changes: object) -> Outcome:
    tally = Tally(connected=2, messages=100, size_bytes=50_000)
    tally.by_class.update(high=900, low=10)
    tally.bytes_by_class.update(high=45_000, low=500)
    tally.newest.add(0.05)
    for name, value in changes.items():
        setattr(tally, name, value)
    return Outcome(3, 1, 10.0, tally, bytes_per_s=64_000.0, server_cpu_s=2.5, feed_late_s=0.01)


def test_the_report_has_the_rates_the_ages_and_the_losses() -> None:
    told = json.loads(outcome().line())
    assert told["classes"]["high"] == {"messages_per_s": 90.0, "bytes_per_s": 4500}
    assert told["age_newest_ms"]["p99"] == 50.0
    assert (told["server_cpu_percent"], told["connected"], told["viewers"]) == (25.0, 2, 3)
    words = "\n".join(outcome().words())
    assert "2 of 3 viewers connected, each behind 64 kB/s" in words
    assert "missing without a GAP: 0 samples" in words
    assert "server: 25 % of a core" in words


@pytest.mark.parametrize("fault", ["lost_samples", "repeated_frames", "malformed"])
def test_a_hole_nobody_named_or_a_wrong_byte_is_not_good(fault: str) -> None:
    assert outcome().is_good
    assert not outcome(**{fault: 1}).is_good


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_changes_and_elsewhere_there_is_one_now_and_then() -> None:
    tally = Tally(connected=5)
    terminal, plain = Terminal(), io.StringIO()
    for out in (terminal, plain):
        progress = Progress(out, 40.0, 8)
        for second in range(1, 31):
            tally.renditions["lossless"] = 100 * second
            progress.update(float(second), tally)
        progress.clear()
    assert terminal.getvalue().count("\r\x1b[K") == 31
    assert "\n" not in terminal.getvalue()
    lines = plain.getvalue().splitlines()
    assert [line.split("]")[1].split(" s,")[0] for line in lines] == [
        " 1 of 40",
        " 11 of 40",
        " 21 of 40",
    ]
    assert "5 of 8 viewers, 100 frames/s, no frames yet" in lines[0]
    assert "\x1b" not in plain.getvalue()
