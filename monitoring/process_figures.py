"""What alert rules watch of the whole process, read from it at each tick."""

from __future__ import annotations

from dataclasses import asdict

from monitoring.alert_metrics import ProcessFigures
from streaming.runtime import Runtime


def read_process(runtime: Runtime, lost_snapshots: int) -> ProcessFigures:
    """The present figures. Never waits; one pass over the groups' counters and one over the streams."""
    hub, totals = runtime.hub, runtime.hub.totals()
    return ProcessFigures(
        **asdict(runtime.usage()),
        offered_messages=totals.offered,
        dropped_messages=totals.dropped,
        layer_away=not hub.link.healthy,
        layer_lost_messages=hub.link.lost_messages,
        journal_away=runtime.care.degraded is not None,
        history_away=runtime.recorder.fault is not None,
        history_lost_s=runtime.recorder.total.lost_seconds,
        lost_snapshots=lost_snapshots,
    )
