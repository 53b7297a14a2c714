"""A saved rule opens an alert in each process, which is stored, measured and told, and is over in the end."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from monitoring.alert_engine import Why
from tests.conftest import unavailable
from tests.e2e.cluster import Cluster, cluster
from tests.e2e.shell import Shell
from tests.monitoring.receiver import Receiver, is_from_vital, receiver
from tests.servers import Server, StartServer
from tests.valkeys import NoValkeyError

pytestmark = pytest.mark.server

WITHIN_S = 2.5
DEADLINE_S = 60.0
TINY: dict[str, Any] = {"metric": "rss_mb", "op": ">", "value": 1.0, "hold_s": 0, "cooldown_s": 0}
"""What every process has more than."""


def metric(server: Server, name: str) -> float | None:
    """A sample of /metrics; None where there is none."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        found = re.search(rf"^{re.escape(name)} (\S+)$", answer.read().decode(), re.MULTILINE)
    return None if found is None else float(found[1])


def open_of(rule: str, severity: str = "warning") -> str:
    return f'vital_alert_open{{rule="{rule}",severity="{severity}"}}'


async def until(condition: Callable[[], Any]) -> Any:
    """What another process says once that is something."""
    return await asyncio.to_thread(_asked, condition)


def _asked(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.fixture
def parts(migrated_var: Path, tmp_path: Path, there: Receiver) -> Iterator[Cluster]:
    settings = {"VITAL_SNAPSHOT_INTERVAL_S": "1", "VITAL_WEBHOOK_HOSTS": there.host}
    try:
        with cluster(migrated_var, tmp_path, settings) as started:
            yield started
    except NoValkeyError as error:
        unavailable(str(error))


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as listening:
        yield listening


@pytest.mark.valkey
async def test_rule_opens_everywhere_is_told_and_what_a_killed_process_left_is_resolved(
    parts: Cluster, there: Receiver
) -> None:
    both, shell = (parts.first, parts.second), parts.shell
    secret = shell.run("tell_webhook", there.url)

    done = await shell.do("set_alert_rule", "tiny", **TINY)
    await until(lambda: all(metric(server, open_of("tiny")) == 1 for server in both))

    stored = await until(lambda: len(shell.run("alerts", "tiny")) == 2 and shell.run("alerts", "tiny"))
    assert all(alert["at"] - done.at < WITHIN_S for alert in stored)
    assert len({alert["process"] for alert in stored}) == 2
    assert all(alert["open"] and alert["group"] == "" and alert["peak"] > 50 for alert in stored)

    opened = await asyncio.to_thread(there.until, 2)
    told = [json.loads(one.content)["alerts"] for one in opened]
    assert {alert["alert"] for alerts in told for alert in alerts} == {alert["uid"] for alert in stored}
    assert {alert["event"] for alerts in told for alert in alerts} == {"opened"}
    for one in opened:
        assert is_from_vital(secret, one.headers, one.content, time.time())

    done = await shell.do("set_alert_rule", "tiny", value=1e6)
    await until(lambda: all(metric(server, open_of("tiny")) == 0 for server in both))
    await until(lambda: not any(alert["open"] for alert in shell.run("alerts", "tiny")))
    over = shell.run("alerts", "tiny")
    assert all(alert["at"] - done.at < WITHIN_S for alert in over)
    assert {alert["reason"] for alert in over} == {Why.NORMAL}
    await asyncio.to_thread(there.until, 4)

    await shell.do("set_alert_rule", "tiny", value=1.0)
    await until(lambda: sum(alert["open"] for alert in shell.run("alerts", "tiny")) == 2)
    # What a process is telling when it is killed, another would tell once more.
    await asyncio.to_thread(there.until, 6)
    await until(lambda: all_are_delivered(shell))
    lost = metric_process(parts.first)
    parts.first.kill()

    def is_resolved() -> bool:
        (left,) = [alert for alert in shell.run("alerts", "tiny")[2:] if alert["process"] == lost]
        return bool(left["reason"] == Why.PROCESS_LOST)

    await until(is_resolved)
    (still,) = [alert for alert in shell.run("alerts", "tiny") if alert["open"]]
    assert still["process"] != lost
    received = await asyncio.to_thread(there.until, 7)
    of_lost = [
        alert for one in received for alert in json.loads(one.content)["alerts"] if alert["process"] == lost
    ]
    assert [alert["event"] for alert in of_lost] == ["opened", "resolved", "opened", "resolved"]
    assert of_lost[-1]["reason"] == Why.PROCESS_LOST
    await until(lambda: all_are_delivered(shell))
    assert len({json.loads(one.content)["id"] for one in received}) == len(received), "each is told once"


def all_are_delivered(shell: Shell) -> bool:
    """Whether that is stored of all messages: each is received a little earlier."""
    return {message["state"] for message in shell.run("messages")} == {"delivered"}


def metric_process(server: Server) -> str:
    """The id under which a process stores what it does."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        found = re.search(r'vital_process_info\{process="(\w+)"\}', answer.read().decode())
    assert found is not None
    return found[1]


async def test_bad_row_leaves_the_rule_as_it_was_and_is_named(daphne: StartServer) -> None:
    server = daphne(env={"VITAL_SNAPSHOT_INTERVAL_S": "1"})
    with Shell(server) as shell:
        await shell.do("set_alert_rule", "tiny", **TINY)
        await until(lambda: metric(server, open_of("tiny")) == 1)
        await shell.do("spoil_alert_rule", "tiny", metric="no_such_figure")
        await until(lambda: "an alert rule is not usable, what was in force stays so: 'tiny'" in server.log)
        assert metric(server, open_of("tiny")) == 1
        await shell.do("set_alert_rule", "other", **TINY)
        await until(lambda: metric(server, open_of("other")) == 1)
        assert metric(server, open_of("tiny")) == 1


async def test_alert_opens_while_the_database_is_locked_and_is_stored_and_told_afterwards(
    daphne: StartServer,
) -> None:
    with receiver() as there:
        server = daphne(env={"VITAL_SNAPSHOT_INTERVAL_S": "1", "VITAL_WEBHOOK_HOSTS": there.host})
        with Shell(server) as shell:
            shell.run("tell_webhook", there.url)
            await shell.do("set_alert_rule", "tiny", **TINY | {"value": 1e6})
            await until(lambda: metric(server, open_of("tiny")) == 0)
            with closing(sqlite3.connect(server.var_dir / "db.sqlite3", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                other.execute("UPDATE monitoring_alertrule SET value = 1, hold_s = 2 WHERE name = 'tiny'")
                other.execute("COMMIT")
                other.execute("BEGIN IMMEDIATE")
                await until(lambda: metric(server, open_of("tiny")) == 1)
                assert shell.run("alerts", "tiny") == []
                assert there.received == []
                other.execute("ROLLBACK")
            (one,) = await asyncio.to_thread(there.until, 1)
            (stored,) = await until(lambda: shell.run("alerts", "tiny"))
            assert json.loads(one.content)["alerts"][0]["alert"] == stored["uid"]


async def test_what_was_not_delivered_is_delivered_after_a_restart(daphne: StartServer) -> None:
    with receiver() as there:
        server = daphne(env={"VITAL_SNAPSHOT_INTERVAL_S": "1", "VITAL_WEBHOOK_HOSTS": there.host})
        there.statuses = [503]
        with Shell(server) as shell:
            shell.run("tell_webhook", there.url)
            await shell.do("set_alert_rule", "tiny", **TINY)
            (first,) = await asyncio.to_thread(there.until, 1)
            await until(lambda: shell.run("messages")[0]["last_error"] == "the answer is 503")
            server.terminate()
            assert server.wait() == 0
            await until(lambda: [a["reason"] for a in shell.run("alerts", "tiny")] == [Why.PROCESS_ENDED])
            await shell.do("set_alert_rule", "tiny", enabled=False)
            server.start()
            later = (await asyncio.to_thread(there.until, 3))[1:]
            again, over = sorted(later, key=lambda one: one.content != first.content)
            assert again.content == first.content
            assert [alert["event"] for alert in json.loads(over.content)["alerts"]] == ["resolved"]
            await until(lambda: all_are_delivered(shell))
