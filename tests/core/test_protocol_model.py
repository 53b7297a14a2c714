"""A client and a server speak vital.v1: what is said is what is heard, or a typed error."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streaming.core import client_messages, messages
from streaming.core.frames import (
    HEADER,
    MAX_FRAME_BYTES,
    Frame,
    FrameFlag,
    FrameKind,
    decode_bundle,
    encode_frame,
    encode_json_frame,
    frame_text,
    pack_json_frame,
)
from streaming.core.framing import encode_bundle
from streaming.core.messages import SAMPLE_LIMIT, Ack, GapReason, Subscribe, TimeRequest
from streaming.core.position import MAX_JUMP_S, SampleRange, StreamPosition
from streaming.core.streams import Lead, Source
from streaming.core.window import SendWindow
from streaming.exceptions import AuthenticationError, CloseCode, ProtocolError
from tests.long_runs import NIGHTLY_STEPS, nightly_of

RATE_HZ = 250.0
MAX_HOLES = 8
streams = st.lists(st.sampled_from(["a", "b-1", "c.2", "D_3"]), max_size=6)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
BAD_CODES = {CloseCode.PROTOCOL, CloseCode.UNAUTHENTICATED}


class Conversation(RuleBasedStateMachine):
    """The model knows every message and every sample that was ever sent."""

    @initialize(start=st.integers(0, 100))
    def connect(self, start: int) -> None:
        self.now = 0.0
        self.window = SendWindow()
        self.received = 0
        """WebSocket messages that the viewer has decoded."""
        self.position = StreamPosition(RATE_HZ, start=start, max_holes=MAX_HOLES)
        self.start = self.reached = start
        self.came: set[int] = set()
        self.forgotten: set[int] = set()

    # -- the viewer speaks

    @rule(wanted=streams, focus=st.booleans())
    def subscribe(self, wanted: list[str], focus: bool) -> None:
        seen = wanted[0] if focus and wanted else None
        heard = messages.parse_viewer_message(client_messages.subscribe(wanted, focus=seen))
        assert heard == Subscribe(tuple(dict.fromkeys(wanted)), seen)

    @rule(t0=st.floats(-1e15, 1e15))
    def ask_the_time(self, t0: float) -> None:
        for parse in (messages.parse_viewer_message, messages.parse_device_message):
            assert parse(client_messages.time_request(t0)) == TimeRequest(t0)
        (answer,) = client_messages.parse_server_messages(messages.time(1.5, t0=t0))
        assert (answer["type"], answer["t0"], answer["server_ms"]) == ("time", t0, 1.5)

    @rule(back=st.integers(0, 5), held_ms=st.floats(0, 1e6))
    def acknowledge(self, back: int, held_ms: float) -> None:
        n = max(0, self.received - back)
        text = client_messages.ack(n, decoded_ms=1.0, backlog=back, held_ms=held_ms)
        heard = messages.parse_viewer_message(text)
        assert heard == Ack(n, 1.0, back, round(held_ms, 3))
        before = self.window.acked
        freed = self.window.on_ack(n, self.now, held_s=held_ms / 1000)
        assert freed.messages == max(0, n - before)
        assert self.window.acked == max(before, n)

    @rule(beyond=st.integers(1, 2**40))
    def acknowledge_what_was_never_sent(self, beyond: int) -> None:
        text = client_messages.ack(self.window.sent + beyond, decoded_ms=0.0, backlog=0)
        heard = messages.parse_viewer_message(text)
        assert isinstance(heard, Ack)
        before = self.window.acked, self.window.in_flight_bytes
        with pytest.raises(ProtocolError) as caught:
            self.window.on_ack(heard.n, self.now)
        assert caught.value.close_code is CloseCode.PROTOCOL
        assert (self.window.acked, self.window.in_flight_bytes) == before

    @rule(
        kind=st.sampled_from(["hello", "subscribe", "ack", "time", "quality"]),
        field=st.sampled_from(
            ["n", "streams", "focus", "t0", "token", "session", "signals", "protocol", "sample"]
        ),
        junk=JUNK,
    )
    def say_nonsense(self, kind: str, field: str, junk: Any) -> None:
        """Whatever stands in a field: a value, or an error that tells the field and the close code."""
        try:
            text = json.dumps({"type": kind, field: junk})
        except ValueError:
            return
        for parse in (messages.parse_viewer_message, messages.parse_device_message):
            refusal = refused(partial(parse, text))
            if refusal is not None:
                assert refusal.close_code in BAD_CODES
                assert len(refusal.reason) < 123
                assert not (isinstance(junk, str) and len(junk) > 6 and junk in refusal.reason)

    @rule(kind=st.text("abcdefg", min_size=1, max_size=8), must=st.booleans())
    def say_what_is_not_known(self, kind: str, must: bool) -> None:
        text = json.dumps({"type": f"x-{kind}", "must_understand": must})
        for parse in (messages.parse_viewer_message, messages.parse_device_message):
            if must:
                with pytest.raises(ProtocolError):
                    parse(text)
            else:
                assert parse(text) is None

    # -- the server speaks

    @rule(
        payloads=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=4),
        longest=st.booleans(),
        first=st.integers(0, SAMPLE_LIMIT - 1),
        alias=st.integers(0, 0xFFFF),
        packed=st.booleans(),
    )
    def send_a_bundle(
        self, payloads: list[bytes], longest: bool, first: int, alias: int, packed: bool
    ) -> None:
        if longest:
            payloads = [*payloads, bytes(MAX_FRAME_BYTES - HEADER.size)]
        kinds = (FrameKind.WAVEFORM, FrameKind.BACKFILL)
        sent = [
            Frame(kinds[number % 2], FrameFlag.NONE, alias, first, payload)
            for number, payload in enumerate(payloads)
        ]
        said = messages.gap(
            "a", epoch=1, first=first, stop=first + 1, reason=GapReason.EXPIRED, recoverable=False
        )
        parts = [encode_frame(f.kind, f.alias, f.first, f.payload) for f in sent]
        parts.append(pack_json_frame(said) if packed else encode_json_frame(said))
        message = encode_bundle(parts)
        self.window.on_sent(len(message), self.now)
        *frames, told = decode_bundle(message)
        assert frames == sent
        (gap,) = client_messages.parse_server_messages(frame_text(told))
        assert (gap["from"], gap["to"], gap["reason"]) == (first, first + 1, "expired")
        self.received += 1

    @rule(
        payload=st.binary(min_size=1, max_size=60),
        cut=st.integers(1, 12),
        at=st.integers(0, 80),
        flip=st.integers(1, 255),
    )
    def send_a_broken_bundle(self, payload: bytes, cut: int, at: int, flip: int) -> None:
        whole = encode_bundle([encode_frame(FrameKind.WAVEFORM, 1, 2, payload), encode_json_frame('{"a":1}')])
        shorter = whole[:-cut]
        frames = decode_bundle(shorter)
        assert refused(lambda: next(frames)) or refused(lambda: next(frames)), "a cut-off frame passed"
        at %= len(whole)
        flipped = whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
        refusal = refused(lambda: read_all(flipped))
        assert refusal is None or refusal.close_code is CloseCode.PROTOCOL

    @rule(seconds=st.sampled_from([0.0, 0.1, 5.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    # -- the device speaks

    @rule(gain=st.sampled_from([0.001, 4.88, 100.0]), rate=st.sampled_from([50.0, 360.0, 2000.0]))
    def device_hello(self, gain: float, rate: float) -> None:
        leads = (Lead("II", gain), Lead("V1", gain, -5, 24))
        facts: dict[str, Any] = {
            "session": "session-1",
            "next_sample": 7,
            "source": Source.SIM,
            "rate_hz": rate,
            "leads": leads,
        }
        heard = messages.parse_device_message(client_messages.device_hello(token="t", **facts))
        assert isinstance(heard, messages.DeviceHello)
        assert {name: getattr(heard, name) for name in facts} == facts
        without = json.loads(client_messages.device_hello(token="t", **facts))
        del without["token"]
        with pytest.raises(AuthenticationError):
            messages.parse_device_message(json.dumps(without))

    @rule(offset=st.integers(-60, 40), count=st.integers(1, 30))
    def send_samples(self, offset: int, count: int) -> None:
        """Live, late, twice, or behind a hole: each sample is exactly one of these."""
        first = max(0, self.reached + offset)
        chunk = range(first, first + count)
        accepted = self.position.accept(first, count)
        live = _indices(accepted.live)
        late = {index for span in accepted.backfill for index in _indices(span)}
        assert live == {index for index in chunk if index >= self.reached}
        missing = set(range(self.start, self.reached)) - self.came - self.forgotten
        assert late == {index for index in chunk if index in missing}
        assert accepted.duplicates == count - len(live) - len(late)
        assert _indices(accepted.hole) == set(range(self.reached, max(first, self.reached)))
        self.came |= live | late
        self.reached = max(self.reached, first + count)
        for span in accepted.forgotten:
            self.forgotten |= _indices(span)

    @rule(jump=st.integers(1, 1000), far=st.booleans())
    def send_samples_from_nowhere(self, jump: int, far: bool) -> None:
        before = self.position.next_sample, self.position.holes
        first = SAMPLE_LIMIT if far else self.reached + int(RATE_HZ * MAX_JUMP_S) + jump
        with pytest.raises(ProtocolError) as caught:
            self.position.accept(first, 5)
        assert caught.value.close_code is CloseCode.PROTOCOL
        assert (self.position.next_sample, self.position.holes) == before

    @invariant()
    def positions_are_known(self) -> None:
        assert self.position.next_sample == self.reached
        missing = set(range(self.start, self.reached)) - self.came - self.forgotten
        holes = self.position.holes
        assert {index for hole in holes for index in _indices(hole)} == missing
        assert len(holes) <= MAX_HOLES
        assert self.window.sent == self.received


def refused(act: Callable[[], object]) -> ProtocolError | None:
    """The refusal of what was done; any other error passes."""
    try:
        act()
    except ProtocolError as error:
        return error
    return None


def read_all(message: bytes) -> None:
    """As a client does with a bundle."""
    for frame in decode_bundle(message):
        assert 0 < len(frame.payload) < len(message)
        if frame.kind is FrameKind.JSON:
            frame_text(frame)


def _indices(span: SampleRange | None) -> set[int]:
    return set() if span is None else set(range(span.first, span.stop))


TestConversation = Conversation.TestCase
TestConversation.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestConversationNightly = nightly_of(Conversation, steps=NIGHTLY_STEPS)
