"""Pacing against a clock of our own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.client.pacing import MAX_LAG_S, Pacer


class Clock:
    """Time that passes only by waiting, `extra_s` longer each time than asked."""

    def __init__(self, extra_s: float = 0.0) -> None:
        self.now = 100.0
        self.waits: list[float] = []
        self.extra_s = extra_s

    def __call__(self) -> float:
        return self.now

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds + self.extra_s


def pacer(clock: Clock, speed: float = 1.0) -> Pacer:
    return Pacer(speed, clock=clock, wait=clock.wait)


@settings(max_examples=50)
@given(speed=st.floats(1, 20), overshoot_s=st.floats(0, 0.004), chunk_s=st.floats(0.1, 1.0))
async def test_waits_that_run_over_do_not_add_up(speed: float, overshoot_s: float, chunk_s: float) -> None:
    clock = Clock(overshoot_s)
    pace = pacer(clock, speed)
    await pace.until(0.0)
    start = clock.now - overshoot_s
    for number in range(1, 101):
        await pace.until(number * chunk_s)
    due = start + 100 * chunk_s / speed
    assert due - 1e-9 <= clock.now <= due + overshoot_s + 1e-9


async def test_speed_divides_the_waits() -> None:
    clock = Clock()
    pace = pacer(clock, 20.0)
    await pace.until(0.0)
    await pace.until(1.0)
    assert clock.waits == [0.0, pytest.approx(0.05)]


async def test_the_clock_starts_with_the_first_wait() -> None:
    clock = Clock()
    pace = pacer(clock)
    clock.now += 50.0
    await pace.until(0.1)
    assert clock.waits == [pytest.approx(0.1)]


async def test_a_short_lag_is_caught_up_at_once() -> None:
    clock = Clock()
    pace = pacer(clock)
    await pace.until(0.0)
    clock.now += 1.5
    await pace.until(0.5)
    await pace.until(1.0)
    await pace.until(2.0)
    assert clock.waits == [0.0, 0.0, 0.0, pytest.approx(0.5)]
    assert pace.written_off_s == 0.0


async def test_a_long_lag_is_written_off_and_counted() -> None:
    clock = Clock()
    pace = pacer(clock)
    await pace.until(0.0)
    clock.now += 3600.0
    await pace.until(0.1)
    await pace.until(0.2)
    assert clock.waits == [0.0, 0.0, pytest.approx(0.1)]
    assert pace.written_off_s == pytest.approx(3599.9)
    assert pace.written_off_s > MAX_LAG_S


@pytest.mark.parametrize("speed", [0.0, 0.99, 20.01, -1.0, float("nan"), float("inf")])
def test_speed_out_of_bounds_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        Pacer(speed)
