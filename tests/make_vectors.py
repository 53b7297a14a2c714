"""Make tests/vectors: wire data with its meaning, which Python and JavaScript both have to agree on.

`python -m tests.make_vectors` writes the files anew. A change in them is a change of vital.v1.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from streaming.alarm_facts import not_stored_facts
from streaming.core import alarm_messages, client_messages, messages, review_messages
from streaming.core.alarm_messages import DeviceAlarm
from streaming.core.alarm_record import AlarmFacts, AlarmOrigin, AlarmRecord, AlarmSeverity
from streaming.core.cadence import SELDOM
from streaming.core.deflate import deflate
from streaming.core.dictionary import DICTIONARY
from streaming.core.frames import FrameFlag, FrameKind, encode_frame
from streaming.core.framing import BUNDLE_VERSION, encode_bundle
from streaming.core.items import DropReason
from streaming.core.lab import Throttle
from streaming.core.messages import GapReason, RosterEntry, SignalState
from streaming.core.priority import MessagePriority
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.ecg.planes import HEADER, Samples, encode_planes, to_planes
from streaming.exceptions import CloseCode
from tests import make_ecg1_vectors

WITH_DICTIONARY = FrameFlag.DEFLATED | FrameFlag.DICTIONARY
VECTORS = Path(__file__).parent / "vectors"

Vectors = dict[str, list[dict[str, Any]]]

_LEADS = (Lead("II", 5.0, 1024, 12), Lead("V1", 4.88, 0, 16))
ASYSTOLE = AlarmFacts(
    alarm="5f0c2a",
    origin=AlarmOrigin.ANALYSIS,
    stream="bed-7",
    epoch=3,
    ward="icu",
    patient="P-0042",
    kind="asystole",
    severity=AlarmSeverity.HIGH,
    priority=MessagePriority.CRITICAL,
    latching=True,
    text="ASYSTOLE 4.2 >= 4 s",
    value=4.2,
    limit=4.0,
    unit="s",
    first=3600,
    stop=5112,
    lead="II",
    sample=5112,
    condition_delay_s=4.2,
    signal_delay_s=0.0,
)
_VENT_TACHY = DeviceAlarm(
    "d-17", True, 5112, "vent tachy", AlarmSeverity.HIGH, "VENT TACHY 182 > 100", 182.0, 100.0, "bpm", "II"
)
_INFO = StreamInfo("bed-7", 3, "P-0042", "icu", Source.REPLAY, 360.0, _LEADS)


def main() -> None:
    """Write every vector file."""
    VECTORS.mkdir(exist_ok=True)
    for name, vectors in all_vectors().items():
        # One case a line: a diff shows which case changed.
        parts = [
            f'"{part}": [\n' + ",\n".join(json.dumps(case) for case in cases) + "\n]"
            for part, cases in vectors.items()
        ]
        (VECTORS / f"{name}.json").write_text("{\n" + ",\n".join(parts) + "\n}\n")


def all_vectors() -> dict[str, Vectors]:
    """The content of every file, by its name."""
    return {
        "frames": frames(),
        "waveforms": waveforms(),
        "ecg1": make_ecg1_vectors.vectors(),
        "messages": _messages(),
    }


def frames() -> Vectors:
    """Bundles: the frames in them, and what is no bundle."""
    text = '{"type":"time","server_ms":1700000000000.5}'
    name = '{"type":"denied","stream":"Ä"}'
    deflated = deflate(text.encode(), level=6, window_bits=12, mem_level=5)
    behind = deflate(text.encode(), level=6, window_bits=12, mem_level=5, dictionary=DICTIONARY)
    first = deflate(DICTIONARY[:60], level=6, window_bits=15, mem_level=9, dictionary=DICTIONARY)
    wave = (FrameKind.WAVEFORM, 7, 4_294_967_295, b"\x01\x02\x03", 0)
    bulk = (FrameKind.BACKFILL, 65535, 0, b"\x00" * 200, 0)
    plain = (FrameKind.JSON, 0, 0, name.encode(), 0)
    packed = (FrameKind.JSON, 0, 0, deflated, FrameFlag.DEFLATED)
    good = encode_frame(*wave)
    head = bytes([BUNDLE_VERSION])
    return {
        "valid": [
            _bundle("one waveform, largest index", wave),
            _bundle("length of two bytes", bulk),
            _bundle("with the dictionary", (FrameKind.JSON, 0, 0, behind, WITH_DICTIONARY), texts=[text]),
            _bundle(
                "the dictionary's first bytes",
                (FrameKind.JSON, 0, 0, first, WITH_DICTIONARY),
                texts=[DICTIONARY[:60].decode()],
            ),
            _bundle("every kind", wave, bulk, plain, packed, texts=[name, text]),
        ],
        "malformed": [
            _case("nothing", b""),
            _case("another version", b"\x02" + bytes([len(good)]) + good),
            _case("version alone", head),
            _case("length cut off", head + b"\x8b"),
            _case("length of four bytes", head + b"\x8b\x80\x80\x00" + good),
            _case("length with a needless byte", head + b"\x8b\x00" + good),
            _case("length zero", head + b"\x00"),
            _case("no payload", head + b"\x08" + good[:8]),
            _case("shorter than its length", head + bytes([len(good) + 1]) + good),
            _case("longer than a frame may be", head + b"\x81\x80\x04" + good),
            _case("kind 0", head + b"\x0b\x00" + good[1:]),
            _case("kind 4", head + b"\x0b\x04" + good[1:]),
            _case("unknown flag", head + b"\x0b\x03\x04" + good[2:]),
            _case("dictionary without deflate", head + b"\x0b\x03\x02" + good[2:]),
            _case("waveform with the dictionary", head + b"\x0b\x01\x03" + good[2:]),
            _case("waveform with the flag of JSON", head + b"\x0b\x01\x01" + good[2:]),
            _case("second frame without payload", head + b"\x0b" + good + b"\x08" + good[:8]),
        ],
        "malformed_text": [
            _text_case("not UTF-8", b"\xff\xfe", FrameFlag.NONE),
            _text_case("not deflate", b"\x07\xff\xff", FrameFlag.DEFLATED),
            _text_case("deflate cut off", deflated[:-1], FrameFlag.DEFLATED),
            _text_case("bytes behind deflate", deflated + b"\x00", FrameFlag.DEFLATED),
            _text_case("dictionary that the flags leave out", first, FrameFlag.DEFLATED),
            _text_case("cut off behind the dictionary", behind[:-1], WITH_DICTIONARY),
            _text_case("bytes behind deflate with the dictionary", behind + b"\x00", WITH_DICTIONARY),
            _text_case("match before the dictionary", _before_the_dictionary(), WITH_DICTIONARY),
            _text_case(
                "inflates beyond 1 MiB with the dictionary", _deflated(b" " * (2**20 + 1)), WITH_DICTIONARY
            ),
            _text_case("inflates beyond 1 MiB", _deflated(b" " * (2**20 + 1)), FrameFlag.DEFLATED),
        ],
    }


def waveforms() -> Vectors:
    """Payloads: the samples in them, and what is no payload."""
    rng = np.random.default_rng(2)
    walk = np.cumsum(rng.integers(-9, 10, (12, 50)), axis=1).astype(np.int16)
    small = np.array([[0, -1, 5, 300, 299], [7, 7, 7, 7, 7]], np.int16)
    edge16 = np.array([[32767, -32768, 32767, 0, -1, 1]], np.int16)
    edge32 = np.array([[2**31 - 1, -(2**31), 2**31 - 1, 0, -1, 70000]] * 2, np.int32)
    good = _payload(small)
    body = good[4:]
    plain = to_planes(small)
    return {
        "valid": [
            _waveform("one sample", np.array([[-2]], np.int16)),
            _waveform("two leads", small),
            _waveform("twelve leads x 100 ms at 500 Hz", walk),
            _waveform("extremes of 16 bits", edge16),
            _waveform("extremes of 32 bits", edge32),
            _waveform("sixteen leads of zeros", np.zeros((16, 25), np.int32)),
            _waveform("stored blocks", walk[:2], level=0),
            _waveform("largest window", walk[:3], window_bits=15, mem_level=9),
            _waveform("smallest window", walk[:3], level=9, window_bits=9, mem_level=1),
        ],
        "malformed": [
            _case("nothing", b""),
            _case("header alone", good[:4]),
            _case("codec 0", b"\x00" + good[1:]),
            _case("codec 3, reserved", b"\x03" + good[1:]),
            _case("no lead", _with_header(1, 0, 5, body)),
            _case("seventeen leads", _with_header(1, 17, 5, _deflated(bytes(17 * 5 * 2)))),
            _case("no sample", _with_header(1, 2, 0, body)),
            _case("8193 samples", _with_header(1, 1, 8193, _deflated(bytes(2 * 8193)))),
            _case("more samples than the body has", _with_header(1, 2, 6, body)),
            _case("fewer samples than the body has", _with_header(1, 2, 4, body)),
            _case("planes of the other width", _with_header(2, 2, 5, body)),
            _case("body cut off", good[:-1]),
            _case("byte behind the body", good + b"\x00"),
            _case("body twice", good + body),
            _case("body inflates a thousandfold", _with_header(1, 1, 100, _deflated(bytes(200_000)))),
            _case("body of empty blocks", _with_header(1, 2, 5, b"\x00\x00\x00\xff\xff" * 40 + body)),
            _case(
                "stored block longer than the body",
                _with_header(1, 2, 5, b"\x01\x14\x00\xeb\xff" + plain[:9]),
            ),
            _case("stored block longer than the samples", _with_header(1, 2, 5, _stored(plain + b"\x00"))),
            _case("block type 3", _with_header(1, 2, 5, b"\x07" + body)),
            _case("match before the first byte", _with_header(1, 2, 5, b"\x03\x02\x00")),
        ],
    }


def server_messages() -> dict[str, str]:
    """One text of every message that a server sends, and of some variants."""
    place = ("bed-7", "P-0042", "Ada Ö.", "icu", "Intensive care", "7")
    entry = RosterEntry(*place, Source.REPLAY, online=True, hr_low=50, hr_high=120)
    return {
        "welcome": messages.welcome(connection="c-1", server_ms=1.7e12),
        "device welcome": messages.device_welcome(stream="bed-7", epoch=3, next_sample=0, server_ms=1.7e12),
        "device ack": messages.device_ack(720),
        "throttled": messages.throttled(Throttle.SLOWER, 299.5),
        "roster": messages.roster([entry]),
        "empty roster": messages.roster([]),
        "stream": messages.stream(_INFO, 9),
        "coarse stream": messages.stream(
            _INFO, 10, rendition="overview", leads=_INFO.leads[:1], factor=3, frame_ms=1000
        ),
        "numbers only": messages.stream(_INFO, 11, rendition="vitals", frame_ms=1000),
        "gap of numbers": messages.gap(
            "bed-7", epoch=3, first=72, stop=720, reason=GapReason.RENDITION, recoverable=False
        ),
        "vitals": messages.vitals("bed-7", epoch=3, sample=360, hr=72.5, hr_source="II"),
        "vitals with a rhythm": messages.vitals(
            "bed-7", epoch=3, sample=360, hr=72, hr_source="II", rhythm="bigeminy", pvc_per_min=30
        ),
        "vitals with beats": messages.vitals(
            "bed-7",
            epoch=3,
            sample=720,
            hr=72,
            hr_source="II",
            rhythm="pvc",
            pvc_per_min=1,
            beats=[(101, False), (348, True)],
        ),
        "unknown vitals": messages.vitals("bed-7", epoch=3, sample=360, hr=None, hr_source=None),
        "quality": messages.quality(
            "bed-7", epoch=3, sample=360, state=SignalState.LIVE, leads_off=["V1"], rate_hz=360.02
        ),
        "silent": messages.quality("bed-7", epoch=3, sample=360, state=SignalState.SILENT),
        "gap": messages.gap("bed-7", epoch=3, first=36, stop=72, reason=GapReason.SOURCE, recoverable=True),
        "gap of an absence": messages.gap(
            "bed-7", epoch=3, first=72, stop=720, reason=GapReason.AWAY, recoverable=True
        ),
        "denied": messages.denied("bed-8"),
        "alarm": alarm_messages.alarm(AlarmRecord(ASYSTOLE, 1.7e12, unstored=True)),
        "closed alarm": alarm_messages.alarm(
            AlarmRecord(ASYSTOLE, 1.7e12, 1.7e12 + 9000, 1.7e12 + 8000, "ann", 1.7e12 + 100)
        ),
        "alarm of the system": alarm_messages.alarm(AlarmRecord(not_stored_facts("p1.store"), 1.7e12)),
        "alarms": alarm_messages.alarms(1, may=["acknowledge", "pause_audio"], paused_until_ms=None),
        "no alarms": alarm_messages.alarms(0, may=[], paused_until_ms=1.7e12),
        "withdrawn alarm": alarm_messages.alarm_withdrawn("5f0c2a"),
        "audio": alarm_messages.audio(1.7e12),
        "broken pause": alarm_messages.audio(None, broken_by="5f0c2a"),
        "refused": alarm_messages.refused("alarm_ack", "5f0c2a", "you may not acknowledge alarms"),
        "review": review_messages.Cutter(7, b"\x00\x01\x02" * 200).next(400),
        "review, its last piece": review_messages.Cutter(7, b"\xff\xfe").next(400),
        "device alarm stored": alarm_messages.alarm_stored("d-17", on=True),
        "cadence": messages.cadence(SELDOM[0]),
        "keepalive": messages.time(1.7e12),
        "time": messages.time(1.7e12, t0=12.5),
        "stats": messages.stats(
            rtt_ms=20.04,
            goodput_bps=64_000.2,
            window_bytes=4096,
            in_flight_bytes=100,
            queued={MessagePriority.HIGH: 2},
            dropped=1,
            expired=0,
            drops={DropReason.QUOTA: 1, DropReason.EXPIRED: 0},
            condition="good",
            rendition="display",
            reason="queueing",
            overload="normal",
        ),
        "new stats": messages.stats(
            rtt_ms=None,
            goodput_bps=None,
            window_bytes=4096,
            in_flight_bytes=0,
            queued={},
            dropped=0,
            expired=0,
            drops={},
            condition="unknown",
            rendition="lossless",
            reason="streams",
            overload="emergency",
        ),
        "bye": messages.bye(CloseCode.SLOW, "too slow", retry_after_ms=2000),
        "final bye": messages.bye(CloseCode.FORBIDDEN, "forbidden"),
    }


def client_texts() -> dict[str, str]:
    """One text of every message that a client sends, and of some variants."""
    return {
        "viewer hello": client_messages.viewer_hello(client="page/1"),
        "viewer hello with token": client_messages.viewer_hello(token="t" * 40),
        "subscribe": client_messages.subscribe(["bed-7", "bed-8"], focus="bed-8"),
        "subscribe to nothing": client_messages.subscribe([]),
        "ack": client_messages.ack(4, decoded_ms=1.25, backlog=0, held_ms=40),
        "resume": client_messages.resume("bed-7", epoch=3, next_sample=3600),
        "resume of a gap": client_messages.resume("bed-7", epoch=3, next_sample=36, stop=72),
        "throttle": client_messages.throttle(Throttle.SLOWER),
        "review": client_messages.review(7, "bed-7", "trend", from_ms=1.7e12, to_ms=1.7e12 + 3.6e6),
        "review of a lead": client_messages.review(
            8, "bed-7", "overview", from_ms=0, to_ms=1000.5, slot="zoom", columns=1900, lead="V1"
        ),
        "time": client_messages.time_request(12.5),
        "bye": client_messages.client_bye(),
        "device hello": client_messages.device_hello(
            token="t" * 40, session="s-12345678", next_sample=0, source=Source.SIM, rate_hz=250, leads=_LEADS
        ),
        "device quality": client_messages.device_quality(sample=500, leads_off=["V1"]),
        "alarm displayed": client_messages.alarm_displayed(["5f0c2a", "p1.store"], hidden=True),
        "alarm ack": client_messages.alarm_ack("5f0c2a"),
        "audio pause": client_messages.audio_pause(120),
        "alarms off": client_messages.alarms_off("bed-7", off=True),
        "device alarm": client_messages.device_alarm(_VENT_TACHY),
        "device alarm ended": client_messages.device_alarm(DeviceAlarm("d-17", False, 9000)),
    }


def _messages() -> Vectors:
    server = server_messages()
    array = "[" + server["denied"] + "," + server["keepalive"] + "]"
    stream = json.loads(server["stream"])
    overview = stream | {"rendition": "overview", "factor": 3, "leads": stream["leads"][:1]}
    viewer = {name: server[name] for name in server if not name.startswith("device")}
    return {
        "client": [{"name": name, "text": text} for name, text in client_texts().items()],
        "server": [{"name": name, "text": text} for name, text in server.items()],
        "viewer": [
            *(
                {"name": name, "text": text, "types": [json.loads(text)["type"]]}
                for name, text in viewer.items()
            ),
            {"name": "stream of one lead of two", "text": json.dumps(overview), "types": ["stream"]},
            {"name": "array", "text": array, "types": ["denied", "time"]},
            {"name": "empty array", "text": "[]", "types": []},
            {"name": "unknown type", "text": '{"type":"fanfare"}', "types": []},
            {"name": "unknown field", "text": '{"type":"denied","stream":"a","why":1}', "types": ["denied"]},
        ],
        "malformed": [
            {"name": name, "text": text}
            for name, text in {
                "nothing": "",
                "not JSON": "{",
                "NaN": '{"type":"time","server_ms":NaN}',
                "a string": '"time"',
                "null": "null",
                "no type": "{}",
                "type of another type": '{"type":1}',
                "array of arrays": "[[]]",
                "array with null": f"[{server['denied']},null]",
                "text behind it": server["denied"] + "x",
            }.items()
        ],
        "malformed_for_viewers": [
            {"name": name, "text": json.dumps(value)}
            for name, value in {
                "unknown, must be understood": {"type": "alarm", "must_understand": True},
                "denied without stream": {"type": "denied"},
                "stream without leads": stream | {"leads": []},
                "stream with 17 leads": stream | {"leads": stream["leads"][:1] * 17},
                "stream with rate 0": stream | {"rate_hz": 0},
                "stream with factor 0": stream | {"factor": 0},
                "stream with half a factor": stream | {"factor": 1.5},
                "stream without all its leads": stream | {"all_leads": None},
                "stream of no leads at all": stream | {"all_leads": []},
                "stream with a lead that is none of all": stream | {"all_leads": ["aVR"]},
                "stream with alias 65536": stream | {"alias": 65536},
                "stream of unknown source": stream | {"source": "FAKE"},
                "stream in millivolts": stream | {"unit": "mV"},
                "gap that ends before it begins": json.loads(server["gap"]) | {"from": 72, "to": 36},
                "vitals with a text for a rate": json.loads(server["vitals"]) | {"hr": "72"},
                "beats without their kind": json.loads(server["vitals"]) | {"beats": [360, 720]},
                "a beat without its sample": json.loads(server["vitals"]) | {"beats": [["N", "N"]]},
                "stats without a reason": json.loads(server["stats"]) | {"reason": None},
                "welcome of another protocol": json.loads(server["welcome"]) | {"protocol": "vital.v2"},
                "roster with an entry that is no object": {"type": "roster", "streams": [1]},
            }.items()
        ],
    }


def _bundle(name: str, *parts: tuple[FrameKind, int, int, bytes, int], texts: list[str] | None = None) -> Any:
    return {
        "name": name,
        "hex": encode_bundle(encode_frame(*part) for part in parts).hex(),
        "frames": [
            {"kind": int(kind), "flags": int(flags), "alias": alias, "first": first, "payload": payload.hex()}
            for kind, alias, first, payload, flags in parts
        ],
        "texts": texts or [],
    }


def _waveform(name: str, samples: Samples, **settings: int) -> Any:
    return {"name": name, "hex": _payload(samples, **settings).hex(), "samples": samples.tolist()} | {
        "bits": 8 * samples.dtype.itemsize
    }


def _payload(samples: Samples, *, level: int = 6, window_bits: int = 12, mem_level: int = 5) -> bytes:
    return encode_planes(samples, level=level, window_bits=window_bits, mem_level=mem_level)


def _with_header(codec: int, leads: int, samples: int, body: bytes) -> bytes:
    return HEADER.pack(codec, leads, samples) + body


def _deflated(plain: bytes) -> bytes:
    return deflate(plain, level=9, window_bits=15, mem_level=9)


def _before_the_dictionary() -> bytes:
    """A match of 3 bytes at the greatest distance there is, 32 KiB: fixed codes, RFC 1951 3.2.6."""
    fields = ((1, 1), (1, 2), (0b0000001, -7), (0b11101, -5), (8191, 13), (0, -7))
    bits = "".join(
        f"{value:0{abs(width)}b}" if width < 0 else f"{value:0{width}b}"[::-1] for value, width in fields
    )
    return bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))


def _stored(plain: bytes) -> bytes:
    stream = zlib.compressobj(0, zlib.DEFLATED, -15)
    return stream.compress(plain) + stream.flush()


def _case(name: str, data: bytes) -> Any:
    return {"name": name, "hex": data.hex()}


def _text_case(name: str, payload: bytes, flags: FrameFlag) -> Any:
    return _case(name, encode_bundle([encode_frame(FrameKind.JSON, 0, 0, payload, flags)]))


if __name__ == "__main__":
    main()
