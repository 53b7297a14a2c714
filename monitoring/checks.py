"""System checks of who may read the metrics."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning

LEAST_TOKEN = 20
"""Characters. Nothing counts wrong tokens: they have to be beyond guessing."""


@register(Tags.security)
def check_networks(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:  # noqa: ARG001
    """The environment's are refused at the start; these may come from other settings."""
    return [
        Error(
            f"VITAL_METRICS_NETWORKS: {network!r} is no IP address or network: {fault}.",
            hint="Write 10.1.2.3, or 10.1.0.0/16 without any bits behind the sixteenth.",
            id="monitoring.E001",
        )
        for network in settings.VITAL_METRICS_NETWORKS
        if (fault := _fault_of(network)) is not None
    ]


@register(Tags.security, deploy=True)
def check_openness(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Metrics name no patient; how many there are, and when a ward is in trouble, is nobody's business."""
    found: list[CheckMessage] = []
    if any(str(network).endswith("/0") for network in settings.VITAL_METRICS_NETWORKS):
        found.append(
            CheckWarning(
                "VITAL_METRICS_NETWORKS lets everybody read /metrics.",
                hint="Name the addresses of the scrapers, or give them a token by VITAL_METRICS_TOKEN.",
                id="monitoring.W001",
            )
        )
    if any(len(token) < LEAST_TOKEN for token in settings.VITAL_METRICS_TOKEN):
        found.append(
            CheckWarning(
                f"VITAL_METRICS_TOKEN has a token of fewer than {LEAST_TOKEN} characters.",
                hint="Make one by `openssl rand -hex 32`.",
                id="monitoring.W002",
            )
        )
    return found


def _fault_of(network: str) -> str | None:
    try:
        ip_network(network)
    except ValueError as error:
        return str(error)
    return None
