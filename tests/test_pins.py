"""What must stay of the history: around what is grave, longer while it lasts, whatever the database does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from streaming import pins as pins_module
from streaming.pins import AROUND_S, Pin, Pins
from tests.viewers import stream_info

INFO = stream_info()
AROUND = round(AROUND_S * INFO.rate_hz)


class Store:
    """Keeps the pins of each write, or refuses them."""

    def __init__(self) -> None:
        self.writes: list[list[Pin]] = []
        self.fault: Exception | None = None

    async def pin(self, pins: Sequence[Pin]) -> None:
        if self.fault is not None:
            raise self.fault
        self.writes.append(list(pins))


async def test_a_minute_before_and_after_stays() -> None:
    pins = Pins(store := Store())
    pins.note(INFO, 100_000, "ASYSTOLE")
    await pins.write()
    await pins.write()
    assert store.writes == [[Pin("a", 1, 100_000 - AROUND, 100_000 + AROUND, "ASYSTOLE")]]


async def test_it_grows_while_it_lasts_and_is_one_pin() -> None:
    pins = Pins(store := Store())
    pins.note(INFO, 100, "ASYSTOLE")
    await pins.write()
    pins.note(INFO, 600, "VENT TACHY")
    pins.note(INFO, 1100, "VENT TACHY")
    await pins.write()
    assert store.writes[1:] == [[Pin("a", 1, 0, 1100 + AROUND, "ASYSTOLE")]]


async def test_what_is_apart_and_another_epoch_have_pins_of_their_own() -> None:
    pins = Pins(store := Store())
    pins.note(INFO, 0, "ASYSTOLE")
    pins.note(INFO, 3 * AROUND, "VENT TACHY")
    pins.note(replace(INFO, epoch=2), 3 * AROUND, "VENT TACHY")
    await pins.write()
    assert [(pin.epoch, pin.first, pin.stop) for pin in store.writes[0]] == [
        (1, 0, AROUND),
        (1, 2 * AROUND, 4 * AROUND),
        (2, 2 * AROUND, 4 * AROUND),
    ]


async def test_a_history_that_is_away_is_tried_again_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    pins = Pins(store := Store())
    store.fault = OSError("away")
    pins.note(INFO, 100, "ASYSTOLE")
    await pins.write()
    pins.note(INFO, 600, "ASYSTOLE")
    await pins.write()
    assert len(caplog.records) == 1
    store.fault = None
    await pins.write()
    assert store.writes == [[Pin("a", 1, 0, 600 + AROUND, "ASYSTOLE")]]
    store.fault = OSError("away again")
    pins.note(INFO, 700, "ASYSTOLE")
    await pins.write()
    assert len(caplog.records) == 2


async def test_what_was_noted_during_a_write_that_fails_is_the_newer_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pins = Pins(store := Store())

    async def fail(_pins: Sequence[Pin]) -> None:
        pins.note(INFO, 1000, "ASYSTOLE")
        raise OSError("away")

    pins.note(INFO, 100, "ASYSTOLE")
    with monkeypatch.context() as failing:
        failing.setattr(store, "pin", fail)
        await pins.write()
    await pins.write()
    assert [pin.stop for pin in store.writes[0]] == [1000 + AROUND]


async def test_what_waits_is_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins_module, "MAX_WAITING", 2)
    pins = Pins(store := Store())
    for stream in "abc":
        pins.note(replace(INFO, stream=stream), 100, "ASYSTOLE")
    await pins.write()
    assert [pin.stream for pin in store.writes[0]] == ["b", "c"]


async def test_what_is_forgotten_begins_anew() -> None:
    pins = Pins(store := Store())
    for stream in "ab":
        pins.note(replace(INFO, stream=stream), AROUND, "ASYSTOLE")
    pins.forget(frozenset("b"))
    for stream in "ab":
        pins.note(replace(INFO, stream=stream), AROUND + 500, "ASYSTOLE")
    await pins.write()
    assert {(pin.stream, pin.first) for pin in store.writes[0]} == {("a", 0), ("a", 500), ("b", 0)}
