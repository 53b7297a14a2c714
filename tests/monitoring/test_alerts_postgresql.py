"""PostgreSQL takes, refuses and orders alerts as SQLite does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.postgres import Postgres
from tests.servers import run

CODE = """
from datetime import UTC, datetime, timedelta
from random import Random
import django
django.setup()
from django.db import IntegrityError, transaction
from monitoring import alert_store
from monitoring.alert_defaults import SHIPPED
from monitoring.alert_engine import Why
from monitoring.alert_rules import NO_RULES
from monitoring.alert_store import Entry
from monitoring.deliveries import deliver_due
from monitoring.models_alerts import Alert, AlertRule, Delivery, NotificationChannel
from streaming.store import processes

now = datetime(2026, 3, 1, 12, tzinfo=UTC)
assert AlertRule.objects.count() == len(SHIPPED)
assert len(alert_store.load(NO_RULES).rules.by_id) == sum(values["enabled"] for values in SHIPPED)
for wrong in (
    {"op": "="}, {"severity": "red"}, {"hold_s": 86_401}, {"pattern": "a b"}, {"clear_value": 0.9},
    {"op": "<", "clear_value": 0.1}, {"metric": ""},
):
    try:
        with transaction.atomic():
            AlertRule.objects.create(**{"name": "bad", "metric": "pressure", "value": 0.5} | wrong)
    except IntegrityError:
        continue
    raise AssertionError(wrong)
AlertRule.objects.create(name="cleared", metric="pressure", value=0.5, clear_value=0.4, pattern="ward:icu")
row = AlertRule.objects.create(name="pressed", metric="pressure", value=0.5)
NotificationChannel.objects.create(name="ops", address="ops@example.org")
entry = Entry("a1", row.rule(), "ecg.a", now, now, 0.9, 0.9)
alert_store.write([entry], "p1")
alert_store.write([entry], "p1")
assert Delivery.objects.count() == 1
processes.report("p2", 0, None)
assert alert_store.resolve_orphans("p2", now + timedelta(minutes=1)) == 1
assert Alert.objects.get().reason == Why.PROCESS_LOST
row.delete()
assert Alert.objects.get().rule_id is None
assert alert_store.restore_shipped() == ([], [])
for _ in range(2):
    assert deliver_due("p2", {"p2"}, lambda: datetime.now(UTC), Random(1)) == 1
assert set(Delivery.objects.values_list("state", flat=True)) == {"given up"}
assert list(alert_store.open_alerts()) == []
assert alert_store.prune(now + timedelta(days=5000)) == 3
print("as it should be")
"""


def test_postgresql_keeps_rules_alerts_and_messages_alike(tmp_path: Path, postgres: Postgres) -> None:
    environment = {**os.environ, "VITAL_VAR_DIR": str(tmp_path), "DATABASE_URL": postgres.database()}
    environment["DJANGO_SETTINGS_MODULE"] = "vital.settings"
    run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], environment, 180.0)
    assert run([sys.executable, "-c", CODE], environment, 60.0).strip().endswith("as it should be")
