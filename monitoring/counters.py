"""Counters that only grow, and begin anew at zero when their process does."""

from __future__ import annotations


def growth(was: float, value: float) -> float:
    """By how much one grew between two readings; where it is less than before, it began anew at zero."""
    return value - was if value >= was else value
