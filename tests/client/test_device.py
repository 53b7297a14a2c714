"""The device of the SDK against a real WebSocket that takes, loses and confirms its chunks."""

from __future__ import annotations

import asyncio
import random

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection

from streaming.client import device as device_module
from streaming.client.device import Device
from streaming.core import alarm_messages, messages
from streaming.core.alarm_record import AlarmSeverity
from streaming.core.messages import SAMPLE_LIMIT
from streaming.core.streams import Lead, Source
from streaming.exceptions import AuthenticationError, CloseCode, ForbiddenError, ProtocolError
from tests.client.peer import LEAD, Ingest, NoWait, ramp, say_bye, server

LEAD_V2 = Lead("V2", 5.0)
TWO_LEADS = [Lead("II", 5.0), Lead("V1", 2.5, baseline=12, adc_bits=12)]


@pytest.fixture(autouse=True)
def short_farewell(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits 5 s for a server that it has taken away itself."""
    monkeypatch.setattr(device_module, "EXIT_DRAIN_S", 0.1)


def device(url: str, *, signals: list[Lead] | None = None, buffer_s: float = 30.0) -> Device:
    return Device(url, "secret", signals=signals or [LEAD], rate_hz=250, buffer_s=buffer_s, rng=NoWait())


async def nothing_there(socket: ServerConnection) -> None:
    socket.transport.abort()


# -- the ordinary way


async def test_the_hello_says_who_and_what_it_is() -> None:
    ingest = Ingest()
    async with server(ingest.talk) as url:
        source = Source.REPLAY
        async with Device(url, "secret", signals=TWO_LEADS, rate_hz=360.5, source=source) as feed:
            await feed.wait_connected()
            assert (feed.stream, feed.epoch, feed.connected, feed.problem) == ("s1", 1, True, None)
    hello = ingest.hellos[0]
    assert (hello.token, hello.next_sample, hello.source, hello.rate_hz) == ("secret", 0, source, 360.5)
    assert hello.leads == tuple(TWO_LEADS)
    assert ingest.said_bye == 1


@pytest.mark.parametrize("chunk", [1, 7, 25, 250, 999, 2500])
async def test_chunks_of_any_length_arrive_whole_and_in_order(chunk: int) -> None:
    ingest = Ingest()
    sent = ramp(0, 2500, leads=2)
    async with server(ingest.talk) as url, device(url, signals=[LEAD, LEAD_V2]) as feed:
        for first in range(0, 2500, chunk):
            await feed.send(sent[:, first : first + chunk])
        await feed.drain()
        assert feed.unacked_samples == 0
        assert feed.next_sample == 2500
    assert np.array_equal(np.concatenate(ingest.samples, axis=1), sent)
    assert all(stop - first <= 250 for first, stop in ingest.spans), "a frame holds at most a second"
    assert ingest.numbers == list(range(len(ingest.numbers)))


async def test_samples_sent_before_the_connection_stands_go_out_in_few_bundles() -> None:
    ingest = Ingest()
    all_sent = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        await all_sent.wait()
        await ingest.talk(socket)

    async with server(talk) as url, device(url) as feed:
        for first in range(0, 2500, 25):
            await feed.send(ramp(first, 25))
        all_sent.set()
        await feed.drain()
    assert sum(ingest.bundles) == 100
    assert len(ingest.bundles) < 10


async def test_wide_values_travel_as_32_bits_and_narrow_ones_as_16() -> None:
    ingest = Ingest()
    wide = np.array([[2**22, -(2**22), 0]], np.int32)
    narrow = np.array([[1, -5, 32_767]], np.int32)
    async with server(ingest.talk) as url, device(url, signals=[Lead("II", 0.1, adc_bits=24)]) as feed:
        await feed.send(wide)
        await feed.send(narrow)
        await feed.drain()
    assert [samples.dtype for samples in ingest.samples] == [np.int32, np.int16]
    assert np.array_equal(np.concatenate(ingest.samples, axis=1), np.concatenate([wide, narrow], axis=1))


async def test_incompressible_samples_stay_below_the_frame_limit() -> None:
    ingest = Ingest()
    leads = [Lead(f"L{number}", 1.0, adc_bits=32) for number in range(16)]
    noise = np.random.default_rng(1).integers(-(2**31), 2**31 - 1, (16, 2000), np.int32)
    async with server(ingest.talk) as url, Device(url, "t", signals=leads, rate_hz=2000) as feed:
        await feed.send(noise)
        await feed.drain()
    assert np.array_equal(np.concatenate(ingest.samples, axis=1), noise)


async def test_a_skipped_span_is_a_hole_in_the_indices() -> None:
    ingest = Ingest()
    async with server(ingest.talk) as url, device(url) as feed:
        await feed.send(ramp(0, 100))
        feed.skip(400)
        await feed.send(ramp(500, 100))
        await feed.drain()
    assert ingest.spans == [(0, 100), (500, 600)]
    assert ingest.numbers == [0, 1]


async def test_leads_off_are_reported_between_the_samples_around_them() -> None:
    ingest = Ingest()
    async with server(ingest.talk) as url, device(url) as feed:
        await feed.send(ramp(0, 100))
        await feed.report_leads_off(["II"])
        await feed.send(ramp(100, 100))
        await feed.report_leads_off([])
        await feed.drain()
    assert ingest.reports == [messages.DeviceQuality(100, ("II",)), messages.DeviceQuality(200, ())]
    assert ingest.spans == [(0, 100), (100, 200)]


async def test_single_samples_in_a_hurry_share_their_messages() -> None:
    ingest = Ingest()
    async with server(ingest.talk) as url, device(url) as feed:
        await feed.wait_connected()
        for first in range(500):
            await feed.send(ramp(first, 1))
        await feed.drain()
    assert sum(ingest.bundles) == 500
    assert len(ingest.bundles) < 250, "the server takes 500 messages a second"


# -- what the caller may not do


@pytest.mark.parametrize(
    ("samples", "error", "words"),
    [
        ([[1, 2]], TypeError, "numpy array"),
        (np.zeros((1, 5)), TypeError, "int16 or int32"),
        (np.zeros((1, 5), np.int64), TypeError, "int16 or int32"),
        (np.zeros(5, np.int16), ValueError, "shape"),
        (np.zeros((2, 5), np.int16), ValueError, "shape"),
        (np.full((1, 5), 4096, np.int16), ValueError, "adc_bits"),
        (np.full((1, 5), -4096, np.int16), ValueError, "adc_bits"),
        (np.zeros((1, 7501), np.int16), ValueError, "buffer"),
    ],
)
async def test_samples_that_no_server_would_take_are_refused(
    samples: object, error: type[Exception], words: str
) -> None:
    async with server(nothing_there) as url, device(url, signals=[Lead("II", 5.0, adc_bits=12)]) as feed:
        with pytest.raises(error, match=words):
            await feed.send(samples)  # type: ignore[arg-type]  # the point of the test
        assert feed.next_sample == 0
        await feed.send(np.full((1, 5), 4095, np.int16))
        await feed.send(np.zeros((1, 0), np.int16))
        assert feed.next_sample == 5


@pytest.mark.parametrize(
    ("signals", "rate_hz"),
    [
        ([], 250),
        ([LEAD, LEAD], 250),
        ([LEAD], 49.9),
        ([LEAD], 2001),
        ([LEAD], float("nan")),
        ([Lead("", 5.0)], 250),
        ([Lead("A lead of 17 char", 5.0)], 250),
        ([Lead("II", 0.0)], 250),
        ([Lead("II", 101.0)], 250),
        ([Lead("II", 5.0, adc_bits=33)], 250),
        ([Lead(f"L{number}", 5.0) for number in range(17)], 250),
    ],
)
def test_signals_out_of_bounds_are_refused_at_once(signals: list[Lead], rate_hz: float) -> None:
    with pytest.raises(ValueError, match=r"signals|rate|name|gain|adc_bits"):
        Device("ws://127.0.0.1:1", "t", signals=signals, rate_hz=rate_hz)


async def test_a_lead_that_the_device_does_not_have_cannot_be_off() -> None:
    async with server(nothing_there) as url, device(url) as feed:
        with pytest.raises(ValueError, match="V9"):
            await feed.report_leads_off(["V9"])


# -- cuts


@pytest.mark.parametrize("confirms", [True, False])
async def test_twenty_random_cuts_lose_and_double_no_sample(confirms: bool) -> None:
    rng = random.Random(20)
    ingest = Ingest(confirms=confirms, cut_after=[rng.randint(1, 9) for _ in range(20)])
    sent = ramp(0, 6000)
    async with server(ingest.talk) as url, device(url) as feed:
        first = 0
        while first < 6000:
            count = rng.randint(1, 60)
            await feed.send(sent[:, first : first + count])
            first = min(first + count, 6000)
            if rng.random() < 0.2:
                before = len(ingest.spans)
                await ingest.until(lambda before=before: len(ingest.spans) > before)  # type: ignore[misc]
        if confirms:
            await feed.drain()
        await ingest.until(lambda: ingest.spans[-1][1] == 6000)
        assert feed.reconnects == 20
        assert feed.abandoned_samples == 0
    assert np.array_equal(np.concatenate(ingest.samples, axis=1), sent)
    assert [first for first, _ in ingest.spans[1:]] == [stop for _, stop in ingest.spans[:-1]]
    assert ingest.numbers == list(range(len(ingest.numbers)))
    assert len({hello.session for hello in ingest.hellos}) == 1


async def test_a_server_that_forgot_confirmed_samples_gets_what_is_left() -> None:
    ingest = Ingest()
    async with server(ingest.talk) as url, device(url) as feed:
        await feed.send(ramp(0, 250))
        await feed.drain()
        ingest.next_sample.clear()
        ingest.sockets[0].transport.abort()
        await feed.send(ramp(250, 250))
        await feed.drain()
    assert ingest.hellos[1].next_sample == 250
    assert ingest.spans == [(0, 250), (250, 500)]


async def test_leads_known_to_be_off_are_said_again_after_a_reconnect() -> None:
    ingest = Ingest()
    async with server(ingest.talk) as url, device(url) as feed:
        await feed.report_leads_off(["II"])
        await feed.send(ramp(0, 250))
        await feed.drain()
        ingest.sockets[0].transport.abort()
        await ingest.until(lambda: len(ingest.reports) == 2)
    assert ingest.reports == [messages.DeviceQuality(0, ("II",)), messages.DeviceQuality(250, ("II",))]


async def test_a_full_buffer_gives_up_the_oldest_and_counts_them() -> None:
    ingest = Ingest()
    open_the_door = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        await open_the_door.wait()
        await ingest.talk(socket)

    async with server(talk) as url, device(url, buffer_s=2.0) as feed:
        for first in range(0, 1000, 100):
            await feed.send(ramp(first, 100))
        assert feed.unacked_samples == 500
        assert feed.abandoned_samples == 500
        open_the_door.set()
        await feed.drain()
    assert ingest.hellos[0].next_sample == 500
    assert ingest.spans[0][0] == 500
    assert np.array_equal(np.concatenate(ingest.samples, axis=1), ramp(500, 500))


async def test_send_returns_while_nobody_reads() -> None:
    welcomed = asyncio.Event()
    deaf = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        await socket.recv()
        socket.transport.pause_reading()
        await socket.send(messages.device_welcome(stream="s1", epoch=1, next_sample=0, server_ms=0.0))
        welcomed.set()
        await deaf.wait()
        socket.transport.abort()

    noise = np.random.default_rng(1).integers(-(2**15), 2**15 - 1, (8, 2000), np.int16)
    leads = [Lead(f"L{number}", 1.0) for number in range(8)]
    async with server(talk) as url:
        feed = Device(url, "t", signals=leads, rate_hz=2000, buffer_s=2.0, rng=NoWait())
        async with asyncio.timeout(20), feed:
            await feed.wait_connected()
            for _ in range(300):  # 10 MB, more than the sockets' buffers hold
                await feed.send(noise)
            assert feed.unacked_samples == 4000
            assert feed.abandoned_samples == 300 * 2000 - 4000
            deaf.set()


async def test_after_more_than_ten_minutes_away_a_new_epoch_begins() -> None:
    ingest = Ingest()
    shut = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        if shut.is_set():
            socket.transport.abort()
        else:
            await ingest.talk(socket)

    async with server(talk) as url, device(url, buffer_s=2.0) as feed:
        await feed.send(ramp(0, 250))
        await feed.drain()
        shut.set()
        ingest.sockets[0].transport.abort()
        for first in range(250, 250 * 604, 250):
            await feed.send(ramp(first, 250))
        await feed.report_leads_off(["II"])
        shut.clear()
        await feed.drain()
        assert feed.epoch == 2
        assert feed.next_sample == 500
    assert ingest.spans[1:] == [(0, 250), (250, 500)]
    assert ingest.numbers == [0, 0, 1]
    assert np.array_equal(np.concatenate(ingest.samples[1:], axis=1), ramp(250 * 602, 500))


async def test_a_skip_of_more_than_ten_minutes_begins_a_new_epoch() -> None:
    ingest = Ingest()
    async with server(ingest.talk) as url, device(url) as feed:
        await feed.send(ramp(0, 250))
        feed.skip(250 * 400)
        feed.skip(250 * 400)
        await feed.send(ramp(0, 250))
        await feed.drain()
        assert feed.epoch == 2
    assert ingest.spans == [(0, 250), (0, 250)]
    assert len({hello.session for hello in ingest.hellos}) == 2


async def test_an_index_beyond_32_bits_begins_a_new_epoch_and_loses_nothing() -> None:
    ingest = Ingest(cut_after=[1])
    async with server(ingest.talk) as url, device(url) as feed:
        feed._sessions[0].next_sample = SAMPLE_LIMIT - 300
        await feed.send(ramp(0, 250))
        await feed.send(ramp(250, 250))
        await feed.send(ramp(500, 250))
        assert feed.next_sample == 500
        await feed.drain()
    assert ingest.spans == [(SAMPLE_LIMIT - 300, SAMPLE_LIMIT - 50), (0, 250), (250, 500)]
    assert np.array_equal(np.concatenate(ingest.samples, axis=1), ramp(0, 750))


# -- ends


async def test_a_refused_token_is_raised_by_whatever_comes_next() -> None:
    async def talk(socket: ServerConnection) -> None:
        await socket.recv()
        await say_bye(socket, CloseCode.UNAUTHENTICATED, "token is unknown")

    async def feed_once(url: str) -> None:
        async with device(url) as feed:
            await feed.send(ramp(0, 250))
            with pytest.raises(AuthenticationError):
                await feed.drain()
            with pytest.raises(AuthenticationError):
                feed.skip(1)
            with pytest.raises(AuthenticationError):
                await feed.wait_connected()
            await feed.send(ramp(250, 250))

    async with server(talk) as url:
        with pytest.raises(AuthenticationError, match="token is unknown"):
            await feed_once(url)


async def test_a_refusal_that_nobody_noticed_is_raised_on_leaving() -> None:
    async def talk(socket: ServerConnection) -> None:
        await socket.recv()
        await say_bye(socket, CloseCode.FORBIDDEN, "device is not admitted")

    async def feed_once(url: str) -> None:
        async with device(url) as feed:
            await feed.send(ramp(0, 250))

    async with server(talk) as url:
        with pytest.raises(ForbiddenError, match="not admitted"):
            await feed_once(url)


@pytest.mark.parametrize(
    "answer",
    [
        messages.device_ack(1_000_000),
        '{"type":"ack","next_sample":-1}',
        '{"type":"ack"}',
        '{"type":"later","must_understand":true}',
        "{",
        b"\x01\x09aaaabbbbc",
    ],
)
async def test_a_server_that_breaks_the_protocol_ends_it_with_4400(answer: str | bytes) -> None:
    codes: list[int | None] = []

    async def talk(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(messages.device_welcome(stream="s1", epoch=1, next_sample=0, server_ms=0.0))
        await socket.send(answer)
        await socket.wait_closed()
        codes.append(socket.close_code)

    async def feed_once(url: str) -> None:
        async with device(url) as feed:
            await feed.send(ramp(0, 250))
            await feed.drain()

    async with server(talk) as url:
        with pytest.raises(ProtocolError):
            await feed_once(url)
    assert codes == [CloseCode.PROTOCOL]


async def test_keepalives_and_unknown_messages_are_passed_over() -> None:
    ingest = Ingest()

    async def talk(socket: ServerConnection) -> None:
        serving = asyncio.create_task(ingest.talk(socket))
        await ingest.until(lambda: bool(ingest.spans))
        await socket.send(f'[{messages.time(1.0)},{{"type":"later"}}]')
        await serving

    async with server(talk) as url, device(url) as feed:
        await feed.send(ramp(0, 250))
        await ingest.until(lambda: bool(ingest.spans))
        await feed.send(ramp(250, 250))
        await feed.drain()
        assert feed.reconnects == 0


async def test_leaving_without_a_server_gives_up_after_a_moment_and_counts() -> None:
    async with server(nothing_there) as url:
        async with device(url) as feed:
            await feed.send(ramp(0, 250))
        assert feed.abandoned_samples == 250
    with pytest.raises(RuntimeError, match="closed"):
        await feed.send(ramp(0, 1))


async def test_a_device_outside_its_context_says_how_to_use_it() -> None:
    feed = device("ws://127.0.0.1:1")
    with pytest.raises(RuntimeError, match="async with"):
        await feed.send(ramp(0, 1))


async def test_a_device_with_an_alarm_comes_back_within_5_s_whatever_it_was_asked_for() -> None:
    heard: list[str] = []
    said = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        heard.append(str(await socket.recv()))
        if len(heard) == 1:
            await say_bye(socket, CloseCode.BUSY, "too much to do", retry_after_ms=60_000)
            return
        await socket.send(messages.device_welcome(stream="s1", epoch=1, next_sample=0, server_ms=0.0))
        while '"alarm"' not in str(await socket.recv()):
            pass
        said.set()
        await socket.send(alarm_messages.alarm_stored("a1", on=True))
        await socket.wait_closed()

    async with server(talk) as url, device(url) as feed, asyncio.timeout(20):
        await feed.raise_alarm("a1", kind="asystole", text="ASYSTOLE", severity=AlarmSeverity.HIGH)
        await said.wait()
        await feed.drain()
    assert len(heard) == 2
