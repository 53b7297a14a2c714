"""The snapshots' pages: read-only, in human units, with a trend, and clean under a strict policy."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from monitoring import admin as snapshot_admin
from monitoring import export
from monitoring.figures import FIGURES
from monitoring.models import MetricsSnapshot, Resolution
from monitoring.periods import Period, chosen_period
from streaming.core.stats import GroupStats
from tests.pages import inline_code

LIST = "/admin/monitoring/metricssnapshot/"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def store(
    group: str = "ecg.a",
    *,
    age: timedelta = timedelta(0),
    process: str = "p1",
    resolution: Resolution = Resolution.FULL,
    **values: Any,
) -> int:
    stats = GroupStats(group=group, viewers=3, high_watermark=0.8, **values)
    row = MetricsSnapshot.of(stats, at=timezone.now() - age, process=process)
    row.resolution = resolution
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


def test_list_without_snapshots_says_what_to_do(viewer: Client) -> None:
    html = body(viewer, LIST)
    assert "No snapshots yet" in html
    assert "manage.py simulate" in html
    assert 'id="snapshot-charts"' not in html


def test_time_without_snapshots_says_so(viewer: Client) -> None:
    store(age=timedelta(days=3))
    html = body(viewer, LIST)
    assert "Nothing stored in this time" in html
    assert "No snapshots yet" not in html


def test_list_speaks_in_human_units(viewer: Client) -> None:
    store(
        buffer_utilization=0.257,
        drop_rate=0.00123,
        ratio_vs_json=91.26,
        average_latency_ms=0.1834,
        age_p95_ms=123.45,
        messages_per_second=1850.0,
    )
    html = body(viewer, LIST)
    for text in ("25.7 %", "0.12 %", "91.3 %", "0.18 ms", "123.5 ms", "1,850.0", "normal"):
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
    store("ecg.old", age=timedelta(days=3), resolution=Resolution.MINUTE)
    day = timezone.localdate() - timedelta(days=3)
    html = body(viewer, f"{LIST}?time={day.isoformat()}")
    assert "ecg.old" in html
    assert f'<a href="?time={day.isoformat()}" aria-current="date">{day.day}</a>' in html
    assert f'<a href="?time={day:%Y-%m}">{day:%B %Y}</a>' in html


def test_months_are_offered_as_far_back_as_hours_are_kept(viewer: Client, settings: Any) -> None:
    settings.VITAL_SNAPSHOT_HOUR_DAYS = 65
    html = body(viewer, LIST)
    assert html.count('<li><a href="?time=') - html.count('<li><a href="?time=20') == 0
    months = html.count('<li><a href="?time=20')
    assert 3 <= months <= 4


def test_rows_are_of_the_resolution_that_fits_the_time(viewer: Client) -> None:
    for resolution, group in zip(Resolution, ("ecg.full", "ecg.minute", "ecg.hour"), strict=True):
        store(group, resolution=resolution)
    for query, group in (
        ("", "ecg.full"),
        ("?time=24h", "ecg.full"),
        ("?time=7d", "ecg.minute"),
        ("?time=30d", "ecg.hour"),
        ("?time=365d", "ecg.hour"),
        ("?time=1h&resolution=3600", "ecg.hour"),
    ):
        html = body(viewer, LIST + query)
        assert [
            f'<td class="field-group">{name}</td>' in html for name in ("ecg.full", "ecg.minute", "ecg.hour")
        ] == [name == group for name in ("ecg.full", "ecg.minute", "ecg.hour")], query


def test_state_and_network_are_filtered(viewer: Client) -> None:
    store("ecg.calm", network_condition="good")
    store("ecg.crowded", emergency_mode=True, network_condition="poor")
    for query, group in (("state=emergency", "ecg.crowded"), ("network=good", "ecg.calm")):
        html = body(viewer, f"{LIST}?{query}")
        assert html.count('class="field-group"') == 1
        assert f'<td class="field-group">{group}</td>' in html
    assert body(viewer, f"{LIST}?state=nonsense").count('class="field-group"') == 2


def test_group_and_process_are_filtered(viewer: Client) -> None:
    store("ecg.a", process="p1")
    store("ecg.b", process="p2")
    html = body(viewer, f"{LIST}?group=ecg.a")
    assert html.count('class="field-group"') == 1
    assert "All processes together" in html
    html = body(viewer, f"{LIST}?process=p2")
    assert "Process p2." in html
    assert '<td class="field-group">ecg.b</td>' in html
    assert '<td class="field-group">ecg.a</td>' not in html


def test_chosen_group_without_snapshots_stays_chosen(viewer: Client) -> None:
    store("ecg.a")
    html = body(viewer, f"{LIST}?group=ecg.gone")
    assert "?group=ecg.gone" in html


def test_charts_are_of_the_busiest_group_until_one_is_chosen(viewer: Client) -> None:
    store("ecg.calm", messages_per_second=1.0)
    store("ecg.busy", messages_per_second=90.0)
    html = body(viewer, LIST)
    assert '<h2 id="trend-title">ecg.busy</h2>' in html
    assert "choose another one" in html
    assert "<option>ecg.calm</option>" in html
    html = body(viewer, f"{LIST}?group=ecg.calm")
    assert '<h2 id="trend-title">ecg.calm</h2>' in html
    assert "choose another one" not in html


def test_columns_are_sorted_by_within_one_group_alone(viewer: Client) -> None:
    store()
    assert body(viewer, LIST).count("sortable") == 1
    assert body(viewer, f"{LIST}?group=ecg.a").count("sortable") > 8


def test_list_turns_no_further_than_the_newest_rows(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_admin, "NEWEST_ROWS", 3)
    monkeypatch.setattr(snapshot_admin.MetricsSnapshotAdmin, "list_per_page", 2)
    for minutes in range(5):
        store(age=timedelta(minutes=minutes))
    html = body(viewer, f"{LIST}?p=2")
    assert html.count('class="field-group"') == 1
    assert "the newest 3 of them" in html


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
    with django_assert_max_num_queries(26):
        viewer.get(reverse("admin:monitoring_metricssnapshot_changelist"))


@pytest.mark.parametrize(
    ("value", "hours"),
    [
        *(
            (None, 1),
            ("", 1),
            ("1h", 1),
            ("6h", 6),
            ("24h", 24),
            ("7d", 168),
            ("nonsense", 1),
            ("2026-13", 1),
        ),
        *(("9999-12", 1), ("9999-12-31", 1), ("0001-01", 1), ("0001-01-01", 1)),
    ],
)
def test_period_is_some_last_hours(value: str | None, hours: int) -> None:
    period = chosen_period(value, NOON)
    assert (period.start, period.stop) == (NOON - timedelta(hours=hours), NOON)


def test_period_of_a_date_is_that_day_where_the_server_is() -> None:
    with timezone.override("Europe/Berlin"):
        period = chosen_period("2026-10-25", NOON)
    assert period.stop - period.start == timedelta(hours=25), "the clock goes back that day"
    assert period.start.astimezone(UTC) == datetime(2026, 10, 24, 22, tzinfo=UTC)


def test_period_of_a_month_is_all_of_it() -> None:
    assert chosen_period("2026-12", NOON) == Period(
        datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    )


def test_a_day_of_which_full_rows_are_kept_no_more_is_told_by_minutes() -> None:
    for ago, resolution in ((0, Resolution.FULL), (3, Resolution.MINUTE), (40, Resolution.HOUR)):
        start = NOON - timedelta(days=ago, hours=12)
        assert Period(start, start + timedelta(days=1)).resolution(NOON) is resolution


class TestCharts:
    """The view behind the charts."""

    URL = f"{LIST}charts.json"

    def asked(self, client: Client, **changes: Any) -> Any:
        now = timezone.now().timestamp()
        query: Any = {"group": "ecg.a", "start": now - 3600, "stop": now, "points": 100, **changes}
        return client.get(self.URL, query)

    def test_lines_of_one_group_are_told(self, viewer: Client) -> None:
        store(age=timedelta(minutes=5), messages_per_second=40.0)
        store("ecg.b", age=timedelta(minutes=5), messages_per_second=9.0)
        told = self.asked(viewer).json()
        assert told["group"] == "ecg.a"
        assert [value for value in told["lines"]["messages_per_second"] if value is not None] == [40.0]
        assert len(told["t"]) == len(told["lines"]["viewers"]) <= 100

    @pytest.mark.parametrize(
        "changes",
        [
            {"group": ""},
            {"start": "yesterday"},
            {"start": "nan"},
            {"start": "1e400"},
            {"stop": 0},
            {"start": -62_135_596_800, "stop": -62_135_596_000},
            {"start": 253_402_300_000, "stop": 253_402_300_700},
            {"points": 501},
            {"points": 9},
            {"points": "many"},
        ],
    )
    def test_what_cannot_be_answered_is_said(self, viewer: Client, changes: dict[str, Any]) -> None:
        answer = self.asked(viewer, **changes)
        assert answer.status_code == 400
        assert answer.json()["error"]

    def test_permission_is_needed(self) -> None:
        assert self.asked(Client()).status_code == 302
        assert self.asked(staff()).status_code == 403


def all_of(answer: Any) -> list[bytes]:
    """The parts of a file, as an ASGI server takes them."""

    async def read() -> list[bytes]:
        return [part async for part in answer]

    return async_to_sync(read)()


class TestExport:
    """The rows of the list as a file."""

    def got(self, client: Client, ending: str, query: str = "") -> tuple[Any, str]:
        answer: Any = client.get(f"{LIST}export.{ending}{query}")
        assert answer.status_code == 200
        return answer, b"".join(all_of(answer)).decode()

    def test_csv_has_names_units_and_the_filtered_rows_oldest_first(self, viewer: Client) -> None:
        for minutes in (1, 3, 2):
            store(age=timedelta(minutes=minutes), age_p95_ms=float(minutes))
        store("ecg.b", age=timedelta(minutes=1))
        answer, text = self.got(viewer, "csv", "?group=ecg.a")
        assert answer["Content-Type"] == "text/csv; charset=utf-8"
        assert re.fullmatch(
            r'attachment; filename="vital-snapshots-ecg.a-\d{8}T\d{4}Z-\d{8}T\d{4}Z.csv"',
            answer["Content-Disposition"],
        )
        header, *lines = csv.reader(io.StringIO(text))
        assert {"at [UTC]", "age_p95_ms [ms]", "buffer_utilization [share]", "state"} <= set(header)
        assert len(header) == 5 + len(FIGURES)
        assert [line[header.index("age_p95_ms [ms]")] for line in lines] == ["3.0", "2.0", "1.0"]
        assert [line[header.index("ratio_vs_json [%]")] for line in lines] == ["", "", ""]
        assert {line[header.index("state")] for line in lines} == {"normal"}
        assert {line[header.index("resolution")] for line in lines} == {"as taken"}

    def test_json_is_one_object_with_units(self, viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(export, "BATCH_ROWS", 2)
        for minutes in range(5):
            store(age=timedelta(minutes=minutes), viewers_poor=minutes)
        answer, text = self.got(viewer, "json")
        told = json.loads(text)
        assert answer["Content-Disposition"].endswith('.json"')
        assert told["units"]["rss_mb"] == "MB"
        assert [row["viewers_poor"] for row in told["rows"]] == [4, 3, 2, 1, 0]
        assert told["rows"][0]["at"].endswith("Z")

    def test_without_rows_both_are_whole(self, viewer: Client) -> None:
        assert json.loads(self.got(viewer, "json")[1])["rows"] == []
        assert self.got(viewer, "csv")[1].count("\n") == 1

    def test_rows_are_read_in_batches(
        self, viewer: Client, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
    ) -> None:
        monkeypatch.setattr(export, "BATCH_ROWS", 10)
        at = timezone.now() - timedelta(minutes=5)
        stats = GroupStats(group="ecg.a", viewers=1)
        MetricsSnapshot.objects.bulk_create(
            MetricsSnapshot.of(stats, at=at, process=f"p{n}") for n in range(25)
        )
        answer: Any = viewer.get(f"{LIST}export.csv")
        with django_assert_num_queries(4):
            sizes = [part.count(b"\n") for part in all_of(answer)]
        assert sizes == [1, 10, 10, 5]

    def test_too_many_rows_are_refused_with_advice(
        self, viewer: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(export, "MAX_ROWS", 2)
        for minutes in range(3):
            store(age=timedelta(minutes=minutes))
        answer = viewer.get(f"{LIST}export.csv?time=6h", follow=True)
        assert answer.redirect_chain == [(f"{LIST}?time=6h", 302)]
        assert "An export holds 2 rows" in answer.content.decode()

    def test_there_is_no_other_kind(self, viewer: Client) -> None:
        assert viewer.get(f"{LIST}export.xls").status_code == 404

    def test_permission_is_needed(self) -> None:
        assert Client().get(f"{LIST}export.csv").status_code == 302
        assert staff().get(f"{LIST}export.csv").status_code == 403

    def test_file_names_hold_nothing_odd(self) -> None:
        period = Period(NOON, NOON + timedelta(hours=1))
        name = export.file_name(period, '../"a b', "csv")
        assert name == "vital-snapshots-.._a_b-20260301T1200Z-20260301T1300Z.csv"
