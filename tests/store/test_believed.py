"""Which time is believed: of a clock that goes on, that jumps, or that nobody has looked at for long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from streaming.store import believed
from streaming.store.believed import SLACK, BelievedClock

DAY = timedelta(days=1)
START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


class Host:
    """A clock, the newest row, and what is said of both."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.at = START
        self.newest: datetime | None = START
        self.clock = self.process()
        monkeypatch.setattr(timezone, "now", lambda: self.at)

    def process(self) -> BelievedClock:
        return BelievedClock("trail", lambda: self.newest, self.path)

    def after(self, passed: timedelta) -> datetime:
        """What is believed so much later."""
        self.at += passed
        return self.clock.now()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path / "clock", monkeypatch)


def test_a_clock_that_goes_on_is_believed_for_ever_without_a_row(host: Host) -> None:
    for _ in range(100):
        assert host.after(DAY) == host.at
    assert believed.read(host.path) == host.at


def test_a_jump_is_not_believed_and_said_once_until_the_clock_is_right_again(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    host.after(timedelta(0))
    for n in range(1, 4):
        for _ in range(3):
            assert host.after(800 * DAY) == START
            host.newest = host.at
        assert caplog.text.count("confirm_clock") == n
        host.at = START
        assert host.after(timedelta(0)) == START


def test_a_start_does_not_believe_what_a_jump_has_written(host: Host) -> None:
    host.after(timedelta(0))
    host.at = host.newest = START + 800 * DAY
    assert host.process().now() == START


def test_without_a_file_the_newest_row_of_the_first_look_is_believed(host: Host) -> None:
    assert host.after(SLACK) == host.at
    host.path.unlink()
    host.clock = host.process()
    assert host.after(SLACK + DAY) == START
    host.newest = host.at
    assert host.clock.now() == START
    assert not host.path.exists()


def test_an_empty_trail_says_nothing_about_the_clock(host: Host) -> None:
    host.newest = None
    assert host.after(800 * DAY) == host.at
    assert not host.path.exists()


def test_a_clock_that_begins_too_early_and_is_set_right_is_believed(host: Host) -> None:
    host.after(timedelta(0))
    assert host.after(-10000 * DAY) == host.at
    assert host.after(10001 * DAY) == START + DAY


@pytest.mark.parametrize("text", ["", "now", "2026-01-05T12:00:00"])
def test_a_file_that_says_nothing_is_no_file(text: str, host: Host) -> None:
    host.path.write_text(text)
    assert host.after(DAY) == host.at
    assert believed.read(host.path) == host.at


def test_what_was_confirmed_is_believed_by_a_process_that_runs(host: Host) -> None:
    host.after(timedelta(0))
    assert host.after(30 * DAY) == START
    believed.write(host.at, host.path)
    assert host.clock.now() == host.at


def test_a_full_disk_does_not_stop_the_clock(
    host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    host.after(timedelta(0))
    with monkeypatch.context() as patch:
        patch.setattr(believed, "write", fail)
        for _ in range(30):
            assert host.after(DAY) == host.at
    assert caplog.text.count("No space left") == 1
    host.after(DAY)
    assert believed.read(host.path) == host.at
