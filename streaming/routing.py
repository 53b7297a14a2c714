"""The WebSocket URLs."""

from __future__ import annotations

from django.urls import path

from streaming.consumers import DeviceConsumer, ViewerConsumer

websocket_urlpatterns = [
    path("ws/viewer/", ViewerConsumer.as_asgi()),
    path("ws/device/", DeviceConsumer.as_asgi()),
]
