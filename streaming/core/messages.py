"""The JSON messages of vital.v1 as the server sees them: what clients may say, and how it answers.

Parsers take one text message and return a frozen value, or None for a type that this version does not know.
They raise ProtocolError with a reason that names the field and never repeats its value.
Builders return compact JSON. The client's side of the same messages is in `client_messages`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from streaming.core import alarm_messages as alarms
from streaming.core import review_messages
from streaming.core.alarm_messages import AlarmAck, AlarmsDisplayed, AlarmsOff, AudioPause, DeviceAlarm
from streaming.core.cadence import OFTEN, Cadence
from streaming.core.fields import Fields
from streaming.core.frames import SUBPROTOCOL
from streaming.core.items import DropReason
from streaming.core.lab import Throttle
from streaming.core.priority import MessagePriority
from streaming.core.review_messages import Question
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.core.strict_json import MAX_SAFE_INTEGER, MAX_TEXT_BYTES, parse_json, to_json
from streaming.core.window import KEEPALIVE_S
from streaming.exceptions import AuthenticationError, CloseCode, ProtocolError

MAX_STREAMS = 64
CONNECTIONS_PER_PRINCIPAL = 64
"""Of one process; the next one is told to come again later."""
MAX_LEADS = 16
MAX_CHUNK_S = 2
MAX_CHUNK_SAMPLES = 8192
MAX_LEAD_NAME = 16
MAX_TOKEN = 256
RATE_HZ = (50.0, 2000.0)
GAIN_UV = (0.001, 100.0)
ADC_BITS = (8, 32)
SAMPLE_LIMIT = 2**32
"""Sample indices are u32: an epoch ends before this one."""
MAX_NEWEST_S = 1e9
"""Beyond what any epoch lasts, and what sample indices can count."""
STREAM_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
SESSION_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
MICROVOLTS_PER = {"uV": 1.0, "mV": 1000.0}

T = TypeVar("T")


class GapReason(StrEnum):
    """Why samples are missing from what a viewer gets."""

    EXPIRED = "expired"
    DROPPED = "dropped"
    QUOTA = "quota"
    EMERGENCY = "emergency"
    SOURCE = "source"
    RENDITION = "rendition"
    """The viewer was sent numbers only."""
    AWAY = "away"
    """The viewer had no connection."""


class SignalState(StrEnum):
    """Whether the device sends."""

    LIVE = "live"
    SILENT = "silent"


class BeatKind(StrEnum):
    """What a beat is, by the letters of MIT-BIH's annotations; N is any that is not ventricular."""

    OTHER = "N"
    VENTRICULAR = "V"


@dataclass(frozen=True, slots=True)
class ViewerHello:
    """First message of a viewer; the token is for clients without a session cookie."""

    token: str | None = field(default=None, repr=False)
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Subscribe:
    """The whole set of streams that the viewer wants, in its order and without repeats."""

    streams: tuple[str, ...]
    focus: str | None = None


@dataclass(frozen=True, slots=True)
class Ack:
    """All WebSocket messages up to number `n` since `welcome` are decoded; `backlog` wait for it.

    `held_ms` is how long message `n` had been decoded when this was sent: it is not the network's delay.
    """

    n: int
    decoded_ms: float
    backlog: int
    held_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Resume:
    """The viewer has all samples of the epoch before `next_sample`, and lacks what follows.

    With `stop` it asks for the samples up to that index, of which it was told that they are missing. With
    `newest_s` it wants no more than the last so many seconds before the first live sample.
    """

    stream: str
    epoch: int
    next_sample: int
    stop: int | None = None
    newest_s: float | None = None


@dataclass(frozen=True, slots=True)
class TimeRequest:
    """The client's clock, to be returned as it came."""

    t0: float


@dataclass(frozen=True, slots=True)
class Bye:
    """The client closes on purpose."""


@dataclass(frozen=True, slots=True)
class DeviceHello:
    """First message of a device: who it is, what it measures, and the index of its next new sample."""

    token: str = field(repr=False)
    session: str
    next_sample: int
    source: Source
    rate_hz: float
    leads: tuple[Lead, ...]


@dataclass(frozen=True, slots=True)
class DeviceQuality:
    """The leads that are off from sample index `sample` on."""

    sample: int
    leads_off: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ThrottleRequest:
    """The viewer's own link is to be worse than it is, where the server has a lab."""

    link: Throttle


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """One stream that a viewer may see; `name` is shown and never logged."""

    stream: str
    patient: str
    name: str
    ward: str
    ward_name: str
    bed: str
    source: Source
    online: bool
    hr_low: int | None = None
    hr_high: int | None = None
    """Beats a minute below and above which an alarm is due; None where nobody says."""


ViewerMessage = (
    ViewerHello
    | Subscribe
    | Ack
    | Resume
    | AlarmsDisplayed
    | AlarmAck
    | AudioPause
    | AlarmsOff
    | ThrottleRequest
    | Question
    | TimeRequest
    | Bye
)
DeviceMessage = DeviceHello | DeviceQuality | DeviceAlarm | TimeRequest | Bye


def parse_viewer_message(text: str) -> ViewerMessage | None:
    """What a viewer says in one text message; None for an unknown type, which is skipped."""
    return _parse(text, _VIEWER_MESSAGES)


_ACK = re.compile(
    r'\{"type":"ack","n":(0|[1-9]\d{0,14}),"decoded_ms":((?:0|[1-9]\d{0,14})(?:\.\d{1,17})?),'
    r'"backlog":(0|[1-9]\d{0,14})(?:,"held_ms":((?:0|[1-9]\d{0,14})(?:\.\d{1,17})?))?\}',
    re.ASCII,
)


def parse_plain_ack(text: str) -> Ack | None:
    """An ack as clients of ours write it, ten times as fast as `parse_viewer_message`; else None.

    Most of what viewers say is this. Another spelling is not an error: it is read the long way.
    """
    found = _ACK.fullmatch(text)
    if found is None:
        return None
    n, decoded_ms, backlog, held_ms = found.groups()
    return Ack(int(n), float(decoded_ms), int(backlog), float(held_ms or 0))


def parse_device_message(text: str) -> DeviceMessage | None:
    """What a device says in one text message; None for an unknown type, which is skipped."""
    return _parse(text, _DEVICE_MESSAGES)


def _parse(text: str, readers: Mapping[str, Callable[[Fields], T]]) -> T | None:
    fields = Fields(parse_json(text))
    reader = readers.get(fields.text("type", longest=32))
    if reader is not None:
        return reader(fields)
    if fields.flag("must_understand"):
        raise ProtocolError("type is unknown, and must be understood")
    return None


def _viewer_hello(fields: Fields) -> ViewerHello:
    _check_protocol(fields)
    return ViewerHello(
        fields.optional_text("token", longest=MAX_TOKEN), fields.optional_text("client", longest=64)
    )


def _subscribe(fields: Fields) -> Subscribe:
    streams = fields.texts("streams", most=MAX_STREAMS, longest=64, pattern=STREAM_ID)
    focus = fields.optional_text("focus", longest=64, pattern=STREAM_ID)
    if focus is not None and focus not in streams:
        raise fields.refusal("focus", "is not one of the streams")
    return Subscribe(streams, focus)


def _ack(fields: Fields) -> Ack:
    return Ack(
        fields.integer("n", 0, MAX_SAFE_INTEGER),
        fields.number("decoded_ms", 0),
        fields.integer("backlog", 0, MAX_SAFE_INTEGER),
        fields.number("held_ms", 0) if fields.has("held_ms") else 0.0,
    )


def _resume(fields: Fields) -> Resume:
    next_sample = fields.integer("next_sample", 0, SAMPLE_LIMIT)
    return Resume(
        fields.text("stream", longest=64, pattern=STREAM_ID),
        fields.integer("epoch", 0, MAX_SAFE_INTEGER),
        next_sample,
        fields.integer("to", next_sample + 1, SAMPLE_LIMIT) if fields.has("to") else None,
        fields.number("newest_s", 0, MAX_NEWEST_S) if fields.has("newest_s") else None,
    )


def _time_request(fields: Fields) -> TimeRequest:
    return TimeRequest(fields.number("t0"))


def _device_hello(fields: Fields) -> DeviceHello:
    _check_protocol(fields)
    if not fields.has("token"):
        raise AuthenticationError("token is missing")
    leads = tuple(_lead(signal) for signal in fields.objects("signals", most=MAX_LEADS))
    if len({lead.name for lead in leads}) != len(leads):
        raise fields.refusal("signals", "has two leads of one name")
    return DeviceHello(
        token=fields.text("token", longest=MAX_TOKEN),
        session=fields.text("session", longest=64, pattern=SESSION_ID),
        next_sample=fields.integer("next_sample", 0, SAMPLE_LIMIT - 1),
        source=Source(fields.choice("source", Source)),
        rate_hz=fields.number("rate_hz", *RATE_HZ),
        leads=leads,
    )


def _lead(signal: Fields) -> Lead:
    microvolts = MICROVOLTS_PER[signal.choice("unit", MICROVOLTS_PER)]
    gain_uv = signal.number("gain") * microvolts
    if not GAIN_UV[0] <= gain_uv <= GAIN_UV[1]:
        raise signal.refusal("gain", f"is not from {GAIN_UV[0]:g} to {GAIN_UV[1]:g} uV per step")
    return Lead(
        name=signal.text("name", longest=MAX_LEAD_NAME),
        gain_uv=gain_uv,
        # The zero line may lie outside the converter's range (WFDB header(5)), not outside 32 bits.
        baseline=signal.integer("baseline", -(2**31), 2**31 - 1, default=0),
        adc_bits=signal.integer("adc_bits", *ADC_BITS, default=16),
    )


def _device_quality(fields: Fields) -> DeviceQuality:
    return DeviceQuality(
        fields.integer("sample", 0, SAMPLE_LIMIT - 1),
        fields.texts("leads_off", most=MAX_LEADS, longest=MAX_LEAD_NAME),
    )


def _check_protocol(fields: Fields) -> None:
    if fields.text("protocol", longest=32) != SUBPROTOCOL:
        raise fields.refusal("protocol", f"is not {SUBPROTOCOL}")


_VIEWER_MESSAGES: Mapping[str, Callable[[Fields], ViewerMessage]] = {
    "hello": _viewer_hello,
    "subscribe": _subscribe,
    "ack": _ack,
    "resume": _resume,
    "alarm_displayed": alarms.read_displayed,
    "alarm_ack": alarms.read_ack,
    "audio_pause": alarms.read_audio_pause,
    "alarms_off": lambda fields: alarms.read_alarms_off(fields, STREAM_ID),
    "throttle": lambda fields: ThrottleRequest(Throttle(fields.choice("link", Throttle))),
    "review": lambda fields: review_messages.read_question(fields, STREAM_ID),
    "time": _time_request,
    "bye": lambda _: Bye(),
}
_DEVICE_MESSAGES: Mapping[str, Callable[[Fields], DeviceMessage]] = {
    "hello": _device_hello,
    "quality": _device_quality,
    "alarm": alarms.read_device_alarm,
    "time": _time_request,
    "bye": lambda _: Bye(),
}


def welcome(*, connection: str, server_ms: float) -> str:
    """Answer to a viewer's hello; message number 0 of the connection."""
    return _message(
        "welcome",
        protocol=SUBPROTOCOL,
        connection=connection,
        server_ms=server_ms,
        limits={"max_streams": MAX_STREAMS, "max_message_bytes": MAX_TEXT_BYTES},
        ack=asdict(OFTEN),
        keepalive_s=math.ceil(KEEPALIVE_S),
    )


def cadence(value: Cadence) -> str:
    """From here on, acknowledge as this says and no longer as `welcome` did."""
    return _message("cadence", **asdict(value))


def device_welcome(*, stream: str, epoch: int, next_sample: int, server_ms: float) -> str:
    """Answer to a device's hello; `next_sample` is where the server stands in this session."""
    return _message(
        "welcome",
        protocol=SUBPROTOCOL,
        stream=stream,
        epoch=epoch,
        next_sample=next_sample,
        server_ms=server_ms,
        limits={
            "max_message_bytes": MAX_TEXT_BYTES,
            "max_chunk_s": MAX_CHUNK_S,
            "max_chunk_samples": MAX_CHUNK_SAMPLES,
        },
    )


def device_ack(next_sample: int) -> str:
    """The server has every sample before `next_sample` that it will ever want."""
    return _message("ack", next_sample=next_sample)


def throttled(link: Throttle, left_s: float) -> str:
    """What the viewer's link is now, and for how long."""
    return _message("throttled", link=link, left_s=round(left_s, 1))


def roster(entries: Iterable[RosterEntry]) -> str:
    """All streams that this viewer may see."""
    return _message("roster", streams=[asdict(entry) for entry in entries])


def stream(
    info: StreamInfo,
    alias: int,
    *,
    rendition: str = "lossless",
    leads: Sequence[Lead] | None = None,
    factor: int = 1,
    frame_ms: int = 100,
) -> str:
    """What `alias` stands for in the frames that follow.

    `leads` are those of its payloads, all of the source's by default; `factor` native samples make one.
    """
    return _message(
        "stream",
        alias=alias,
        stream=info.stream,
        epoch=info.epoch,
        rendition=rendition,
        rate_hz=info.rate_hz,
        factor=factor,
        leads=[
            {"name": lead.name, "gain_uv": lead.gain_uv, "baseline": lead.baseline}
            for lead in (info.leads if leads is None else leads)
        ],
        all_leads=[lead.name for lead in info.leads],
        unit="uV",
        source=info.source,
        patient=info.patient,
        frame_ms=frame_ms,
    )


def vitals(
    stream: str,
    *,
    epoch: int,
    sample: int,
    hr: float | None,
    hr_source: str | None,
    rhythm: str | None = None,
    pvc_per_min: int | None = None,
    beats: Sequence[tuple[int, bool]] = (),
) -> str:
    """Heart rate in beats a minute at `sample`, the lead that it was counted on, and what the beats form.

    `rhythm` names what stands out, as information and not as alarm; what is None of that is left out. `beats`
    are those of the last seconds: the sample of each, and whether it is ventricular.
    """
    kinds = [[at, BeatKind.VENTRICULAR if ventricular else BeatKind.OTHER] for at, ventricular in beats]
    information = {"rhythm": rhythm, "pvc_per_min": pvc_per_min, "beats": kinds or None}
    known = {name: value for name, value in information.items() if value is not None}
    return _message("vitals", stream=stream, epoch=epoch, sample=sample, hr=hr, hr_source=hr_source, **known)


def quality(
    stream: str,
    *,
    epoch: int,
    sample: int,
    state: SignalState,
    leads_off: Iterable[str] = (),
    rate_hz: float | None = None,
) -> str:
    """State of the signal from `sample` on; `rate_hz` is measured, None until known."""
    return _message(
        "quality",
        stream=stream,
        epoch=epoch,
        sample=sample,
        state=state,
        leads_off=list(leads_off),
        rate_hz=rate_hz,
    )


def gap(stream: str, *, epoch: int, first: int, stop: int, reason: GapReason, recoverable: bool) -> str:
    """Samples `first` up to but not including `stop` are not delivered, or not yet."""
    values = {"from": first, "to": stop, "reason": reason, "recoverable": recoverable}
    return _message("gap", stream=stream, epoch=epoch, **values)


def denied(stream: str) -> str:
    """The stream is unknown or forbidden; a viewer cannot tell which."""
    return _message("denied", stream=stream)


def time(server_ms: float, *, t0: float | None = None) -> str:
    """The server's clock in Unix milliseconds: keepalive, or answer to a request with `t0`."""
    return _message("time", **({} if t0 is None else {"t0": t0}), server_ms=server_ms)


def stats(
    *,
    rtt_ms: float | None,
    goodput_bps: float | None,
    window_bytes: int,
    in_flight_bytes: int,
    queued: Mapping[MessagePriority, int],
    dropped: int,
    expired: int,
    drops: Mapping[DropReason, int],
    condition: str,
    rendition: str,
    reason: str,
    overload: str,
    layer: str = "ok",
) -> str:
    """How this connection fares, as the server sees it; None is not known yet.

    `drops` counts what was dropped and expired by reason, `rendition` is the coarsest that any of its streams
    is sent as, and `reason` why; `overload` is the state of the process. `layer` is "away" while streams of
    other processes do not reach this one.
    """
    return _message(
        "stats",
        rtt_ms=None if rtt_ms is None else round(rtt_ms, 1),
        goodput_bps=None if goodput_bps is None else round(goodput_bps),
        window_bytes=window_bytes,
        in_flight_bytes=in_flight_bytes,
        queued={priority.name.lower(): queued.get(priority, 0) for priority in MessagePriority},
        dropped=dropped,
        expired=expired,
        drops={reason.value: count for reason, count in drops.items() if count},
        condition=condition,
        rendition=rendition,
        reason=reason,
        overload=overload,
        layer=layer,
    )


def bye(code: CloseCode | int, reason: str, *, retry_after_ms: int | None = None) -> str:
    """The server is about to close with `code`."""
    return _message("bye", code=int(code), reason=reason, retry_after_ms=retry_after_ms)


def _message(message_type: str, **values: Any) -> str:
    return to_json({"type": message_type, **values})
