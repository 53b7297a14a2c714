"""Who may do what in the admin: every page that is registered, every right, every way to ask.

The pages are those that the admin knows; one that is added without a row here fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.templatetags.admin_urls import admin_urlname
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.db.models import Model
from django.test import Client
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from monitoring import alert_store
from monitoring.alert_store import Entry
from monitoring.models import MetricsSnapshot, UsageSnapshot
from monitoring.models_alerts import Alert, AlertRule, Delivery, NotificationChannel
from streaming.models import ApiToken, AuditEntry, Device, Patient, Stream, Ward
from streaming.models_journal import JournalEntry
from streaming.models_profile_versions import ProfileRevision
from streaming.models_profiles import Profile
from streaming.store import chain, journal_rows, tokens
from streaming.store.journal_rows import line_of
from tests.monitoring.some_snapshots import snapshots
from tests.store.journals import facts_of, raised
from tests.store.people import Hospital, hospital

VERBS = ("view", "add", "change", "delete")
LOOKS = frozenset({"view", "change"})
"""Whoever may change something may look at it, as everywhere in Django's admin."""

Rights = frozenset[str]
NOBODY: Rights = frozenset()
VIEW, ADD, CHANGE, DELETE = (frozenset({verb}) for verb in VERBS)
ALL: Rights = frozenset({"all"})
"""More than one of them at once."""

STANDARD: dict[str, tuple[Rights, Rights]] = {
    "changelist": (LOOKS, LOOKS),
    "add": (ADD, ADD),
    "change": (LOOKS, CHANGE),
    "delete": (DELETE, DELETE),
    "history": (LOOKS, LOOKS),
}
"""One of these rights opens the page: by GET, and by POST."""

READ_ONLY: dict[type[Model], Rights] = {
    AuditEntry: ADD | CHANGE | DELETE,
    JournalEntry: ADD | CHANGE | DELETE,
    ProfileRevision: ADD | CHANGE | DELETE,
    Alert: ADD | CHANGE | DELETE,
    Delivery: ADD | CHANGE | DELETE,
    MetricsSnapshot: ADD | CHANGE | DELETE,
    AccessLog: ADD,
    AccessAttempt: ADD,
    AccessFailureLog: ADD,
    ApiToken: DELETE,
    Stream: DELETE,
}
"""What nobody may, whatever rights they have."""

OWN: dict[str, tuple[Rights, Rights]] = {
    "auth_user_add": (ALL, ALL),  # as Django has it: who adds users may change them, too
    "auth_user_password_change": (CHANGE, CHANGE),
    "monitoring_alertrule_restore": (ALL, ALL),
    "monitoring_metricssnapshot_charts": (LOOKS, LOOKS),
    "monitoring_metricssnapshot_export": (LOOKS, LOOKS),
    "monitoring_metricssnapshot_live": (LOOKS, LOOKS),
    "monitoring_notificationchannel_secret": (CHANGE, CHANGE),
    "monitoring_notificationchannel_test": (CHANGE, CHANGE),
    "monitoring_profile_preview": (NOBODY, ALL),  # what a form was filled with, by who may save it
    "monitoring_usagesnapshot_changelist": (VIEW, VIEW),
    "monitoring_usagesnapshot_lines": (VIEW, VIEW),
    "streaming_apitoken_change": (LOOKS, NOBODY),
    "streaming_device_issue_token": (CHANGE, CHANGE),
    "streaming_device_revoke_tokens": (CHANGE, CHANGE),
    "streaming_journalentry_alarm": (LOOKS, LOOKS),
    "streaming_profile_effective": (LOOKS, LOOKS),
    "streaming_profile_export": (LOOKS, LOOKS),
    "streaming_profile_import": (CHANGE, CHANGE),
    "streaming_profile_preset": (CHANGE, CHANGE),
    "streaming_profile_preset_file": (LOOKS, LOOKS),
    "streaming_profile_presets": (LOOKS, LOOKS),
    "streaming_profilerevision_change": (LOOKS, NOBODY),
    "streaming_profilerevision_changelist": (LOOKS, LOOKS),
    "streaming_profilerevision_history": (LOOKS, LOOKS),
    "streaming_profilerevision_return": (CHANGE, CHANGE),
    "streaming_profilerevision_undo": (ALL, ALL),
}
"""Pages beside the standard ones, or opened otherwise, by their names among the addresses."""

QUERIES = {
    "streaming_journalentry_alarm": "?id=an-alarm",
    "monitoring_metricssnapshot_charts": "?group=ecg.a&start=0&stop=3600",
}
ARGUMENTS = {
    "monitoring_metricssnapshot_export": ["csv"],
    "streaming_profile_preset": ["production"],
    "streaming_profile_preset_file": ["production"],
}
RIGHTS_OF: dict[type[Model], type[Model]] = {ProfileRevision: Profile, UsageSnapshot: MetricsSnapshot}
"""Whose rights count; else its own."""
SUBMITTED = {"post": "yes", "_save": "Save"}


@dataclass(frozen=True, slots=True)
class Page:
    """One address, and which rights open it."""

    name: str
    path: str
    gets: Rights
    posts: Rights


@pytest.fixture
def place(db: None) -> Hospital:
    """Two wards, and a row at least of everything that the admin shows."""
    place = hospital()
    place.user("boss", is_staff=True, is_superuser=True)
    AuditEntry.objects.create(seq=1, writer="w", at=timezone.now(), action="test")
    alarm = raised("an-alarm", facts=facts_of("an-alarm", ward=place.wards["a"].slug))
    journal_rows.store([line_of(alarm)], chain.new_head())
    MetricsSnapshot.objects.bulk_create(snapshots(timezone.now(), 1, 10))
    Profile.objects.create(group="ward:ward-a", max_buffer_size=5000)
    NotificationChannel.objects.create(
        name="on call", kind="webhook", address="https://example.org", salt="s"
    )
    alert_store.restore_shipped()  # a test with real transactions ends without them
    now, rule = timezone.now(), AlertRule.objects.earliest("pk").rule()
    alert_store.write([Entry("0" * 16, rule, "ecg.a", now, now, 0.02, 0.04)], "0123abcd")
    visit = {"username": "x", "ip_address": "127.0.0.1"}
    AccessAttempt.objects.create(failures_since_start=1, **visit)
    AccessFailureLog.objects.create(**visit)
    AccessLog.objects.create(**visit)
    return place


def registered() -> list[type[Model]]:
    """Every model that has pages."""
    return sorted(admin.site._registry, key=lambda model: model._meta.label)


def row_of(model: type[Model], place: Hospital) -> Model | None:
    """One that staff of ward a may see; None where the pages are of no row."""
    stream = place.streams["a"]
    named: dict[type[Model], Model] = {
        Device: stream.device,
        Patient: stream.patient,
        Profile: Profile.objects.get(group="ward:ward-a"),
        Stream: stream,
        Ward: stream.ward,
    }
    return named.get(model) or model._default_manager.order_by("-pk").first()


def pages_of(model: type[Model], place: Hospital) -> Iterator[Page]:
    """All of its pages, as the admin's own addresses name them."""
    denied = READ_ONLY.get(model, NOBODY)
    row = row_of(model, place)
    for pattern in admin.site._registry[model].get_urls():
        if not isinstance(pattern, URLPattern) or pattern.name is None:
            continue  # the admin's redirect from addresses of former versions
        if pattern.name in OWN:
            gets, posts = OWN[pattern.name]
        else:
            standard = STANDARD[pattern.name.rpartition("_")[2]]
            gets, posts = (LOOKS if needed == LOOKS else needed - denied for needed in standard)
        arguments = ARGUMENTS.get(pattern.name, [row.pk] if row and "<" in str(pattern.pattern) else [])
        path = reverse(f"admin:{pattern.name}", args=arguments)
        yield Page(pattern.name, path + QUERIES.get(pattern.name, ""), gets, posts)


def staff(place: Hospital, name: str, rights: Iterable[Permission]) -> Client:
    """Of ward a, with exactly these rights, and a token of their own."""
    user = place.user(name, "a", is_staff=True)
    user.user_permissions.set(rights)
    tokens.issue_api_token(user, "test", [place.wards["a"]], actor="system:test")
    return browser(user)


def browser(user: User) -> Client:
    """In which somebody has signed in."""
    client = Client()
    client.force_login(user)
    return client


def rights_of(model: type[Model], *verbs: str) -> list[Permission]:
    """The permissions that count for a model, by their verbs."""
    of = RIGHTS_OF.get(model, model)._meta
    names = [f"{verb}_{of.model_name}" for verb in verbs]
    return list(Permission.objects.filter(content_type__app_label=of.app_label, codename__in=names))


def stored() -> dict[str, str]:
    """All rows of all tables, but sessions and when somebody was last here."""
    return {
        model._meta.label: repr(list(model._default_manager.order_by("pk").values_list()))
        for model in apps.get_models()
        if model not in (Session, User)
    }


@pytest.mark.parametrize("model", registered(), ids=lambda model: model._meta.label)
class TestMatrix:
    """By model: all its pages."""

    def test_who_has_no_right_to_it_sees_and_changes_nothing(
        self, place: Hospital, model: type[Model]
    ) -> None:
        own = {right.pk for right in rights_of(model, *VERBS)}
        who = {
            "a visitor": Client(),
            "no staff": browser(place.user("nurse", "a")),
            "staff without rights": staff(place, "new", []),
            "staff with all other rights": staff(place, "other", Permission.objects.exclude(pk__in=own)),
        }
        before = stored()
        for page in pages_of(model, place):
            for name, client in who.items():
                for answer in (client.get(page.path), client.post(page.path, SUBMITTED)):
                    assert is_refused(answer), (name, page.name, answer.status_code)
        assert stored() == before

    def test_each_right_opens_its_pages_and_no_other(self, place: Hospital, model: type[Model]) -> None:
        for verb in VERBS:
            client = staff(place, verb, rights_of(model, verb))
            before = stored()
            pages = list(pages_of(model, place))
            for page in pages:
                answer = client.get(page.path)
                assert (answer.status_code == 200) == (verb in page.gets), (
                    verb,
                    page.name,
                    answer.status_code,
                )
                if verb not in page.posts:
                    answer = client.post(page.path, SUBMITTED)
                    assert is_refused(answer), (verb, page.name, answer.status_code)
            assert stored() == before
            for page in pages:
                if verb in page.posts:  # an empty form is answered, whether or not it is enough
                    assert client.post(page.path).status_code != 403, (verb, page.name)

    def test_a_superuser_opens_every_page_that_is_there_for_anybody(
        self, place: Hospital, model: type[Model]
    ) -> None:
        client = browser(User.objects.get(username="boss"))
        staff(place, "of some token", [])
        for page in pages_of(model, place):
            assert (client.get(page.path).status_code == 200) == bool(page.gets), page.name

    def test_the_index_names_what_one_may_see_and_nothing_else(
        self, place: Hospital, model: type[Model]
    ) -> None:
        html = staff(place, "reader", rights_of(model, "view")).get("/admin/").content.decode()
        shown = {
            other
            for other in registered()
            if f'href="{reverse(admin_urlname(other._meta, SafeString("changelist")))}"' in html
        }
        assert shown == {
            other for other in registered() if RIGHTS_OF.get(other, other) is RIGHTS_OF.get(model, model)
        }


def is_refused(answer: Any) -> bool:
    """Sent to the login, or away as from what is not there, or told that it is forbidden."""
    away = answer.get("Location", "")
    return answer.status_code in (403, 405) or (
        answer.status_code == 302 and ("login/?next=" in away or away == "/admin/")
    )
