"""One process's rules and alerts: what each tick's figures are judged by, and what is stored of it."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from channels.db import database_sync_to_async
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from monitoring import alert_store
from monitoring.alert_engine import AlertEngine, Change, Event, OpenAlert
from monitoring.alert_metrics import ProcessFigures, Sample, spoken
from monitoring.alert_rules import NO_RULES, Rules, Severity
from monitoring.alert_store import Entry, Loaded
from streaming.core.stats import GroupStats
from streaming.repeating import repeat

logger = logging.getLogger(__name__)

POLL_S = 1.0
"""How long a changed rule may go unseen: the limit is two seconds, and loading takes some of it."""
SWEEP_EVERY_S = 5.0
PRUNE_EVERY_S = 600.0
MOST_ENTRIES = 1000
"""Alerts that wait for the database; beyond that the oldest are given up."""


class AlertWatch:
    """Judges each tick's figures by the rules that are switched on, on the event loop, a rule at a time.

    `take` is called with each tick's figures; what came of them is stored by whoever owns `work` and `done`.
    While the database is away the last rules hold, and what became of alerts waits: the log and the metrics
    tell of it. `on_news` is called when there is something to store. The owner calls `start`, then `aclose`.
    """

    def __init__(
        self,
        process_id: str,
        process: Callable[[], ProcessFigures],
        *,
        on_news: Callable[[], None] = lambda: None,
        on_stored: Callable[[], None] = lambda: None,
        load: Callable[[Rules], Loaded] = alert_store.load,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = timezone.now,
    ) -> None:
        self.lost = 0
        """Alerts that could not be stored."""
        self.rules = NO_RULES
        self.faults: Mapping[int, str] = {}
        """By id of the rule, why it cannot be judged as it is stored."""
        self._on_news = on_news
        self._on_stored = on_stored
        self._process_id = process_id
        self._process = process
        self._load = load
        self._clock = clock
        self._now = now
        self._engine = AlertEngine(partial(secrets.token_hex, 8))
        self._sample: Sample | None = None
        self._due = asyncio.Event()
        self._entries: dict[str, Entry] = {}
        self._writing: dict[str, Entry] = {}
        self._sweep_at = self._prune_at = clock()
        self._outage = False
        self._tasks: list[asyncio.Task[None]] = []

    # -- life

    def start(self) -> None:
        """Begin, with the rules as soon as they are loaded; needs a running event loop."""
        at_once = asyncio.Event()
        at_once.set()
        self._tasks = [
            asyncio.create_task(repeat(at_once, POLL_S, lambda _: self.refresh()), name="alerts: rules"),
            asyncio.create_task(self._judge(), name="alerts: judge"),
        ]

    async def aclose(self) -> None:
        """Judge no more, and resolve all that is open: what watches over it ends. `work` has it to store."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._tasks:
            self._take_in(self._engine.end())
        self._tasks = []

    # -- what is open

    def open_alerts(self) -> list[OpenAlert]:
        """Those of this process, in the order in which they opened. To be asked on the event loop."""
        return self._engine.open_alerts()

    def counts(self) -> dict[tuple[str, Severity], int]:
        """How many are open, by the name and the severity of each rule that is in force."""
        counted = Counter((alert.rule.name, alert.rule.severity) for alert in self.open_alerts())
        named = {(rule.name, rule.severity): 0 for rule in self.rules.by_id.values()}
        return named | counted

    # -- rules and figures in

    async def refresh(self) -> None:
        """Take the rules as they are stored now; others are judged by at once, on the last figures."""
        loaded = await database_sync_to_async(self._load)(self.rules)
        for key, fault in loaded.faults.items():
            if self.faults.get(key) != fault:
                logger.warning("an alert rule is not usable, what was in force stays so: %s", fault)
        self.faults = loaded.faults
        if loaded.rules != self.rules:
            self.rules = loaded.rules
            logger.info("%d alert rules in force", len(loaded.rules.by_id))
            self._due.set()

    def take(self, stats: Sequence[GroupStats]) -> None:
        """The figures of a tick; never waits."""
        try:
            process = self._process()
        except Exception:  # whoever keeps the figures is at fault; the snapshot itself is not lost for it
            logger.exception("alert rules are not judged: the process's figures could not be taken")
            return
        groups = {each.group: each for each in stats}
        self._sample = Sample(self._clock(), groups, process).after(self._sample)
        self._due.set()

    async def _judge(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            if (sample := self._sample) is None:
                continue
            try:
                await self._judge_by(self.rules, sample)
            except Exception:  # a fault of ours in one rule must not end the watch over all
                logger.exception("alert rules could not be judged")

    async def _judge_by(self, rules: Rules, sample: Sample) -> None:
        for changes in self._engine.tick(rules, sample.value, sample.groups, sample.at):
            self._take_in(changes)
            await asyncio.sleep(0)  # the streams have their turn after each rule

    # -- changes out

    def _take_in(self, changes: Sequence[Change]) -> None:
        for change in changes:
            _say(change)
            self._entries[change.alert.uid] = self._entry(change)
        self._trim()
        if changes:
            self._on_news()

    def _trim(self) -> None:
        while len(self._entries) > MOST_ENTRIES:
            del self._entries[next(iter(self._entries))]
            self.lost += 1

    def _entry(self, change: Change) -> Entry:
        alert, now = change.alert, self._now()
        over = change.event is Event.RESOLVED
        opened_at = now - timedelta(seconds=max(0.0, self._clock() - alert.opened))
        return Entry(
            uid=alert.uid,
            rule=alert.rule,
            group=alert.group,
            opened_at=opened_at,
            updated_at=now,
            value=alert.value,
            peak=alert.peak,
            resolved_at=max(now, opened_at) if over else None,
            why=change.why,
        )

    # -- storing, by the one thread that writes

    def work(self) -> Callable[[], None] | None:
        """What is to be written now, as a function that blocks; None when there is nothing. Then `done`."""
        now = self._clock()
        sweeps, prunes = now >= self._sweep_at, now >= self._prune_at
        if not (self._entries or sweeps or prunes):
            return None
        self._writing, self._entries = self._entries, {}
        if sweeps:
            self._sweep_at = now + SWEEP_EVERY_S
        if prunes:
            self._prune_at = now + PRUNE_EVERY_S
        return partial(_write, [*self._writing.values()], self._process_id, self._now(), sweeps, prunes)

    def done(self, fault: BaseException | None) -> None:
        """How the last `work` went; what the database did not take now waits for the next one."""
        written, self._writing = self._writing, {}
        if fault is None:
            if self._outage:
                self._outage = False
                logger.info("alerts are stored again, %d lost since the start", self.lost)
            self._on_stored()
        elif isinstance(fault, OperationalError | InterfaceError):
            self._entries = written | self._entries
            self._trim()
            if not self._outage:
                self._outage = True
                logger.warning("alerts wait for the database: %s", fault)
        else:
            self.lost += len(written)
            logger.error("alerts refused by the database", exc_info=fault)


def _write(entries: Sequence[Entry], process_id: str, now: datetime, sweeps: bool, prunes: bool) -> None:
    if entries:
        alert_store.write(entries, process_id)
    if sweeps and (count := alert_store.resolve_orphans(process_id, now)):
        logger.info("%d alerts of processes that are gone are resolved", count)
    if prunes:
        alert_store.prune(now)


_LEVELS = {Severity.INFO: logging.INFO, Severity.WARNING: logging.WARNING, Severity.CRITICAL: logging.ERROR}


def _say(change: Change) -> None:
    """A line when an alert opens, and one when it is over."""
    alert, metric = change.alert, change.alert.rule.watched
    where = f"group {alert.group}" if alert.group else "process"
    if change.event is Event.OPENED:
        logger.log(
            _LEVELS[alert.rule.severity],
            "alert %s of rule %d opened (%s), %s: %s: it is %s",
            alert.uid,
            alert.rule.id,
            alert.rule.severity,
            where,
            alert.rule.condition,
            spoken(alert.value, metric),
        )
    elif change.event is Event.RESOLVED:
        logger.info("alert %s of rule %d resolved, %s: %s", alert.uid, alert.rule.id, where, change.why)
