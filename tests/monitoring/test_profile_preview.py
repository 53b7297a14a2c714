"""The preview of a change of profiles: who sees it, of which groups, and that nothing is stored by it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from monitoring import profile_preview
from monitoring.models import MetricsSnapshot
from monitoring.preview import Bounds, Reading
from monitoring.profile_preview import MOST_GROUPS, bounds_said
from streaming.core.profile_columns import SETTINGS
from streaming.core.stats import GroupStats
from streaming.core.streams import group_of
from streaming.models import Stream
from streaming.models_profile_versions import ProfileVersion
from streaming.models_profiles import Profile
from tests.monitoring.some_snapshots import snapshots
from tests.pages import inline_code
from tests.store.people import hospital

PAGE = "/admin/monitoring/metricssnapshot/profile-preview/"
LIST = "/admin/streaming/profile/"
MAY_ALL = ("view_profile", "add_profile", "change_profile", "view_metricssnapshot")

pytestmark = pytest.mark.django_db


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("operator", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def operator() -> Client:
    return staff(*MAY_ALL)


def store(*groups: str, minutes: int = 5) -> None:
    start = timezone.now() - timedelta(minutes=minutes)
    MetricsSnapshot.objects.bulk_create(snapshots(start, 6 * minutes, 10, groups=groups))


def default() -> Profile:
    return Profile.objects.default()


def form_of_default(**changed: Any) -> dict[str, Any]:
    values = {name: getattr(default(), name) for name in SETTINGS} | changed
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in values.items()}


def asked(client: Client, data: dict[str, Any], row: Profile | None = None) -> str:
    response = client.post(PAGE + (f"?profile={row.pk}" if row else ""), data)
    assert response.status_code == 200
    html = response.content.decode()
    assert inline_code(html) == []
    return html


def told(html: str, figure: str) -> list[str]:
    """The cells of a figure's row: last hour, estimate, why."""
    row = re.search(rf'<th scope="row">{figure}</th>(.*?)</tr>', html, re.DOTALL)
    assert row is not None, figure
    return [
        re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row[1], re.DOTALL)
    ]


def groups(html: str) -> list[str]:
    return re.findall(r"<caption>(\S+), \d+ snapshot", html)


def test_anonymous_visitor_is_sent_to_the_login() -> None:
    assert Client().post(PAGE).status_code == 302


@pytest.mark.parametrize("missing", ["change_profile", "view_metricssnapshot"])
def test_whoever_lacks_a_permission_is_refused(missing: str) -> None:
    client = staff(*(each for each in MAY_ALL if each not in (missing, "add_profile")))
    assert client.post(f"{PAGE}?profile={default().pk}", form_of_default()).status_code == 403


def test_whoever_may_not_add_a_profile_gets_no_preview_of_a_new_one() -> None:
    client = staff("view_profile", "change_profile", "view_metricssnapshot")
    assert client.post(PAGE, {"group": "ecg.a"}).status_code == 403


def test_page_is_asked_for_with_a_form_alone_and_for_a_profile_that_is_there(operator: Client) -> None:
    assert operator.get(PAGE).status_code == 405
    for key in ("999", "x", "-1"):
        assert operator.post(f"{PAGE}?profile={key}", form_of_default()).status_code == 404


def test_larger_buffer_is_told_by_group_and_nothing_is_stored(operator: Client) -> None:
    store("ecg.a", "ecg.b")
    row, version = default(), ProfileVersion.objects.get().number
    html = asked(operator, form_of_default(max_buffer_size=20_000), row)
    assert groups(html) == ["ecg.b", "ecg.a"]
    assert told(html, "Most messages that may wait for one viewer")[:2] == ["10,000", "20,000"]
    assert told(html, "Fullest queue, at most")[:2] == ["0.15 %", "0.07 % to 0.15 %"]
    assert "Every figure of the column “estimate” is one" in html
    assert "Unchanged, by estimate: " in html
    assert default().max_buffer_size == 10_000
    assert ProfileVersion.objects.get().number == version


def test_what_cannot_be_estimated_is_said_with_its_reason(operator: Client) -> None:
    store("ecg.a")
    html = asked(operator, form_of_default(window_bits=15), default())
    _, estimated, why = told(html, "Bytes after compression")
    assert estimated == "cannot be estimated"
    assert why.startswith("Nothing tells")


def test_values_that_are_not_valid_are_told_and_not_previewed(operator: Client) -> None:
    store("ecg.a")
    html = asked(operator, form_of_default(low_watermark=0.9), default())
    assert "These values are not valid" in html
    assert groups(html) == []
    assert 'name="_save"' not in html


def test_hour_without_snapshots_says_so(operator: Client) -> None:
    stats = GroupStats(group="ecg.a", viewers=1)
    MetricsSnapshot.of(stats, at=timezone.now() - timedelta(hours=2), process="p1").save()
    html = asked(operator, form_of_default(max_buffer_size=20_000), default())
    assert "The last hour has no snapshots" in html


def test_values_as_they_are_change_nothing(operator: Client) -> None:
    store("ecg.a")
    html = asked(operator, form_of_default(), default())
    assert "nothing would change" in html
    assert groups(html) == []


def test_new_override_is_previewed_for_what_it_governs_alone(operator: Client) -> None:
    store("ecg.a", "ecg.b")
    html = asked(operator, {"group": "ecg.b", "max_buffer_size": 5000})
    assert groups(html) == ["ecg.b"]
    assert told(html, "Fullest queue, at most")[:2] == ["0.15 %", "about 0.30 %"]
    assert f'action="{LIST}add/"' in html
    assert not Profile.objects.filter(group="ecg.b").exists()


def test_override_of_what_has_no_snapshots_governs_none(operator: Client) -> None:
    store("ecg.a")
    assert "No group of the last hour" in asked(operator, {"group": "ecg.z", "max_buffer_size": 5000})


def test_default_is_not_previewed_for_a_group_that_overrules_it(operator: Client) -> None:
    store("ecg.a", "ecg.b")
    Profile(group="ecg.a", max_buffer_size=300).save()
    html = asked(operator, form_of_default(max_buffer_size=20_000), default())
    assert groups(html) == ["ecg.b"]


def test_group_whose_admission_the_user_may_not_see_is_counted_only() -> None:
    hospital()
    stream = Stream.objects.filter(ended_at=None).first()
    assert stream is not None
    store(group_of(stream.pk))
    profile = {"group": f"ward:{stream.ward.slug}", "max_buffer_size": 5000}
    html = asked(staff(*MAY_ALL), profile)
    assert group_of(stream.pk) not in html
    assert "1 group of admissions that you may not see" in html
    boss = Client()
    boss.force_login(User.objects.create_superuser("boss"))
    assert groups(asked(boss, profile)) == [group_of(stream.pk)]


def test_groups_beyond_a_pageful_are_counted(operator: Client) -> None:
    store(*(f"ecg.{n}" for n in range(MOST_GROUPS + 3)), minutes=1)
    html = asked(operator, form_of_default(max_buffer_size=20_000), default())
    assert len(groups(html)) == MOST_GROUPS
    assert "And 3 more groups" in html


def test_no_more_is_read_than_is_shown(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hospital's hour is some hundred thousand rows, in the process that carries the frames."""
    read: list[str] = []

    def counted(**values: Any) -> Reading:
        read.append(values["process"])
        return Reading(**values)

    monkeypatch.setattr(profile_preview, "Reading", counted)
    monkeypatch.setattr(profile_preview, "MOST_GROUPS", 2)
    store("ecg.a", "ecg.b", "ecg.c", "ecg.d", minutes=1)
    html = asked(operator, form_of_default(max_buffer_size=20_000), default())
    assert groups(html) == ["ecg.c", "ecg.b"]
    assert "And 2 more groups" in html
    assert len(read) == 2 * 6


def test_snapshots_under_other_settings_are_told(operator: Client) -> None:
    start = timezone.now() - timedelta(minutes=5)
    rows = snapshots(start, 3, 10, detail={"settings_version": ProfileVersion.objects.get().number})
    MetricsSnapshot.objects.bulk_create(rows)
    said = "taken under other settings"
    assert said not in asked(operator, form_of_default(max_buffer_size=20_000), default())
    Profile(group="ecg.z", max_buffer_size=300).save()
    assert said in asked(operator, form_of_default(max_buffer_size=20_000), default())


def test_previewed_values_are_saved_from_the_page_as_from_the_form(operator: Client) -> None:
    store("ecg.a")
    row = default()
    html = asked(operator, form_of_default(max_buffer_size=20_000, change_comment="more room"), row)
    action = re.search(r'<form method="post" action="([^"]+)"', html)
    assert action is not None
    sent = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', html))
    assert sent["change_comment"] == "more room"
    assert operator.post(action[1], sent).status_code == 302
    assert default().max_buffer_size == 20_000


def test_form_has_the_button_for_whoever_may_use_it(operator: Client) -> None:
    html = operator.get(f"{LIST}{default().pk}/change/").content.decode()
    assert f'formaction="{PAGE}?profile={default().pk}"' in html
    assert f'formaction="{PAGE}"' in operator.get(f"{LIST}add/").content.decode()


@pytest.mark.parametrize(
    "permissions", [("view_profile", "change_profile"), ("view_profile", "view_metricssnapshot")]
)
def test_form_has_no_button_for_others(permissions: tuple[str, ...]) -> None:
    assert "formaction" not in staff(*permissions).get(f"{LIST}{default().pk}/change/").content.decode()


def test_estimates_in_words() -> None:
    assert bounds_said(None, "bytes") == "cannot be estimated"
    assert bounds_said(Bounds(None, None), "bytes") == "cannot be estimated"
    assert bounds_said(Bounds(1500.0, None), "bytes") == "at least 1.50 kB"
    assert bounds_said(Bounds(None, 2e6), "bytes") == "at most 2.00 MB"
    assert bounds_said(Bounds(0.1, 0.25), "share") == "10.00 % to 25.00 %"
    assert bounds_said(Bounds.exactly(3.0), "messages") == "about 3"
    assert bounds_said(Bounds.exactly(float("inf")), "s") == "about without end"
