"""What a device session still owes the server: numbered chunks, in order, until they are confirmed."""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass, replace

from streaming.client.own_alarms import OwnAlarms
from streaming.core.client_messages import device_quality
from streaming.core.frames import FrameKind, encode_frame
from streaming.core.framing import encode_bundle
from streaming.exceptions import ProtocolError


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Encoded samples `first` to `stop`; `number` counts the session's chunks from 0."""

    number: int
    first: int
    stop: int
    payload: bytes

    @property
    def samples(self) -> int:
        return self.stop - self.first

    def frame(self) -> bytes:
        return encode_frame(FrameKind.WAVEFORM, self.number & 0xFFFF, self.first, self.payload)


@dataclass(frozen=True, slots=True)
class _LeadsOff:
    """From sample `first` on these leads are off; it is confirmed with the first sample behind it."""

    first: int
    names: tuple[str, ...]

    @property
    def stop(self) -> int:
        return self.first + 1

    @property
    def samples(self) -> int:
        return 0


class Session:
    """Chunks and lead-off reports of one epoch: sent in order, sent again after a reconnect, confirmed.

    Pure: no clock, no network. A chunk keeps its number and its place however often it is sent.
    """

    def __init__(self, *, next_sample: int = 0) -> None:
        self.name = secrets.token_urlsafe(16)
        self.next_sample = next_sample
        """Index of the next new sample."""
        self.hole = 0
        """Samples skipped since the last chunk."""
        self.samples = 0
        """Samples per lead that are not confirmed."""
        self.alarms = OwnAlarms()
        self._number = 0
        self._sent: deque[_Chunk | _LeadsOff] = deque()
        self._unsent: deque[_Chunk | _LeadsOff] = deque()
        self._confirmed_leads_off: tuple[str, ...] = ()

    @property
    def oldest_sample(self) -> int:
        """Index of the first sample that can still be sent; `next_sample` when there is none."""
        return next((item.first for item in (*self._sent, *self._unsent) if item.samples), self.next_sample)

    @property
    def is_settled(self) -> bool:
        """Whether all is sent, and all samples and alarms are confirmed."""
        return not self._unsent and self.samples == 0 and self.alarms.is_settled

    def append(self, payload: bytes, count: int) -> None:
        """Add one chunk of `count` samples behind all others."""
        stop = self.next_sample + count
        self._unsent.append(_Chunk(self._number, self.next_sample, stop, payload))
        self._number += 1
        self.samples += count
        self.next_sample, self.hole = stop, 0

    def report_leads_off(self, names: tuple[str, ...]) -> None:
        """Add a report about the samples from here on; it replaces one that no sample has followed."""
        if self._unsent and isinstance(self._unsent[-1], _LeadsOff):
            self._unsent.pop()
        self._unsent.append(_LeadsOff(self.next_sample, names))

    def skip(self, count: int) -> None:
        """Leave a hole before the next sample."""
        self.next_sample += count
        self.hole += count

    def take(self, max_bytes: int) -> bytes | str | None:
        """The next message, if any: an alarm, a report, or a bundle of `max_bytes` or of one frame."""
        if (alarm := self.alarms.take()) is not None:
            return alarm
        frames: list[bytes] = []
        size = 0
        while self._unsent:
            item = self._unsent[0]
            if isinstance(item, _LeadsOff):
                if frames:
                    break
                self._sent.append(self._unsent.popleft())
                return device_quality(sample=item.first, leads_off=item.names)
            size += len(item.payload)
            if frames and size > max_bytes:
                break
            frames.append(item.frame())
            self._sent.append(self._unsent.popleft())
        return encode_bundle(frames) if frames else None

    def confirm(self, next_sample: int) -> None:
        """The server has all samples before `next_sample`; ProtocolError if they do not go that far."""
        if next_sample > self.next_sample:
            raise ProtocolError("the server confirms samples that were never sent")
        while self._sent and self._sent[0].stop <= next_sample:
            item = self._sent.popleft()
            self.samples -= item.samples
            if isinstance(item, _LeadsOff):
                self._confirmed_leads_off = item.names

    def resume(self, next_sample: int) -> None:
        """On a new connection: all is unsent again, except what lies before the server's `next_sample`.

        The leads known to be off are said again, for a server that was restarted.
        """
        self.alarms.again()
        self._sent.extend(self._unsent)
        self._unsent.clear()
        self.confirm(next_sample)
        self._unsent, self._sent = self._sent, self._unsent
        if self._confirmed_leads_off:
            self._unsent.appendleft(
                _LeadsOff(min(next_sample, self.oldest_sample), self._confirmed_leads_off)
            )

    def abandon(self, excess: int) -> int:
        """Give up the oldest chunks until `excess` samples are gone; the number of samples given up."""
        given_up = 0
        while given_up < excess and (queue := self._sent or self._unsent):
            item = queue.popleft()
            given_up += item.samples
            if isinstance(item, _LeadsOff):
                self._confirmed_leads_off = item.names
        self.samples -= given_up
        return given_up

    def begin_anew(self) -> None:
        """Become a new session, whose sample 0 is the oldest one still here; chunk numbers start at 0 too."""
        shift = self.oldest_sample
        self._sent.extend(self._unsent)
        self._unsent.clear()
        self._number = 0
        for item in self._sent:
            first = max(item.first - shift, 0)
            if isinstance(item, _LeadsOff):
                self._unsent.append(replace(item, first=first))
            else:
                self._unsent.append(_Chunk(self._number, first, item.stop - shift, item.payload))
                self._number += 1
        self._sent.clear()
        self.next_sample -= shift
        self.name = secrets.token_urlsafe(16)
