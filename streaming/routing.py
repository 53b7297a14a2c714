"""The WebSocket URLs."""

from __future__ import annotations

from typing import Any

from django.urls import path, re_path

from streaming.consumers import DeviceConsumer, ViewerConsumer
from streaming.exceptions import CloseCode


async def refuse(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ARG001
    """No such WebSocket: refused in the handshake, where the router alone would raise and answer 500."""
    await receive()
    await send({"type": "websocket.close", "code": CloseCode.PROTOCOL})


websocket_urlpatterns = [
    path("ws/viewer/", ViewerConsumer.as_asgi()),
    path("ws/device/", DeviceConsumer.as_asgi()),
    re_path(r"", refuse),  # type: ignore[arg-type]  # the stubs know views only
]
