"""What no log line may hold: the secret part of a token, and what is said better elsewhere."""

from __future__ import annotations

import logging
import re

_TOKEN = re.compile(r"\b(vt[da]_[a-z2-7]{8})_[A-Za-z0-9_-]+")


class TokenFreeFormatter(logging.Formatter):
    """Leaves of a token its prefix, in messages and in tracebacks.

    Nothing here logs tokens on purpose; this is for the repr in somebody's traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The formatted record, with each token's secret part replaced."""
        return _TOKEN.sub(r"\1_***", super().format(record))


class NoProbe(logging.Filter):
    """Lets all of `django.request` through but the answers to `/readyz`.

    Each 503 of that would be an error, every few seconds of an outage; the view says when it begins and ends.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is of anything else."""
        return getattr(getattr(record, "request", None), "path", None) != "/readyz"
