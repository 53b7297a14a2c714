"""The snapshots' pages: read-only, in human units, with a trend, and clean under a strict policy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from monitoring.admin import chosen_period
from monitoring.models import MetricsSnapshot
from streaming.core.stats import GroupStats
from tests.pages import inline_code

LIST = "/admin/monitoring/metricssnapshot/"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def store(group: str = "ecg.a", *, age: timedelta = timedelta(0), process: str = "p1", **values: Any) -> int:
    stats = GroupStats(group=group, viewers=3, high_watermark=0.8, **values)
    row = MetricsSnapshot.of(stats, at=timezone.now() - age, process=process)
    row.save()
    return row.pk


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("operator", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def viewer() -> Client:
    return staff("view_metricssnapshot")


def body(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    html = response.content.decode()
    assert inline_code(html) == []
    return html


def test_anonymous_visitor_is_sent_to_the_login() -> None:
    response = Client().get(LIST)
    assert response.status_code == 302
    assert "login" in response["Location"]


def test_staff_without_the_permission_is_refused() -> None:
    row = store()
    client = staff()
    assert client.get(LIST).status_code == 403
    assert client.get(f"{LIST}{row}/change/").status_code == 403


def test_list_without_snapshots_has_no_trend(viewer: Client) -> None:
    assert 'class="trend"' not in body(viewer, LIST)


def test_list_speaks_in_human_units(viewer: Client) -> None:
    store(
        buffer_utilization=0.257,
        drop_rate=0.00123,
        ratio_vs_json=91.26,
        average_latency_ms=0.1834,
        bytes_sent=15_700,
        messages_per_second=1850.0,
    )
    html = body(viewer, LIST)
    for text in ("25.7 %", "0.12 %", "91.3 %", "0.18 ms", "15.7 kB", "1,850.0", "normal"):
        assert text in html


def test_list_says_what_is_not_known(viewer: Client) -> None:
    store(ratio_vs_json=None, average_latency_ms=None)
    html = body(viewer, LIST)
    assert '<td class="field-json_ratio">--</td>' in html
    assert '<td class="field-latency">--</td>' in html


def test_states_that_are_on_are_named(viewer: Client) -> None:
    store(emergency_mode=True, backpressure_active=True, paused=True)
    assert "<strong>emergency, backpressure, paused</strong>" in body(viewer, LIST)


def test_list_shows_the_last_hour_unless_asked_for_more(viewer: Client) -> None:
    store("ecg.now")
    store("ecg.earlier", age=timedelta(hours=2))
    assert "ecg.earlier" not in body(viewer, LIST)
    assert "ecg.earlier" in body(viewer, f"{LIST}?time=6h")


def test_a_day_is_chosen_by_its_date(viewer: Client) -> None:
    store("ecg.old", age=timedelta(days=3))
    day = timezone.localdate() - timedelta(days=3)
    html = body(viewer, f"{LIST}?time={day.isoformat()}")
    assert "ecg.old" in html
    assert f'<li class="selected">\n    <a href="?time={day.isoformat()}">' in html


def test_group_and_process_are_filtered(viewer: Client) -> None:
    store("ecg.a", process="p1")
    store("ecg.b", process="p2")
    html = body(viewer, f"{LIST}?group=ecg.a")
    assert html.count('class="field-group"') == 1
    assert "all processes together" in html
    html = body(viewer, f"{LIST}?process=p2")
    assert "process p2." in html
    assert '<td class="field-group">ecg.b</td>' in html
    assert '<td class="field-group">ecg.a</td>' not in html


def test_chosen_group_without_snapshots_stays_chosen(viewer: Client) -> None:
    store("ecg.a")
    html = body(viewer, f"{LIST}?group=ecg.gone")
    assert "?group=ecg.gone" in html


def test_trend_shows_the_busiest_group_until_one_is_chosen(viewer: Client) -> None:
    store("ecg.calm", messages_per_second=1.0)
    store("ecg.busy", messages_per_second=90.0)
    html = body(viewer, LIST)
    assert '<h2 id="trend-title">ecg.busy</h2>' in html
    assert "choose another one" in html
    html = body(viewer, f"{LIST}?group=ecg.calm")
    assert '<h2 id="trend-title">ecg.calm</h2>' in html
    assert "choose another one" not in html


def test_trend_draws_three_charts_of_presentation_attributes(viewer: Client) -> None:
    for minutes in range(5):
        store(age=timedelta(minutes=minutes), ratio_vs_json=90.0 + minutes, messages_per_second=40.0)
    html = body(viewer, LIST)
    assert html.count('class="trend-line"') == 3
    assert "monitoring/admin.css" in html
    assert "40/s" in html


def test_group_name_is_escaped(viewer: Client) -> None:
    store("<script>alert(1)</script>")
    assert "<script>alert(1)" not in body(viewer, LIST)


def test_details_are_laid_out_as_the_dicts(viewer: Client) -> None:
    row = store(
        current_level=6,
        messages_processed=1000,
        average_compression_ratio=78.5,
        average_latency_ms=8.2,
        space_saved_mb=15.7,
        buffer_size=2500,
        buffer_utilization=0.25,
        sent_messages=9500,
        dropped_messages=50,
        detail={"adaptive": {"network_condition": "good"}, "history": {"lost_chunks": 17}},
    )
    html = body(viewer, f"{LIST}{row}/change/")
    for title in (
        "Compression",
        "Backpressure: buffer",
        "Backpressure: performance",
        "Backpressure: state",
        "Adaptive",
        "History",
    ):
        assert title in html
    for text in (
        "78.5 %",
        "8.20 ms",
        "15.7 MB",
        "25.0 %",
        "9500",
        "network_condition",
        "lost_chunks",
        "80.0 %",
    ):
        assert text in html


def test_nobody_adds_changes_or_deletes_a_snapshot(admin_client: Client) -> None:
    row = store()
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(f"{LIST}{row}/change/", {"group": "x"}).status_code == 403
    assert admin_client.post(f"{LIST}{row}/delete/", {"post": "yes"}).status_code == 403
    admin_client.post(LIST, {"action": "delete_selected", "_selected_action": [row], "post": "yes"})
    assert MetricsSnapshot.objects.get(pk=row).group == "ecg.a"
    assert "delete_selected" not in body(admin_client, LIST)


def test_list_asks_few_questions_however_many_rows(
    viewer: Client, django_assert_max_num_queries: Any
) -> None:
    for minutes in range(50):
        store(age=timedelta(minutes=minutes))
    with django_assert_max_num_queries(14):
        viewer.get(reverse("admin:monitoring_metricssnapshot_changelist"))


@pytest.mark.parametrize(
    ("value", "hours"), [(None, 1), ("", 1), ("1h", 1), ("6h", 6), ("24h", 24), ("nonsense", 1), ("9999h", 1)]
)
def test_period_is_some_last_hours(value: str | None, hours: int) -> None:
    period = chosen_period(value, NOON)
    assert (period.start, period.stop) == (NOON - timedelta(hours=hours), NOON)


def test_period_of_a_date_is_that_day_where_the_server_is() -> None:
    with timezone.override("Europe/Berlin"):
        period = chosen_period("2026-10-25", NOON)
    assert period.stop - period.start == timedelta(hours=25), "the clock goes back that day"
    assert period.start.astimezone(UTC) == datetime(2026, 10, 24, 22, tzinfo=UTC)
