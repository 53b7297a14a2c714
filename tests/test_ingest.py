"""What a device's chunks become: placed, joined, analysed and encoded, nothing lost and nothing invented."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from channels.layers import InMemoryChannelLayer
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.compression import CompressionHandler
from streaming.core.bundle import Bundle
from streaming.core.frames import MAX_FRAME_BYTES, Frame, FrameFlag, FrameKind, encode_frame
from streaming.core.messages import DeviceQuality
from streaming.core.patterns import DataPattern
from streaming.core.priority import MessagePriority
from streaming.core.profiles import CompressionProfile
from streaming.core.streams import Lead, StreamInfo
from streaming.ecg import codec, planes
from streaming.ecg.alarm_limits import AlarmSettings
from streaming.ecg.alarms import Alarm, AlarmEvent, AlarmKind, Change
from streaming.exceptions import ProtocolError, RateLimitError, StreamBusyError
from streaming.hub import Hub
from streaming.ingest import FORGET_S, FRAME_S, SILENCE_S, Ingest, Intake, Place
from tests.fakes import virtual_time
from tests.viewers import Viewer, stream_info, turns

INFO = stream_info()
SESSION = "session-one"


class Alarms:
    """An alarm sink that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[AlarmEvent] = []
        self.asked: list[int] = []
        """The epochs whose standing alarms were asked for."""
        self.before: Sequence[Alarm] = ()
        self._on: dict[int, dict[str, Alarm]] = {}
        self.settled: list[int] = []

    def standing(self, info: StreamInfo) -> Sequence[Alarm]:
        self.asked.append(info.epoch)
        return self.before

    def settings(self, stream: str) -> AlarmSettings:
        assert stream == "a"
        return AlarmSettings()

    def take(self, info: StreamInfo, events: Sequence[AlarmEvent]) -> None:
        on = self._on.setdefault(info.epoch, {})
        for event in events:
            self.told.append(event)
            on[event.alarm.id] = event.alarm
            if event.change is Change.ENDED:
                del on[event.alarm.id]

    def settle(self, info: StreamInfo, on: Collection[str]) -> Collection[str]:
        self.settled.append(info.epoch)
        return ()

    def on(self, epoch: int) -> list[Alarm]:
        """The alarms of an epoch that stand."""
        return list(self._on.get(epoch, {}).values())


class Desk:
    """An ingest, and everything that it published and told."""

    def __init__(self, compression: CompressionHandler | None = None) -> None:
        self.bundles: list[Bundle] = []
        self.alarms = Alarms()
        self.grave: list[tuple[int, str]] = []
        handler = compression or CompressionHandler()
        numbers = itertools.count()
        self.ingest = Ingest(
            self.bundles.append,
            lambda _group: handler,
            alarms=self.alarms,
            new_id=lambda: f"id-{next(numbers)}",
            on_grave=lambda _info, sample, reason: self.grave.append((sample, reason)),
            clock=asyncio.get_running_loop().time,
        )

    def tend(self) -> None:
        """As its owner does once a second."""
        self.ingest.tend(asyncio.get_running_loop().time())

    def open(self, info: StreamInfo = INFO, session: str = SESSION, next_sample: int = 0) -> Intake:
        return self.ingest.open(info, session, Place(next_sample))

    @property
    def story(self) -> list[tuple[str, int, int]]:
        """What was published of samples, in order: kind, first, stop."""
        told: list[tuple[str, int, int]] = []
        for bundle in self.bundles:
            told += [(gap.reason.value, gap.first, gap.stop) for gap in bundle.gaps]
            told += [(frame.kind.name, frame.first, frame.first + frame.count) for frame in bundle.frames]
        return told

    def events(self, kind: str) -> list[dict[str, Any]]:
        texts = [event.text for bundle in self.bundles for event in bundle.events]
        return [event for text in texts if (event := json.loads(text))["type"] == kind]

    def samples(self, kind: FrameKind = FrameKind.WAVEFORM) -> npt.NDArray[np.int64]:
        """The published samples, one behind the other."""
        payloads = [f.payload for bundle in self.bundles for f in bundle.frames if f.kind is kind]
        return np.concatenate([codec.decode(payload).astype(np.int64) for payload in payloads], axis=1)


def chunk(
    first: int, samples: npt.NDArray[Any], kind: FrameKind = FrameKind.WAVEFORM, flags: int = 0
) -> Frame:
    payload = planes.encode_planes(samples, level=6, window_bits=15, mem_level=8)
    return Frame(kind, FrameFlag(flags), 0, first, payload)


def ramp(first: int, stop: int, leads: int = 1) -> npt.NDArray[np.int16]:
    """Samples whose value is their index, lead n offset by 1000 n."""
    return np.stack([np.arange(first, stop, dtype=np.int16) + 1000 * lead for lead in range(leads)])


def ramp_chunk(first: int, stop: int) -> Frame:
    return chunk(first, ramp(first, stop))


def send(intake: Intake, edges: Iterable[int]) -> None:
    """Push the ramp in chunks from edge to edge."""
    for first, stop in pairwise(edges):
        intake.push(ramp_chunk(first, stop))


class TestFrames:
    @virtual_time
    async def test_short_chunks_are_joined_to_a_frame_of_100_ms(self) -> None:
        desk = Desk()
        send(desk.open(), range(0, 101, 10))
        assert desk.story == [("WAVEFORM", 0, 50), ("WAVEFORM", 50, 100)]
        assert desk.samples().tolist() == ramp(0, 100).tolist()

    @virtual_time
    async def test_a_long_chunk_travels_as_it_came(self) -> None:
        desk = Desk()
        send(desk.open(), (0, 400))
        assert desk.story == [("WAVEFORM", 0, 400)]

    @virtual_time
    async def test_what_a_device_has_compressed_is_sent_on_as_it_came(self) -> None:
        desk = Desk()
        samples = ramp(0, 50)
        payload = codec.WaveformEncoder().encode(samples)
        desk.open().push(Frame(FrameKind.WAVEFORM, FrameFlag(0), 0, 0, payload))
        (frame,) = (frame for bundle in desk.bundles for frame in bundle.frames)
        assert frame.payload is payload
        assert desk.samples().tolist() == samples.tolist()

    @virtual_time
    async def test_what_overlaps_or_is_short_is_compressed_here(self) -> None:
        desk = Desk()
        intake = desk.open()
        encode = codec.WaveformEncoder().encode
        for first, stop in ((0, 50), (40, 100), (100, 130), (130, 160)):
            payload = encode(ramp(first, stop))
            intake.push(Frame(FrameKind.WAVEFORM, FrameFlag(0), 0, first, payload))
        assert desk.story == [("WAVEFORM", 0, 50), ("WAVEFORM", 50, 100), ("WAVEFORM", 100, 160)]
        assert desk.samples().tolist() == ramp(0, 160).tolist()

    @virtual_time
    async def test_a_long_chunk_does_not_wait_for_a_short_one(self) -> None:
        desk = Desk()
        send(desk.open(), (0, 10, 410))
        assert desk.story == [("WAVEFORM", 0, 10), ("WAVEFORM", 10, 410)]

    @virtual_time
    async def test_what_does_not_fill_a_frame_is_sent_after_100_ms(self) -> None:
        desk = Desk()
        intake = desk.open()
        send(intake, (0, 10, 20))
        await asyncio.sleep(0.9 * FRAME_S)
        assert desk.story == []
        await asyncio.sleep(0.2 * FRAME_S)
        assert desk.story == [("WAVEFORM", 0, 20)]
        send(intake, (20, 30))
        await asyncio.sleep(1.1 * FRAME_S)
        assert desk.story[1:] == [("WAVEFORM", 20, 30)]

    @virtual_time
    async def test_a_full_frame_ends_the_wait_of_what_was_in_it(self) -> None:
        """Chunks of half a frame in step make whole frames, whatever the timer was set for."""
        desk = Desk()
        intake = desk.open()
        for first in range(0, 250, 25):
            send(intake, (first, first + 25))
            await asyncio.sleep(0.99 * FRAME_S / 2)
        assert desk.story == [("WAVEFORM", first, first + 50) for first in range(0, 250, 50)]
        intake.close(ended=True)

    @virtual_time
    async def test_a_close_sends_what_waits(self) -> None:
        desk = Desk()
        intake = desk.open()
        send(intake, (0, 10))
        intake.close(ended=False)
        await asyncio.sleep(1)
        assert desk.story == [("WAVEFORM", 0, 10)]

    @virtual_time
    async def test_wide_and_narrow_samples_are_joined_without_loss(self) -> None:
        desk = Desk()
        info = replace(INFO, leads=(Lead("II", 5.0, adc_bits=24),))
        intake = desk.open(info)
        intake.push(chunk(0, np.full((1, 25), 7, np.int16)))
        intake.push(chunk(25, np.full((1, 25), 1 << 23, np.int32)))
        assert desk.samples().tolist() == [[7] * 25 + [1 << 23] * 25]

    @virtual_time
    async def test_a_chunk_that_packs_worse_here_than_at_the_device_still_fits_frames(self) -> None:
        """Sixteen equal leads of noise repeat beyond the reach of a window of 4 KiB."""
        weak = CompressionHandler(CompressionProfile(window_bits=9, level=1))
        desk = Desk(weak)
        leads = tuple(Lead(f"L{n}", 1.0, adc_bits=32) for n in range(16))
        intake = desk.open(replace(INFO, rate_hz=2000.0, leads=leads))
        noise = np.random.default_rng(1).integers(-(2**31), 2**31, 2000, np.int32)
        samples = np.tile(noise, (16, 1))
        frame = chunk(0, samples)
        assert len(frame.payload) < MAX_FRAME_BYTES
        intake.push(frame)
        published = [frame for bundle in desk.bundles for frame in bundle.frames]
        assert len(published) > 1
        for part in published:
            encode_frame(part.kind, 0, part.first, part.payload)
        assert np.array_equal(desk.samples(), samples)


class TestPosition:
    @virtual_time
    async def test_the_next_sample_is_one_past_the_newest(self) -> None:
        desk = Desk()
        intake = desk.open(next_sample=1000)
        assert intake.next_sample == 1000
        send(intake, (1000, 1010))
        assert intake.next_sample == 1010
        assert intake.info is INFO

    @virtual_time
    async def test_a_hole_is_a_gap_of_the_source_before_what_follows(self) -> None:
        desk = Desk()
        intake = desk.open()
        send(intake, (0, 10))
        send(intake, (100, 150))
        assert desk.story == [("WAVEFORM", 0, 10), ("source", 10, 100), ("WAVEFORM", 100, 150)]

    @virtual_time
    async def test_late_samples_are_backfill(self) -> None:
        desk = Desk()
        intake = desk.open()
        send(intake, (100, 150))
        send(intake, (20, 60))
        assert desk.story[2:] == [("BACKFILL", 20, 60)]
        assert desk.samples(FrameKind.BACKFILL).tolist() == ramp(20, 60).tolist()

    @virtual_time
    async def test_a_chunk_across_two_holes_fills_both_and_goes_on(self) -> None:
        desk = Desk()
        intake = desk.open()
        send(intake, (50, 100))
        send(intake, (150, 200))
        send(intake, (0, 250))
        assert desk.story[-3:] == [("BACKFILL", 0, 50), ("BACKFILL", 100, 150), ("WAVEFORM", 200, 250)]
        assert desk.samples(FrameKind.BACKFILL).tolist() == [[*range(50), *range(100, 150)]]

    @virtual_time
    async def test_duplicates_are_dropped(self) -> None:
        desk = Desk()
        intake = desk.open()
        send(intake, (0, 50))
        before = list(desk.bundles)
        send(intake, (0, 50))
        send(intake, (10, 40))
        assert desk.bundles == before
        send(intake, (25, 100))
        assert desk.story == [("WAVEFORM", 0, 50), ("WAVEFORM", 50, 100)]


class TestRefusals:
    @virtual_time
    @pytest.mark.parametrize(
        ("frame", "reason"),
        [
            (chunk(0, ramp(0, 10), FrameKind.BACKFILL), "waveform frames"),
            (chunk(0, ramp(0, 10), flags=1), "without flags"),
            (Frame(FrameKind.WAVEFORM, FrameFlag.NONE, 0, 0, b"nonsense"), "codec"),
            (chunk(0, ramp(0, 10, leads=2)), "leads of the hello"),
            (chunk(0, ramp(0, 1001)), "longer than 2 s"),
            (chunk(0, np.full((1, 10), 1 << 12, np.int16)), "adc_bits"),
            (chunk(0, np.full((1, 10), -(1 << 12), np.int16)), "adc_bits"),
            (chunk(0, np.full((1, 10), -(1 << 31), np.int32)), "adc_bits"),
            (chunk(400_000, ramp(0, 10)), "ten minutes"),
            (chunk(2**32 - 5, ramp(0, 10)), "new session"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    async def test_a_bad_chunk_is_refused_and_changes_nothing(self, frame: Frame, reason: str) -> None:
        desk = Desk()
        intake = desk.open(replace(INFO, leads=(Lead("II", 5.0, adc_bits=12),)))
        with pytest.raises(ProtocolError, match=reason):
            intake.push(frame)
        assert desk.story == []
        send(intake, (0, 50))
        assert desk.story == [("WAVEFORM", 0, 50)]

    @virtual_time
    async def test_every_value_of_the_converter_is_taken(self) -> None:
        desk = Desk()
        intake = desk.open(replace(INFO, leads=(Lead("II", 5.0, adc_bits=12),)))
        extremes = np.array([[-4095, 4095] * 25], np.int16)
        intake.push(chunk(0, extremes))
        assert desk.samples().tolist() == extremes.tolist()

    @virtual_time
    async def test_each_lead_has_its_own_bits(self) -> None:
        desk = Desk()
        intake = desk.open(replace(INFO, leads=(Lead("II", 5.0, adc_bits=8), Lead("V1", 5.0, adc_bits=12))))
        intake.push(chunk(0, np.array([[255] * 50, [4095] * 50], np.int16)))
        with pytest.raises(ProtocolError, match="adc_bits"):
            intake.push(chunk(50, np.array([[4095] * 50, [255] * 50], np.int16)))

    @virtual_time
    async def test_leads_off_must_be_leads_of_the_stream(self) -> None:
        desk = Desk()
        intake = desk.open()
        with pytest.raises(ProtocolError, match="leads_off"):
            intake.report_quality(DeviceQuality(0, ("V9",)))


def beating(seconds: float, rate_hz: float = 500.0, leads: int = 1) -> npt.NDArray[np.int16]:
    """Sinus rhythm with one beat a second, as QRS-like triangles of 1 mV, 80 ms, 5 uV a step, and noise."""
    index = np.arange(int(seconds * rate_hz))
    since = np.abs(index % int(rate_hz) - rate_hz / 2) / rate_hz
    noise = np.random.default_rng(1).integers(-1, 2, (leads, len(index)))
    beats: npt.NDArray[np.int16] = (np.clip(200 * (1 - since / 0.04), 0, None) + noise).astype(np.int16)
    return beats


def until_asystole() -> npt.NDArray[np.int16]:
    """Ten seconds at the end of whose last five an asystole stands."""
    signal = beating(10)
    signal[:, 2500:] = np.random.default_rng(1).integers(-2, 3, (1, 2500))
    return signal


def play(intake: Intake, samples: npt.NDArray[np.int16], first: int = 0) -> None:
    for at in range(0, samples.shape[1], 50):
        intake.push(chunk(first + at, samples[:, at : at + 50]))


class TestVitals:
    @virtual_time
    async def test_the_heart_rate_comes_about_once_a_second(self) -> None:
        desk = Desk()
        play(desk.open(), beating(15))
        told = desk.events("vitals")
        assert 14 <= len(told) <= 16
        assert (told[-1]["hr"], told[-1]["hr_source"]) == (60, "II")
        assert np.diff([event["sample"] for event in told]).tolist() == [500] * (len(told) - 1)
        assert len(desk.events("quality")) >= len(told)

    @virtual_time
    async def test_beats_are_told_with_their_samples_and_several_times(self) -> None:
        desk = Desk()
        play(desk.open(), beating(15))
        told = [beat for event in desk.events("vitals") for beat in event.get("beats", [])]
        samples = sorted({at for at, _ in told})
        assert {kind for _, kind in told} == {"N"}
        # A beat stands in the middle of each second; of the first the levels are learned.
        assert [abs(at % 500 - 250) < 10 for at in samples] == [True] * len(samples)
        assert len(samples) == 13
        assert sum(at == samples[6] for at, _ in told) in {3, 4}

    @virtual_time
    async def test_priorities_and_keys_let_the_latest_value_win(self) -> None:
        desk = Desk()
        play(desk.open(), beating(2))
        events = {(event.key, event.priority) for bundle in desk.bundles for event in bundle.events}
        assert events == {("vitals", MessagePriority.HIGH), ("quality", MessagePriority.NORMAL)}

    @virtual_time
    async def test_after_a_hole_the_count_begins_anew(self) -> None:
        desk = Desk()
        intake = desk.open()
        play(intake, beating(10))
        assert desk.events("vitals")[-1]["hr"] == 60
        play(intake, beating(2), first=7000)
        assert desk.events("vitals")[-1]["hr"] is None
        play(intake, beating(10), first=8000)
        assert desk.events("vitals")[-1]["hr"] == 60

    @virtual_time
    async def test_the_rate_is_counted_on_a_lead_that_is_on(self) -> None:
        desk = Desk()
        intake = desk.open(stream_info(leads=2))
        intake.report_quality(DeviceQuality(0, ("II",)))
        play(intake, beating(10, leads=2))
        assert desk.events("vitals")[-1]["hr_source"] == "V1"
        assert desk.events("quality")[-1]["leads_off"] == ["II"]
        intake.report_quality(DeviceQuality(5000, ()))
        play(intake, beating(10, leads=2), first=5000)
        assert desk.events("vitals")[-1]["hr_source"] == "II"
        assert desk.events("quality")[-1]["leads_off"] == []

    @virtual_time
    async def test_without_a_lead_there_is_no_heart_rate(self) -> None:
        desk = Desk()
        intake = desk.open()
        play(intake, beating(10))
        intake.report_quality(DeviceQuality(5000, ("II",)))
        play(intake, beating(2), first=5000)
        assert (desk.events("vitals")[-1]["hr"], desk.events("vitals")[-1]["hr_source"]) == (None, None)

    @virtual_time
    async def test_the_measured_rate_is_told(self) -> None:
        desk = Desk()
        intake = desk.open()
        for first in range(0, 7500, 50):
            send(intake, (first, first + 50))
            await asyncio.sleep(50 / 499.0)
        assert desk.events("quality")[0]["rate_hz"] is None
        assert desk.events("quality")[-1]["rate_hz"] == pytest.approx(499.0, rel=1e-3)


class TestAlarms:
    @virtual_time
    async def test_the_pattern_is_told_when_it_changes_and_once_a_second(self) -> None:
        desk = Desk()
        intake = desk.open()
        play(intake, beating(10))
        told = [bundle.pattern for bundle in desk.bundles if bundle.frames]
        assert told.count(DataPattern.NORMAL) == 10
        assert told.count(None) == 90
        play(intake, np.random.default_rng(1).integers(-2, 3, (1, 2500)).astype(np.int16), first=5000)
        news = [bundle.pattern for bundle in desk.bundles[-50:]]
        assert DataPattern.ARRHYTHMIA in news or DataPattern.FLAT in news
        silent = [bundle for bundle in desk.bundles[-50:] if not bundle.events and bundle.pattern]
        assert 1 <= len(silent) <= 3

    @virtual_time
    async def test_an_alarm_reaches_the_sink_under_an_id_that_was_given(self) -> None:
        desk = Desk()
        play(desk.open(), until_asystole())
        (event,) = (event for event in desk.alarms.told if event.change is Change.RAISED)
        assert (event.alarm.kind, event.alarm.id) == (AlarmKind.ASYSTOLE, "id-0")
        assert desk.grave[0][0] > 3000

    @virtual_time
    async def test_a_new_session_ends_the_alarms_of_the_one_before(self) -> None:
        desk = Desk()
        play(desk.open(), until_asystole())
        (alarm,) = desk.alarms.on(1)
        desk.open(replace(INFO, epoch=2), "session-two")
        assert desk.alarms.on(1) == []
        assert desk.alarms.told[-1].alarm == alarm
        assert desk.alarms.asked == [1, 2]

    @virtual_time
    async def test_a_device_that_begins_session_after_session_has_no_alarms_and_that_is_one(self) -> None:
        desk = Desk()
        for epoch in range(1, 5):
            play(desk.open(replace(INFO, epoch=epoch), f"session-{epoch}"), beating(4))
        (alarm,) = desk.alarms.on(4)
        assert alarm.kind is AlarmKind.ARRHYTHMIA_OFF
        assert alarm.condition.evidence.limit == 6.0

    @virtual_time
    async def test_new_facts_about_an_epoch_do_not_end_its_alarms(self) -> None:
        desk = Desk()
        play(desk.open(), until_asystole())
        before = desk.alarms.on(1)
        desk.open(replace(INFO, ward="another"), next_sample=5000)
        assert desk.alarms.on(1) == before
        assert desk.alarms.asked == [1]

    @virtual_time
    async def test_the_end_of_an_admission_ends_its_alarms_and_its_epoch(self) -> None:
        desk = Desk()
        intake = desk.open()
        play(intake, until_asystole())
        desk.ingest.end("a")
        assert desk.alarms.on(1) == []
        assert desk.events("quality")[-1]["state"] == "silent"
        assert not desk.ingest.streams()
        with pytest.raises(StreamBusyError):
            send(intake, (5000, 5050))
        desk.ingest.end("a")

    @virtual_time
    async def test_a_stream_that_moves_keeps_its_alarms_where_it_goes(self) -> None:
        desk, elsewhere = Desk(), Desk()
        play(desk.open(), until_asystole())
        before = desk.alarms.on(1)
        place = desk.ingest.release("a")
        assert place is not None
        assert desk.alarms.on(1) == before
        elsewhere.alarms.before = before
        elsewhere.ingest.open(INFO, SESSION, place)
        assert elsewhere.alarms.told == []
        elsewhere.ingest.end("a")
        assert [event.alarm for event in elsewhere.alarms.told] == before

    @virtual_time
    async def test_ten_seconds_without_samples_are_an_alarm_until_they_come_again(self) -> None:
        desk = Desk()
        intake = desk.open()
        await asyncio.sleep(9)
        play(intake, beating(1))
        await asyncio.sleep(9.5)
        desk.tend()
        assert desk.alarms.told == []
        await asyncio.sleep(0.5)
        desk.tend()
        desk.tend()
        assert [event.alarm.kind for event in desk.alarms.told] == [AlarmKind.NO_DATA]
        send(intake, (500, 510))
        play(intake, beating(1), first=600)
        assert [event.change for event in desk.alarms.told] == [Change.RAISED, Change.ENDED]

    @virtual_time
    async def test_late_samples_are_no_sign_that_data_come(self) -> None:
        desk = Desk()
        intake = desk.open()
        send(intake, (500, 600))
        await asyncio.sleep(9)
        send(intake, (0, 500))
        await asyncio.sleep(1)
        desk.tend()
        assert [event.alarm.kind for event in desk.alarms.told] == [AlarmKind.NO_DATA]

    @virtual_time
    async def test_alarms_are_settled_with_others_while_samples_come_and_only_then(self) -> None:
        desk = Desk()
        intake = desk.open()
        send(intake, (0, 100))
        desk.tend()
        assert desk.alarms.settled == [1]
        await asyncio.sleep(SILENCE_S)
        desk.tend()
        send(intake, (100, 200))
        desk.tend()
        intake.close(ended=False)
        desk.tend()
        assert desk.alarms.settled == [1, 1]


class TestSessions:
    @virtual_time
    async def test_a_stream_is_live_while_its_device_is_connected(self) -> None:
        desk = Desk()
        assert not desk.ingest.is_online("a")
        intake = desk.open()
        assert desk.ingest.is_online("a")
        intake.close(ended=False)
        intake.close(ended=False)
        desk.open()
        assert [event["state"] for event in desk.events("quality")] == ["live", "silent", "live"]

    @virtual_time
    async def test_the_same_session_continues_its_epoch(self) -> None:
        desk = Desk()
        first = desk.open()
        send(first, (0, 10))
        first.close(ended=False)
        await asyncio.sleep(60)
        again = desk.open(next_sample=30)
        assert again.next_sample == 10
        send(again, (30, 80))
        assert desk.story == [("WAVEFORM", 0, 10), ("source", 10, 30), ("WAVEFORM", 30, 80)]

    @virtual_time
    async def test_the_newest_connection_of_a_session_writes(self) -> None:
        desk = Desk()
        old = desk.open()
        send(old, (0, 10))
        new = desk.open()
        send(new, (10, 20))
        with pytest.raises(StreamBusyError, match="another connection"):
            send(old, (20, 30))
        with pytest.raises(StreamBusyError, match="another connection"):
            old.report_quality(DeviceQuality(0, ()))
        old.close(ended=True)
        assert desk.ingest.is_online("a")
        assert [event["state"] for event in desk.events("quality")] == ["live"]
        await asyncio.sleep(2 * FRAME_S)
        assert desk.story == [("WAVEFORM", 0, 20)]

    @virtual_time
    async def test_a_session_may_open_what_is_its_own_or_free_or_silent(self) -> None:
        desk = Desk()
        async with desk.ingest.opening("a", SESSION):
            intake = desk.open()
        async with desk.ingest.opening("a", SESSION):
            pass
        assert await _is_busy(desk, "session-two")
        await asyncio.sleep(SILENCE_S - 1)
        send(intake, (0, 50))
        await asyncio.sleep(SILENCE_S - 1)
        assert await _is_busy(desk, "session-two")
        await asyncio.sleep(2)
        assert not await _is_busy(desk, "session-two")

    @virtual_time
    async def test_a_session_that_said_bye_leaves_the_stream_at_once(self) -> None:
        desk = Desk()
        desk.open().close(ended=True)
        assert not desk.ingest.is_online("a")
        assert not await _is_busy(desk, "session-two")

    @virtual_time
    async def test_a_connection_that_breaks_keeps_the_stream_for_its_session(self) -> None:
        desk = Desk()
        desk.open().close(ended=False)
        assert await _is_busy(desk, "session-two")

    @virtual_time
    async def test_two_sessions_that_come_at_once_do_not_both_open(self) -> None:
        desk = Desk()
        opened: list[str] = []

        async def come(session: str) -> None:
            async with desk.ingest.opening("a", session):
                await turns()  # the epoch is written to the database here
                opened.append(session)
                desk.open(session=session)

        results = await asyncio.gather(come("session-one"), come("session-two"), return_exceptions=True)
        assert opened == ["session-one"]
        assert [type(result) for result in results] == [type(None), StreamBusyError]

    @virtual_time
    async def test_a_session_that_was_replaced_writes_no_more(self) -> None:
        desk = Desk()
        old = desk.open()
        send(old, (0, 10))
        await asyncio.sleep(0.5 * FRAME_S)
        desk.open(replace(INFO, epoch=2), "session-two")
        assert desk.story == [("WAVEFORM", 0, 10)]
        with pytest.raises(StreamBusyError, match="another connection"):
            send(old, (10, 60))
        old.close(ended=True)
        assert desk.ingest.is_online("a")
        assert [bundle.info.epoch for bundle in desk.bundles] == [1, 1, 2]

    @virtual_time
    async def test_new_facts_begin_an_epoch_of_the_same_session_anew(self) -> None:
        desk = Desk()
        send(desk.open(), (0, 50))
        again = desk.open(replace(INFO, epoch=2), next_sample=7)
        assert again.next_sample == 7

    @virtual_time
    async def test_the_position_of_a_session_is_kept_for_an_hour(self) -> None:
        desk = Desk()
        intake = desk.open()
        send(intake, (0, 50))
        intake.close(ended=False)
        await asyncio.sleep(FORGET_S - 1)
        async with desk.ingest.opening("b", "session-two"):
            intake = desk.open(next_sample=0)
            assert intake.next_sample == 50
        intake.close(ended=False)
        await asyncio.sleep(FORGET_S + 1)
        async with desk.ingest.opening("b", "session-two"):
            assert desk.open(next_sample=0).next_sample == 0

    @virtual_time
    async def test_a_device_that_is_connected_is_not_forgotten(self) -> None:
        desk = Desk()
        old = desk.open()
        await asyncio.sleep(FORGET_S + 1)
        async with desk.ingest.opening("a", "session-two"):
            desk.open(replace(INFO, epoch=2), "session-two")
        with pytest.raises(StreamBusyError):
            send(old, (0, 50))


async def _is_busy(desk: Desk, session: str) -> bool:
    try:
        async with desk.ingest.opening("a", session):
            return False
    except StreamBusyError:
        return True


def cuts(total: int) -> st.SearchStrategy[list[int]]:
    """The edges of chunks that cover `total` samples, none longer than 2 s at 500 Hz."""
    inner = st.lists(st.integers(1, total - 1), max_size=25, unique=True)
    return inner.map(lambda edges: sorted({0, total, *edges, *range(0, total, 1000)}))


@settings(max_examples=25)
@given(
    edges=cuts(3000),
    wide=st.booleans(),
    leads=st.integers(1, 3),
    seed=st.integers(0, 2**16),
    pauses=st.lists(st.sampled_from((0.0, 0.02, 0.15)), min_size=1, max_size=8),
)
def test_any_chunking_gives_every_viewer_the_same_samples(
    edges: list[int], wide: bool, leads: int, seed: int, pauses: list[float]
) -> None:
    """Device chunks -> ingest -> layer -> another process's hub -> bundle -> decode."""
    info = stream_info(leads=leads)
    if wide:
        info = replace(info, leads=tuple(replace(lead, adc_bits=32) for lead in info.leads))
    limit = 2**31 if wide else 2**15
    kind = np.int32 if wide else np.int16
    signal = np.random.default_rng(seed).integers(-limit, limit, (leads, 3000), kind)

    @virtual_time
    async def run() -> None:
        layer, clock = InMemoryChannelLayer(capacity=10_000), asyncio.get_running_loop().time
        here, there = (Hub(layer, process_id=name, clock=clock, tick_s=0.0) for name in ("here", "there"))
        await here.start()
        await there.start()
        near, far = Viewer(), Viewer()
        for hub, viewer in ((here, near), (there, far)):
            hub.add(viewer.subscriber)
            await hub.watch(viewer.subscriber, "a")
        ingest = Ingest(here.publish, lambda _group: CompressionHandler(), clock=clock)
        intake = ingest.open(info, SESSION, Place(0))
        for turn, (first, stop) in enumerate(pairwise(edges)):
            intake.push(chunk(first, signal[:, first:stop]))
            await near.catch_up()
            await far.catch_up()
            await asyncio.sleep(pauses[turn % len(pauses)])
        intake.close(ended=True)
        for viewer in (near, far):
            await viewer.catch_up()
            assert np.array_equal(viewer.samples, signal)
            assert viewer.firsts[0] == 0
            assert viewer.gaps == []
            await viewer.subscriber.aclose()
        await here.aclose()
        await there.aclose()

    run()


class TestCost:
    @virtual_time
    async def test_a_stream_that_costs_too_much_is_cut_and_its_budget_outlives_the_connection(self) -> None:
        cpu = itertools.count(step=1.0)  # every chunk takes a second
        ingest = Ingest(
            list[Bundle]().append,
            lambda _group: CompressionHandler(),
            clock=asyncio.get_running_loop().time,
            cpu_clock=lambda: next(cpu),
        )
        intake = ingest.open(INFO, SESSION, Place(0))
        send(intake, (0, 10, 20))
        with pytest.raises(RateLimitError):
            send(intake, (20, 30))
        with pytest.raises(RateLimitError):
            send(ingest.open(INFO, SESSION, Place(0)), (30, 40))
        await asyncio.sleep(8)
        send(ingest.open(INFO, SESSION, Place(0)), (40, 50))

    @virtual_time
    async def test_the_connection_before_is_told_that_it_is_replaced(self) -> None:
        desk = Desk()
        told: list[str] = []
        desk.ingest.open(INFO, SESSION, Place(0), lambda: told.append("first"))
        desk.ingest.open(INFO, SESSION, Place(0), lambda: told.append("second"))
        assert told == ["first"]
