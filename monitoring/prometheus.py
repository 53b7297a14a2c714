"""What a process is and does now, as families of Prometheus's metrics, with labels whose number is bounded.

One pass over the groups and one over the viewers, each of which looks at every viewer's queue of every group,
and one over the open alarms. Other work on the event loop has its turn after READ_AT_ONCE queues. Nothing is
asked of the database or of another process.
"""

from __future__ import annotations

import platform
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from itertools import product

from django.conf import settings
from prometheus_client.metrics_core import InfoMetricFamily, Metric

from monitoring.alert_rules import Severity
from monitoring.alert_watch import AlertWatch
from monitoring.families import at_shares, counter, counters, gauge, gauges, quantiles, states
from monitoring.pausing import Pause
from monitoring.snapshots import SnapshotWriter
from streaming.core.alarm_record import AlarmSeverity, AlarmState
from streaming.core.items import DropReason
from streaming.core.network import NetworkCondition
from streaming.core.overload import OverloadState
from streaming.core.priority import MessagePriority
from streaming.core.renditions import Quality
from streaming.core.stats import GroupStats
from streaming.group_stats import VIEWERS_AT_ONCE
from streaming.recorder import Recorder
from streaming.runtime import Runtime
from streaming.subscriber import Subscriber

MOST_RULES = 100
"""Alert rules that have a label of their own."""
OTHER = "other"
"""The label of all groups, or rules, beyond those that have one of their own."""
PROCESS_STATES = ("starting", "serving", "stopping")


async def metric_families(
    runtime: Runtime | None,
    snapshots: SnapshotWriter | None,
    alerts: AlertWatch | None = None,
    *,
    most_groups: int,
) -> list[Metric]:
    """All that can be said of a process; before it has started (None), who it is.

    At most `most_groups` channel-layer groups have a label of their own, the first by name. Counters are of
    the whole process, because they must not go down as groups come and go.
    """
    families = [*_identity(runtime)]
    if runtime is None:
        return families
    pause, groups, viewers = Pause(), [], _Viewers()
    for group in runtime.stats_in_pieces():
        if group is not None:
            groups.append(group)
        await pause.after(VIEWERS_AT_ONCE if group is None else 1 + group.viewers % VIEWERS_AT_ONCE)
    for subscriber in runtime.hub.subscribers():
        viewers.add(subscriber)
        await pause.after(1 + subscriber.watches)
    families += _loop(runtime)
    families += _messages(runtime)
    families += viewers.families()
    families += _streams(runtime)
    families += _groups(groups, most_groups)
    families += _alarms(runtime)
    families += _history(runtime.recorder)
    if snapshots is not None:
        text = "Rows of metrics snapshots that were given up."
        families.append(counter("vital_snapshot_rows_lost", text, snapshots.lost))
    if alerts is not None:
        families += _open_alerts(alerts.counts())
    return families


# -- the process


def _identity(runtime: Runtime | None) -> Iterator[Metric]:
    yield InfoMetricFamily("vital_build", "What runs here.", value=_build())
    state = "starting"
    if runtime is not None:
        state = "stopping" if runtime.stopping else "serving"
        text = "The process, as metrics snapshots and alarms name it; another one after each start."
        yield InfoMetricFamily("vital_process", text, value={"process": runtime.process_id})
    yield states("vital_process_state", "What the process does now.", state, PROCESS_STATES)


@cache
def _build() -> dict[str, str]:
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]
    return {
        "version": project["version"],
        "python": platform.python_version(),
        "django": version("django"),
        "channels": version("channels"),
    }


def _loop(runtime: Runtime) -> Iterator[Metric]:
    hub = runtime.hub
    yield gauge(
        "vital_event_loop_lag_seconds",
        "How late the event loop's timers are, smoothed over a second.",
        hub.overload.lag_s,
        unit="seconds",
    )
    yield states(
        "vital_overload_state",
        "How much the process gives up because it has too much to do.",
        hub.overload.state,
        OverloadState,
    )
    yield gauge("vital_layer_healthy", "1 while the channel layer carries messages.", hub.link.healthy)
    text = "Messages that the channel layer did not take."
    yield counter("vital_layer_lost_messages", text, hub.link.lost_messages)
    yield gauge("vital_settings_version", "The version of the settings in force here.", hub.profiles.version)


def _streams(runtime: Runtime) -> Iterator[Metric]:
    streams = runtime.ingest.streams()
    online = sum(map(runtime.ingest.is_online, streams))
    yield gauges(
        "vital_streams",
        "Streams that devices write to this process; silent ones for the last hour.",
        ["state"],
        {("online",): online, ("silent",): len(streams) - online},
    )


# -- messages on their way


def _messages(runtime: Runtime) -> Iterator[Metric]:
    hub, totals = runtime.hub, runtime.hub.totals()
    yield counter("vital_messages_offered", "Logical messages that streams had for viewers.", totals.offered)
    yield counter("vital_messages_sent", "Logical messages that were written to a viewer.", totals.sent)
    yield counters(
        "vital_messages_dropped",
        "Logical messages that were not sent; coalesced and abandoned ones are no lost data.",
        ["reason"],
        {(reason.value,): totals.by_reason[reason] for reason in DropReason},
    )
    text = "Bytes of what was written to viewers for streams."
    yield counter("vital_sent_bytes", text, totals.sent_bytes, unit="bytes")
    yield counter("vital_gaps", "Holes that viewers were told of in place of samples.", totals.gaps)
    if took := hub.stages():  # without one, an age of zero would be praise
        yield quantiles(
            "vital_message_stage_seconds",
            "What each stage on a message's way took in the last five minutes, by one message a second that "
            "is followed to its acknowledgement; `total` is the whole way.",
            [({"stage": stage}, (p.p50_s, p.p95_s, p.p99_s, p.max_s)) for stage, p in took.items()],
        )
    done = runtime.compression_totals()
    yield counter("vital_compressed_messages", "Messages that were compressed here.", done.messages)
    text = "Bytes of messages before they were compressed here."
    yield counter("vital_compression_input_bytes", text, done.bytes_in, unit="bytes")
    text = "Bytes of messages after they were compressed here."
    yield counter("vital_compression_output_bytes", text, done.bytes_out, unit="bytes")
    text = "Time that compressing messages took."
    yield counter("vital_compression_seconds", text, done.seconds, unit="seconds")


# -- viewers


class _Viewers:
    """All viewers of a process, summed up one by one."""

    def __init__(self) -> None:
        self._by_kind = Counter[tuple[str, ...]]()
        self._streams = Counter[Quality]()
        self._queued = Counter[MessagePriority]()
        self._queued_bytes = 0
        self._in_flight_bytes = 0
        self._round_trips_s: list[float] = []

    def add(self, viewer: Subscriber) -> None:
        """Count one more."""
        handler, window = viewer.handler, viewer.window
        network = window.network
        self._by_kind[viewer.coarsest.value, network.condition.value] += 1
        self._streams.update(rendition.quality for rendition in viewer.renditions.values())
        if handler.queued_messages:
            self._queued.update(handler.queued())
            self._queued_bytes += handler.queued_bytes
        self._in_flight_bytes += window.in_flight_bytes
        if network.rtt_s is not None:
            self._round_trips_s.append(network.rtt_s)

    def families(self) -> Iterator[Metric]:
        """What they come to."""
        kinds = [
            (quality.value, condition.value) for quality, condition in product(Quality, NetworkCondition)
        ]
        yield gauges(
            "vital_viewers",
            "Viewers, by the coarsest rendition that each is sent and the condition of its network.",
            ["rendition", "condition"],
            {kind: self._by_kind[kind] for kind in kinds},
        )
        yield gauges(
            "vital_viewer_streams",
            "Streams that viewers watch, by what each is sent as, counted for each viewer.",
            ["rendition"],
            {(quality.value,): self._streams[quality] for quality in Quality},
        )
        yield gauges(
            "vital_queued_messages",
            "Logical messages that wait for viewers.",
            ["priority"],
            {(priority.name.lower(),): self._queued[priority] for priority in MessagePriority},
        )
        yield gauge("vital_queued_bytes", "Bytes that wait for viewers.", self._queued_bytes, unit="bytes")
        text = "Bytes that viewers were sent and have not acknowledged."
        yield gauge("vital_in_flight_bytes", text, self._in_flight_bytes, unit="bytes")
        if self._round_trips_s:
            yield quantiles(
                "vital_viewer_round_trip_seconds",
                "Round trips to the viewers that are connected now.",
                [({}, at_shares(self._round_trips_s))],
            )


# -- groups

_Read = Callable[[GroupStats], float | None]
_Together = Callable[[Iterable[float]], float]
_OF_GROUPS: tuple[tuple[str, str, _Together, _Read], ...] = (
    ("viewers", "Viewers of the group here.", sum, lambda group: group.viewers),
    ("queued_messages", "Messages that wait for its viewers.", sum, lambda group: group.buffer_size),
    (
        "buffer_utilization_ratio",
        "The fullest queue's share of its bound.",
        max,
        lambda group: group.buffer_utilization,
    ),
    (
        "drop_ratio",
        "Dropped or expired messages among all that were offered; of several groups, the highest.",
        max,
        lambda group: group.drop_rate,
    ),
    (
        "messages_per_second",
        "Messages written to its viewers, over ten seconds.",
        sum,
        lambda group: group.messages_per_second,
    ),
    (
        "json_saved_ratio",
        "What compressing waveforms saves against JSON of the same samples; of several groups, the least.",
        min,
        lambda group: None if group.ratio_vs_json is None else group.ratio_vs_json / 100,
    ),
)
_GROUP_STATES: Mapping[str, Callable[[GroupStats], bool]] = {
    "backpressure": lambda group: group.backpressure_active,
    "emergency": lambda group: group.emergency_mode,
    "paused": lambda group: group.paused,
}


def _groups(groups: Sequence[GroupStats], most: int) -> Iterator[Metric]:
    kinds = Counter(group.group.partition(".")[0] for group in groups)
    yield gauges(
        "vital_groups",
        "Channel-layer groups with figures here: of streams, and the one of connections.",
        ["kind"],
        {(kind,): kinds[kind] for kind in ("ecg", "control")},
    )
    labelled = [(group.group, [group]) for group in groups[:most]]
    if groups[most:]:
        labelled.append((OTHER, list(groups[most:])))
    for name, text, together, read in _OF_GROUPS:
        values = {
            (label,): together(known)
            for label, members in labelled
            if (known := [value for member in members if (value := read(member)) is not None])
        }
        yield gauges(f"vital_group_{name}", text, ["group"], values)
    found = {
        (label, state): any(map(holds, members))
        for label, members in labelled
        for state, holds in _GROUP_STATES.items()
    }
    yield gauges("vital_group_state", "1 where a viewer of it is in this state.", ["group", "state"], found)


# -- alarms and history


def _alarms(runtime: Runtime) -> Iterator[Metric]:
    desk, care = runtime.alarms, runtime.care
    counted = Counter((record.facts.severity, record.state) for record in desk.register.open())
    open_states = [state for state in AlarmState if state is not AlarmState.CLOSED]
    yield gauges(
        "vital_alarms_open",
        "Alarms that are open. Each process knows all: take the maximum over processes, not the sum.",
        ["severity", "state"],
        {
            (severity.value, state.value): counted[severity, state]
            for severity, state in product(AlarmSeverity, open_states)
        },
    )
    yield gauge(
        "vital_alarms_undisplayed",
        "Alarms that viewers here were told of and do not show yet, counted for each viewer.",
        desk.viewers.undisplayed,
    )
    text = "Steps of alarms that the journal's database has not committed."
    yield gauge("vital_alarm_journal_waiting_entries", text, care.waiting)
    text = "1 while alarms are stored; 0 while they are shown, and not stored."
    yield gauge("vital_alarm_journal_healthy", text, care.degraded is None)


def _open_alerts(counts: Mapping[tuple[str, Severity], int]) -> Iterator[Metric]:
    """Beyond MOST_RULES of them, those that come later by name share a label."""
    told = Counter[tuple[str, str]]()
    for index, ((rule, severity), count) in enumerate(sorted(counts.items())):
        told[rule if index < MOST_RULES else OTHER, severity.value] += count
    yield gauges(
        "vital_alert_open",
        "Open alerts of this process by rule; they are of the system, and no alarms of patients.",
        ["rule", "severity"],
        dict(told),
    )


def _history(recorder: Recorder) -> Iterator[Metric]:
    total = recorder.total
    text = "Chunks of ECG that the history's database has committed."
    yield counter("vital_history_stored_chunks", text, total.stored_chunks)
    yield counter("vital_history_stored_bytes", "Bytes of stored ECG.", total.stored_bytes, unit="bytes")
    yield counter("vital_history_lost_chunks", "Chunks of ECG that were given up.", total.lost_chunks)
    yield counter(
        "vital_history_lost_bytes", "Bytes of ECG that were given up.", total.lost_bytes, unit="bytes"
    )
    yield counter(
        "vital_history_lost_seconds", "Seconds of ECG that were given up.", total.lost_seconds, unit="seconds"
    )
    text = "Bytes of ECG that wait for the history's database."
    yield gauge("vital_history_waiting_bytes", text, recorder.waiting_bytes, unit="bytes")
    yield gauge("vital_history_healthy", "1 while ECG is stored.", recorder.fault is None)
