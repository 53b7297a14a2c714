"""The true sampling rate of a stream, from when its samples arrive."""

from __future__ import annotations

from collections import deque

WINDOW_S = 120.0
"""With 20 ms of jitter the error is under 0.005 %; a crystal is off by up to 0.01 %, some devices by 0.05."""
SEGMENT_S = 10.0
SILENCE_S = 5.0
"""After a longer silence the device may have paused: the window starts anew."""

Point = tuple[int, float]


class RateEstimator:
    """Samples per second over the last two minutes, whatever the delays on the way.

    A chunk may come late, never early: seen as points (sample index, arrival time), the device's clock is the
    line under them all. Of the lines that stay under every point, the best is the edge of the lower convex
    hull across the middle of the window (Moon, Skelly and Towsley, Estimation and removal of clock skew from
    network delay measurements, INFOCOM 1999). Jitter and bursts lie above it and do not count.

    The window is kept as hulls of ten seconds, of which the oldest leaves as a whole.
    """

    __slots__ = ("_hulls", "_last")

    def __init__(self) -> None:
        self._hulls: deque[list[Point]] = deque()
        self._last: Point | None = None

    def arrived(self, stop: int, now: float) -> None:
        """Samples up to but not including index `stop` are there at `now`; late ones do not count."""
        if self._last is not None:
            if stop <= self._last[0] or now < self._last[1]:
                return
            if now - self._last[1] > SILENCE_S:
                self._hulls.clear()
        self._last = (stop, now)
        if not self._hulls or now - self._hulls[-1][0][1] >= SEGMENT_S:
            self._hulls.append([])
        _extend(self._hulls[-1], (stop, now))
        while now - self._hulls[0][0][1] > WINDOW_S + SEGMENT_S:
            self._hulls.popleft()

    def rate_hz(self) -> float | None:
        """The rate, or None until ten seconds of arrivals span it."""
        hull: list[Point] = []
        for segment in self._hulls:
            for point in segment:
                _extend(hull, point)
        if len(hull) < 2 or hull[-1][1] - hull[0][1] < SEGMENT_S:
            return None
        middle = (hull[0][0] + hull[-1][0]) / 2
        right = next(i for i, point in enumerate(hull) if point[0] >= middle)
        (first, began), (stop, ended) = hull[right - 1], hull[right]
        return (stop - first) / (ended - began) if ended > began else None


def _extend(hull: list[Point], point: Point) -> None:
    """Add a point to the right of a lower convex hull (Andrew's monotone chain)."""
    x, y = point
    while len(hull) >= 2:
        (x1, y1), (x2, y2) = hull[-2], hull[-1]
        if (x2 - x1) * (y - y1) > (y2 - y1) * (x - x1):
            break
        hull.pop()
    hull.append(point)
