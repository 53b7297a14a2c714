"""Which rows govern a group, and whose value wins: its own, its ward's, a pattern's, then the default's.

A row is named by what it governs: `ecg.<stream>` or `control` is one group, `ward:<slug>` the streams of a
ward, `ecg.*` all groups that begin so, and `*` everything. Each setting is looked up by itself: the first
row of the chain that has a value for it wins. Of two patterns, the longer one comes first.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from streaming.core.profile_columns import CONNECTION, SETTINGS, fault_of, faults_together, profile_of
from streaming.core.profiles import GroupProfile, ProfileSet
from streaming.core.streams import group_of
from streaming.exceptions import ProfileError

Row = Mapping[str, Any]
"""A row's own values; what it inherits is not in it."""
Rows = Mapping[str, Row]
"""By name."""

DEFAULT_NAME = "*"
"""The default row's name: no channel layer accepts it, so no group can ever have it."""
WARD_MARK = "ward:"
NAME = r"^(\*|[A-Za-z0-9_.-]+\*?|ward:[A-Za-z0-9_-]+)\Z"
_ANY_STREAM = group_of("")


class Kind(IntEnum):
    """What a row governs; the smaller one wins."""

    GROUP = 0
    WARD = 1
    PATTERN = 2
    DEFAULT = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the values that meet in a chain; they are wrong for its first row."""

    chain: tuple[str, ...]
    columns: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        row, *others = (_spoken(name) for name in self.chain)
        where = f", {self.columns[0]}" if len(self.columns) == 1 else ""
        with_whom = f" (with what it inherits from {', '.join(others)})" if others else ""
        return f"{row}{where}: {self.text.removesuffix('.')}{with_whom}"


def kind_of(name: str) -> Kind:
    """What a row of this name governs."""
    if name == DEFAULT_NAME:
        return Kind.DEFAULT
    if name.startswith(WARD_MARK):
        return Kind.WARD
    return Kind.PATTERN if name.endswith("*") else Kind.GROUP


def is_name(name: str) -> bool:
    """Whether a row may have this name."""
    return re.match(NAME, name) is not None


def wards_of(names: Collection[str]) -> frozenset[str]:
    """The slugs of the wards that have a row."""
    return frozenset(name.removeprefix(WARD_MARK) for name in names if kind_of(name) is Kind.WARD)


def chain_for(names: Collection[str], group: str, ward: str | None) -> tuple[str, ...]:
    """The rows that govern `group`, a stream of `ward` or of none that has a row; the first one wins."""
    own = [group] if group in names and kind_of(group) is Kind.GROUP else []
    of_ward = [f"{WARD_MARK}{ward}"] if f"{WARD_MARK}{ward}" in names else []
    return (*own, *of_ward, *_patterns(names, group), DEFAULT_NAME)


def chain_of(names: Collection[str], name: str, places: Mapping[str, str]) -> tuple[str, ...]:
    """The row `name`, and those that it inherits from."""
    match kind_of(name):
        case Kind.DEFAULT:
            return (name,)
        case Kind.PATTERN:
            return (*_patterns(names, name.removesuffix("*")), DEFAULT_NAME)
        case Kind.WARD:
            return (name, *_patterns(names, _ANY_STREAM), DEFAULT_NAME)
        case _:
            return chain_for(names, name, places.get(name))


def effective(rows: Rows, chain: Collection[str]) -> dict[str, tuple[Any, str]]:
    """Each setting's value, and the row that it comes from; (None, default) where nobody has one."""
    found: dict[str, tuple[Any, str]] = {}
    for setting in SETTINGS:
        owner = next((name for name in chain if rows[name].get(setting) is not None), DEFAULT_NAME)
        found[setting] = rows[owner].get(setting), owner
    return found


def faults(rows: Rows, places: Mapping[str, str]) -> list[Fault]:
    """All that is wrong with these rows, alone and wherever they can meet; the default is among them."""
    alone = {name: _faults_alone(name, row) for name, row in rows.items()}
    found = [fault for each in alone.values() for fault in each]
    for chain in _chains(rows, places):
        wrong = {column for name in chain for fault in alone[name] for column in fault.columns}
        together = faults_together(
            {name: value for name, (value, _) in effective(rows, chain).items()}, wrong
        )
        found += [Fault(chain, columns, text) for columns, text in together.items()]
    return found


def resolve(rows: Rows, places: Mapping[str, str], version: int) -> ProfileSet:
    """The profiles of all groups, as one frozen value; raises ProfileError, naming the row at fault.

    `places` is the ward of each group that lies in one which has a row.
    """
    if wrong := faults(rows, places):
        raise ProfileError("; ".join(f"profile {fault}" for fault in wrong))
    default = profile_of(rows[DEFAULT_NAME])
    overrides: dict[str, GroupProfile] = {}
    shared: dict[tuple[str | None, str], GroupProfile] = {}
    for chain in _chains(rows, places):
        profile = default
        if len(chain) > 1:
            profile = profile_of({name: value for name, (value, _) in effective(rows, chain).items()})
        match kind_of(chain[0]):
            case Kind.GROUP:
                overrides[chain[0]] = profile
            case Kind.WARD:
                pattern = chain[1].removesuffix("*")
                shared[chain[0].removeprefix(WARD_MARK), pattern] = profile
            case _:
                shared[None, chain[0].removesuffix("*")] = profile
    prefixes = (name.removesuffix("*") for name in rows if kind_of(name) is Kind.PATTERN)
    return ProfileSet(
        version,
        default,
        overrides,
        shared=shared,
        prefixes=tuple(sorted(prefixes, key=len, reverse=True)),
        wards=wards_of(rows),
        places=dict(places),
    )


def _patterns(names: Collection[str], group: str) -> list[str]:
    """Those that govern the group, the longest first."""
    matching = (
        name for name in names if kind_of(name) is Kind.PATTERN and group.startswith(name.removesuffix("*"))
    )
    return sorted(matching, key=len, reverse=True)


def _chains(rows: Rows, places: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Every chain by which some group may be governed, also one that comes later."""
    by_kind = {kind: [name for name in rows if kind_of(name) is kind] for kind in Kind}
    for name in (*by_kind[Kind.DEFAULT], *by_kind[Kind.PATTERN], *by_kind[Kind.GROUP]):
        yield chain_of(rows, name, places)
    for ward in by_kind[Kind.WARD]:
        yield chain_of(rows, ward, places)
        for pattern in by_kind[Kind.PATTERN]:
            if len(pattern) - 1 > len(_ANY_STREAM) and pattern.startswith(_ANY_STREAM):
                yield (ward, *chain_of(rows, pattern, places))


def _faults_alone(name: str, row: Row) -> list[Fault]:
    found = {
        setting: fault for setting, value in row.items() if (fault := fault_of(setting, value)) is not None
    }
    if name == DEFAULT_NAME:
        found |= {setting: "The default profile needs a value." for setting in SETTINGS if setting not in row}
    else:
        found |= {setting: "Set in the default profile alone." for setting in CONNECTION if setting in row}
    return [Fault((name,), (setting,), fault) for setting, fault in found.items()]


def _spoken(name: str) -> str:
    return "default" if name == DEFAULT_NAME else name
