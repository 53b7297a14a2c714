"""What an attacker tries first: guessing, framing, inline code, forged forms, and reading the logs."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from streaming.conf import NOTICE
from streaming.core.streams import Source
from streaming.store import access, feeds
from tests.pages import inline_code
from tests.store.people import NAMES, Hospital, hospital, session_of
from vital.logs import LineFormatter

ADMIN_PAGES = [
    "/admin/",
    *(
        f"/admin/streaming/{page}/"
        for page in (
            "ward", "ward/add", "patient", "patient/add", "device", "device/add", "stream", "stream/add",
            "apitoken", "apitoken/add", "auditentry", "profile",
            "profile/add", "profile/effective", "profile/presets", "profile/import",
            "profilerevision",
        )
    ),
    "/admin/auth/user/",
    "/admin/auth/group/add/",
]  # fmt: skip
PAGES = ["/", "/patients/aaaaaaaaaaaa/", "/nope", "/healthz", *ADMIN_PAGES]


@pytest.fixture(autouse=True)
def _fast_hash(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def place(db: None) -> Hospital:
    """Two wards."""
    return hospital()


@pytest.fixture
def boss(place: Hospital) -> Client:
    """A superuser's browser."""
    client = Client()
    client.force_login(place.user("boss", is_staff=True, is_superuser=True))
    return client


class TestHeaders:
    """On every page, also those of the admin."""

    @pytest.mark.parametrize("path", PAGES)
    def test_policy_forbids_inline_code_framing_and_other_sites(self, path: str, boss: Client) -> None:
        policy = dict(
            part.strip().split(" ", 1) for part in boss.get(path)["Content-Security-Policy"].split(";")
        )
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        for directive in ("script-src", "style-src", "img-src", "connect-src", "form-action"):
            assert re.fullmatch(r"'self'( 'nonce-[\w+/=]+')?", policy[directive])

    @pytest.mark.parametrize("path", PAGES)
    def test_page_is_private_and_says_so(self, path: str, boss: Client) -> None:
        response = boss.get(path)
        assert response["Cache-Control"] == "no-store"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["X-Frame-Options"] == "DENY"
        assert response["Referrer-Policy"] == "same-origin"
        assert response["Cross-Origin-Opener-Policy"] == "same-origin"
        assert response["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "camera=()" in response["Permissions-Policy"]
        assert "Access-Control-Allow-Origin" not in response

    @pytest.mark.parametrize("path", ADMIN_PAGES)
    def test_admin_has_the_notice_and_nothing_inline(self, path: str, boss: Client) -> None:
        response = boss.get(path)
        assert response.status_code == 200
        assert NOTICE in response.content.decode()
        assert inline_code(response.content.decode()) == []

    def test_static_files_may_be_kept_but_not_embedded_elsewhere(self, client: Client) -> None:
        response = client.get("/static/css/login.css")
        assert response["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in response

    def test_foreign_host_is_refused(self, client: Client) -> None:
        assert client.get("/accounts/login/", headers={"host": "evil.example"}).status_code == 400


class TestCookies:
    """Out of reach of scripts and other sites."""

    def test_session_and_form_cookie(self, client: Client, db: None) -> None:
        User.objects.create_user("nurse", password="right")
        client.get("/accounts/login/")
        client.post("/accounts/login/", {"username": "nurse", "password": "right"})
        session, form = client.cookies["vital-session"], client.cookies["vital-csrf"]
        assert (session["httponly"], session["samesite"], session["max-age"]) == (True, "Lax", 12 * 3600)
        assert (form["httponly"], form["samesite"]) == (True, "Strict")

    def test_they_travel_over_https_alone_when_it_is_on(
        self, client: Client, db: None, settings: Settings
    ) -> None:
        settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
        User.objects.create_user("nurse", password="right")
        client.get("/accounts/login/")
        client.post("/accounts/login/", {"username": "nurse", "password": "right"})
        assert client.cookies["vital-session"]["secure"]
        assert client.cookies["vital-csrf"]["secure"]

    def test_login_takes_a_new_session_id(self, client: Client, db: None) -> None:
        User.objects.create_user("nurse", password="right")
        session = client.session
        session["planted"] = True
        session.save()
        planted = session.session_key
        assert planted is not None
        client.cookies["vital-session"] = planted
        client.post("/accounts/login/", {"username": "nurse", "password": "right"})
        assert client.cookies["vital-session"].value != planted


def guess(client: Client, name: str, password: str = "wrong", *, address: str = "10.0.0.1") -> int:
    """The status of one try to sign in."""
    form = {"username": name, "password": password}
    return client.post("/accounts/login/", form, REMOTE_ADDR=address).status_code


class TestThrottle:
    """Ten failures of one name from one address."""

    @pytest.fixture
    def locked(self, client: Client, db: None) -> Client:
        """Somebody who guessed nine times; one is left."""
        User.objects.create_user("nurse", password="right")
        User.objects.create_user("other", password="right")
        assert {guess(client, "nurse") for _ in range(9)} == {200}
        return client

    def test_tenth_failure_closes_the_door_and_says_for_how_long(self, locked: Client) -> None:
        response = locked.post(
            "/accounts/login/", {"username": "nurse", "password": "wrong"}, REMOTE_ADDR="10.0.0.1"
        )
        assert response.status_code == 429
        assert response["Retry-After"] == "600"
        assert "10 minutes" in response.content.decode()
        assert NOTICE in response.content.decode()

    def test_right_password_comes_too_late(self, locked: Client) -> None:
        guess(locked, "nurse")
        assert guess(locked, "nurse", "right") == 429

    def test_other_names_and_other_places_are_not_shut_out(self, locked: Client) -> None:
        guess(locked, "nurse")
        assert guess(Client(), "nurse", "right") == 429
        assert guess(Client(), "other", "right") == 302
        assert guess(Client(), "nurse", "right", address="10.0.0.2") == 302

    def test_success_clears_the_count(self, locked: Client) -> None:
        assert guess(locked, "nurse", "right") == 302
        locked.logout()
        assert guess(locked, "nurse") == 200

    def test_other_browser_does_not_start_anew(self, locked: Client) -> None:
        form = {"username": "nurse", "password": "wrong"}
        response = locked.post(
            "/accounts/login/", form, REMOTE_ADDR="10.0.0.1", headers={"user-agent": "new"}
        )
        assert response.status_code == 429

    def test_admin_has_no_second_door(self, locked: Client) -> None:
        response = locked.post("/admin/login/?next=/admin/", {"username": "nurse", "password": "right"})
        assert response.status_code == 302
        assert response["Location"].startswith("/accounts/login/?next=")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything that the program's own loggers and those of the login say, at DEBUG."""
    for name in ("axes", "streaming", "django.request", "django.security", "vital"):
        logger = logging.getLogger(name)
        logger.addHandler(caplog.handler)
        caplog.set_level(logging.DEBUG, name)
    yield caplog
    for name in ("axes", "streaming", "django.request", "django.security", "vital"):
        logging.getLogger(name).removeHandler(caplog.handler)


class TestNamesStayInside:
    """No names, tokens or passwords in logs, URLs and stored attempts."""

    def test_failed_login_is_logged_without_name_and_password(
        self, client: Client, db: None, log: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(11):
            guess(client, "schwester-rabiata", "hunter2-secret")
        assert log.records
        assert "rabiata" not in log.text
        assert "hunter2" not in log.text

    def test_stored_attempt_holds_no_password(self, client: Client, db: None) -> None:
        from axes.models import AccessAttempt

        guess(client, "nurse", "hunter2-secret")
        assert "hunter2" not in str(AccessAttempt.objects.values().get())

    def test_links_name_nobody(self, boss: Client) -> None:
        for path in ("/", *ADMIN_PAGES):
            links = re.findall(r'(?:href|action|src)="([^"]*)"', boss.get(path).content.decode())
            assert links
            assert not [link for link in links if any(name in link for name in NAMES)]

    def test_streaming_is_logged_without_names_and_tokens(
        self, place: Hospital, log: pytest.LogCaptureFixture
    ) -> None:
        feed = feeds.ensure_feed("Ward a", "Eisvogel", "device z", Source.SIM)
        access.authenticate_device(feed.token)
        principal = session_of(place.user("nurse", "a"))
        access.authorize_streams(principal, [feed.stream, "aaaaaaaaaaaa"])
        for secret in (*NAMES, feed.token, "Eisvogel"):
            assert secret not in log.text

    def test_formatter_leaves_of_a_token_its_prefix(self) -> None:
        token = "vtd_abcdefgh_" + "S3cret-_" * 5 + "abc"
        try:
            raise ValueError(f"cannot use {token}")
        except ValueError:
            record = logging.getLogger("x").makeRecord(
                "x", logging.ERROR, "f", 1, "token %s", (token,), exc_info=__import__("sys").exc_info()
            )
        line = LineFormatter("%(message)s").format(record)
        assert line.count("vtd_abcdefgh_***") == 2
        assert "S3cret" not in line


@pytest.mark.parametrize(
    ("path", "form"), [("/accounts/logout/", {}), ("/admin/streaming/patient/add/", {"display_name": "x"})]
)
def test_forged_form_is_refused(path: str, form: dict[str, str], place: Hospital) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(place.user("boss", is_staff=True, is_superuser=True))
    assert strict.post(path, form).status_code == 403
