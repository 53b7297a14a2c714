"""protocol.md and asyncapi.yaml keep up with the code: messages, fields, codes, kinds, flags, limits."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any
from zlib import crc32

import pytest
import yaml

from streaming.core import alarm_messages, messages, review_messages
from streaming.core.alarm_record import AlarmOrigin, AlarmSeverity, AlarmState
from streaming.core.dictionary import DICTIONARY
from streaming.core.frames import FrameFlag, FrameKind, encode_json_frame, pack_json_frame
from streaming.core.items import LOST
from streaming.core.ladder import Reason
from streaming.core.messages import GapReason, SignalState
from streaming.core.overload import OverloadState
from streaming.core.priority import MessagePriority
from streaming.core.renditions import Quality
from streaming.core.streams import Source
from streaming.ecg.codec import CodecId
from streaming.exceptions import CloseCode
from tests.make_vectors import client_texts, server_messages
from tests.servers import ROOT

PAGE = (ROOT / "docs" / "protocol.md").read_text()
SPEC: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text())
MESSAGES: dict[str, Any] = SPEC["components"]["messages"]

FROM_SERVER = {
    "welcome": "viewerWelcome",
    "device welcome": "deviceWelcome",
    "device ack": "deviceAck",
    "device alarm_stored": "deviceAlarmStored",
    "alarm": "serverAlarm",
    "alarm_withdrawn": "alarmWithdrawn",
    "bye": "serverBye",
}
FROM_CLIENT = {
    "hello": "viewerHello",
    "device hello": "deviceHello",
    "device quality": "deviceQuality",
    "device alarm": "deviceAlarm",
    "alarm_displayed": "alarmDisplayed",
    "alarm_ack": "alarmAck",
    "audio_pause": "audioPause",
    "alarms_off": "alarmsOff",
    "review": "reviewQuestion",
    "time": "timeRequest",
    "bye": "clientBye",
}


def documented(name: str, text: str, names: dict[str, str]) -> dict[str, Any]:
    """The schema of a vector: by its type, or by its type at a device."""
    kind = json.loads(text)["type"]
    kind = f"device {kind}" if name.startswith("device") else kind
    return dict(MESSAGES[names.get(kind, kind)]["payload"])


def conforms(value: Any, schema: dict[str, Any]) -> bool:
    """As much of JSON Schema as asyncapi.yaml uses, and no field that it does not name."""
    if "$ref" in schema:
        return conforms(value, resolve(schema["$ref"]))
    types = schema.get("type", [])
    types = types if isinstance(types, list) else [types]
    if types and not any(is_of(value, kind) for kind in types):
        return False
    if value is None:
        return True
    if isinstance(value, dict):
        fields = schema.get("properties", {})
        return set(schema.get("required", ())) <= set(value) and all(
            name in fields and conforms(item, fields[name]) for name, item in value.items()
        )
    if isinstance(value, list):
        return len(value) <= schema.get("maxItems", len(value)) and all(
            conforms(item, schema["items"]) for item in value
        )
    return (
        value == schema.get("const", value)
        and value in schema.get("enum", [value])
        and ("oneOf" not in schema or any(conforms(value, option) for option in schema["oneOf"]))
        and (isinstance(value, str) or value >= schema.get("minimum", value))
        and (isinstance(value, str) or value <= schema.get("maximum", value))
        and (not isinstance(value, str) or bool(re.search(schema.get("pattern", ""), value)))
    )


def is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    types: dict[str, Any] = {
        "null": type(None),
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
    }
    return isinstance(value, types[kind])


@cache
def resolve(reference: str) -> Any:
    node: Any = SPEC
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


@pytest.mark.parametrize("name", server_messages())
def test_what_the_server_says_is_in_the_specification(name: str) -> None:
    text = server_messages()[name]
    assert conforms(json.loads(text), documented(name, text, FROM_SERVER))


@pytest.mark.parametrize("name", client_texts())
def test_what_clients_say_is_in_the_specification(name: str) -> None:
    text = client_texts()[name]
    assert conforms(json.loads(text), documented(name, text, FROM_CLIENT))


def test_the_specification_would_notice_a_change() -> None:
    gap = json.loads(server_messages()["gap"])
    schema = MESSAGES["gap"]["payload"]
    assert not conforms(gap | {"new": 1}, schema)
    assert not conforms({key: value for key, value in gap.items() if key != "to"}, schema)
    for change in ({"reason": "lost"}, {"from": -1}, {"from": "0"}, {"stream": "a/b"}, {"recoverable": 1}):
        assert not conforms(gap | change, schema)


def test_every_type_that_the_server_parses_is_specified_and_described() -> None:
    for known, channel in (
        (messages._VIEWER_MESSAGES, "hearViewer"),
        (messages._DEVICE_MESSAGES, "hearDevice"),
    ):
        heard = [resolve(resolve(m["$ref"])["$ref"]) for m in SPEC["operations"][channel]["messages"]]
        types = {m["payload"]["properties"]["type"]["const"] for m in heard if "properties" in m["payload"]}
        assert types == set(known)


def test_every_message_of_the_specification_has_a_vector() -> None:
    texts = [*server_messages().values(), *client_texts().values()]
    known = {(m["type"], frozenset(m)) for m in map(json.loads, texts)}
    for name, message in MESSAGES.items():
        if name != "bundle":
            payload = message["payload"]
            kind, required = payload["properties"]["type"]["const"], set(payload["required"])
            assert any(kind == t and required <= fields for t, fields in known), name


@pytest.mark.parametrize("name", sorted({*server_messages(), *client_texts()}))
def test_every_message_is_described_with_its_fields(name: str) -> None:
    for text in (server_messages().get(name), client_texts().get(name)):
        if text is None:
            continue
        message = json.loads(text)
        assert re.search(rf"^#### `{message['type']}`", PAGE, re.MULTILINE)
        for field in message.keys() - {"type"}:
            assert re.search(rf"[`\"]{field}[`\"]", PAGE), field


@pytest.mark.parametrize("code", CloseCode)
def test_every_close_code_is_documented(code: CloseCode) -> None:
    assert f"| {code.value} | {code.name} |" in PAGE
    options = MESSAGES["serverBye"]["payload"]["properties"]["code"]["oneOf"]
    assert {"const": code.value, "title": code.name} in options


def test_every_kind_flag_and_codec_is_documented() -> None:
    bundle = MESSAGES["bundle"]["payload"]
    assert bundle["x-frame-kinds"] == {kind.name: kind.value for kind in FrameKind}
    assert bundle["x-frame-flags"] == {flag.name: flag.value for flag in FrameFlag if flag}
    assert bundle["x-waveform-codecs"] == {codec.name: codec.value for codec in CodecId}
    for member in (*FrameKind, *CodecId):
        assert f"| {member.value} | {member.name} |" in PAGE
    for flag in FrameFlag:
        assert f"| 0x{flag.value:02x} | {flag.name} |" in PAGE


def test_every_word_of_a_field_is_documented() -> None:
    words = (*GapReason, *SignalState, *Source, *Quality, *Reason, *OverloadState, *LOST)
    words += (*AlarmOrigin, *AlarmSeverity, *AlarmState)
    words += tuple(p.name.lower() for p in MessagePriority)
    for word in words:
        assert f"`{word}`" in PAGE, word
    properties = {name: message["payload"].get("properties", {}) for name, message in MESSAGES.items()}
    assert properties["gap"]["reason"]["enum"] == [reason.value for reason in GapReason]
    assert properties["stats"]["reason"]["enum"] == [reason.value for reason in Reason]
    assert properties["stats"]["overload"]["enum"] == [state.value for state in OverloadState]
    assert list(properties["stats"]["drops"]["properties"]) == [reason.value for reason in LOST]
    assert SPEC["components"]["schemas"]["rendition"]["enum"] == [quality.value for quality in Quality]
    assert properties["serverAlarm"]["origin"]["enum"] == [origin.value for origin in AlarmOrigin]
    assert properties["serverAlarm"]["severity"]["enum"] == [severity.value for severity in AlarmSeverity]
    assert properties["serverAlarm"]["state"]["enum"] == [state.value for state in AlarmState]
    assert properties["deviceAlarm"]["severity"]["enum"] == [severity.value for severity in AlarmSeverity]
    assert properties["quality"]["state"]["enum"] == [state.value for state in SignalState]
    assert SPEC["components"]["schemas"]["source"]["enum"] == [source.value for source in Source]
    assert list(properties["stats"]["queued"]["properties"]) == [p.name.lower() for p in MessagePriority]


def test_the_limits_are_the_documented_ones() -> None:
    schemas = SPEC["components"]["schemas"]
    assert (schemas["rateHz"]["minimum"], schemas["rateHz"]["maximum"]) == messages.RATE_HZ
    assert schemas["leadName"]["maxLength"] == messages.MAX_LEAD_NAME
    assert schemas["nextSample"]["maximum"] == messages.SAMPLE_LIMIT
    assert schemas["sampleIndex"]["maximum"] == messages.SAMPLE_LIMIT - 1
    assert schemas["streamId"]["pattern"] == f"^{messages.STREAM_ID.pattern}$"
    assert MESSAGES["subscribe"]["payload"]["properties"]["streams"]["maxItems"] == messages.MAX_STREAMS
    hello = MESSAGES["deviceHello"]["payload"]["properties"]
    assert hello["session"]["pattern"] == f"^{messages.SESSION_ID.pattern}$"
    assert hello["token"]["maxLength"] == messages.MAX_TOKEN
    signal = hello["signals"]["items"]["properties"]
    assert hello["signals"]["maxItems"] == messages.MAX_LEADS
    assert (signal["adc_bits"]["minimum"], signal["adc_bits"]["maximum"]) == messages.ADC_BITS
    assert signal["unit"]["enum"] == list(messages.MICROVOLTS_PER)
    assert schemas["alarmId"]["pattern"] == f"^{alarm_messages.ALARM_ID.pattern}$"
    displayed = MESSAGES["alarmDisplayed"]["payload"]["properties"]
    assert displayed["alarms"]["maxItems"] == alarm_messages.MAX_DISPLAYED
    question = MESSAGES["reviewQuestion"]["payload"]["properties"]
    assert question["columns"]["maximum"] == review_messages.MAX_COLUMNS
    assert question["what"]["enum"] == [subject.value for subject in review_messages.Subject]
    for subject, longest in review_messages.LONGEST_MS.items():
        assert f"| `{subject.value}` | {longest / 1000:,.0f} s |" in PAGE
    pause = MESSAGES["audioPause"]["payload"]["properties"]
    assert pause["seconds"]["maximum"] == alarm_messages.MAX_PAUSE_S
    alarm = MESSAGES["deviceAlarm"]["payload"]["properties"]
    assert alarm["alarm"]["pattern"] == f"^{alarm_messages.DEVICE_ALARM_ID.pattern}$"
    assert alarm["kind"]["pattern"] == f"^{alarm_messages.ALARM_KIND.pattern}$"
    assert alarm["text"]["maxLength"] == alarm_messages.MAX_ALARM_TEXT
    assert alarm["lead"]["maxLength"] == alarm_messages.MAX_LEADS_TEXT


def test_the_dictionary_is_the_one_that_is_described() -> None:
    page = (ROOT / "docs" / "compression.md").read_text()
    assert f"{len(DICTIONARY)} bytes, with the CRC-32 `{crc32(DICTIONARY):08x}`" in page
    texts = server_messages()
    for name in ("vitals", "quality", "stats", "stream"):
        plain, packed = encode_json_frame(texts[name]), pack_json_frame(texts[name])
        row = re.search(rf"\| {name} \| {len(plain)} \| (\d+) \|", page)
        assert row is not None
        assert abs(int(row[1]) - len(packed)) <= 2  # other builds of zlib make it a byte longer or shorter
