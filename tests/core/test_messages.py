from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core import client_messages, messages
from streaming.core.client_messages import parse_server_messages
from streaming.core.messages import (
    Ack,
    Bye,
    DeviceHello,
    DeviceQuality,
    Resume,
    Subscribe,
    TimeRequest,
    ViewerHello,
    parse_device_message,
    parse_plain_ack,
    parse_viewer_message,
)
from streaming.core.streams import Lead, Source
from streaming.exceptions import AuthenticationError, CloseCode, ProtocolError
from tests.make_vectors import client_texts, server_messages

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "messages.json").read_text())
TOKEN = "secret-token-0123456789"
HELLO: dict[str, Any] = {
    "type": "hello",
    "protocol": "vital.v1",
    "token": TOKEN,
    "session": "abcdefgh",
    "next_sample": 5,
    "source": "LIVE",
    "rate_hz": 250,
    "signals": [
        {"name": "II", "unit": "uV", "gain": 5, "baseline": 1024, "adc_bits": 12},
        {"name": "V1", "unit": "mV", "gain": 0.0025},
    ],
}


def signal(**changes: Any) -> dict[str, Any]:
    return {"signals": [HELLO["signals"][0] | changes]}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in HELLO.items() if key != name}


def signal_without(name: str) -> dict[str, Any]:
    return {"signals": [{k: v for k, v in HELLO["signals"][0].items() if k != name}]}


def viewer(**values: Any) -> object:
    return parse_viewer_message(json.dumps(values))


def device(**values: Any) -> object:
    return parse_device_message(json.dumps(values))


def test_viewer_messages_become_values() -> None:
    assert viewer(type="hello", protocol="vital.v1") == ViewerHello()
    assert viewer(type="hello", protocol="vital.v1", token="t", client="x 1") == ViewerHello("t", "x 1")
    assert viewer(type="hello", protocol="vital.v1", token=None, client=None) == ViewerHello()
    assert viewer(type="subscribe", streams=["a", "b-1"], focus="b-1") == Subscribe(("a", "b-1"), "b-1")
    assert viewer(type="subscribe", streams=[], focus=None) == Subscribe(())
    assert viewer(type="subscribe", streams=["a", "b", "a"]) == Subscribe(("a", "b"))
    assert viewer(type="ack", n=7, decoded_ms=0.5, backlog=2) == Ack(7, 0.5, 2)
    assert viewer(type="resume", stream="a", epoch=3, next_sample=0) == Resume("a", 3, 0)
    assert viewer(type="resume", stream="a", epoch=3, next_sample=5, to=2**32) == Resume("a", 3, 5, 2**32)
    assert viewer(type="resume", stream="a", epoch=3, next_sample=5, newest_s=64) == Resume(
        "a", 3, 5, newest_s=64.0
    )
    assert viewer(type="time", t0=-1) == TimeRequest(-1.0)
    assert viewer(type="bye") == Bye()


def test_device_hello_becomes_leads_in_microvolts() -> None:
    assert device(**HELLO) == DeviceHello(
        token=TOKEN,
        session="abcdefgh",
        next_sample=5,
        source=Source.LIVE,
        rate_hz=250.0,
        leads=(Lead("II", 5.0, 1024, 12), Lead("V1", 2.5, 0, 16)),
    )


def test_other_device_messages_become_values() -> None:
    assert device(type="quality", sample=9, leads_off=["II"]) == DeviceQuality(9, ("II",))
    assert device(type="time", t0=1.5) == TimeRequest(1.5)
    assert device(type="bye") == Bye()


@pytest.mark.parametrize("parse", [parse_viewer_message, parse_device_message])
def test_unknown_types_are_skipped_unless_they_must_be_understood(parse: Any) -> None:
    assert parse('{"type":"fanfare","must_understand":false}') is None
    with pytest.raises(ProtocolError, match="must be understood"):
        parse('{"type":"fanfare","must_understand":true}')
    with pytest.raises(ProtocolError, match="must_understand"):
        parse('{"type":"fanfare","must_understand":1}')


def test_each_side_knows_its_own_messages_only() -> None:
    assert device(type="subscribe", streams=["a"]) is None
    assert viewer(type="quality", sample=0, leads_off=[]) is None


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "type"),
        ({"type": 1}, "type"),
        ({"type": "hello"}, "protocol"),
        ({"type": "hello", "protocol": "vital.v2"}, "protocol"),
        ({"type": "hello", "protocol": "vital.v1", "token": ""}, "token"),
        ({"type": "hello", "protocol": "vital.v1", "token": "x" * 257}, "token"),
        ({"type": "hello", "protocol": "vital.v1", "client": "a\nb"}, "client"),
        ({"type": "subscribe"}, "streams"),
        ({"type": "subscribe", "streams": "a"}, "streams"),
        ({"type": "subscribe", "streams": [1]}, "streams"),
        ({"type": "subscribe", "streams": ["a/b"]}, "streams"),
        ({"type": "subscribe", "streams": ["a\n"]}, "streams"),
        ({"type": "subscribe", "streams": [f"s{n}" for n in range(65)]}, "streams"),
        ({"type": "subscribe", "streams": ["a"], "focus": "b"}, "focus"),
        ({"type": "ack", "n": 1.0, "decoded_ms": 0, "backlog": 0}, "n "),
        ({"type": "ack", "n": True, "decoded_ms": 0, "backlog": 0}, "n "),
        ({"type": "ack", "n": -1, "decoded_ms": 0, "backlog": 0}, "n "),
        ({"type": "ack", "n": 1, "decoded_ms": -0.1, "backlog": 0}, "decoded_ms"),
        ({"type": "ack", "n": 1, "decoded_ms": True, "backlog": 0}, "decoded_ms"),
        ({"type": "ack", "n": 1, "decoded_ms": 0}, "backlog"),
        ({"type": "resume", "stream": "a/b", "epoch": 1, "next_sample": 0}, "stream"),
        ({"type": "resume", "stream": "a", "epoch": -1, "next_sample": 0}, "epoch"),
        ({"type": "resume", "stream": "a", "epoch": 1, "next_sample": 2**32 + 1}, "next_sample"),
        ({"type": "resume", "stream": "a", "epoch": 1, "next_sample": 7, "to": 7}, "to "),
        ({"type": "resume", "stream": "a", "epoch": 1, "next_sample": 7, "to": 2**32 + 1}, "to "),
        ({"type": "resume", "stream": "a", "epoch": 1, "next_sample": 7, "newest_s": -1}, "newest_s"),
        ({"type": "resume", "stream": "a", "epoch": 1, "next_sample": 7, "newest_s": 1e308}, "newest_s"),
        ({"type": "time"}, "t0"),
        ({"type": "time", "t0": "0"}, "t0"),
    ],
)
def test_a_malformed_viewer_message_is_refused_by_field(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ProtocolError, match=f"^{field}"):
        viewer(**values)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (without("session"), "session"),
        ({"session": "short"}, "session"),
        ({"session": "x" * 65}, "session"),
        ({"session": "white space"}, "session"),
        (without("next_sample"), "next_sample"),
        ({"next_sample": -1}, "next_sample"),
        ({"next_sample": 2**32}, "next_sample"),
        ({"source": "REAL"}, "source"),
        ({"source": ["LIVE"]}, "source"),
        (without("rate_hz"), "rate_hz"),
        ({"rate_hz": None}, "rate_hz"),
        ({"rate_hz": 49.9}, "rate_hz"),
        ({"rate_hz": 2000.1}, "rate_hz"),
        (without("signals"), "signals"),
        ({"signals": []}, "signals"),
        ({"signals": [1]}, "signals"),
        ({"signals": [HELLO["signals"][0] | {"name": f"L{n}"} for n in range(17)]}, "signals"),
        ({"signals": HELLO["signals"] * 2}, "signals has two leads of one name"),
        (signal_without("name"), r"signals\[0\]\.name"),
        (signal(name=""), r"signals\[0\]\.name"),
        (signal(name="x" * 17), r"signals\[0\]\.name"),
        (signal_without("unit"), r"signals\[0\]\.unit"),
        (signal(unit="V"), r"signals\[0\]\.unit"),
        (signal_without("gain"), r"signals\[0\]\.gain"),
        (signal(gain=0), r"signals\[0\]\.gain"),
        (signal(gain=-5), r"signals\[0\]\.gain"),
        (signal(gain=100.1), r"signals\[0\]\.gain"),
        (signal(gain=200, unit="mV"), r"signals\[0\]\.gain"),
        (signal(baseline=0.5), r"signals\[0\]\.baseline"),
        (signal(baseline=2**31), r"signals\[0\]\.baseline"),
        (signal(adc_bits=7), r"signals\[0\]\.adc_bits"),
        (signal(adc_bits=33), r"signals\[0\]\.adc_bits"),
        ({"token": 7}, "token"),
        ({"protocol": "vital.v0"}, "protocol"),
    ],
)
def test_an_implausible_device_is_refused_by_field(changes: dict[str, Any], field: str) -> None:
    values = HELLO | changes if len(changes) < 3 else changes
    with pytest.raises(ProtocolError, match=f"^{field}") as refused:
        device(**values)
    assert TOKEN not in str(refused.value)
    assert refused.value.close_code is CloseCode.PROTOCOL


def test_a_device_without_token_is_unauthenticated() -> None:
    for values in (without("token"), HELLO | {"token": None}):
        with pytest.raises(AuthenticationError, match="token"):
            device(**values)


def test_limits_themselves_are_allowed() -> None:
    for changes in ({"rate_hz": 50}, {"rate_hz": 2000}, signal(gain=0.001), signal(gain=0.1, unit="mV")):
        assert isinstance(device(**HELLO | changes), DeviceHello)


def test_tokens_do_not_show_in_a_repr() -> None:
    assert TOKEN not in repr(device(**HELLO))
    assert TOKEN not in repr(viewer(type="hello", protocol="vital.v1", token=TOKEN))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists), st.data())
def test_no_field_value_escapes_as_another_error(value: Any, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(sorted(client_texts().values())))
    message = json.loads(text)
    holder = data.draw(st.sampled_from([message, *message.get("signals", [])]))
    holder[data.draw(st.sampled_from(sorted(holder)))] = value
    for parse in (parse_viewer_message, parse_device_message):
        with contextlib.suppress(ProtocolError):
            parse(json.dumps(message))


def test_server_messages_are_the_vectors() -> None:
    assert {case["name"]: case["text"] for case in VECTORS["server"]} == server_messages()


def test_client_messages_are_the_vectors() -> None:
    assert {case["name"]: case["text"] for case in VECTORS["client"]} == client_texts()


@pytest.mark.parametrize("name", client_texts())
def test_the_server_understands_what_clients_say(name: str) -> None:
    parse = parse_device_message if name.startswith("device") else parse_viewer_message
    assert parse(client_texts()[name]) is not None


def test_a_device_hello_keeps_its_leads() -> None:
    leads = (Lead("I", 2.5, -100, 24), Lead("aVR", 0.15))
    text = client_messages.device_hello(
        token="t", session="s" * 8, next_sample=3, source=Source.SIM, rate_hz=500, leads=leads
    )
    parsed = parse_device_message(text)
    assert isinstance(parsed, DeviceHello)
    assert parsed.leads == leads


@pytest.mark.parametrize("case", VECTORS["viewer"], ids=lambda case: case["name"])
def test_clients_read_server_messages(case: dict[str, Any]) -> None:
    read = parse_server_messages(case["text"])
    value = json.loads(case["text"])
    assert read == (value if isinstance(value, list) else [value])


@pytest.mark.parametrize("case", VECTORS["malformed"], ids=lambda case: case["name"])
def test_clients_refuse_malformed_messages(case: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        parse_server_messages(case["text"])


def test_an_ack_of_our_clients_is_read_the_short_way() -> None:
    text = client_messages.ack(17, decoded_ms=1.25, backlog=0, held_ms=48.5)
    assert parse_plain_ack(text) == Ack(17, 1.25, 0, 48.5)
    assert parse_plain_ack('{"type":"ack","n":3,"decoded_ms":0,"backlog":1}') == Ack(3, 0.0, 1)


@given(
    st.one_of(
        st.from_regex(messages._ACK, fullmatch=True),
        st.builds(
            '{{"type":"ack","n":{},"decoded_ms":{},"backlog":{},"held_ms":{}}}'.format,
            *[st.from_regex(r"-?[0-9.eE+]{0,18}", fullmatch=True)] * 4,
        ),
    )
)
def test_the_short_way_reads_nothing_otherwise_than_the_long_one(text: str) -> None:
    found = parse_plain_ack(text)
    if found is not None:
        assert parse_viewer_message(text) == found


@pytest.mark.parametrize("text", ["", "{}", '{"type":"ack","n":01,"decoded_ms":0,"backlog":0}', "\u0661"])
def test_what_is_spelled_otherwise_goes_the_long_way(text: str) -> None:
    assert parse_plain_ack(text) is None
