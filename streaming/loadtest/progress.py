"""How far a load test is: one line that changes on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from streaming.loadtest.tally import Tally

WIDTH = 24
PLAIN_EVERY_S = 10.0


class Progress:
    """Writes to `out`; `update` as often as you like."""

    def __init__(self, out: TextIO, seconds: float, viewers: int) -> None:
        self._out = out
        self._seconds = seconds
        self._viewers = viewers
        self._told_at = -PLAIN_EVERY_S
        self._frames = 0
        self._then = 0.0

    def connecting(self, elapsed_s: float, connected: int) -> None:
        """How many viewers have had a frame."""
        self._tell(elapsed_s, lambda: f"connecting: {connected} of {self._viewers} viewers")

    def update(self, elapsed_s: float, tally: Tally) -> None:
        """What was counted so far."""
        self._tell(elapsed_s, lambda: self.line(elapsed_s, tally))

    def line(self, elapsed_s: float, tally: Tally) -> str:
        """The state in one line; frames a second are those since the line before."""
        done = min(1.0, elapsed_s / self._seconds)
        bar = "#" * round(WIDTH * done)
        frames = sum(tally.renditions.values())
        rate = (frames - self._frames) / max(elapsed_s - self._then, 1e-9)
        self._frames, self._then = frames, elapsed_s
        p99 = tally.newest.percentile_s(0.99)
        age = "no frames yet" if p99 is None else f"p99 age {1000 * p99:.0f} ms"
        return (
            f"[{bar:<{WIDTH}}] {elapsed_s:.0f} of {self._seconds:.0f} s, "
            f"{tally.connected} of {self._viewers} viewers, {rate:,.0f} frames/s, {age}, "
            f"{tally.lost_samples} lost"
        )

    def clear(self) -> None:
        """Make room for what is written next; a new row of lines begins."""
        self._told_at = -PLAIN_EVERY_S
        self._out.write(self._clear())
        self._out.flush()

    def _tell(self, elapsed_s: float, text: Callable[[], str]) -> None:
        if not self._out.isatty() and elapsed_s - self._told_at < PLAIN_EVERY_S:
            return
        self._told_at = elapsed_s
        self._out.write(f"{self._clear()}{text()}{'' if self._out.isatty() else chr(10)}")
        self._out.flush()

    def _clear(self) -> str:
        return "\r\x1b[K" if self._out.isatty() else ""
