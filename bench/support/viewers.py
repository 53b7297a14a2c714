"""Many cheap viewers in one process: they count what they get, and ack as vital.v1 asks.

Run as `python -m bench.support.viewers URL COUNT`, with options. Prints "connected"
once all are, one after the other, and "ready" once each has got a frame; then, for each line on its
standard input, a JSON line of the counts so far. A line that tells a schedule says when which message is due;
how late they came by it is in each answer, of what came since the one before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

from streaming.core.cadence import OFTEN
from streaming.core.client_messages import ack, subscribe, viewer_hello
from streaming.core.frames import SUBPROTOCOL
from streaming.loadtest.wire import WireClient, connect

CONNECT_S = 10.0
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

    def came(self, payload: bytes) -> None:
        """This message has come."""
        if self.samples:
            at = 2 if payload[1] < 0x80 else 3
            if payload[at] != 1:  # not a frame
                return
            number = int.from_bytes(payload[at + 4 : at + 8], "little") // self.samples
        else:
            number = int.from_bytes(payload[:8], "little")
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


class Viewer:
    """One WebSocket: what it is sent is counted, and looked into no more than that takes."""

    def __init__(
        self, url: str, counts: Counts, schedule: Schedule, token: str, streams: list[str], options: Options
    ) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when it has got a frame."""
        self._url = urlsplit(url)
        self._counts = counts
        self._schedule = schedule
        self._token = token
        self._streams = streams
        self._options = options
        self._welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._received = 0
        self._received_at = 0.0
        self._acked = 0
        self._ack_messages = OFTEN.messages
        self._ack_s = OFTEN.hold_s
        self._timer: asyncio.TimerHandle | None = None
        self._wire = WireClient(
            self._url,
            "",
            on_message=self._on_message,
            on_end=self._on_end,
            subprotocol=SUBPROTOCOL if token else None,
            extensions="permessage-deflate" if options.deflate else None,
        )

    async def connect(self) -> None:
        """Return when the server has welcomed it."""
        await connect(self._url, self._wire, narrow=False, timeout_s=CONNECT_S)
        if self._token:
            self._wire.send_text(viewer_hello(token=self._token, client="vital bench"))
            await self._welcomed

    def _on_end(self, code: int, reason: str) -> None:
        """Count it: nobody should be cut in a benchmark."""
        self._counts.closed += 1
        for waited in (self._welcomed, self.ready):
            if not waited.done():
                waited.set_exception(ConnectionError(f"the server closed the connection: {code} {reason}"))

    def _on_message(self, is_text: bool, payload: bytes) -> None:
        counts = self._counts
        if self._token and not self._welcomed.done():
            self._wire.send_text(subscribe(self._streams))
            self._welcomed.set_result(None)
            return
        counts.messages += 1
        counts.payload_bytes += len(payload)
        if not is_text:
            counts.frames += self._options.frames or _frames_in(payload)
            if not self.ready.done():
                self.ready.set_result(None)
            if self._schedule.per_s:
                self._schedule.came(payload)
        elif asked := CADENCE.search(payload):
            self._ack_messages, self._ack_s = int(asked[1]), int(asked[2]) / 1000
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
        self._wire.send_text(ack(self._acked, decoded_ms=0, backlog=0, held_ms=held_ms))


def _frames_in(payload: bytes) -> int:
    """Waveform frames of a bundle: version, then (varint length, frame) pairs."""
    at, end, count = 1, len(payload), 0
    while at < end:
        length = shift = 0
        while True:
            byte = payload[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        count += payload[at] == 1
        at += length
    return count


async def run(url: str, count: int, tokens: list[str], streams: list[str], options: Options) -> None:
    """Connect them all, then answer each line of standard input with the counts."""
    counts, schedule = Counts(), Schedule()
    ready = []
    for number in range(count):
        viewer = Viewer(url, counts, schedule, tokens[number % len(tokens)], streams, options)
        await viewer.connect()
        ready.append(viewer.ready)
    print("connected", flush=True)
    await asyncio.gather(*ready)
    print("ready", flush=True)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
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
