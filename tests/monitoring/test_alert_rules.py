"""A rule says what it means, or why it means nothing; what is shipped is sound."""

from __future__ import annotations

import re
from typing import Any

import pytest

from monitoring.alert_defaults import SHIPPED
from monitoring.alert_rules import AlertRuleError, Op, Rule, Severity
from tests.servers import ROOT


def rule(**values: Any) -> Rule:
    stated = {"name": "loss", "metric": "drop_rate", "op": Op.GT, "value": 0.001}
    return Rule(id=1, **{"severity": Severity.WARNING, **stated, **values})


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("metric", {"metric": "no_such_figure"}),
        ("value", {"value": float("nan")}),
        ("value", {"value": float("inf")}),
        ("hold_s", {"hold_s": -1}),
        ("hold_s", {"hold_s": 86_401}),
        ("cooldown_s", {"cooldown_s": 604_801}),
        ("pattern", {"pattern": "ecg.*.x"}),
        ("pattern", {"pattern": ""}),
        ("pattern", {"metric": "rss_mb", "pattern": "ecg.*"}),
        ("clear_value", {"clear_value": 0.002}),
        ("clear_value", {"op": Op.LT, "clear_value": 0.0001}),
        ("clear_value", {"clear_value": float("nan")}),
    ],
)
def test_what_is_wrong_is_said_of_its_column(column: str, values: dict[str, Any]) -> None:
    with pytest.raises(AlertRuleError) as refused:
        rule(**values)
    assert refused.value.column == column
    assert str(refused.value).endswith(".")


def test_condition_is_told_in_words() -> None:
    assert rule(hold_s=60).condition == "loss > 0.1 % for 60 s"
    assert rule(metric="overload", op=Op.GE, value=1).condition == "overload >= shedding"
    assert rule(metric="layer_away", op=Op.GE, value=1, hold_s=30).condition == "channel layer away for 30 s"
    assert rule(metric="layer_away", op=Op.LT, value=1).condition == "channel layer away < yes"


@pytest.mark.parametrize(
    ("pattern", "governed"),
    [
        ("*", {"ecg.a", "ecg.ab", "control"}),
        ("ecg.*", {"ecg.a", "ecg.ab"}),
        ("ecg.a", {"ecg.a"}),
        ("ward:icu", {"ecg.ab"}),
        ("ward:er", set()),
    ],
)
def test_pattern_governs_as_those_of_profiles_do(pattern: str, governed: set[str]) -> None:
    one = rule(pattern=pattern)
    assert set(one.subjects(["ecg.a", "ecg.ab", "control"], {"ecg.ab": "icu"})) == governed


@pytest.mark.parametrize(("op", "open_at"), [(Op.GT, 8.1), (Op.GE, 8.1), (Op.LT, 11.9), (Op.LE, 11.9)])
def test_an_alert_resolves_at_the_value_to_clear_at(op: Op, open_at: float) -> None:
    clear = 8.0 if op.is_upper else 12.0
    one = rule(metric="pressure", op=op, value=10.0, clear_value=clear)
    assert one.stays_beyond(open_at)
    assert not one.stays_beyond(clear)


def test_without_a_value_to_clear_at_it_resolves_when_it_would_not_open() -> None:
    for op in Op:
        one = rule(metric="pressure", op=op, value=10.0)
        assert [one.stays_beyond(value) for value in (9, 10, 11)] == [
            one.is_beyond(value) for value in (9, 10, 11)
        ]


def test_severities_are_in_order() -> None:
    assert Severity.INFO.rank < Severity.WARNING.rank < Severity.CRITICAL.rank


@pytest.mark.parametrize("values", SHIPPED, ids=lambda values: values["key"])
def test_shipped_rule_is_sound_and_says_what_to_do(values: dict[str, Any]) -> None:
    stated = {name: value for name, value in values.items() if name not in ("key", "enabled")}
    checked = Rule(id=1, **stated | {"op": Op(values["op"]), "severity": Severity(values["severity"])})
    assert checked.condition
    assert checked.advice.endswith(".")


def test_shipped_rules_have_keys_and_names_of_their_own() -> None:
    for column in ("key", "name"):
        assert len({values[column] for values in SHIPPED}) == len(SHIPPED)


def test_performance_targets_are_shipped() -> None:
    targets = {(values["metric"], values["op"], values["value"], values["severity"]) for values in SHIPPED}
    assert targets >= {
        ("ratio_vs_json", "<", 80, "warning"),
        ("ratio_vs_json", "<", 70, "critical"),
        ("average_latency_ms", ">", 10, "warning"),
        ("average_latency_ms", ">", 20, "critical"),
        ("process_queued_mb", ">", 50, "warning"),
        ("process_queued_mb", ">", 100, "critical"),
        ("drop_rate", ">", 0.001, "warning"),
        ("drop_rate", ">", 0.01, "critical"),
        ("process_messages_per_second", "<", 1000, "warning"),
        ("process_messages_per_second", "<", 500, "critical"),
    }


def test_every_shipped_rule_is_in_the_runbook_and_no_other() -> None:
    section = (
        (ROOT / "docs" / "operations.md").read_text().partition("## Alert rules")[2].partition("\n## ")[0]
    )
    rows = re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \|(.+)\|$", section, re.MULTILINE)
    described = [key for keys, _ in rows for key in re.findall(r"`([a-z-]+)`", keys)]
    assert described == [values["key"] for values in SHIPPED]
    assert all(len(cells.split("|")) == 4 and all(map(str.strip, cells.split("|"))) for _, cells in rows)
