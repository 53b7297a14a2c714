"""What the past of a stream answers: trend, traces in little or as they were, alarms. All of it blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from streaming.core.alarm_record import AlarmRecord, AlarmStep
from streaming.core.bundle import WaveFrame
from streaming.core.minutes import Stack, overview
from streaming.core.review_messages import Answer, Question, Subject
from streaming.core.streams import StreamInfo
from streaming.ecg.alarm_limits import AlarmSettings
from streaming.models_history import HistoryChunk
from streaming.models_journal import JournalEntry
from streaming.store import access, alarm_settings, history, journal_rows, minutes
from streaming.store.history import Stretch

MAX_WAVE_BYTES = 512 * 1024
"""Of one answer; whoever wants more asks again from where it ended."""
MAX_EVENTS = 500
COARSE_FROM_S = 5.2
"""Columns of at least this are made of those of five seconds: a minute's own may be a little longer."""
_LEAST_COLUMN_S = 0.11


@dataclass(frozen=True, slots=True)
class Part:
    """Contiguous frames of one epoch; `began_at` is when sample `first` was taken."""

    info: StreamInfo
    first: int
    stop: int
    began_at: datetime
    frames: tuple[WaveFrame, ...]


def trend(question: Question) -> Answer:
    """Minute by minute: when it began, its heart rate (low, mean, high), the share that could be counted."""
    since, until = _span(question)
    found = minutes.rates(question.stream, since, until)
    rows = [
        [
            round(minute.began_ms - question.from_ms),
            minute.rates.low if minute.rates.counted else None,
            round(minute.rates.total / minute.rates.counted, 1) if minute.rates.counted else None,
            minute.rates.high if minute.rates.counted else None,
            round(100 * minute.rates.counted / minute.rates.told) if minute.rates.told else None,
        ]
        for minute in found
    ]
    chunks = HistoryChunk.objects.filter(stream=question.stream)
    # Each by one look at the index on stream and time.
    oldest = chunks.order_by("began_at").values_list("began_at", flat=True).first()
    newest_end = chunks.order_by("-began_at").values_list("ended_at", flat=True).first()
    newest = _infos(question.stream)(None)
    limits = alarm_settings.load().get(question.stream, AlarmSettings()).limits
    return Answer(
        {
            "minutes": rows,
            "limits": {"low": limits.hr_low, "high": limits.hr_high},
            "stored": None if oldest is None or newest_end is None else [_ms(oldest), _ms(newest_end)],
            "leads": [] if newest is None else [lead.name for lead in newest.leads],
            "source": None if newest is None else newest.source.value,
            "patient": None if newest is None else newest.patient,
        }
    )


def in_little(question: Question) -> Answer:
    """Lowest and highest value of one lead in each of `columns`, or in as many as are stored."""
    since, until = _span(question)
    span_s = (question.to_ms - question.from_ms) / 1000
    step_s = max(span_s / question.columns, _LEAST_COLUMN_S)
    count = max(1, round(span_s / step_s))
    step_s = span_s / count
    infos = _infos(question.stream)
    lead = question.lead

    def stacks() -> Iterator[Stack]:
        for minute in minutes.ranges(question.stream, since, until, fine=step_s < COARSE_FROM_S):
            at = _lead_at(infos(minute.epoch), lead)
            if at is not None and at < minute.ranges.shape[1]:
                at_s = (minute.began_ms - question.from_ms) / 1000
                yield Stack(at_s, minute.column_s, minute.ranges[:, at])

    found = overview(stacks(), step_s, count)
    return Answer(
        {"from_ms": question.from_ms, "step_ms": 1000 * step_s, "columns": count, "lead": lead},
        np.ascontiguousarray(found.astype("<i2")).tobytes(),
    )


def wave(question: Question) -> Answer:
    """The canonical frames of a stretch as they are stored, part by part, and where it was cut short."""
    since, until = _span(question)
    parts: list[dict[str, Any]] = []
    data: list[bytes] = []
    size_bytes, cut_ms = 0, None
    for part in read_parts(question.stream, since, until):
        size_bytes += sum(len(frame.payload) for frame in part.frames)
        if parts and size_bytes > MAX_WAVE_BYTES:
            cut_ms = _ms(part.began_at)
            break
        parts.append(
            {
                "epoch": part.info.epoch,
                "first": part.first,
                "began_ms": _ms(part.began_at),
                "rate_hz": part.info.rate_hz,
                "source": part.info.source.value,
                "leads": [
                    {"name": lead.name, "gain_uv": lead.gain_uv, "baseline": lead.baseline}
                    for lead in part.info.leads
                ],
                "frames": [[frame.first, frame.count, len(frame.payload)] for frame in part.frames],
            }
        )
        data += [frame.payload for frame in part.frames]
    return Answer({"parts": parts, "cut_ms": cut_ms}, b"".join(data))


def read_parts(
    stream: str, since: datetime, until: datetime, *, page_bytes: int = history.PAGE_BYTES
) -> Iterator[Part]:
    """What is stored of a time, a page at a time, in order; no part bridges a hole or the end of an epoch."""
    infos = _infos(stream)
    for stretch in history.coverage(stream, since, until):
        info = infos(stretch.epoch)
        if info is None:  # of an admission that was deleted meanwhile
            continue
        first, stop = within(stretch, since, until, info.rate_hz)
        at: int | None = first
        while at is not None and at < stop:
            page = history.read(stream, stretch.epoch, at, stop, newest_first=False, max_bytes=page_bytes)
            for frames in _contiguous(page.frames):
                begun = stretch.began_at + timedelta(seconds=(frames[0].first - stretch.first) / info.rate_hz)
                yield Part(info, frames[0].first, frames[-1].first + frames[-1].count, begun, tuple(frames))
            at = page.next


def events(question: Question) -> Answer:
    """The alarms that were raised, newest first, each as it stands now; `more` when there are too many."""
    since, until = _span(question)
    found = alarms(question.stream, since, until, most=MAX_EVENTS + 1)
    return Answer(
        {"events": [_event(record) for record in found[:MAX_EVENTS]], "more": len(found) > MAX_EVENTS}
    )


def alarms(stream: str, since: datetime, until: datetime, *, most: int) -> list[AlarmRecord]:
    """Those raised in a time, the newest `most` of them, newest first; three queries."""
    raised = JournalEntry.objects.filter(
        stream=stream, step=AlarmStep.RAISED.value, at__gte=since, at__lt=until
    )
    ids = list(dict.fromkeys(raised.order_by("-at").values_list("alarm", flat=True)[:most]))
    return sorted(journal_rows.records(ids), key=lambda record: -record.raised_ms)


ANSWERS: Mapping[Subject, Callable[[Question], Answer]] = {
    Subject.TREND: trend,
    Subject.OVERVIEW: in_little,
    Subject.WAVE: wave,
    Subject.EVENTS: events,
}


def _event(record: AlarmRecord) -> dict[str, Any]:
    facts = record.facts
    return {
        "alarm": facts.alarm,
        "kind": facts.kind,
        "severity": facts.severity.value,
        "text": facts.text,
        "origin": facts.origin.value,
        "epoch": facts.epoch,
        "from": facts.first,
        "to": facts.stop,
        "sample": facts.sample,
        "lead": facts.lead,
        "condition_delay_s": facts.condition_delay_s,
        "signal_delay_s": facts.signal_delay_s,
        "raised_ms": record.raised_ms,
        "cleared_ms": record.cleared_ms,
        "acknowledged_ms": record.acknowledged_ms,
        "acknowledged_by": record.acknowledged_by,
    }


def _infos(stream: str) -> Callable[[int | None], StreamInfo | None]:
    """What each epoch consists of, each looked up once; None is the newest."""
    known: dict[int | None, StreamInfo | None] = {}

    def of(epoch: int | None) -> StreamInfo | None:
        if epoch not in known:
            number = access.newest_epoch(stream) if epoch is None else epoch
            known[epoch] = None if number is None else access.epoch_info(stream, number)
        return known[epoch]

    return of


def _lead_at(info: StreamInfo | None, lead: str | None) -> int | None:
    """Which lead of an epoch that is; the first without a name, None where it has none of that name."""
    if info is None:
        return None
    names = [one.name for one in info.leads]
    return 0 if lead is None else names.index(lead) if lead in names else None


def within(stretch: Stretch, since: datetime, until: datetime, rate_hz: float) -> tuple[int, int]:
    """The samples of a stretch that were taken in a time."""
    first = stretch.first + round((since - stretch.began_at).total_seconds() * rate_hz)
    stop = stretch.first + round((until - stretch.began_at).total_seconds() * rate_hz)
    return max(first, stretch.first), min(stop, stretch.stop)


def _contiguous(frames: tuple[WaveFrame, ...]) -> Iterator[list[WaveFrame]]:
    """Frames in order, apart where one does not continue the other."""
    run: list[WaveFrame] = []
    for frame in frames:
        if run and frame.first != run[-1].first + run[-1].count:
            yield run
            run = []
        run.append(frame)
    if run:
        yield run


def _span(question: Question) -> tuple[datetime, datetime]:
    return _at(question.from_ms), _at(question.to_ms)


def _at(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _ms(at: datetime) -> float:
    return round(1000 * at.timestamp(), 1)
