"""What the environment says: values for the settings, parsed and checked, and the secret key's file."""

from __future__ import annotations

import contextlib
import os
import secrets
import zoneinfo
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

REDIS_RETRIES = 40
"""Forty retries with waits of at most 0.5 s: about 19 s, more than a restart of Redis takes."""


def flag(environ: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """A yes or a no; anything else stops the start, because a misspelt "of" must not switch HTTPS off."""
    value = environ.get(name)
    if value is None:
        return default
    lowered = value.strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name} must be 1 or 0, not {value!r}")


def choice(environ: Mapping[str, str], name: str, options: Sequence[str]) -> str:
    """One of the options, the first without any."""
    value = environ.get(name, "").strip().lower() or options[0]
    if value not in options:
        raise ImproperlyConfigured(f"{name} must be {' or '.join(options)}, not {environ[name]!r}")
    return value


def time_zone(environ: Mapping[str, str], name: str) -> str:
    """A name of the IANA's list, such as Europe/Berlin; empty without any."""
    value = environ.get(name, "").strip()
    if value and value not in zoneinfo.available_timezones():
        raise ImproperlyConfigured(f"{name} must be a time zone, like Europe/Berlin, not {value!r}")
    return value


def log_levels(environ: Mapping[str, str], name: str) -> dict[str, str]:
    """Levels by logger, of a list such as `streaming.hub=DEBUG,daphne=WARNING`."""
    levels = {}
    for word in words(environ, name):
        logger, _, level = word.partition("=")
        if not logger or level.upper() not in _LEVELS:
            raise ImproperlyConfigured(
                f"{name} must list loggers with a level, like streaming.hub=DEBUG, not {word!r}; "
                f"levels are {', '.join(_LEVELS)}"
            )
        levels[logger] = level.upper()
    return levels


def words(environ: Mapping[str, str], name: str, *, default: str = "") -> list[str]:
    """A list separated by commas or blanks."""
    return environ.get(name, default).replace(",", " ").split()


def seconds(environ: Mapping[str, str], name: str, *, default: int, least: int = 0) -> int:
    """A whole number of seconds, at least `least`."""
    return _whole(environ, name, "seconds", default, least)


def days(environ: Mapping[str, str], name: str, *, default: int, least: int = 0) -> int:
    """A whole number of days, at least `least`."""
    return _whole(environ, name, "days", default, least)


def refuse_descending(**values: int) -> None:
    """Each of these settings must be at least the one before it: what is coarser is kept for longer."""
    for (lower, least), (name, value) in pairwise(values.items()):
        if value < least:
            raise ImproperlyConfigured(f"{name} must be at least {lower}, which is {least}, not {value}")


def _whole(environ: Mapping[str, str], name: str, unit: str, default: int, least: int) -> int:
    value = environ.get(name, str(default))
    if not value.isdecimal() or int(value) < least:
        raise ImproperlyConfigured(f"{name} must be whole {unit}, at least {least}, not {value!r}")
    return int(value)


def networks(environ: Mapping[str, str], name: str, *, default: str = "") -> list[str]:
    """A list of addresses and networks, each checked."""
    listed = words(environ, name, default=default)
    for word in listed:
        try:
            ip_network(word)
        except ValueError:
            raise ImproperlyConfigured(_wrong_network(name, word)) from None
    return listed


def _wrong_network(name: str, word: str) -> str:
    try:
        meant = ip_network(word, strict=False)
    except ValueError:
        return f"{name} must list IP addresses or networks like 10.0.0.0/8, not {word!r}"
    return f"{name}: {word!r} is an address within a network; write {meant} or {word.partition('/')[0]}"


def secret_key(directory: Path) -> str:
    """The key in `directory`/secret_key, made at the first start, readable by its owner only.

    Safe when several processes start at once: each writes a file of its own, and the hard link to the
    final name succeeds for exactly one; all of them then read what that one wrote.
    """
    path = directory / "secret_key"
    if not path.exists():
        draft = directory / f".secret_key.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(64))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another process was first; its key is the key
                os.link(draft, path)
        finally:
            draft.unlink()
    key = path.read_text().strip()
    if len(key) < 50:
        raise ImproperlyConfigured(f"{path} holds no key; delete it, and a new one is made")
    return key


def whole(environ: Mapping[str, str], name: str, unit: str, *, default: int, least: int = 0) -> int:
    """A whole number of units, at least `least`."""
    return _whole(environ, name, unit, default, least)


def database(url: str, directory: Path, *, name: str = "DATABASE_URL") -> dict[str, Any]:
    """Django's settings for the URL that the variable `name` holds; without one, SQLite in `directory`.

    Twenty lines of ours, because two kinds of URL do not need a dependency (dj-database-url).
    SQLite: WAL lets readers go on while one writes; IMMEDIATE takes the write lock at BEGIN, where the busy
    timeout applies (a later upgrade of a read lock fails at once); synchronous NORMAL is durable against a
    killed process, and in WAL mode risks the last commits, never the file, when the power fails.
    A PostgreSQL that has vanished is noticed after ten seconds, not after the system's two hours.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # whose words would show a password that holds a slash
        raise ImproperlyConfigured(
            f"{name} cannot be read: the port must be a number, and / : @ [ in a password as %2F etc."
        ) from None
    if not url or parts.scheme == "sqlite":
        path = unquote(parts.path[1:]) if url else str(directory / "db.sqlite3")
        if not path:
            raise ImproperlyConfigured(f"{name} needs a path: sqlite:///relative or sqlite:////absolute")
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": path,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 5.0,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    if parts.scheme not in ("postgres", "postgresql"):
        raise ImproperlyConfigured(f"{name} must start with postgres:// or sqlite:///")
    options = {"connect_timeout": 5, "tcp_user_timeout": 10_000, **dict(parse_qsl(parts.query))}
    socket_directory = str(options.pop("host", ""))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or socket_directory,
        "PORT": str(port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


def own_database(
    url: str, default: Mapping[str, Any], *, name: str, file: str, durable: bool = False
) -> dict[str, Any]:
    """Django's settings for a database beside the default one, by the URL that the variable `name` holds.

    Without one, `file` beside SQLite's, or `default` again. It has a writer that is always there: its
    connection stays open, because the last one that a SQLite database loses waits for the disk. `durable`:
    in SQLite, what was committed outlives a failure of the power as well.
    """
    if url:
        chosen = database(url, Path(), name=name)
    else:
        chosen = {**default, "OPTIONS": dict(default["OPTIONS"])}
        if chosen["ENGINE"].endswith("sqlite3"):
            chosen["NAME"] = str(Path(chosen["NAME"]).with_name(file))
    if chosen["ENGINE"].endswith("sqlite3"):
        chosen["CONN_MAX_AGE"] = 60
        if durable:
            chosen["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
    return chosen


def history_database(url: str, default: Mapping[str, Any]) -> dict[str, Any]:
    """Django's settings for `HISTORY_DATABASE_URL`: many bytes, which a failure of the power may cost."""
    return own_database(url, default, name="HISTORY_DATABASE_URL", file="history.sqlite3")


def journal_database(url: str, default: Mapping[str, Any]) -> dict[str, Any]:
    """Django's settings for `JOURNAL_DATABASE_URL`: few rows, each of which is waited for."""
    return own_database(url, default, name="JOURNAL_DATABASE_URL", file="journal.sqlite3", durable=True)


def refuse_one_for_both(databases: Mapping[str, Mapping[str, Any]]) -> None:
    """History and journal may lie in the default database, or each in one of its own.

    One database has one record of the migrations that were applied to it: for the second alias that names it
    nothing would be left to do, and its tables would not be there.
    """
    default, history, journal = (
        tuple(str(databases[alias].get(key, "")) for key in ("ENGINE", "NAME", "HOST", "PORT"))
        for alias in ("default", "history", "journal")
    )
    if history == journal != default:
        raise ImproperlyConfigured("HISTORY_DATABASE_URL and JOURNAL_DATABASE_URL must name two databases")


def channel_layer(url: str) -> dict[str, Any]:
    """Django's settings for the channel layer: Redis or Valkey by URL, else in this process alone.

    Pub/sub, because a frame that nobody waits for must not be stored. With the retries a restart of Redis
    is bridged by the connection itself; the health check finds a connection that died without a word.
    """
    if not url:
        return {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    try:
        from redis.asyncio.retry import Retry
        from redis.backoff import ExponentialBackoff
    except ImportError:
        raise ImproperlyConfigured(
            "REDIS_URL needs the package channels-redis: pip install -r requirements/server.lock"
        ) from None
    scheme, separator, rest = url.partition("://")
    scheme = scheme.replace("valkey+unix", "unix").replace("valkey", "redis")
    if not separator or scheme not in ("redis", "rediss", "unix"):
        raise ImproperlyConfigured("REDIS_URL must start with redis://, rediss:// or unix://")
    return {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [
                {
                    "address": f"{scheme}://{rest}",
                    "retry": Retry(ExponentialBackoff(cap=0.5, base=0.02), REDIS_RETRIES),
                    "health_check_interval": 5,
                    "socket_connect_timeout": 2,
                }
            ]
        },
    }


def mail_server(url: str) -> dict[str, Any]:
    """Django's settings for the mail server that `EMAIL_URL` names; without one, no mail is sent.

    smtps:// speaks TLS from the first byte, smtp+starttls:// after a greeting, smtp:// never.
    """
    if not url:
        return {"EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"}
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # whose words would show a password that holds a slash
        raise ImproperlyConfigured(
            "EMAIL_URL cannot be read: the port must be a number, and / : @ [ in a password as %2F etc."
        ) from None
    ports = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
    if parts.scheme not in ports or not parts.hostname:
        raise ImproperlyConfigured(
            "EMAIL_URL must be like smtps://user:password@host:465, smtp+starttls:// or smtp://"
        )
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": port or ports[parts.scheme],
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_USE_TLS": parts.scheme == "smtp+starttls",
    }
