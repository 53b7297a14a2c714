"""Alerts in one process: the watch over its figures, and the thread that tells of what it found."""

from __future__ import annotations

from monitoring.alert_watch import AlertWatch
from monitoring.deliveries import Deliverer
from monitoring.process_figures import read_process
from monitoring.snapshots import SnapshotWriter
from streaming.runtime import Runtime


class Alerting:
    """`watch` goes to the writer of snapshots, which gives it each tick's figures and stores what it finds.

    The owner calls `start`, then `aclose` before the writer ends, so that what is resolved by that is stored.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._snapshots: SnapshotWriter | None = None
        self._deliverer = Deliverer(runtime.process_id)
        self.watch = AlertWatch(
            runtime.process_id,
            lambda: read_process(runtime, 0 if self._snapshots is None else self._snapshots.lost),
            on_news=lambda: None if self._snapshots is None else self._snapshots.wake(),
            on_stored=self._deliverer.wake,
        )

    def start(self, snapshots: SnapshotWriter) -> None:
        """Begin; needs a running event loop."""
        self._snapshots = snapshots
        self.watch.start()
        self._deliverer.start()

    async def aclose(self) -> None:
        """End: open alerts are resolved, and messages that wait are another process's."""
        await self.watch.aclose()
        self._deliverer.end()
