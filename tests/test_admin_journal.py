"""The alarm journal in the admin: who sees which rows, and how an alarm went."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from streaming.core.alarm_record import AlarmEntry, AlarmStep
from streaming.models_journal import JournalEntry
from streaming.store import chain, journal_rows
from streaming.store.journal_rows import line_of
from tests.store.journals import change, closed, entry, facts_of, raised
from tests.store.people import Hospital, hospital

PAGE = "/admin/streaming/journalentry/"
ALARM = f"{PAGE}alarm/"


@pytest.fixture
def place(db: None) -> Hospital:
    """Two wards."""
    return hospital()


def client_of(place: Hospital, name: str, *wards: str, may_view: bool = True, **rights: bool) -> Client:
    user = place.user(name, *wards, is_staff=True, **rights)
    if may_view:
        user.user_permissions.set(Permission.objects.filter(codename="view_journalentry"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def boss(place: Hospital) -> Client:
    """A superuser's browser."""
    return client_of(place, "boss", is_superuser=True)


@pytest.fixture
def reader(place: Hospital) -> Client:
    """Of staff of ward a who may read the journal."""
    return client_of(place, "reader", "a")


def now(*entries: AlarmEntry, ago_s: float = 60.0, ward: str = "a") -> list[AlarmEntry]:
    """The entries as of now, in a ward."""
    moved_ms = 1000 * (timezone.now().timestamp() - ago_s) - entries[0].at_ms
    moved = [replace(each, at_ms=each.at_ms + moved_ms) for each in entries]
    return [replace(each, facts=each.facts and replace(each.facts, ward=ward)) for each in moved]


@pytest.fixture
def entries(place: Hospital) -> None:
    """An alarm that is closed in ward a, an open one in ward b, one of the system, and one of last week."""
    slugs = {letter: ward.slug for letter, ward in place.wards.items()}
    system = raised("system-1", facts=facts_of("system-1", stream="", ward="", kind="disk full"))
    stored = [
        *now(*closed("in-a"), ward=slugs["a"]),
        *now(raised("in-b", facts=facts_of("in-b", stream="stream-b")), ward=slugs["b"]),
        *now(system, ward=""),
        *now(raised("last-week", facts=facts_of("last-week")), ago_s=6 * 86400, ward=slugs["a"]),
    ]
    journal_rows.store([line_of(each) for each in stored], chain.new_head())


def html(client: Client, page: str, **query: str) -> str:
    response = client.get(page, query)
    assert response.status_code == 200
    return response.content.decode()


def alarms(page: str) -> set[str]:
    return set(re.findall(r"alarm/\?id=([\w-]+)", page))


@pytest.mark.usefixtures("entries")
class TestList:
    def test_it_shows_the_last_day_and_more_on_request(self, boss: Client) -> None:
        assert alarms(html(boss, PAGE)) == {"in-a", "in-b", "system-1"}
        assert alarms(html(boss, PAGE, days="7")) == {"in-a", "in-b", "system-1", "last-week"}
        assert alarms(html(boss, PAGE, days="nonsense")) == {"in-a", "in-b", "system-1"}

    def test_staff_see_their_wards_and_what_is_about_none(self, reader: Client) -> None:
        page = html(reader, PAGE)
        assert alarms(page) == {"in-a", "system-1"}
        assert "stream-b" not in page

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"step": "acknowledged"}, {"in-a"}),
            ({"kind": "disk full"}, {"system-1"}),
            ({"severity": "low"}, set()),
            ({"stream": "stream-b"}, {"in-b"}),
            ({"q": "in-b"}, {"in-b"}),
        ],
        ids=str,
    )
    def test_filters(self, query: dict[str, str], found: set[str], boss: Client) -> None:
        key = next(iter(query))
        asked = query if key not in ("step", "severity") else {f"{key}__exact": query[key]}
        assert alarms(html(boss, PAGE, **asked)) == found

    def test_who_may_not_view_it_is_refused(self, place: Hospital) -> None:
        client = client_of(place, "nobody", "a", may_view=False)
        assert client.get(PAGE).status_code == 403
        assert client.get(ALARM, {"id": "in-a"}).status_code == 403

    def test_it_is_read_only_even_for_a_superuser(self, boss: Client) -> None:
        row = JournalEntry.objects.all()[0]
        assert html(boss, f"{PAGE}{row.pk}/change/")
        assert boss.get(f"{PAGE}add/").status_code == 403
        assert boss.post(f"{PAGE}{row.pk}/change/", {}).status_code == 403
        assert boss.post(f"{PAGE}{row.pk}/delete/").status_code == 403

    def test_chains_can_be_verified(self, boss: Client) -> None:
        row = JournalEntry.objects.get(alarm="in-b")
        form: dict[str, Any] = {"action": "verify_chains", "_selected_action": [row.pk]}
        assert "1 chain is whole." in boss.post(PAGE, form, follow=True).content.decode()
        change(row.seq, by="nobody")
        assert f"/{row.seq}: altered" in boss.post(PAGE, form, follow=True).content.decode()


@pytest.mark.usefixtures("entries")
class TestAlarm:
    def test_it_shows_each_step_and_the_time_between_them(self, boss: Client) -> None:
        page = html(boss, ALARM, id="in-a")
        rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', page, re.DOTALL)
        assert [name for name, _rest in rows] == [
            "raised",
            "published",
            "displayed (in the background)",
            "acknowledged",
            "cleared",
        ]
        times = [re.findall(r"<td>([\d.]+) s</td>", rest) for _name, rest in rows]
        assert times == [
            ["0.000", "0.000"],
            ["0.002", "0.002"],
            ["0.090", "0.088"],
            ["4.000", "3.910"],
            ["9.000", "5.000"],
        ]
        assert "user:7 (Robin)" in page
        assert "<strong>Asystole</strong>: high, closed." in page

    def test_one_without_its_first_step_says_so(self, boss: Client) -> None:
        journal_rows.store([line_of(entry(AlarmStep.CLEARED, "late"))], chain.new_head())
        assert "does not say what this alarm is about" in html(boss, ALARM, id="late")

    def test_one_of_another_ward_is_none(self, reader: Client) -> None:
        assert html(reader, ALARM, id="in-a")
        for alarm in ("in-b", "never", ""):
            assert reader.get(ALARM, {"id": alarm}).status_code == 404
