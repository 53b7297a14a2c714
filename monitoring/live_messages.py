"""The messages of vital.live.v1, by which the admin's live page asks and is told.

A parser takes one text message and returns a frozen value, or None for a type that this version does not
know. It raises ProtocolError with a reason that names the field and never repeats its value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from monitoring.alert_metrics import spoken_of
from monitoring.alert_store import OpenNow
from streaming.core.fields import Fields
from streaming.core.messages import STREAM_ID
from streaming.core.strict_json import MAX_SAFE_INTEGER, parse_json, to_json
from streaming.store.processes import Process

SUBPROTOCOL = "vital.live.v1"
CONNECTION_ID = re.compile(r"[0-9a-f]{8}")
MOST_NAMES = 200
"""Users, and streams, that may be asked for at once."""
MAX_REASON = 80
MOST_ALERTS = 20


class CutOutcome(StrEnum):
    """What became of an operator's wish to cut a viewer."""

    DONE = "done"
    UNANSWERED = "unanswered"
    """No process has the connection, or the one that has it does not answer."""
    UNRECORDED = "unrecorded"
    """The audit trail could not be written: nobody is cut without an entry."""
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message; who it is says the session's cookie."""


@dataclass(frozen=True, slots=True)
class Ack:
    """All messages up to number `n` since `welcome` have been taken."""

    n: int


@dataclass(frozen=True, slots=True)
class Inspect:
    """Tell of this viewer from now on, wherever it is connected; None: of no one."""

    connection: str | None


@dataclass(frozen=True, slots=True)
class Cut:
    """End the connection of this viewer."""

    connection: str
    reason: str


@dataclass(frozen=True, slots=True)
class Names:
    """Who these users are, and whose these streams."""

    users: tuple[int, ...]
    streams: tuple[str, ...]


LiveMessage = Hello | Ack | Inspect | Cut | Names


def parse(text: str) -> LiveMessage | None:
    """What a live page says in one text message."""
    fields = Fields(parse_json(text))
    reader = _READERS.get(fields.text("type", longest=32))
    return None if reader is None else reader(fields)


def welcome(*, process: str, server_ms: float, may_cut: bool, may_name: bool, may_see_alerts: bool) -> str:
    """The answer to the hello: which process this is, and what the user may do."""
    return _message(
        "welcome",
        protocol=SUBPROTOCOL,
        process=process,
        server_ms=server_ms,
        may_cut=may_cut,
        may_name=may_name,
        may_see_alerts=may_see_alerts,
    )


def processes(known: Iterable[Process], version: int) -> str:
    """What the table of processes says, and which version of the settings is the newest."""
    told = [
        {
            "process": each.name,
            "host": each.host,
            "pid": each.pid,
            "version": each.version,
            "refusal": each.refusal and each.refusal.reason,
            "silent_s": round(each.silent_s, 1),
            "is_gone": each.is_gone,
        }
        for each in known
    ]
    return _message("processes", processes=told, version=version)


def alerts(found: OpenNow, now: datetime) -> str:
    """The gravest open alerts of all processes, and how many there are in all."""
    told = [
        {
            "alert": each.uid,
            "severity": each.severity,
            "rule": each.name,
            "condition": each.condition,
            "group": each.group,
            "process": each.process,
            "value_text": spoken_of(each.metric, each.value),
            "open_s": max(0, round((now - each.opened_at).total_seconds())),
        }
        for each in found.gravest
    ]
    return _message("alerts", alerts=told, count=found.count)


def viewer_is_gone(connection: str) -> str:
    """No process tells of the inspected viewer any more, or none ever did."""
    return _message("gone", connection=connection)


def cut(connection: str, outcome: CutOutcome) -> str:
    """What became of a cut."""
    return _message("cut", connection=connection, outcome=outcome.value)


def names(users: Mapping[int, str], streams: Mapping[str, str]) -> str:
    """Names of those asked for that the user may know."""
    return _message("names", users={str(user): name for user, name in users.items()}, streams=dict(streams))


def rights(*, may_cut: bool, may_name: bool, may_see_alerts: bool) -> str:
    """What the user may do has changed."""
    return _message("rights", may_cut=may_cut, may_name=may_name, may_see_alerts=may_see_alerts)


def _message(message_type: str, **values: Any) -> str:
    return to_json({"type": message_type, **values})


def _hello(fields: Fields) -> Hello:
    if fields.text("protocol", longest=32) != SUBPROTOCOL:
        raise fields.refusal("protocol", f"is not {SUBPROTOCOL}")
    return Hello()


def _ack(fields: Fields) -> Ack:
    return Ack(fields.integer("n", 0, MAX_SAFE_INTEGER))


def _inspect(fields: Fields) -> Inspect:
    return Inspect(fields.optional_text("connection", longest=8, pattern=CONNECTION_ID))


def _cut(fields: Fields) -> Cut:
    reason = "" if fields.is_empty("reason") else fields.optional_text("reason", longest=MAX_REASON) or ""
    return Cut(fields.text("connection", longest=8, pattern=CONNECTION_ID), reason)


def _names(fields: Fields) -> Names:
    users = fields.texts("users", most=MOST_NAMES, longest=15, pattern=_NUMBER)
    return Names(
        tuple(map(int, users)), fields.texts("streams", most=MOST_NAMES, longest=64, pattern=STREAM_ID)
    )


_NUMBER = re.compile(r"[1-9][0-9]*")
_READERS: dict[str, Callable[[Fields], LiveMessage]] = {
    "hello": _hello,
    "ack": _ack,
    "inspect": _inspect,
    "cut": _cut,
    "names": _names,
}
