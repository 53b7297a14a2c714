"""What is typed to run a program of this checkout with the Python that runs now."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from django.conf import settings

SERVE = ("-m", "daphne", "vital.asgi:application")
SERVED_AT = "ws://127.0.0.1:8000"
"""Where that listens."""


def here(*arguments: str) -> str:
    """Python with these arguments, as it is typed in the present directory."""
    root = Path(settings.BASE_DIR)
    line = shlex.join([_inside(root) or sys.executable, *arguments])
    return line if Path.cwd() == root else f"cd {shlex.quote(str(root))} && {line}"


def in_project(*arguments: str) -> str:
    """The same in the project's directory, for those who need not know where that is."""
    return shlex.join([_inside(Path(settings.BASE_DIR)) or "python", *arguments])


def _inside(root: Path) -> str | None:
    """The running Python's path below `root`; None when it lies elsewhere."""
    python = Path(sys.executable)
    return str(python.relative_to(root)) if python.is_relative_to(root) else None
