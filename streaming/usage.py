"""The present figures of this process as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable

from streaming.core.stats import ProcessUsage
from streaming.hub import Hub
from streaming.ingest import Ingest
from streaming.memory import resident_mb


def process_usage(
    hub: Hub, ingest: Ingest, *, cpu_clock: Callable[[], float] = time.process_time
) -> ProcessUsage:
    """Never waits; looks at each viewer once."""
    overload, totals, viewers = hub.overload, hub.totals(), hub.subscribers()
    return ProcessUsage(
        cpu_s=round(cpu_clock(), 4),
        rss_mb=round(resident_mb(), 1),
        loop_lag_ms=round(1000 * overload.lag_s, 1),
        overload=overload.state.value,
        streams=sum(map(ingest.is_online, ingest.streams())),
        viewers=len(viewers),
        viewer_streams=sum(viewer.watches for viewer in viewers),
        chunks=ingest.taken.chunks,
        lead_samples=ingest.taken.lead_samples,
        sent_messages=totals.sent,
        websocket_messages=hub.websocket_messages,
        bytes_sent=totals.sent_bytes,
        queued_bytes=overload.queued_bytes,
    )
