"""A viewer so cheap that there can be a thousand: it counts, keeps positions, and acks as vital.v1 asks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult

from streaming.client.events import read_cadence
from streaming.core.cadence import OFTEN
from streaming.core.client_messages import ack, client_bye, subscribe, time_request, viewer_hello
from streaming.core.fields import Fields
from streaming.core.messages import MAX_STREAMS
from streaming.core.priority import MessagePriority
from streaming.ecg.codec import decode
from streaming.exceptions import ProtocolError
from streaming.loadtest.bundles import Wave, contents_of, items_of
from streaming.loadtest.positions import Positions
from streaming.loadtest.tally import Tally
from streaming.loadtest.wire import ABNORMAL, WireClient, connect

PATH = "/ws/viewer/"
OPEN_S = 15.0
ASK_TIME_S = 2.0
_CRITICAL, _HIGH, _NORMAL, _LOW, _BULK = (priority.name.lower() for priority in MessagePriority)
_CLASSES = {"vitals": _HIGH, "gap": _HIGH, "quality": _NORMAL, "stats": _LOW}
"""Of messages by type; all others are about the connection, and CRITICAL."""


@dataclass(frozen=True, slots=True)
class Origin:
    """When sample 0 of a stream's epoch was taken, on this machine's monotonic clock, and the true rate."""

    at_s: float
    rate_hz: float


@dataclass(slots=True)
class Shared:
    """What the viewers of one process have in common.

    `origins` are those of streams that this load test feeds. Of other streams nobody knows when a sample was
    taken: their ages are by how much a frame came later than the promptest of its epoch.
    """

    tally: Tally = field(default_factory=Tally)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    promptest: dict[tuple[str, int], float] = field(default_factory=dict)
    on_text: Callable[[dict[str, Any]], None] | None = None
    """Hears each text message as well."""


class LoadViewer:
    """One connection: connect with `open`, then it runs by itself until `ended` is done."""

    def __init__(
        self,
        shared: Shared,
        token: str,
        streams: Sequence[str],
        *,
        patients: int = MAX_STREAMS,
        decodes: bool = False,
    ) -> None:
        self.shared = shared
        self.ended: asyncio.Future[tuple[int, str, float | None]] = asyncio.get_running_loop().create_future()
        """The close code, the reason, and the milliseconds after which the server wants to be asked again."""
        self.has_frames = asyncio.Event()
        self.drops: Counter[str] = Counter()
        """What the server said it has dropped on this connection."""
        self.wire: WireClient | None = None
        self._token = token
        self._streams = list(streams)
        self._patients = patients
        self._decodes = decodes
        self._loop = asyncio.get_running_loop()
        self._positions = Positions()
        self._welcomed = False
        self._cadence = OFTEN
        self._received = self._acked = 0
        self._received_at = 0.0
        self._ack_timer: asyncio.TimerHandle | None = None
        self._time_timer: asyncio.TimerHandle | None = None
        self._retry_after_ms: float | None = None
        self._bye: tuple[int, str] | None = None

    async def open(self, url: SplitResult, bytes_per_s: float | None = None) -> None:
        """Connect and say hello. Raises OSError where that fails."""
        self.wire = WireClient(
            url, PATH, on_message=self._on_message, on_end=self._on_end, bytes_per_s=bytes_per_s
        )
        await connect(url, self.wire, narrow=bytes_per_s is not None, timeout_s=OPEN_S)
        self.wire.send_text(viewer_hello(token=self._token, client="vital loadtest"))

    def leave(self) -> None:
        """Say bye, so that the server closes."""
        if self.wire is not None:
            self.wire.send_text(client_bye())

    def hang(self) -> None:
        """Read and ack nothing any more."""
        self._cancel_timers()
        if self.wire is not None:
            self.wire.pause()

    def _on_end(self, code: int, reason: str) -> None:
        self._cancel_timers()
        if self.has_frames.is_set():
            self.shared.tally.connected -= 1
        if self._bye is not None and code in (ABNORMAL, 1005):
            code = self._bye[0]
        if not self.ended.done():
            self.ended.set_result((code, self._bye[1] if self._bye else reason, self._retry_after_ms))

    def _cancel_timers(self) -> None:
        for timer in (self._ack_timer, self._time_timer):
            if timer is not None:
                timer.cancel()

    def _on_message(self, is_text: bool, payload: bytes) -> None:
        tally, was_welcomed = self.shared.tally, self._welcomed
        try:
            if is_text:
                for item in items_of(payload.decode()):
                    self._hear(item, len(payload), tally)
            else:
                self._read(payload, tally)
        except (ProtocolError, UnicodeDecodeError, KeyError, TypeError) as error:
            tally.malformed += 1
            assert self.wire is not None
            self._bye = 4400, repr(error)
            self.wire.close(4400)
            return
        if not was_welcomed:  # `welcome` is number 0
            return
        tally.messages += 1
        tally.size_bytes += len(payload)
        self._received += 1
        self._received_at = self._loop.time()
        if self._received - self._acked >= self._cadence.messages:
            self._ack()
        elif self._ack_timer is None:
            self._ack_timer = self._loop.call_later(self._cadence.hold_s, self._ack)

    def _ack(self) -> None:
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        self._acked = self._received
        assert self.wire is not None
        held_ms = 1000 * (self._loop.time() - self._received_at)
        self.wire.send_text(ack(self._received, decoded_ms=0, backlog=0, held_ms=held_ms))

    def _read(self, payload: bytes, tally: Tally) -> None:
        """A bundle. What all viewers are sent is read once; what is done here is done a thousand times."""
        by_class, sizes, renditions = tally.by_class, tally.bytes_by_class, tally.renditions
        formats, origins = self._positions.formats, self.shared.origins
        now = self._loop.time()
        for part in contents_of(payload).parts:
            if not isinstance(part, Wave):
                self._hear(part[0], part[1], tally)
                continue
            known = formats[part.alias]
            if self._decodes:
                if decode(part.frame.payload).shape[1] != part.samples:
                    raise ProtocolError("frame has another number of samples than its header says")
                tally.decoded_frames += 1
            if not part.is_live:
                by_class[_BULK] += 1
                sizes[_BULK] += part.size_bytes
                continue
            by_class[_HIGH] += 1
            sizes[_HIGH] += part.size_bytes
            renditions[known.rendition] += 1
            verdict = self._positions.frame(known, part.first, part.samples)
            if verdict.lost or verdict.is_repeated:
                tally.lost_samples += verdict.lost
                tally.lost_holes += verdict.lost > 0
                tally.repeated_frames += verdict.is_repeated
            stop = part.first + part.samples * known.factor
            origin = origins.get(known.name)
            if origin is not None:
                rate_hz, age_s = origin.rate_hz, now - origin.at_s - stop / origin.rate_hz
            else:
                rate_hz, age_s = (
                    known.rate_hz,
                    self._relative_age(known.name, known.epoch, now - stop / known.rate_hz),
                )
            tally.newest.add(age_s)
            tally.oldest.add(age_s + part.samples * known.factor / rate_hz)
            if not self.has_frames.is_set():
                self.has_frames.set()
                tally.connected += 1

    def _relative_age(self, name: str, epoch: int, came_after_s: float) -> float:
        promptest = self.shared.promptest
        least = promptest.get((name, epoch))
        if least is None or came_after_s < least:
            least = promptest[name, epoch] = came_after_s
        return came_after_s - least

    def _hear(self, item: dict[str, Any], size_bytes: int, tally: Tally) -> None:
        kind = item["type"]
        group = _CLASSES.get(kind, _CRITICAL)
        tally.by_class[group] += 1
        tally.bytes_by_class[group] += size_bytes
        match kind:
            case "stream":
                self._positions.announce(
                    item["alias"],
                    item["stream"],
                    item["epoch"],
                    rendition=item["rendition"],
                    factor=item["factor"],
                    rate_hz=item["rate_hz"],
                )
            case "gap":
                first, stop = item["from"], item["to"]
                tally.gaps[item["reason"]] += 1
                tally.gap_samples[item["reason"]] += stop - first
                late = self._positions.gap(item["stream"], item["epoch"], first, stop)
                tally.lost_samples -= late
                tally.late_gap_samples += late
            case "stats":
                drops = Counter(item.get("drops") or {})
                tally.drops += drops - self.drops
                self.drops = drops
                tally.overload[item.get("overload", "normal")] += 1
            case "time":
                if "t0" in item:
                    tally.round_trips.add(self._loop.time() - item["t0"])
            case "cadence":
                self._cadence = read_cadence(Fields(item))
            case "welcome":
                self._begin(item)
            case "roster":
                if not self._streams:
                    self._streams = [entry["stream"] for entry in item["streams"]][: self._patients]
                    self._subscribe()
            case "bye":
                self._bye = item["code"], item["reason"]
                self._retry_after_ms = item["retry_after_ms"]
        if self.shared.on_text is not None:
            self.shared.on_text(item)

    def _begin(self, welcome: dict[str, Any]) -> None:
        self._welcomed = True
        self._cadence = read_cadence(Fields(welcome.get("ack") or {}, "ack."))
        if self._streams:
            self._subscribe()
        self._ask_time()

    def _subscribe(self) -> None:
        assert self.wire is not None
        self.wire.send_text(subscribe(self._streams))

    def _ask_time(self) -> None:
        assert self.wire is not None
        self.wire.send_text(time_request(self._loop.time()))
        self._time_timer = self._loop.call_later(ASK_TIME_S, self._ask_time)
