"""An alert opens once a figure was beyond for long enough, and is over for a reason: cases, and laws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from monitoring.alert_engine import UPDATE_EVERY_S, AlertEngine, Change, Event, Why
from monitoring.alert_metrics import Metric
from monitoring.alert_rules import Op, Rule, Rules, Severity

OPENED, UPDATED, RESOLVED = Event.OPENED, Event.UPDATED, Event.RESOLVED


def rule(key: int = 1, **values: Any) -> Rule:
    stated = {"name": f"rule {key}", "metric": "pressure", "op": Op.GT, "value": 10.0}
    return Rule(id=key, **{"severity": Severity.WARNING, **stated, **values})


def rules(*each: Rule, places: Mapping[str, str] | None = None) -> Rules:
    return Rules({one.id: one for one in each}, places or {})


@dataclass
class Watched:
    """An engine, and the figures that it is given."""

    rules: Rules
    now: float = 0.0
    engine: AlertEngine = field(default_factory=lambda: AlertEngine(map(str, count(1)).__next__))

    def tick(self, after_s: float = 10.0, **groups: float | None) -> list[Change]:
        """What becomes of these values of the groups, so long after the last ones."""
        self.now += after_s

        def value(metric: Metric, group: str) -> float | None:
            return groups.get(group or "process")

        ticks = self.engine.tick(self.rules, value, [name for name in groups if name != "process"], self.now)
        return [change for changes in ticks for change in changes]


def told(changes: Iterable[Change]) -> list[tuple[Event, str]]:
    return [(change.event, change.alert.group) for change in changes]


def test_opens_at_once_where_it_need_not_hold() -> None:
    watched = Watched(rules(rule()))
    (change,) = watched.tick(a=11.0)
    assert (change.event, change.alert.value, change.alert.peak) == (OPENED, 11.0, 11.0)
    assert watched.engine.open_alerts() == [change.alert]


def test_value_at_the_bound_is_not_beyond() -> None:
    assert Watched(rules(rule())).tick(a=10.0) == []
    assert told(Watched(rules(rule(op=Op.GE))).tick(a=10.0)) == [(OPENED, "a")]
    assert told(Watched(rules(rule(op=Op.LT))).tick(a=9.0)) == [(OPENED, "a")]
    assert told(Watched(rules(rule(op=Op.LE))).tick(a=10.0)) == [(OPENED, "a")]


def test_opens_once_it_has_held() -> None:
    watched = Watched(rules(rule(hold_s=20)))
    assert watched.tick(a=11.0) == []
    assert watched.tick(a=11.0) == []
    assert told(watched.tick(a=11.0)) == [(OPENED, "a")]


def test_a_good_value_begins_the_hold_anew() -> None:
    watched = Watched(rules(rule(hold_s=20)))
    for value in (11.0, 11.0, 9.0, 11.0, 11.0):
        assert watched.tick(a=value) == []
    assert told(watched.tick(a=11.0)) == [(OPENED, "a")]


def test_unknown_time_does_not_count_as_held() -> None:
    watched = Watched(rules(rule(hold_s=20)))
    for value in (11.0, 11.0, None, None, 11.0):
        assert watched.tick(a=value) == []
    assert told(watched.tick(a=11.0)) == [(OPENED, "a")]


def test_unknown_figure_neither_opens_nor_resolves() -> None:
    watched = Watched(rules(rule()))
    assert watched.tick(a=None) == []
    watched.tick(a=11.0)
    assert watched.tick(a=None) == []
    assert len(watched.engine.open_alerts()) == 1
    assert told(watched.tick(a=9.0)) == [(RESOLVED, "a")]


def test_resolves_with_the_last_value_and_the_worst() -> None:
    watched = Watched(rules(rule()))
    for value in (11.0, 15.0, 12.0):
        watched.tick(a=value)
    (change,) = watched.tick(a=8.0)
    assert (change.alert.value, change.alert.peak, change.why) == (8.0, 15.0, Why.NORMAL)
    assert watched.engine.open_alerts() == []


def test_is_told_again_when_worse_and_each_minute() -> None:
    watched = Watched(rules(rule()))
    watched.tick(a=11.0)
    assert told(watched.tick(a=12.0)) == [(UPDATED, "a")]
    assert watched.tick(a=11.5) == []
    assert told(watched.tick(UPDATE_EVERY_S, a=11.0)) == [(UPDATED, "a")]
    assert watched.engine.open_alerts()[0].peak == 12.0


def test_worst_of_a_lower_bound_is_the_least() -> None:
    watched = Watched(rules(rule(op=Op.LT)))
    for value in (9.0, 5.0, 7.0):
        watched.tick(a=value)
    assert watched.engine.open_alerts()[0].peak == 5.0


def test_wavering_between_both_values_keeps_it_as_it_is() -> None:
    watched = Watched(rules(rule(clear_value=8.0)))
    assert watched.tick(a=9.0) == []
    watched.tick(a=11.0)
    assert watched.tick(a=9.0) == []
    assert told(watched.tick(a=8.0)) == [(RESOLVED, "a")]


def test_does_not_open_anew_before_the_cool_down() -> None:
    watched = Watched(rules(rule(cooldown_s=30)))
    watched.tick(a=11.0)
    watched.tick(a=9.0)
    assert watched.tick(a=11.0) == []
    assert watched.tick(a=11.0) == []
    assert told(watched.tick(a=11.0)) == [(OPENED, "a")]


def test_group_that_vanishes_resolves_and_keeps_its_cool_down() -> None:
    watched = Watched(rules(rule(cooldown_s=30)))
    watched.tick(a=11.0, b=11.0)
    (change,) = watched.tick(b=11.0)
    assert (change.alert.group, change.why) == ("a", Why.GROUP_GONE)
    assert watched.tick(a=11.0, b=11.0) == []
    assert told(watched.tick(20, a=11.0, b=11.0)) == [(OPENED, "a")]


def test_hold_does_not_go_on_after_a_group_was_away() -> None:
    watched = Watched(rules(rule(hold_s=10)))
    watched.tick(a=11.0)
    watched.tick()
    assert watched.tick(a=11.0) == []


def test_rule_that_is_gone_resolves() -> None:
    watched = Watched(rules(rule(), rule(2)))
    watched.tick(a=11.0)
    watched.rules = rules(rule(2))
    (change,) = watched.tick(a=11.0)
    assert (change.alert.rule.id, change.why) == (1, Why.RULE_GONE)


def test_rule_that_watches_something_else_begins_anew() -> None:
    watched = Watched(rules(rule()))
    watched.tick(a=11.0)
    watched.rules = rules(rule(metric="buffer_size"))
    first, second = watched.tick(a=11.0)
    assert (first.event, first.why, second.event) == (RESOLVED, Why.RULE_CHANGED, OPENED)


def test_other_bound_holds_for_what_is_open_at_once() -> None:
    watched = Watched(rules(rule()))
    watched.tick(a=11.0)
    watched.rules = rules(rule(value=20.0))
    (change,) = watched.tick(0.0, a=11.0)
    assert (change.event, change.why) == (RESOLVED, Why.NORMAL)


def test_what_was_beyond_another_bound_has_not_held() -> None:
    watched = Watched(rules(rule(hold_s=10)))
    watched.tick(a=11.0)
    watched.rules = rules(rule(hold_s=10, value=5.0))
    assert watched.tick(a=11.0) == []
    assert told(watched.tick(a=11.0)) == [(OPENED, "a")]


def test_what_a_changed_rule_resolves_says_what_it_was_beyond() -> None:
    watched = Watched(rules(rule()))
    watched.tick(a=11.0)
    watched.rules = rules(rule(value=1000.0))
    (change,) = watched.tick(a=12.0)
    assert (change.event, change.alert.value) == (RESOLVED, 12.0)
    assert change.alert.rule.value == 10.0


def test_the_same_tick_judged_twice_changes_nothing() -> None:
    watched = Watched(rules(rule(hold_s=10)))
    watched.tick(a=11.0)
    assert watched.tick(0.0, a=11.0) == []
    assert told(watched.tick(a=11.0)) == [(OPENED, "a")]
    assert watched.tick(0.0, a=11.0) == []


def test_group_that_the_rule_no_longer_governs_resolves() -> None:
    watched = Watched(rules(rule(pattern="ecg.*")))
    watched.tick(**{"ecg.a": 11.0, "control": 11.0})
    assert [alert.group for alert in watched.engine.open_alerts()] == ["ecg.a"]
    watched.rules = rules(rule(pattern="control"))
    changes = watched.tick(**{"ecg.a": 11.0, "control": 11.0})
    assert [(change.event, change.alert.group, change.why) for change in changes] == [
        (RESOLVED, "ecg.a", Why.NOT_GOVERNED),
        (OPENED, "control", None),
    ]


def test_ward_governs_the_groups_that_lie_in_it() -> None:
    watched = Watched(rules(rule(pattern="ward:icu"), places={"ecg.a": "icu"}))
    assert told(watched.tick(**{"ecg.a": 11.0, "ecg.b": 11.0})) == [(OPENED, "ecg.a")]


def test_figure_of_the_process_is_judged_once_and_without_groups() -> None:
    watched = Watched(rules(rule(metric="rss_mb")))
    assert told(watched.tick(process=11.0)) == [(OPENED, "")]
    assert watched.tick(process=11.0, a=99.0) == []
    assert told(watched.tick(process=9.0)) == [(RESOLVED, "")]


def test_process_that_ends_resolves_all() -> None:
    watched = Watched(rules(rule(), rule(2)))
    watched.tick(a=11.0, b=12.0)
    assert {change.why for change in watched.engine.end()} == {Why.PROCESS_ENDED}
    assert watched.engine.open_alerts() == []


def test_rules_are_judged_each_by_itself() -> None:
    watched = Watched(rules(rule(), rule(2, value=20.0, severity=Severity.CRITICAL)))
    assert len(watched.tick(a=15.0)) == 1
    changes = watched.tick(a=25.0)
    assert [(change.event, change.alert.rule.id) for change in changes] == [(UPDATED, 1), (OPENED, 2)]


# -- laws, of one rule and two groups over any course

values = st.one_of(st.none(), st.just("gone"), st.floats(0, 20).map(lambda value: round(value, 1)))
steps = st.lists(st.tuples(st.integers(0, 60), values, values), max_size=60)
some_rules = st.builds(
    lambda op, hold, cool, room: rule(
        op=op,
        hold_s=hold,
        cooldown_s=cool,
        clear_value=None if room is None else 10.0 - room if op.is_upper else 10.0 + room,
    ),
    st.sampled_from(Op),
    st.sampled_from([0, 1, 10, 45]),
    st.sampled_from([0, 1, 30, 90]),
    st.sampled_from([None, 0, 1, 5]),
)


@dataclass
class Course:
    """What happened to one group: each tick's time and value, and the events at it."""

    ticks: list[tuple[float, Any, list[Change]]] = field(default_factory=list)


def course(of: Rule, given_steps: list[tuple[int, Any, Any]]) -> dict[str, Course]:
    watched = Watched(rules(of))
    courses = {"a": Course(), "b": Course()}
    for after_s, *both in given_steps:
        groups = {name: value for name, value in zip("ab", both, strict=True) if value != "gone"}
        changes = watched.tick(after_s, **groups)
        for name, value in zip("ab", both, strict=True):
            mine = [change for change in changes if change.alert.group == name]
            courses[name].ticks.append((watched.now, value, mine))
    return courses


def expected(of: Rule, one: Course) -> list[list[Event]]:
    """The same told by a plain account of the whole past, without state from tick to tick."""
    found: list[list[Event]] = []
    opened_at: int | None = None
    resolved: float | None = None
    for index, (now, value, _) in enumerate(one.ticks):
        events: list[Event] = []
        if value == "gone":
            if opened_at is not None:
                events, opened_at, resolved = [RESOLVED], None, now
        elif value is not None and opened_at is not None and not of.stays_beyond(value):
            events, opened_at, resolved = [RESOLVED], None, now
        elif value is not None and opened_at is None and of.is_beyond(value):
            cool = resolved is None or now - resolved >= of.cooldown_s
            if cool and held_s(of, one, index) >= of.hold_s:
                events, opened_at = [OPENED], index
        found.append(events)
    return found


def held_s(of: Rule, one: Course, index: int) -> float:
    """For how long the figure was known to be beyond, up to this tick."""
    total = 0.0
    for later, earlier in zip(range(index, 0, -1), range(index - 1, -1, -1), strict=True):
        before = one.ticks[earlier][1]
        if before == "gone" or (before is not None and not of.is_beyond(before)):
            break
        if before is not None and one.ticks[later][1] is not None:
            total += one.ticks[later][0] - one.ticks[earlier][0]
    return total


@given(some_rules, steps)
def test_it_does_what_a_plain_account_of_the_past_says(of: Rule, given_steps: list[Any]) -> None:
    for one in course(of, given_steps).values():
        happened = [
            [change.event for change in changes if change.event is not UPDATED] for _, _, changes in one.ticks
        ]
        assert happened == expected(of, one)


@given(some_rules, steps)
def test_each_alert_is_opened_then_updated_then_resolved_once(of: Rule, given_steps: list[Any]) -> None:
    for one in course(of, given_steps).values():
        open_uid = None
        for _, _, changes in one.ticks:
            for change in changes:
                if change.event is OPENED:
                    assert open_uid is None
                    open_uid = change.alert.uid
                assert change.alert.uid == open_uid
                assert (change.why is not None) is (change.event is RESOLVED)
                if change.event is RESOLVED:
                    open_uid = None


@given(some_rules, steps)
def test_worst_is_the_worst_of_all_values_since_it_opened(of: Rule, given_steps: list[Any]) -> None:
    for one in course(of, given_steps).values():
        since: list[float] = []
        for _, value, changes in one.ticks:
            for change in changes:
                if change.event is OPENED:
                    since = []
            if isinstance(value, float):
                since.append(value)
            for change in changes:
                known = since[:-1] if change.why is Why.NORMAL else since
                assert change.alert.peak == (max if of.op.is_upper else min)(known)


@given(some_rules, steps)
def test_one_group_has_no_influence_on_another(of: Rule, given_steps: list[Any]) -> None:
    def alone(name: str) -> list[list[Event]]:
        index = 1 + "ab".index(name)
        only = [(step[0], step[index], "gone") for step in given_steps]
        return [[change.event for change in changes] for _, _, changes in course(of, only)["a"].ticks]

    for name, one in course(of, given_steps).items():
        assert [[change.event for change in changes] for _, _, changes in one.ticks] == alone(name)


@given(some_rules, steps)
def test_nothing_is_kept_of_groups_that_are_gone_and_cool(of: Rule, given_steps: list[Any]) -> None:
    watched = Watched(rules(of))
    for after_s, *both in given_steps:
        watched.tick(after_s, **{n: v for n, v in zip("ab", both, strict=True) if v != "gone"})
    watched.tick()
    watched.tick(of.cooldown_s + 1)
    assert watched.engine._watched == {of.id: {}}


@given(some_rules, steps)
def test_rule_of_another_name_or_severity_is_the_same_rule(of: Rule, given_steps: list[Any]) -> None:
    watched, renamed = Watched(rules(of)), Watched(rules(of))
    for index, (after_s, *both) in enumerate(given_steps):
        groups = {n: v for n, v in zip("ab", both, strict=True) if v != "gone"}
        renamed.rules = rules(replace(of, name=f"now {index}", severity=Severity.INFO))
        assert told(watched.tick(after_s, **groups)) == told(renamed.tick(after_s, **groups))
