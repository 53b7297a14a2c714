"""What an alert rule says: which figure, beyond what, for how long, of which groups, and how grave it is."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from monitoring.alert_metrics import METRICS, YES_NO, Metric, spoken
from streaming.core.precedence import DEFAULT_NAME, WARD_MARK, Kind, is_name, kind_of

MOST_HOLD_S, MOST_COOLDOWN_S = 86_400, 604_800
"""A day, and a week."""


class Severity(StrEnum):
    """How grave an alert is for those who run the system; nothing to do with alarms of patients."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 is the least."""
        return list(Severity).index(self)


class Op(Enum):
    """How a value is compared."""

    GT = ">"
    GE = ">="
    LT = "<"
    LE = "<="

    def holds(self, value: float, bound: float) -> bool:
        """Whether `value` is beyond the bound."""
        match self:
            case Op.GT:
                return value > bound
            case Op.GE:
                return value >= bound
            case Op.LT:
                return value < bound
            case Op.LE:
                return value <= bound

    @property
    def is_upper(self) -> bool:
        """Whether more is worse."""
        return self in (Op.GT, Op.GE)

    def worse(self, one: float, other: float) -> float:
        """Of two values the one that is further beyond."""
        return max(one, other) if self.is_upper else min(one, other)


class AlertRuleError(ValueError):
    """A rule that cannot be judged; `column` is the one at fault."""

    def __init__(self, column: str, text: str) -> None:
        super().__init__(text)
        self.column = column


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, checked. Raises AlertRuleError, which says what may be there instead.

    An alert opens once the figure has been beyond `value` for `hold_s`. It resolves when the figure is no
    longer beyond `clear_value`, or `value` where that is None, and opens anew after `cooldown_s` at the
    earliest.
    """

    id: int
    name: str
    metric: str
    op: Op
    value: float
    severity: Severity
    hold_s: float = 0.0
    cooldown_s: float = 0.0
    clear_value: float | None = None
    pattern: str = DEFAULT_NAME
    advice: str = ""

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise AlertRuleError("metric", f"There is no figure of the name {self.metric!r}.")
        if not math.isfinite(self.value):
            raise AlertRuleError("value", "The value must be a number.")
        self._check_clear()
        if not 0 <= self.hold_s <= MOST_HOLD_S:
            raise AlertRuleError("hold_s", f"Seconds from 0 to {MOST_HOLD_S} (a day).")
        if not 0 <= self.cooldown_s <= MOST_COOLDOWN_S:
            raise AlertRuleError("cooldown_s", f"Seconds from 0 to {MOST_COOLDOWN_S} (a week).")
        if not is_name(self.pattern):
            raise AlertRuleError("pattern", "No group, ward or pattern can have this name.")
        if self.watched.of_process and self.pattern != DEFAULT_NAME:
            raise AlertRuleError(
                "pattern",
                f"{self.watched.label} is of a whole process and of no group: leave {DEFAULT_NAME}.",
            )

    def _check_clear(self) -> None:
        if self.clear_value is None:
            return
        if not math.isfinite(self.clear_value):
            raise AlertRuleError("clear_value", "The value must be a number.")
        if self.clear_value != self.value and self.op.holds(self.clear_value, self.value):
            side = "less than or equal to" if self.op.is_upper else "greater than or equal to"
            raise AlertRuleError("clear_value", f"It must be {side} the value at which the alert opens.")

    @property
    def watched(self) -> Metric:
        """What it watches."""
        return METRICS[self.metric]

    @property
    def condition(self) -> str:
        """In words: when it opens."""
        metric, held = self.watched, f" for {self.hold_s:g} s" if self.hold_s else ""
        if metric.words == YES_NO and self.is_beyond(1) and not self.is_beyond(0):
            return f"{metric.label}{held}"
        return f"{metric.label} {self.op.value} {spoken(self.value, metric)}{held}"

    def is_beyond(self, value: float) -> bool:
        """Whether a value is what the rule is about."""
        return self.op.holds(value, self.value)

    def stays_beyond(self, value: float) -> bool:
        """Whether a value keeps an alert open."""
        bound = self.value if self.clear_value is None else self.clear_value
        if bound == self.value:
            return self.op.holds(value, bound)
        return value > bound if self.op.is_upper else value < bound

    def governs(self, group: str, places: Mapping[str, str]) -> bool:
        """Whether a group is one of the rule's; `places` has the ward of each that lies in a named one."""
        match kind_of(self.pattern):
            case Kind.DEFAULT:
                return True
            case Kind.WARD:
                return places.get(group) == self.pattern.removeprefix(WARD_MARK)
            case Kind.PATTERN:
                return group.startswith(self.pattern.removesuffix("*"))
            case _:
                return group == self.pattern

    def subjects(self, groups: Iterable[str], places: Mapping[str, str]) -> Collection[str]:
        """What it is judged of: the groups that it governs; "" for the process."""
        if self.watched.of_process:
            return [""]
        return [group for group in groups if self.governs(group, places)]


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules that are in force, by id, and where groups lie, as far as rules ask for it."""

    by_id: Mapping[int, Rule]
    places: Mapping[str, str]


NO_RULES = Rules({}, {})
