"""Many cheap viewers in one process: they count what they get, and ack as vital.v1 asks.

Run as `python -m bench.support.viewers URL COUNT`, with options. Prints "connected"
once all are, one after the other, and "ready" once each has got a frame; then, for each line on its
standard input, a JSON line of the counts so far. A line that tells a schedule says when which message is due;
how late they came by it is in each answer, of what came since the one before.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import re
import struct
import sys
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from urllib.parse import urlsplit

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
ACK_MESSAGES = 4
ACK_S = 0.1
CADENCE = re.compile(rb'"type":"cadence","messages":(\d+),"ms":(\d+)')


@dataclass(slots=True)
class Counts:
    """What all viewers of this process got; `frames` are the logical waveform messages."""

    messages: int = 0
    frames: int = 0
    payload_bytes: int = 0
    closed: int = 0


@dataclass(slots=True)
class Schedule:
    """When which message is due, and how late they came."""

    began: float = 0.0
    per_s: float = 0.0
    samples: int = 0
    """To a frame: a bundle tells the first of its first frame. 0: a message begins with its number."""
    late_s: list[float] = field(default_factory=list)

    def came(self, buffer: bytearray, at: int) -> None:
        """A message lies at `at`."""
        if self.samples:
            at += 2 if buffer[at + 1] < 0x80 else 3
            if buffer[at] != 1:  # not a frame
                return
            number = int.from_bytes(buffer[at + 4 : at + 8], "little") // self.samples
        else:
            number = int.from_bytes(buffer[at : at + 8], "little")
        self.late_s.append(time.monotonic() - self.began - number / self.per_s)

    def percentiles(self) -> dict[str, float]:
        """The median, the 99th percentile and the most since the last call, in ms."""
        late_s, self.late_s = sorted(self.late_s), []
        if not late_s:
            return {}
        last = len(late_s) - 1
        return {
            name: 1000 * late_s[round(share * last)]
            for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99), ("max_ms", 1.0))
        }


@dataclass(frozen=True, slots=True)
class Options:
    """How to read what is sent."""

    deflate: bool = False
    """Offer permessage-deflate, and inflate nothing."""
    frames: int = 0
    """Count each binary message as so many frames; 0: look into the bundle."""


class Viewer(asyncio.Protocol):
    """One WebSocket (RFC 6455) with as little work per message as Python allows."""

    def __init__(
        self,
        url: str,
        counts: Counts,
        schedule: Schedule,
        token: str,
        streams: list[str],
        options: Options,
    ) -> None:
        self._url = urlsplit(url)
        self._counts = counts
        self._schedule = schedule
        self._token = token
        self._streams = streams
        self._options = options
        self._buffer = bytearray()
        self._open = False
        self._welcomed = not token
        self._received = 0
        self._received_at = 0.0
        self._acked = 0
        self._ack_messages = ACK_MESSAGES
        self._ack_s = ACK_S
        self._timer: asyncio.TimerHandle | None = None
        self.connected = asyncio.get_running_loop().create_future()
        self.ready = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        protocol = "Sec-WebSocket-Protocol: vital.v1\r\n" if self._token else ""
        if self._options.deflate:
            protocol += "Sec-WebSocket-Extensions: permessage-deflate\r\n"
        lines = (
            f"GET {self._url.path} HTTP/1.1\r\nHost: {self._url.netloc}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{protocol}\r\n"
        )
        transport.write(lines.encode())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Count it: nobody should be cut in a benchmark."""
        self._counts.closed += 1
        for waited in (self.connected, self.ready):
            if not waited.done():
                waited.set_exception(ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Take every whole frame out of the buffer."""
        self._buffer += data
        if not self._open:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if b" 101 " not in self._buffer[:32]:
                raise ConnectionError(bytes(self._buffer[:80]).decode("latin-1"))
            del self._buffer[: end + 4]
            self._open = True
            if self._token:
                self._send({"type": "hello", "protocol": "vital.v1", "token": self._token})
            else:
                self.connected.set_result(None)
        at, end, buffer = 0, len(self._buffer), self._buffer
        while end - at >= 2:
            size, head = buffer[at + 1] & 0x7F, 2
            if size == 126:
                if end - at < 4:
                    break
                size, head = int.from_bytes(buffer[at + 2 : at + 4], "big"), 4
            elif size == 127:
                if end - at < 10:
                    break
                size, head = int.from_bytes(buffer[at + 2 : at + 10], "big"), 10
            if end - at < head + size:
                break
            self._message(buffer[at] & 0x0F, buffer, at + head, size)
            at += head + size
        del buffer[:at]

    def _message(self, opcode: int, buffer: bytearray, at: int, size: int) -> None:
        if opcode == PING:
            self._write(PONG, bytes(buffer[at : at + size]))
            return
        if opcode == CLOSE:
            self._transport.close()
            return
        counts = self._counts
        if not self._welcomed:
            self._welcomed = True
            self._send({"type": "subscribe", "streams": self._streams, "focus": None})
            self.connected.set_result(None)
            return
        if opcode == TEXT and (asked := CADENCE.search(buffer, at, at + size)):
            self._ack_messages, self._ack_s = int(asked[1]), int(asked[2]) / 1000
        counts.messages += 1
        counts.payload_bytes += size
        if opcode == BINARY:
            counts.frames += self._options.frames or _frames_in(buffer, at, size)
            if not self.ready.done():
                self.ready.set_result(None)
            if self._schedule.per_s:
                self._schedule.came(buffer, at)
        if self._token:
            self._received += 1
            self._received_at = asyncio.get_running_loop().time()
            if self._received - self._acked >= self._ack_messages:
                self._ack()
            elif self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(self._ack_s, self._ack)

    def _ack(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._acked = self._received
        held_ms = round(1000 * (asyncio.get_running_loop().time() - self._received_at), 3)
        self._send({"type": "ack", "n": self._acked, "decoded_ms": 0, "backlog": 0, "held_ms": held_ms})

    def _send(self, message: dict[str, object]) -> None:
        self._write(TEXT, json.dumps(message, separators=(",", ":")).encode())

    def _write(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            head = struct.pack(">BB", 0x80 | opcode, 0x80 | size)
        else:
            head = struct.pack(">BBH", 0x80 | opcode, 0xFE, size)
        # A mask of zeros leaves the payload as it is; browsers must not do this, a benchmark may.
        self._transport.write(head + bytes(4) + payload)


def _frames_in(buffer: bytearray, at: int, size: int) -> int:
    """Waveform frames of a bundle: version, then (varint length, frame) pairs."""
    end, count = at + size, 0
    at += 1
    while at < end:
        length = shift = 0
        while True:
            byte = buffer[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        count += buffer[at] == 1
        at += length
    return count


async def run(url: str, count: int, tokens: list[str], streams: list[str], options: Options) -> None:
    """Connect them all, then answer each line of standard input with the counts."""
    loop = asyncio.get_running_loop()
    counts, schedule = Counts(), Schedule()
    place = urlsplit(url)
    assert place.hostname is not None
    assert place.port is not None
    viewers = []
    for number in range(count):
        new = partial(Viewer, url, counts, schedule, tokens[number % len(tokens)], streams, options)
        _, viewer = await loop.create_connection(new, place.hostname, place.port)
        await viewer.connected
        viewers.append(viewer.ready)
    print("connected", flush=True)
    await asyncio.gather(*viewers)
    print("ready", flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        if line.strip():
            told = json.loads(line)
            schedule.began, schedule.per_s, schedule.samples = told["began"], told["per_s"], told["samples"]
        print(json.dumps(asdict(counts) | schedule.percentiles()), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("--tokens", default="")
    parser.add_argument("--streams", default="")
    parser.add_argument("--deflate", action="store_true")
    parser.add_argument("--frames", type=int, default=0)
    given = parser.parse_args()
    options = Options(given.deflate, given.frames)
    asyncio.run(run(given.url, given.count, given.tokens.split(","), given.streams.split(","), options))
