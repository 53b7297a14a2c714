"""When an alert opens, what it has come to, and when and why it is over."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from monitoring.alert_metrics import Metric
from monitoring.alert_rules import Rule, Rules

UPDATE_EVERY_S = 60.0
"""An open alert is told again when it gets worse, and so often in any case."""


class Event(StrEnum):
    """What became of an alert."""

    OPENED = "opened"
    UPDATED = "updated"
    RESOLVED = "resolved"


class Why(StrEnum):
    """Why an alert is over, in words for those who were told of it."""

    NORMAL = "the figure is within the bound again"
    GROUP_GONE = "the group has gone"
    NOT_GOVERNED = "the rule no longer governs the group"
    RULE_CHANGED = "the rule watches something else now"
    RULE_GONE = "the rule was switched off or deleted"
    PROCESS_ENDED = "the process has ended"
    PROCESS_LOST = "the process has ended without a word"


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """One alert as it is now; times are of the clock that `judge` was given."""

    uid: str
    rule: Rule
    """As it was when the value was beyond last."""
    group: str
    """Empty: of the whole process."""
    opened: float
    value: float
    peak: float
    """The value that was furthest beyond."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one alert at one tick; `why` of one that is resolved."""

    event: Event
    alert: OpenAlert
    why: Why | None = None


@dataclass(slots=True)
class _Watched:
    """What is remembered of a rule and a group."""

    held_s: float | None = None
    """How long the figure has been known to be beyond; None: it is not."""
    seen_at: float | None = None
    """When the figure was last known, if it is known to this tick without a break."""
    alert: OpenAlert | None = None
    told_at: float = 0.0
    silent_until: float = float("-inf")


Values = Callable[[Metric, str], float | None]
"""What a metric of a group is now; None where that is not known."""


@dataclass(slots=True)
class AlertEngine:
    """Holds what is known of each rule and group, from tick to tick. Pure: time and names come in.

    Whoever calls it judges one rule after the other, and may let others run between two.
    """

    new_uid: Callable[[], str]
    _watched: dict[int, dict[str, _Watched]] = field(default_factory=dict)
    _rules: dict[int, Rule] = field(default_factory=dict)
    """As they were judged last."""

    def open_alerts(self) -> list[OpenAlert]:
        """All that are open, in the order in which they opened."""
        found = [
            watched.alert
            for subjects in self._watched.values()
            for watched in subjects.values()
            if watched.alert is not None
        ]
        return sorted(found, key=lambda alert: (alert.opened, alert.uid))

    def tick(
        self, rules: Rules, values: Values, groups: Collection[str], now: float
    ) -> Iterator[list[Change]]:
        """What each rule makes of these figures; first of all, what rules that are gone leave."""
        yield self.forget(rules.by_id)
        for rule in rules.by_id.values():
            yield self.judge(rule, values, groups, rules.places, now)

    def forget(self, rules: Mapping[int, Rule]) -> list[Change]:
        """Resolve what belongs to no rule any more, or to one that watches something else by now."""
        changes: list[Change] = []
        for key in [*self._watched]:
            former, rule = self._rules[key], rules.get(key)
            if rule is None:
                changes += self._close(key, Why.RULE_GONE)
            elif (rule.metric, rule.op) != (former.metric, former.op):
                changes += self._close(key, Why.RULE_CHANGED)
        return changes

    def judge(
        self, rule: Rule, values: Values, groups: Collection[str], places: Mapping[str, str], now: float
    ) -> list[Change]:
        """What one rule makes of the figures of a tick; the same tick may be judged again by another rule."""
        former = self._rules.get(rule.id)
        self._rules[rule.id] = rule
        of_rule = self._watched.setdefault(rule.id, {})
        subjects = dict.fromkeys(rule.subjects(groups, places))
        changes: list[Change] = []
        for key in [key for key in of_rule if key not in subjects]:
            why = Why.NOT_GOVERNED if key in groups else Why.GROUP_GONE
            changes += self._leave(of_rule, key, rule, why, now)
        for subject in subjects:
            watched = of_rule.get(subject)
            if watched is None:
                watched = of_rule[subject] = _Watched()
            elif former is not None and former.value != rule.value:
                watched.held_s = None  # what was beyond another bound says nothing of this one
            changes += self._follow(watched, rule, subject, values(rule.watched, subject), now)
        return changes

    def end(self) -> list[Change]:
        """The process ends, and with it all that it watched."""
        return [change for key in [*self._watched] for change in self._close(key, Why.PROCESS_ENDED)]

    def _follow(
        self, watched: _Watched, rule: Rule, group: str, value: float | None, now: float
    ) -> Iterator[Change]:
        if value is None:
            watched.seen_at = None  # the time until it is known again counts for nothing
            return
        # Time counts between two readings that were both beyond.
        passed = 0.0 if watched.seen_at is None else max(0.0, now - watched.seen_at)
        watched.seen_at = now
        beyond = rule.is_beyond(value)
        if not beyond:
            watched.held_s = None
        elif watched.held_s is None:
            watched.held_s = 0.0
        else:
            watched.held_s += passed
        if watched.alert is not None:
            yield from self._go_on(watched, watched.alert, rule, value, now)
        elif watched.held_s is not None and watched.held_s >= rule.hold_s and now >= watched.silent_until:
            watched.alert = OpenAlert(self.new_uid(), rule, group, now, value, value)
            watched.told_at = now
            yield Change(Event.OPENED, watched.alert)

    def _go_on(
        self, watched: _Watched, alert: OpenAlert, rule: Rule, value: float, now: float
    ) -> Iterator[Change]:
        if not rule.stays_beyond(value):
            watched.alert = None
            watched.silent_until = now + rule.cooldown_s
            # It keeps the rule as it was last beyond: a changed one may name a value that it never passed.
            yield Change(Event.RESOLVED, replace(alert, value=value), Why.NORMAL)
            return
        peak = rule.op.worse(alert.peak, value)
        watched.alert = replace(alert, rule=rule, value=value, peak=peak)
        if peak != alert.peak or now - watched.told_at >= UPDATE_EVERY_S:
            watched.told_at = now
            yield Change(Event.UPDATED, watched.alert)

    def _leave(
        self, of_rule: dict[str, _Watched], key: str, rule: Rule, why: Why, now: float
    ) -> Iterator[Change]:
        """Resolve what is open of a group that is judged no more; it is forgotten once it may open again."""
        watched = of_rule[key]
        watched.held_s = None
        if watched.alert is not None:
            yield Change(Event.RESOLVED, watched.alert, why)
            watched.alert = None
            watched.silent_until = now + rule.cooldown_s
        if now >= watched.silent_until:
            del of_rule[key]

    def _close(self, key: int, why: Why) -> list[Change]:
        """Forget a rule and all that it watched."""
        self._rules.pop(key)
        return [
            Change(Event.RESOLVED, watched.alert, why)
            for watched in self._watched.pop(key).values()
            if watched.alert is not None
        ]
