"""Whatever a peer says, it gets a typed answer, and everybody else goes on as if nothing had been."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed, InvalidStatus

from streaming.core.frames import HEADER, FrameKind, encode_frame
from streaming.core.framing import encode_bundle
from streaming.exceptions import CloseCode
from tests.e2e.peers import (
    RATE_HZ,
    Ending,
    Peer,
    chunk,
    device,
    hello,
    opened,
    payload,
    viewer,
    watch,
)
from tests.e2e.shell import Shell
from tests.e2e.steady import Steady, steady
from tests.servers import Server, StartServer

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]

SIGNAL = {"name": "II", "unit": "uV", "gain": 5.0, "baseline": 0, "adc_bits": 16}


@dataclass(frozen=True, slots=True)
class Place:
    """One server, two wards: the steady patient's and another's device are in the first."""

    server: Server
    shell: Shell
    viewer_token: str
    watched: dict[str, str]
    bed: dict[str, str]
    elsewhere: dict[str, str]


@pytest.fixture(scope="module")
def place(module_daphne: StartServer) -> Iterator[Place]:
    server = module_daphne()
    with Shell(server) as shell:
        watched, bed = shell.run("admit", "steady"), shell.run("admit", "suspect")
        elsewhere = shell.run("admit", "elsewhere", "Ward b")
        yield Place(server, shell, shell.run("employ", "nurse", "Ward a"), watched, bed, elsewhere)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def others(place: Place) -> AsyncIterator[Steady]:
    async with steady(
        place.server, place.watched["stream"], place.watched["token"], place.viewer_token
    ) as watched:
        yield watched


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _others_go_on(others: Steady) -> AsyncIterator[None]:
    yield
    await others.goes_on()


def _nested(depth: int) -> str:
    return '{"type":"time","t0":1,"x":' + "[" * depth + "]" * depth + "}"


def _frame(payload: bytes, *, kind: int = 1, flags: int = 0, first: int = 0) -> bytes:
    return encode_bundle([HEADER.pack(kind, flags, 0, first) + payload])


GOOD = payload(np.zeros((1, 25), np.int16))

BAD_TEXTS = {
    "not JSON": ("{", "not valid JSON"),
    "empty": ("", "not valid JSON"),
    "no object": ("[]", "not a JSON object"),
    "NaN": ('{"type":"time","t0":NaN}', "NaN"),
    "infinity by overflow": ('{"type":"time","t0":1e999}', "beyond the range"),
    "huge integer": ('{"type":"time","t0":' + "9" * 5000 + "}", "beyond 2^53"),
    "duplicate key": ('{"type":"time","t0":1,"t0":2}', "duplicate key"),
    "deep": (_nested(16), "deeper than 16"),
    "deeper than any stack": (_nested(30_000), "deeper than 16"),
    "over 64 KiB": ('{"type":"time","t0":1,"x":"' + "x" * 65_536 + '"}', "over 65536"),
    "unpaired surrogate": ('{"type":"time","t0":1,"x":"\\ud800"}', "surrogate"),
    "no type": ('{"t0":1}', "type is missing"),
    "type is no string": ('{"type":1}', "type is not a string"),
    "unknown, must be understood": ('{"type":"new","must_understand":true}', "must be understood"),
    "second hello": ('{"type":"hello","protocol":"vital.v1","token":"x"}', ""),
}
BAD_FRAMES = {
    "bad version": (b"\x02" + chunk(0)[1:], "version"),
    "empty bundle": (b"\x01", "empty"),
    "truncated frame": (chunk(0)[:-1], "length"),
    "frame shorter than its header": (b"\x01\x03abc", "length"),
    "length longer than needed": (b"\x01\x89\x00" + b"x" * 9, ""),
    "length without end": (b"\x01\xff\xff\xff\xff", ""),
    "unknown kind": (_frame(GOOD, kind=9), "kind or flags"),
    "unknown flags": (_frame(GOOD, flags=0x80), "kind or flags"),
    "deflated waveform": (_frame(GOOD, flags=1), "flags"),
    "backfill from a device": (_frame(GOOD, kind=2), "waveform frames"),
    "JSON from a device": (_frame(b"{}", kind=3), "waveform frames"),
    "unknown codec": (_frame(b"\x03" + GOOD[1:]), "codec"),
    "garbage": (_frame(GOOD[:4] + b"\xff\x00\xaa" * 20), "deflate"),
    "body of another size": (_frame(b"\x01\x01\x1a\x00" + GOOD[4:]), "another size"),
    "body that inflates without end": (_frame(GOOD[:4] + b"\x00" * 60_000), ""),
    "no samples": (_frame(b"\x01\x01\x00\x00" + GOOD[4:]), "out of bounds"),
    "17 leads": (_frame(b"\x01\x11\x19\x00" + GOOD[4:]), "out of bounds"),
    "other leads than the hello": (chunk(0, np.zeros((2, 25), np.int16)), "leads of the hello"),
    "over two seconds": (chunk(0, np.zeros((1, 501), np.int16)), "2 s"),
    "beyond adc_bits": (chunk(0, np.full((1, 25), 1 << 16, np.int32)), "adc_bits"),
    "beyond adc_bits, negative": (chunk(0, np.full((1, 25), -(1 << 31), np.int32)), "adc_bits"),
    "ten minutes ahead": (chunk(int(601 * RATE_HZ)), "ten minutes"),
    "out of the epoch": (chunk(2**32 - 10), "index"),
}
BAD_HELLOS: dict[str, tuple[dict[str, Any], CloseCode, str]] = {
    "token missing": ({"token": None}, CloseCode.UNAUTHENTICATED, "token"),
    "token wrong": ({"token": "vtd_aaaaaaaa_" + "A" * 43}, CloseCode.UNAUTHENTICATED, "token"),
    "protocol missing": ({"protocol": None}, CloseCode.PROTOCOL, "protocol"),
    "protocol of tomorrow": ({"protocol": "vital.v2"}, CloseCode.PROTOCOL, "protocol"),
    "rate missing": ({"rate_hz": None}, CloseCode.PROTOCOL, "rate_hz"),
    "rate of nothing": ({"rate_hz": 0}, CloseCode.PROTOCOL, "rate_hz"),
    "rate of a radio": ({"rate_hz": 2001}, CloseCode.PROTOCOL, "rate_hz"),
    "rate in words": ({"rate_hz": "250"}, CloseCode.PROTOCOL, "rate_hz"),
    "no signals": ({"signals": []}, CloseCode.PROTOCOL, "signals"),
    "17 signals": (
        {"signals": [SIGNAL | {"name": str(n)} for n in range(17)]},
        CloseCode.PROTOCOL,
        "signals",
    ),
    "two signals of one name": ({"signals": [SIGNAL, SIGNAL]}, CloseCode.PROTOCOL, "one name"),
    "gain missing": (
        {"signals": [{name: v for name, v in SIGNAL.items() if name != "gain"}]},
        CloseCode.PROTOCOL,
        "gain",
    ),
    "gain of nothing": ({"signals": [SIGNAL | {"gain": 0}]}, CloseCode.PROTOCOL, "gain"),
    "gain in mV as if in uV": ({"signals": [SIGNAL | {"unit": "mV"}]}, CloseCode.PROTOCOL, "gain"),
    "unit unknown": ({"signals": [SIGNAL | {"unit": "V"}]}, CloseCode.PROTOCOL, "unit"),
    "adc of 33 bits": ({"signals": [SIGNAL | {"adc_bits": 33}]}, CloseCode.PROTOCOL, "adc_bits"),
    "session too short": ({"session": "short"}, CloseCode.PROTOCOL, "session"),
    "next sample out of the epoch": ({"next_sample": 2**32}, CloseCode.PROTOCOL, "next_sample"),
}


def _refused(ending: Ending, code: CloseCode, words: str) -> None:
    """Closed with this code, after a bye of the same code that says why."""
    assert (ending.code, words in ending.reason) == (code, True), ending
    assert ending.bye is not None
    assert ending.bye["code"] == code


class TestHandshake:
    """Before anything is said."""

    @pytest.mark.parametrize("path", ["/ws/viewer/", "/ws/device/"])
    @pytest.mark.parametrize("names", [(), ("vital.v2",), ("graphql-ws", "chat")])
    async def test_without_our_subprotocol(self, place: Place, path: str, names: tuple[str, ...]) -> None:
        async with opened(place.server, path, subprotocols=names) as peer:
            _refused(await peer.ended(), CloseCode.PROTOCOL, "vital.v1 is required")

    async def test_ours_among_others_is_taken(self, place: Place) -> None:
        async with opened(place.server, "/ws/viewer/", subprotocols=("v2", "vital.v1")) as peer:
            assert peer.socket.subprotocol == "vital.v1"

    async def test_foreign_origin_is_refused_with_and_without_a_cookie(self, place: Place) -> None:
        for headers in ({"Origin": "https://evil.example"}, {"Origin": "null", "Cookie": "vital-session=x"}):
            with pytest.raises(InvalidStatus) as refusal:
                async with opened(place.server, "/ws/viewer/", headers=headers):
                    pass
            assert refusal.value.response.status_code == 403

    async def test_path_that_does_not_exist(self, place: Place) -> None:
        with pytest.raises(InvalidStatus) as refusal:
            async with opened(place.server, "/ws/nothing/"):
                pass
        assert refusal.value.response.status_code in (403, 404)

    @pytest.mark.parametrize("path", ["/ws/viewer/", "/ws/device/"])
    async def test_no_hello_within_five_seconds(self, place: Place, path: str) -> None:
        opening_at = time.monotonic()
        async with opened(place.server, path) as peer:
            opened_at = time.monotonic()
            ending = await peer.ended()
        _refused(ending, CloseCode.UNAUTHENTICATED, "no hello within 5 s")
        assert ending.at - opening_at >= 5
        assert ending.at - opened_at < 8

    @pytest.mark.parametrize("path", ["/ws/viewer/", "/ws/device/"])
    @pytest.mark.parametrize("first", ['{"type":"time","t0":1}', chunk(0)])
    async def test_something_else_before_the_hello(self, place: Place, path: str, first: str | bytes) -> None:
        async with opened(place.server, path) as peer:
            await peer.say(first)
            assert (await peer.ended()).code in (CloseCode.UNAUTHENTICATED, CloseCode.PROTOCOL)


class TestText:
    """JSON that is none of ours."""

    @pytest.mark.parametrize("case", BAD_TEXTS)
    async def test_from_a_viewer(self, place: Place, case: str) -> None:
        text, words = BAD_TEXTS[case]
        async with viewer(place.server, place.viewer_token) as peer:
            await peer.say(text)
            _refused(await peer.ended(), CloseCode.PROTOCOL, words)

    @pytest.mark.parametrize("case", ["not JSON", "NaN", "duplicate key", "deep", "over 64 KiB"])
    async def test_as_a_first_message(self, place: Place, case: str) -> None:
        text, words = BAD_TEXTS[case]
        for path in ("/ws/viewer/", "/ws/device/"):
            async with opened(place.server, path) as peer:
                await peer.say(text)
                _refused(await peer.ended(), CloseCode.PROTOCOL, words)

    async def test_unknown_type_is_skipped(self, place: Place) -> None:
        async with viewer(place.server, place.viewer_token) as peer:
            await peer.say({"type": "of tomorrow", "x": 1})
            await peer.say({"type": "time", "t0": 7})
            assert (await peer.hear("time"))["t0"] == 7

    async def test_text_that_is_not_utf8(self, place: Place) -> None:
        async with viewer(place.server, place.viewer_token) as peer:
            await peer.socket.send(b'{"type":"\xff"}', text=True)
            # The engine hangs up by itself; its close frame may get lost on the way.
            assert (await peer.ended()).code in (1006, 1007)


class TestViewer:
    """A viewer that breaks the rules."""

    @pytest.mark.parametrize("token", ["", "vta_aaaaaaaa_" + "A" * 43, "x" * 256, "\u2028"])
    async def test_wrong_token(self, place: Place, token: str) -> None:
        async with opened(place.server, "/ws/viewer/") as peer:
            await peer.say({"type": "hello", "protocol": "vital.v1", "token": token})
            assert (await peer.ended()).code in (CloseCode.UNAUTHENTICATED, CloseCode.PROTOCOL)

    async def test_no_token_and_no_session(self, place: Place) -> None:
        async with opened(place.server, "/ws/viewer/") as peer:
            await peer.say({"type": "hello", "protocol": "vital.v1"})
            _refused(await peer.ended(), CloseCode.UNAUTHENTICATED, "sign in")

    async def test_device_token_opens_no_viewer(self, place: Place) -> None:
        async with opened(place.server, "/ws/viewer/") as peer:
            await peer.say({"type": "hello", "protocol": "vital.v1", "token": place.bed["token"]})
            assert (await peer.ended()).code == CloseCode.UNAUTHENTICATED

    async def test_revoked_token(self, place: Place) -> None:
        token = (await place.shell.do("employ", "gone", "Ward a")).result
        await place.shell.do("revoke_api_tokens", "gone")
        async with opened(place.server, "/ws/viewer/") as peer:
            await peer.say({"type": "hello", "protocol": "vital.v1", "token": token})
            assert (await peer.ended()).code == CloseCode.UNAUTHENTICATED

    async def test_unknown_stream_and_one_of_another_ward_get_the_same_answer(self, place: Place) -> None:
        unknown, foreign = "a" * 12, place.elsewhere["stream"]
        answers = []
        for stream in (unknown, foreign):
            async with viewer(place.server, place.viewer_token) as peer:
                await peer.say({"type": "subscribe", "streams": [stream]})
                answers.append(json.dumps(await peer.hear("denied")).replace(stream, "*"))
                roster = next(item for item in peer.heard if item["type"] == "roster")
                assert {entry["stream"] for entry in roster["streams"]}.isdisjoint({unknown, foreign})
        assert answers[0] == answers[1]

    async def test_nothing_leaks_from_a_denied_stream(self, place: Place) -> None:
        async with (
            viewer(place.server, place.viewer_token) as peer,
            device(place.server, place.elsewhere["token"], "elsewhere-1") as feed,
        ):
            await watch(peer, place.elsewhere["stream"])
            await feed.say(chunk(0))
            await feed.hear("ack")
            await peer.say({"type": "time", "t0": 1})
            await peer.hear("time")
            assert peer.frames == []
            about = [item["type"] for item in peer.heard if item.get("stream") == place.elsewhere["stream"]]
            assert about == ["denied"]

    @pytest.mark.parametrize(
        "streams", [["a"] * 3 + ["x y"], [f"s{n}" for n in range(65)], "abc", [1], ["a" * 65]]
    )
    async def test_subscription_out_of_bounds(self, place: Place, streams: Any) -> None:
        async with viewer(place.server, place.viewer_token) as peer:
            await peer.say({"type": "subscribe", "streams": streams})
            _refused(await peer.ended(), CloseCode.PROTOCOL, "streams")

    async def test_ack_of_what_was_never_sent(self, place: Place) -> None:
        async with viewer(place.server, place.viewer_token) as peer:
            await peer.say({"type": "ack", "n": 1_000_000, "decoded_ms": 0, "backlog": 0})
            _refused(await peer.ended(), CloseCode.PROTOCOL, "never sent")

    @pytest.mark.parametrize("n", [-1, 1.5, True, "1", None])
    async def test_ack_of_no_number(self, place: Place, n: Any) -> None:
        async with viewer(place.server, place.viewer_token) as peer:
            await peer.say({"type": "ack", "n": n, "decoded_ms": 0, "backlog": 0})
            _refused(await peer.ended(), CloseCode.PROTOCOL, "n is")

    async def test_binary_message(self, place: Place) -> None:
        async with viewer(place.server, place.viewer_token) as peer:
            await peer.say(chunk(0))
            _refused(await peer.ended(), CloseCode.PROTOCOL, "text messages only")

    async def test_too_many_messages(self, place: Place) -> None:
        async with viewer(place.server, place.viewer_token) as peer:
            _refused(await _flooded(peer, '{"type":"later"}'), CloseCode.RATE_LIMIT, "")

    async def test_too_many_connections_of_one_token(self, place: Place) -> None:
        token = (await place.shell.do("employ", "many", "Ward a")).result
        peers = [viewer(place.server, token) for _ in range(64)]
        await asyncio.gather(*(peer.__aenter__() for peer in peers))
        try:
            async with opened(place.server, "/ws/viewer/") as peer:
                await peer.say({"type": "hello", "protocol": "vital.v1", "token": token})
                ending = await peer.ended()
            _refused(ending, CloseCode.RATE_LIMIT, "64 connections")
            assert ending.bye is not None
            assert ending.bye["retry_after_ms"] > 0
        finally:
            await asyncio.gather(*(peer.__aexit__(None, None, None) for peer in peers))


class TestDevice:
    """A device that breaks the rules."""

    @pytest.mark.parametrize("case", BAD_HELLOS)
    async def test_hello(self, place: Place, case: str) -> None:
        changes, code, words = BAD_HELLOS[case]
        said = hello(place.bed["token"], "hello-session") | changes
        async with opened(place.server, "/ws/device/") as peer:
            await peer.say({name: value for name, value in said.items() if value is not None})
            _refused(await peer.ended(), code, words)

    async def test_revoked_token(self, place: Place) -> None:
        bed = (await place.shell.do("admit", "lost device")).result
        await place.shell.do("revoke_device_tokens", bed["stream"])
        async with opened(place.server, "/ws/device/") as peer:
            await peer.say(hello(bed["token"]))
            _refused(await peer.ended(), CloseCode.UNAUTHENTICATED, "token is not valid")

    async def test_device_that_is_not_admitted(self, place: Place) -> None:
        bed = (await place.shell.do("admit", "in the cupboard")).result
        await place.shell.do("end_admission", bed["stream"])
        async with opened(place.server, "/ws/device/") as peer:
            await peer.say(hello(bed["token"]))
            _refused(await peer.ended(), CloseCode.FORBIDDEN, "not admitted")

    @pytest.mark.parametrize("case", BAD_FRAMES)
    async def test_frame(self, place: Place, case: str) -> None:
        message, words = BAD_FRAMES[case]
        async with device(place.server, place.bed["token"], "frames-1") as peer:
            await peer.say(message)
            _refused(await peer.ended(), CloseCode.PROTOCOL, words)

    async def test_message_over_the_limit(self, place: Place) -> None:
        async with device(place.server, place.bed["token"], "frames-1") as peer:
            frame = encode_frame(FrameKind.WAVEFORM, 0, 0, GOOD)
            await peer.say(encode_bundle([frame] * 12_000))
            _refused(await peer.ended(), CloseCode.PROTOCOL, "over")

    async def test_message_of_a_hundred_megabytes_is_not_even_read(self, place: Place) -> None:
        before = _peak_bytes(place.server)
        async with device(place.server, place.bed["token"], "frames-1") as peer:
            sending = asyncio.create_task(peer.socket.send(bytes(100_000_000)))
            # Daphne's own limit, 1 MiB: 1009 where its close frame still arrives, else nothing does.
            assert (await peer.ended()).code in (1006, 1009)
            await asyncio.gather(sending, return_exceptions=True)
        assert _peak_bytes(place.server) - before < 8 * 2**20

    async def test_leads_off_that_it_does_not_have(self, place: Place) -> None:
        async with device(place.server, place.bed["token"], "frames-1") as peer:
            await peer.say({"type": "quality", "sample": 0, "leads_off": ["V9"]})
            _refused(await peer.ended(), CloseCode.PROTOCOL, "leads_off")

    async def test_hole_shows_as_a_gap_and_a_repeat_is_dropped(self, place: Place) -> None:
        bed = (await place.shell.do("admit", "jumping")).result
        async with (
            viewer(place.server, place.viewer_token, bed["stream"]) as nurse,
            device(place.server, bed["token"], "session-one") as peer,
        ):
            for first in (0, 0, 25, 500):
                await peer.say(chunk(first))
            while (await peer.hear("ack"))["next_sample"] != 525:
                pass
            gap = await nurse.hear("gap")
            assert (gap["from"], gap["to"], gap["reason"]) == (50, 500, "source")
            while nurse.frames[-1:] == [] or nurse.frames[-1].first != 500:
                await nurse.hear_frame()
            assert [frame.first for frame in nurse.frames] == [0, 25, 500]

    async def test_second_session_is_refused_and_the_first_keeps_its_epoch(self, place: Place) -> None:
        bed = (await place.shell.do("admit", "twice")).result
        async with device(place.server, bed["token"], "session-one") as first:
            epoch = first.heard[0]["epoch"]
            await first.say(chunk(0))
            await first.hear("ack")
            for _ in range(3):
                async with opened(place.server, "/ws/device/") as second:
                    await second.say(hello(bed["token"], "session-two"))
                    ending = await second.ended()
                _refused(ending, CloseCode.STREAM_BUSY, "another session")
                assert ending.bye is not None
                assert ending.bye["retry_after_ms"] > 0
            await first.say(chunk(25))
            assert (await first.hear("ack"))["next_sample"] == 50
        async with device(place.server, bed["token"], "session-one") as again:
            assert (again.heard[0]["epoch"], again.heard[0]["next_sample"]) == (epoch, 50)
            await again.say({"type": "bye"})
            await again.ended()
        async with device(place.server, bed["token"], "session-two") as second:
            assert (second.heard[0]["epoch"], second.heard[0]["next_sample"]) == (epoch + 1, 0)

    async def test_session_may_not_change_its_rate(self, place: Place) -> None:
        bed = (await place.shell.do("admit", "changing")).result
        async with device(place.server, bed["token"], "session-one"):
            pass
        async with opened(place.server, "/ws/device/") as peer:
            await peer.say(hello(bed["token"], "session-one", rate_hz=500.0))
            _refused(await peer.ended(), CloseCode.PROTOCOL, "")

    async def test_simulated_device_cannot_claim_to_be_live(self, place: Place) -> None:
        bed = (await place.shell.do("admit", "pretender")).result
        async with (
            viewer(place.server, place.viewer_token, bed["stream"]) as nurse,
            device(place.server, bed["token"], "session-one", source="LIVE") as peer,
        ):
            await peer.say(chunk(0))
            assert (await nurse.hear("stream"))["source"] == "SIM"

    async def test_too_many_bytes(self, place: Place) -> None:
        bed = (await place.shell.do("admit", "flood")).result
        message = json.dumps({"type": "later", "x": "x" * 60_000})
        async with device(place.server, bed["token"]) as peer:
            _refused(await _flooded(peer, message), CloseCode.RATE_LIMIT, "")

    async def test_too_many_chunks(self, place: Place) -> None:
        bed = (await place.shell.do("admit", "tiny chunks")).result
        bundle = encode_bundle([encode_frame(FrameKind.WAVEFORM, 0, 0, GOOD)] * 1000)
        async with device(place.server, bed["token"]) as peer:
            _refused(await _flooded(peer, bundle), CloseCode.RATE_LIMIT, "")


def _peak_bytes(server: Server) -> int:
    """The most memory that the server has ever had resident."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


async def _flooded(peer: Peer, message: str | bytes) -> Ending:
    """Send the same for as long as the server takes it."""
    ending = asyncio.create_task(peer.ended())
    with contextlib.suppress(ConnectionClosed):
        while not ending.done():
            await peer.socket.send(message)
            await asyncio.sleep(0)  # or a flood that the network takes at once would never let us listen
    return await ending
