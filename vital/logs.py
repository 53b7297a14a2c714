"""How a log line is written, for people or for programs, and what none may hold."""

from __future__ import annotations

import json
import logging
import re
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streaming import log_context

_TOKEN = re.compile(r"\b(vt[da]_[a-z2-7]{8})_[A-Za-z0-9_-]+")
_DETAIL = re.compile(r"\bDETAIL:  .*")
"""What PostgreSQL adds to a refusal: the row, with the names in it."""
_ROOT = str(Path(__file__).resolve().parent.parent)
_MOST_FRAMES = 60
"""Of one exception, the innermost: what recurses without end must not make a line of a megabyte."""


class LineFormatter(logging.Formatter):
    """For people: one line, then the traceback if there is one.

    Leaves of a token its prefix, and nothing of a row that a database quotes. Nothing here logs these on
    purpose; this is for the words in somebody's traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The formatted record, with what is secret replaced."""
        return _expurgated(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's own name
        """The line itself, and behind it what it is about."""
        line = super().formatMessage(record)
        work = log_context.current()
        return line if work is None else f"{line} [{work.kind} {work.id}]"


class JsonFormatter(logging.Formatter):
    """For programs: each record is one line, an object of JSON, whatever is in it.

    Of an exception it has the types and the places, never the words: those of a database or a parser quote
    what they were given, which may be a name.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as an object."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _expurgated(record.getMessage()),
            "pid": record.process,
        }
        work = log_context.current()
        if work is not None:
            entry[work.kind.value] = work.id
        if record.exc_info and record.exc_info[1] is not None:
            entry["exceptions"] = [_described(fault) for fault in _chain(record.exc_info[1])]
        return json.dumps(entry)


def _chain(fault: BaseException) -> list[BaseException]:
    """An exception, what it was raised from or while handling, and so on; each once."""
    chain = [fault]
    while True:
        last = chain[-1]
        before = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
        if before is None or before in chain:
            return chain
        chain.append(before)


def _described(fault: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(fault.__traceback__)[-_MOST_FRAMES:]
    return {
        "type": f"{type(fault).__module__}.{type(fault).__qualname__}",
        "at": [f"{_relative(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _relative(filename: str) -> str:
    return filename.removeprefix(f"{_ROOT}/")


def _expurgated(text: str) -> str:
    return _DETAIL.sub("DETAIL: ***", _TOKEN.sub(r"\1_***", text))


class NoProbe(logging.Filter):
    """Lets all of `django.request` through but the answers to `/readyz`.

    Each 503 of that would be an error, every few seconds of an outage; the view says when it begins and ends.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is of anything else."""
        return getattr(getattr(record, "request", None), "path", None) != "/readyz"
