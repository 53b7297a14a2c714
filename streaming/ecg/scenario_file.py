"""A scenario as people write it: a TOML file, whose every mistake is answered with the key that has it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from itertools import zip_longest
from math import inf
from typing import Any, TypeVar

from streaming.ecg.artefacts import LEVELS_MV, Artefact
from streaming.ecg.leads import DOWER, LIMB
from streaming.ecg.rhythms import LEAD_OFF, RHYTHMS
from streaming.ecg.scenario import Disturbance, Phase, Scenario
from streaming.exceptions import ScenarioError

T = TypeVar("T")
Read = Callable[[Any], T]
"""What a value of the file means; raises ValueError with what it must be."""

MIN_PHASE_S = 1.0
MIN_ARTEFACT_S = 0.02
"""One sample at 50 Hz, the lowest rate."""
SAME_S = 1e-9
"""Sums of decimal seconds that differ by less are the same."""
MAX_S = 7 * 86_400.0
MIN_LEVEL_MV, MAX_LEVEL_MV = 0.01, 10.0
"""Less is not seen among what is always there; more is beyond the rail of the simulated amplifier."""


def read_scenario(text: str) -> Scenario:
    """The scenario that a TOML text describes (docs/operations.md).

    Raises ScenarioError, which names the table and the key, for whatever it cannot mean.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError("", "", str(error)) from None
    root = _Table("", content, known=("seed", "repeat", "phase", "artefact"))
    seed = root.take("seed", _seed)
    repeat = root.take("repeat", _truth) or False
    phase_tables = root.tables("phase", known=("at_s", "for_s", "rhythm", "hr"))
    if not phase_tables:
        raise root.fault("phase", "at least one [[phase]] is needed")
    phases = _phases(phase_tables, repeat=repeat)
    artefact_tables = root.tables("artefact", known=("at_s", "for_s", "kind", "lead", "level"))
    end_s = phases[-1].stop_s
    disturbances = tuple(_disturbance(table, end_s, repeat=repeat) for table in artefact_tables)
    return Scenario(phases, disturbances, seed, repeat)


def _phases(tables: list[_Table], *, repeat: bool) -> tuple[Phase, ...]:
    phases: list[Phase] = []
    at_s = 0.0
    for table, follower in zip_longest(tables, tables[1:]):
        begin_s = table.take("at_s", _number(0.0, MAX_S))
        if begin_s is not None and abs(begin_s - at_s) > SAME_S:
            raise table.fault("at_s", f"must be {at_s:g}, where the phase before it ends, or left out")
        stop_s = _end_of_phase(table, at_s, follower, repeat=repeat)
        rhythm = table.need("rhythm", _rhythm)
        phases.append(Phase(at_s, stop_s, rhythm, table.take("hr", _heart_rate(rhythm))))
        at_s = stop_s
    return tuple(phases)


def _end_of_phase(table: _Table, at_s: float, follower: _Table | None, *, repeat: bool) -> float:
    """After its own `for_s`, or where the next phase says that it begins, or never."""
    for_s = table.take("for_s", _number(MIN_PHASE_S, MAX_S))
    if for_s is not None:
        return at_s + for_s
    if follower is None:
        if repeat:
            raise table.fault("for_s", "is needed in the last phase of a scenario that repeats")
        return inf
    stop_s = follower.take("at_s", _number(0.0, MAX_S))
    if stop_s is None:
        raise table.fault("for_s", "is needed where the next phase has no at_s")
    if stop_s < at_s + MIN_PHASE_S:
        raise follower.fault("at_s", f"must be at least {at_s + MIN_PHASE_S:g}")
    return stop_s


def _disturbance(table: _Table, end_s: float, *, repeat: bool) -> Disturbance:
    at_s = table.need("at_s", _number(0.0, MAX_S))
    if at_s >= end_s:
        raise table.fault("at_s", f"must be less than {end_s:g}, where the last phase ends")
    for_s = table.need("for_s", _number(MIN_ARTEFACT_S, MAX_S))
    if repeat and at_s + for_s > end_s + SAME_S:
        raise table.fault("for_s", f"must be at most {end_s - at_s:g}, up to where the scenario repeats")
    kind = table.need("kind", _kind)
    lead = table.take("lead", _lead)
    level_mv = table.take("level", _level(kind))
    return Disturbance(at_s, for_s, kind, lead, level_mv)


class _Table:
    """A table of the file; `where` names it in faults."""

    def __init__(self, where: str, content: dict[str, Any], *, known: tuple[str, ...]) -> None:
        self._where = where
        self._content = content
        for key in content:
            if key not in known:
                raise self.fault(key, f"unknown key; known are {', '.join(known)}")

    def take(self, key: str, read: Read[T]) -> T | None:
        """What the key means, or None where it is not given."""
        if key not in self._content:
            return None
        try:
            return read(self._content[key])
        except ValueError as error:
            raise self.fault(key, str(error)) from None

    def need(self, key: str, read: Read[T]) -> T:
        """What the key means."""
        value = self.take(key, read)
        if value is None:
            raise self.fault(key, "is missing")
        return value

    def tables(self, name: str, *, known: tuple[str, ...]) -> list[_Table]:
        """The tables under a name, counted from 1 in faults."""
        content = self._content.get(name, [])
        if not isinstance(content, list) or not all(isinstance(each, dict) for each in content):
            raise self.fault(name, f"must be written as [[{name}]]")
        return [_Table(f"{name} {n}", each, known=known) for n, each in enumerate(content, start=1)]

    def fault(self, key: str, what: str) -> ScenarioError:
        """What is wrong with a key, in words."""
        return ScenarioError(self._where, key, what)


def _number(low: float, high: float) -> Read[float]:
    def read(value: Any) -> float:
        # A bool is an int to Python, and nan compares false.
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return float(value)

    return read


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("must be a whole number, 0 or more")
    return value


def _truth(value: Any) -> bool:
    if value is not True and value is not False:
        raise ValueError("must be true or false")
    return value is True


def _rhythm(value: Any) -> str:
    if value == LEAD_OFF:
        raise ValueError(f"is an artefact here: kind {Artefact.LEAD_OFF_RAIL} or {Artefact.LEAD_OFF_FLAT}")
    return _one_of(value, [name for name in RHYTHMS if name != LEAD_OFF])


def _heart_rate(rhythm: str) -> Read[float]:
    def read(value: Any) -> float:
        kind = RHYTHMS[rhythm]
        if kind.heart_rate is None:
            raise ValueError(f"{rhythm} has no heart rate")
        return _number(*kind.heart_rates)(value)

    return read


def _kind(value: Any) -> Artefact:
    return Artefact(_one_of(value, list(Artefact)))


def _lead(value: Any) -> str:
    if value in tuple(LIMB):
        raise ValueError(f"{value} is computed from I and II: name one of these")
    return _one_of(value, list(DOWER))


def _level(kind: Artefact) -> Read[float]:
    def read(value: Any) -> float:
        if kind not in LEVELS_MV:
            raise ValueError(f"{kind} has none")
        if kind is not Artefact.STEP:
            return _number(MIN_LEVEL_MV, MAX_LEVEL_MV)(value)
        level_mv = _number(-MAX_LEVEL_MV, MAX_LEVEL_MV)(value)
        if abs(level_mv) < MIN_LEVEL_MV:
            raise ValueError(f"must be at least {MIN_LEVEL_MV:g}, up or down")
        return level_mv

    return read


def _one_of(value: Any, known: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"must be one of {', '.join(known)}")
    return value
