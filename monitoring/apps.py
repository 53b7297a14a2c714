"""The monitoring app's name in Django."""

from __future__ import annotations

from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    """Snapshots of what each process did, read-only in the admin, and `/metrics`."""

    name = "monitoring"
    verbose_name = "Monitoring"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks."""
        from monitoring import checks  # noqa: F401
