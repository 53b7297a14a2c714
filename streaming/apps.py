"""The streaming application, as Django starts it."""

from __future__ import annotations

from django.apps import AppConfig


class StreamingConfig(AppConfig):
    """Registers the system checks and the receivers that announce changed access."""

    name = "streaming"
    verbose_name = "ECG streaming"

    def ready(self) -> None:
        """Connect what is registered by import."""
        from streaming import checks, signals  # noqa: F401
