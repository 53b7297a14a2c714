"""The page Capacity: who sees it, limits and whose they are, trends, how many more, and too little to say."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models import Max
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from monitoring import costs
from monitoring.capacity import Capacity, Carries, Limit, Outlook, Use, capacity, history
from monitoring.capacity_admin import carries_said, headline, reach_said, trend_said
from monitoring.costs import Room
from monitoring.models import Resolution, UsageSnapshot
from monitoring.trend import LEAST_DAYS, Reach, Trend
from tests.monitoring.some_usage import CPU, usage
from tests.pages import inline_code

PAGE = "/admin/monitoring/usagesnapshot/"
SNAPSHOTS = "/admin/monitoring/metricssnapshot/"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TREND = Trend(slope=0.01, low=0.005, high=0.02, level=0.5, days=30)
USE = Use("CPU", "cores", 0.3, 0.5, Limit(1.0, "one core"))

pytestmark = pytest.mark.django_db


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("operator", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def viewer() -> Client:
    return staff("view_metricssnapshot")


def text(client: Client) -> str:
    response = client.get(PAGE)
    assert response.status_code == 200
    html = response.content.decode()
    assert inline_code(html) == []
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def store_hour(now: datetime, process: str = "0123abcd", **options: Any) -> None:
    UsageSnapshot.objects.bulk_create(usage(now - timedelta(minutes=58), 348, 10, process=process, **options))


def store_days(now: datetime, days: int, **options: Any) -> None:
    start = now.replace(minute=0, second=0, microsecond=0) - timedelta(days=days)
    rows = usage(start, 24 * days, 3600, resolution=Resolution.HOUR, process="before", **options)
    UsageSnapshot.objects.bulk_create(rows)


def outlook(found: Capacity, name: str) -> Outlook:
    return next(each for each in found.outlooks if each.use.name == name)


# -- who


def test_anonymous_visitor_is_sent_to_the_login() -> None:
    for path in (PAGE, f"{PAGE}lines.json"):
        assert Client().get(path).status_code == 302


def test_staff_without_the_permission_is_refused_and_sees_no_link() -> None:
    client = staff("view_profile")
    for path in (PAGE, f"{PAGE}lines.json"):
        assert client.get(path).status_code == 403
    assert PAGE not in client.get("/admin/").content.decode()


def test_whoever_sees_snapshots_finds_the_page_in_the_index_and_beside_their_list(viewer: Client) -> None:
    index = viewer.get("/admin/").content.decode()
    assert f'href="{PAGE}"' in index
    assert "Capacity" in index
    assert f'href="{PAGE}"' in viewer.get(SNAPSHOTS).content.decode()


def test_rows_have_no_pages_and_cannot_be_changed() -> None:
    store_hour(timezone.now())
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    row = UsageSnapshot.objects.first()
    assert row is not None
    for path in (f"{PAGE}add/", f"{PAGE}{row.pk}/change/", f"{PAGE}{row.pk}/delete/"):
        assert client.get(path).status_code == 404


# -- too little


def test_page_without_anything_says_what_to_do(viewer: Client) -> None:
    assert "Nothing stored yet" in text(viewer)


def test_page_without_a_process_that_runs_says_so(viewer: Client) -> None:
    store_hour(timezone.now() - timedelta(hours=3))
    said = text(viewer)
    assert "No process runs" in said
    assert "Nothing stored yet" not in said


def test_process_with_one_snapshot_carries_nobody_knows_what(viewer: Client) -> None:
    UsageSnapshot.objects.bulk_create(usage(timezone.now(), 1, 10))
    said = text(viewer)
    assert "It has too few snapshots yet to say what it carries." in said
    assert f"too little history: 0 of {LEAST_DAYS} days" in said
    assert "cannot be told yet: there is too little history" in said


def test_young_process_is_judged_by_costs_of_elsewhere(viewer: Client) -> None:
    UsageSnapshot.objects.bulk_create(usage(timezone.now() - timedelta(seconds=90), 10, 10))
    assert "by costs that were measured on another machine" in text(viewer)


# -- what there is


def test_present_use_is_the_mean_and_the_peak_of_the_last_hour_with_its_limit() -> None:
    now = timezone.now()
    store_hour(now)
    (process,) = capacity(now).processes
    used = {use.name: use for use in process.uses}
    assert used["CPU"].limit == Limit(1.0, "one core: the process has one event loop")
    assert used["CPU"].mean is not None
    assert used["CPU"].peak is not None
    assert 0 < used["CPU"].mean <= used["CPU"].peak < 1
    assert used["CPU"].share == used["CPU"].peak
    assert used["memory"].limit == Limit(4000.0, "control group or machine")
    assert used["buffer"].limit.value == 1.0
    assert used["bandwidth"].limit.value is None
    assert used["bandwidth"].share is None
    assert "VITAL_CAPACITY_MBPS sets it" in used["bandwidth"].limit.source
    rows = UsageSnapshot.objects.order_by("at")
    seconds = (rows[347].at - rows[0].at).total_seconds()
    assert used["CPU"].mean == pytest.approx((rows[347].cpu_s - rows[0].cpu_s) / seconds)


def test_operator_says_the_limits_that_cannot_be_known(settings: Settings) -> None:
    settings.VITAL_CAPACITY_MBPS = 100
    settings.VITAL_CAPACITY_VIEWERS = 500
    settings.VITAL_CAPACITY_MEMORY_MB = 2000
    settings.VITAL_CAPACITY_DATABASE_MB = 3000
    now = timezone.now()
    store_hour(now)
    found = capacity(now)
    limits = {each.use.name: each.use.limit for each in found.outlooks}
    assert limits["bandwidth"] == Limit(100.0, "VITAL_CAPACITY_MBPS")
    assert limits["viewers"] == Limit(500.0, "VITAL_CAPACITY_VIEWERS")
    assert limits["memory"] == Limit(2000.0, "VITAL_CAPACITY_MEMORY_MB")
    assert limits["databases"] == Limit(3000.0, "VITAL_CAPACITY_DATABASE_MB")


def test_databases_may_grow_into_what_is_free_and_a_database_server_says_nothing() -> None:
    now = timezone.now()
    store_hour(now)
    assert outlook(capacity(now), "databases").use.limit.value == pytest.approx(1051 + 20_000)
    UsageSnapshot.objects.update(disk_free_mb=None)
    assert outlook(capacity(now), "databases").use.limit.value is None


def test_core_that_is_less_than_one_is_the_limit() -> None:
    now = timezone.now()
    store_hour(now, cores=0.5)
    assert outlook(capacity(now), "CPU").use.limit == Limit(0.5, "the process's control group")


def test_several_processes_add_up_where_they_share_and_the_fullest_counts_elsewhere() -> None:
    now = timezone.now()
    store_hour(now, "one", viewers=20)
    store_hour(now, "two", viewers=60)
    found = capacity(now)
    assert {process.process for process in found.processes} == {"one", "two"}
    of_two = next(process for process in found.processes if process.process == "two")
    peaks = {use.name: use.peak for use in of_two.uses}
    assert outlook(found, "CPU").use.peak == peaks["CPU"]
    assert (outlook(found, "viewers").use.peak or 0) > (peaks["viewers"] or 0)


def test_costs_of_the_process_itself_say_how_many_more_it_carries() -> None:
    now = timezone.now()
    store_hour(now)
    UsageSnapshot.objects.bulk_create(
        usage(now - timedelta(hours=20), 1080, 60, resolution=Resolution.MINUTE)
    )
    (process,) = capacity(now).processes
    assert process.load is not None
    assert process.cpu.snapshots > 200
    assert process.cpu.of(process.load) == pytest.approx(
        CPU[0]
        + sum(
            cost * getattr(process.load, term) for cost, term in zip(CPU[1:], costs.CPU_TERMS, strict=True)
        ),
        rel=0.03,
    )
    room = process.viewers.room
    assert process.viewers.limited_by == "CPU"
    assert room.more is not None
    assert room.least is not None
    assert room.least <= room.more
    full = process.load.with_viewers(room.more)
    truly = CPU[0] + sum(
        cost * getattr(full, term) for cost, term in zip(CPU[1:], costs.CPU_TERMS, strict=True)
    )
    assert truly == pytest.approx(1 - costs.HEADROOM, rel=0.1)


def test_costs_are_fitted_whatever_the_interval_of_snapshots(settings: Settings) -> None:
    settings.VITAL_SNAPSHOT_INTERVAL_S = 300
    now = timezone.now()
    UsageSnapshot.objects.bulk_create(usage(now - timedelta(minutes=56), 12, 300))
    (process,) = capacity(now).processes
    assert process.cpu.snapshots == 11
    assert process.viewers.room.more is not None


def test_gap_in_the_rows_is_no_load() -> None:
    now = timezone.now()
    store_hour(now)
    whole = capacity(now).processes[0].cpu.snapshots
    UsageSnapshot.objects.filter(
        at__gt=now - timedelta(minutes=40), at__lt=now - timedelta(minutes=30)
    ).delete()
    assert whole - 12 <= capacity(now).processes[0].cpu.snapshots <= whole - 10


def test_memory_limits_where_it_is_full_first() -> None:
    now = timezone.now()
    store_hour(now, memory_limit_mb=150.0)
    (process,) = capacity(now).processes
    assert process.viewers.limited_by == "memory"


def test_restart_within_the_hour_is_another_process_and_no_negative_rate() -> None:
    now = timezone.now()
    store_hour(now - timedelta(minutes=20), "former")
    UsageSnapshot.objects.filter(at__gt=now - timedelta(minutes=20)).delete()
    UsageSnapshot.objects.bulk_create(usage(now - timedelta(minutes=10), 60, 10, process="new"))
    assert [process.process for process in capacity(now).processes] == ["new"]


def test_viewers_who_went_from_one_process_to_another_are_no_two() -> None:
    now = timezone.now()
    UsageSnapshot.objects.bulk_create(
        [
            *usage(now - timedelta(minutes=50), 150, 10, process="one"),
            *usage(now - timedelta(minutes=25), 150, 10, process="one", viewers=0),
            *usage(now - timedelta(minutes=50), 150, 10, process="two", viewers=0),
            *usage(now - timedelta(minutes=25), 150, 10, process="two"),
        ]
    )
    found = {each.use.name: each.use for each in capacity(now).outlooks}
    assert 40 <= (found["viewers"].peak or 0) <= 45
    alone = UsageSnapshot.objects.aggregate(most=Max("sent_mbps"))["most"]
    assert found["bandwidth"].peak == pytest.approx(alone, rel=0.02)


# -- trends


def test_growth_over_weeks_is_found_through_restarts_and_told_with_its_day() -> None:
    now = timezone.now()
    store_days(now, 28, growth_a_day=0.01)
    store_hour(now)
    cpu = outlook(capacity(now), "CPU")
    assert cpu.trend is not None
    assert cpu.trend.slope == pytest.approx(0.01, abs=0.002)
    assert cpu.reach is not None
    assert cpu.reach.days is not None
    assert cpu.reach.days == pytest.approx((1 - cpu.trend.level) / cpu.trend.slope)
    first = capacity(now).first
    assert first is not None
    assert first.use.name == "CPU"


def test_steady_load_reaches_nothing_within_a_year(viewer: Client) -> None:
    now = timezone.now()
    store_days(now, 28)
    store_hour(now)
    assert capacity(now).first is None
    said = text(viewer)
    assert "no resource whose limit is known reaches it within a year" in said
    assert "not within a year" in said


def test_history_is_the_hourly_peak_of_all_processes_without_counting_one_twice() -> None:
    now = NOON + timedelta(minutes=30)
    hour: dict[str, Any] = {"resolution": Resolution.HOUR, "viewers": 30}
    for process in ("one", "two"):
        UsageSnapshot.objects.bulk_create(usage(NOON - timedelta(hours=3), 3, 3600, process=process, **hour))
        UsageSnapshot.objects.bulk_create(
            usage(NOON, 20, 60, process=process, resolution=Resolution.MINUTE, viewers=40)
        )
        UsageSnapshot.objects.bulk_create(
            usage(NOON + timedelta(minutes=20), 60, 10, process=process, viewers=10)
        )
    past = history(now)
    assert past.times == [(NOON + timedelta(hours=n)).timestamp() for n in (-3, -2, -1, 0)]
    viewers = past.lines["viewers"]
    assert viewers[0] == 60
    assert viewers[-1] == 2 * 42  # 40 x its rhythm after a third of an hour
    assert past.lines["CPU"][0] == UsageSnapshot.objects.filter(at=NOON - timedelta(hours=3))[0].cpu_share


def test_process_that_took_another_s_place_within_the_hour_is_no_second_one() -> None:
    before, after = (
        [*usage(NOON - timedelta(hours=start), 2, 3600, process=name, resolution=Resolution.HOUR)]
        for name, start in (("before", 4), ("after", 3))
    )
    before[1].samples = after[0].samples = 180
    for row in (*before, *after):
        row.viewers, row.sent_mbps = 40, 2.0
    UsageSnapshot.objects.bulk_create([*before, *after])
    past = history(NOON)
    assert past.lines["viewers"] == [40.0, 40.0, 40.0]
    assert past.lines["bandwidth"] == [2.0, 2.0, 2.0]


def test_hours_without_rows_are_holes() -> None:
    for hours in (5, 1):
        UsageSnapshot.objects.bulk_create(
            usage(NOON - timedelta(hours=hours), 1, 3600, resolution=Resolution.HOUR)
        )
    assert [value is None for value in history(NOON).lines["memory"]] == [False, True, True, True, False]


def test_lines_are_data_for_the_charts(viewer: Client) -> None:
    now = timezone.now()
    store_days(now, 3)
    store_hour(now)
    answer = json.loads(viewer.get(f"{PAGE}lines.json").content)
    assert len(answer["t"]) in (72, 73, 74)
    assert set(answer["lines"]) == {"CPU", "memory", "bandwidth", "buffer", "viewers", "databases"}
    assert all(len(values) == len(answer["t"]) for values in answer["lines"].values())
    assert answer["limits"]["CPU"] == 1.0
    assert answer["limits"]["bandwidth"] is None


# -- words


def test_page_says_what_the_process_does_and_carries(viewer: Client) -> None:
    store_hour(timezone.now())
    said = text(viewer)
    assert re.search(r"It has 8 patients, \d+ viewers, 4,000 lead-samples/s in", said)
    assert re.search(r"about [\d,]+ more viewers, who watch as much as the present ones", said)
    assert "with 20 % of each limit kept free" in said
    assert "An estimate, by" in said
    assert "one core: the process has one event loop" in said


@pytest.mark.parametrize(
    ("reach", "said"),
    [
        (Reach(30.0, 15.0, 60.0), "in about 30 days (15 to 60)"),
        (Reach(30.0, 15.0, None), "in about 30 days (15 to more than a year)"),
        (Reach(None, 200.0, None), "most likely not within a year; in 200 days at the soonest"),
        (Reach(None, None, None), "not within a year"),
        (Reach(0.0, 0.0, 0.0), "is reached now"),
        (None, "its limit is not known"),
    ],
)
def test_days_until_a_limit_in_words(reach: Reach | None, said: str) -> None:
    assert reach_said(Outlook(USE, TREND, reach, 30)) == said


def test_too_little_history_is_told_by_its_days() -> None:
    assert reach_said(Outlook(USE, None, None, 3)) == f"too little history: 3 of {LEAST_DAYS} days"
    assert trend_said(Outlook(USE, None, None, 3)) == "--"


def test_trend_in_words_says_when_it_may_be_none() -> None:
    sure = trend_said(Outlook(USE, TREND, None, 30))
    assert sure == "+7.0 % of a core a week (+3.5 % of a core to +14.0 % of a core), by 30 days"
    assert "which may be none" in trend_said(Outlook(USE, replace(TREND, low=-0.01), None, 30))


def test_headline_names_what_limits_first() -> None:
    later = Outlook(replace(USE, name="memory"), TREND, Reach(60.0, 30.0, 90.0), 30)
    sooner = Outlook(USE, TREND, Reach(30.0, 15.0, 60.0), 30)
    now = timezone.now()
    store_hour(now)
    (process,) = capacity(now).processes
    assert headline(Capacity([process], [later, sooner])).startswith(
        "CPU reaches its limit first, in about 30"
    )
    full = Outlook(replace(USE, name="databases"), TREND, Reach(0.0, 0.0, 0.0), 30)
    assert headline(Capacity([process], [sooner, full])) == "Databases is at its limit now."
    assert headline(Capacity([], [])) == ""


def test_how_many_more_in_words() -> None:
    assert carries_said(Carries(Room(120, 80, 300), "CPU"), "viewers") == (
        "about 120 more viewers (80 to 300), limited by CPU"
    )
    assert "(80 or more)" in carries_said(Carries(Room(120, 80, None), "CPU"), "viewers")
    assert carries_said(Carries(Room(0, 0, 0), "memory"), "patients").startswith("no more patients: memory")
    assert "cannot be told" in carries_said(Carries(Room(None, None, None), ""), "patients")
