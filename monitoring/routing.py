"""The WebSocket URL of the admin's live page."""

from __future__ import annotations

from django.urls import path

from monitoring.live_consumer import LiveConsumer

websocket_urlpatterns = [path("ws/live/", LiveConsumer.as_asgi())]
