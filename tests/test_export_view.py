"""Who may export stored ECG, what is refused, and what of it is in the audit trail."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import AsyncClient, Client

from streaming import export_view
from streaming.models import AuditEntry
from tests.store import pasts
from tests.store.people import Hospital, hospital

BEGAN = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
BEGAN_MS = int(1000 * BEGAN.timestamp())
pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def place() -> Hospital:
    """Two wards, and two minutes of a past in each."""
    made = hospital()
    for ward in ("a", "b"):
        info = pasts.make_epoch(made.streams[ward].pk)
        pasts.store(info, pasts.simulated(info, 60), BEGAN, repeats=2, holes=[(30, 40)])
    return made


@pytest.fixture
def nurse(place: Hospital) -> User:
    """Of ward a."""
    return place.user("nurse", "a")


def allow(user: User) -> None:
    user.user_permissions.add(Permission.objects.get(codename="export_history"))


def url(stream: str, **changes: Any) -> str:
    asked = {"format": "wfdb", "from_ms": BEGAN_MS, "to_ms": BEGAN_MS + 60_000} | changes
    return f"/patients/{stream}/export/?" + "&".join(f"{key}={value}" for key, value in asked.items())


def entries() -> list[tuple[str, dict[str, Any]]]:
    rows = AuditEntry.objects.filter(action="history.export").order_by("seq")
    return [(row.outcome, row.detail) for row in rows]


async def downloaded(client: AsyncClient, stream: str, **changes: Any) -> bytes:
    response: Any = await client.get(url(stream, **changes))
    assert response.status_code == 200
    content: AsyncIterator[bytes] = aiter(response)
    return b"".join([piece async for piece in content])


async def test_who_may_downloads_and_the_audit_trail_says_so(place: Hospital, nurse: User) -> None:
    await database_sync_to_async(allow)(nurse)
    client = AsyncClient()
    await client.aforce_login(nurse)
    data = await downloaded(client, place.streams["a"].pk)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".hea")]
        header = archive.read(name).decode()
    assert header.split()[3] == str(60 * 250)
    (allowed, asked), (done, told) = await database_sync_to_async(entries)()
    assert (allowed, done) == ("allowed", "done")
    assert asked["format"] == "wfdb"
    assert told["bytes"] == len(data)
    assert export_view._Export.running == 0


def test_who_may_not_is_refused_and_noted(place: Hospital, nurse: User) -> None:
    client = Client()
    client.force_login(nurse)
    for ward, may, status in (("a", False, 403), ("b", False, 404), ("b", True, 404)):
        if may:
            allow(nurse)
        assert client.get(url(place.streams[ward].pk)).status_code == status
    assert [outcome for outcome, _ in entries()] == ["denied"] * 3


def test_what_is_asked_wrongly_or_of_a_busy_process_is_refused(
    place: Hospital, nurse: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Client().get(url(place.streams["a"].pk)).status_code == 302, "nobody is sent to the login"
    allow(nurse)
    client = Client()
    client.force_login(nurse)
    for changes in (
        {"format": "xml"},
        {"from_ms": "now"},
        {"from_ms": "-1"},
        {"to_ms": BEGAN_MS},
        {"to_ms": BEGAN_MS + 26 * 3600 * 1000},
        {"to_ms": "9" * 14},
        {"from_ms": "١"},
    ):
        assert client.get(url(place.streams["a"].pk, **changes)).status_code == 400, changes
    monkeypatch.setattr(export_view._Export, "running", export_view.MOST_AT_ONCE)
    response = client.get(url(place.streams["a"].pk))
    assert (response.status_code, response["Retry-After"]) == (503, "30")
    assert entries() == []


def test_the_command_writes_the_file_and_the_audit_trail(place: Hospital, tmp_path: Path) -> None:
    output = tmp_path / "out.zip"
    span = {"since": BEGAN.isoformat(), "until": (BEGAN + timedelta(minutes=2)).isoformat()}
    asked = [place.streams["a"].pk, "--format", "fhir", "--output", str(output)]
    asked += [f"--{name}={value}" for name, value in span.items()]
    call_command("export_history", *asked)
    with zipfile.ZipFile(output) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".json")]
        bundle = json.loads(archive.read(name))
    data = bundle["entry"][0]["resource"]["component"][0]["valueSampledData"]["data"].split()
    assert (len(data), data.count("E")) == (60 * 250, 10 * 250)
    assert [outcome for outcome, _ in entries()] == ["allowed", "done"]
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_history", *asked)
    with pytest.raises(CommandError, match="no stream"):
        call_command("export_history", "aaaaaaaaaaaa", *asked[1:])


async def test_of_a_burst_two_are_made_and_one_that_nobody_reads_gives_its_place_back(
    place: Hospital, nurse: User
) -> None:
    await database_sync_to_async(allow)(nurse)
    client = AsyncClient()
    await client.aforce_login(nurse)
    answers: list[Any] = await asyncio.gather(*(client.get(url(place.streams["a"].pk)) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 503, 503]
    for answer in answers:
        await database_sync_to_async(answer.close)()
    assert export_view._Export.running == 0
    assert await downloaded(client, place.streams["a"].pk)
