"""What no log line may hold: the secret part of a token."""

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
