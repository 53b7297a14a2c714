"""The page, the login, the errors and the probes."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer, get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.contrib.auth.models import User
from django.db import OperationalError
from django.db.migrations.executor import MigrationExecutor
from django.shortcuts import render
from django.test import AsyncClient, Client
from pytest_django import Settings
from redis.asyncio import Redis

from streaming import alarm_care, command_line, views
from streaming.conf import NOTICE
from streaming.runtime import Runtime
from streaming.store import readiness
from tests.fake_journal import FakeJournal, Store
from tests.pages import inline_code
from tests.store.people import Hospital, hospital
from vital import env


@pytest.fixture
def place(db: None) -> Hospital:
    """Two wards."""
    return hospital()


@pytest.fixture
def nurse(place: Hospital) -> Client:
    """A browser in which a nurse of ward a is signed in."""
    client = Client()
    client.force_login(place.user("nurse", "a"))
    return client


@pytest.mark.parametrize("path", ["/", "/patients/aaaaaaaaaaaa/"])
def test_page_needs_a_login(path: str, client: Client) -> None:
    response = client.get(path)
    assert (response.status_code, response["Location"]) == (302, f"/accounts/login/?next={path}")


def test_the_lab_is_on_the_page_only_where_the_server_has_one(nurse: Client, settings: Settings) -> None:
    assert b"data-link" not in nurse.get("/").content
    settings.VITAL_LAB = True
    assert b"data-link" in nurse.get("/").content


def test_known_forbidden_and_unknown_patient_are_one_page(place: Hospital, nurse: Client) -> None:
    pages = set()
    for stream in (place.streams["a"].pk, place.streams["b"].pk, "aaaaaaaaaaaa"):
        response = nurse.get(f"/patients/{stream}/")
        assert response.status_code == 200
        html = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", response.content.decode())
        pages.add(html.replace(stream, "STREAM"))
    assert len(pages) == 1


@pytest.mark.parametrize(
    ("port", "address"), [("8000", ""), ("8080", " --url ws://127.0.0.1:8080")], ids=["usual", "other"]
)
def test_page_says_how_to_get_beds_from_this_very_server(nurse: Client, port: str, address: str) -> None:
    html = nurse.get("/", SERVER_NAME="127.0.0.1", SERVER_PORT=port).content.decode()
    line = command_line.in_project("manage.py", "simulate", "--patients", "8")
    assert f"<pre>{line}{address}</pre>" in html


@pytest.mark.parametrize("path", ["/patients/UPPERCASE123/", "/patients/short/", "/nope", "/ws/viewer/"])
def test_what_is_no_page_is_404_with_the_notice(path: str, nurse: Client) -> None:
    response = nurse.get(path)
    assert response.status_code == 404
    assert NOTICE in response.content.decode()


@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/nope"])
def test_page_carries_the_notice_and_nothing_inline(path: str, nurse: Client) -> None:
    if "login" in path:
        nurse.logout()
    html = nurse.get(path).content.decode()
    assert NOTICE in html
    assert inline_code(html) == []


def test_post_to_the_page_is_refused(nurse: Client) -> None:
    assert nurse.post("/").status_code == 405


def test_server_error_has_the_notice_and_no_detail(nurse: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    nurse.raise_request_exception = False
    monkeypatch.setattr(views, "render", _failing_once(render))
    response = nurse.get("/")
    assert response.status_code == 500
    html = response.content.decode()
    assert NOTICE in html
    assert "Heron" not in html


def _failing_once(page: Any) -> Any:
    calls: list[int] = []

    def attempt(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("patient Heron 27")
        return page(*args, **kwargs)

    return attempt


class TestLogin:
    """The form."""

    @pytest.fixture(autouse=True)
    def _fast_hash(self, settings: Settings) -> None:
        settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

    @pytest.fixture
    def user(self, db: None) -> User:
        """Somebody with a password."""
        return User.objects.create_user("nurse", password="right")

    def test_right_password_leads_to_the_page_asked_for(self, client: Client, user: User) -> None:
        form = {"username": "nurse", "password": "right", "next": "/patients/aaaaaaaaaaaa/"}
        assert client.post("/accounts/login/", form)["Location"] == "/patients/aaaaaaaaaaaa/"

    @pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
    def test_it_never_leads_elsewhere(self, target: str, client: Client, user: User) -> None:
        form = {"username": "nurse", "password": "right", "next": target}
        assert client.post("/accounts/login/", form)["Location"] == "/"

    @pytest.mark.parametrize("name", ["nurse", "nobody"])
    def test_wrong_password_and_unknown_name_look_the_same(
        self, name: str, client: Client, user: User
    ) -> None:
        response = client.post("/accounts/login/", {"username": name, "password": "wrong"})
        html = response.content.decode()
        assert response.status_code == 200
        assert "User name or password is wrong." in html
        assert f'value="{name}"' in html
        assert 'wrong"' not in html

    def test_login_needs_its_form(self, user: User) -> None:
        strict = Client(enforce_csrf_checks=True)
        response = strict.post("/accounts/login/", {"username": "nurse", "password": "right"})
        assert response.status_code == 403
        assert NOTICE in response.content.decode()

    def test_logout_ends_the_session_by_post_alone(self, client: Client, user: User) -> None:
        client.force_login(user)
        assert client.get("/accounts/logout/").status_code == 405
        assert client.post("/accounts/logout/")["Location"] == "/accounts/login/"
        assert client.get("/").status_code == 302


class HangingLayer:
    """A channel layer whose messages never arrive."""

    async def new_channel(self, prefix: str) -> str:
        """A name."""
        return f"{prefix}.1"

    async def send(self, _channel: str, _message: dict[str, Any]) -> None:
        """Swallow it."""

    async def receive(self, _channel: str) -> dict[str, Any]:
        """Never."""
        await asyncio.Event().wait()
        raise AssertionError


class BrokenLayer(HangingLayer):
    """A channel layer without its server."""

    async def send(self, _channel: str, _message: dict[str, Any]) -> None:
        """Refused."""
        raise ConnectionRefusedError


class _ClientOf(AsyncClient):
    """Its requests reach the process of `runtime`."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self._runtime = runtime

    def _base_scope(self, **request: Any) -> Any:
        scope = super()._base_scope(**request)  # type: ignore[misc]  # not in the stubs
        return {**scope, "vital": self._runtime}


def probing(runtime: Runtime | None = None) -> AsyncClient:
    """Who asks a process that runs."""
    return _ClientOf(runtime or Runtime(InMemoryChannelLayer()))


class TestProbes:
    """Alive, and ready."""

    @pytest.fixture
    def _database_serves(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(views, "database_fault", lambda: None)

    @pytest.mark.usefixtures("_database_serves")
    async def test_not_ready_before_the_process_has_started(self) -> None:
        response = await AsyncClient().get("/readyz")
        assert response.status_code == 503
        assert response.json() == {"status": "unavailable", "reasons": {"process": "starting"}}

    @pytest.mark.usefixtures("_database_serves")
    async def test_not_ready_while_the_layer_fails_this_process(self) -> None:
        runtime = Runtime(InMemoryChannelLayer())
        runtime.hub.link.healthy = False
        response = await probing(runtime).get("/readyz")
        assert response.status_code == 503
        assert response.json()["reasons"] == {"layer": "failed this process, which tries again"}

    @pytest.mark.usefixtures("_database_serves")
    async def test_the_log_has_the_beginning_and_the_end_of_an_outage_and_no_probe(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(views, "_readiness", views._Readiness())
        runtime = Runtime(InMemoryChannelLayer())
        codes = []
        for healthy in (True, False, False, True, True):
            runtime.hub.link.healthy = healthy
            codes.append((await probing(runtime).get("/readyz")).status_code)
        assert (await probing(runtime).get("/nowhere")).status_code == 404
        assert codes == [200, 503, 503, 200, 200]
        assert [record.getMessage() for record in caplog.records] == [
            "not ready: layer: failed this process, which tries again",
            "ready again",
            "Not Found: /nowhere",
        ]

    @pytest.mark.usefixtures("_database_serves")
    async def test_a_process_with_too_much_to_do_is_ready_and_says_so(self) -> None:
        runtime = Runtime(InMemoryChannelLayer())
        runtime.hub.overload.read(0.0, 10**9, 0.0)
        response = await probing(runtime).get("/readyz")
        told = {"state": "emergency", "lag_ms": 0, "queued_bytes": 10**9}
        assert (response.status_code, response.json()) == (200, {"status": "ok", "overload": told})

    @pytest.mark.usefixtures("_database_serves")
    async def test_not_ready_while_the_process_stops(self) -> None:
        runtime = Runtime(InMemoryChannelLayer())
        runtime.stopping = True
        response = await probing(runtime).get("/readyz")
        assert (response.status_code, response.json()["reasons"]) == (503, {"process": "stopping"})

    @pytest.mark.usefixtures("_database_serves")
    async def test_a_history_that_is_not_stored_is_told_and_costs_no_traffic(self) -> None:
        runtime = Runtime(InMemoryChannelLayer())
        runtime.recorder.fault = "database is locked"
        response = await probing(runtime).get("/readyz")
        assert response.status_code == 200
        assert response.json() == {
            "status": "ok",
            "degraded": {"history": "not stored: database is locked; 0 chunks lost so far (0 s of ECG)"},
        }

    @pytest.mark.usefixtures("_database_serves")
    async def test_alarms_that_are_not_stored_are_told_and_cost_no_traffic(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = FakeJournal(Store())
        monkeypatch.setattr(alarm_care, "AlarmJournal", lambda **_: journal)
        runtime = Runtime(InMemoryChannelLayer())
        journal.lock()
        response = await probing(runtime).get("/readyz")
        assert response.status_code == 200
        assert response.json() == {
            "status": "ok",
            "degraded": {"alarms": "shown, and not stored: database is locked; 0 entries wait"},
        }
        journal.unlock()
        assert (await probing(runtime).get("/readyz")).json() == {"status": "ok"}

    async def test_healthz_asks_nobody(self) -> None:
        response = await probing().get("/healthz")
        assert (response.status_code, response.json()) == (200, {"status": "ok"})

    @pytest.mark.django_db(transaction=True)
    async def test_ready_when_database_and_layer_answer(self) -> None:
        response = await probing().get("/readyz")
        assert (response.status_code, response.json()) == (200, {"status": "ok"})

    @pytest.mark.django_db(transaction=True)
    async def test_layer_that_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(views, "get_channel_layer", HangingLayer)
        monkeypatch.setattr(views, "PROBE_DEADLINE_S", 0.2)
        monkeypatch.setattr(views, "database_fault", lambda: None)
        response = await probing().get("/readyz")
        assert response.status_code == 503
        assert set(response.json()["reasons"]) == {"layer"}
        assert "within 0.2 s" in response.json()["reasons"]["layer"]

    async def test_database_that_hangs_is_asked_once_however_often_the_probe_comes(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[int] = []
        answer = threading.Event()

        def hang() -> None:
            asked.append(1)
            answer.wait()

        monkeypatch.setattr(views, "database_fault", hang)
        monkeypatch.setattr(views, "PROBE_DEADLINE_S", 0.05)
        try:
            responses = [await probing().get("/readyz") for _ in range(3)]
        finally:
            answer.set()
        assert [response.status_code for response in responses] == [503] * 3
        assert responses[0].json()["reasons"]["database"] == "no answer within 0.05 s"
        assert len(asked) == 1

    @pytest.mark.django_db(transaction=True)
    async def test_probes_leave_no_channel_behind(self) -> None:
        layer = get_channel_layer()
        for _ in range(3):
            assert (await probing().get("/readyz")).status_code == 200
        assert not [name for name in layer.channels if "probe" in name]

    @pytest.mark.django_db(transaction=True)
    async def test_layer_without_its_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(views, "get_channel_layer", BrokenLayer)
        response = await probing().get("/readyz")
        assert response.json()["reasons"] == {"layer": "unreachable (ConnectionRefusedError)"}

    @pytest.mark.django_db(transaction=True)
    async def test_database_that_lacks_migrations(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: [object(), object()])
        response = await probing().get("/readyz")
        assert response.status_code == 503
        assert response.json()["reasons"] == {"database": "the database lacks 2 migrations"}

    @pytest.mark.django_db(transaction=True)
    async def test_database_that_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any) -> None:
            raise OperationalError("password=hunter2")

        monkeypatch.setattr(MigrationExecutor, "__init__", fail)
        reasons = (await probing().get("/readyz")).json()["reasons"]
        assert reasons == {"database": "the database does not answer (OperationalError)"}


@pytest.mark.valkey
async def test_probes_leave_no_subscription_in_a_real_valkey(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = RedisPubSubChannelLayer(**env.channel_layer(valkey_url)["CONFIG"], prefix="probes")
    monkeypatch.setattr(views, "get_channel_layer", lambda: layer)
    monkeypatch.setattr(views, "database_fault", lambda: None)
    try:
        for _ in range(3):
            assert (await probing().get("/readyz")).json() == {"status": "ok"}
        async with Redis.from_url(valkey_url) as redis:
            assert await redis.pubsub_channels("probes*") == []
    finally:
        await layer.flush()


@pytest.mark.django_db
def test_server_starts_on_a_migrated_database_only(monkeypatch: pytest.MonkeyPatch) -> None:
    readiness.require_migrated()
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: [object()])
    with pytest.raises(SystemExit, match=r"manage\.py migrate"):
        readiness.require_migrated()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/static/css/login.css", "text/css"),
        ("/static/js/main.js", "text/javascript"),
        ("/static/admin/css/base.css", "text/css"),
    ],
)
def test_static_files_come_without_collectstatic(path: str, kind: str, client: Client) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response["Content-Type"].startswith(kind)
    assert "max-age=0" in response["Cache-Control"]
