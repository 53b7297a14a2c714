"""What a device plays, step by step: a simulated patient without end, or a recording with its holes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from streaming.client.device import Device
from streaming.client.pacing import Pacer
from streaming.client.recordings import Recording
from streaming.core.streams import Lead
from streaming.ecg.codec import Samples
from streaming.ecg.simulator import Simulator
from streaming.exceptions import RecordingError

CHUNK_S = 0.1
"""Signal per step: the length of a canonical live frame, so that the server need not join or split."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """The next `count` samples, (leads, count), and the leads that are off in them; None is a hole."""

    count: int
    samples: Samples | None
    leads_off: tuple[str, ...] = ()


async def play(device: Device, steps: Iterable[Step], pacer: Pacer) -> None:
    """Send each step when its last sample is due; returns at the end of `steps`."""
    position = 0
    leads_off: tuple[str, ...] = ()
    for step in steps:
        position += step.count
        await pacer.until(position / device.rate_hz)
        if step.samples is None:
            device.skip(step.count)
            continue
        if step.leads_off != leads_off:
            leads_off = step.leads_off
            await device.report_leads_off(leads_off)
        await device.send(step.samples)


def simulated(patient: Simulator, duration_s: float | None = None) -> Iterator[Step]:
    """The simulated patient, for `duration_s` of signal or for ever."""
    count = max(1, round(CHUNK_S * patient.rate_hz))
    left = None if duration_s is None else round(duration_s * patient.rate_hz)
    while left is None or left > 0:
        count = count if left is None else min(count, left)
        left = None if left is None else left - count
        samples = patient.read(count)
        yield Step(count, samples, patient.leads_off)


def simulated_leads(patient: Simulator) -> tuple[Lead, ...]:
    """How the patient's samples are meant."""
    return tuple(Lead(name, patient.gain_uv) for name in patient.leads)


def recorded(recording: Recording, *, loop: bool = False) -> Iterator[Step]:
    """The recording, once or for ever; a step ends where a hole or a lead-off begins or ends."""
    total = recording.samples.shape[1]
    most = max(1, round(CHUNK_S * recording.rate_hz))
    edges = _edges(recording, total)
    while True:
        for first, stop in pairwise(edges):
            if any(hole_first <= first < hole_stop for hole_first, hole_stop in recording.missing):
                yield Step(stop - first, None)
                continue
            off = tuple(span.lead for span in recording.leads_off if span.first <= first < span.stop)
            for at in range(first, stop, most):
                end = min(at + most, stop)
                yield Step(end - at, recording.samples[:, at:end], off)
        if not loop:
            return


def section(
    recording: Recording,
    *,
    start_s: float = 0.0,
    duration_s: float | None = None,
    leads: Sequence[str] | None = None,
) -> Recording:
    """A part of a recording: from `start_s` on, `duration_s` long, only these leads in this order.

    Raises RecordingError for a lead that it does not have, or a part that lies outside it.
    """
    names = [lead.name for lead in recording.leads]
    chosen = list(leads) if leads is not None else names
    unknown = [name for name in chosen if name not in names]
    if unknown or not chosen:
        raise RecordingError(
            f"record {recording.name} has the leads {', '.join(names)}, not {', '.join(unknown) or 'none'}"
        )
    rows = [names.index(name) for name in chosen]
    total = recording.samples.shape[1]
    length_s = total / recording.rate_hz
    if not 0 <= start_s < length_s or (duration_s is not None and not duration_s > 0):
        raise RecordingError(f"record {recording.name} is {length_s:.1f} s long: nothing of it lies there")
    first = min(round(start_s * recording.rate_hz), total - 1)
    end_s = length_s if duration_s is None else min(length_s, start_s + duration_s)
    stop = max(first + 1, round(end_s * recording.rate_hz))
    return replace(
        recording,
        leads=tuple(recording.leads[row] for row in rows),
        samples=recording.samples[rows, first:stop],
        missing=tuple(
            (max(a, first) - first, min(b, stop) - first)
            for a, b in recording.missing
            if a < stop and b > first
        ),
        leads_off=tuple(
            replace(span, first=max(span.first, first) - first, stop=min(span.stop, stop) - first)
            for span in recording.leads_off
            if span.lead in chosen and span.first < stop and span.stop > first
        ),
    )


def _edges(recording: Recording, total: int) -> list[int]:
    """Sample indices at which the steps of a recording must begin or end, in order."""
    edges = {0, total}
    for first, stop in recording.missing:
        edges |= {first, stop}
    for span in recording.leads_off:
        edges |= {span.first, span.stop}
    return sorted(edges)
