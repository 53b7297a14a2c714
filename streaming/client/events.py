"""What a viewer hears, as typed values, and how the server's messages become them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming.client.connection import refuse_unknown
from streaming.core import renditions
from streaming.core.alarm_record import AlarmOrigin, AlarmSeverity, AlarmState
from streaming.core.cadence import OFTEN, Cadence
from streaming.core.client_messages import parse_server_messages
from streaming.core.fields import Fields
from streaming.core.frames import Frame as WireFrame
from streaming.core.frames import FrameKind, decode_bundle, frame_text
from streaming.core.messages import SAMPLE_LIMIT, BeatKind, GapReason, RosterEntry, SignalState
from streaming.core.streams import Lead, Source
from streaming.core.strict_json import MAX_SAFE_INTEGER
from streaming.ecg.codec import Samples, decode
from streaming.exceptions import ProtocolError

_LONGEST = 64
_MOST_LEADS = 16
_HIGHEST_RATE = 1000


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """How the samples of a stream are meant, until its next epoch or rendition.

    `rate_hz` is nominal and that of the source, of whose samples `factor` make one here; `leads` are those
    that are sent, `all_leads` the names of those that the source has. `patient` is a pseudonym, `frame_ms`
    the usual length of a live frame.
    """

    stream: str
    epoch: int
    rendition: str
    rate_hz: float
    factor: int
    leads: tuple[Lead, ...]
    all_leads: tuple[str, ...]
    source: Source
    patient: str
    frame_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Samples, int16 or int32, (leads, n), in the leads and steps of `info`.

    Indices count the source's samples: the first stands at `first`, each other `info.factor` behind the one
    before it. `live` is False for samples that come late and fill a hole.
    """

    stream: str
    epoch: int
    first: int
    samples: Samples
    info: StreamFormat
    live: bool

    @property
    def stop(self) -> int:
        """One past the index of the last sample."""
        return self.first + (int(self.samples.shape[1]) - 1) * self.info.factor + 1

    def microvolts(self) -> NDArray[np.float32]:
        """The samples in microvolts, (leads, n)."""
        gain = np.array([[lead.gain_uv] for lead in self.info.leads], np.float32)
        baseline = np.array([[lead.baseline] for lead in self.info.leads], np.int64)
        return (self.samples - baseline).astype(np.float32) * gain


@dataclass(frozen=True, slots=True)
class Vitals:
    """Heart rate in beats a minute at `sample`, counted on lead `hr_source`; None while unknown.

    `rhythm` is what stands out of the last minute's beats ("af", "pvc", "bigeminy", "couplet", "run"), as
    information; None where nothing does. `pvc_per_min` counts the ventricular ones. `beats` are those of the
    last seconds that are known, as sample index and kind: each is told several times.
    """

    stream: str
    epoch: int
    sample: int
    hr: float | None
    hr_source: str | None
    rhythm: str | None = None
    pvc_per_min: int | None = None
    beats: tuple[tuple[int, BeatKind], ...] = ()


@dataclass(frozen=True, slots=True)
class Gap:
    """Samples `first` up to but not including `stop` are not delivered; later only if `recoverable`."""

    stream: str
    epoch: int
    first: int
    stop: int
    reason: GapReason
    recoverable: bool


@dataclass(frozen=True, slots=True)
class Quality:
    """State of the signal from `sample` on; `rate_hz` as measured, None until known."""

    stream: str
    epoch: int
    sample: int
    state: SignalState
    leads_off: tuple[str, ...]
    rate_hz: float | None


@dataclass(frozen=True, slots=True)
class RosterChanged:
    """All streams that this viewer may see now."""

    streams: tuple[RosterEntry, ...]


@dataclass(frozen=True, slots=True)
class Denied:
    """The stream does not exist, or is not for this viewer."""

    stream: str


@dataclass(frozen=True, slots=True)
class Stats:
    """How the server sees this connection; `queued` counts messages by priority ("critical" ... "bulk").

    `rendition` is the coarsest that any of its streams is sent as, and `reason` why that last changed.
    `drops` counts what was dropped or expired by reason; `overload` is the state of the server's process.
    `layer` is "away" while streams whose devices reach another process of the server do not come.
    """

    rtt_ms: float | None
    goodput_bps: float | None
    window_bytes: int
    in_flight_bytes: int
    queued: Mapping[str, int]
    dropped: int
    expired: int
    condition: str
    rendition: str
    reason: str
    drops: Mapping[str, int] = field(default_factory=dict)
    overload: str = "normal"
    layer: str = "ok"


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm as it stands now; a later one of the same id says more, and a closed one is over.

    `stream` is empty for an alarm of the system. `first` to `stop` are the samples that show it.
    """

    alarm: str
    state: AlarmState
    origin: AlarmOrigin
    stream: str
    epoch: int
    patient: str
    kind: str
    severity: AlarmSeverity
    latching: bool
    text: str
    value: float | None
    limit: float | None
    unit: str
    first: int
    stop: int
    lead: str
    sample: int
    raised_ms: float
    cleared_ms: float | None
    acknowledged_ms: float | None
    acknowledged_by: str
    unstored: bool


@dataclass(frozen=True, slots=True)
class AlarmWithdrawn:
    """An alarm that was told is not for this viewer now: it may not see the patient, or alarms are off."""

    alarm: str


@dataclass(frozen=True, slots=True)
class OpenAlarms:
    """All that is open for this viewer was told: these, since it connected; and what its user may do."""

    alarms: frozenset[str]
    may: frozenset[str]
    paused_until_ms: float | None


@dataclass(frozen=True, slots=True)
class AudioPaused:
    """Until when no sound is to be made; None: it is, because of the alarm `broken_by` if one is named."""

    until_ms: float | None
    broken_by: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """What was asked for was not done; `of` is the message's type, `target` the alarm or stream."""

    of: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class NumbersOnly:
    """The network is too narrow for samples of this stream; vitals go on, and a Gap tells what is missed."""

    info: StreamFormat

    @property
    def stream(self) -> str:
        """Whose samples, as of a Frame."""
        return self.info.stream


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is lost, and is being made again; what passed meanwhile will be missing."""

    code: int | None
    reason: str


Event = (
    Frame
    | Vitals
    | Gap
    | Quality
    | NumbersOnly
    | RosterChanged
    | Denied
    | Alarm
    | AlarmWithdrawn
    | OpenAlarms
    | AudioPaused
    | Refused
    | Stats
    | Disconnected
)


class Decoder:
    """Turns the messages of one connection into events; remembers what its aliases stand for."""

    def __init__(self) -> None:
        self._formats: dict[int, StreamFormat] = {}
        self._open: set[str] = set()
        """The alarms that this connection has told, and that are not over."""
        self.cadence: Cadence | None = None
        """How the server has last asked for acks, since `welcome`."""

    def decode(self, message: bytes | list[dict[str, Any]]) -> list[Event]:
        """The events of one WebSocket message, in order; raises ProtocolError for what is malformed."""
        if isinstance(message, list):
            return self.decode_items(message)
        events: list[Event] = []
        for frame in decode_bundle(message):
            if frame.kind is FrameKind.JSON:
                events += self.decode_items(parse_server_messages(frame_text(frame)))
            else:
                events.append(self._frame(frame))
        return events

    def decode_items(self, items: Iterable[Mapping[str, Any]]) -> list[Event]:
        """The events among JSON messages; the others are about the connection."""
        return [event for item in items if (event := self._event(item)) is not None]

    def _frame(self, frame: WireFrame) -> Frame:
        info = self._formats.get(frame.alias)
        if info is None:
            raise ProtocolError("frame under an alias that no stream message named")
        samples = decode(frame.payload)
        if samples.shape[0] != len(info.leads):
            raise ProtocolError("frame has another number of leads than its stream")
        live = frame.kind is FrameKind.WAVEFORM
        return Frame(info.stream, info.epoch, frame.first, samples, info, live)

    def _about_alarms(self, fields: Fields, kind: str) -> Event:
        match kind:
            case "alarm":
                alarm = _alarm(fields)
                (self._open.discard if alarm.state is AlarmState.CLOSED else self._open.add)(alarm.alarm)
                return alarm
            case "alarm_withdrawn":
                withdrawn = fields.text("alarm", longest=160)
                self._open.discard(withdrawn)
                return AlarmWithdrawn(withdrawn)
            case "alarms":
                may = frozenset(fields.texts("may", most=_LONGEST, longest=_LONGEST))
                return OpenAlarms(frozenset(self._open), may, _number(fields, "paused_until_ms"))
            case "audio":
                broken_by = fields.optional_text("broken_by", longest=160)
                return AudioPaused(_number(fields, "paused_until_ms"), broken_by)
            case _:
                of, target = fields.text("of", longest=_LONGEST), _text(fields, "target")
                return Refused(of, target, fields.text("reason", longest=200))

    def _event(self, item: Mapping[str, Any]) -> Event | None:
        fields = Fields(item)
        match item["type"]:
            case "stream":
                info = self._formats[fields.integer("alias", 0, 0xFFFF)] = _format(fields)
                return NumbersOnly(info) if info.rendition == renditions.Quality.VITALS else None
            case "vitals":
                return Vitals(
                    **_place(fields),
                    hr=_number(fields, "hr"),
                    hr_source=fields.optional_text("hr_source", longest=16),
                    rhythm=fields.optional_text("rhythm", longest=_LONGEST),
                    pvc_per_min=_count(fields, "pvc_per_min"),
                    beats=_beats(item.get("beats", [])),
                )
            case "gap":
                return _gap(fields)
            case "quality":
                return Quality(
                    **_place(fields),
                    state=SignalState(fields.choice("state", SignalState)),
                    leads_off=fields.texts("leads_off", most=_MOST_LEADS, longest=16),
                    rate_hz=_number(fields, "rate_hz"),
                )
            case "roster":
                return RosterChanged(_roster(fields, item))
            case "denied":
                return Denied(fields.text("stream", longest=_LONGEST))
            case "alarm" | "alarm_withdrawn" | "alarms" | "audio" | "refused":
                return self._about_alarms(fields, item["type"])
            case "stats":
                return _stats(fields, item)
            case "cadence":
                self.cadence = read_cadence(fields)
            case "time" | "bye":
                return None
            case _:
                refuse_unknown(item)
        return None


def read_cadence(fields: Fields) -> Cadence:
    """When to acknowledge, of `welcome.ack` or a `cadence`; what is missing is as by default."""
    return Cadence(
        fields.integer("messages", 1, 1000, default=OFTEN.messages),
        fields.integer("ms", 1, 10_000, default=OFTEN.ms),
    )


def _format(fields: Fields) -> StreamFormat:
    return StreamFormat(
        stream=fields.text("stream", longest=_LONGEST),
        epoch=fields.integer("epoch", 0, MAX_SAFE_INTEGER),
        rendition=fields.text("rendition", longest=_LONGEST),
        rate_hz=fields.number("rate_hz", 0.001),
        factor=fields.integer("factor", 1, MAX_SAFE_INTEGER),
        leads=tuple(
            Lead(
                lead.text("name", longest=16),
                lead.number("gain_uv"),
                lead.integer("baseline", -(2**31), 2**31 - 1, default=0),
            )
            for lead in fields.objects("leads", most=_MOST_LEADS)
        ),
        all_leads=tuple(fields.texts("all_leads", most=_MOST_LEADS, longest=16)),
        source=Source(fields.choice("source", Source)),
        patient=fields.text("patient", longest=_LONGEST),
        frame_ms=fields.integer("frame_ms", 1, 10_000),
    )


def _place(fields: Fields) -> dict[str, Any]:
    return {
        "stream": fields.text("stream", longest=_LONGEST),
        "epoch": fields.integer("epoch", 0, MAX_SAFE_INTEGER),
        "sample": fields.integer("sample", 0, SAMPLE_LIMIT),
    }


def _beats(pairs: Any) -> tuple[tuple[int, BeatKind], ...]:
    """Sample and kind of each; a kind that this version does not know is that of any other beat."""
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise ProtocolError("beats is not a list of pairs")
    beats = [Fields({"sample": sample, "kind": kind}, "beats.") for sample, kind in pairs]
    return tuple((beat.integer("sample", 0, SAMPLE_LIMIT), _kind(beat)) for beat in beats)


def _kind(beat: Fields) -> BeatKind:
    is_ventricular = beat.text("kind", longest=_LONGEST) == BeatKind.VENTRICULAR
    return BeatKind.VENTRICULAR if is_ventricular else BeatKind.OTHER


def _gap(fields: Fields) -> Gap:
    first = fields.integer("from", 0, SAMPLE_LIMIT)
    return Gap(
        stream=fields.text("stream", longest=_LONGEST),
        epoch=fields.integer("epoch", 0, MAX_SAFE_INTEGER),
        first=first,
        stop=fields.integer("to", first, SAMPLE_LIMIT),
        reason=GapReason(fields.choice("reason", GapReason)),
        recoverable=fields.flag("recoverable"),
    )


def _roster(fields: Fields, item: Mapping[str, Any]) -> tuple[RosterEntry, ...]:
    if item.get("streams") == []:
        return ()
    return tuple(
        RosterEntry(
            stream=entry.text("stream", longest=_LONGEST),
            patient=entry.text("patient", longest=_LONGEST),
            name=entry.optional_text("name", longest=200) or "",
            ward=entry.text("ward", longest=200),
            ward_name=entry.optional_text("ward_name", longest=200) or "",
            bed=entry.optional_text("bed", longest=200) or "",
            source=Source(entry.choice("source", Source)),
            online=entry.flag("online"),
            hr_low=_optional_rate(entry, "hr_low"),
            hr_high=_optional_rate(entry, "hr_high"),
        )
        for entry in fields.objects("streams", most=100_000)
    )


def _optional_rate(fields: Fields, name: str) -> int | None:
    return fields.integer(name, 0, _HIGHEST_RATE) if fields.has(name) else None


def _alarm(fields: Fields) -> Alarm:
    first = fields.integer("from", 0, SAMPLE_LIMIT)
    return Alarm(
        alarm=fields.text("alarm", longest=160),
        state=AlarmState(fields.choice("state", AlarmState)),
        origin=AlarmOrigin(fields.choice("origin", AlarmOrigin)),
        stream=_text(fields, "stream"),
        epoch=fields.integer("epoch", 0, MAX_SAFE_INTEGER),
        patient=_text(fields, "patient"),
        kind=fields.text("kind", longest=_LONGEST),
        severity=AlarmSeverity(fields.choice("severity", AlarmSeverity)),
        latching=fields.flag("latching"),
        text=fields.text("text", longest=200),
        value=_number(fields, "value"),
        limit=_number(fields, "limit"),
        unit=_text(fields, "unit"),
        first=first,
        stop=fields.integer("to", first, SAMPLE_LIMIT),
        lead=_text(fields, "lead"),
        sample=fields.integer("sample", 0, SAMPLE_LIMIT),
        raised_ms=fields.number("raised_ms"),
        cleared_ms=_number(fields, "cleared_ms"),
        acknowledged_ms=_number(fields, "acknowledged_ms"),
        acknowledged_by=_text(fields, "acknowledged_by"),
        unstored=fields.flag("unstored"),
    )


def _text(fields: Fields, name: str) -> str:
    """A string that may be empty."""
    return "" if fields.is_empty(name) else fields.text(name, longest=200)


def _stats(fields: Fields, item: Mapping[str, Any]) -> Stats:
    queued = item.get("queued")
    if not isinstance(queued, dict):
        raise ProtocolError("queued is not an object")
    by_priority = Fields(queued, "queued.")
    drops = item.get("drops") or {}
    if not isinstance(drops, dict):
        raise ProtocolError("drops is not an object")
    by_reason = Fields(drops, "drops.")
    return Stats(
        rtt_ms=_number(fields, "rtt_ms"),
        goodput_bps=_number(fields, "goodput_bps"),
        window_bytes=fields.integer("window_bytes", 0, MAX_SAFE_INTEGER),
        in_flight_bytes=fields.integer("in_flight_bytes", 0, MAX_SAFE_INTEGER),
        queued={name: by_priority.integer(name, 0, MAX_SAFE_INTEGER) for name in queued},
        dropped=fields.integer("dropped", 0, MAX_SAFE_INTEGER),
        expired=fields.integer("expired", 0, MAX_SAFE_INTEGER),
        condition=fields.text("condition", longest=_LONGEST),
        rendition=fields.text("rendition", longest=_LONGEST),
        reason=fields.text("reason", longest=_LONGEST),
        drops={name: by_reason.integer(name, 0, MAX_SAFE_INTEGER) for name in drops},
        overload=fields.optional_text("overload", longest=_LONGEST) or "normal",
        layer=fields.optional_text("layer", longest=_LONGEST) or "ok",
    )


def _count(fields: Fields, name: str) -> int | None:
    return fields.integer(name, 0, MAX_SAFE_INTEGER) if fields.has(name) else None


def _number(fields: Fields, name: str) -> float | None:
    return fields.number(name) if fields.has(name) else None
