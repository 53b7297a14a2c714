"""The JSON messages of vital.v1 as a client sees them: what it says, and reading what the server says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from streaming.core.alarm_messages import DeviceAlarm
from streaming.core.frames import SUBPROTOCOL
from streaming.core.lab import Throttle
from streaming.core.streams import Lead, Source
from streaming.core.strict_json import MAX_SERVER_TEXT_BYTES, parse_any_json, to_json
from streaming.exceptions import ProtocolError

__all__ = [
    "MAX_SERVER_TEXT_BYTES",
    "ack",
    "alarm_ack",
    "alarm_displayed",
    "alarms_off",
    "audio_pause",
    "client_bye",
    "device_alarm",
    "device_hello",
    "device_quality",
    "parse_server_messages",
    "resume",
    "review",
    "subscribe",
    "throttle",
    "time_request",
    "viewer_hello",
]


def viewer_hello(*, token: str | None = None, client: str | None = None) -> str:
    """A viewer's first message; `client` names the program, for the server's log."""
    return _message("hello", protocol=SUBPROTOCOL, token=token, client=client)


def subscribe(streams: Iterable[str], *, focus: str | None = None) -> str:
    """The whole set of streams wanted from now on; it replaces the set before."""
    return _message("subscribe", streams=list(streams), focus=focus)


def ack(n: int, *, decoded_ms: float, backlog: int, held_ms: float = 0.0) -> str:
    """Every WebSocket message up to number `n` since `welcome` is decoded, in `decoded_ms` all told.

    `held_ms` is how long ago message `n` was decoded.
    """
    return _message("ack", n=n, decoded_ms=round(decoded_ms, 3), backlog=backlog, held_ms=round(held_ms, 3))


def resume(stream: str, *, epoch: int, next_sample: int, stop: int | None = None) -> str:
    """All of the epoch before `next_sample` has come; with `stop`, ask for what lies up to that index."""
    return _message("resume", stream=stream, epoch=epoch, next_sample=next_sample, to=stop)


def review(
    question: int,
    stream: str,
    what: str,
    *,
    from_ms: float,
    to_ms: float,
    slot: str = "main",
    columns: int | None = None,
    lead: str | None = None,
) -> str:
    """Ask for a stretch of the past; the answer has the number of the question."""
    place = {"from_ms": from_ms, "to_ms": to_ms, "columns": columns, "lead": lead}
    return _message("review", id=question, slot=slot, stream=stream, what=what, **place)


def alarm_displayed(alarms: Iterable[str], *, hidden: bool = False) -> str:
    """These alarms are shown to people; `hidden`: on a page that nobody sees now."""
    return _message("alarm_displayed", alarms=list(alarms), hidden=hidden)


def alarm_ack(alarm: str) -> str:
    """The user has seen to an alarm."""
    return _message("alarm_ack", alarm=alarm)


def audio_pause(seconds: int) -> str:
    """Make no sound for so long; 0 ends the pause."""
    return _message("audio_pause", seconds=seconds)


def alarms_off(stream: str, *, off: bool) -> str:
    """Switch the alarms of a stream's patient off, or on again."""
    return _message("alarms_off", stream=stream, off=off)


def throttle(link: Throttle) -> str:
    """Make this connection's link worse, or what it was, at a server that has a lab."""
    return _message("throttle", link=link)


def time_request(t0: float) -> str:
    """Ask for the server's clock; `t0` comes back as it is."""
    return _message("time", t0=t0)


def client_bye() -> str:
    """The client closes on purpose."""
    return _message("bye")


def device_hello(
    *,
    token: str,
    session: str,
    next_sample: int,
    source: Source,
    rate_hz: float,
    leads: Sequence[Lead],
) -> str:
    """A device's first message; `next_sample` is the index of its next new sample in this session."""
    return _message(
        "hello",
        protocol=SUBPROTOCOL,
        token=token,
        session=session,
        next_sample=next_sample,
        source=source,
        rate_hz=rate_hz,
        signals=[
            {
                "name": lead.name,
                "unit": "uV",
                "gain": lead.gain_uv,
                "baseline": lead.baseline,
                "adc_bits": lead.adc_bits,
            }
            for lead in leads
        ],
    )


def device_quality(*, sample: int, leads_off: Iterable[str]) -> str:
    """The leads that are off from sample index `sample` on."""
    return _message("quality", sample=sample, leads_off=list(leads_off))


def device_alarm(alarm: DeviceAlarm) -> str:
    """A device's own alarm, or its end."""
    place = {"alarm": alarm.alarm, "state": "on" if alarm.on else "off", "sample": alarm.sample}
    if not alarm.on:
        return _message("alarm", **place)
    return _message(
        "alarm",
        **place,
        kind=alarm.kind,
        severity=alarm.severity,
        text=alarm.text,
        value=alarm.value,
        limit=alarm.limit,
        unit=alarm.unit or None,
        lead=alarm.lead or None,
    )


def parse_server_messages(text: str, *, max_bytes: int = MAX_SERVER_TEXT_BYTES) -> list[dict[str, Any]]:
    """The messages of one text message: an object, or an array of objects that the server bundled.

    Every returned object has a string `type`. Raises ProtocolError for what is not JSON, not an object, or
    of an unknown shape; unknown types are returned, and refused only by `must_understand` at their reader.
    """
    value = parse_any_json(text, max_bytes=max_bytes)
    messages = value if isinstance(value, list) else [value]
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise ProtocolError("message is not an object with a type")
    return messages


def _message(message_type: str, **values: Any) -> str:
    """JSON without the fields that are None: for every optional field, missing and null mean the same."""
    return to_json({"type": message_type, **{name: v for name, v in values.items() if v is not None}})
