"""One process at work: whose socket is cut, which settings are in force, and how it all ends."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from channels.layers import InMemoryChannelLayer
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from streaming import alarm_care, settings_watch
from streaming import runtime as runtime_module
from streaming.adaptive_compression import SAMPLE_S
from streaming.core.chunks import SILENT_S, Chunk
from streaming.core.frames import Frame, FrameFlag, FrameKind
from streaming.core.minutes import Minute
from streaming.core.profiles import CompressionProfile, GroupProfile, ProfileSet
from streaming.ecg import codec
from streaming.exceptions import BusyError, CloseCode, ProfileError, RateLimitError
from streaming.hub import LINGER_S
from streaming.ingest import FORGET_S, Intake, Place
from streaming.layer_link import CONTROL_GROUP
from streaming.pins import Pin
from streaming.recorder import WRITE_EVERY_S
from streaming.runtime import (
    DRAIN_S,
    FORGET_EVERY_S,
    KEEP_EVERY_S,
    POLL_S,
    PROFILES_NOTICE,
    PRUNE_EVERY_S,
    Runtime,
)
from streaming.store import (
    access,
    adaptation,
    alarm_settings,
    audit,
    believed,
    checkpoints,
    processes,
    profiles,
    retention,
)
from streaming.store.access import Principal, PrincipalKind, Verdict
from streaming.store.chain import Head
from streaming.store.processes import REPORT_S, Refusal
from streaming.store.trails import Trail
from streaming.store.upkeep import EVERY_S
from tests.fake_journal import FakeJournal
from tests.fake_journal import Store as Journaled
from tests.fakes import FakeClock, virtual_time
from tests.viewers import Viewer, frames_of, stream_info, turns

NURSE, OTHER = (Principal(PrincipalKind.SESSION, user_id=n, session_key=f"s{n}") for n in (1, 2))
SEES_A = Verdict(valid=True, streams=frozenset({"a"}))


class Socket:
    """An accepted socket that goes when it is cut, unless it hangs."""

    def __init__(self, runtime: Runtime, principal: Principal = NURSE, *watched: str) -> None:
        self.principal = principal
        self.watched = frozenset(watched)
        self.hangs = False
        self.cuts: list[CloseCode] = []
        self.seen: list[frozenset[str]] = []
        self.told_of_changes = 0
        self._runtime = runtime
        runtime.add(self)

    def cut(self, code: CloseCode, reason: str) -> None:
        self.cuts.append(code)
        if not self.hangs:
            asyncio.get_running_loop().call_soon(self._runtime.remove, self)

    def refresh(self, visible: frozenset[str], *, changed: bool = False) -> None:
        self.seen.append(visible)
        self.told_of_changes += changed


class Store:
    """What the database says; every answer may be changed, and may be an error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.verdicts: dict[Principal, Verdict] = {NURSE: SEES_A, OTHER: SEES_A}
        self.ended: set[str] = set()
        self.version = 0
        self.loaded: ProfileSet | Exception = ProfileSet()
        self.faults: list[Exception] = []
        self.asked: list[str] = []
        self.cut: list[tuple[Principal, str]] = []
        self.repeats: list[tuple[float, bool]] = []
        """When what was counted of refusals was to be written, and whether because the process ended."""
        self.learned: dict[str, Any] = {}
        """What former processes have learned, by group."""
        self.unreadable = False
        self.kept: list[dict[str, Any]] = []
        self.meanwhile: Callable[[], None] = lambda: None
        monkeypatch.setattr(runtime_module, "database_sync_to_async", _at_once)
        monkeypatch.setattr(alarm_care, "database_sync_to_async", _at_once)
        monkeypatch.setattr(settings_watch, "database_sync_to_async", _at_once)
        self.reports: dict[str, tuple[int, Refusal | None]] = {}
        """What each process last said of its settings."""
        self.reported_at: list[float] = []
        self.report_faults: list[Exception] = []
        monkeypatch.setattr(processes, "report", self._report)
        monkeypatch.setattr(processes, "leave", lambda process: self.reports.pop(process, None))
        monkeypatch.setattr(alarm_care, "AlarmJournal", lambda **_: FakeJournal(Journaled()))
        monkeypatch.setattr(alarm_settings, "load", dict)
        monkeypatch.setattr(access, "recheck", self._recheck)
        monkeypatch.setattr(
            access, "note_cut", lambda principal, reason: self.cut.append((principal, reason))
        )
        monkeypatch.setattr(access, "ended_streams", lambda streams: self.ended & set(streams))
        monkeypatch.setattr(
            audit, "record_repeats", lambda *, ending=False: self.repeats.append((_now(), ending))
        )
        self.marked: list[tuple[float, Head]] = []
        """Checkpoints of the audit trail, and when they were written."""
        self.pruned: list[timedelta] = []
        monkeypatch.setattr(checkpoints, "mark_all", lambda trail, log: 0)
        monkeypatch.setattr(believed, "newest_of", lambda trail: None)
        monkeypatch.setattr(checkpoints, "mark", lambda trail, head, log: self.marked.append((_now(), head)))
        monkeypatch.setattr(retention, "prune", self._prune)
        monkeypatch.setattr(profiles, "current_version", self._current_version)
        monkeypatch.setattr(profiles, "load", self._load)
        self.places: dict[str, str] = {}
        """The wards of groups that lie in one with settings of its own."""
        monkeypatch.setattr(profiles, "places", lambda _wards: self.places)
        monkeypatch.setattr(adaptation, "load", self._load_learned)
        monkeypatch.setattr(adaptation, "save", self._keep)

    def _prune(self, trail: Trail, before: datetime, log: object) -> Iterator[int]:
        self.pruned.append(timezone.now() - before)
        yield 3

    def _recheck(self, principals: set[Principal]) -> dict[Principal, Verdict]:
        self.asked.append("access")
        if self.faults:
            raise self.faults.pop()
        verdicts = {principal: self.verdicts[principal] for principal in principals}
        self.meanwhile()
        return verdicts

    def _report(self, process: str, version: int, refusal: Refusal | None) -> None:
        if self.report_faults:
            raise self.report_faults.pop()
        self.reports[process] = version, refusal
        self.reported_at.append(_now())

    def _current_version(self) -> int:
        self.asked.append("version")
        return self.version

    def _load_learned(self) -> dict[str, Any]:
        if self.unreadable:
            raise json.JSONDecodeError("no JSON", "{", 1)
        return dict(self.learned)

    def _keep(self, states: dict[str, Any]) -> None:
        if self.faults:
            raise self.faults.pop()
        self.kept.append(states)

    def _load(self) -> ProfileSet:
        self.asked.append("load")
        if isinstance(self.loaded, Exception):
            raise self.loaded
        return self.loaded


def _now() -> float:
    return asyncio.get_running_loop().time()


def _at_once(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Where a thread would run it."""

    async def call(*args: Any) -> Any:
        return function(*args)

    return call


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    return Store(monkeypatch)


@asynccontextmanager
async def running(layer: InMemoryChannelLayer | None = None) -> AsyncIterator[Runtime]:
    runtime = Runtime(layer or InMemoryChannelLayer(), clock=asyncio.get_running_loop().time)
    await runtime.start()
    await turns()
    try:
        yield runtime
    finally:
        await runtime.stop()


def announce_access() -> None:
    access.access_changed.send(sender=None, reason="test")


def level(number: int) -> GroupProfile:
    return GroupProfile(compression=CompressionProfile(level=number))


class TestAccess:
    @virtual_time
    async def test_whoever_is_no_longer_valid_is_cut(self, store: Store) -> None:
        async with running() as runtime:
            nurse, other = Socket(runtime, NURSE, "a"), Socket(runtime, OTHER, "a")
            store.verdicts[NURSE] = Verdict(valid=False, streams=frozenset())
            announce_access()
            await turns()
            assert nurse.cuts == [CloseCode.UNAUTHENTICATED]
            assert other.cuts == []
            assert other.seen == [frozenset({"a"})]

    @virtual_time
    async def test_whoever_watches_what_it_may_no_longer_see_is_cut(self, store: Store) -> None:
        async with running() as runtime:
            watching, idle = Socket(runtime, NURSE, "a"), Socket(runtime, NURSE)
            store.verdicts[NURSE] = Verdict(valid=True, streams=frozenset())
            announce_access()
            await turns()
            assert watching.cuts == [CloseCode.FORBIDDEN]
            assert idle.cuts == []
            assert idle.seen == [frozenset()]

    @virtual_time
    async def test_each_cut_is_recorded_once_with_its_reason(self, store: Store) -> None:
        async with running() as runtime:
            lingering, other = Socket(runtime, NURSE, "a"), Socket(runtime, OTHER, "a")
            lingering.hangs = True
            store.verdicts[NURSE] = Verdict(valid=False, streams=frozenset())
            store.verdicts[OTHER] = Verdict(valid=True, streams=frozenset())
            announce_access()
            await asyncio.sleep(3 * POLL_S)
            assert len(lingering.cuts) > 1
            assert other.cuts == [CloseCode.FORBIDDEN]
            assert sorted(store.cut, key=lambda cut: cut[0] == OTHER) == [
                (NURSE, "sign-in is no longer valid"),
                (OTHER, "permission was withdrawn"),
            ]
            runtime.remove(lingering)

    @virtual_time
    async def test_a_notice_asks_for_a_fresh_roster_and_a_mere_look_does_not(self, store: Store) -> None:
        async with running() as runtime:
            socket = Socket(runtime, NURSE, "a")
            await asyncio.sleep(3 * POLL_S + 0.1)
            assert (len(socket.seen), socket.told_of_changes) == (3, 0)
            store.faults = [OperationalError("locked")]
            announce_access()
            await turns()
            assert socket.told_of_changes == 0
            await asyncio.sleep(3 * POLL_S)
            assert socket.told_of_changes == 1

    @virtual_time
    async def test_an_admission_that_ended_cuts_nobody(self, store: Store) -> None:
        async with running() as runtime:
            socket = Socket(runtime, NURSE, "a")
            store.verdicts[NURSE] = Verdict(valid=True, streams=frozenset())
            store.ended = {"a"}
            announce_access()
            await turns()
            assert socket.cuts == []
            assert socket.seen == [frozenset()]

    @virtual_time
    async def test_what_is_watched_since_the_verdict_is_not_judged_by_it(self, store: Store) -> None:
        async with running() as runtime:
            socket = Socket(runtime, NURSE, "a")

            def subscribe() -> None:
                socket.watched |= {"b"}

            store.meanwhile = subscribe
            announce_access()
            await turns()
            assert socket.cuts == []

    @virtual_time
    async def test_a_change_that_nobody_announced_is_seen_within_two_seconds(self, store: Store) -> None:
        async with running() as runtime:
            socket = Socket(runtime, NURSE, "a")
            store.verdicts[NURSE] = Verdict(valid=False, streams=frozenset())
            await turns()
            assert socket.cuts == []
            await asyncio.sleep(POLL_S + 0.1)
            assert socket.cuts == [CloseCode.UNAUTHENTICATED]

    @virtual_time
    async def test_other_processes_are_told(self, store: Store) -> None:
        layer = InMemoryChannelLayer()
        async with running(layer) as here, running(layer) as there:
            socket = Socket(there, NURSE, "a")
            store.verdicts[NURSE] = Verdict(valid=False, streams=frozenset())
            here.hub.link.publish(CONTROL_GROUP, {"type": "vital.access", "origin": here.process_id})
            await turns()
            assert socket.cuts == [CloseCode.UNAUTHENTICATED]

    @virtual_time
    async def test_nobody_connected_is_nobody_to_ask_about(self, store: Store) -> None:
        async with running():
            announce_access()
            await turns()
            assert "access" not in store.asked

    @virtual_time
    @pytest.mark.parametrize("fault", [OperationalError("locked"), InterfaceError("gone"), KeyError("ours")])
    async def test_a_failing_look_is_taken_again(
        self, store: Store, fault: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with running() as runtime:
            socket = Socket(runtime, NURSE, "a")
            store.verdicts[NURSE] = Verdict(valid=False, streams=frozenset())
            store.faults = [fault]
            announce_access()
            await turns()
            assert socket.cuts == []
            assert "trying again" in caplog.text
            await asyncio.sleep(POLL_S + 0.1)
            assert socket.cuts == [CloseCode.UNAUTHENTICATED]

    @virtual_time
    async def test_connections_are_counted_by_principal(self, store: Store) -> None:
        async with running() as runtime:
            sockets = [Socket(runtime, NURSE), Socket(runtime, NURSE), Socket(runtime, OTHER)]
            assert runtime.connections_of(NURSE) == 2
            runtime.remove(sockets[0])
            assert runtime.connections_of(NURSE) == 1


class TestSettings:
    @virtual_time
    async def test_they_are_loaded_at_the_start(self, store: Store) -> None:
        store.version, store.loaded = 3, ProfileSet(3, default=level(2))
        async with running() as runtime:
            assert runtime.hub.profiles.version == 3
            assert runtime.compression_for("ecg.a").profile.level == 2

    @virtual_time
    async def test_a_change_governs_what_runs(self, store: Store) -> None:
        async with running() as runtime:
            mine, theirs = runtime.compression_for("ecg.a"), runtime.compression_for("ecg.b")
            assert runtime.compression_for("ecg.a") is mine
            store.version = 4
            store.loaded = ProfileSet(4, default=level(3), overrides={"ecg.a": level(9)})
            profiles.profiles_changed.send(sender=None)
            await turns()
            assert (mine.profile.level, theirs.profile.level) == (9, 3)
            assert runtime.hub.profiles.version == 4

    @virtual_time
    async def test_an_unchanged_version_is_not_loaded_again(self, store: Store) -> None:
        store.version, store.loaded = 3, ProfileSet(3)
        async with running():
            await asyncio.sleep(5 * POLL_S)
            assert store.asked.count("load") == 1
            assert store.asked.count("version") >= 5

    @virtual_time
    async def test_bad_settings_keep_the_last_good_ones_and_are_said_once(
        self, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        store.version, store.loaded = 3, ProfileSet(3, default=level(2))
        async with running() as runtime:
            store.version, store.loaded = 4, ProfileError("profile ecg.a: level is 12")
            await asyncio.sleep(5 * POLL_S)
            assert runtime.hub.profiles.version == 3
            assert [r.message for r in caplog.records] == [
                "settings version 4 is not usable, the former stays in force: profile ecg.a: level is 12"
            ]
            assert store.reports[runtime.process_id] == (3, Refusal(4, "profile ecg.a: level is 12"))
            store.version, store.loaded = 5, ProfileSet(5, default=level(7))
            await asyncio.sleep(2 * POLL_S)
            assert store.reports[runtime.process_id] == (5, None)
            assert runtime.compression_for("ecg.a").profile.level == 7

    @virtual_time
    async def test_what_is_refused_and_put_back_is_refused_no_more(self, store: Store) -> None:
        store.version, store.loaded = 3, ProfileSet(3)
        async with running() as runtime:
            store.version, store.loaded = 4, ProfileError("bad")
            await asyncio.sleep(2 * POLL_S)
            assert store.reports[runtime.process_id] == (3, Refusal(4, "bad"))
            store.version = 3
            await asyncio.sleep(2 * POLL_S)
            assert store.reports[runtime.process_id] == (3, None)

    @virtual_time
    async def test_each_process_says_what_it_runs_at_once_and_every_five_seconds(self, store: Store) -> None:
        layer = InMemoryChannelLayer()
        store.version, store.loaded = 3, ProfileSet(3)
        async with running(layer) as here, running(layer) as there:
            assert store.reports == {here.process_id: (3, None), there.process_id: (3, None)}
            store.reported_at.clear()
            begun = _now()
            store.version, store.loaded = 4, ProfileSet(4)
            await asyncio.sleep(2 * POLL_S)
            assert store.reports == {here.process_id: (4, None), there.process_id: (4, None)}
            await asyncio.sleep(60 - 2 * POLL_S)
            assert 22 <= len(store.reported_at) <= 2 * (60 / REPORT_S + 1)
            assert store.reported_at[0] - begun <= POLL_S
        assert store.reports == {}

    @virtual_time
    async def test_word_that_cannot_be_written_costs_no_setting(self, store: Store) -> None:
        async with running() as runtime:
            store.report_faults = [OperationalError("locked")]
            store.version, store.loaded = 4, ProfileSet(4)
            await asyncio.sleep(2 * POLL_S)
            assert runtime.hub.profiles.version == 4
            await asyncio.sleep(REPORT_S)
            assert store.reports[runtime.process_id] == (4, None)

    @virtual_time
    async def test_stream_that_comes_to_lie_in_a_ward_is_governed_by_its_settings(self, store: Store) -> None:
        shared: dict[tuple[str | None, str], GroupProfile] = {("icu", ""): level(9)}
        store.version, store.loaded = 3, ProfileSet(3, shared=shared, wards=frozenset({"icu"}))
        async with running() as runtime:
            handler = runtime.compression_for("ecg.a")
            assert handler.profile.level == 6
            store.places = {"ecg.a": "icu"}
            store.loaded = ProfileSet(3, shared=shared, wards=frozenset({"icu"}), places=store.places)
            await asyncio.sleep(POLL_S + 0.1)
            assert handler.profile.level == 9
            loads = store.asked.count("load")
            await asyncio.sleep(5 * POLL_S)
            assert store.asked.count("load") == loads

    @virtual_time
    async def test_other_processes_are_told(self, store: Store) -> None:
        layer = InMemoryChannelLayer()
        async with running(layer) as here, running(layer) as there:
            store.version, store.loaded = 9, ProfileSet(9)
            message = {"type": "vital.profiles", "origin": here.process_id}
            here.hub.link.publish(CONTROL_GROUP, message)
            await turns()
            assert there.hub.profiles.version == 9

    @virtual_time
    async def test_a_notice_that_this_version_does_not_know_is_passed_over(self, store: Store) -> None:
        layer = InMemoryChannelLayer()
        async with running(layer) as here, running(layer) as there:
            asked = len(store.asked)
            here.hub.link.publish(CONTROL_GROUP, {"type": "vital.new", "origin": here.process_id})
            await turns()
            assert len(store.asked) == asked
            assert there.hub.link.healthy

    @virtual_time
    async def test_the_announcement_reaches_the_layer(self, store: Store) -> None:
        layer = InMemoryChannelLayer()
        async with running(layer) as here:
            await layer.group_add(CONTROL_GROUP, "specific.listener")
            announce_access()
            profiles.profiles_changed.send(sender=None)
            told = [await asyncio.wait_for(layer.receive("specific.listener"), 5) for _ in range(2)]
            assert [message["type"] for message in told] == ["vital.access", "vital.profiles"]
            assert {message["origin"] for message in told} == {here.process_id}


LONG = json.dumps([f"bed {bed}" for bed in range(400)])


def said(runtime: Runtime, times: int = 3) -> None:
    """Something is sent to the viewers of this process, long enough to be compressed."""
    handler = runtime.compression_for("control")
    assert all(handler.compress_json(LONG)[1] for _ in range(times))


class TestLearning:
    @virtual_time
    async def test_what_was_learned_is_written_each_minute_when_there_is_news(self, store: Store) -> None:
        async with running() as runtime:
            runtime.compression_for("ecg.a")
            await asyncio.sleep(KEEP_EVERY_S + 1)
            assert store.kept == []
            said(runtime)
            await asyncio.sleep(3 * KEEP_EVERY_S)
            (states,) = store.kept
            assert states.keys() == {"control"}
            store.kept.clear()
        assert store.kept == []

    @virtual_time
    async def test_what_was_learned_last_is_written_at_the_end(self, store: Store) -> None:
        async with running() as runtime:
            said(runtime)
        assert [states.keys() for states in store.kept] == [{"control"}]

    @virtual_time
    async def test_a_database_that_is_away_is_tried_again(self, store: Store) -> None:
        async with running() as runtime:
            said(runtime)
            store.faults = [OperationalError("locked")]
            await asyncio.sleep(KEEP_EVERY_S + 1)
            assert store.kept == []
            await asyncio.sleep(KEEP_EVERY_S)
            assert len(store.kept) == 1

    @virtual_time
    async def test_the_next_process_goes_on_from_it(self, store: Store) -> None:
        async with running() as runtime:
            said(runtime)
            learned = runtime.adaptive_for("control").messages_learned
        store.learned = store.kept.pop()
        async with running() as runtime:
            assert runtime.adaptive_for("control").messages_learned == learned > 0
            assert runtime.adaptive_for("ecg.a").messages_learned == 0
        assert store.kept == []

    @virtual_time
    @pytest.mark.parametrize("state", [None, {"version": 0}, {"version": 1, "kinds": {"text": {}}}])
    async def test_what_cannot_be_used_is_said_and_passed_over(
        self, store: Store, state: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        store.learned = {"control": state} if state else {"control": "junk"}
        async with running() as runtime:
            said(runtime)
            assert "what was learned for control cannot be used" in caplog.text
            assert runtime.adaptive_for("control").messages_learned > 0

    @virtual_time
    async def test_a_row_that_is_no_json_hinders_nothing(
        self, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        store.unreadable = True
        async with running() as runtime:
            said(runtime)
            assert "what was learned cannot be read" in caplog.text

    @virtual_time
    async def test_the_networks_of_a_groups_viewers_are_read_each_second(self, store: Store) -> None:
        async with running() as runtime:
            watching, other = Viewer(), Viewer()
            for viewer in (watching, other):
                runtime.hub.add(viewer.subscriber)
            await runtime.hub.watch(watching.subscriber, "a")
            for group in ("ecg.a", "ecg.b", "control"):
                runtime.compression_for(group)
            now = asyncio.get_running_loop().time()
            watching.subscriber.window.network.assess(now, waiting_s=0.5)
            other.subscriber.window.network.assess(now, waiting_s=5.0)
            await asyncio.sleep(SAMPLE_S + 0.1)
            conditions = {
                group: runtime.adaptive_for(group).network_condition.value
                for group in ("ecg.a", "ecg.b", "control")
            }
            assert conditions == {"ecg.a": "fair", "ecg.b": "excellent", "control": "critical"}
            for viewer in (watching, other):
                await viewer.subscriber.aclose()

    @virtual_time
    async def test_settings_of_a_group_reach_what_it_falls_back_to(self, store: Store) -> None:
        store.version, store.loaded = 3, ProfileSet(3, default=level(2))
        async with running() as runtime:
            adaptive = runtime.adaptive_for("control")
            assert adaptive.get_adaptation_stats()["current_level"] == 2


class History:
    """Stands for the keeper: what was written, and when it was pruned and closed."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.pruned: list[float] = []
        self.faults: list[Exception] = []
        self.hangs = False
        self.closed = False
        self.pins: list[Pin] = []
        self.minutes: list[Minute] = []

    async def write(self, chunks: Sequence[Chunk]) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        self.chunks += chunks

    async def fold(self, function: Callable[[], list[Minute]]) -> list[Minute]:
        return function()

    async def write_minutes(self, minutes: Sequence[Minute]) -> None:
        await self.write(())
        self.minutes += minutes

    async def pin(self, pins: Sequence[Pin]) -> None:
        self.pins += pins

    async def prune(self) -> None:
        self.pruned.append(_now())
        if self.faults:
            raise self.faults.pop()

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> History:
    kept = History()
    monkeypatch.setattr(runtime_module, "HistoryKeeper", lambda: kept)
    return kept


def send(runtime: Runtime, *indices: int) -> Intake:
    """Frames of a device of this process."""
    intake = runtime.ingest.open(stream_info("a"), "session", Place(0))
    for index in indices:
        samples = np.full((1, 50), index, np.int16)
        payload = codec.WaveformEncoder().encode(samples)
        intake.push(Frame(FrameKind.WAVEFORM, FrameFlag.NONE, 0, 50 * index, payload))
    return intake


class TestIngest:
    """What the ingest is told, and what becomes of what it tells."""

    @virtual_time
    async def test_it_is_tended_every_second(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        tended: list[float] = []
        async with running() as runtime:
            monkeypatch.setattr(runtime.ingest, "tend", tended.append)
            began = _now()
            await asyncio.sleep(10.5)
        assert tended == pytest.approx([began + second for second in range(1, 11)])

    @virtual_time
    async def test_an_admission_that_ended_ends_its_epoch(self, store: Store) -> None:
        async with running() as runtime:
            send(runtime, 0)
            await asyncio.sleep(2)
            assert runtime.ingest.streams() == {"a"}
            store.ended = {"a", "b"}
            announce_access()
            await turns()
            assert runtime.ingest.streams() == set()

    @virtual_time
    async def test_what_surrounds_the_grave_is_pinned_and_also_at_the_end(
        self, store: Store, history: History
    ) -> None:
        async with running() as runtime:
            around = 60 * 500
            runtime.ingest._on_grave(stream_info("a"), around, "ASYSTOLE")
            await asyncio.sleep(6)
            assert history.pins == [Pin("a", 1, 0, 2 * around, "ASYSTOLE")]
            runtime.ingest._on_grave(stream_info("a"), around + 500, "ASYSTOLE")
        assert history.pins[1:] == [Pin("a", 1, 0, 2 * around + 500, "ASYSTOLE")]


class TestHistory:
    @virtual_time
    async def test_what_a_device_sends_goes_to_viewers_and_to_the_history(
        self, store: Store, history: History
    ) -> None:
        async with running() as runtime:
            viewer = Viewer()
            runtime.hub.add(viewer.subscriber)
            await runtime.hub.watch(viewer.subscriber, "a")
            send(runtime, 0, 1, 2)
            await asyncio.sleep(0.5)
            await viewer.catch_up()
            assert len(viewer.frames) == 3
            assert history.chunks == []
            await viewer.subscriber.aclose()
        (chunk,) = history.chunks
        assert (chunk.stream, chunk.first, chunk.stop) == ("a", 0, 150)
        assert [frame.payload for frame in chunk.frames()] == [seen.frame.payload for seen in viewer.frames]
        assert [(minute.stream, minute.first) for minute in history.minutes] == [("a", 0)]
        assert history.closed

    @virtual_time
    async def test_its_figures_are_in_the_stats_until_the_stream_is_forgotten(
        self, store: Store, history: History
    ) -> None:
        async with running() as runtime:
            intake = send(runtime, 0)
            await asyncio.sleep(SILENT_S + 2 * WRITE_EVERY_S)
            (stats,) = [each for each in runtime.stats() if each.group == "ecg.a"]
            assert stats.detail["history"]["stored_chunks"] == 1
            intake.close(ended=True)
            await asyncio.sleep(FORGET_S + 2 * FORGET_EVERY_S)
            assert runtime.recorder.by_group() == {}

    @virtual_time
    async def test_it_is_pruned_now_and_then_also_after_a_fault(self, store: Store, history: History) -> None:
        async with running():
            began = _now()
            history.faults = [OperationalError("locked")]
            await asyncio.sleep(2.5 * PRUNE_EVERY_S)
        assert history.pruned == pytest.approx([began + PRUNE_EVERY_S, began + 2 * PRUNE_EVERY_S], abs=1)

    @virtual_time
    async def test_one_that_hangs_does_not_hold_up_the_stop(self, store: Store, history: History) -> None:
        history.hangs = True
        async with running() as runtime:
            send(runtime, 0)
            began = _now()
            await runtime.stop()
            assert _now() - began < DRAIN_S


class TestEnd:
    @virtual_time
    async def test_a_stop_cuts_everybody_and_waits_until_they_are_gone(self, store: Store) -> None:
        async with running() as runtime:
            sockets = [Socket(runtime, NURSE, "a"), Socket(runtime, OTHER)]
            began = asyncio.get_running_loop().time()
            await runtime.stop()
            assert [socket.cuts for socket in sockets] == [[CloseCode.GOING_AWAY]] * 2
            assert runtime.stopping
            assert asyncio.get_running_loop().time() - began < DRAIN_S

    @virtual_time
    async def test_a_socket_that_hangs_does_not_hold_up_the_stop(self, store: Store) -> None:
        async with running() as runtime:
            socket = Socket(runtime)
            socket.hangs = True
            began = asyncio.get_running_loop().time()
            await runtime.stop()
            assert asyncio.get_running_loop().time() - began == pytest.approx(DRAIN_S)
            runtime.remove(socket)

    @virtual_time
    async def test_whoever_is_let_in_meanwhile_is_sent_away_as_well(self, store: Store) -> None:
        async with running() as runtime:
            lingering = Socket(runtime)
            lingering.hangs = True
            stopping = asyncio.create_task(runtime.stop())
            await turns()
            assert Socket(runtime).cuts == [CloseCode.GOING_AWAY]
            await stopping
            runtime.remove(lingering)

    @virtual_time
    async def test_after_the_stop_changes_are_nobodys_business(self, store: Store) -> None:
        async with running() as runtime:
            await runtime.stop()
            asked = len(store.asked)
            announce_access()
            profiles.profiles_changed.send(sender=None)
            await asyncio.sleep(5 * POLL_S)
            assert len(store.asked) == asked


@virtual_time
async def test_the_audit_trail_gets_checkpoints_hourly_and_at_the_end_and_is_pruned(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Head("w1", 17, "abcd"), Head("w1", 18, "efgh")
    heads = [first]
    monkeypatch.setattr(audit, "head", lambda: heads[-1])
    began = _now()
    async with running():
        await asyncio.sleep(2 * EVERY_S + 1)
        assert store.marked == [(began + hour * EVERY_S, first) for hour in range(3)]
        heads.append(second)
    assert [head for _at, head in store.marked[3:]] == [second]
    assert [kept.days for kept in store.pruned] == [730, 730]


@virtual_time
async def test_figures_are_those_of_its_hub_and_its_codecs(store: Store) -> None:
    async with running() as runtime:
        viewer = Viewer()
        runtime.hub.add(viewer.subscriber)
        await runtime.hub.watch(viewer.subscriber, "a")
        runtime.hub.publish(frames_of(stream_info(), 0))
        runtime.compression_for("ecg.b")
        runtime.compression_for("control")  # nothing compressed yet
        assert [(each.group, each.viewers) for each in runtime.stats()] == [("ecg.a", 1), ("ecg.b", 0)]
        await viewer.subscriber.aclose()


@virtual_time
async def test_a_stream_without_viewers_and_device_is_forgotten(store: Store) -> None:
    async with running() as runtime:
        viewer = Viewer()
        runtime.hub.add(viewer.subscriber)
        await runtime.hub.watch(viewer.subscriber, "a")
        control = runtime.compression_for("control")
        runtime.compression_for("ecg.a")
        intake = runtime.ingest.open(stream_info("b"), "session0", Place(0))
        runtime.hub.unwatch(viewer.subscriber, "a")
        await asyncio.sleep(FORGET_EVERY_S + 1)
        assert [each.group for each in runtime.stats()] == ["ecg.a", "ecg.b"]
        await asyncio.sleep(LINGER_S + FORGET_EVERY_S)
        assert [each.group for each in runtime.stats()] == ["ecg.b"]
        intake.close(ended=True)
        await asyncio.sleep(FORGET_S + FORGET_EVERY_S + 1)
        assert runtime.stats() == []
        assert runtime.compression_for("control") is control
        await viewer.subscriber.aclose()


@virtual_time
async def test_a_layer_of_this_process_alone_is_given_nothing(store: Store) -> None:
    layer = InMemoryChannelLayer()
    runtime = Runtime(layer, shared=False, clock=asyncio.get_running_loop().time)
    await runtime.start()
    await layer.group_add(CONTROL_GROUP, "specific.listener")
    await layer.group_add("ecg.a", "specific.listener")
    runtime.hub.publish(frames_of(stream_info(), 0))
    announce_access()
    await turns()
    assert layer.channels.get("specific.listener") is None
    await runtime.stop()


@virtual_time
async def test_a_listener_takes_what_nobody_else_knows_of_another_process(store: Store) -> None:
    layer = InMemoryChannelLayer()
    async with running(layer) as runtime:
        heard: list[str] = []

        def hear(message: dict[str, Any]) -> bool:
            heard.append(message["type"])
            return str(message["type"]) == "test.known"

        runtime.listeners.append(hear)
        for kind in ("test.known", "test.unknown", PROFILES_NOTICE):
            await layer.group_send(CONTROL_GROUP, {"type": kind, "origin": "other"})
        await turns()
        assert heard == ["test.known", "test.unknown"]


@virtual_time
async def test_counted_refusals_are_written_each_minute_and_at_the_end(store: Store) -> None:
    began = _now()
    async with running():
        await asyncio.sleep(2 * audit.REPEAT_S + 1)
        times = [at - began for at, ending in store.repeats if not ending]
        assert times == pytest.approx([audit.REPEAT_S, 2 * audit.REPEAT_S])
        store.repeats.clear()
    assert [ending for _, ending in store.repeats] == [True]


async def test_viewers_are_let_in_up_to_a_burst_and_then_told_when_to_come() -> None:
    clock = FakeClock()
    here = Runtime(InMemoryChannelLayer(), clock=clock)
    for _ in range(200):
        here.admit_viewer("192.0.2.1")
    with pytest.raises(BusyError) as refused:
        here.admit_viewer("192.0.2.1")
    assert 10 <= (refused.value.retry_after_ms or 0) <= 510
    here.admit_viewer("192.0.2.2")
    clock.advance(0.021)
    here.admit_viewer("192.0.2.1")


async def test_an_address_of_many_wrong_credentials_is_refused_for_a_while() -> None:
    clock = FakeClock()
    here = Runtime(InMemoryChannelLayer(), clock=clock)
    for number in range(200):
        here.admitted_nobody("192.0.2.1", as_viewer=bool(number % 2))
    for admit in (here.admit_viewer, here.admit_device):
        with pytest.raises(RateLimitError):
            admit("192.0.2.1")
        admit("192.0.2.2")
    clock.advance(0.11)
    here.admit_device("192.0.2.1")
    here.admit_viewer("192.0.2.1")
