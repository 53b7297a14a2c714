"""Beds that are fed with noise, and tokens to watch them by, at a server of the bench's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from streaming.client import Device, Lead, Source
from tests.servers import Server

CHUNK_S = 0.1
_ADMIT = """
from django.contrib.auth import get_user_model
from streaming.models import Ward
from streaming.core.streams import Source
from streaming.store import feeds, tokens
beds = [feeds.ensure_feed("Bench", f"Bench {{n}}", f"bench-{{n}}", Source.SIM) for n in range({patients})]
user, _ = get_user_model().objects.get_or_create(username="bench", is_superuser=True)
wards = Ward.objects.all()
viewers = [tokens.issue_api_token(user, f"{{n}}", wards, actor="bench").text for n in range({tokens})]
print(",".join(f.stream for f in beds), ",".join(f.token for f in beds), ",".join(viewers))
"""


@dataclass(frozen=True, slots=True)
class Beds:
    """Admitted streams, their devices' tokens, and tokens of viewers."""

    streams: tuple[str, ...]
    devices: tuple[str, ...] = field(repr=False)
    viewers: tuple[str, ...] = field(repr=False)


def admit(server: Server, patients: int, tokens: int = 1) -> Beds:
    """Make them in the server's database."""
    said = server.python(_ADMIT.format(patients=patients, tokens=tokens)).split()[-3:]
    return Beds(*(tuple(part.split(",")) for part in said))


@asynccontextmanager
async def noise(
    url: str, tokens: tuple[str, ...], *, leads: int, rate_hz: float, seed: int = 1
) -> AsyncIterator[dict[str, tuple[float, float]]]:
    """Devices that send 16 bits of noise on every lead, about 2.1 bytes a sample; spread over a chunk's time.

    Yields when sample 0 of each stream is taken, on the loop's clock, and the rate.
    """
    loop = asyncio.get_running_loop()
    signals = [Lead(f"L{number}", gain_uv=1.0) for number in range(leads)]
    count = round(CHUNK_S * rate_hz)
    rng = np.random.default_rng(seed)
    chunks = [rng.integers(-(2**15), 2**15, (leads, count), np.int16) for _ in range(20)]

    async def feed(device: Device, start: float) -> None:
        for number in range(1_000_000):
            await asyncio.sleep(max(0.0, start + (number + 1) * CHUNK_S - loop.time()))
            await device.send(chunks[number % len(chunks)])

    async with contextlib.AsyncExitStack() as stack:
        devices = [
            await stack.enter_async_context(
                Device(url, token, signals=signals, rate_hz=rate_hz, source=Source.SIM)
            )
            for token in tokens
        ]
        for device in devices:
            await device.wait_connected()
        began = loop.time() + 0.5
        starts = [began + CHUNK_S * number / len(devices) for number in range(len(devices))]
        tasks = [asyncio.create_task(feed(*pair)) for pair in zip(devices, starts, strict=True)]
        try:
            yield {str(d.stream): (start, rate_hz) for d, start in zip(devices, starts, strict=True)}
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
