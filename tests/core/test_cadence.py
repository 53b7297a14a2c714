"""How often a viewer is asked to acknowledge."""

from __future__ import annotations

from streaming.core.cadence import CALM_S, OFTEN, Cadence, CadenceChooser
from streaming.core.cadence import SELDOM as CADENCES
from streaming.core.window import PROMPT_S, SendWindow

STEP_S = 0.25
SELDOM, LESS_SELDOM = CADENCES


class Path:
    """A window on which messages are sent and acked in virtual time, and the chooser that looks."""

    def __init__(self) -> None:
        self.now = 0.0
        self.window = SendWindow()
        self.chooser = CadenceChooser(self.window)
        self.told: list[Cadence] = []

    def passes(
        self,
        seconds: float,
        *,
        size: int = 400,
        each_s: float = 0.25,
        rtt_s: float = 0.02,
        waits: bool = False,
    ) -> None:
        """A message every so often, acked a round trip later; then the chooser looks."""
        for _ in range(round(seconds / each_s)):
            n = self.window.on_sent(size, self.now)
            self.window.on_sender_limited()
            self.window.on_ack(n, self.now + rtt_s)
            self.now += each_s
            self.look(waits=waits)

    def look(self, *, waits: bool = False) -> None:
        told = self.chooser.look(self.now, waits=waits)
        if told is not None:
            self.told.append(told)


def calm() -> Path:
    """A path on which acks are seldom."""
    path = Path()
    path.passes(CALM_S + 1)
    assert path.told == [SELDOM]
    return path


def test_it_begins_with_often_and_is_told_nothing_of_it() -> None:
    path = Path()
    path.passes(CALM_S - STEP_S)
    assert path.told == []
    assert path.chooser.cadence is OFTEN


def test_after_a_calm_while_acks_become_seldom_and_may_be_held_as_long() -> None:
    assert calm().window.hold_s == SELDOM.hold_s


def test_a_path_that_is_not_prompt_is_never_calm() -> None:
    path = Path()
    path.passes(4 * CALM_S, rtt_s=PROMPT_S + 0.01)
    assert path.told == []


def test_an_outbox_in_which_something_waits_is_not_calm() -> None:
    path = Path()
    path.passes(4 * CALM_S, waits=True)
    assert path.told == []


def test_the_calm_has_to_be_without_a_break() -> None:
    path = Path()
    for _ in range(4):
        path.passes(CALM_S - STEP_S)
        path.passes(STEP_S, waits=True)
    assert path.told == []


def test_a_window_without_room_to_spare_keeps_acks_often() -> None:
    path = Path()
    path.passes(4 * CALM_S, each_s=0.04)
    assert path.told == [], "10 kB/s: 2.5 kB between the less seldom acks, and the window is 4 KiB"


def test_with_a_little_room_they_become_a_little_less_often() -> None:
    path = Path()
    path.passes(4 * CALM_S, size=1500)
    assert path.told == [LESS_SELDOM], "6 kB/s: 3 kB between seldom acks, and the window is 4 KiB"
    assert path.window.hold_s == LESS_SELDOM.hold_s


def test_something_that_waits_makes_acks_often_again() -> None:
    path = calm()
    path.look(waits=True)
    assert path.told == [SELDOM, OFTEN]


def test_most_of_a_window_in_flight_makes_acks_often_again() -> None:
    path = calm()
    for _ in range(path.window.size * 3 // 4 // 100):
        path.window.on_sent(100, path.now)
    path.look()
    assert path.told == [SELDOM]
    path.window.on_sent(100, path.now)
    path.look()
    assert path.told == [SELDOM, OFTEN]


def test_a_message_that_is_held_as_long_as_allowed_is_prompt() -> None:
    path = calm()
    path.window.on_sent(500, path.now)
    path.now += SELDOM.hold_s
    path.look()
    assert path.told == [SELDOM]
    path.now += PROMPT_S
    path.look()
    assert path.told == [SELDOM, OFTEN]


def test_the_longer_hold_is_allowed_until_the_client_has_heard_of_the_change() -> None:
    path = calm()
    before = path.window.on_sent(500, path.now)
    path.look(waits=True)
    change = path.window.on_sent(50, path.now)
    path.window.on_ack(before, path.now + 0.4)
    path.look()
    assert path.window.hold_s == SELDOM.hold_s
    path.window.on_ack(change, path.now + 0.42)
    path.look()
    assert path.window.hold_s == OFTEN.hold_s


def test_it_becomes_seldom_again_after_another_calm_while() -> None:
    path = calm()
    path.look(waits=True)
    path.passes(STEP_S)
    path.passes(CALM_S - STEP_S)
    assert path.told == [SELDOM, OFTEN]
    path.passes(2 * STEP_S)
    assert path.told == [SELDOM, OFTEN, SELDOM]
