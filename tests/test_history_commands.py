"""Stored ECG deleted by the commands and in the admin: what goes, who may, and what the trail says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from streaming.models import AuditEntry
from streaming.models_history import HistoryChunk
from streaming.store import history
from tests.store.histories import START, chunk_of
from tests.store.people import Hospital, hospital


@pytest.fixture
def place(db: None) -> Hospital:
    """Two wards, and three seconds of history of each stream."""
    place = hospital()
    for stream in place.streams.values():
        history.write([chunk_of(500 * n, 500 * (n + 1), stream=stream.pk) for n in range(3)])
    return place


def left() -> dict[str, int]:
    return {stored.stream: stored.chunks for stored in history.sizes()}


class TestCommands:
    @pytest.fixture(autouse=True)
    def _audit_at_once(self, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> None:
        self.committing = django_capture_on_commit_callbacks

    def run(self, command: str, *arguments: str) -> str:
        said = StringIO()
        with self.committing(execute=True):
            call_command(command, *arguments, stdout=said)
        return said.getvalue()

    def entry(self) -> AuditEntry:
        return AuditEntry.objects.get(action__startswith="history.")

    def test_of_a_stream(self, place: Hospital) -> None:
        a, b = (place.streams[letter].pk for letter in "ab")
        assert "Deleted 3 chunks (0.9 kB) and 0 pins." in self.run("delete_history", "--stream", a, "--yes")
        assert left() == {b: 3}
        entry = self.entry()
        assert (entry.actor, entry.action, entry.object) == (
            "system:command",
            "history.delete",
            f"stream:{a}",
        )
        assert entry.detail["chunks"] == 3

    def test_of_a_patient(self, place: Hospital) -> None:
        a, b = (place.streams[letter] for letter in "ab")
        self.run("delete_history", "--patient", a.patient.pseudonym, "--yes")
        assert left() == {b.pk: 3}
        assert self.entry().object == f"patient:{a.patient_id}"
        with pytest.raises(CommandError, match="there is no patient P-NONE"):
            self.run("delete_history", "--patient", "P-NONE", "--yes")

    def test_of_before_a_time(self, place: Hospital) -> None:
        before = (START + timedelta(seconds=1.5)).isoformat()
        self.run("delete_history", "--before", before, "--yes")
        assert set(left().values()) == {1}
        assert self.entry().object == "history"
        assert self.entry().detail["before"] == before

    def test_a_time_without_a_zone_is_utc(self, place: Hospital) -> None:
        self.run("delete_history", "--before", "2026-01-05T12:00:01.5", "--yes")
        assert set(left().values()) == {1}

    def test_without_yes_it_only_tells(self, place: Hospital) -> None:
        a = place.streams["a"].pk
        said = self.run("delete_history", "--stream", a, "--before", "2026-01-06")
        assert f"{a}  {place.streams['a'].patient.pseudonym}  0.9 kB, 2026-01-05 12:00:00 to " in said
        assert (
            "Nothing was deleted. Add --yes to delete what of this began before 2026-01-06 00:00:00 UTC."
            in said
        )
        assert set(left().values()) == {3}
        assert not AuditEntry.objects.filter(action="history.delete").exists()

    def test_of_what_is_not_there_it_says_so(self, place: Hospital) -> None:
        assert "nothing to delete" in self.run("delete_history", "--stream", "unknown")

    def test_now_is_a_time_and_yesterday_is_none(self, place: Hospital) -> None:
        with pytest.raises(CommandError, match="write it like 2026-11-26T12:00, or now: 'yesterday'"):
            self.run("delete_history", "--before", "yesterday", "--yes")
        self.run("delete_history", "--before", "now", "--yes")
        assert left() == {}

    @pytest.mark.parametrize("yes", [[], ["--yes"]])
    def test_a_time_to_come_is_refused(self, place: Hospital, yes: list[str]) -> None:
        ahead = datetime.now(UTC) + timedelta(minutes=2)
        east = ahead.astimezone(timezone.get_fixed_timezone(120))
        for text in (f"{ahead:%Y-%m-%dT%H:%M:%S}", east.isoformat(), "9999-12-31"):
            with pytest.raises(CommandError, match="UTC is in the future"):
                self.run("delete_history", "--before", text, *yes)
        with pytest.raises(CommandError, match="write it like"):
            self.run("delete_history", "--before", "9999-12-31T23:00-10:00", *yes)
        assert set(left().values()) == {3}

    def test_everything_is_not_deleted_by_mistake(self, place: Hospital) -> None:
        with pytest.raises(CommandError, match="say what to delete"):
            self.run("delete_history", "--yes")
        with pytest.raises(CommandError, match="not allowed with"):
            self.run("delete_history", "--stream", "a", "--patient", "b")

    def test_prune_keeps_to_the_limits(self, place: Hospital, settings: Settings) -> None:
        settings.VITAL_HISTORY_HOURS = 1
        history.write([chunk_of(0, 500, stream="new", began_at=timezone.now())])
        assert "Deleted 6 chunks" in self.run("prune_history")
        assert left() == {"new": 1}
        assert (self.entry().actor, self.entry().action) == ("system:command", "history.prune")
        assert "Deleted 0 chunks" in self.run("prune_history")
        assert self.entry().detail["chunks"] == 6

    def test_prune_by_a_clock_that_has_jumped_waits_for_a_word(
        self, place: Hospital, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.VAR_DIR = tmp_path
        monkeypatch.setattr(timezone, "now", lambda: START + timedelta(hours=1))
        assert "Deleted 0 chunks" in self.run("prune_history")
        monkeypatch.setattr(timezone, "now", lambda: START + timedelta(days=800))
        assert "Deleted 0 chunks" in self.run("prune_history")
        assert "2026-01-05 13:00 was believed last" in self.run("confirm_clock")
        assert "Deleted 0 chunks" in self.run("prune_history")
        assert "The clock is believed" in self.run("confirm_clock", "--yes")
        assert AuditEntry.objects.get(action="clock.confirm").detail == {"last": "2026-01-05T13:00:00+00:00"}
        assert "Deleted 6 chunks" in self.run("prune_history")


def browser(place: Hospital, name: str, *permissions: str) -> Client:
    """Of staff who sees ward a."""
    user = place.user(name, "a", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


class TestAdmin:
    def delete(self, client: Client, *streams: str, **more: str) -> str:
        form = {"action": "delete_history", "_selected_action": streams, **more}
        return client.post("/admin/streaming/stream/", form, follow=True).content.decode()

    def test_the_page_of_a_stream_tells_what_is_stored(
        self, place: Hospital, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = browser(place, "lead", "view_stream")
        url = f"/admin/streaming/stream/{place.streams['a'].pk}/change/"
        assert "0.9 kB, 2026-01-05 12:00:00 to 2026-01-05 12:00:03 UTC" in client.get(url).content.decode()
        HistoryChunk.objects.all().delete()
        assert "nothing is stored" in client.get(url).content.decode()

        def fail(_streams: object) -> None:
            raise OperationalError("password=hunter2")

        monkeypatch.setattr(history, "sizes", fail)
        page = client.get(url).content.decode()
        assert "database does not answer (OperationalError)" in page
        assert "hunter2" not in page

    def test_it_asks_then_deletes_and_records(
        self, place: Hospital, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        client = browser(place, "lead", "view_stream", "change_stream", "delete_historychunk")
        a, b = (place.streams[letter].pk for letter in "ab")
        asked = self.delete(client, a)
        assert f"{place.streams['a'].patient.pseudonym}, {a}: 0.9 kB" in asked
        assert left() == {a: 3, b: 3}
        with django_capture_on_commit_callbacks(execute=True):
            assert "The history of 1 stream is deleted." in self.delete(client, a, confirmed="yes")
        assert left() == {b: 3}
        entry = AuditEntry.objects.get(action="history.delete")
        assert (entry.object, entry.detail["chunks"]) == (f"stream:{a}", 3)
        assert entry.actor.startswith("user:")

    def test_nobody_deletes_without_the_permission_or_of_another_ward(self, place: Hospital) -> None:
        a, b = (place.streams[letter].pk for letter in "ab")
        self.delete(browser(place, "lead", "view_stream", "change_stream"), a, confirmed="yes")
        self.delete(browser(place, "other", "view_stream", "delete_historychunk"), b, confirmed="yes")
        assert left() == {a: 3, b: 3}
