"""The watch of one process: rules in, figures in, what came of them out, whatever becomes of the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DataError, OperationalError

from monitoring import alert_store, alert_watch
from monitoring.alert_engine import Why
from monitoring.alert_metrics import ProcessFigures
from monitoring.alert_rules import NO_RULES, Op, Rule, Rules, Severity
from monitoring.alert_store import Entry, Loaded
from monitoring.alert_watch import MOST_ENTRIES, POLL_S, SWEEP_EVERY_S, AlertWatch
from streaming.core.stats import GroupStats
from tests.fakes import virtual_time
from tests.monitoring.test_alert_metrics import process

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rule(key: int = 1, **values: Any) -> Rule:
    stated = {"name": f"rule {key}", "metric": "pressure", "op": Op.GT, "value": 0.5}
    return Rule(id=key, **{"severity": Severity.WARNING, **stated, **values})


def stats(group: str = "ecg.a", **values: Any) -> GroupStats:
    return GroupStats(group=group, viewers=1, **values)


class Database:
    """Holds rules, takes what is written, and fails as it is told."""

    def __init__(self, *rules: Rule) -> None:
        self.faults: dict[int, str] = {}
        self.fault: Exception | None = None
        self.written: list[Entry] = []
        self.sweeps = 0
        self.hold(*rules)

    def hold(self, *rules: Rule) -> None:
        """These are the rules now."""
        self.rules = Rules({each.id: each for each in rules}, {})

    def load(self, _held: Rules) -> Loaded:
        if self.fault is not None:
            raise self.fault
        return Loaded(self.rules, dict(self.faults))

    def write(self, entries: Sequence[Entry], _process: str) -> int:
        if self.fault is not None:
            raise self.fault
        self.written += entries
        return 0

    def resolve_orphans(self, _process: str, _now: datetime) -> int:
        if self.fault is not None:
            raise self.fault
        self.sweeps += 1
        return 0


def at_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where a thread would run it."""

    async def call(*args: Any) -> Any:
        return function(*args)

    return call


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    one = Database(rule())
    monkeypatch.setattr(alert_watch, "database_sync_to_async", at_once)
    monkeypatch.setattr(alert_store, "write", one.write)
    monkeypatch.setattr(alert_store, "resolve_orphans", one.resolve_orphans)
    monkeypatch.setattr(alert_store, "prune", lambda _now: 0)
    return one


@asynccontextmanager
async def watching(database: Database, **options: Any) -> AsyncIterator[AlertWatch]:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    watch = AlertWatch(
        "p1",
        options.pop("process", process),
        load=database.load,
        clock=loop.time,
        now=lambda: NOON + timedelta(seconds=loop.time() - begun),
        **options,
    )
    watch.start()
    await asyncio.sleep(0.1)
    try:
        yield watch
    finally:
        await watch.aclose()


async def tick(watch: AlertWatch, *figures: GroupStats) -> None:
    """Ten seconds later, these."""
    await asyncio.sleep(10)
    watch.take(figures)
    await asyncio.sleep(0.1)


def store(watch: AlertWatch) -> None:
    """What the writer of snapshots does, at its next turn."""
    work = watch.work()
    if work is None:
        return
    try:
        work()
    except Exception as error:  # noqa: BLE001  # as the writer of snapshots does
        watch.done(error)
    else:
        watch.done(None)


@virtual_time
async def test_alert_opens_is_stored_and_resolves(database: Database) -> None:
    news: list[str] = []
    async with watching(database, on_news=lambda: news.append("")) as watch:
        await tick(watch, stats(pressure=0.9))
        (alert,) = watch.open_alerts()
        assert (alert.group, alert.value) == ("ecg.a", 0.9)
        assert news
        store(watch)
        (entry,) = database.written
        assert (entry.uid, entry.group, entry.resolved_at) == (alert.uid, "ecg.a", None)
        assert abs((entry.opened_at - NOON).total_seconds() - 10.1) < 0.2
        await tick(watch, stats(pressure=0.1))
        store(watch)
        assert watch.open_alerts() == []
        over = database.written[-1]
        assert (over.uid, over.value, over.peak, over.why) == (alert.uid, 0.1, 0.9, Why.NORMAL)
        assert over.resolved_at is not None


@virtual_time
async def test_changed_rule_is_in_force_at_the_next_poll_on_the_last_figures(database: Database) -> None:
    async with watching(database) as watch:
        await tick(watch, stats(pressure=0.4))
        assert watch.open_alerts() == []
        database.hold(rule(value=0.3))
        await asyncio.sleep(POLL_S + 0.1)
        assert [alert.value for alert in watch.open_alerts()] == [0.4]
        database.hold()
        await asyncio.sleep(POLL_S + 0.1)
        assert watch.open_alerts() == []
    assert POLL_S < 2


@virtual_time
async def test_rules_hold_while_the_database_is_away(database: Database) -> None:
    async with watching(database) as watch:
        database.fault = OperationalError("away")
        await tick(watch, stats(pressure=0.9))
        assert len(watch.open_alerts()) == 1
        assert watch.rules == database.rules


@virtual_time
async def test_what_became_of_alerts_waits_for_the_database(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "monitoring.alert_watch")
    async with watching(database) as watch:
        database.fault = OperationalError("away")
        await tick(watch, stats(pressure=0.9), stats("ecg.b", pressure=0.8))
        store(watch)
        store(watch)
        await tick(watch, stats(pressure=0.1), stats("ecg.b", pressure=0.8))
        store(watch)
        assert database.written == []
        database.fault = None
        store(watch)
    assert {(entry.group, entry.why) for entry in database.written} == {
        ("ecg.a", Why.NORMAL),
        ("ecg.b", None),
    }
    said = [record.getMessage() for record in caplog.records]
    assert sum("alerts wait for the database" in line for line in said) == 1
    assert sum("alerts are stored again, 0 lost" in line for line in said) == 1


@virtual_time
async def test_newer_state_wins_over_what_could_not_be_written(database: Database) -> None:
    async with watching(database) as watch:
        await tick(watch, stats(pressure=0.9))
        work = watch.work()
        assert work is not None
        await tick(watch, stats(pressure=0.1))
        watch.done(OperationalError("away"))
        store(watch)
    (entry,) = database.written
    assert entry.why is Why.NORMAL


@virtual_time
async def test_what_the_database_refuses_is_given_up_and_counted(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(database) as watch:
        database.fault = DataError("nonsense")
        await tick(watch, stats(pressure=0.9))
        store(watch)
        assert watch.lost == 1
        database.fault = None
        store(watch)
    assert "alerts refused by the database" in caplog.text


@virtual_time
async def test_what_waits_is_bounded(database: Database) -> None:
    async with watching(database) as watch:
        await tick(watch, *(stats(f"ecg.{index}", pressure=0.9) for index in range(MOST_ENTRIES + 5)))
        assert watch.lost == 5
        store(watch)
        assert len(database.written) == MOST_ENTRIES


@virtual_time
async def test_bad_row_is_named_once(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    database.faults = {7: "'seven', metric: There is no figure."}
    async with watching(database) as watch:
        await asyncio.sleep(5)
        await tick(watch, stats(pressure=0.9))
        assert len(watch.open_alerts()) == 1
        assert watch.faults == database.faults
    assert caplog.text.count("'seven', metric") == 1


@virtual_time
async def test_figures_of_the_process_that_fail_cost_no_more_than_the_tick(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    broken = True

    def figures() -> ProcessFigures:
        if broken:
            raise RuntimeError("no figures")
        return process()

    async with watching(database, process=figures) as watch:
        await tick(watch, stats(pressure=0.9))
        assert watch.open_alerts() == []
        broken = False
        await tick(watch, stats(pressure=0.9))
        assert len(watch.open_alerts()) == 1
    assert "could not be taken" in caplog.text


@virtual_time
async def test_fault_of_ours_in_one_rule_does_not_end_the_watch(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(database) as watch:
        with monkeypatch.context() as patched:
            patched.setattr(Rule, "is_beyond", lambda *_: 1 / 0)
            await tick(watch, stats(pressure=0.9))
        await tick(watch, stats(pressure=0.9))
        assert len(watch.open_alerts()) == 1
    assert "could not be judged" in caplog.text


@virtual_time
async def test_streams_have_their_turn_between_rules(database: Database) -> None:
    database.hold(*(rule(key) for key in range(1, 51)))
    async with watching(database) as watch:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while len(watch.open_alerts()) < 50:
                turns += 1
                await asyncio.sleep(0)

        await asyncio.sleep(10)
        watch.take([stats(pressure=0.9)])
        await others()
        assert turns >= 50


@virtual_time
async def test_process_that_ends_resolves_what_is_open(database: Database) -> None:
    async with watching(database) as watch:
        await tick(watch, stats(pressure=0.9))
        store(watch)
    store(watch)
    assert database.written[-1].why is Why.PROCESS_ENDED
    assert watch.open_alerts() == []


@virtual_time
async def test_orphans_are_looked_for_now_and_then(database: Database) -> None:
    async with watching(database) as watch:
        store(watch)
        assert database.sweeps == 1
        assert watch.work() is None
        await asyncio.sleep(SWEEP_EVERY_S)
        store(watch)
        assert database.sweeps == 2


@virtual_time
async def test_opening_and_resolving_are_lines_of_the_log(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "monitoring.alert_watch")
    database.hold(rule(hold_s=0, severity=Severity.CRITICAL), rule(2, metric="rss_mb", value=100))
    async with watching(database, process=lambda: process(rss_mb=200.0)) as watch:
        await tick(watch, stats(pressure=0.9))
        await tick(watch, stats(pressure=0.1))
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    opened = [line for line in lines if "opened" in line[1]]
    assert len(opened) == 2
    assert opened[0][0] == "ERROR"
    assert "of rule 1 opened (critical), group ecg.a: pressure > 50 %: it is 90 %" in opened[0][1]
    assert opened[1][0] == "WARNING"
    assert "of rule 2 opened (warning), process: memory > 100 MB: it is 200 MB" in opened[1][1]
    assert any("resolved, group ecg.a: the figure is within the bound again" in line for _, line in lines)
    assert any("resolved, process: the process has ended" in line for _, line in lines)


@virtual_time
async def test_counts_name_every_rule_in_force(database: Database) -> None:
    database.hold(rule(), rule(2, value=0.95, severity=Severity.INFO))
    async with watching(database) as watch:
        await tick(watch, stats(pressure=0.9), stats("ecg.b", pressure=0.9))
        assert watch.counts() == {("rule 1", Severity.WARNING): 2, ("rule 2", Severity.INFO): 0}


def test_watch_begins_without_rules() -> None:
    assert AlertWatch("p1", process).rules == NO_RULES
