"""The streaming application, as Django starts it."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class StreamingConfig(AppConfig):
    """Registers the system checks and the receivers that announce changed access."""

    name = "streaming"
    verbose_name = "ECG streaming"

    def ready(self) -> None:
        """Connect what is registered by import, and keep the default profile, also after a flush."""
        from streaming import checks, signals  # noqa: F401
        from streaming.store import profiles

        post_migrate.connect(profiles.keep_default, sender=self)
