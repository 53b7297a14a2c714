"""A process's figures as Prometheus reads them: right, bounded, never less than before, read in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from prometheus_client.registry import Collector

from monitoring import prometheus
from monitoring.alert_rules import Severity
from monitoring.families import at_shares
from monitoring.pausing import READ_AT_ONCE
from monitoring.prometheus import MOST_RULES, metric_families
from streaming import alarm_care
from streaming.core.alarm_record import AlarmFacts, AlarmOrigin, AlarmRecord, AlarmSeverity
from streaming.core.items import LOST, DropReason
from streaming.core.overload import OverloadState
from streaming.core.priority import MessagePriority
from streaming.runtime import Runtime
from streaming.subscriber import Subscriber
from tests.fake_journal import FakeJournal, Store
from tests.fakes import virtual_time
from tests.viewers import Viewer, frames_of, stream_info

LABELS = {
    *("version", "python", "django", "channels", "process"),
    *(
        "state",
        "reason",
        "stage",
        "quantile",
        "rendition",
        "condition",
        "priority",
        "kind",
        "severity",
        "group",
        "rule",
    ),
}


@pytest.fixture(autouse=True)
def journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """No alarm of these tests is stored anywhere."""
    monkeypatch.setattr(alarm_care, "AlarmJournal", lambda **_: FakeJournal(Store()))


@asynccontextmanager
async def process(**watched: int) -> AsyncIterator[tuple[Runtime, list[Viewer]]]:
    """A process whose streams have so many viewers each."""
    runtime = Runtime(InMemoryChannelLayer(), shared=False, clock=asyncio.get_running_loop().time)
    await runtime.hub.start()
    viewers = []
    for stream, count in watched.items():
        for _ in range(count):
            viewer = Viewer()
            viewers.append(viewer)
            runtime.hub.add(viewer.subscriber)
            await runtime.hub.watch(viewer.subscriber, stream)
    try:
        yield runtime, viewers
    finally:
        for viewer in viewers:
            await viewer.subscriber.aclose()
        await runtime.hub.aclose()


async def read(runtime: Runtime | None, *, most_groups: int = 50, snapshots: Any = None) -> dict[str, float]:
    """Every sample, by its name and the values of its labels in the order of their names."""
    families = await metric_families(runtime, snapshots, most_groups=most_groups)
    return {
        " ".join([sample.name, *(value for _, value in sorted(sample.labels.items()))]): sample.value
        for family in families
        for sample in family.samples
    }


class Found(Collector):
    """Families as the encoders take them."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


async def flow(runtime: Runtime, viewers: list[Viewer], stream: str, frames: int) -> None:
    for index in range(frames):
        now = asyncio.get_running_loop().time()
        bundle = frames_of(stream_info(stream), index)
        runtime.hub.publish(replace(bundle, frames=(replace(bundle.frames[0], stamps=(now - 0.02, now)),)))
        await asyncio.sleep(0.1)  # the tick at which it leaves comes
        for viewer in viewers:
            await viewer.catch_up()


@virtual_time
async def test_a_process_that_starts_says_who_it_is() -> None:
    families = await metric_families(None, None, most_groups=50)
    assert [family.name for family in families] == ["vital_build", "vital_process_state"]
    assert (await read(None))["vital_process_state starting"] == 1


@virtual_time
async def test_both_formats_are_what_their_parsers_take_and_say_the_same() -> None:
    async with process(a=2, b=1) as (runtime, viewers):
        await flow(runtime, viewers, "a", 5)
        families = await metric_families(runtime, SimpleNamespace(lost=3), most_groups=1)  # type: ignore[arg-type]
        told = openmetrics(Found(families)).decode()  # type: ignore[no-untyped-call]
        strict = list(read_openmetrics(told))  # type: ignore[no-untyped-call]
        plain = list(read_text(generate_latest(Found(families)).decode()))
        samples = [
            {(s.name, *sorted(s.labels.items())): s.value for family in read for s in family.samples}
            for read in (strict, plain)
        ]
        assert samples[0] == samples[1]
        assert len(strict) == len(families) > 40


@virtual_time
async def test_every_label_is_one_whose_values_are_few() -> None:
    async with process(a=1) as (runtime, viewers):
        await flow(runtime, viewers, "a", 3)
        families = await metric_families(runtime, None, most_groups=50)
        assert {label for family in families for s in family.samples for label in s.labels} <= LABELS
        told = generate_latest(Found(families)).decode()
        assert stream_info("a").patient not in told
        assert f'"{stream_info("a").ward}"' not in told


@virtual_time
async def test_messages_are_those_of_the_tallies() -> None:
    async with process(a=2, b=1) as (runtime, viewers):
        await flow(runtime, viewers[:2], "a", 4)
        await flow(runtime, viewers[2:], "b", 1)
        tally = runtime.hub.tallies()["ecg.b"]
        tally.by_reason |= {reason: count for count, reason in enumerate(DropReason, start=1)}
        told = await read(runtime)
        assert told["vital_messages_offered_total"] == 2 * 4 + 1
        assert told["vital_messages_sent_total"] == 2 * 4 + 1
        sent = sum(tally.sent_bytes for tally in runtime.hub.tallies().values())
        assert told["vital_sent_bytes_total"] == sent > 0
        for reason in DropReason:
            assert told[f"vital_messages_dropped_total {reason}"] == tally.by_reason[reason]
        assert sum(tally.by_reason[reason] for reason in LOST) == tally.dropped


@virtual_time
async def test_totals_do_not_go_down_when_groups_are_forgotten() -> None:
    names = ("vital_messages_sent_total", "vital_sent_bytes_total", "vital_messages_dropped_total quota")
    async with process(a=1, b=1) as (runtime, viewers):
        for viewer, stream in zip(viewers, "ab", strict=True):
            await flow(runtime, [viewer], stream, 3)
        runtime.hub.tallies()["ecg.a"].by_reason[DropReason.QUOTA] = 7
        runtime.compression_for("ecg.a").compress(b"x" * 5000)
        before = await read(runtime)
        runtime.hub.remove(viewers[0].subscriber)
        await asyncio.sleep(100)  # a group is kept for a while after its last viewer left
        await runtime._forget_idle()
        assert runtime.hub.tallies().keys() == {"ecg.b"}
        after = await read(runtime)
        assert [after[name] for name in names] == [before[name] for name in names]
        for what in ("compressed_messages", "compression_input_bytes", "compression_output_bytes"):
            assert after[f"vital_{what}_total"] == before[f"vital_{what}_total"] > 0
        assert "vital_group_viewers ecg.a" in before.keys() - after.keys()


@virtual_time
async def test_viewers_are_counted_by_rendition_and_condition_and_empty_kinds_are_zero() -> None:
    async with process(a=3) as (runtime, _):
        told = await read(runtime)
        kinds = {name: count for name, count in told.items() if name.startswith("vital_viewers ")}
        assert len(kinds) == 25
        assert sum(kinds.values()) == 3


@virtual_time
async def test_queues_are_summed_over_the_viewers() -> None:
    async with process(a=2) as (runtime, viewers):
        for viewer in viewers:
            viewer.subscriber.tell("{}" * 100_000, priority=MessagePriority.NORMAL)
        told = await read(runtime)
        queued = sum(viewer.subscriber.handler.queued_bytes for viewer in viewers)
        in_flight = sum(viewer.subscriber.window.in_flight_bytes for viewer in viewers)
        assert told["vital_queued_messages normal"] == 2
        assert told["vital_queued_bytes"] == queued > 0
        assert told["vital_in_flight_bytes"] == in_flight


@virtual_time
async def test_a_bounded_number_of_groups_has_a_label_and_the_others_are_one() -> None:
    streams = {f"s{number}": 1 + number for number in range(6)}
    async with process(**streams) as (runtime, viewers):
        runtime.hub.tallies()["ecg.s5"].offered = 10
        runtime.hub.tallies()["ecg.s5"].by_reason[DropReason.QUOTA] = 5
        told = await read(runtime, most_groups=2)
        labelled = {name.split()[1]: value for name, value in told.items() if "vital_group_viewers " in name}
        assert labelled == {"ecg.s0": 1, "ecg.s1": 2, "other": 3 + 4 + 5 + 6}
        assert told["vital_group_drop_ratio other"] == 0.5
        assert told["vital_groups ecg"] == 6
        nobody = await read(runtime, most_groups=0)
        assert [name for name in nobody if name.startswith("vital_group_viewers")] == [
            "vital_group_viewers other"
        ]
        assert sum(viewer.subscriber in runtime.hub.subscribers() for viewer in viewers) == 21


@virtual_time
async def test_the_event_loop_has_its_turn_after_so_many_viewers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with process(a=READ_AT_ONCE + 30, b=READ_AT_ONCE) as (runtime, _):
        reads: list[int] = [0]
        coarsest: Any = Subscriber.coarsest

        def counted(subscriber: Subscriber) -> Any:
            reads[-1] += 1
            return coarsest.fget(subscriber)

        async def turn() -> None:
            while True:
                reads.append(0)
                await asyncio.sleep(0)

        monkeypatch.setattr(Subscriber, "coarsest", property(counted))
        other = asyncio.create_task(turn())
        await metric_families(runtime, None, most_groups=50)
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)
        assert sum(reads) == 2 * READ_AT_ONCE + 30
        assert 2 * max(reads) <= READ_AT_ONCE  # each has a queue for its stream, and one for the connection


@virtual_time
async def test_viewers_who_leave_meanwhile_do_no_harm() -> None:
    async with process(a=READ_AT_ONCE + 30) as (runtime, viewers):
        scrape = asyncio.create_task(metric_families(runtime, None, most_groups=50))
        await asyncio.sleep(0)
        for viewer in viewers:
            runtime.hub.remove(viewer.subscriber)
            await viewer.subscriber.aclose()
        assert await scrape


@virtual_time
async def test_open_alerts_are_counted_by_rule_and_the_rules_are_bounded() -> None:
    counts = {("Loss", Severity.WARNING): 2, ("Loss", Severity.CRITICAL): 1, ("Age", Severity.INFO): 0}
    async with process() as (runtime, _):

        async def told(by_rule: dict[tuple[str, Severity], int]) -> dict[str, float]:
            alerts: Any = SimpleNamespace(counts=lambda: by_rule)
            families = await metric_families(runtime, None, alerts, most_groups=50)
            return {
                " ".join((sample.labels["rule"], sample.labels["severity"])): sample.value
                for family in families
                if family.name == "vital_alert_open"
                for sample in family.samples
            }

        assert await told(counts) == {"Loss warning": 2, "Loss critical": 1, "Age info": 0}
        many = {(f"rule {index:04}", Severity.WARNING): 1 for index in range(MOST_RULES + 20)}
        bounded = await told(many)
        assert len(bounded) == MOST_RULES + 1
        assert bounded["other warning"] == 20
        assert sum(bounded.values()) == len(many)


@virtual_time
async def test_states_name_the_one_that_holds() -> None:
    async with process() as (runtime, _):
        runtime.hub.overload.read(0.0, 10**9, 0.0)
        runtime.hub.link.healthy = False
        runtime.hub.link.lost_messages = 9
        runtime.recorder.fault = "disk full"
        runtime.stopping = True
        told = await read(runtime, snapshots=SimpleNamespace(lost=5))
        states = {state: told[f"vital_overload_state {state}"] for state in OverloadState}
        assert states == {"normal": 0, "shedding": 0, "emergency": 1}
        assert told["vital_process_state stopping"] == 1
        assert told[f"vital_process_info {runtime.process_id}"] == 1
        assert (told["vital_layer_healthy"], told["vital_layer_lost_messages_total"]) == (0, 9)
        assert (told["vital_history_healthy"], told["vital_alarm_journal_healthy"]) == (0, 1)
        assert told["vital_snapshot_rows_lost_total"] == 5


def facts(alarm: str, severity: AlarmSeverity) -> AlarmFacts:
    priority = MessagePriority.CRITICAL
    told = ("a", 1, "ward", "P-1", "asystole", severity, priority, True, "ASYSTOLE")
    return AlarmFacts(alarm, AlarmOrigin.ANALYSIS, *told)


@virtual_time
async def test_open_alarms_are_counted_by_severity_and_state() -> None:
    async with process() as (runtime, _):
        high = [AlarmRecord(facts(f"h{number}", AlarmSeverity.HIGH), 0.0) for number in range(3)]
        ended = AlarmRecord(facts("e", AlarmSeverity.HIGH), 0.0, cleared_ms=1.0)
        over = AlarmRecord(facts("o", AlarmSeverity.LOW), 0.0, cleared_ms=1.0, acknowledged_ms=2.0)
        for record in (*high, ended, over):
            runtime.alarms.register.take(record, 0.0)
        told = await read(runtime)
        assert told["vital_alarms_open high active"] == 3
        assert told["vital_alarms_open high ended"] == 1
        assert sum(count for name, count in told.items() if name.startswith("vital_alarms_open ")) == 4
        assert not [name for name in told if name.endswith(" closed")]


@virtual_time
async def test_stages_are_not_there_until_a_message_was_followed() -> None:
    async with process(a=1) as (runtime, viewers):
        assert not [name for name in await read(runtime) if "stage" in name]
        await flow(runtime, viewers, "a", 3)
        told = await read(runtime)
        stages = {name.split()[2] for name in told if name.startswith("vital_message_stage_seconds ")}
        assert stages == {"encoded", "published", "queued", "written", "acked", "total"}
        assert {name.split()[1] for name in told if "_stage_" in name} == {"0.5", "0.95", "0.99", "1"}


def test_quantiles_are_values_that_were_measured() -> None:
    assert at_shares([5.0]) == [5.0] * 4
    assert at_shares(float(value) for value in range(100, -1, -1)) == [50.0, 95.0, 99.0, 100.0]


def test_the_build_is_that_of_the_project() -> None:
    assert set(prometheus._build()) == {"version", "python", "django", "channels"}
    assert all(prometheus._build().values())
