"""What is stored of a stream, as recordings to be exported; all of it blocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from streaming.core.alarm_record import AlarmRecord
from streaming.core.position import SampleRange
from streaming.core.streams import StreamInfo
from streaming.ecg import codec
from streaming.exceptions import ProtocolError
from streaming.export.recording import Note, Recording
from streaming.store import access, audit, history, review
from streaming.store.history import Stretch

LONGEST = timedelta(hours=25)
"""Of one export through the site: as long as is stored by default, and an hour."""
MOST_NOTES = 5000


def recordings(stream: str, since: datetime, until: datetime) -> Iterator[Recording]:
    """One for each epoch that has anything of that time, in order."""
    raised = review.alarms(stream, since, until, most=MOST_NOTES)
    for number, group in groupby(history.coverage(stream, since, until), key=lambda one: one.epoch):
        info = access.epoch_info(stream, number)
        if info is not None:
            found = _recording(info, list(group), since, until, raised)
            if found is not None:
                yield found


def record(actor: str, stream: str, outcome: str, **detail: Any) -> None:
    """The audit entry of an export: that it was allowed or denied, and how it ended."""
    audit.record(actor, "history.export", f"stream:{stream}", outcome, **detail)


def _recording(
    info: StreamInfo, stretches: list[Stretch], since: datetime, until: datetime, raised: list[AlarmRecord]
) -> Recording | None:
    cut = (review.within(stretch, since, until, info.rate_hz) for stretch in stretches)
    spans = [SampleRange(first, stop) for first, stop in cut if first < stop]
    if not spans:
        return None
    first, stop = spans[0].first, spans[-1].stop
    began_at = stretches[0].began_at + timedelta(seconds=(first - stretches[0].first) / info.rate_hz)
    notes = tuple(
        Note(alarm.facts.sample, alarm.facts.severity.value, alarm.facts.text)
        for alarm in reversed(raised)
        if alarm.facts.epoch == info.epoch and first <= alarm.facts.sample < stop
    )
    return Recording(info, first, stop, began_at, tuple(spans), notes, partial(_read, info, tuple(spans)))


def _read(info: StreamInfo, spans: tuple[SampleRange, ...]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """The samples of spans, decoded page by page; a frame that is damaged is left out."""
    for span in spans:
        at: int | None = span.first
        reached = span.first
        while at is not None and at < span.stop:
            page = history.read(info.stream, info.epoch, at, span.stop, newest_first=False)
            for frame in page.frames:
                try:
                    samples: npt.NDArray[np.signedinteger] = codec.decode(frame.payload)
                except ProtocolError:
                    continue
                skipped = max(0, reached - frame.first)
                kept = samples[:, skipped : max(0, span.stop - frame.first)]
                if kept.shape[1]:
                    yield frame.first + skipped, kept
                    reached = frame.first + skipped + kept.shape[1]
            at = page.next
