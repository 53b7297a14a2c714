"""The reader of PromQL takes what Prometheus takes, and refuses what it refuses."""

from __future__ import annotations

import pytest

from tests import promql


@pytest.mark.parametrize(
    ("text", "names", "labels"),
    [
        ("up", ["up"], []),
        ("up{job='vital', instance=~\".*\"} == 0", ["up"], ["instance", "job"]),
        ("sum(a) by (x, y) / sum without (z) (b)", ["a", "b"], ["x", "y", "z"]),
        ('rate(a_total{b!="c"}[5m]) > 1e-3', ["a_total"], ["b"]),
        ("topk(10, max by (group) (a))", ["a"], ["group"]),
        ("count(a == 0) or vector(0)", ["a"], []),
        ("-a ^ 2 * (b + on (x) group_left (y) c)", ["a", "b", "c"], ["x", "y"]),
        ("a offset 1h30m", ["a"], []),
        ("time() - a", ["a"], []),
        ("a unless b and c", ["a", "b", "c"], []),
    ],
)  # fmt: skip
def test_metrics_and_labels_are_found(text: str, names: list[str], labels: list[str]) -> None:
    found = promql.read(text)
    assert [selector.name for selector in found.selectors] == names
    assert sorted(found.grouped.union(*(selector.labels for selector in found.selectors))) == labels


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sum(a",
        "sum(a))",
        "a b",
        "a >",
        "a{b}",
        "a{b=c}",
        "a{b='c'",
        "rate(a)",
        "rate(a[5])",
        "rate(a[5m]",
        "abs(a[5m])",
        "frobnicate(a)",
        "topk(a)",
        "sum(a, b)",
        "sum by x (a)",
        "a $ b",
        "a[5m",
    ],
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(promql.PromqlError):
        promql.read(text)
