"""An alarm is stored, then told, to all who may see it and nobody else, until they say that it is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Hashable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer

from streaming.alarm_desk import ABANDONED_S, ORPHAN_S, STORED_FOR_S, STRAY_S, AlarmDesk
from streaming.alarm_facts import facts_of
from streaming.alarm_steps import FOREIGN_S, MOST_ENDED, STORE_DEADLINE_S
from streaming.alarm_viewers import URGENT_ROOM_BYTES, AlarmViewer
from streaming.core.alarm_messages import DeviceAlarm
from streaming.core.alarm_record import AlarmRecord, AlarmSeverity, AlarmStep
from streaming.core.streams import StreamInfo
from streaming.ecg.alarm_limits import AlarmSettings
from streaming.ecg.alarms import Alarm, AlarmEvent, AlarmKind, Change, Condition, Evidence
from streaming.exceptions import ForbiddenError, RateLimitError
from streaming.layer_link import LayerLink
from tests.fake_journal import FakeJournal, Store
from tests.fakes import virtual_time
from tests.viewers import Viewer, stream_info

INFO = stream_info("a")
OTHER = stream_info("b")
MAY = frozenset({"acknowledge", "pause_audio", "switch_off"})


def alarm(kind: AlarmKind = AlarmKind.ASYSTOLE, number: str = "1", value: float = 4.25) -> Alarm:
    evidence = Evidence(value, 4.0, "s", 100, 2200, "II")
    return Alarm(number, Condition(kind, evidence), 2200, value, 0.0)


def raised(*args: Any, **kwargs: Any) -> AlarmEvent:
    return AlarmEvent(Change.RAISED, alarm(*args, **kwargs), 2200)


def updated(*args: Any, **kwargs: Any) -> AlarmEvent:
    return AlarmEvent(Change.UPDATED, alarm(*args, **kwargs), 2700)


def ended(*args: Any, **kwargs: Any) -> AlarmEvent:
    return AlarmEvent(Change.ENDED, alarm(*args, **kwargs), 3000)


def lethal(number: str) -> AlarmRecord:
    """One that another process has raised."""
    return AlarmRecord(facts_of(INFO, alarm(number=number), 0), 1.0)


class Page(Viewer):
    """A viewer that is told of alarms."""

    def __init__(self, desk: AlarmDesk, streams: Collection[str], who: Hashable) -> None:
        super().__init__()
        self.seat = AlarmViewer(self.subscriber, who, f"user:{who}", frozenset(streams), MAY)
        self.desk = desk

    def alarms(self) -> list[tuple[str, str]]:
        """Every alarm message: id and state."""
        return [(message["alarm"], message["state"]) for message in self.messages("alarm")]

    async def lives(self, seconds: int) -> None:
        """Acknowledge for so long."""
        for _ in range(seconds):
            await asyncio.sleep(1.0)
            self.ack()

    def shows(self, *alarms: str, hidden: bool = False) -> None:
        self.desk.displayed(self.seat, alarms, hidden=hidden)


class Process:
    """A desk with a link of its own to the layer that all share."""

    def __init__(self, name: str, layer: Any, store: Store) -> None:
        loop = asyncio.get_running_loop()
        self.deaf = False
        self.utc_offset_ms = 0.0
        self.link = LayerLink(layer, self._hear)
        self.journal = FakeJournal(store)
        numbers = iter(range(10**6))
        self.desk = AlarmDesk(
            self.journal,
            self.link,
            process_id=name,
            clock=loop.time,
            utc_ms=lambda: 1000 * loop.time() + self.utc_offset_ms,
            new_id=lambda: f"n{next(numbers)}",
        )
        self.pages: list[Page] = []

    def _hear(self, message: dict[str, Any]) -> None:
        if not self.deaf:
            self.desk.hear(message)

    async def page(self, *streams: str, who: Hashable = "ann") -> Page:
        page = Page(self.desk, streams, who)
        self.pages.append(page)
        self.desk.viewers.enter(page.seat)
        await self.desk.attend(["ward"])
        await settle()
        return page


@asynccontextmanager
async def processes(*names: str, store: Store | None = None) -> AsyncIterator[list[Process]]:
    layer, store = InMemoryChannelLayer(), store or Store()
    made = [Process(name, layer, store) for name in names]
    for process in made:
        await process.link.start()
    try:
        yield made
    finally:
        for process in made:
            for page in process.pages:
                await page.subscriber.aclose()
            await process.link.aclose()


async def settle(seconds: float = 0.01) -> None:
    """In virtual time: whatever is on its way arrives."""
    await asyncio.sleep(seconds)


@virtual_time
async def test_an_alarm_is_stored_before_it_is_told() -> None:
    store = Store()
    async with processes("here", store=store) as [here]:
        page = await here.page("a")
        here.desk.take(INFO, [raised()])
        await asyncio.sleep(0)
        assert page.alarms() == []
        await settle()
        assert page.alarms() == [("1", "active")]
        [message] = page.messages("alarm")
        assert message["text"] == "ASYSTOLE 4.2 >= 4 s"
        assert (message["severity"], message["priority"], message["unstored"]) == ("high", "critical", False)
        assert store.steps("1") == [AlarmStep.RAISED, AlarmStep.PUBLISHED]


@virtual_time
async def test_where_storing_takes_long_it_is_told_first_and_says_so() -> None:
    store = Store()
    async with processes("here", store=store) as [here]:
        page = await here.page("a")
        here.journal.lock()
        here.desk.take(INFO, [raised()])
        await settle(STORE_DEADLINE_S - 0.01)
        assert page.alarms() == []
        await settle(0.02)
        assert page.alarms() == [("1", "active")]
        assert page.messages("alarm")[-1]["unstored"]
        page.ack()
        here.desk.take(INFO, [updated(value=6.0)])
        await settle(5.0)
        assert page.messages("alarm")[-1]["value"] == 6.0
        here.journal.unlock()
        await settle()
        last = page.messages("alarm")[-1]
        assert (last["alarm"], last["unstored"]) == ("1", False)
        assert store.steps("1") == [AlarmStep.RAISED, AlarmStep.PUBLISHED, AlarmStep.UPDATED]
        stored = store.record("1")
        assert stored is not None
        assert stored.facts.value == 6.0


@virtual_time
async def test_while_nothing_is_stored_everybody_is_told_and_when_that_is_over() -> None:
    async with processes("here") as [here]:
        page = await here.page()
        here.journal.lock()
        here.desk.tend()
        here.desk.tend()
        await settle()
        [message] = page.messages("alarm")
        assert (message["text"], message["severity"]) == ("ALARMS NOT STORED", "technical")
        assert (message["stream"], message["origin"]) == ("", "system")
        page.shows(message["alarm"])
        here.journal.unlock()
        await page.lives(round(STORED_FOR_S) - 1)
        here.desk.tend()
        here.journal.lock()
        here.desk.tend()
        here.journal.unlock()
        await page.lives(round(STORED_FOR_S) - 1)
        here.desk.tend()
        assert [state for _, state in page.alarms()] == ["active"]
        await page.lives(1)
        here.desk.tend()
        await settle()
        assert [state for _, state in page.alarms()] == ["active", "closed"]
        here.journal.lock()
        here.desk.tend()
        await settle()
        first, _, second = page.messages("alarm")
        assert first["alarm"] != second["alarm"]


@virtual_time
async def test_viewers_of_another_process_are_told_over_the_layer() -> None:
    async with processes("here", "there") as [here, there]:
        page = await there.page("a")
        here.desk.take(INFO, [raised()])
        await settle()
        assert page.alarms() == [("1", "active")]
        here.desk.take(INFO, [ended()])
        await settle()
        there.desk.acknowledge(page.seat, "1", by="ann")
        await settle()
        assert page.alarms() == [("1", "active"), ("1", "ended"), ("1", "closed")]
        await here.desk.poll()  # nobody watches here: the layer brings nothing
        assert here.desk.register.open() == []


@virtual_time
async def test_what_the_layer_loses_is_found_in_the_journal() -> None:
    async with processes("here", "there") as [here, there]:
        page = await there.page("a")
        there.deaf = True
        here.desk.take(INFO, [raised()])
        await settle()
        assert page.alarms() == []
        await there.desk.poll()
        await settle()
        assert page.alarms() == [("1", "active")]
        await there.desk.poll()
        there.deaf = False
        here.desk.take(INFO, [updated(value=9.0)])
        await settle()
        assert [m["text"] for m in page.messages("alarm")] == ["ASYSTOLE 4.2 >= 4 s", "ASYSTOLE 9.0 >= 4 s"]


@virtual_time
async def test_what_cannot_be_read_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    async with processes("here") as [here]:
        page = await here.page("a")
        here.desk.hear({"type": "vital.alarm", "origin": "there", "record": {"facts": {}}})
        here.desk.hear({"type": "vital.alarm", "origin": "there"})
        await settle()
        assert page.alarms() == []
        assert "cannot be read" in caplog.text


@virtual_time
async def test_nobody_is_told_of_a_patient_that_is_not_theirs() -> None:
    async with processes("here") as [here]:
        of_a, of_b = await here.page("a"), await here.page("b", who="bob")
        here.desk.take(INFO, [raised(number="1")])
        here.desk.take(OTHER, [raised(number="2")])
        await settle()
        assert of_a.alarms() == [("1", "active")]
        assert of_b.alarms() == [("2", "active")]
        with pytest.raises(ForbiddenError):
            here.desk.acknowledge(of_a.seat, "2", by="ann")
        of_a.shows("2")
        assert of_b.subscriber.alarms.undisplayed == 1


@virtual_time
async def test_who_may_see_more_is_told_more_and_who_may_see_less_no_more() -> None:
    async with processes("here") as [here]:
        page = await here.page("a")
        here.desk.take(INFO, [raised(number="1")])
        here.desk.take(OTHER, [raised(number="2")])
        await settle()
        here.desk.viewers.see(page.seat, frozenset({"b"}), MAY)
        await settle()
        assert page.alarms() == [("1", "active"), ("2", "active")]
        assert page.messages("alarm_withdrawn") == [{"type": "alarm_withdrawn", "alarm": "1"}]
        assert page.messages("alarms")[-1]["count"] == 1
        here.desk.take(INFO, [ended(number="1")])
        await settle()
        assert ("1", "ended") not in page.alarms()
        told = len(page.messages("alarms"))
        here.desk.viewers.see(page.seat, frozenset({"b"}), MAY)
        await settle()
        assert len(page.messages("alarms")) == told


@virtual_time
async def test_who_connects_is_told_what_is_open_the_gravest_first_and_then_that_this_was_all() -> None:
    async with processes("here") as [here]:
        here.desk.take(INFO, [raised(AlarmKind.HR_HIGH, "1"), raised(AlarmKind.NO_SIGNAL, "2")])
        here.desk.take(INFO, [raised(AlarmKind.FIBRILLATION, "3")])
        await settle()
        page = await here.page("a")
        kinds = [message["type"] for message in page.received if isinstance(message, dict)]
        assert kinds == ["alarm", "alarm", "alarm", "alarms"]
        assert [message["alarm"] for message in page.messages("alarm")] == ["3", "1", "2"]
        [told] = page.messages("alarms")
        assert told == {
            "type": "alarms",
            "count": 3,
            "may": ["acknowledge", "pause_audio", "switch_off"],
            "paused_until_ms": None,
        }


@virtual_time
async def test_a_hospital_full_of_alarms_does_not_cut_who_connects() -> None:
    async with processes("here") as [here]:
        ids = [f"{number:032x}" for number in range(4000)]
        here.desk.begin([lethal(alarm) for alarm in ids])
        page = await here.page("a")
        while page.messages("alarms") == []:
            page.ack()
            await settle()
        assert page.cuts == []
        assert [alarm for alarm, _ in page.alarms()] == ids
        assert page.messages("alarms")[0]["count"] == len(ids)


@virtual_time
async def test_what_is_lethal_is_told_before_all_else_that_waits() -> None:
    async with processes("here") as [here]:
        there = [f"{number:032x}" for number in range(1000)]
        here.desk.begin([replace(lethal(alarm), acknowledged_ms=2.0) for alarm in there])
        page = await here.page("a")
        here.desk.take(INFO, [raised(AlarmKind.NO_SIGNAL, "technical")])
        here.desk.take(INFO, [raised(number="lethal")])
        await settle(STORE_DEADLINE_S + 0.1)
        before = len(page.alarms())
        while "technical" not in {alarm for alarm, _ in page.alarms()}:
            page.ack()
            await settle(0.02)
        told = [alarm for alarm, _ in page.alarms()]
        assert told.index("lethal") - before <= URGENT_ROOM_BYTES // 300
        assert told.index("lethal") < told.index("technical") < len(there) // 2


@virtual_time
async def test_of_updates_that_come_while_one_is_not_on_disk_the_newest_follows() -> None:
    store = Store()
    async with processes("here", store=store) as [here]:
        page = await here.page("a")
        here.desk.take(INFO, [raised()])
        await settle()
        here.journal.lock()
        here.desk.take(INFO, [updated(value=value) for value in (5.0, 7.0, 9.0)])
        await settle(1.0)
        here.journal.unlock()
        await settle(1.0)
        told = [(message["revision"], message["value"]) for message in page.messages("alarm")]
        assert told == [(0, 4.25), (1, 5.0), (2, 9.0)]


@virtual_time
async def test_of_many_that_have_ended_at_one_bed_the_newest_wait_for_somebody() -> None:
    store = Store()
    async with processes("here", store=store) as [here]:
        for number in range(MOST_ENDED + 10):
            here.desk.take(INFO, [raised(number=str(number))])
            await settle(1.0)
            here.desk.take(INFO, [ended(number=str(number))])
            await settle(1.0)
        waiting = {record.alarm for record in here.desk.register.open()}
        assert waiting == {str(number) for number in range(10, MOST_ENDED + 10)}
        assert [entry.actor for entry in store.entries if entry.alarm == "3"][-1] == "system:superseded"


@virtual_time
async def test_what_one_may_not_see_any_more_is_withdrawn_in_the_place_where_it_waits() -> None:
    async with processes("here") as [here]:
        page = await here.page("a", "b")
        page.socket.hold()
        here.desk.take(OTHER, [raised(number="under way")])
        await settle()
        here.desk.take(INFO, [raised(AlarmKind.LEAD_OFF, "1")])
        await settle(STORE_DEADLINE_S + 0.1)
        here.desk.viewers.see(page.seat, frozenset({"b"}), MAY)
        page.socket.release()
        await settle()
        assert page.alarms() == [("under way", "active")]
        assert page.messages("alarm_withdrawn") == [{"type": "alarm_withdrawn", "alarm": "1"}]


@virtual_time
async def test_a_stream_that_was_left_alone_is_said_to_send_no_data_once_by_all() -> None:
    store = Store()
    async with processes("here", "there", store=store) as [here, there]:
        page = await there.page("a")
        await there.desk.attend(["ward"])
        for _ in range(4):
            assert page.alarms() == []
            for process in (here, there):
                process.desk.tend_abandoned({INFO: "7"})
            await page.lives(round(ABANDONED_S / 3))
        for process in (here, there):
            process.desk.tend_abandoned({INFO: "7"})
        await settle()
        assert {alarm for alarm, _ in page.alarms()} == {"a.1.7"}
        [record] = here.desk.register.open()
        assert (record.facts.text, record.facts.severity) == ("NO DATA", AlarmSeverity.TECHNICAL)
        assert [alarm.kind for alarm in here.desk.standing(INFO)] == [AlarmKind.NO_DATA]
        here.desk.standing(replace(INFO, epoch=2))
        await settle()
        assert page.alarms()[-1][1] == "closed"
        off = {"a": AlarmSettings(is_off=True)}
        here.desk.apply_settings(off)
        for _ in range(2):
            here.desk.tend_abandoned({INFO: "8"})
            await settle(ABANDONED_S)
        assert here.desk.register.open() == []


@virtual_time
async def test_an_alarm_is_sent_again_until_people_see_it() -> None:
    store = Store()
    async with processes("here", store=store) as [here]:
        page = await here.page("a")
        here.desk.take(INFO, [raised()])
        await settle()
        page.ack()
        for _ in range(4):
            await settle(0.5)
            here.desk.tend()
        assert len(page.alarms()) == 1
        for _ in range(4):
            await settle(0.5)
            here.desk.tend()
        await settle()
        assert page.alarms() == [("1", "active"), ("1", "active")]
        page.ack()
        page.shows("1", hidden=True)
        page.shows("1")
        for _ in range(40):
            await settle(0.5)
            here.desk.tend()
        await settle()
        assert len(page.alarms()) == 2
        assert store.steps("1") == [AlarmStep.RAISED, AlarmStep.PUBLISHED, AlarmStep.DISPLAYED]
        assert [entry.hidden for entry in store.entries] == [False, False, True]
        assert store.entries[-1].actor == "user:ann"


@virtual_time
async def test_the_journal_keeps_the_first_display_alone() -> None:
    store = Store()
    async with processes("here", store=store) as [here]:
        ann, bob = await here.page("a"), await here.page("a", who="bob")
        here.desk.take(INFO, [raised()])
        await settle()
        bob.shows("1")
        ann.shows("1")
        await settle()
        assert [entry.actor for entry in store.entries if entry.step is AlarmStep.DISPLAYED] == ["user:bob"]


@virtual_time
async def test_an_acknowledged_alarm_is_told_with_who_did_it_and_closes_with_its_condition() -> None:
    store = Store()
    async with processes("here", store=store) as [here]:
        page, other = await here.page("a"), await here.page("a", who="bob")
        here.desk.take(INFO, [raised()])
        await settle()
        here.desk.acknowledge(page.seat, "1", by="Ann")
        here.desk.acknowledge(other.seat, "1", by="Bob")  # a moment later
        await settle()
        assert other.messages("alarm")[-1]["acknowledged_by"] == "Ann"
        here.desk.take(INFO, [ended()])
        await settle()
        assert other.alarms() == [("1", "active"), ("1", "acknowledged"), ("1", "closed")]
        assert store.steps("1").count(AlarmStep.ACKNOWLEDGED) == 1
        with pytest.raises(ForbiddenError):
            here.desk.acknowledge(page.seat, "1", by="Ann")


@virtual_time
async def test_a_pause_holds_on_all_pages_of_a_user_until_a_new_alarm_breaks_it() -> None:
    async with processes("here") as [here]:
        one, two, other = await here.page("a"), await here.page("a"), await here.page("a", who="bob")
        here.desk.viewers.pause(one.seat, 120)
        here.desk.viewers.pause(other.seat, 120)
        await settle()
        assert one.messages("audio") == two.messages("audio")
        assert one.messages("audio")[-1]["paused_until_ms"] is not None
        here.desk.take(OTHER, [raised(number="9")])  # not theirs
        here.desk.take(INFO, [raised(number="1")])
        await settle()
        for page in (one, two, other):
            assert page.messages("audio")[-1] == {"type": "audio", "paused_until_ms": None, "broken_by": "1"}
        here.desk.viewers.pause(one.seat, 120)
        here.desk.take(INFO, [updated(value=8.0), ended()])
        await settle()
        assert one.messages("audio")[-1]["paused_until_ms"] is not None
        back = await here.page("a")
        assert back.messages("alarms")[0]["paused_until_ms"] is not None


@virtual_time
async def test_an_alarm_that_comes_while_a_user_reconnects_breaks_the_pause_too() -> None:
    async with processes("here") as [here]:
        page = await here.page("a")
        here.desk.viewers.pause(page.seat, 120)
        here.desk.viewers.leave(page.seat)
        here.desk.take(INFO, [raised()])
        await settle()
        back = await here.page("a")
        assert back.messages("alarms")[0]["paused_until_ms"] is None


@virtual_time
async def test_a_time_of_day_that_is_set_back_makes_no_pause_longer() -> None:
    async with processes("here") as [here]:
        page = await here.page("a")
        here.desk.viewers.pause(page.seat, 120)
        here.utc_offset_ms = -3_600_000.0
        await page.lives(119)
        [known] = (await here.page("a")).messages("alarms")
        now_ms = 1000 * asyncio.get_running_loop().time() + here.utc_offset_ms
        assert 900 < known["paused_until_ms"] - now_ms < 1100
        await page.lives(2)
        assert (await here.page("a")).messages("alarms")[0]["paused_until_ms"] is None


@virtual_time
async def test_an_analysis_goes_on_with_the_alarms_of_its_epoch_and_ends_older_ones() -> None:
    store = Store()
    async with processes("here", "there", store=store) as [here, there]:
        newer = replace(INFO, epoch=2)
        here.desk.take(INFO, [raised(number="1")])
        here.desk.take(
            newer, [raised(number="2"), raised(AlarmKind.HR_LOW, "3"), ended(AlarmKind.HR_LOW, "3")]
        )
        await settle()
        await there.desk.poll()
        assert [known.id for known in there.desk.standing(newer)] == ["2"]
        assert there.desk.standing(newer) == [alarm(number="2")]
        await settle()
        assert AlarmStep.CLEARED in store.steps("1")


@virtual_time
async def test_what_the_analysis_of_its_stream_does_not_have_on_is_ended_after_a_while() -> None:
    async with processes("here", "there") as [here, there]:
        page, newer = await here.page("a"), replace(INFO, epoch=2)
        there.desk.take(INFO, [raised(AlarmKind.HR_HIGH, "late"), raised(AlarmKind.HR_LOW, "1")])
        there.desk.take(replace(INFO, epoch=3), [raised(number="newer")])
        await Bedside(there, newer).says(device_says())
        await Bedside(there).says(device_says())  # of a session that is over
        await settle()
        assert here.desk.settle(newer, ["1"]) == []
        await page.lives(round(STRAY_S) - 1)
        assert here.desk.settle(newer, ["1"]) == []
        here.desk.tend()
        await settle()
        assert {state for _, state in page.alarms()} == {"active"}
        await page.lives(1)
        assert here.desk.settle(newer, ["1"]) == []
        await settle()
        over = {alarm for alarm, state in page.alarms() if state != "active"}
        assert over == {"late", "a.1.d1"}


@virtual_time
async def test_an_analysis_is_told_which_of_its_alarms_others_have_ended() -> None:
    async with processes("here", "there") as [here, there]:
        await here.page("a")
        here.desk.take(INFO, [raised(number="1"), raised(AlarmKind.HR_HIGH, "2")])
        await settle()
        await there.desk.poll()
        there.desk.take(INFO, [ended(number="1")])
        await settle()
        assert here.desk.settle(INFO, ["1", "2", "forgotten"]) == ["1", "forgotten"]


def device_says(on: bool = True, alarm: str = "d1") -> DeviceAlarm:
    if not on:
        return DeviceAlarm(alarm, False, 900)
    return DeviceAlarm(alarm, True, 700, "vent tachy", AlarmSeverity.HIGH, "VENT TACHY 182 > 100", 182.0)


class Bedside:
    """A device that raises alarms, and counts what is confirmed."""

    def __init__(self, process: Process, info: StreamInfo = INFO) -> None:
        self.process, self.info = process, info
        self.confirmed = 0

    async def says(self, alarm: DeviceAlarm) -> None:
        await self.process.desk.devices.take(self.info, alarm, actor="device:1", on_durable=self._confirmed)

    def _confirmed(self) -> None:
        self.confirmed += 1


@virtual_time
async def test_an_alarm_of_a_device_is_confirmed_once_it_is_on_disk_and_taken_once() -> None:
    store = Store()
    async with processes("here", store=store) as [here]:
        page, device = await here.page("a"), Bedside(here)
        here.journal.lock()
        await device.says(device_says())
        await settle(0.1)
        assert device.confirmed == 0
        await device.says(device_says())  # it is not confirmed yet
        await settle(0.2)
        assert device.confirmed == 2
        here.journal.unlock()
        await device.says(device_says())
        await settle()
        assert device.confirmed == 3
        assert {known for known, _ in page.alarms()} == {"a.1.d1"}
        assert store.steps("a.1.d1").count(AlarmStep.RAISED) == 1
        await device.says(device_says(on=False))
        await device.says(device_says(on=False))
        await settle()
        assert page.alarms()[-1] == ("a.1.d1", "ended")
        assert store.steps("a.1.d1").count(AlarmStep.CLEARED) == 1


@virtual_time
async def test_an_alarm_of_a_device_that_another_process_has_closed_is_not_opened_again() -> None:
    async with processes("here", "there") as [here, there]:
        first, again = Bedside(here), Bedside(there)
        await first.says(device_says())
        await settle()
        here.desk.acknowledge((await here.page("a")).seat, "a.1.d1", by="ann")
        await first.says(device_says(on=False))
        await settle()
        page = await there.page("a")
        await again.says(device_says())
        await settle()
        assert (page.alarms(), again.confirmed) == ([], 1)


@virtual_time
async def test_what_a_dead_process_told_and_did_not_store_is_stored_by_who_heard_it() -> None:
    store = Store()
    async with processes("here", "there", store=store) as [here, there]:
        page = await there.page("a")
        here.journal.lock()
        here.desk.take(INFO, [raised(number="1")])
        await settle(STORE_DEADLINE_S + 0.01)
        assert page.messages("alarm")[-1]["unstored"]
        here.journal.die()
        for _ in range(round(FOREIGN_S) + 1):
            await page.lives(1)
            there.desk.tend()
        await page.lives(1)
        assert not page.messages("alarm")[-1]["unstored"]
        assert store.steps("1").count(AlarmStep.RAISED) == 1


@virtual_time
async def test_a_device_that_says_again_what_a_dead_process_did_not_store_is_confirmed_once_it_is() -> None:
    store = Store()
    async with processes("here", "there", store=store) as [here, there]:
        await there.page("a")
        here.journal.lock()
        await Bedside(here).says(device_says())
        await settle(STORE_DEADLINE_S + 0.01)
        here.journal.die()
        again = Bedside(there)
        await again.says(device_says())
        assert again.confirmed == 0
        await settle()
        assert again.confirmed == 1
        assert store.steps("a.1.d1") == [AlarmStep.RAISED]


@virtual_time
async def test_an_end_is_told_once_it_is_on_disk_and_no_sooner() -> None:
    async with processes("here") as [here]:
        page = await here.page("a")
        here.desk.take(INFO, [raised()])
        await settle()
        here.journal.lock()
        here.desk.take(INFO, [ended(), ended()])
        late = await here.page("a", who="bob")
        assert late.alarms() == [("1", "active")]
        assert here.desk.standing(INFO) == []
        await settle(0.1)
        assert page.alarms() == [("1", "active")]
        await settle(0.2)
        assert page.alarms() == [("1", "active"), ("1", "ended")]


@virtual_time
@pytest.mark.parametrize("is_off", [False, True])
async def test_the_end_of_an_alarm_that_is_in_a_dead_process_s_spool_alone_is_stored(is_off: bool) -> None:
    store = Store()
    async with processes("here", "there", store=store) as [here, there]:
        device, again, there.deaf = Bedside(here), Bedside(there), True
        here.journal.lock()
        await device.says(replace(device_says(), severity=AlarmSeverity.MEDIUM))
        await settle(STORE_DEADLINE_S + 0.1)
        spooled = here.journal.die()
        there.desk.apply_settings({"a": AlarmSettings(is_off=is_off)})
        await again.says(device_says(on=False))
        assert again.confirmed == 0
        await settle()
        assert again.confirmed == 1
        store.entries += spooled
        await there.desk.poll()
        known = there.desk.register.get("a.1.d1")
        assert known is not None
        assert known.is_closed
        assert store.steps("a.1.d1") == [AlarmStep.CLEARED, AlarmStep.RAISED]


@virtual_time
async def test_what_two_connections_of_a_device_say_at_once_is_raised_once() -> None:
    store = Store()
    async with processes("here", store=store) as [here]:
        device = Bedside(here)
        answer = asyncio.Event()

        async def slow(alarm: str) -> AlarmRecord | None:
            await answer.wait()
            return store.record(alarm)

        here.journal.find = slow  # type: ignore[method-assign]
        both = [asyncio.ensure_future(device.says(device_says())) for _ in range(2)]
        await settle()
        answer.set()
        await asyncio.gather(*both)
        await settle()
        assert store.steps("a.1.d1") == [AlarmStep.RAISED, AlarmStep.PUBLISHED]
        assert device.confirmed == 2


@virtual_time
async def test_an_acknowledgement_that_is_stored_does_not_make_its_alarm_so() -> None:
    async with processes("here", "there") as [here, there]:
        there.journal.lock()
        page = await here.page("a")
        there.desk.take(INFO, [raised()])
        await page.lives(1)
        here.desk.acknowledge(page.seat, "1", by="ann")
        await settle()
        assert [message["unstored"] for message in page.messages("alarm")] == [True, True]
        there.journal.unlock()
        await settle()
        assert page.messages("alarm")[-1]["unstored"] is False


@virtual_time
async def test_what_was_withheld_of_an_epoch_that_is_over_is_not_told() -> None:
    async with processes("here") as [here]:
        page = await here.page("a")
        here.desk.apply_settings({"a": AlarmSettings(is_off=True)})
        await Bedside(here).says(device_says(alarm="before"))
        newer = replace(INFO, epoch=2)
        here.desk.standing(newer)
        await Bedside(here, newer).says(device_says(alarm="now"))
        await settle()
        here.desk.apply_settings({})
        await settle()
        assert page.alarms() == [("a.2.now", "active")]


@virtual_time
async def test_an_alarm_of_a_kind_that_is_not_known_here_keeps_no_device_out() -> None:
    async with processes("here") as [here]:
        here.desk.take(INFO, [raised(number="1")])
        facts = replace(here.desk.register.open()[0].facts, alarm="2", kind="of a later version")
        here.desk.begin([AlarmRecord(facts, 1.0)])
        assert [known.id for known in here.desk.standing(INFO)] == ["1"]


@virtual_time
async def test_a_device_has_at_most_so_many_alarms_on_at_once() -> None:
    async with processes("here") as [here]:
        device = Bedside(here)
        for number in range(64):
            await device.says(device_says(alarm=f"d{number}"))
        with pytest.raises(RateLimitError):
            await device.says(device_says(alarm="one-more"))
        await device.says(device_says(on=False, alarm="d3"))
        await device.says(device_says(alarm="one-more"))


@virtual_time
async def test_switched_off_all_alarms_of_a_patient_close_and_those_of_the_device_wait() -> None:
    async with processes("here") as [here]:
        page, device = await here.page("a", "b"), Bedside(here)
        here.desk.take(INFO, [raised(number="1")])
        here.desk.take(OTHER, [raised(number="2")])
        await settle()
        here.desk.apply_settings({"a": AlarmSettings(is_off=True)})
        await device.says(device_says())
        await device.says(device_says(alarm="d2"))
        await device.says(device_says(on=False, alarm="d2"))
        await settle()
        assert page.alarms() == [("1", "active"), ("2", "active"), ("1", "closed")]
        assert device.confirmed == 3
        here.desk.apply_settings({"a": AlarmSettings()})
        await settle()
        assert page.alarms()[3:] == [("a.1.d1", "active")]


@virtual_time
async def test_what_its_device_has_on_is_not_seen_while_alarms_are_off_and_is_new_afterwards() -> None:
    store = Store()
    off = {"a": AlarmSettings(is_off=True)}
    async with processes("here", "there", store=store) as [here, there]:
        page, device = await there.page("a"), Bedside(here)
        await there.desk.attend(["ward"])
        for alarm in ("on", "ended before", "ends meanwhile"):
            await device.says(device_says(alarm=alarm))
        await device.says(device_says(on=False, alarm="ended before"))
        await settle()
        told = len(page.alarms())
        for process in (here, there):
            process.desk.apply_settings(off)
        await settle()
        await device.says(device_says(on=False, alarm="ends meanwhile"))
        withdrawn = [message["alarm"] for message in page.messages("alarm_withdrawn")]
        assert set(withdrawn) >= {"a.1.on", "a.1.ends meanwhile"}
        assert page.messages("alarms")[-1]["count"] == 0
        with pytest.raises(ForbiddenError):
            there.desk.acknowledge(page.seat, "a.1.on", by="ann")
        await page.lives(30)
        late = await there.page("a", who="bob")
        assert late.alarms() == []
        assert page.alarms()[told:] == []
        there.desk.viewers.pause(page.seat, 60)
        for process in (here, there):
            process.desk.apply_settings({})
        await settle()
        assert page.alarms()[told:] == late.alarms() == [("a.1.on", "active")]
        assert page.messages("audio")[-1]["broken_by"] == "a.1.on"
        assert page.messages("alarms")[-1]["count"] == 1
        assert store.steps("a.1.on").count(AlarmStep.RAISED) == 1


@virtual_time
async def test_that_alarms_are_off_stays_an_alarm_for_processes_that_hear_of_it_late_or_start() -> None:
    off = {"a": AlarmSettings(is_off=True)}
    async with processes("here", "late", "new") as [here, late, new]:
        page = await here.page("a")
        await late.desk.attend(["ward"])
        here.desk.apply_settings(off)
        here.desk.take(INFO, [raised(AlarmKind.ALARMS_OFF)])
        await settle()
        late.desk.apply_settings(off)
        new.desk.begin(here.desk.register.open())
        new.desk.apply_settings(off)
        await settle()
        assert page.alarms() == [("1", "active")]


@virtual_time
async def test_alarms_of_a_stream_that_nobody_writes_end_and_those_of_a_discharged_patient_close() -> None:
    written, over = {"a", "b"}, set[str]()

    async def are_written(streams: Collection[str]) -> Collection[str]:
        return written & set(streams)

    async def are_over(streams: Collection[str]) -> Collection[str]:
        return over & set(streams)

    async with processes("here") as [here]:
        page = await here.page("a", "b")
        here.desk.take(INFO, [raised(number="1"), raised(AlarmKind.HR_LOW, "2")])
        here.desk.take(OTHER, [raised(number="3")])
        here.desk.take(INFO, [raised(AlarmKind.NO_DATA, "4")])
        await Bedside(here).says(device_says())
        await settle()
        await here.desk.tend_orphans(are_written, are_over)
        written.discard("a")
        await here.desk.tend_orphans(are_written, are_over)
        await page.lives(round(ORPHAN_S) - 1)
        await here.desk.tend_orphans(are_written, are_over)
        assert all(record.cleared_ms is None for record in here.desk.register.open())
        await page.lives(1)
        await here.desk.tend_orphans(are_written, are_over)
        await settle()
        assert page.alarms()[5:] == [("1", "ended"), ("2", "closed")]
        over |= {"a", "b"}
        await here.desk.tend_orphans(are_written, are_over)
        await settle()
        assert here.desk.register.open() == []
        assert {alarm for alarm, state in page.alarms() if state == "closed"} >= {"3", "4", "a.1.d1"}


@virtual_time
async def test_that_alarms_are_off_is_an_alarm_for_as_long_whether_or_not_samples_come() -> None:
    async def none(_streams: Collection[str]) -> Collection[str]:
        return ()

    async with processes("here") as [here]:
        page = await here.page("a")
        here.desk.apply_settings({"a": AlarmSettings(is_off=True)})
        here.desk.take(INFO, [raised(AlarmKind.ALARMS_OFF)])
        await here.desk.tend_orphans(none, none)
        await page.lives(round(ORPHAN_S) + 1)
        await here.desk.tend_orphans(none, none)
        await settle()
        assert page.alarms() == [("1", "active")]
        here.desk.apply_settings({})
        await here.desk.tend_orphans(none, none)
        await settle()
        assert page.alarms()[1:] == [("1", "closed")]


@virtual_time
async def test_what_is_open_at_the_start_is_told_to_who_comes() -> None:
    async with processes("here", "there") as [here, there]:
        here.desk.take(INFO, [raised()])
        await settle()
        known: list[AlarmRecord] = here.desk.register.open()
        there.desk.begin(known)
        page = await there.page("a")
        assert page.alarms() == [("1", "active")]
