"""Processes with viewers for the tests of live figures: in virtual time, on one channel layer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from channels.layers import InMemoryChannelLayer

from monitoring.live_watch import LiveWatch
from streaming.core.diagnostics import Holder
from streaming.layer_link import CONTROL_GROUP
from streaming.runtime import Runtime
from tests.viewers import Viewer


class Page:
    """A live page that remembers what it is told."""

    def __init__(self, inspected: str | None = None) -> None:
        self.inspected = inspected
        self.figures: list[dict[str, Any]] = []
        self.viewers: list[tuple[dict[str, Any], str]] = []
        self.processes: list[dict[str, Any]] = []
        self.alerts: list[dict[str, Any]] = []

    def told_figures(self, process: str, text: str) -> None:
        """Keep them."""
        told = json.loads(text)
        assert told["process"] == process
        self.figures.append(told)

    def told_viewer(self, text: str, peer: str) -> None:
        """Keep it."""
        self.viewers.append((json.loads(text), peer))

    def told_processes(self, text: str) -> None:
        """Keep them."""
        self.processes.append(json.loads(text))

    def told_alerts(self, text: str) -> None:
        """Keep them."""
        self.alerts.append(json.loads(text))

    def told_by(self, process: str) -> list[dict[str, Any]]:
        """The figures of one process."""
        return [told for told in self.figures if told["process"] == process]


def held(viewer: Viewer, connection: str) -> Viewer:
    """The viewer as a consumer makes it known."""
    now = asyncio.get_running_loop().time()
    viewer.subscriber.holder = Holder(connection, "user:7", 7, "192.0.2.7", now)
    return viewer


@asynccontextmanager
async def process(
    layer: InMemoryChannelLayer | None = None, **watched: str
) -> AsyncIterator[tuple[Runtime, dict[str, Viewer]]]:
    """A process whose viewers are named by their connections, each watching one stream."""
    clock = asyncio.get_running_loop().time
    runtime = Runtime(layer or InMemoryChannelLayer(), shared=layer is not None, clock=clock)
    await runtime.hub.start()
    await runtime.hub.link.join(CONTROL_GROUP)
    viewers = {}
    for connection, stream in watched.items():
        viewers[connection] = viewer = held(Viewer(), connection)
        runtime.hub.add(viewer.subscriber)
        await runtime.hub.watch(viewer.subscriber, stream)
    try:
        yield runtime, viewers
    finally:
        for viewer in viewers.values():
            await viewer.subscriber.aclose()
        await runtime.hub.aclose()


@asynccontextmanager
async def watching(runtime: Runtime) -> AsyncIterator[LiveWatch]:
    """Who tells live pages in this process."""
    watch = LiveWatch(runtime, clock=asyncio.get_running_loop().time)
    watch.start()
    try:
        yield watch
    finally:
        await watch.aclose()
