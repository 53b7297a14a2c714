"""What the environment makes of the settings, and what it may not say."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from monitoring.deliveries import NO_MAIL
from streaming import checks, command_line
from tests.servers import ROOT
from vital import env


class TestFlag:
    """Yes and no."""

    @pytest.mark.parametrize("value", ["1", "true", "Yes", " ON "])
    def test_yes(self, value: str) -> None:
        assert env.flag({"X": value}, "X")

    @pytest.mark.parametrize("value", ["0", "false", "no", "OFF", ""])
    def test_no(self, value: str) -> None:
        assert not env.flag({"X": value}, "X", default=True)

    def test_unset_is_the_default(self) -> None:
        assert env.flag({}, "X", default=True)

    def test_misspelt_value_stops_the_start(self) -> None:
        with pytest.raises(ImproperlyConfigured, match="X must be 1 or 0"):
            env.flag({"X": "of"}, "X")


def test_a_time_zone_is_one_of_those_that_there_are() -> None:
    assert env.time_zone({"X": " Europe/Berlin "}, "X") == "Europe/Berlin"
    assert env.time_zone({}, "X") == ""
    with pytest.raises(ImproperlyConfigured, match="must be a time zone"):
        env.time_zone({"X": "Berlin"}, "X")


def test_lists_are_split_at_commas_and_blanks() -> None:
    assert env.words({"X": "a, b  c,,d"}, "X") == ["a", "b", "c", "d"]
    assert env.words({}, "X", default="localhost") == ["localhost"]


@pytest.mark.parametrize("value", ["-1", "1.5", "ten", "", "0"])
def test_seconds_must_be_whole_and_enough(value: str) -> None:
    with pytest.raises(ImproperlyConfigured):
        env.seconds({"X": value}, "X", default=5, least=1)


@pytest.mark.parametrize("value", ["0", "-7", "7.5", "week", ""])
def test_other_units_are_named_in_the_refusal(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="X must be whole hours, at least 1"):
        env.whole({"X": value}, "X", "hours", default=24, least=1)
    assert env.whole({}, "X", "hours", default=24, least=1) == 24


@pytest.mark.parametrize("value", ["0", "-7", "7.5", "week", ""])
def test_days_must_be_whole_and_enough(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="X must be whole days, at least 1"):
        env.days({"X": value}, "X", default=7, least=1)
    assert env.days({}, "X", default=7, least=1) == 7


class TestNetworks:
    """Addresses and networks, checked before anybody trusts them."""

    def test_addresses_and_networks_of_both_kinds(self) -> None:
        listed = "10.0.0.0/8, ::1 192.0.2.7 fd00::/8"
        assert env.networks({"X": listed}, "X") == ["10.0.0.0/8", "::1", "192.0.2.7", "fd00::/8"]
        assert env.networks({}, "X") == []

    def test_address_within_a_network_is_told_what_it_may_mean(self) -> None:
        with pytest.raises(ImproperlyConfigured, match=r"write 10\.0\.0\.0/8 or 10\.0\.0\.1$"):
            env.networks({"X": "::1 10.0.0.1/8"}, "X")

    @pytest.mark.parametrize("value", ["proxy.example", "10.0.0.1:80", "10.0.0.0/33", "*"])
    def test_anything_else_stops_the_start(self, value: str) -> None:
        with pytest.raises(ImproperlyConfigured, match="X must list IP addresses or networks"):
            env.networks({"X": value}, "X")


class TestSecretKey:
    """Made once, by whoever is first, for the owner's eyes."""

    def test_it_is_made_and_kept(self, tmp_path: Path) -> None:
        key = env.secret_key(tmp_path)
        assert len(key) >= 50
        assert env.secret_key(tmp_path) == key
        assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]

    def test_only_its_owner_may_read_it(self, tmp_path: Path) -> None:
        old = os.umask(0)
        try:
            env.secret_key(tmp_path)
        finally:
            os.umask(old)
        assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600

    def test_starts_at_the_same_moment_agree(self, tmp_path: Path) -> None:
        with ThreadPoolExecutor(16) as pool:
            keys = set(pool.map(lambda _: env.secret_key(tmp_path), range(64)))
        assert len(keys) == 1

    def test_late_writer_takes_the_key_that_is_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another process made it between our look and our link."""
        first = env.secret_key(tmp_path)
        monkeypatch.setattr(Path, "exists", lambda _: False)
        assert env.secret_key(tmp_path) == first

    def test_damaged_file_is_not_used(self, tmp_path: Path) -> None:
        (tmp_path / "secret_key").write_text("short")
        with pytest.raises(ImproperlyConfigured, match="holds no key"):
            env.secret_key(tmp_path)


class TestDatabase:
    """SQLite by default, PostgreSQL by URL."""

    def test_without_url_sqlite_in_the_var_directory(self, tmp_path: Path) -> None:
        made = env.database("", tmp_path)
        assert made["NAME"] == str(tmp_path / "db.sqlite3")
        assert made["OPTIONS"]["transaction_mode"] == "IMMEDIATE"

    @pytest.mark.parametrize(
        ("url", "name"),
        [
            ("sqlite:////srv/vital/db.sqlite3", "/srv/vital/db.sqlite3"),
            ("sqlite:///db.sqlite3", "db.sqlite3"),
            ("sqlite:////srv/with%20blank.db", "/srv/with blank.db"),
        ],
    )
    def test_sqlite_by_path(self, url: str, name: str, tmp_path: Path) -> None:
        assert env.database(url, tmp_path)["NAME"] == name

    def test_postgresql(self, tmp_path: Path) -> None:
        made = env.database("postgres://us%40er:p%2Fw@db.example:6432/vi%20tal?sslmode=require", tmp_path)
        assert (made["ENGINE"], made["NAME"]) == ("django.db.backends.postgresql", "vi tal")
        assert (made["USER"], made["PASSWORD"]) == ("us@er", "p/w")
        assert (made["HOST"], made["PORT"]) == ("db.example", "6432")
        assert made["OPTIONS"] == {"connect_timeout": 5, "tcp_user_timeout": 10_000, "sslmode": "require"}

    def test_postgresql_on_a_socket(self, tmp_path: Path) -> None:
        made = env.database("postgresql:///vital?host=/run/postgresql", tmp_path)
        assert made["HOST"] == "/run/postgresql"
        assert "host" not in made["OPTIONS"]

    @pytest.mark.parametrize("url", ["mysql://host/db", "db.sqlite3", "sqlite://", "http://x"])
    def test_anything_else_stops_the_start(self, url: str, tmp_path: Path) -> None:
        with pytest.raises(ImproperlyConfigured):
            env.database(url, tmp_path)

    @pytest.mark.parametrize(
        "url", ["postgres://u:pw@db:abc/vital", "postgres://u:pw@[::1/vital", "postgres://u:pw/x@db/vital"]
    )
    def test_url_that_cannot_be_read_is_told_without_its_password(self, url: str, tmp_path: Path) -> None:
        with pytest.raises(ImproperlyConfigured, match="DATABASE_URL cannot be read") as refusal:
            env.database(url, tmp_path)
        assert "pw" not in str(refusal.value)


class TestHistoryDatabase:
    """A file beside SQLite, the same PostgreSQL, or what its own URL says."""

    def test_it_lies_beside_the_file_of_sqlite(self, tmp_path: Path) -> None:
        """So that processes which share the one share the other, whatever their var directories are."""
        for url, directory in (("", tmp_path), ("sqlite:////srv/db.sqlite3", "/srv")):
            made = env.history_database("", env.database(url, tmp_path))
            assert made["NAME"] == f"{directory}/history.sqlite3"
            assert made["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
            assert made["CONN_MAX_AGE"] > 0

    def test_with_postgresql_it_is_the_same_database(self, tmp_path: Path) -> None:
        default = env.database("postgres://user:pw@db.example/vital?sslmode=require", tmp_path)
        assert env.history_database("", default) == default

    def test_its_own_url_wins(self, tmp_path: Path) -> None:
        default = env.database("", tmp_path)
        made = env.history_database("postgres://db/history?connect_timeout=1", default)
        assert (made["NAME"], made["OPTIONS"]["connect_timeout"]) == ("history", "1")
        default = env.database("postgres://db/vital", tmp_path)
        assert env.history_database("sqlite:////srv/h.db", default)["NAME"] == "/srv/h.db"

    @pytest.mark.parametrize("url", ["mysql://host/db", "postgres://u:pw@db:abc/vital", "sqlite://"])
    def test_anything_else_stops_the_start_and_names_the_variable(self, url: str, tmp_path: Path) -> None:
        with pytest.raises(ImproperlyConfigured, match="HISTORY_DATABASE_URL") as refusal:
            env.history_database(url, env.database("", tmp_path))
        assert "pw" not in str(refusal.value)


class TestJournalDatabase:
    """As the history's, but what is committed is on the disk."""

    def test_it_lies_beside_the_file_of_sqlite_and_waits_for_the_disk(self, tmp_path: Path) -> None:
        default = env.database("", tmp_path)
        made = env.journal_database("", default)
        assert made["NAME"] == f"{tmp_path}/journal.sqlite3"
        assert "synchronous=FULL" in made["OPTIONS"]["init_command"]
        assert "synchronous=NORMAL" in default["OPTIONS"]["init_command"]
        assert "synchronous=NORMAL" in env.history_database("", default)["OPTIONS"]["init_command"]

    def test_with_postgresql_it_is_the_same_database(self, tmp_path: Path) -> None:
        default = env.database("postgres://user:pw@db.example/vital", tmp_path)
        assert env.journal_database("", default) == default
        assert env.journal_database("sqlite:////srv/j.db", default)["NAME"] == "/srv/j.db"

    def test_a_wrong_url_names_the_variable(self, tmp_path: Path) -> None:
        with pytest.raises(ImproperlyConfigured, match="JOURNAL_DATABASE_URL"):
            env.journal_database("mysql://host/db", env.database("", tmp_path))

    @pytest.mark.parametrize(
        ("default", "history", "journal", "refused"),
        [
            ("", "", "", False),
            ("postgres://db/vital", "", "", False),
            ("postgres://db/vital", "postgres://db/other", "", False),
            ("postgres://db/vital", "postgres://db/other", "postgres://db/other", True),
            ("", "postgres://db/other", "postgres://user:pw@db/other", True),
            ("", "sqlite:////srv/a.db", "sqlite:////srv/b.db", False),
        ],
    )
    def test_it_and_the_history_share_the_default_database_or_none(
        self, default: str, history: str, journal: str, refused: bool, tmp_path: Path
    ) -> None:
        made = env.database(default, tmp_path)
        databases = {
            "default": made,
            "history": env.history_database(history, made),
            "journal": env.journal_database(journal, made),
        }
        if refused:
            with pytest.raises(ImproperlyConfigured, match="must name two databases"):
                env.refuse_one_for_both(databases)
        else:
            env.refuse_one_for_both(databases)


class TestLayer:
    """In this process by default, Redis or Valkey by URL."""

    def test_without_url_in_memory(self) -> None:
        assert env.channel_layer("") == {"BACKEND": "channels.layers.InMemoryChannelLayer"}

    @pytest.mark.parametrize(
        ("url", "address"),
        [
            ("redis://localhost:6379/1", "redis://localhost:6379/1"),
            ("rediss://cache.example", "rediss://cache.example"),
            ("valkey://localhost", "redis://localhost"),
            ("unix:///run/valkey.sock", "unix:///run/valkey.sock"),
            ("valkey+unix:///run/valkey.sock", "unix:///run/valkey.sock"),
        ],
    )
    def test_address_is_one_that_redis_py_knows(self, url: str, address: str) -> None:
        (host,) = env.channel_layer(url)["CONFIG"]["hosts"]
        assert host["address"] == address
        assert host["health_check_interval"] > 0

    def test_restart_of_redis_is_bridged(self) -> None:
        (host,) = env.channel_layer("redis://localhost")["CONFIG"]["hosts"]
        assert host["retry"].get_retries() == 40
        assert host["retry"]._backoff.compute(40) <= 0.5

    @pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", "redis"])
    def test_anything_else_stops_the_start(self, url: str) -> None:
        with pytest.raises(ImproperlyConfigured, match="REDIS_URL must start"):
            env.channel_layer(url)


def run(*arguments: str, var_dir: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, with this environment alone."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**kept, "VITAL_VAR_DIR": str(var_dir), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def shown_settings(var_dir: Path, **environ: str) -> dict[str, Any]:
    """The plain settings, as a process with this environment has them."""
    code = (
        "import json; from vital import settings;"
        "print(json.dumps({k: v for k, v in vars(settings).items() if k.isupper()}, default=str))"
    )
    answer = run("-c", code, var_dir=var_dir, **environ)
    assert answer.returncode == 0, answer.stderr
    shown: dict[str, Any] = json.loads(answer.stdout)
    return shown


def test_bare_start_is_safe_and_for_this_machine_alone(tmp_path: Path) -> None:
    shown = shown_settings(tmp_path / "new" / "var")
    assert shown["DEBUG"] is False
    assert [shown[f"VITAL_SNAPSHOT_{name}_DAYS"] for name in ("FULL", "MINUTE", "HOUR")] == [1, 31, 366]
    assert shown["VITAL_PIN_DAYS"] == 30
    assert shown["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]
    assert (shown["SECURE_SSL_REDIRECT"], shown["SECURE_HSTS_SECONDS"]) == (False, 0)
    assert "SECURE_PROXY_SSL_HEADER" not in shown
    assert stat.S_IMODE((tmp_path / "new" / "var").stat().st_mode) == 0o700


def test_https_hardens_cookies_and_redirects(tmp_path: Path) -> None:
    shown = shown_settings(
        tmp_path, VITAL_HTTPS="1", VITAL_HSTS_SECONDS="60", VITAL_TRUSTED_PROXIES="10.0.0.0/8 ::1"
    )
    assert (
        shown["SESSION_COOKIE_SECURE"] is shown["CSRF_COOKIE_SECURE"] is shown["SECURE_SSL_REDIRECT"] is True
    )
    assert shown["SESSION_COOKIE_NAME"].startswith("__Host-")
    assert shown["SECURE_HSTS_SECONDS"] == 60
    assert shown["VITAL_TRUSTED_PROXIES"] == ["10.0.0.0/8", "::1"]
    assert shown["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]


def test_deployment_check_is_clean_with_production_settings(tmp_path: Path) -> None:
    answer = run(
        "manage.py",
        "check",
        "--deploy",
        "--fail-level=WARNING",
        var_dir=tmp_path,
        VITAL_HTTPS="1",
        VITAL_ALLOWED_HOSTS="vital.example",
    )
    assert answer.returncode == 0, answer.stderr
    assert "no issues" in answer.stdout


class TestMailServer:
    """EMAIL_URL."""

    def test_without_one_no_mail_is_sent(self) -> None:
        assert env.mail_server("") == {"EMAIL_BACKEND": NO_MAIL}

    @pytest.mark.parametrize(
        ("scheme", "port", "tls", "ssl"),
        [("smtp", 25, False, False), ("smtp+starttls", 587, True, False), ("smtps", 465, False, True)],
    )
    def test_scheme_says_how_it_is_encrypted(self, scheme: str, port: int, tls: bool, ssl: bool) -> None:
        found = env.mail_server(f"{scheme}://vital%40example.org:p%2Fw@mail.example.org")
        assert found == {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": "mail.example.org",
            "EMAIL_PORT": port,
            "EMAIL_HOST_USER": "vital@example.org",
            "EMAIL_HOST_PASSWORD": "p/w",
            "EMAIL_USE_SSL": ssl,
            "EMAIL_USE_TLS": tls,
        }
        assert env.mail_server(f"{scheme}://mail:2525")["EMAIL_PORT"] == 2525

    @pytest.mark.parametrize("url", ["mail.example.org", "imap://mail", "smtp://", "smtps:///x"])
    def test_other_things_stop_the_start(self, url: str) -> None:
        with pytest.raises(ImproperlyConfigured, match="EMAIL_URL must be like"):
            env.mail_server(url)

    def test_refusal_does_not_quote_the_password(self) -> None:
        with pytest.raises(ImproperlyConfigured) as refused:
            env.mail_server("smtps://me:hush/hush@mail")
        assert "hush" not in str(refused.value)
        assert refused.value.__cause__ is None


class TestChecks:
    """Settings that each work, but not together."""

    def test_star_for_a_host_is_found(self, settings: Settings) -> None:
        assert checks.check_hosts(None) == []
        settings.ALLOWED_HOSTS = ["vital.example", "*"]
        assert [warning.id for warning in checks.check_hosts(None)] == ["streaming.W001"]

    def test_database_server_without_a_layer_is_found(
        self, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert checks.check_layer(None) == []
        monkeypatch.setitem(settings.DATABASES, "default", env.database("postgres://db/vital", tmp_path))
        assert [warning.id for warning in checks.check_layer(None)] == ["streaming.W002"]
        settings.CHANNEL_LAYERS = {"default": env.channel_layer("redis://localhost")}
        assert checks.check_layer(None) == []


def test_unmigrated_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    answer = run("manage.py", "setup_demo", var_dir=tmp_path)
    assert answer.returncode == 1
    assert answer.stderr.strip().endswith(f"Run: {command_line.here('manage.py', 'migrate')}")
    assert "Traceback" not in answer.stderr
