"""Steps of simulated patients and recordings, and a device that plays them."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.client.device import Device
from streaming.client.pacing import Pacer
from streaming.client.playback import Step, play, recorded, section, simulated, simulated_leads
from streaming.client.recordings import LeadOff, Recording
from streaming.core.messages import DeviceQuality
from streaming.core.streams import Lead
from streaming.ecg.codec import Samples
from streaming.ecg.simulator import Simulator
from streaming.exceptions import RecordingError
from tests.client.peer import Ingest, ramp, server

LEADS = (Lead("II", 5.0), Lead("V1", 2.0))


def recording(
    samples: int = 1000,
    *,
    missing: tuple[tuple[int, int], ...] = (),
    leads_off: tuple[LeadOff, ...] = (),
) -> Recording:
    """A ramp at 100 Hz, in which every value tells its index."""
    return Recording("ramp", 100.0, LEADS, ramp(0, samples, leads=2), missing, leads_off)


def joined(steps: list[Step]) -> Samples:
    return np.concatenate([step.samples for step in steps if step.samples is not None], axis=1)


def test_a_recording_plays_whole_in_tenths_of_a_second() -> None:
    steps = list(recorded(recording(1005)))
    assert [step.count for step in steps] == [10] * 100 + [5]
    assert np.array_equal(joined(steps), ramp(0, 1005, leads=2))


def test_a_missing_span_is_one_hole_of_its_length() -> None:
    steps = list(recorded(recording(100, missing=((0, 7), (25, 60)))))
    assert [(step.count, step.samples is None) for step in steps] == [
        (7, True),
        *[(10, False), (8, False)],
        (35, True),
        *[(10, False)] * 4,
    ]


def test_a_lead_is_off_exactly_where_the_recording_says() -> None:
    off = (LeadOff("II", 5, 20), LeadOff("V1", 15, 30))
    position, seen = 0, []
    for step in recorded(recording(40, leads_off=off)):
        seen.append((position, step.leads_off))
        position += step.count
    assert seen == [(0, ()), (5, ("II",)), (15, ("II", "V1")), (20, ("V1",)), (30, ())]


def test_a_loop_begins_again_where_it_ends() -> None:
    steps = list(islice(recorded(recording(25), loop=True), 7))
    assert [step.count for step in steps] == [10, 10, 5, 10, 10, 5, 10]
    assert np.array_equal(joined(steps[3:6]), ramp(0, 25, leads=2))


@pytest.mark.parametrize("duration_s", [0.004, 0.1, 1.0, 1.234])
def test_a_simulation_lasts_as_long_as_asked_and_is_what_the_simulator_gives(duration_s: float) -> None:
    def patient() -> Simulator:
        return Simulator("sinus", rate_hz=250, leads=("II", "V1"), seed=3)

    steps = list(simulated(patient(), duration_s))
    assert sum(step.count for step in steps) == round(duration_s * 250)
    assert np.array_equal(joined(steps), patient().read(round(duration_s * 250)))
    assert simulated_leads(patient()) == (Lead("II", 5.0), Lead("V1", 5.0))


def test_a_simulated_lead_comes_off_and_back() -> None:
    patient = Simulator("lead_off", rate_hz=50, seed=1)
    states = [step.leads_off for step in simulated(patient, 300.0)]
    assert {(), ("II",)} == set(states)


@settings(max_examples=60)
@given(
    start=st.integers(0, 99),
    length=st.integers(1, 100),
    hole=st.tuples(st.integers(0, 98), st.integers(1, 50)),
    off=st.tuples(st.integers(0, 98), st.integers(1, 50)),
)
def test_a_section_plays_what_the_whole_plays_there(
    start: int, length: int, hole: tuple[int, int], off: tuple[int, int]
) -> None:
    missing = ((hole[0], min(100, hole[0] + hole[1])),)
    lead_off = LeadOff("V1", off[0], min(100, off[0] + off[1]))
    whole = recording(100, missing=missing, leads_off=(lead_off,))
    part = section(whole, start_s=start / 100, duration_s=length / 100, leads=["V1"])
    assert part.leads == (LEADS[1],)
    stop = min(100, start + length)
    assert told(part) == [
        (None if value is None else value[1:], off) for value, off in told(whole)[start:stop]
    ]


def told(played: Recording) -> list[tuple[list[int] | None, tuple[str, ...]]]:
    """Of each sample index: the values of the leads, None in a hole, and the leads that are off."""
    values: list[tuple[list[int] | None, tuple[str, ...]]] = []
    for step in recorded(played):
        if step.samples is None:
            values += [(None, ())] * step.count
        else:
            values += [(column.tolist(), step.leads_off) for column in step.samples.T]
    return values


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"leads": ["V9"]}, "II, V1, not V9"),
        ({"leads": []}, "II, V1"),
        ({"start_s": 10.0}, r"10\.0 s long"),
        ({"start_s": -1.0}, "long"),
        ({"start_s": float("nan")}, "long"),
        ({"duration_s": 0.0}, "long"),
    ],
)
def test_a_section_that_is_not_there_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(RecordingError, match=words):
        section(recording(1000), **options)  # type: ignore[arg-type]  # parametrized


async def test_a_device_plays_holes_leads_off_and_samples_at_their_indices() -> None:
    ingest = Ingest()
    source = recording(100, missing=((20, 50),), leads_off=(LeadOff("V1", 60, 70),))
    clock = [0.0]

    async def wait(seconds: float) -> None:
        clock[0] += seconds

    pacer = Pacer(2.0, clock=lambda: clock[0], wait=wait)
    async with server(ingest.talk) as url, Device(url, "t", signals=LEADS, rate_hz=100) as device:
        await play(device, recorded(source), pacer)
        await device.drain()
        assert device.next_sample == 100
    assert ingest.spans == [(0, 10), (10, 20), (50, 60), (60, 70), (70, 80), (80, 90), (90, 100)]
    assert ingest.reports == [DeviceQuality(60, ("V1",)), DeviceQuality(70, ())]
    assert clock[0] == pytest.approx(0.5), "one second, holes included, at twice the speed"
    assert np.array_equal(
        np.concatenate(ingest.samples, axis=1), np.delete(ramp(0, 100, leads=2), slice(20, 50), axis=1)
    )
