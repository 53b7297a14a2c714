"""`/metrics`: this process's figures, for whoever may read them, in the format that they ask for."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.views.decorators.http import require_GET
from prometheus_client import ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from monitoring.prometheus import metric_families
from monitoring.scraping import REFUSAL, ScrapeRule

_writing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vital-metrics")
"""Of its own: what waits for a database in the common threads must not keep metrics from being read."""
_of_process = ProcessCollector(registry=None)


@require_GET
async def metrics(request: ASGIRequest) -> HttpResponse:
    """OpenMetrics or Prometheus's text, as `Accept` says; 403 for whom no rule admits.

    Asks neither the database nor the channel layer. The figures are read on the event loop, a bounded piece
    at a time; the text is written, and /proc read, in a thread.
    """
    rule = ScrapeRule.of(settings.VITAL_METRICS_NETWORKS, settings.VITAL_METRICS_TOKEN)
    address = None if request.scope.get("vital.relayed") else request.META.get("REMOTE_ADDR")
    if not rule.admits(address, request.headers.get("Authorization", "")):
        return HttpResponse(REFUSAL, status=403, content_type="text/plain; charset=utf-8")
    families = await metric_families(
        request.scope.get("vital"),
        request.scope.get("vital.snapshots"),
        request.scope.get("vital.alerts"),
        most_groups=settings.VITAL_METRICS_GROUPS,
    )
    try:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    except (TypeError, ValueError):  # a version that is no number
        encode, content_type = choose_encoder("")
    text = await asyncio.get_running_loop().run_in_executor(_writing, encode, _Read(families))
    return HttpResponse(text, content_type=content_type)


class _Read:
    """Families that have been read, where the encoders expect a registry."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        """These, and what the kernel says of the process."""
        return [*self._families, *_of_process.collect()]
