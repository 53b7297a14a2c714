"""What a viewer has of its streams, and what it is to ask for because it was told that it is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from streaming.client.events import Event, Frame, Gap, Stats
from streaming.core.client_messages import resume
from streaming.core.messages import SAMPLE_LIMIT, GapReason
from streaming.core.network import NetworkCondition
from streaming.core.renditions import Quality
from streaming.core.spans import SpanSet

_GOOD = {NetworkCondition.EXCELLENT, NetworkCondition.GOOD}
MAX_ASKED = 8
"""Spans of one stream that are asked for at a time: 64 streams stay within the server's 512."""
MAX_EPOCHS = 8
MAX_MISSING = 1024
"""Spans of an epoch that are remembered; beyond, the oldest are given up."""


@dataclass(slots=True)
class _Epoch:
    next_sample: int = 0
    missing: SpanSet = field(default_factory=SpanSet)
    told: SpanSet = field(default_factory=SpanSet)
    """What is missing since the last look: it may yet come by itself."""
    due: SpanSet = field(default_factory=SpanSet)
    """What did not, and was not asked for."""


def has_room(stats: Stats) -> bool:
    """Whether the network has room for what is late: it is good, or carries every sample and nothing waits.

    The condition is that of the last 5 s; what is late is sent into what is live leaves over in any case.
    """
    return stats.condition in _GOOD or (
        stats.rendition == Quality.LOSSLESS and not any(stats.queued.values())
    )


class Held:
    """Takes in what comes, and says how to go on behind a reconnect, or when the network has room again."""

    def __init__(self) -> None:
        self._streams: dict[str, dict[int, _Epoch]] = {}

    def watch(self, streams: Iterable[str]) -> None:
        """Nothing else is wanted; what comes of it later begins anew."""
        wanted = set(streams)
        self._streams = {name: epochs for name, epochs in self._streams.items() if name in wanted}

    def take(self, event: Event) -> None:
        """Note what came, or is missing."""
        if isinstance(event, Frame):
            epoch = self._epoch(event.stream, event.epoch)
            reach = event.info.factor - 1
            epoch.missing.remove(max(0, event.first - reach), event.stop + reach)
            if event.live:
                epoch.next_sample = max(epoch.next_sample, event.stop)
        elif isinstance(event, Gap):
            epoch = self._epoch(event.stream, event.epoch)
            if event.stop < SAMPLE_LIMIT:
                epoch.next_sample = max(epoch.next_sample, event.stop)
            if not event.recoverable:
                epoch.missing.remove(event.first, event.stop)
                return
            epoch.missing.add(event.first, event.stop)
            # What the device has not sent it may still send, and nobody else has it.
            if event.reason is not GapReason.SOURCE:
                epoch.told.add(event.first, event.stop)
            while len(epoch.missing) > MAX_MISSING:
                epoch.missing.remove(*next(iter(epoch.missing)))

    def missing(self, stream: str) -> list[tuple[int, int, int]]:
        """Epoch, first and stop of what may still come."""
        return [
            (number, *span)
            for number, epoch in self._streams.get(stream, {}).items()
            for span in epoch.missing
        ]

    def on_connect(self) -> list[str]:
        """What to say on a new connection, behind `subscribe`: what there is, and what of it is missing."""
        texts: list[str] = []
        for stream, epochs in self._streams.items():
            newest = max(epochs)
            texts.append(resume(stream, epoch=newest, next_sample=epochs[newest].next_sample))
            for epoch in epochs.values():
                epoch.told, epoch.due = SpanSet(), SpanSet()
                for first, stop in epoch.missing:
                    epoch.due.add(first, stop)
        return texts + self._ask()

    def on_room(self) -> list[str]:
        """What to ask for now: what has been missing since the last time, and did not come by itself."""
        texts = self._ask()
        for epochs in self._streams.values():
            for epoch in epochs.values():
                for first, stop in epoch.told:
                    epoch.due.add(first, stop)
                epoch.told = SpanSet()
        return texts

    def _ask(self) -> list[str]:
        return [text for stream, epochs in self._streams.items() for text in self._due(stream, epochs)]

    @staticmethod
    def _due(stream: str, epochs: dict[int, _Epoch]) -> Iterator[str]:
        left = MAX_ASKED
        for number in sorted(epochs, reverse=True):
            epoch = epochs[number]
            for first, stop in reversed(list(epoch.due)):
                for span in reversed(epoch.missing.overlap(first, stop)):
                    if not left:
                        return
                    left -= 1
                    yield resume(stream, epoch=number, next_sample=span[0], stop=span[1])
                epoch.due.remove(first, stop)

    def _epoch(self, stream: str, number: int) -> _Epoch:
        epochs = self._streams.setdefault(stream, {})
        if number not in epochs:
            epochs[number] = _Epoch()
            while len(epochs) > MAX_EPOCHS:
                del epochs[min(epochs)]
        return epochs.get(number) or _Epoch()
