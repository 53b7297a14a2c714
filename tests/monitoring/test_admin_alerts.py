"""The pages of alert rules, alerts, channels and messages: who may see and change what, and what they say."""

from __future__ import annotations

import re
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from monitoring import alert_store, webhook
from monitoring.admin_alert_rules import _choices
from monitoring.alert_defaults import SHIPPED
from monitoring.alert_metrics import METRICS
from monitoring.deliveries import NO_MAIL, deliver_due
from monitoring.models_alerts import (
    Alert,
    AlertRule,
    ChannelKind,
    Delivery,
    DeliveryState,
    NotificationChannel,
)
from streaming.models import AuditEntry
from tests.monitoring.test_admin import body, staff
from tests.monitoring.test_alert_store import channel, entry, over, rule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("shipped_rules")]

RULES, ALERTS = "/admin/monitoring/alertrule/", "/admin/monitoring/alert/"
CHANNELS, DELIVERIES = "/admin/monitoring/notificationchannel/", "/admin/monitoring/delivery/"
FORM = {
    "name": "mine",
    "enabled": "on",
    "metric": "drop_rate",
    "op": ">",
    "value": "0.02",
    "hold_s": "30",
    "clear_value": "",
    "cooldown_s": "60",
    "severity": "critical",
    "pattern": "ecg.*",
    "advice": "Look.",
}


@pytest.fixture
def boss() -> Client:
    """May do all of it."""
    models = ("alertrule", "notificationchannel")
    changes = [f"{verb}_{model}" for verb in ("view", "add", "change", "delete") for model in models]
    return staff(*changes, "view_alert", "view_delivery", "view_metricssnapshot")


def text(html: str) -> str:
    """Words alone."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


class TestRules:
    """The list and the form."""

    def test_list_says_when_each_opens_and_how_many_are_open(self, boss: Client) -> None:
        of = AlertRule.objects.get(key="loss")
        alert_store.write([entry(of, "1"), entry(of, "2"), over(of, "3")], "p1")
        html = body(boss, RULES)
        assert "loss &gt; 0.1 % for 60 s" in html
        assert f'<a href="{ALERTS}?state=open&amp;rule__id__exact={of.pk}">2</a>' in html
        assert html.count('class="field-open_count">none') == len(SHIPPED) - 1
        assert "memory &gt; 1500 MB for 600 s" in html
        assert "the process" in html

    def test_form_names_every_figure_with_its_unit_or_its_words(self, boss: Client) -> None:
        html = body(boss, f"{RULES}add/")
        assert "loss (share, 0 to 1)" in html
        assert "overload: 0 normal, 1 shedding, 2 emergency" in html
        assert {name for _, choices in _choices() for name, _ in choices} == METRICS.keys()

    def test_rule_is_made_and_in_the_trail(
        self, boss: Client, django_capture_on_commit_callbacks: Any
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            response = boss.post(f"{RULES}add/", FORM, follow=True)
        assert "In force in every process within two seconds." in response.content.decode()
        row = AlertRule.objects.get(name="mine")
        assert (row.metric, row.value, row.hold_s, row.clear_value, row.key) == (
            "drop_rate",
            0.02,
            30,
            None,
            None,
        )
        trail = AuditEntry.objects.get()
        assert (trail.action, trail.object) == ("alertrule.add", f"alertrule:{row.pk}")
        assert trail.detail == {
            "key": None,
            "condition": "loss > 2 % for 30 s",
            "pattern": "ecg.*",
            "severity": "critical",
            "enabled": True,
        }

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"clear_value": "0.03"}, "It must be less than or equal to the value at which the alert opens."),
            ({"op": "<", "clear_value": "0.01"}, "It must be greater than or equal to"),
            ({"metric": "rss_mb"}, "memory is of a whole process and of no group: leave *."),
            ({"metric": "made_up"}, "Select a valid choice"),
            ({"pattern": "ecg *"}, "Letters, digits, dots"),
            ({"hold_s": "90000"}, "Seconds from 0 to 86400"),
            ({"value": "nan"}, "Enter a number"),
            ({"value": ""}, "This field is required"),
            ({"name": SHIPPED[0]["name"]}, "already exists"),
        ],
    )
    def test_what_is_wrong_is_explained(self, boss: Client, wrong: dict[str, str], said: str) -> None:
        response = boss.post(f"{RULES}add/", FORM | wrong)
        assert response.status_code == 200
        assert said in response.content.decode()
        assert not AlertRule.objects.filter(name="mine").exists()

    def test_change_names_its_fields_in_the_trail(
        self, boss: Client, django_capture_on_commit_callbacks: Any
    ) -> None:
        row = rule(name="mine", metric="drop_rate", value=0.02, hold_s=30, cooldown_s=60)
        with django_capture_on_commit_callbacks(execute=True):
            boss.post(
                f"{RULES}{row.pk}/change/", FORM | {"value": "0.5", "pattern": "*", "severity": "warning"}
            )
        trail = AuditEntry.objects.get()
        assert trail.action == "alertrule.change"
        assert trail.detail["fields"] == ["Value", "What to do"]
        assert trail.detail["condition"] == "loss > 50 % for 30 s"
        assert "mine" not in str(trail.detail)

    def test_row_that_means_nothing_is_named_and_can_be_mended(self, boss: Client) -> None:
        row = rule(name="odd")
        AlertRule.objects.filter(pk=row.pk).update(metric="gone_figure")
        html = body(boss, RULES)
        assert "<strong>not judged</strong>: There is no figure of the name" in html
        assert "gone_figure: no longer there" in body(boss, f"{RULES}{row.pk}/change/")
        boss.post(f"{RULES}{row.pk}/change/", FORM)
        assert "not judged" not in body(boss, RULES)

    def test_rules_are_switched_by_the_list(
        self, boss: Client, django_capture_on_commit_callbacks: Any
    ) -> None:
        chosen = AlertRule.objects.filter(key__in=["loss", "throughput"])
        post = {"_selected_action": [row.pk for row in chosen]}
        with django_capture_on_commit_callbacks(execute=True):
            boss.post(RULES, post | {"action": "switch_off"})
            assert not any(row.enabled for row in chosen.all())
            boss.post(RULES, post | {"action": "switch_on"})
        assert all(row.enabled for row in chosen.all())
        trail = AuditEntry.objects.order_by("seq")
        assert [(each.action, each.detail["enabled"]) for each in trail] == [
            ("alertrule.change", False),
            ("alertrule.change", True),
            ("alertrule.change", True),
        ]

    def test_shipped_rules_are_restored_after_a_question(
        self, boss: Client, django_capture_on_commit_callbacks: Any
    ) -> None:
        AlertRule.objects.filter(key="loss").update(value=0.5, name="other name")
        AlertRule.objects.filter(key="ratio").delete()
        assert "Restore the shipped rules" in body(boss, RULES)
        assert "All other rules stay as they are." in body(boss, f"{RULES}restore/")
        assert AlertRule.objects.get(key="loss").value == 0.5
        with django_capture_on_commit_callbacks(execute=True):
            response = boss.post(f"{RULES}restore/", follow=True)
        assert "1 rule restored, 1 made again." in response.content.decode()
        assert AlertRule.objects.get(key="loss").value == 0.001
        assert {each.action for each in AuditEntry.objects.all()} == {"alertrule.change", "alertrule.add"}
        assert LogEntry.objects.count() == 2

    def test_deleted_rule_leaves_its_alerts_readable(self, boss: Client) -> None:
        of = rule()
        alert_store.write([entry(of)], "p1")
        boss.post(f"{RULES}{of.pk}/delete/", {"post": "yes"})
        assert not AlertRule.objects.filter(pk=of.pk).exists()
        assert "pressed" in body(boss, ALERTS)
        assert "--" in body(boss, f"{ALERTS}a1/change/")


class TestAlerts:
    """The list of what was found."""

    def test_list_says_what_where_since_when_and_how_bad(self, boss: Client) -> None:
        of = rule()
        at = timezone.now() - timedelta(minutes=5)
        alert_store.write([entry(of, opened_at=at, peak=0.97), over(of, "a2", group="")], "p1")
        said = text(body(boss, ALERTS))
        for words in ("open for 5", "pressed", "pressure &gt; 50 % for 60 s", "ecg.a", "97 %", "the process"):
            assert words in said
        assert "resolved after 1" in said
        assert "the figure is within the bound again" in text(body(boss, f"{ALERTS}a2/change/"))

    def test_what_has_just_opened_is_told_in_seconds(self, boss: Client) -> None:
        alert_store.write([entry(rule(), opened_at=timezone.now() - timedelta(seconds=4))], "p1")
        for page in (ALERTS, RULES):
            said = text(body(boss, page))
            assert re.search(r" for \d{1,2} s\b", said), said

    def test_list_is_filtered_by_state_rule_severity_and_day(self, boss: Client) -> None:
        one, other = rule(), rule(name="other", severity="critical")
        alert_store.write([entry(one, "a1", group="ecg.one"), over(other, "a2", group="ecg.two")], "p1")
        for query, shown, hidden in (
            ("state=open", "ecg.one", "ecg.two"),
            ("state=resolved", "ecg.two", "ecg.one"),
            ("severity__exact=critical", "ecg.two", "ecg.one"),
            (f"rule__id__exact={one.pk}", "ecg.one", "ecg.two"),
            ("q=ecg.two", "ecg.two", "ecg.one"),
        ):
            html = body(boss, f"{ALERTS}?{query}")
            assert f'">{shown}</td>' in html, query
            assert f'">{hidden}</td>' not in html, query
        assert '">ecg.one</td>' in body(boss, f"{ALERTS}?opened_at__year=2026")
        assert '">ecg.one</td>' not in body(boss, f"{ALERTS}?opened_at__year=2025")

    def test_page_says_what_to_do(self, boss: Client) -> None:
        alert_store.write([entry(rule(advice="Look at drops."))], "p1")
        assert "Look at drops." in body(boss, f"{ALERTS}a1/change/")

    def test_nobody_changes_or_deletes_one(self, boss: Client) -> None:
        alert_store.write([entry(rule())], "p1")
        assert boss.post(f"{ALERTS}a1/change/", {"name": "x"}).status_code == 403
        assert boss.post(f"{ALERTS}a1/delete/", {"post": "yes"}).status_code == 403
        assert boss.get(f"{ALERTS}add/").status_code == 403


class TestSummary:
    """Above the first page, the rules and the snapshots."""

    def test_open_alerts_are_told_gravest_first_with_links(self, boss: Client) -> None:
        for index, severity in enumerate(("info", "critical", "warning")):
            alert_store.write([entry(rule(name=severity, severity=severity), f"a{index}")], "p1")
        for page in ("/admin/", RULES, "/admin/monitoring/metricssnapshot/"):
            html = body(boss, page)
            assert "3 alerts of the system are open" in text(html)
            assert html.index("<strong>critical</strong>") < html.index("<strong>info</strong>")
            assert f'<a href="{ALERTS}a1/change/">critical</a>' in html
            assert "monitoring/alerts.css" in html

    def test_many_are_counted_and_the_first_shown(self, boss: Client) -> None:
        of = rule()
        alert_store.write([entry(of, f"a{index}") for index in range(12)], "p1")
        html = body(boss, "/admin/")
        assert "12 alerts of the system are open" in text(html)
        assert "4 more; see all" in html

    def test_none_is_said_on_the_first_page_alone(self, boss: Client) -> None:
        assert "No alert of the system is open" in body(boss, "/admin/")
        assert "No alert of the system is open" not in body(boss, RULES)

    def test_rule_that_cannot_be_judged_is_told(self, boss: Client) -> None:
        AlertRule.objects.filter(key="loss").update(metric="gone_figure")
        assert "Not judged Loss above target : There is no figure" in text(body(boss, "/admin/"))

    def test_who_may_not_see_alerts_is_told_nothing(self) -> None:
        alert_store.write([entry(rule())], "p1")
        html = body(staff("view_metricssnapshot"), "/admin/")
        assert "of the system" not in html
        assert "open-alerts" not in html


class TestChannels:
    """Whom alerts are told to."""

    def webhook(self, **values: Any) -> NotificationChannel:
        address = "https://alerts.example.org/hook/T0KEN"
        return channel("hook", kind=ChannelKind.WEBHOOK, address=address, salt="s", **values)

    def form(self, **values: str) -> dict[str, str]:
        stated = {"name": "ops", "kind": "email", "address": "ops@example.org", "least_severity": "warning"}
        return {**stated, "enabled": "on", **values}

    def test_secret_of_a_webhook_is_shown_once(self, boss: Client) -> None:
        address = "https://alerts.example.org/hook"
        response = boss.post(f"{CHANNELS}add/", self.form(kind="webhook", address=address))
        made = NotificationChannel.objects.get()
        secret = webhook.secret_of(made.salt)
        assert secret in response.content.decode()
        assert "no-store" in response["Cache-Control"]
        for page in (CHANNELS, f"{CHANNELS}{made.pk}/change/", f"{CHANNELS}{made.pk}/history/"):
            html = body(boss, page)
            assert secret not in html
            assert made.salt not in html

    def test_new_secret_takes_the_place_of_the_former_after_a_question(
        self, boss: Client, django_capture_on_commit_callbacks: Any
    ) -> None:
        made = self.webhook()
        before = webhook.secret_of(made.salt)
        assert "New secret" in body(boss, f"{CHANNELS}{made.pk}/change/")
        assert "vtw_" not in body(boss, f"{CHANNELS}{made.pk}/secret/")
        with django_capture_on_commit_callbacks(execute=True):
            html = boss.post(f"{CHANNELS}{made.pk}/secret/").content.decode()
        made.refresh_from_db()
        assert webhook.secret_of(made.salt) != before
        assert webhook.secret_of(made.salt) in html
        assert AuditEntry.objects.get().action == "channel.secret"

    def test_mail_has_no_secret(self, boss: Client) -> None:
        made = channel()
        assert "New secret" not in body(boss, f"{CHANNELS}{made.pk}/change/")
        assert boss.post(f"{CHANNELS}{made.pk}/secret/").status_code == 403

    def test_trail_says_how_and_never_where(
        self, boss: Client, django_capture_on_commit_callbacks: Any
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            boss.post(f"{CHANNELS}add/", self.form())
        trail = AuditEntry.objects.get()
        assert trail.action == "notificationchannel.add"
        assert trail.detail == {"kind": "email", "least_severity": "warning", "enabled": True}

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"address": "nobody"}, "nobody is no e-mail address."),
            ({"kind": "webhook", "address": "http://alerts.example.org/"}, "Use https://"),
            ({"kind": "webhook", "address": "ops@example.org"}, "A webhook wants an address like"),
        ],
    )
    def test_what_is_wrong_is_explained(self, boss: Client, wrong: dict[str, str], said: str) -> None:
        response = boss.post(f"{CHANNELS}add/", self.form(**wrong))
        assert response.status_code == 200
        assert said in response.content.decode()
        assert not NotificationChannel.objects.exists()

    def test_address_of_an_existing_one_is_checked_by_its_kind(self, boss: Client) -> None:
        made = self.webhook()
        form = self.form(name="hook", address="ops@example.org")
        response = boss.post(f"{CHANNELS}{made.pk}/change/", form)
        assert "A webhook wants an address like" in response.content.decode()

    def test_without_a_mail_server_it_is_said(self, boss: Client, settings: Any) -> None:
        settings.EMAIL_BACKEND = NO_MAIL
        response = boss.post(f"{CHANNELS}add/", self.form(), follow=True)
        assert "EMAIL_URL" in response.content.decode()

    def test_who_may_only_look_sees_the_host_and_no_more(self) -> None:
        made = self.webhook()
        html = body(staff("view_notificationchannel"), f"{CHANNELS}{made.pk}/change/")
        assert "alerts.example.org" in html
        assert "T0KEN" not in html
        assert "Send a test" not in html

    def test_test_is_queued_and_what_became_of_it_is_shown(
        self, boss: Client, mailoutbox: list[Any], django_capture_on_commit_callbacks: Any
    ) -> None:
        made = channel()
        assert "One attempt" in body(boss, f"{CHANNELS}{made.pk}/test/")
        assert not Delivery.objects.exists()
        with django_capture_on_commit_callbacks(execute=True):
            response = boss.post(f"{CHANNELS}{made.pk}/test/", follow=True)
        message = Delivery.objects.get()
        assert f"{DELIVERIES}{message.pk}/change/" in response.content.decode()
        assert "waits since" in response.content.decode()
        assert AuditEntry.objects.get().action == "channel.test"
        assert deliver_due("p1", {"p1"}, timezone.now, Random(1)) == 1
        assert "test" in mailoutbox[0].subject
        assert "delivered" in body(boss, f"{CHANNELS}{made.pk}/change/")
        assert "delivered" in body(boss, CHANNELS)

    def test_last_error_is_shown(self, boss: Client) -> None:
        made = channel()
        Delivery.objects.create(
            channel=made,
            kind="test",
            state=DeliveryState.GIVEN_UP,
            done_at=timezone.now(),
            last_error="the answer is 500",
        )
        for page in (CHANNELS, f"{CHANNELS}{made.pk}/change/", DELIVERIES):
            assert "the answer is 500" in body(boss, page)

    def test_message_says_what_it_tells(self, boss: Client) -> None:
        channel()
        alert_store.write([entry(rule())], "p1")
        message = Delivery.objects.get()
        assert "opened (warning): pressed, 90 %" in body(boss, f"{DELIVERIES}{message.pk}/change/")

    def test_nobody_changes_or_deletes_a_message(self, boss: Client) -> None:
        message = Delivery.objects.create(channel=channel(), kind="test")
        assert boss.post(f"{DELIVERIES}{message.pk}/change/", {}).status_code == 403
        assert boss.post(f"{DELIVERIES}{message.pk}/delete/", {"post": "yes"}).status_code == 403


PAGES = {
    "rules": (RULES, "view_alertrule"),
    "rule": (f"{RULES}{{rule}}/change/", "view_alertrule"),
    "new rule": (f"{RULES}add/", "add_alertrule"),
    "delete rule": (f"{RULES}{{rule}}/delete/", "delete_alertrule"),
    "restore": (f"{RULES}restore/", "add_alertrule change_alertrule"),
    "alerts": (ALERTS, "view_alert"),
    "alert": (f"{ALERTS}a1/change/", "view_alert"),
    "channels": (CHANNELS, "view_notificationchannel"),
    "channel": (f"{CHANNELS}{{channel}}/change/", "view_notificationchannel"),
    "new channel": (f"{CHANNELS}add/", "add_notificationchannel"),
    "test": (f"{CHANNELS}{{channel}}/test/", "change_notificationchannel"),
    "secret": (f"{CHANNELS}{{channel}}/secret/", "change_notificationchannel"),
    "deliveries": (DELIVERIES, "view_delivery"),
}
EVERY = sorted({name for _, needed in PAGES.values() for name in needed.split()})


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("method", ["get", "post"])
def test_page_wants_its_permissions_and_no_other_opens_it(page: str, method: str) -> None:
    address, needed = PAGES[page]
    of = rule()
    alert_store.write([entry(of)], "p1")
    ops = channel("hook", kind=ChannelKind.WEBHOOK, address="https://alerts.example.org/", salt="s")
    path = address.format(rule=of.pk, channel=ops.pk)
    before = (AlertRule.objects.count(), Alert.objects.count(), NotificationChannel.objects.get().salt)
    model = needed.split()[0].partition("_")[2]
    others = [name for name in EVERY if not name.endswith(f"_{model}")]
    assert getattr(staff(*others), method)(path).status_code == 403
    assert (
        AlertRule.objects.count(),
        Alert.objects.count(),
        NotificationChannel.objects.get().salt,
    ) == before
    assert not Delivery.objects.exists()
    assert getattr(Client(), method)(path).status_code == 302


@pytest.mark.parametrize("page", PAGES)
def test_page_opens_with_its_permissions(page: str) -> None:
    address, needed = PAGES[page]
    of = rule()
    alert_store.write([entry(of)], "p1")
    ops = channel("hook", kind=ChannelKind.WEBHOOK, address="https://alerts.example.org/", salt="s")
    path = address.format(rule=of.pk, channel=ops.pk)
    model = needed.split()[0].partition("_")[2]
    body(staff(*needed.split(), f"view_{model}"), path)
