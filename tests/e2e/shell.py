"""A process beside the server, with its database: what is changed there, the server has to find out."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from tests.servers import ROOT, Server

_LOOP = """
import json, sys, time, traceback
import django
django.setup()
from tests.e2e import beside
for line in sys.stdin:
    name, args, values = json.loads(line)
    try:
        result, error = getattr(beside, name)(*args, **values), None
    except Exception:
        result, error = None, traceback.format_exc()
    print(json.dumps([result, time.monotonic(), error]), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Done:
    """What a call returned, and when it had committed, on the machine's monotonic clock."""

    result: Any
    at: float


class Shell:
    """Calls functions of `tests.e2e.beside` in one process of its own, started once for many calls."""

    def __init__(self, server: Server) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LOOP],
            cwd=ROOT,
            env=server.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def run(self, name: str, *args: Any, **values: Any) -> Any:
        """Call `beside.<name>` there; what it returned. AssertionError with its traceback when it failed."""
        return self._call(name, args, values).result

    async def do(self, name: str, *args: Any, **values: Any) -> Done:
        """As `run`, while this process goes on; also tells when it was done."""
        return await asyncio.to_thread(self._call, name, args, values)

    def _call(self, name: str, args: tuple[Any, ...], values: dict[str, Any]) -> Done:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        print(json.dumps([name, args, values]), file=stdin, flush=True)
        line = stdout.readline()
        assert line, "the shell has ended"
        result, at, error = json.loads(line)
        assert error is None, error
        return Done(result, at)
