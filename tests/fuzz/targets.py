"""All that decodes what a peer sends, as targets: functions of bytes that may raise ProtocolError alone."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from streaming.client.events import Decoder
from streaming.compression import CompressionHandler
from streaming.core import messages
from streaming.core.client_messages import parse_server_messages
from streaming.core.frames import FrameKind, decode_bundle, encode_frame, frame_text
from streaming.core.framing import encode_bundle
from streaming.core.messages import parse_device_message, parse_viewer_message
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.ecg.codec import WaveformEncoder, decode
from streaming.exceptions import ProtocolError

MIB = 2**20
MAX_INPUT_BYTES = 4096
MAX_CPU_S = 2.0
"""For one input, instrumented; the slowest that were found take 0.1 s."""
MAX_PROCESS_MIB = 512
"""The whole process while fuzzing, with what libFuzzer remembers."""


@dataclass(frozen=True, slots=True)
class Target:
    """A decoder under test."""

    run: Callable[[bytes], None]
    max_bytes: int
    """What one input may take at its peak, with what the decoder keeps of it for the next one."""

    def accepts(self, data: bytes) -> bool:
        """Whether one input is decoded, or else refused. Raises what the decoder should not have raised."""
        try:
            self.run(data)
        except ProtocolError:
            return False
        return True


def waveform(data: bytes) -> None:
    """A payload; what decodes is encoded anew, and decodes to the same samples."""
    samples = decode(data)
    again = decode(WaveformEncoder().encode(samples))
    assert again.dtype == samples.dtype
    assert np.array_equal(again, samples)


def bundle(data: bytes) -> None:
    """A binary message and the texts in it; there is one way to write its frames."""
    frames = list(decode_bundle(data))
    assert encode_bundle(encode_frame(f.kind, f.alias, f.first, f.payload, f.flags) for f in frames) == data
    for frame in frames:
        if frame.kind is FrameKind.JSON:
            frame_text(frame)


def viewer_message(data: bytes) -> None:
    """What a viewer says."""
    parse_viewer_message(_text(data))


def device_message(data: bytes) -> None:
    """What a device says."""
    parse_device_message(_text(data))


def server_messages(data: bytes) -> None:
    """What a server says in a text message."""
    parse_server_messages(_text(data))


def decompress(data: bytes) -> None:
    """A line of metadata as JSON, and what it is said to describe."""
    line, _, body = data.partition(b"\n")
    with contextlib.suppress(ValueError, RecursionError):
        metadata = json.loads(line)
        if isinstance(metadata, dict):
            _handler().decompress(body, metadata)


def sdk(data: bytes) -> None:
    """A message to the client's SDK, text or binary, behind the `stream` messages that name its aliases."""
    decoder = Decoder()
    decoder.decode_items([_stream(alias, leads) for alias, leads in ALIASES.items()])
    decoder.decode(parse_server_messages(_text(data)) if data[:1] in (b"{", b"[") else data)


ALIASES: Mapping[int, int] = {0: 1, 7: 2, 9: 12, 65535: 16}
"""Leads of the streams that the SDK's target knows, by alias."""

TARGETS: Mapping[str, Target] = {
    "waveform": Target(waveform, 32 * MIB),
    "bundle": Target(bundle, 8 * MIB),
    "viewer_message": Target(viewer_message, 4 * MIB),
    "device_message": Target(device_message, 4 * MIB),
    "server_messages": Target(server_messages, 4 * MIB),
    "decompress": Target(decompress, 128 * MIB),
    "sdk": Target(sdk, 64 * MIB),
}
"""The most takes a list of empty lists: 24 bytes for each of its text, of which deflate has 1028 in one."""


def _text(data: bytes) -> str:
    """As a WebSocket has it: always UTF-8."""
    return data.decode(errors="replace")


@functools.cache
def _handler() -> CompressionHandler:
    return CompressionHandler()


def _stream(alias: int, leads: int) -> dict[str, Any]:
    every = tuple(Lead(f"L{number}", 5.0) for number in range(leads))
    info = StreamInfo(f"bed-{alias}", 3, "P-0042", "ward", Source.SIM, 360.0, every)
    told: dict[str, Any] = json.loads(messages.stream(info, alias))
    return told
