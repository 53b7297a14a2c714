"""What an alarm of the analysis, or of a device, says as every process and viewer hears it."""

from __future__ import annotations

from streaming.core.alarm_messages import DeviceAlarm
from streaming.core.alarm_record import AlarmFacts, AlarmOrigin, AlarmSeverity
from streaming.core.priority import MessagePriority
from streaming.core.streams import StreamInfo
from streaming.ecg.alarms import Alarm, AlarmKind, Condition, Evidence
from streaming.ecg.analysis import NO_DATA_S


def facts_of(info: StreamInfo, alarm: Alarm, revision: int) -> AlarmFacts:
    """Of an alarm that the analysis of `info` has raised, or told anew for the `revision`th time."""
    seen = alarm.condition.evidence
    return AlarmFacts(
        alarm=alarm.id,
        origin=AlarmOrigin.ANALYSIS,
        stream=info.stream,
        epoch=info.epoch,
        ward=info.ward,
        patient=info.patient,
        kind=alarm.kind.value,
        severity=alarm.severity,
        priority=alarm.priority,
        latching=alarm.latching,
        text=alarm.condition.text,
        value=float(seen.value),
        limit=float(seen.limit),
        unit=seen.unit,
        first=int(seen.first),
        stop=int(seen.stop),
        lead=seen.lead,
        sample=int(alarm.raised_at),
        condition_delay_s=float(alarm.condition_delay_s),
        signal_delay_s=float(alarm.signal_delay_s),
        revision=revision,
    )


def no_data_facts(info: StreamInfo, alarm: str) -> AlarmFacts:
    """Of a stream that no process has an analysis of, which would say so itself."""
    condition = Condition(AlarmKind.NO_DATA, Evidence(NO_DATA_S, NO_DATA_S, "s", 0, 0, ""))
    return facts_of(info, Alarm(alarm, condition, 0, 0.0, 0.0), 0)


def alarm_of(facts: AlarmFacts) -> Alarm:
    """The inverse, for an analysis that goes on where another has ended."""
    evidence = Evidence(
        facts.value or 0.0, facts.limit or 0.0, facts.unit, facts.first, facts.stop, facts.lead
    )
    condition = Condition(AlarmKind(facts.kind), evidence)
    return Alarm(facts.alarm, condition, facts.sample, facts.condition_delay_s, facts.signal_delay_s)


def device_facts(info: StreamInfo, alarm: str, said: DeviceAlarm) -> AlarmFacts:
    """Of an alarm that a device has raised itself; one of high severity is latching, whoever found it."""
    return AlarmFacts(
        alarm=alarm,
        origin=AlarmOrigin.DEVICE,
        stream=info.stream,
        epoch=info.epoch,
        ward=info.ward,
        patient=info.patient,
        kind=said.kind,
        severity=said.severity,
        priority=MessagePriority.CRITICAL,
        latching=said.severity is AlarmSeverity.HIGH,
        text=said.text,
        value=said.value,
        limit=said.limit,
        unit=said.unit,
        first=said.sample,
        stop=said.sample,
        lead=said.lead,
        sample=said.sample,
    )


def not_stored_facts(alarm: str) -> AlarmFacts:
    """Of the alarm that says that the journal takes no alarms."""
    return AlarmFacts(
        alarm=alarm,
        origin=AlarmOrigin.SYSTEM,
        stream="",
        epoch=0,
        ward="",
        patient="",
        kind="alarms not stored",
        severity=AlarmSeverity.TECHNICAL,
        priority=MessagePriority.CRITICAL,
        latching=False,
        text="ALARMS NOT STORED",
    )
