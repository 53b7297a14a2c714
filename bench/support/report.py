"""How a benchmark tells its figures: a table for people, one JSON object a line for programs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; `ok` is None where there is no bound, `against` says what it was compared with."""

    name: str
    value: float
    unit: str
    bound: str = ""
    ok: bool | None = None
    against: str = ""


def at_least(name: str, value: float, bound: float, unit: str, *, against: str) -> Figure:
    """A figure that must reach `bound`."""
    return Figure(name, value, unit, f">= {bound:g}", value >= bound, against)


def at_most(name: str, value: float, bound: float, unit: str, *, against: str) -> Figure:
    """A figure that must not exceed `bound`."""
    return Figure(name, value, unit, f"<= {bound:g}", value <= bound, against)


def parser(description: str) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--json", action="store_true", help="one JSON object a line")
    return options


def report(figures: Sequence[Figure], *, as_json: bool) -> int:
    """Print the figures; the exit status is 1 when one misses its bound."""
    for figure in figures:
        if as_json:
            print(json.dumps(asdict(figure) | {"value": round(figure.value, 4)}))
        else:
            verdict = {None: "", True: "ok", False: "MISSED"}[figure.ok]
            print(
                f"{figure.name:<58}{figure.value:>10.4g} {figure.unit:<10}{figure.bound:<10}{verdict:<8}"
                f"{figure.against}"
            )
    sys.stdout.flush()
    return int(any(figure.ok is False for figure in figures))
