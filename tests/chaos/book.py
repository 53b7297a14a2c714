"""All that was raised and all that was shown, and what of it was lost, or shown twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tests.chaos.screen import SETTLING_S

CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What went wrong, each as a list of alarms; all are empty when nothing did."""

    unconfirmed: int
    """Beginnings and ends that no device was told to be stored."""
    not_stored: list[str]
    raised_twice: list[str]
    """Of which the journal has another beginning."""
    never_shown: list[str]
    shown_twice: list[str]
    came_back: list[str]
    """Shown by a viewer that had seen them closed, in an earlier life."""
    still_open: list[str]
    """In the journal, though they were ended and seen to."""
    closed_early: list[str]
    """Over in the journal, though nobody has ended them."""
    wrongly_shown: list[str]
    """In the end, by a viewer, and not open; with the viewer's name."""
    not_shown: list[str]
    """In the end, by a viewer, though open."""

    @property
    def lost(self) -> int:
        """Alarms that are not in the journal, that nobody saw, or that are missing somewhere in the end."""
        return len({*self.not_stored, *self.never_shown, *self.closed_early, *self.not_shown})

    @property
    def duplicates(self) -> int:
        """Alarms that somebody saw twice, or after they were over."""
        return len({*self.shown_twice, *self.came_back, *self.still_open, *self.wrongly_shown})


@dataclass
class _Life:
    """One program that shows alarms, until it is killed."""

    drawn: set[str] = field(default_factory=set)
    shown: set[str] = field(default_factory=set)


class Book:
    """Names are those that devices gave; ids those of the journal, which end in them."""

    def __init__(self) -> None:
        self.raised: dict[str, float] = {}
        """When, on the machine's monotonic clock."""
        self.ended: set[str] = set()
        self.first_shown: dict[str, float] = {}
        self.told_again = 0
        """Messages to viewers about what they knew already."""
        self._milestones: dict[int, asyncio.Event] = {}
        self._lives: dict[str, _Life] = {}
        self._gone: dict[tuple[str, str], tuple[float, str]] = {}
        """When a viewer saw an alarm go, and why, by both their names."""
        self._shown_twice: list[str] = []
        self._came_back: list[str] = []

    def reached(self, alarms: int) -> asyncio.Event:
        """Set once so many have been raised."""
        event = self._milestones.setdefault(alarms, asyncio.Event())
        if len(self.raised) >= alarms:
            event.set()
        return event

    def release(self) -> None:
        """No more will be raised: let go whoever waits for that."""
        for event in self._milestones.values():
            event.set()

    def raise_(self, name: str, at: float) -> None:
        """A device tells an alarm."""
        self.raised[name] = at
        if (reached := self._milestones.get(len(self.raised))) is not None:
            reached.set()

    def end(self, name: str) -> None:
        """It says that its condition has ended."""
        self.ended.add(name)

    def begin(self, viewer: str) -> None:
        """A viewer starts with an empty screen, for the first time or after it was killed."""
        self._lives[viewer] = _Life()

    def drew(self, viewer: str, alarm: str, at: float) -> None:
        """It shows an alarm that it did not show before."""
        life = self._lives[viewer]
        self.first_shown.setdefault(name_of(alarm), at)
        gone_at, why = self._gone.get((viewer, alarm), (at, ""))
        complaint = f"{alarm} at {viewer} {at - gone_at:.1f} s after it was {why}"
        if alarm in life.drawn:
            self._shown_twice.append(complaint)
        elif why == CLOSED and at > gone_at + SETTLING_S:
            self._came_back.append(complaint)
        life.drawn.add(alarm)
        life.shown.add(alarm)

    def removed(self, viewer: str, alarm: str, at: float, why: str) -> None:
        """It shows it no more, as it was closed, or not named among those that are open."""
        self._gone[viewer, alarm] = at, why
        self._lives[viewer].shown.discard(alarm)

    def shown(self, viewer: str) -> set[str]:
        """Names of the devices' alarms that it shows now."""
        return {name for name in map(name_of, self._lives[viewer].shown) if name in self.raised}

    @property
    def left_on(self) -> set[str]:
        """Names of those that have not ended."""
        return self.raised.keys() - self.ended

    @property
    def progress(self) -> tuple[int, int, int]:
        """How many have been raised, ended, and seen by somebody."""
        return len(self.raised), len(self.ended), len(self.raised.keys() & self.first_shown.keys())

    @property
    def duplicates(self) -> int:
        """How often an alarm was shown twice, or after it was over, until now."""
        return len(self._shown_twice) + len(self._came_back)

    @property
    def longest_s(self) -> float:
        """From the beginning of an alarm until somebody saw it."""
        return max(
            (at - self.raised[name] for name, at in self.first_shown.items() if name in self.raised),
            default=0,
        )

    def verdict(
        self,
        *,
        stored: Mapping[str, int],
        open_now: Collection[str],
        viewers: Collection[str],
        unconfirmed: int,
    ) -> Verdict:
        """`stored` says how often the journal has each id as raised, `open_now` which ids are open there."""
        by_name: Counter[str] = Counter()
        for alarm, count in stored.items():
            by_name[name_of(alarm)] += count
        open_names = {name for name in map(name_of, open_now) if name in self.raised}
        shown = {viewer: self.shown(viewer) for viewer in viewers}
        return Verdict(
            unconfirmed=unconfirmed,
            not_stored=[name for name in self.raised if by_name[name] == 0],
            raised_twice=[name for name in self.raised if by_name[name] > 1],
            never_shown=[name for name in self.raised if name not in self.first_shown],
            shown_twice=self._shown_twice,
            came_back=self._came_back,
            still_open=sorted(open_names - self.left_on),
            closed_early=sorted(self.left_on - open_names),
            wrongly_shown=[
                f"{n} at {viewer}" for viewer, names in shown.items() for n in sorted(names - open_names)
            ],
            not_shown=[
                f"{n} at {viewer}" for viewer, names in shown.items() for n in sorted(open_names - names)
            ],
        )


def name_of(alarm: str) -> str:
    """What the device called it."""
    return alarm.rpartition(".")[2]
