"""Alerts are stored once, resolved once, told once to each channel; rules that mean nothing harm no other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from monitoring import alert_store
from monitoring.alert_defaults import SHIPPED
from monitoring.alert_engine import Why
from monitoring.alert_rules import NO_RULES, Severity
from monitoring.alert_store import Entry
from monitoring.delivery_times import MOST_WAITING
from monitoring.models_alerts import Alert, AlertRule, Delivery, DeliveryState, NotificationChannel
from streaming.models_processes import ServerProcess
from tests.store.people import hospital

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rule(**values: Any) -> AlertRule:
    stated = {"name": "pressed", "metric": "pressure", "value": 0.5, "severity": "warning"}
    return AlertRule.objects.create(**stated | values)


def entry(of: AlertRule, uid: str = "a1", **values: Any) -> Entry:
    stated: dict[str, Any] = {"group": "ecg.a", "opened_at": NOON, "updated_at": NOON, "value": 0.9}
    return Entry(uid=uid, rule=of.rule(), **{"peak": 0.9, **stated, **values})


def over(of: AlertRule, uid: str = "a1", **values: Any) -> Entry:
    later = NOON + timedelta(minutes=1)
    return entry(of, uid, updated_at=later, resolved_at=later, why=Why.NORMAL, **values)


def channel(name: str = "ops", **values: Any) -> NotificationChannel:
    return NotificationChannel.objects.create(name=name, **{"address": "ops@example.org", **values})


def events(message: Delivery) -> list[str]:
    return [told["event"] for told in message.told]


def lives(process: str, silent_s: float = 0.0) -> None:
    ServerProcess.objects.create(
        process=process, host="h", pid=1, settings_version=0, seen_at=Now() - timedelta(seconds=silent_s)
    )


@pytest.mark.usefixtures("shipped_rules")
class TestRules:
    """Loading them, and what is refused."""

    def test_migrated_database_has_the_shipped_rules(self) -> None:
        self._are_as_shipped()
        assert not AlertRule.objects.filter(key=None).exists()

    def test_rules_that_are_switched_on_are_loaded(self) -> None:
        loaded = alert_store.load(NO_RULES)
        assert len(loaded.rules.by_id) == sum(values["enabled"] for values in SHIPPED)
        assert loaded.faults == {}

    def test_bad_row_is_named_and_keeps_what_it_was(self) -> None:
        one = rule()
        other = rule(name="other")
        held = alert_store.load(NO_RULES).rules
        AlertRule.objects.filter(pk=one.pk).update(metric="gone_figure", value=0.7)
        AlertRule.objects.filter(pk=other.pk).update(value=0.8)
        loaded = alert_store.load(held)
        assert "'pressed', metric: There is no figure" in loaded.faults[one.pk]
        assert loaded.rules.by_id[one.pk] == held.by_id[one.pk]
        assert loaded.rules.by_id[other.pk].value == 0.8
        assert one.pk not in alert_store.load(NO_RULES).rules.by_id

    def test_wards_that_rules_name_have_their_groups(self) -> None:
        place = hospital()
        assert alert_store.load(NO_RULES).rules.places == {}
        ward = place.wards["a"]
        rule(pattern=f"ward:{ward.slug}")
        placed = alert_store.load(NO_RULES).rules.places
        assert placed
        assert set(placed.values()) == {ward.slug}

    @pytest.mark.parametrize(
        "values",
        [
            {"op": "="},
            {"severity": "red"},
            {"hold_s": 86_401},
            {"cooldown_s": 604_801},
            {"metric": ""},
            {"name": ""},
            {"pattern": "a b"},
            {"clear_value": 0.6},
            {"op": "<", "clear_value": 0.4},
            {"name": SHIPPED[0]["name"]},
        ],
    )
    def test_database_refuses_what_means_nothing(self, values: dict[str, Any]) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            rule(**values)

    @pytest.mark.parametrize("values", [{}, {"clear_value": 0.5}, {"clear_value": 0.4}, {"hold_s": 0}])
    def test_database_takes_what_means_something(self, values: dict[str, Any]) -> None:
        rule(**values).full_clean()

    def test_form_says_at_the_field_what_is_wrong(self) -> None:
        wrong: dict[str, dict[str, Any]] = {
            "metric": {"metric": "gone_figure"},
            "pattern": {"metric": "rss_mb", "pattern": "ecg.*"},
            "clear_value": {"clear_value": 0.6},
        }
        for column, values in wrong.items():
            row = AlertRule(**{"name": "x", "metric": "pressure", "value": 0.5, **values})
            with pytest.raises(ValidationError) as refused:
                row.full_clean()
            assert column in refused.value.message_dict

    def test_shipped_rules_are_restored_and_others_left_alone(self) -> None:
        mine = rule(name="mine")
        AlertRule.objects.filter(key="loss").update(name="renamed", value=0.5)
        AlertRule.objects.filter(key="ratio").delete()
        changed, made = alert_store.restore_shipped()
        assert ([row.key for row in changed], [row.key for row in made]) == (["loss"], ["ratio"])
        self._are_as_shipped()
        assert AlertRule.objects.filter(pk=mine.pk, key=None).exists()
        assert alert_store.restore_shipped() == ([], [])

    def _are_as_shipped(self) -> None:
        stored = {row.key: row for row in AlertRule.objects.exclude(key=None)}
        assert len(stored) == len(SHIPPED)
        for values in SHIPPED:
            assert {name: getattr(stored[values["key"]], name) for name in values} == values

    def test_name_that_an_operator_took_meanwhile_stays_his(self) -> None:
        AlertRule.objects.filter(key="loss").delete()
        mine = rule(name="Loss above target")
        alert_store.restore_shipped()
        assert AlertRule.objects.get(key="loss").name == "Loss above target (loss)"
        assert AlertRule.objects.get(pk=mine.pk).name == "Loss above target"
        assert alert_store.restore_shipped() == ([], [])


class TestAlerts:
    """What is written of them."""

    def test_is_stored_updated_and_resolved(self) -> None:
        of = rule()
        alert_store.write([entry(of)], "p1")
        row = Alert.objects.get()
        assert (row.rule, row.name, row.severity, row.condition) == (
            of,
            "pressed",
            "warning",
            "pressure > 50 % for 60 s",
        )
        assert (row.group, row.process, row.opened_at, row.resolved_at) == ("ecg.a", "p1", NOON, None)
        later = NOON + timedelta(seconds=30)
        alert_store.write([entry(of, value=0.95, peak=0.95, updated_at=later)], "p1")
        row.refresh_from_db()
        assert (row.value, row.peak, row.updated_at, row.opened_at) == (0.95, 0.95, later, NOON)
        alert_store.write([over(of, value=0.1, peak=0.95)], "p1")
        row.refresh_from_db()
        assert (row.value, row.peak, row.reason) == (0.1, 0.95, Why.NORMAL)
        assert row.resolved_at == NOON + timedelta(minutes=1)

    def test_alert_that_was_over_before_it_was_stored_is_one_row_and_told_whole(self) -> None:
        channel()
        alert_store.write([over(rule())], "p1")
        assert Alert.objects.get().resolved_at is not None
        assert events(Delivery.objects.get()) == ["opened", "resolved"]

    def test_rule_that_was_deleted_meanwhile_leaves_its_name(self) -> None:
        of = rule()
        one = entry(of)
        of.delete()
        alert_store.write([one], "p1")
        row = Alert.objects.get()
        assert (row.rule, row.name) == (None, "pressed")

    def test_deleted_rule_leaves_its_alerts(self) -> None:
        of = rule()
        alert_store.write([entry(of)], "p1")
        of.delete()
        assert Alert.objects.get().rule is None

    def test_open_ones_come_gravest_first_then_newest(self) -> None:
        for uid, severity, minutes in (
            ("1", "info", 3),
            ("2", "critical", 1),
            ("3", "critical", 2),
            ("4", "warning", 0),
        ):
            of = rule(name=uid, severity=severity)
            alert_store.write([entry(of, uid, opened_at=NOON + timedelta(minutes=minutes))], "p1")
        alert_store.write([over(rule(name="5"), "5")], "p1")
        assert [row.uid for row in alert_store.open_alerts()] == ["3", "2", "4", "1"]

    def test_constraints_hold_open_and_resolved_apart(self) -> None:
        alert_store.write([entry(rule())], "p1")
        for values in (
            {"resolved_at": NOON},
            {"reason": "x"},
            {"resolved_at": NOON - timedelta(1), "reason": "x"},
        ):
            with pytest.raises(IntegrityError), transaction.atomic():
                Alert.objects.update(**values)

    def test_old_ones_are_pruned_and_open_ones_stay(self, settings: Any) -> None:
        settings.VITAL_ALERT_DAYS = 1
        ops, of = channel(), rule()
        alert_store.write([over(of, "old"), entry(of, "open")], "p1")
        assert alert_store.prune(NOON + timedelta(hours=1)) == 0
        Delivery.objects.update(created_at=NOON)
        waiting = Delivery.objects.create(channel=ops, kind="test", created_at=NOON)
        Delivery.objects.exclude(pk=waiting.pk).update(state=DeliveryState.DELIVERED)
        assert alert_store.prune(NOON + timedelta(days=2)) == 2
        assert [row.uid for row in Alert.objects.all()] == ["open"]
        assert [row.pk for row in Delivery.objects.all()] == [waiting.pk]


class TestOrphans:
    """Of processes that have ended without a word."""

    def test_alert_of_a_process_that_is_gone_is_resolved_by_another_once(self) -> None:
        channel()
        alert_store.write([entry(rule())], "dead")
        lives("p2")
        later = NOON + timedelta(minutes=5)
        assert alert_store.resolve_orphans("p2", later) == 1
        row = Alert.objects.get()
        assert (row.resolved_at, row.reason) == (later, Why.PROCESS_LOST)
        assert [events(message) for message in Delivery.objects.order_by("created_at")] == [
            ["opened"],
            ["resolved"],
        ]
        assert Delivery.objects.filter(process="p2").count() == 1
        assert alert_store.resolve_orphans("p3", later) == 0
        assert Delivery.objects.count() == 2

    def test_process_that_was_not_heard_of_is_gone(self) -> None:
        alert_store.write([entry(rule())], "silent")
        lives("silent", silent_s=60)
        assert alert_store.resolve_orphans("p2", NOON) == 1

    def test_living_processes_keep_theirs(self) -> None:
        of = rule()
        alert_store.write([entry(of, "1")], "p1")
        alert_store.write([entry(of, "2")], "p2")
        lives("p1", silent_s=5)
        assert alert_store.resolve_orphans("p2", NOON) == 0

    def test_process_that_was_only_silent_has_its_alert_open_again_and_told_once(self) -> None:
        channel()
        of = rule()
        alert_store.write([entry(of)], "p1")
        alert_store.resolve_orphans("p2", NOON + timedelta(minutes=1))
        for value in (0.95, 0.96):
            alert_store.write([entry(of, value=value)], "p1")
        row = Alert.objects.get()
        assert (row.resolved_at, row.reason, row.value) == (None, "", 0.96)
        told = Delivery.objects.order_by("created_at")
        assert [events(message) for message in told] == [["opened"], ["resolved"], ["opened"]]

    def test_process_that_could_not_be_heard_itself_takes_no_other_for_gone(self) -> None:
        """The database was locked: nobody's word of the last half minute is in it."""
        alert_store.write([entry(rule())], "p1")
        lives("p1", silent_s=30)
        lives("p2", silent_s=30)
        assert alert_store.resolve_orphans("p2", NOON) == 0
        ServerProcess.objects.filter(pk="p2").update(seen_at=Now())
        assert alert_store.resolve_orphans("p2", NOON) == 1

    def test_resolving_twice_tells_once(self) -> None:
        channel()
        of = rule()
        alert_store.write([entry(of)], "p1")
        alert_store.resolve_orphans("p2", NOON + timedelta(minutes=1))
        alert_store.write([over(of)], "p1")
        assert sum(events(message) == ["resolved"] for message in Delivery.objects.all()) == 1


class TestMessages:
    """Who is told what."""

    def test_all_of_one_write_is_one_message_to_each_channel(self) -> None:
        channel()
        channel("it")
        of = rule()
        assert alert_store.write([entry(of, "1"), entry(of, "2", group="")], "p1") == 2
        for message in Delivery.objects.all():
            assert [told["alert"] for told in message.told] == ["1", "2"]
            assert (message.process, message.state, message.attempts) == ("p1", "waiting", 0)

    def test_message_says_all_of_it(self) -> None:
        channel()
        of = rule(advice="Look.")
        alert_store.write([entry(of)], "p1")
        assert Delivery.objects.get().told == [
            {
                "event": "opened",
                "alert": "a1",
                "rule": "pressed",
                "severity": "warning",
                "condition": "pressure > 50 % for 60 s",
                "metric": "pressure",
                "unit": "share",
                "value": 0.9,
                "value_text": "90 %",
                "peak": 0.9,
                "peak_text": "90 %",
                "group": "ecg.a",
                "process": "p1",
                "opened_at": "2026-03-01T12:00:00+00:00",
                "resolved_at": None,
                "reason": "",
                "advice": "Look.",
            }
        ]

    def test_updates_are_told_to_nobody(self) -> None:
        channel()
        of = rule()
        alert_store.write([entry(of)], "p1")
        alert_store.write([entry(of, value=0.95)], "p1")
        assert Delivery.objects.count() == 1

    def test_channel_is_told_from_its_severity_on(self) -> None:
        channel(least_severity="warning")
        for severity in Severity:
            alert_store.write([entry(rule(name=severity, severity=severity), severity)], "p1")
        assert [message.told[0]["severity"] for message in Delivery.objects.order_by("created_at")] == [
            "warning",
            "critical",
        ]

    def test_channel_that_is_off_is_told_nothing(self) -> None:
        channel(enabled=False)
        assert alert_store.write([entry(rule())], "p1") == 0

    def test_queue_is_bounded(self) -> None:
        ops = channel()
        Delivery.objects.bulk_create(Delivery(channel=ops, kind="alerts") for _ in range(MOST_WAITING))
        alert_store.write([entry(rule())], "p1")
        (refused,) = Delivery.objects.filter(state=DeliveryState.GIVEN_UP)
        assert "wait already" in refused.last_error
        assert Delivery.objects.filter(state=DeliveryState.WAITING).count() == MOST_WAITING

    @pytest.mark.parametrize(
        "values",
        [
            {"kind": "pager"},
            {"least_severity": "red"},
            {"address": "nobody"},
            {"kind": "webhook", "address": "ops@example.org"},
            {"name": ""},
        ],
    )
    def test_database_refuses_a_channel_that_leads_nowhere(self, values: dict[str, Any]) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            channel(**values)
