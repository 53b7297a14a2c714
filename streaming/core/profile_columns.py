"""A profile as flat columns: their names, what is wrong with a value, and the frozen profile they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Any

from streaming.core.priority import MessagePriority
from streaming.core.profiles import (
    KIB,
    BackpressureProfile,
    ClassBounds,
    CompressionProfile,
    ConnectionProfile,
    GroupProfile,
)
from streaming.core.renditions import LADDER, Rendition
from streaming.exceptions import ProfileError

NEVER_EXPIRES = 0.0
"""In a column of ages; an empty one inherits."""


def name_of(rendition: Rendition) -> str:
    """What a column calls a rendition: its quality, and the seconds in a frame."""
    return f"{rendition.quality}-{rendition.frame_s:g}"


_CLASSES = {priority: priority.name.lower() for priority in MessagePriority}
QUOTAS = tuple(f"quota_{name}" for name in _CLASSES.values())
BYTES = tuple(f"bytes_{name}" for name in _CLASSES.values())
AGES = tuple(f"age_{name}" for name in _CLASSES.values() if name != "critical")
LEVELS = ("min_level", "compression_level", "max_level")
RENDITIONS: Mapping[str, Rendition] = {name_of(rendition): rendition for rendition in LADDER}
"""By what a column calls them."""
WATERMARKS = ("low_watermark", "high_watermark", "critical_watermark")
COMPRESSION: Mapping[str, str] = {
    "window_bits": "window_bits",
    "mem_level": "mem_level",
    "compression_level": "level",
    "compression_threshold": "threshold_bytes",
    "adaptive": "adaptive",
    "min_level": "min_level",
    "max_level": "max_level",
    "hysteresis": "hysteresis",
    "explore_share": "explore_share",
    "cpu_weight": "cpu_weight",
}
"""The columns of compression, and what the frozen profile calls them."""
_OF: Mapping[tuple[str, ...], Callable[..., object]] = {
    WATERMARKS: BackpressureProfile,
    QUOTAS: BackpressureProfile,
    LEVELS: CompressionProfile,
}
"""Columns that are right or wrong together, and the frozen value that says so."""
BUFFER = ("max_buffer_size", "max_retries", "emergency_mode")
CONNECTION = ("max_window_bytes", "max_total_bytes", "stall_s")
"""Of a viewer's connection, whatever groups it follows: the default's hold, an override has none."""
SETTINGS = (*COMPRESSION, "best_rendition", *BUFFER, *WATERMARKS, *QUOTAS, *BYTES, *AGES, *CONNECTION)
"""Every column that is a setting; what an override leaves out, it inherits."""


def profile_of(values: Mapping[str, Any]) -> GroupProfile:
    """The frozen profile of a value for every setting; raises ProfileError."""
    if missing := [name for name in SETTINGS if values.get(name) is None]:
        raise ProfileError(f"no value for {', '.join(missing)}")
    return GroupProfile(
        CompressionProfile(**{attribute: values[name] for name, attribute in COMPRESSION.items()}),
        BackpressureProfile(
            **{name: values[name] for name in (*BUFFER, *WATERMARKS)},
            quotas={priority: values[f"quota_{name}"] for priority, name in _CLASSES.items()},
            bounds={
                priority: ClassBounds(values[f"bytes_{name}"], values.get(f"age_{name}") or None)
                for priority, name in _CLASSES.items()
            },
        ),
        ConnectionProfile(**{name: values[name] for name in CONNECTION}),
        RENDITIONS[values["best_rendition"]],
    )


def columns_of(profile: GroupProfile) -> dict[str, Any]:
    """The inverse of `profile_of`."""
    compression, backpressure = profile.compression, profile.backpressure
    columns: dict[str, Any] = {name: getattr(compression, of) for name, of in COMPRESSION.items()}
    columns |= {name: getattr(backpressure, name) for name in (*BUFFER, *WATERMARKS)}
    columns |= {name: getattr(profile.connection, name) for name in CONNECTION}
    columns["best_rendition"] = name_of(profile.best_rendition)
    for priority, name in _CLASSES.items():
        columns[f"quota_{name}"] = backpressure.quotas[priority]
        columns[f"bytes_{name}"] = backpressure.bounds[priority].max_bytes
        columns[f"age_{name}"] = backpressure.bounds[priority].max_age_s or NEVER_EXPIRES
    return {name: columns[name] for name in SETTINGS}


TYPES: Mapping[str, type] = {name: type(value) for name, value in columns_of(GroupProfile()).items()}


def fault_of(name: str, value: Any) -> str | None:
    """What is wrong with one setting's value, whatever the others are."""
    if TYPES[name] is bool:
        return None if isinstance(value, bool) else "must be true or false."
    if name == "best_rendition":
        return None if value in RENDITIONS else f"must be one of {', '.join(RENDITIONS)}."
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "not a number."
    if name in LEVELS:
        return _fault(CompressionProfile, {COMPRESSION[level]: value for level in LEVELS})
    if name in COMPRESSION:
        return _fault(CompressionProfile, {COMPRESSION[name]: value})
    if name in BUFFER:
        return _fault(BackpressureProfile, {name: value})
    if name in CONNECTION:
        return _fault(ConnectionProfile, {name: value})
    if name in BYTES:
        return _fault(ClassBounds, {"max_bytes": value})
    if name in AGES and not (value == NEVER_EXPIRES and may_never_expire(name)):
        return _fault(ClassBounds, {"max_bytes": KIB, "max_age_s": value})
    if name in QUOTAS and not 0 < value < 1:
        return "every priority needs a quota between 0 and 1."
    return None


def faults_together(values: Mapping[str, Any], wrong: Set[str] = frozenset()) -> dict[tuple[str, ...], str]:
    """What is wrong with values that are right or wrong together, by the columns that it concerns.

    There is a value for every setting; those that are `wrong` by themselves are judged with no others.
    """
    quotas = {priority: values[f"quota_{name}"] for priority, name in _CLASSES.items()}
    judged = {
        WATERMARKS: {name: values[name] for name in WATERMARKS},
        QUOTAS: {"quotas": quotas},
        LEVELS: {COMPRESSION[name]: values[name] for name in LEVELS},
    }
    return {
        columns: fault
        for columns, named in judged.items()
        if not wrong & {*columns} and (fault := _fault(_OF[columns], named)) is not None
    }


def may_never_expire(age: str) -> bool:
    """Stale ECG is worth less than none: a trace that lags without end would look alive."""
    return age != "age_high"


def _fault(value: Callable[..., object], settings_of_it: Mapping[str, Any]) -> str | None:
    """What the frozen value says against these settings, all others being as shipped."""
    try:
        value(**settings_of_it)
    except ProfileError as error:
        return f"{error}."
    return None
