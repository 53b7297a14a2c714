"""What the environment says: values for the settings, parsed and checked, and the secret key's file."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})

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


def words(environ: Mapping[str, str], name: str, *, default: str = "") -> list[str]:
    """A list separated by commas or blanks."""
    return environ.get(name, default).replace(",", " ").split()


def seconds(environ: Mapping[str, str], name: str, *, default: int, least: int = 0) -> int:
    """A whole number of seconds, at least `least`."""
    return _whole(environ, name, "seconds", default, least)


def days(environ: Mapping[str, str], name: str, *, default: int, least: int = 0) -> int:
    """A whole number of days, at least `least`."""
    return _whole(environ, name, "days", default, least)


def _whole(environ: Mapping[str, str], name: str, unit: str, default: int, least: int) -> int:
    value = environ.get(name, str(default))
    if not value.isdecimal() or int(value) < least:
        raise ImproperlyConfigured(f"{name} must be whole {unit}, at least {least}, not {value!r}")
    return int(value)


def networks(environ: Mapping[str, str], name: str) -> list[str]:
    """A list of addresses and networks, each checked."""
    listed = words(environ, name)
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
    options = dict(parse_qsl(parts.query))
    socket_directory = options.pop("host", "")
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


def history_database(url: str, default: Mapping[str, Any]) -> dict[str, Any]:
    """Django's settings for `HISTORY_DATABASE_URL`; without one, beside SQLite's file, or `default` again.

    A writer that is always there: its connection stays open, because the last one that a SQLite database
    loses waits for the disk. A PostgreSQL that has vanished is noticed by the system after ten seconds, not
    after two hours.
    """
    if url:
        chosen = database(url, Path(), name="HISTORY_DATABASE_URL")
    else:
        chosen = {**default, "OPTIONS": dict(default["OPTIONS"])}
        if chosen["ENGINE"].endswith("sqlite3"):
            chosen["NAME"] = str(Path(chosen["NAME"]).with_name("history.sqlite3"))
    if chosen["ENGINE"].endswith("sqlite3"):
        chosen["CONN_MAX_AGE"] = 60
    else:
        chosen["OPTIONS"] = {"connect_timeout": 5, "tcp_user_timeout": 10_000, **chosen["OPTIONS"]}
    return chosen


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
