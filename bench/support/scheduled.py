"""VITAL's own application, with frames published into its hub on a schedule.

Of twelve leads, 600 bytes, or of as many as BENCH_LEADS says.
"""

from __future__ import annotations

import os
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vital.settings")
django_application = get_asgi_application()

import numpy as np  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from bench.support.schedule import PATH, Schedule  # noqa: E402
from streaming.core.bundle import Bundle, WaveFrame  # noqa: E402
from streaming.core.frames import FrameKind  # noqa: E402
from streaming.core.streams import Lead, Source, StreamInfo  # noqa: E402
from streaming.ecg import codec  # noqa: E402
from streaming.guard import Guard  # noqa: E402
from streaming.routing import websocket_urlpatterns  # noqa: E402
from vital.lifecycle import Lifecycle  # noqa: E402

LEADS = tuple(Lead(f"L{number}", 5.0) for number in range(int(os.environ.get("BENCH_LEADS", "12"))))
SAMPLES = 50
_noise = np.random.default_rng(20).normal(0, 45, (len(LEADS), SAMPLES)).astype(np.int16)
PAYLOAD = codec.WaveformEncoder().encode(_noise)
schedule = Schedule()


async def http(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The start of the schedule, and the site."""
    if scope["path"] != PATH:
        await django_application(scope, receive, send)
        return
    hub = scope["vital"].hub

    async def publish(stream: str, number: int, per_s: float) -> None:
        info = StreamInfo(stream, 1, "P-BENCH", "bench", Source.SIM, SAMPLES * per_s, LEADS)
        hub.publish(
            Bundle(info, (WaveFrame(FrameKind.WAVEFORM, number * SAMPLES, SAMPLES, PAYLOAD, _noise),))
        )

    await schedule.respond(scope, send, publish)


lifecycle = Lifecycle(ProtocolTypeRouter({"http": http, "websocket": URLRouter(websocket_urlpatterns)}))
application = Guard(lifecycle, allowed_hosts=["*"])
lifecycle.hook_into_daphne()
