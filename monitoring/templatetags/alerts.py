"""The open alerts, above the pages of who may see them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.template import Context
from django.utils import timezone

from monitoring import alert_store
from monitoring.admin_parts import lasting as time_between
from monitoring.models_alerts import AlertRule

register = template.Library()

MOST_SHOWN = 8


@register.filter
def lasting(start: datetime) -> str:
    """For how long, until now."""
    return time_between(start, timezone.now())


@register.inclusion_tag("admin/monitoring/open_alerts.html", takes_context=True)
def open_alert_summary(context: Context, *, quiet: bool = False) -> dict[str, Any]:
    """The gravest, how many there are, and rules that cannot be judged; `quiet` says nothing of none."""
    user = context["request"].user
    may_see = alert_store.may_see(user)
    may_see_rules = user.has_perm("monitoring.view_alertrule") or user.has_perm("monitoring.change_alertrule")
    found = alert_store.open_now(MOST_SHOWN) if may_see else alert_store.OpenNow([], 0)
    rules = AlertRule.objects.filter(enabled=True) if may_see_rules else []
    return {
        "may_see": may_see,
        "alerts": found.gravest,
        "count": found.count,
        "more": found.count - len(found.gravest),
        "bad_rules": [rule for rule in rules if rule.fault],
        "quiet": quiet,
    }
