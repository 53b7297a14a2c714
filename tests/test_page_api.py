"""What the page asks and tells beside its socket: who is answered, and what is refused with which words."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import OperationalError
from django.test import Client

from streaming.ecg.alarm_limits import AlarmLimits
from streaming.page_api import MAX_BODY_BYTES
from streaming.store import layouts, limits
from tests.store.people import Hospital, hospital

pytestmark = pytest.mark.django_db(transaction=True)

DEFAULT: dict[str, Any] = asdict(AlarmLimits())
LAYOUT = {"order": "alarm", "pinned": ["aaaaaaaaaaa2"], "per_page": 32}


@pytest.fixture
def place() -> Hospital:
    """Two wards."""
    return hospital()


@pytest.fixture
def doctor(place: Hospital) -> Client:
    """Somebody of ward a who may set limits."""
    user = place.user("doctor", "a")
    user.user_permissions.set(Permission.objects.filter(codename="set_alarm_limits"))
    client = Client()
    client.force_login(user)
    return client


def put(client: Client, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    text = body if isinstance(body, str) else json.dumps(body)
    answer = client.put(path, text, content_type="application/json")
    return answer.status_code, answer.json()


def test_a_layout_comes_back_with_the_next_page_in_any_browser(place: Hospital, doctor: Client) -> None:
    assert put(doctor, "/layout/", LAYOUT) == (200, LAYOUT)
    elsewhere = Client()
    elsewhere.force_login(place.user("other", "a"))
    assert json.dumps(LAYOUT) in doctor.get("/").content.decode()
    assert '"pinned": []' in elsewhere.get("/").content.decode()
    # A page that was opened before beds per page could be chosen.
    assert put(doctor, "/layout/", {"order": "bed", "pinned": []})[1]["per_page"] == LAYOUT["per_page"]


def test_limits_are_told_with_what_there_is_to_know_of_them(place: Hospital, doctor: Client) -> None:
    path = f"/patients/{place.streams['a'].pk}/limits/"
    told = doctor.get(path).json()
    assert told == {
        "limits": DEFAULT,
        "defaults": DEFAULT,
        "bounds": told["bounds"],
        "may": True,
        "changes": [],
    }
    assert told["bounds"]["asystole_s"] == [3.0, 10.0]
    wanted = DEFAULT | {"hr_high": 131}
    status, told = put(doctor, path, {"seen": DEFAULT, "limits": wanted})
    assert status == 200
    assert told["limits"] == wanted
    assert [(change["by"], change["changed"]) for change in told["changes"]] == [
        ("doctor", {"hr_high": [120, 131]})
    ]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("{", "not JSON"),
        ("x" * (MAX_BODY_BYTES + 1), "more than"),
        ([], "seen has to give each of"),
        ({"seen": DEFAULT}, "limits has to give each of"),
        ({"seen": DEFAULT, "limits": DEFAULT | {"hr_high": "131"}}, "no number"),
        ({"seen": DEFAULT, "limits": DEFAULT | {"hr_high": True}}, "no number"),
        ({"seen": DEFAULT, "limits": DEFAULT | {"hr_high": 130.5}}, "whole number"),
        ({"seen": DEFAULT, "limits": DEFAULT | {"hr_high": math.inf}}, "no number"),
        ({"seen": DEFAULT, "limits": DEFAULT | {"asystole_s": math.nan}}, "no number"),
        ({"seen": DEFAULT | {"asystole_s": 10**400}, "limits": DEFAULT}, "no number"),
        ("[" * MAX_BODY_BYTES, "not JSON"),
        ({"seen": DEFAULT, "limits": DEFAULT | {"more": 1}}, "each of"),
    ],
)
def test_what_is_no_limits_is_refused(place: Hospital, doctor: Client, body: Any, why: str) -> None:
    status, told = put(doctor, f"/patients/{place.streams['a'].pk}/limits/", body)
    assert status == 400
    assert why in told["fault"]


def test_why_values_cannot_be_limits_is_told_by_field(place: Hospital, doctor: Client) -> None:
    path = f"/patients/{place.streams['a'].pk}/limits/"
    status, told = put(doctor, path, {"seen": DEFAULT, "limits": DEFAULT | {"hr_high": 500}})
    assert status == 400
    assert "300" in told["fields"]["hr_high"]
    status, told = put(doctor, path, {"seen": DEFAULT | {"hr_low": 40}, "limits": DEFAULT})
    assert status == 409
    assert "somebody else" in told["fault"]


def test_limits_of_a_patient_whom_one_does_not_see_are_refused(place: Hospital, doctor: Client) -> None:
    assert doctor.get(f"/patients/{place.streams['b'].pk}/limits/").status_code == 403
    assert doctor.get("/patients/aaaaaaaaaaaa/limits/").status_code == 403


def test_a_layout_that_is_none_is_refused(doctor: Client) -> None:
    status, told = put(doctor, "/layout/", {"order": "up", "pinned": []})
    assert status == 400
    assert "order is one of" in told["fault"]


@pytest.mark.parametrize("path", ["/layout/", "/patients/aaaaaaaaaaaa/limits/"])
def test_who_is_signed_out_is_told_so_and_sent_nowhere(client: Client, path: str) -> None:
    status, told = put(client, path, LAYOUT)
    assert (status, told["fault"]) == (401, "you are signed out")


def test_other_methods_and_other_sites_are_refused(place: Hospital, doctor: Client) -> None:
    assert doctor.get("/layout/").status_code == 405
    assert doctor.delete(f"/patients/{place.streams['a'].pk}/limits/").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(place.user("nurse", "a"))
    assert strict.put("/layout/", json.dumps(LAYOUT), content_type="application/json").status_code == 403


def test_a_database_that_is_away_is_told(doctor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(layouts, "save", away)
    monkeypatch.setattr(limits, "limits_of", away)
    assert put(doctor, "/layout/", LAYOUT)[0] == 503
    assert doctor.get("/patients/aaaaaaaaaaaa/limits/").status_code == 503
