"""The alert rules that VITAL ships: the performance targets, and what else an operator has to know of.

Each has a key, by which "Restore the shipped rules" finds it whatever it was renamed to. A target in two
steps is two rules, the second of which is critical.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Values = Mapping[str, Any]
"""Of a rule's columns."""


def _rule(
    key: str, name: str, metric: str, op: str, value: float, severity: str, advice: str, **others: Any
) -> Values:
    return {
        "key": key,
        "name": name,
        "metric": metric,
        "op": op,
        "value": value,
        "severity": severity,
        "hold_s": 60,
        "cooldown_s": 300,
        "clear_value": None,
        "pattern": "*",
        "enabled": True,
        "advice": advice,
        **others,
    }


_RATIO = (
    "Look at the trace: noise does not compress, nor do many leads that are off. Nothing to change if the "
    "data are so."
)
_SLOW = (
    "Look at the process's CPU and event-loop lag. Set a lower level, or a higher threshold, in the group's "
    "profile."
)
_QUEUES = (
    "See which group's queue is long, and the network of its viewers. Smaller buffers, or more processes."
)
_LOSS = (
    "Look at drops by reason in the metrics snapshots. expired: the viewers' network, or age_high; quota "
    "and dropped: "
    "max_buffer_size and quotas; overload: more processes."
)
_THROUGHPUT = (
    "A target for load tests, and switched off: a process with few patients sends less because there is "
    "less to "
    "send. Switch it on while you load a process beyond it, and look at CPU and event-loop lag if it opens."
)
_OVERLOAD = (
    "Look at CPU, event-loop lag, and which group has most viewers. Another process if cores are free."
)

SHIPPED: Sequence[Values] = (
    _rule(
        "ratio",
        "Compression below target",
        "ratio_vs_json",
        "<",
        80,
        "warning",
        _RATIO,
        hold_s=300,
        clear_value=81,
    ),
    _rule(
        "ratio-critical",
        "Compression far below target",
        "ratio_vs_json",
        "<",
        70,
        "critical",
        _RATIO,
        hold_s=300,
        clear_value=71,
    ),
    _rule("latency", "Compression slow", "average_latency_ms", ">", 10, "warning", _SLOW),
    _rule("latency-critical", "Compression very slow", "average_latency_ms", ">", 20, "critical", _SLOW),
    _rule("memory", "Queues take memory", "process_queued_mb", ">", 50, "warning", _QUEUES, clear_value=40),
    _rule(
        "memory-critical",
        "Queues take much memory",
        "process_queued_mb",
        ">",
        100,
        "critical",
        _QUEUES,
        clear_value=80,
    ),
    _rule(
        "memory-process",
        "Process takes much memory",
        "rss_mb",
        ">",
        1500,
        "warning",
        "Look at streams, viewers and queues: does it grow while these do not? Another process, or a smaller "
        "max_total_bytes; a leak is a fault of VITAL: report it.",
        hold_s=600,
        clear_value=1400,
    ),
    _rule(
        "buffer",
        "Buffer nearly full",
        "buffer_utilization",
        ">=",
        0.8,
        "warning",
        "Backpressure is near, or has begun, for a viewer of the group. Look at the viewers' network; "
        "max_buffer_size "
        "and watermarks of the group's profile.",
        clear_value=0.5,
    ),
    _rule(
        "emergency",
        "Only critical messages are kept",
        "emergency_mode",
        ">=",
        1,
        "critical",
        "A viewer of the group is so far behind that waveform became gaps. Look at its network; it is cut "
        "when it "
        "acknowledges nothing.",
        hold_s=10,
    ),
    _rule("loss", "Loss above target", "drop_rate", ">", 0.001, "warning", _LOSS),
    _rule("loss-critical", "Loss far above target", "drop_rate", ">", 0.01, "critical", _LOSS),
    _rule(
        "throughput",
        "Throughput below target",
        "process_messages_per_second",
        "<",
        1000,
        "warning",
        _THROUGHPUT,
        enabled=False,
    ),
    _rule(
        "throughput-critical",
        "Throughput far below target",
        "process_messages_per_second",
        "<",
        500,
        "critical",
        _THROUGHPUT,
        enabled=False,
    ),
    _rule(
        "age",
        "Samples arrive late",
        "age_p95_ms",
        ">",
        1000,
        "warning",
        "Look at stages_ms in the detail of a metrics snapshot. encoded and queued: this machine; written: "
        "want of "
        "credit, max_window_bytes; acked: the network.",
        hold_s=300,
    ),
    _rule(
        "loop",
        "Event loop late",
        "loop_lag_ms",
        ">",
        100,
        "warning",
        "Something holds the loop, or the core is full. Compare the CPU of the process with that of the "
        "machine; "
        "another process, and no other work on its core.",
        hold_s=300,
    ),
    _rule("overload", "Process sheds load", "overload", ">=", 1, "warning", _OVERLOAD, hold_s=120),
    _rule("overload-critical", "Process in emergency", "overload", ">=", 2, "critical", _OVERLOAD, hold_s=30),
    _rule(
        "layer",
        "Cut off from other processes",
        "layer_away",
        ">=",
        1,
        "critical",
        "Streams of other processes do not reach the viewers of this one. Look at /readyz and the log of "
        "Redis; bring "
        "it back.",
        hold_s=30,
    ),
    _rule(
        "journal",
        "Alarms are not stored",
        "journal_away",
        ">=",
        1,
        "critical",
        "Alarms of patients are shown, and lie in the spool on the disk. Look at the journal's database: "
        "is it there, "
        "has it room, is it locked? Never delete the spool.",
        hold_s=10,
    ),
    _rule(
        "history",
        "ECG is not stored",
        "history_away",
        ">=",
        1,
        "warning",
        "Live streams go on. Look at the history's database: room, speed, VITAL_HISTORY_MAX_MB.",
        hold_s=120,
    ),
    _rule(
        "history-lost",
        "ECG lost to the history",
        "history_lost_s",
        ">",
        0,
        "warning",
        "ECG was given up that was to be stored; it stays lost. Look at the history's database: room and "
        "speed.",
        hold_s=0,
    ),
    _rule(
        "snapshots",
        "Metrics snapshots lost",
        "lost_snapshots",
        ">",
        0,
        "info",
        "The database took metrics snapshots too slowly; nothing else is lost. Look at the log of "
        "monitoring.snapshots; a longer VITAL_SNAPSHOT_INTERVAL_S.",
        hold_s=0,
    ),
)
