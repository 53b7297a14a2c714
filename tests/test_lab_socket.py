"""A socket behind a link that is made worse: what arrives when, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from streaming.core.lab import STALL_S, Throttle
from streaming.lab_socket import LabSocket
from tests.fakes import virtual_time


class Recording:
    """What has arrived, and when."""

    def __init__(self) -> None:
        self.arrived: list[tuple[float, bytes | str]] = []
        self.tasks: list[asyncio.Future[None]] = []

    async def send_bytes(self, data: bytes) -> None:
        self._note(data)

    async def send_text(self, data: str) -> None:
        self._note(data)

    def _note(self, data: bytes | str) -> None:
        self.arrived.append((round(asyncio.get_running_loop().time() - self.began, 3), data))

    def begin(self) -> None:
        self.began = asyncio.get_running_loop().time()


def lab(recording: Recording, ended: list[float]) -> LabSocket:
    loop = asyncio.get_running_loop()

    def spawn(work: Awaitable[None]) -> None:
        recording.tasks.append(asyncio.ensure_future(work))

    recording.begin()
    return LabSocket(recording, spawn, lambda: ended.append(loop.time()), clock=loop.time)


@virtual_time
async def test_without_a_throttle_each_message_leaves_at_once() -> None:
    recording = Recording()
    socket = lab(recording, [])
    await socket.send_bytes(b"a")
    await socket.send_text("b")
    assert recording.arrived == [(0.0, b"a"), (0.0, "b")]
    assert socket.left_s == 0


@virtual_time
async def test_a_slow_link_takes_its_time_and_keeps_the_order() -> None:
    recording = Recording()
    socket = lab(recording, [])
    socket.throttle(Throttle.SLOWER)
    for message in (b"x" * 4000, b"y" * 2000, b"z" * 2000):
        await socket.send_bytes(message)  # does not wait: it is on its way
    await asyncio.sleep(2)
    assert [(at, len(data)) for at, data in recording.arrived] == [(0.5, 4000), (0.75, 2000), (1.0, 2000)]


@virtual_time
async def test_a_stall_ends_by_itself_and_says_so_once() -> None:
    recording, ended = Recording(), list[float]()
    socket = lab(recording, ended)
    socket.throttle(Throttle.STALL)
    await socket.send_text("late")
    await asyncio.sleep(STALL_S - 0.1)
    assert recording.arrived == []
    await asyncio.sleep(0.2)
    assert recording.arrived == [(STALL_S, "late")]
    await asyncio.sleep(600)
    assert len(ended) == 1
    await socket.send_text("now")
    assert recording.arrived[-1] == (605.1, "now")


@virtual_time
async def test_switched_off_what_waited_comes_first() -> None:
    recording, ended = Recording(), list[float]()
    socket = lab(recording, ended)
    socket.throttle(Throttle.SLOWER)
    await socket.send_bytes(b"x" * 80_000)
    socket.throttle(Throttle.OFF)
    await socket.send_bytes(b"after")
    await asyncio.sleep(0.01)
    assert [data for _, data in recording.arrived] == [b"x" * 80_000, b"after"]
    assert ended == []


@virtual_time
async def test_closed_it_writes_nothing_more() -> None:
    recording = Recording()
    socket = lab(recording, [])
    socket.throttle(Throttle.SLOWER)
    await socket.send_bytes(b"x" * 8000)
    await asyncio.sleep(0.1)
    socket.close()
    await asyncio.sleep(600)
    assert recording.arrived == []
