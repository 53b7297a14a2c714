"""The present figures of this process as its live pages are told them: bounded in number, read in pieces."""

from __future__ import annotations

import heapq
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from monitoring.pausing import Pause
from monitoring.slowness import ProcessNow, wanted_bytes_per_s, why_slow
from streaming.core.diagnostics import Holder, ViewerReading
from streaming.core.overload import OverloadState
from streaming.core.stats import GroupStats
from streaming.core.streams import group_of
from streaming.core.strict_json import to_json
from streaming.group_stats import VIEWERS_AT_ONCE
from streaming.runtime import Runtime
from streaming.subscriber import Subscriber

MOST_VIEWERS = {OverloadState.NORMAL: 200, OverloadState.SHEDDING: 50, OverloadState.EMERGENCY: 20}
"""Told of by one message, those that fare worst: what is LOW gives way while the process sheds."""
MOST_GROUPS = 64
"""By one message; the others follow with the next ones, in turn."""
MOST_LANES = 2000
"""Viewers' queues of groups that are read for one message: some 15 ms in all."""
READING = 4
"""Queues that reading all of one viewer costs as much as: 80 us."""
MOST_STREAMS = 4
"""Of a viewer in the list; whoever inspects it is told of all."""


class FiguresReader:
    """Reads a process again and again; what does not fit into one message is in the next ones."""

    def __init__(self, runtime: Runtime, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._runtime = runtime
        self._clock = clock
        self._pieces: Iterator[GroupStats | None] = iter(())
        """A round through all groups, from which as many are taken each time as are read in time."""

    async def figures(self) -> str:
        """One message: the process, some or all of its groups, and the viewers that fare worst."""
        pause, began = Pause(), self._clock()
        groups = [_of_group(group) async for group in self._next_groups(pause)]
        viewers, count = await self._viewers(pause)
        return to_json(
            {
                "type": "figures",
                **self._of_process(),
                "groups": groups,
                "viewers": viewers,
                "viewer_count": count,
                "took_ms": round(1000 * (self._clock() - began), 1),
            }
        )

    def viewer(self, connection: str) -> tuple[str, Holder] | None:
        """The message of one viewer of this process and whose it is; None where it has no such connection."""
        subscriber = self.subscriber(connection)
        if subscriber is None or subscriber.holder is None:
            return None
        hub = self._runtime.hub
        now = ProcessNow(
            overload=hub.overload.state,
            lag_s=hub.overload.lag_s,
            layer_is_away=not hub.link.healthy,
            stall_s=subscriber.window.stall_s,
        )
        reading = subscriber.reading()
        told = {
            "type": "viewer",
            "process": self._runtime.process_id,
            **_of_viewer(subscriber, subscriber.holder, reading, self._clock()),
            **_in_detail(reading),
            "focus": subscriber.focus,
            "why": [{"cause": each.cause.value, "text": each.text} for each in why_slow(reading, now)],
        }
        return to_json(told), subscriber.holder

    def subscriber(self, connection: str) -> Subscriber | None:
        """The viewer with this connection, if it is one of this process."""
        return next(
            (
                each
                for each in self._runtime.hub.subscribers()
                if each.holder is not None and each.holder.connection == connection
            ),
            None,
        )

    def _of_process(self) -> dict[str, Any]:
        runtime, hub = self._runtime, self._runtime.hub
        usage = runtime.usage()
        degraded = {"history": runtime.recorder.degraded, "alarms": runtime.care.degraded}
        return {
            "process": runtime.process_id,
            "at_ms": round(1000 * time.time()),
            "overload": usage.overload,
            "lag_ms": usage.loop_lag_ms,
            "rss_mb": usage.rss_mb,
            "queued_bytes": usage.queued_bytes,
            "devices": usage.streams,
            "silent": len(runtime.ingest.streams()) - usage.streams,
            "sent": usage.sent_messages,
            "sent_bytes": usage.bytes_sent,
            "dropped": hub.totals().dropped,
            "layer": "ok" if hub.link.healthy else "away",
            "lost_messages": hub.link.lost_messages,
            "settings_version": hub.profiles.version,
            "degraded": {name: why for name, why in degraded.items() if why},
        }

    async def _next_groups(self, pause: Pause) -> AsyncIterator[GroupStats]:
        """Goes on where the last message ended; after the last group begins a new round."""
        lanes = groups = 0
        for _ in range(2):
            for piece in self._pieces:
                read = VIEWERS_AT_ONCE
                if piece is not None:
                    yield piece
                    groups, read = groups + 1, 1 + piece.viewers % VIEWERS_AT_ONCE
                lanes += read
                if lanes >= MOST_LANES or groups >= MOST_GROUPS:
                    return
                await pause.after(read)
            if lanes:
                return
            self._pieces = self._runtime.stats_in_pieces()

    async def _viewers(self, pause: Pause) -> tuple[list[dict[str, Any]], int]:
        """The worst of them, and how many there are."""
        ranked = []
        held = [each for each in self._runtime.hub.subscribers() if each.holder is not None]
        for number, subscriber in enumerate(held):
            ranked.append((subscriber.trouble_s(), number))
            await pause.after(1)
        most = MOST_VIEWERS[self._runtime.hub.overload.state]
        told = []
        for _, number in heapq.nlargest(most, ranked):
            subscriber = held[number]
            if (holder := subscriber.holder) is not None:
                told.append(_of_viewer(subscriber, holder, subscriber.reading(), self._clock()))
            await pause.after(READING + subscriber.watches)
        return told, len(held)


def _of_group(group: GroupStats) -> dict[str, Any]:
    states = {
        "emergency": group.emergency_mode,
        "backpressure": group.backpressure_active,
        "paused": group.paused,
    }
    return {
        "group": group.group,
        "viewers": group.viewers,
        "state": next((name for name, on in states.items() if on), "normal"),
        "rate": round(group.messages_per_second, 1),
        "ratio": _rounded(group.ratio_vs_json),
        "level": group.current_level,
        "queued": group.buffer_size,
        "queued_bytes": group.buffer_bytes,
        "utilization": round(group.buffer_utilization, 4),
        "pressure": round(group.pressure, 3),
        "sent": group.sent_messages,
        "sent_bytes": group.bytes_sent,
        "dropped": group.dropped_messages,
        "age_p50_ms": group.age_p50_ms,
        "age_p95_ms": group.age_p95_ms,
        "age_p99_ms": group.age_p99_ms,
    }


def _of_viewer(subscriber: Subscriber, holder: Holder, reading: ViewerReading, now: float) -> dict[str, Any]:
    stats, streams = reading.stats, list(reading.sent_as)
    states = {
        "emergency": reading.is_in_emergency,
        "backpressure": reading.is_under_pressure,
        "waits": reading.is_paused,
    }
    return {
        "connection": holder.connection,
        "actor": holder.actor,
        "user": holder.user_id,
        "since_s": round(now - holder.since),
        "state": next((name for name, on in states.items() if on), "normal"),
        "condition": stats.condition.value,
        "rtt_ms": None if stats.rtt_s is None else round(1000 * stats.rtt_s),
        "goodput_bps": None if stats.goodput_bps is None else round(stats.goodput_bps),
        "window": stats.window_bytes,
        "in_flight": stats.in_flight_bytes,
        "queued": sum(stats.queued.values()),
        "queued_bytes": stats.queued_bytes,
        "oldest_ms": round(1000 * reading.readings.queued_s),
        "rendition": stats.rendition.value,
        "reason": stats.reason.value,
        "drops": {reason.value: count for reason, count in stats.drops.items() if count},
        "lost_s": _rounded(reading.lost_s),
        "acked_s": _rounded(reading.unheard_s),
        "watches": subscriber.watches,
        "streams": streams[:MOST_STREAMS],
    }


def _in_detail(reading: ViewerReading) -> dict[str, Any]:
    """What only the inspected viewer is told of."""
    readings = reading.readings
    path_rate = readings.path_rate
    return {
        "queues": {priority.name.lower(): count for priority, count in reading.stats.queued.items() if count},
        "empty_rtt_ms": round(1000 * readings.rtt_s),
        "carries_bps": None if path_rate == float("inf") else round(8 * path_rate),
        "need_bps": round(8 * reading.need),
        "wanted_bps": round(8 * wanted_bytes_per_s(reading)),
        "backlog": reading.backlog,
        "decoded_ms": round(reading.decoded_ms, 1),
        "sent_as": {
            stream: {
                "group": group_of(stream),
                "quality": rendition.quality.value,
                "frame_s": rendition.frame_s,
            }
            for stream, rendition in reading.sent_as.items()
        },
        "suspected": [want.stream for want in reading.wants if want.suspected],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
