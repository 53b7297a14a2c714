"""Profiles as a TOML file: a table `[default]`, and `[overrides."<name>"]` for each row beside it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from streaming.core.precedence import DEFAULT_NAME, Fault, Row, Rows, is_name
from streaming.core.profile_columns import SETTINGS, TYPES, fault_of
from streaming.exceptions import ProfileError

_DEFAULT, _OVERRIDES = "default", "overrides"
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


class ProfileFileError(ProfileError):
    """What is wrong with a file, fault by fault: line, table and setting."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """The rows that a file names, each with the values that it names, and the lines where they stand."""

    rows: Rows
    lines: Mapping[tuple[str, ...], int]

    def tell(self, fault: Fault) -> str:
        """A fault of the rows as they would be with the file, by the place in the file that it concerns."""
        row = next((name for name in fault.chain if name in self.rows), None)
        if row is None:
            return str(fault)
        column = next((name for name in fault.columns if name in self.rows[row]), None)
        return f"{_place(self.lines, _path_of(row), column)}: {fault}"


def read(text: str) -> ProfileFile:
    """Read a file; each value is one that its setting may have, if not with all others.

    Raises ProfileFileError with all that is wrong, and takes nothing of such a file.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileFileError([f"no TOML: {error}"]) from error
    lines = _lines(text)
    rows: dict[str, Row] = {}
    faults: list[str] = []
    for path, table in _tables(tables):
        row, found = _row(path, table, lines)
        faults += found
        rows[path[-1] if path[0] == _OVERRIDES else DEFAULT_NAME] = row
    if faults:
        raise ProfileFileError(faults)
    return ProfileFile(rows, lines)


def write(rows: Rows, title: str) -> str:
    """The file of these rows; what is read from it is the same, to the last bit."""
    names = sorted(rows, key=lambda name: (name != DEFAULT_NAME, name))
    return "\n".join([f"# {title}", *(line for name in names for line in _table(name, rows[name])), ""])


def _table(name: str, row: Row) -> Iterator[str]:
    yield ""
    yield _header(_path_of(name))
    for setting in SETTINGS:
        if (value := row.get(setting)) is not None:
            yield f"{setting} = {_written(value)}"


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    # TOML writes numbers as Python does; a float keeps its point or exponent. No name needs an escape.
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _tables(tables: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, table in tables.items():
        if name == _OVERRIDES and isinstance(table, dict):
            yield from (((_OVERRIDES, of), row) for of, row in table.items())
        else:
            yield (name,), table


def _row(path: tuple[str, ...], table: Any, lines: Mapping[tuple[str, ...], int]) -> tuple[Row, list[str]]:
    """The values of one table, and what is wrong with it."""
    if path[0] not in (_DEFAULT, _OVERRIDES):
        return {}, [f'{_place(lines, path)}: there are [default] and [overrides."<name>"], and nothing else']
    if not isinstance(table, dict):
        return {}, [f"{_place(lines, path)}: this has to be a table of settings"]
    if path[0] == _OVERRIDES and (path[-1] == DEFAULT_NAME or not is_name(path[-1])):
        return {}, [f"{_place(lines, path)}: no group, ward or pattern can have this name"]
    row: dict[str, Any] = {}
    faults = []
    for setting, value in table.items():
        if fault := _fault(setting, value):
            faults.append(f"{_place(lines, path, setting)}: {fault}")
        else:
            row[setting] = float(value) if TYPES[setting] is float else value
    return row, faults


def _fault(setting: str, value: Any) -> str | None:
    if setting not in SETTINGS:
        near = get_close_matches(setting, SETTINGS, n=1)
        return "there is no such setting" + (f"; did you mean {near[0]}?" if near else "")
    wanted = TYPES[setting]
    is_right = type(value) is wanted or (wanted is float and type(value) is int)
    if not is_right:
        return f"this has to be {_KINDS[wanted]}, not {value!r}"
    fault = fault_of(setting, value)
    return fault and fault.removesuffix(".")


def _path_of(name: str) -> tuple[str, ...]:
    return (_DEFAULT,) if name == DEFAULT_NAME else (_OVERRIDES, name)


def _header(path: tuple[str, ...]) -> str:
    first, *rest = path
    return "[" + ".".join([first, *(f'"{name}"' for name in rest)]) + "]"


def _place(lines: Mapping[tuple[str, ...], int], path: tuple[str, ...], setting: str | None = None) -> str:
    """Line, table and setting; the line of what is nearest to it where it stands on none of its own."""
    whole = path if setting is None else (*path, setting)
    ends = range(len(whole), 0, -1)
    line = next((lines[whole[:end]] for end in ends if whole[:end] in lines), None)
    said = [f"line {line}"] if line else []
    return ", ".join([*said, _header(path), *([setting] if setting else [])])


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """Where each table and each setting stands; `tomllib` does not tell."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("["):
            table = _keys(line)
            found.setdefault(table, number)
        elif "=" in line:
            found.setdefault((*table, *_keys(line.partition("=")[0] + "= 0")), number)
    return found


def _keys(line: str) -> tuple[str, ...]:
    """The keys of a line as TOML reads it by itself; none where that makes no sense."""
    try:
        value: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ()
    keys = []
    while isinstance(value, dict) and value:
        key, value = next(iter(value.items()))
        keys.append(key)
    return tuple(keys)
