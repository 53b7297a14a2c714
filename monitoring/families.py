"""How figures become families of Prometheus's metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)

SHARES = (0.5, 0.95, 0.99, 1.0)
"""The quantiles that are told of a distribution; the last one is its maximum."""
Values = Mapping[tuple[str], float] | Mapping[tuple[str, str], float]
"""By the values of the labels, in their order."""


def gauge(name: str, text: str, value: float, *, unit: str = "") -> Metric:
    """One figure that goes up and down; a name has to end in its unit."""
    return GaugeMetricFamily(name, text, value=value, unit=unit)


def counter(name: str, text: str, value: float, *, unit: str = "") -> Metric:
    """One figure that only grows; `_total` is added to its name."""
    return CounterMetricFamily(name, text, value=value, unit=unit)


def gauges(name: str, text: str, labels: Sequence[str], values: Values) -> Metric:
    """A gauge for each combination of labels."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for given, value in values.items():
        family.add_metric(given, value)
    return family


def counters(name: str, text: str, labels: Sequence[str], values: Values) -> Metric:
    """A counter for each combination of labels."""
    family = CounterMetricFamily(name, text, labels=labels)
    for given, value in values.items():
        family.add_metric(given, value)
    return family


def states(name: str, text: str, present: str, every: Iterable[str]) -> Metric:
    """1 for the state that holds, 0 for the others."""
    return gauges(name, text, ["state"], {(state,): state == present for state in every})


def quantiles(name: str, text: str, values: Iterable[tuple[Mapping[str, str], Sequence[float]]]) -> Metric:
    """Of each distribution, by its labels, the values at SHARES, in seconds.

    A summary without count and sum: those would have to grow for ever, and the values are the last minutes'.
    """
    family = SummaryMetricFamily(name, text, unit="seconds")
    for labels, found in values:
        for share, value in zip(SHARES, found, strict=True):
            family.add_sample(name, {**labels, "quantile": f"{share:g}"}, value)
    return family


def at_shares(values: Iterable[float]) -> list[float]:
    """The values at SHARES, of at least one."""
    ordered = sorted(values)
    return [ordered[math.ceil(share * (len(ordered) - 1))] for share in SHARES]
