"""What alert rules watch of the whole process, read from it at each tick."""

from __future__ import annotations

import time

from monitoring.alert_metrics import ProcessFigures
from streaming.memory import resident_mb
from streaming.runtime import Runtime


def read_process(runtime: Runtime, lost_snapshots: int) -> ProcessFigures:
    """The present figures. Never waits; one pass over the groups' counters and one over the streams."""
    hub, totals = runtime.hub, runtime.hub.totals()
    return ProcessFigures(
        overload=hub.overload.state.value,
        loop_lag_ms=1000 * hub.overload.lag_s,
        rss_mb=resident_mb(),
        cpu_s=time.process_time(),
        viewers=len(hub.subscribers()),
        streams=sum(map(runtime.ingest.is_online, runtime.ingest.streams())),
        queued_bytes=hub.overload.queued_bytes,
        offered_messages=totals.offered,
        dropped_messages=totals.dropped,
        sent_messages=totals.sent,
        bytes_sent=totals.sent_bytes,
        layer_away=not hub.link.healthy,
        layer_lost_messages=hub.link.lost_messages,
        journal_away=runtime.care.degraded is not None,
        history_away=runtime.recorder.fault is not None,
        history_lost_s=runtime.recorder.total.lost_seconds,
        lost_snapshots=lost_snapshots,
    )
