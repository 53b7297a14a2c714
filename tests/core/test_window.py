"""How much may be on its way to a client."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.window import SendWindow
from streaming.exceptions import ProtocolError

KIB = 1024


def saturated(rate: float, rtt_s: float, *, seconds: float = 3.0, message: int = 500) -> SendWindow:
    """A window after `seconds` of a client that acks each message, `rate` bytes/s and `rtt_s` away."""
    window, now, free_at = SendWindow(), 0.0, 0.0
    acks: list[tuple[float, int]] = []
    while now < seconds:
        while window.room > 0:
            n = window.on_sent(message, now)
            free_at = max(now, free_at) + message / rate
            acks.append((free_at + rtt_s, n))
        now, n = acks.pop(0)
        window.on_ack(n, now)
    return window


class TestNumbers:
    def test_messages_are_numbered_from_one(self) -> None:
        window = SendWindow()
        assert [window.on_sent(10, 0.0) for _ in range(3)] == [1, 2, 3]

    def test_an_ack_frees_all_up_to_its_number(self) -> None:
        window = SendWindow()
        for size in (10, 20, 40):
            window.on_sent(size, 0.0)
        acked = window.on_ack(2, 0.5)
        assert (acked.messages, acked.size_bytes, acked.rtt_s) == (2, 30, 0.5)
        assert window.in_flight_bytes == 40

    @pytest.mark.parametrize("n", [0, 1, 2])
    def test_an_old_ack_frees_nothing(self, n: int) -> None:
        window = SendWindow()
        for _ in range(3):
            window.on_sent(10, 0.0)
        window.on_ack(2, 0.1)
        acked = window.on_ack(n, 0.2)
        assert (acked.messages, acked.size_bytes, acked.rtt_s) == (0, 0, None)
        assert window.in_flight_bytes == 10

    def test_an_ack_beyond_what_was_sent_breaks_the_protocol(self) -> None:
        window = SendWindow()
        window.on_sent(10, 0.0)
        with pytest.raises(ProtocolError):
            window.on_ack(2, 0.1)
        assert window.in_flight_bytes == 10

    def test_an_ack_says_what_its_messages_held(self) -> None:
        window = SendWindow()
        window.on_sent(10, 0.0, (1, 2, 0, 0, 0))
        window.on_sent(10, 0.0)
        window.on_sent(10, 0.0, (0, 3, 0, 0, 1))
        window.on_sent(10, 0.0, (9, 9, 9, 9, 9))
        assert window.on_ack(3, 0.1).classes == (1, 5, 0, 0, 1)

    def test_the_time_that_a_client_held_its_ack_is_not_the_networks(self) -> None:
        window = SendWindow()
        window.on_sent(10, 0.0)
        assert window.on_ack(1, 0.15, held_s=0.1).rtt_s == pytest.approx(0.05)

    def test_a_client_may_say_that_it_held_an_ack_for_a_second_and_no_longer(self) -> None:
        window = SendWindow()
        window.on_sent(100, 0.0)
        assert window.on_ack(1, 5.0, held_s=4.5).rtt_s == pytest.approx(4.0)

    @pytest.mark.parametrize("held_s", [5.0, -5.0, 1e9])
    def test_a_client_cannot_claim_a_negative_round_trip_or_a_longer_one(self, held_s: float) -> None:
        window = SendWindow()
        window.on_sent(10, 0.0)
        rtt_s = window.on_ack(1, 0.2, held_s=held_s).rtt_s
        assert rtt_s is not None
        assert 0 <= rtt_s <= 0.2

    @given(st.lists(st.one_of(st.integers(1, 5000), st.floats(0, 1)), max_size=80))
    def test_in_flight_is_what_was_sent_and_not_acked(self, steps: list[int | float]) -> None:
        window, sizes, acked, now = SendWindow(), [0], 0, 0.0
        for step in steps:
            now += 0.01
            if isinstance(step, int):
                sizes.append(step)
                window.on_sent(step, now)
            else:
                n = round(step * window.sent)
                freed = window.on_ack(n, now)
                assert freed.messages == max(0, n - acked)
                acked = max(acked, n)
            assert window.in_flight_bytes == sum(sizes[acked + 1 :])
            assert window.room == window.size - window.in_flight_bytes


class TestSize:
    def test_is_4_kib_until_a_rate_is_known(self) -> None:
        assert SendWindow().size == 4 * KIB

    def test_critical_has_8_kib_more(self) -> None:
        window = SendWindow()
        window.on_sent(4 * KIB, 0.0)
        window.on_sent(1, 0.0)
        assert window.room < 4 * KIB
        assert window.critical_room == window.room + 8 * KIB

    def test_is_one_and_a_half_times_what_fits_the_path_and_one_message(self) -> None:
        window = saturated(64_000, 0.05)
        rate, rtt_s = window.network.delivery_rate, window.network.rtt_min_s
        assert rate
        assert rtt_s
        assert rate == pytest.approx(64_000, rel=0.05)
        assert rtt_s == pytest.approx(0.05 + 500 / 64_000, rel=0.05)
        assert window.size == int(1.5 * rate * rtt_s + 500)

    def test_counts_a_round_trip_as_20_ms_at_least(self) -> None:
        window = saturated(64_000, 0.001)
        rate = window.network.delivery_rate
        assert rate
        assert window.size == int(1.5 * rate * 0.02 + 500)

    def test_is_two_messages_at_least(self) -> None:
        window = saturated(64_000, 0.001)
        window.on_sent(16 * KIB, 3.0)
        assert window.size == 32 * KIB

    def test_is_256_kib_at_most(self) -> None:
        assert saturated(50e6, 0.1, message=16 * KIB).size == 256 * KIB

    def test_has_the_bound_it_was_given(self) -> None:
        window = SendWindow(max_bytes=8 * KIB)
        for at in range(100):
            n = window.on_sent(4 * KIB, at / 100)
            window.on_sent(4 * KIB, at / 100)
            window.on_ack(n + 1, at / 100 + 0.005)
        assert window.size == 8 * KIB

    def test_does_not_grow_with_what_the_sender_had_to_send(self) -> None:
        window = SendWindow()
        for tick in range(100):
            window.on_sent(200, tick / 10)
            window.on_sender_limited()
            window.on_ack(tick + 1, tick / 10 + 0.03)
        assert window.network.delivery_rate is None
        assert window.size == 4 * KIB

    def test_grows_by_what_filled_it_and_met_no_queue(self) -> None:
        window, n, now = SendWindow(), 0, 0.0
        sizes = []
        for _ in range(6):  # each time as much as there is room for; this process takes 0.3 s to hear of it
            while window.room > 0:
                n = window.on_sent(1000, now)
            now += 0.3
            window.on_ack(n, now, late_s=0.28)
            sizes.append(window.size)
        assert not window.network.saturated, "it was this process that set the pace"
        assert all(larger > smaller for smaller, larger in pairwise(sizes))
        assert sizes[-1] > 32 * KIB

    def test_does_not_grow_on_a_path_where_it_queues(self) -> None:
        window, n, now = SendWindow(), 0, 0.0
        window.on_sent(10, now)
        window.on_ack(1, 0.02)
        for _ in range(6):
            while window.room > 0:
                n = window.on_sent(1000, now)
            now += 0.3
            window.on_ack(n, now)
        assert window.size <= 8 * KIB

    def test_does_not_grow_where_it_queues_and_the_process_is_late_as_well(self) -> None:
        window, n, now = SendWindow(), 0, 1.0
        window.on_sent(10, 0.0)
        window.on_ack(1, 0.02)
        for _ in range(6):
            while window.room > 0:
                n = window.on_sent(1000, now)
            now += 1.3
            window.on_ack(n, now, late_s=0.5)
        assert not window.network.saturated
        assert window.size == 4 * KIB

    def test_begins_anew_where_nobody_has_filled_the_path_for_a_minute(self) -> None:
        window = saturated(1000, 0.1, message=100, seconds=5.0)
        assert window.size < KIB
        assert window.bundle_limit < 100
        now = 5.0
        for _ in range(62):  # one small message a second, and nothing behind it
            n = window.on_sent(100, now)
            window.on_sender_limited()
            window.on_ack(n, now + 0.1)
            now += 1.0
        assert window.size >= 4 * KIB
        assert window.bundle_limit == 2 * KIB

    def test_measures_again_once_what_was_sent_idly_is_acked(self) -> None:
        window = SendWindow()
        window.on_sent(200, 0.0)
        window.on_sender_limited()
        window.on_ack(1, 0.03)
        for n in range(2, 12):  # one every 100 ms, three in flight
            window.on_sent(1000, n / 10)
            window.on_ack(n - 2, n / 10 + 0.05)
        assert window.network.delivery_rate == pytest.approx(10_000, rel=0.3)

    def test_a_saturated_window_does_not_mistake_its_own_queue_for_the_path(self) -> None:
        window = saturated(64_000, 0.03, seconds=120)
        assert window.network.rtt_min_s
        assert window.network.rtt_min_s < 0.08
        assert window.size < 8 * KIB


class TestCrowd:
    def over_fed(self, share: float, *, seconds: float = 120.0) -> tuple[SendWindow, float]:
        """One message of 1300 bytes every 0.5 s, on a path that carries `share` of it; the longest wait."""
        window, now, free_at, longest_s = SendWindow(), 0.0, 0.0, 0.0
        acks: deque[tuple[float, int]] = deque()
        waiting = 0
        for tick in range(round(2 * seconds)):
            now, waiting = tick / 2, waiting + 1
            while (acks and acks[0][0] <= now + 0.5) or (waiting and window.room > 0):
                if waiting and window.room > 0:
                    n = window.on_sent(1300, now)
                    waiting -= 1
                    free_at = max(now, free_at) + 0.5 / share
                    acks.append((free_at + 0.1, n))
                    longest_s = max(longest_s, free_at + 0.1 - now)
                    if not waiting and window.room > 0:
                        window.on_sender_limited()
                else:
                    now, n = acks.popleft()
                    window.on_ack(n, now)
        return window, longest_s

    def test_all_in_flight_is_a_measure_of_the_path_when_it_queues_there(self) -> None:
        window = SendWindow()
        window.on_sent(100, 0.0)
        window.on_sender_limited()
        window.on_ack(1, 0.05)
        for _ in range(8):
            window.on_sent(500, 1.0)
            window.on_sender_limited()
        for n in range(2, 10):
            window.on_ack(n, 1.05 + 0.25 * (n - 1))  # 2000 bytes a second
        assert window.network.saturated
        assert window.network.delivery_rate == pytest.approx(2000, rel=0.05)

    def test_a_large_message_by_itself_is_no_queue(self) -> None:
        window = SendWindow()
        for n in range(1, 40):
            size, rtt_s = (100, 0.05) if n % 2 else (1300, 0.7)
            window.on_sent(size, float(n))
            window.on_sender_limited()
            window.on_ack(n, n + rtt_s)
        assert not window.network.saturated

    @pytest.mark.parametrize("share", [0.95, 0.99])
    def test_a_path_that_is_fed_a_little_too_much_is_not_filled_without_bound(self, share: float) -> None:
        window, longest_s = self.over_fed(share)
        assert window.network.saturated
        assert longest_s < 4.0
        assert window.size < 8 * KIB


class TestBundles:
    def test_are_50_ms_of_the_delivery_rate(self) -> None:
        window = saturated(64_000, 0.05)
        assert window.bundle_limit == pytest.approx(3200, rel=0.05)

    def test_are_16_kib_at_most(self) -> None:
        assert saturated(50e6, 0.1, message=16 * KIB).bundle_limit == 16 * KIB

    def test_are_half_the_window_until_a_rate_is_known(self) -> None:
        assert SendWindow().bundle_limit == 2 * KIB

    def test_grow_on_a_path_that_was_never_saturated(self) -> None:
        window = SendWindow()
        for n in range(20):  # 2000 bytes twice a second over a good network: 400 kB/s, and perhaps more
            window.on_sent(2000, n / 2)
            window.on_sender_limited()
            window.on_ack(n + 1, n / 2 + 0.005)
        assert window.bundle_limit == 16 * KIB
        assert window.size > 4 * KIB

    def test_an_idle_path_keeps_the_first_window(self) -> None:
        window = SendWindow()
        for n in range(20):  # 60 kB/s at the least
            window.on_sent(300, n / 2)
            window.on_sender_limited()
            window.on_ack(n + 1, n / 2 + 0.005)
        assert window.size == 4 * KIB

    def test_have_room_for_something_on_any_link(self) -> None:
        assert saturated(10, 0.1, seconds=30, message=10).bundle_limit >= 1


class TestEnd:
    def test_stalls_10_seconds_after_the_oldest_unacked_byte(self) -> None:
        window = SendWindow()
        window.on_sent(10, 0.0)
        window.on_sent(10, 5.0)
        assert window.next_due == 10
        assert not window.stalled(9.9)
        assert window.stalled(10.0)
        window.on_ack(1, 10.0)
        assert window.oldest_age(10.0) == 5
        assert not window.stalled(14.9)
        assert window.stalled(15.0)

    def test_is_quiet_while_an_ack_might_have_come(self) -> None:
        window = SendWindow()
        assert window.quiet_s(5.0) == 0
        window.on_sent(10, 0.0)
        window.on_sent(10, 1.0)
        assert window.quiet_s(3.0) == 3
        window.on_ack(1, 3.0)
        assert window.quiet_s(3.5) == 0.5
        window.on_ack(2, 4.0)
        assert window.quiet_s(9.0) == 0
        window.on_sent(10, 9.0)
        assert window.quiet_s(9.5) == 0.5

    def test_knows_how_long_ago_it_was_heard(self) -> None:
        window = SendWindow()
        assert window.unheard_s(5.0) is None
        window.on_sent(10, 6.0)
        assert window.unheard_s(7.0) == 1
        window.on_ack(1, 8.0)
        assert window.unheard_s(8.5) == 0.5

    def test_never_stalls_with_nothing_in_flight(self) -> None:
        window = SendWindow()
        window.on_sent(10, 0.0)
        window.on_ack(1, 0.1)
        assert not window.stalled(1e6)

    def test_asks_for_an_ack_after_3_idle_seconds(self) -> None:
        window = SendWindow()
        window.on_sent(10, 0.0)
        assert not window.keepalive_due(5.0)
        window.on_ack(1, 5.0)
        assert window.next_due == 8
        assert not window.keepalive_due(7.9)
        assert window.keepalive_due(8.0)

    def test_is_silent_8_seconds_after_the_last_ack(self) -> None:
        window = SendWindow()
        window.on_sent(10, 0.0)
        window.on_ack(1, 1.0)
        window.on_sent(10, 4.0, keepalive=True)
        assert window.next_due == 9
        assert not window.silent(8.9)
        assert window.silent(9.0)

    def test_unacked_data_is_slowness_and_not_silence(self) -> None:
        window = SendWindow()
        window.on_sent(10, 0.0)
        assert not window.silent(9.5)

    def test_any_ack_ends_the_silence(self) -> None:
        window = SendWindow()
        window.on_sent(10, 0.0)
        window.on_ack(1, 0.0)
        window.on_sent(10, 3.0, keepalive=True)
        window.on_ack(1, 7.0)
        assert not window.silent(8.0)


def test_goodput_counts_what_was_acked() -> None:
    window = SendWindow()
    for tick in range(200):
        window.on_sent(1000, tick / 10)
        window.on_ack(tick + 1, tick / 10 + 0.05)
    assert window.goodput(19.95) == pytest.approx(10_000, rel=0.06)


def test_it_knows_when_what_is_in_flight_was_sent() -> None:
    window = SendWindow()
    for number in range(1, 4):
        assert window.on_sent(100, 10.0 + number) == number
    window.on_ack(1, 14.0)
    assert [window.sent_at(number) for number in range(5)] == [None, None, 12.0, 13.0, None]


def test_a_process_that_is_late_takes_no_path_for_shorter_than_it_is() -> None:
    window = SendWindow()
    window.on_sent(100, 0.0)
    window.on_ack(1, 0.2)
    window.on_sent(100, 1.0)
    # One turn of 120 ms that this ack waited for, and its message did not.
    assert window.on_ack(2, 1.32, late_s=0.24).rtt_s == pytest.approx(0.2)
    window.on_sent(100, 2.0)
    assert window.on_ack(3, 2.7, late_s=0.24).rtt_s == pytest.approx(0.46), "what is longer is the network's"
    window.on_sent(100, 3.0)
    assert window.on_ack(4, 3.1, late_s=0.24).rtt_s == pytest.approx(0.1), "measured is measured"
    assert window.network.rtt_min_s == pytest.approx(0.1)


def test_of_a_path_that_is_not_known_yet_lateness_explains_nothing() -> None:
    window = SendWindow()
    window.on_sent(100, 0.0)
    assert window.on_ack(1, 0.2, late_s=0.5).rtt_s == pytest.approx(0.2)
