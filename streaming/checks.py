"""System checks of a deployment: settings that each work, but not together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Tags, register
from django.core.checks import Warning as CheckWarning


@register(Tags.security, deploy=True)
def check_hosts(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:  # noqa: ARG001
    """A star would let any site point a name at this server and pass the WebSocket's Origin check."""
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        CheckWarning(
            "VITAL_ALLOWED_HOSTS allows every host, and with it every Origin.",
            hint="Name the hosts under which VITAL is reached.",
            id="streaming.W001",
        )
    ]


@register(Tags.database, deploy=True)
def check_layer(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:  # noqa: ARG001
    """PostgreSQL hints at several processes, and those need a layer between them."""
    sqlite = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    in_memory = settings.CHANNEL_LAYERS["default"]["BACKEND"].endswith("InMemoryChannelLayer")
    if sqlite or not in_memory:
        return []
    return [
        CheckWarning(
            "DATABASE_URL names a database server, but REDIS_URL is not set.",
            hint="One process alone is fine; a second one would not see the streams of the first.",
            id="streaming.W002",
        )
    ]
