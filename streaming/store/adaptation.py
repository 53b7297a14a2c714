"""What adaptive compression has learned, per group, across restarts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from streaming.models_adaptation import AdaptationState

KEPT = timedelta(days=30)
"""A group that nobody wrote for so long is a stream that has ended."""


def load() -> dict[str, Any]:
    """The state of every group that was written within KEPT, unchecked; blocks."""
    fresh = AdaptationState.objects.filter(updated_at__gte=timezone.now() - KEPT)
    return dict(fresh.values_list("group", "state"))


def save(states: Mapping[str, Any]) -> None:
    """Write the states, and delete those that are too old, in one transaction; blocks."""
    now = timezone.now()
    rows = [AdaptationState(group=group, state=state, updated_at=now) for group, state in states.items()]
    with transaction.atomic():
        AdaptationState.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["group"], update_fields=["state", "updated_at"]
        )
        AdaptationState.objects.filter(updated_at__lt=now - KEPT).delete()
