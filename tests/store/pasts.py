"""A past to put into the databases: hours of one patient out of a piece that repeats, holes and alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np

from streaming.core.alarm_record import AlarmEntry, AlarmFacts, AlarmOrigin, AlarmSeverity, AlarmStep
from streaming.core.chunks import Chunk
from streaming.core.frames import FrameKind, encode_frame
from streaming.core.framing import encode_bundle
from streaming.core.minutes import Minute, MinuteBook, Rates
from streaming.core.priority import MessagePriority
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.ecg.codec import Samples, WaveformEncoder
from streaming.ecg.simulator import Simulator
from streaming.models import Stream, StreamEpoch
from streaming.store import access, chain, history, journal_rows, minutes

CHUNK_S = 5
FRAMES = 50
Hole = tuple[float, float]


def make_epoch(
    stream: str, *, rate_hz: float = 250.0, leads: Sequence[Lead] = (Lead("II", 5.0),), number: int = 1
) -> StreamInfo:
    """An epoch of a stream that is admitted."""
    StreamEpoch.objects.create(
        stream=Stream.objects.get(pk=stream),
        number=number,
        session=f"past-{number}",
        source=Source.SIM.value,
        rate_hz=rate_hz,
        leads=[asdict(lead) for lead in leads],
    )
    info = access.epoch_info(stream, number)
    assert info is not None
    return info


def simulated(info: StreamInfo, seconds: int, *, rhythm: str = "sinus") -> Samples:
    """What a heart does in that time; minutes of it can be put one behind the other."""
    return _simulated(rhythm, info.rate_hz, tuple(lead.name for lead in info.leads), seconds)


@cache
def _simulated(rhythm: str, rate_hz: float, leads: tuple[str, ...], seconds: int) -> Samples:
    return Simulator(rhythm, rate_hz=rate_hz, leads=leads, seed=7).read(round(seconds * rate_hz))


@cache
def _encoded(samples: bytes, leads: int, frame: int) -> list[bytes]:
    """Once for all tests: it is what takes the time."""
    encoder, found = WaveformEncoder(), np.frombuffer(samples, np.int16).reshape(leads, -1)
    return [encoder.encode(found[:, at : at + frame]) for at in range(0, found.shape[1], frame)]


def store(
    info: StreamInfo,
    samples: Samples,
    began_at: datetime,
    *,
    repeats: int = 1,
    holes: Sequence[Hole] = (),
    rates: Sequence[int] = (72,),
) -> None:
    """`samples`, whole minutes of them, over and over from `began_at` on, but for what lies in `holes`.

    Holes are in seconds, to whole chunks of five; `rates` are heart rates of the minutes, over and over.
    """
    frame = round(info.rate_hz * CHUNK_S / FRAMES)
    payloads = _encoded(samples.tobytes(), len(info.leads), frame)
    book = MinuteBook()
    littles = [*book.add(info, 0, samples, live=True, now=0.0, at=began_at), *book.flush()]
    for repeat in range(repeats):
        first = repeat * samples.shape[1]
        history.write(
            [
                _chunk(info, payloads[at : at + FRAMES], frame, first + at * frame, began_at)
                for at in range(0, len(payloads), FRAMES)
                if not _in_a_hole(holes, (first + at * frame) / info.rate_hz)
            ]
        )
        moved = [_moved(info, little, first, began_at, holes, rates) for little in littles]
        minutes.write([minute for minute in moved if minute.rates.told])


def _chunk(info: StreamInfo, payloads: Sequence[bytes], frame: int, first: int, began_at: datetime) -> Chunk:
    stop = first + frame * len(payloads)
    frames = [
        encode_frame(FrameKind.WAVEFORM, frame, first + at * frame, payload)
        for at, payload in enumerate(payloads)
    ]
    times = [began_at + timedelta(seconds=sample / info.rate_hz) for sample in (first, stop)]
    return Chunk(info.stream, info.epoch, first, stop, times[0], times[1], encode_bundle(frames))


def _moved(
    info: StreamInfo, little: Minute, by: int, began_at: datetime, holes: Sequence[Hole], rates: Sequence[int]
) -> Minute:
    first = little.first + by
    begins_s = first / info.rate_hz
    fine = little.fine.copy()
    columns = begins_s + little.column_s * np.arange(fine.shape[2])
    for hole in holes:
        lacks = (columns >= hole[0]) & (columns < hole[1])
        fine[:, 0, lacks], fine[:, 1, lacks] = 32767, -32768
    hr = rates[round(begins_s / 60) % len(rates)]
    seconds = sum(not _in_a_hole(holes, begins_s + second) for second in range(60))
    counted = Rates(seconds, seconds, hr * seconds, hr - 3, hr + 4) if seconds else Rates()
    at = began_at + timedelta(seconds=begins_s)
    return replace(little, first=first, began_at=at, fine=fine, rates=counted)


def _in_a_hole(holes: Sequence[Hole], at_s: float) -> bool:
    return any(first <= at_s < stop for first, stop in holes)


def store_alarms(info: StreamInfo, began_at: datetime, *events: tuple[float, str, str, float]) -> list[str]:
    """Alarms raised so many seconds after `began_at`: (seconds, severity, text, how long); their ids."""
    ids: list[str] = []
    head = chain.new_head()
    for at_s, severity, text, lasted_s in events:
        alarm = f"past.{info.stream}.{round(at_s)}"
        sample = round(at_s * info.rate_hz)
        facts = AlarmFacts(
            alarm=alarm,
            origin=AlarmOrigin.ANALYSIS,
            stream=info.stream,
            epoch=info.epoch,
            ward=info.ward,
            patient=info.patient,
            kind=text.split()[0].lower(),
            severity=AlarmSeverity(severity),
            priority=MessagePriority.CRITICAL if severity == "high" else MessagePriority.HIGH,
            latching=severity == "high",
            text=text,
            first=max(0, sample - round(3 * info.rate_hz)),
            stop=sample,
            lead=info.leads[0].name,
            sample=sample,
            condition_delay_s=3.0,
        )
        raised_ms = 1000 * began_at.timestamp() + 1000 * at_s
        entries = [
            AlarmEntry(AlarmStep.RAISED, alarm, raised_ms, at_s, "system:ingest", facts),
            AlarmEntry(AlarmStep.ACKNOWLEDGED, alarm, raised_ms + 8000, at_s + 8, "user:1", by="nurse-02"),
            AlarmEntry(
                AlarmStep.CLEARED, alarm, raised_ms + 1000 * lasted_s, at_s + lasted_s, "system:ingest"
            ),
        ]
        head = journal_rows.store([journal_rows.line_of(entry) for entry in entries], head)
        ids.append(alarm)
    return ids


def a_past(
    stream: str,
    *,
    minutes_long: int,
    leads: Sequence[str] = ("II",),
    rate_hz: float = 250.0,
    number: int = 1,
    calm: bool = False,
) -> dict[str, float]:
    """A past up to half a minute ago, with a hole after a quarter of it, and three alarms; when that was.

    `calm`: without an alarm.
    """
    info = make_epoch(stream, rate_hz=rate_hz, leads=[Lead(name, 5.0) for name in leads], number=number)
    length_s = 60 * minutes_long
    began_at = datetime.now(UTC) - timedelta(seconds=length_s + 30)
    piece_s = 60 * min(minutes_long, 10)
    quarter_s = length_s // 4 // 5 * 5
    hole_s = max(10, length_s // 60 // 5 * 5)
    store(
        info,
        simulated(info, piece_s),
        began_at,
        repeats=length_s // piece_s,
        holes=[(quarter_s, quarter_s + hole_s)],
        rates=[72, 73, 74, 76, 80, 91, 96, 84, 77, 74, 70, 66, 64, 67, 70],
    )
    events = (
        (0.5 * length_s, "high", "VT HR 176 > 140", 14.0),
        (0.75 * length_s, "medium", "HR HIGH 126 > 120", 124.0),
        (0.3 * length_s, "technical", "LEAD OFF V1", 190.0),
    )
    store_alarms(info, began_at, *(() if calm else events))
    began = began_at.timestamp()
    return {
        "began_s": began,
        "ended_s": began + length_s,
        "hole_s": began + quarter_s,
        "hole_ends_s": began + quarter_s + hole_s,
    }
