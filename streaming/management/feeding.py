"""Runs many playing devices in one process until they end or are told to, and says how they fare."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Any

from django.core.management.base import CommandError, CommandParser, OutputWrapper

from streaming import command_line
from streaming.client import Device, Pacer, ProtocolError
from streaming.client.connection import require_root
from streaming.client.pacing import MAX_SPEED, MIN_SPEED
from streaming.client.playback import CHUNK_S, Step, play
from streaming.command_line import SERVED_AT
from streaming.core.messages import RATE_HZ
from streaming.core.streams import Lead, Source
from streaming.exceptions import AuthenticationError, CloseCode, ForbiddenError, StreamBusyError

BUFFER_S = 30.0
"""Wall time that a device can be cut off without losing a sample; at speed 20 that is 20 times the signal."""
BUSY_S = 15.0
"""How long another session on the stream is waited for: one that was killed is given up after 10 s."""
TTY_INTERVAL_S = 2.0
"""Four acknowledgements of the server: below that, the rate would jump."""
LOG_INTERVAL_S = 10.0


@dataclass(frozen=True, slots=True)
class Part:
    """What one device plays: who it is, what its samples mean, and the samples in steps."""

    name: str
    token: str
    source: Source
    rate_hz: float
    leads: tuple[Lead, ...]
    steps: Iterator[Step]


def add_server_arguments(parser: CommandParser) -> None:
    """Options that every feeding command has."""
    parser.add_argument(
        "--url", type=server_root, default=SERVED_AT, help=f"the server's root (default: {SERVED_AT})"
    )
    parser.add_argument(
        "--token",
        type=_token,
        help="feed the device that this token belongs to, without touching the database",
    )
    parser.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        help=f"seconds of signal per second, {MIN_SPEED:g} to {MAX_SPEED:g} (default: 1)",
    )


def server_root(text: str) -> str:
    """A server's root from the command line, refused before anybody is admitted."""
    try:
        require_root(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return text


def seconds(text: str) -> float:
    """A length of time from the command line."""
    value = float(text)
    if not 0 < value < inf:
        raise ArgumentTypeError("must be more than 0 seconds")
    return value


def rate(text: str) -> float:
    """A sampling rate from the command line."""
    value = float(text)
    if not RATE_HZ[0] <= value <= RATE_HZ[1]:
        raise ArgumentTypeError(f"must be from {RATE_HZ[0]:g} to {RATE_HZ[1]:g} samples a second")
    return value


def _token(text: str) -> str:
    """A variable that is not set gives an empty one: it must not feed a patient of the demo instead."""
    if not text:
        raise ArgumentTypeError("is empty")
    return text


def _speed(text: str) -> float:
    value = float(text)
    if not MIN_SPEED <= value <= MAX_SPEED:
        raise ArgumentTypeError(f"must be from {MIN_SPEED:g} to {MAX_SPEED:g}")
    return value


def run(parts: Sequence[Part], *, url: str, speed: float, out: OutputWrapper) -> None:
    """Play all parts at once until they end, or until Ctrl-C or SIGTERM.

    Raises CommandError when the server refuses all devices.
    """
    crew = [_Player(part, url, speed) for part in parts]
    with quiet_sdk():
        asyncio.run(_run(crew, out))
    if crew and all(player.refusal for player in crew):
        raise CommandError(f"{crew[0].part.name}: {crew[0].refusal}")


async def _run(crew: Sequence[_Player], out: OutputWrapper) -> None:
    loop = asyncio.get_running_loop()
    told_to_stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told_to_stop.set)
    playing = asyncio.gather(
        *(player.play(delay_s=CHUNK_S * index / len(crew)) for index, player in enumerate(crew))
    )
    stop = asyncio.create_task(told_to_stop.wait())
    status = Status(crew, time.monotonic)
    try:
        await _report_until({stop, playing}, status, out)
    finally:
        stop.cancel()
        playing.cancel()
        await asyncio.gather(stop, playing, return_exceptions=True)
        out.write(f"{_clear(out)}{status.summary()}")


async def _report_until(ends: set[asyncio.Future[Any]], status: Status, out: OutputWrapper) -> None:
    """Write how it goes until one of `ends` is there; its error, if it is one, is raised."""
    interval_s = TTY_INTERVAL_S
    while True:
        done, _ = await asyncio.wait(ends, timeout=interval_s, return_when=asyncio.FIRST_COMPLETED)
        for future in done:
            future.result()
        if done:
            return
        for news in status.news():
            out.write(f"{_clear(out)}{news}")
        out.write(f"{_clear(out)}{status.line()}", ending="" if out.isatty() else "\n")
        out.flush()
        interval_s = TTY_INTERVAL_S if out.isatty() else LOG_INTERVAL_S


def _clear(out: OutputWrapper) -> str:
    """Back to the beginning of an empty line, on a terminal."""
    return "\r\x1b[K" if out.isatty() else ""


class _Player:
    """One device at its part, and what became of it."""

    def __init__(self, part: Part, url: str, speed: float) -> None:
        self.part = part
        self.refusal: str | None = None
        self.sent = 0
        self.device = Device(
            url,
            part.token,
            signals=part.leads,
            rate_hz=part.rate_hz,
            source=part.source,
            buffer_s=BUFFER_S * speed,
        )
        self._pacer = Pacer(speed)

    async def play(self, delay_s: float) -> None:
        """Play the part to its end; a server that refuses the device ends it, not the others."""
        await asyncio.sleep(delay_s)  # spread over a chunk's time, so that they do not all send at once
        try:
            async with self.device:
                await self._wait_for_the_stream()
                await play(self.device, self._counted(), self._pacer)
        except ProtocolError as error:
            self.refusal = f"{error.reason}{_remedy(error)}"

    async def _wait_for_the_stream(self) -> None:
        """Wait for the server, and a little for a session that writes the stream; then StreamBusyError."""
        while not self.device.connected:
            try:
                async with asyncio.timeout(BUSY_S):
                    await self.device.wait_connected()
            except TimeoutError:
                if self.device.close_code == CloseCode.STREAM_BUSY:
                    raise StreamBusyError(self.device.problem or "the stream is busy") from None

    @property
    def confirmed(self) -> int:
        """Samples of all leads that the server has confirmed."""
        lacking = self.device.unacked_samples + self.device.abandoned_samples
        return self.sent - lacking * len(self.part.leads)

    def _counted(self) -> Iterator[Step]:
        for step in self.part.steps:
            yield step
            self.sent += 0 if step.samples is None else step.samples.size


class Status:
    """How the devices fare, in words."""

    def __init__(self, crew: Sequence[_Player], clock: Callable[[], float]) -> None:
        self._crew = crew
        self._clock = clock
        self._began = self._then = clock()
        self._confirmed_then = 0
        self._told: dict[str, str | None] = {}

    def line(self) -> str:
        """Connected devices, samples confirmed a second since the last line, what went wrong so far."""
        now, confirmed = self._clock(), self._confirmed()
        rate = max(confirmed - self._confirmed_then, 0) / max(now - self._then, 1e-9)
        self._then, self._confirmed_then = now, confirmed
        connected = sum(player.device.connected for player in self._crew)
        return f"{connected} of {len(self._crew)} devices connected, {rate:.0f} samples/s{self._troubles()}"

    def news(self) -> list[str]:
        """Problems that have come since the last time, each once while it lasts."""
        told: dict[str, str | None] = {
            player.part.name: player.refusal or player.device.problem for player in self._crew
        }
        new = {
            problem: name
            for name, problem in reversed(told.items())
            if problem is not None and problem not in self._told.values()
        }
        self._told = told
        return [f"{name}: {problem}{_advice(problem)}" for problem, name in new.items()]

    def summary(self) -> str:
        """The whole run, at its end."""
        elapsed_s = self._clock() - self._began
        return f"{self._confirmed()} samples confirmed in {elapsed_s:.0f} s{self._troubles()}"

    def _confirmed(self) -> int:
        return sum(player.confirmed for player in self._crew)

    def _troubles(self) -> str:
        counts = {
            "reconnects": sum(player.device.reconnects for player in self._crew),
            "samples given up": sum(player.device.abandoned_samples for player in self._crew),
            "refused": sum(player.refusal is not None for player in self._crew),
        }
        return "".join(f", {count} {what}" for what, count in counts.items() if count)


def _remedy(error: ProtocolError) -> str:
    """What to do about a refusal, where the user can do something."""
    match error:
        case StreamBusyError():
            return (
                "\nAnother program feeds this device, and goes on. End it first, or feed another device: by"
                "\nmore patients in one run (simulate --patients), another --patient (replay), or a --token."
            )
        case AuthenticationError():
            return (
                "\nRun the command again without --token to get a new token, or issue one in the admin, under"
                "\nDevices. A new token ends the others of its device after ten minutes."
            )
        case ForbiddenError():
            return (
                "\nThe device lies at no patient any more, or was moved by another run with another --ward."
                "\nAdmit it in the admin, under Streams, or run the command again without --token."
            )
        case _:
            return ""


def _advice(problem: str) -> str:
    if not problem.startswith("cannot connect"):
        return ""
    return (
        f"\nIs the server running? Start it with: {command_line.here(*command_line.SERVE)}"
        "\nor name its address with --url ws://HOST:PORT (trying again until then)"
    )


@contextmanager
def quiet_sdk() -> Iterator[None]:
    """Keep the SDK's warnings off the terminal: the status says the same for all devices in one line."""
    logger = logging.getLogger("streaming.client")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
