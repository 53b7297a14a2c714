"""The peer of bench/fanout.py: Channels as its tutorial shows it, one consumer per client in one group."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["daphne", "channels"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    LOGGING_CONFIG=None,
    SECRET_KEY="for a benchmark on loopback",
)
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from bench.support.schedule import PAYLOAD_BYTES, Schedule  # noqa: E402

schedule = Schedule()


class Device(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    """Sends each message it gets to the group of its patient."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:  # noqa: ARG002
        """One frame."""
        group = f"patient.{self.scope['url_route']['kwargs']['patient']}"
        await self.channel_layer.group_send(group, {"type": "frame", "data": bytes_data})


class Viewer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Sends each message of every patient's group to its client."""

    async def connect(self) -> None:
        """Join."""
        for patient in range(self.scope["url_route"]["kwargs"]["patients"]):
            await self.channel_layer.group_add(f"patient.{patient}", self.channel_name)
        await self.accept()

    async def frame(self, event: dict[str, Any]) -> None:
        """One frame."""
        await self.send(bytes_data=event["data"])


async def http(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ARG001
    """The start of the schedule; each message begins with its number."""
    layer = get_channel_layer()

    async def publish(patient: str, number: int, per_s: float) -> None:  # noqa: ARG001
        data = number.to_bytes(8, "little") + bytes(PAYLOAD_BYTES - 8)
        await layer.group_send(f"patient.{patient}", {"type": "frame", "data": data})

    await schedule.respond(scope, send, publish)


application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": URLRouter(
            [
                path("ws/device/<int:patient>/", Device.as_asgi()),
                path("ws/viewer/<int:patients>/", Viewer.as_asgi()),
            ]
        ),
    }
)
