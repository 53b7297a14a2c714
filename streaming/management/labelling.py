"""Writes what is true of a simulated patient beside what is sent of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

from streaming.client.playback import Step
from streaming.ecg.labels import as_json
from streaming.ecg.simulator import Simulator


def labelled(steps: Iterator[Step], patient: Simulator, number: int, out: TextIO | None) -> Iterator[Step]:
    """The steps of a patient who has not been read; the labels of each are in `out` before it is played.

    One JSON object a line: first the signal's rate, leads and gain, then its labels (`labels.as_json`), all
    with the patient's number. Sample indices count from the first sample of the run.
    """
    if out is None:
        yield from steps
        return

    def write(content: dict[str, Any]) -> None:
        out.write(f"{json.dumps({'patient': number, **content})}\n")

    signal = {"rate_hz": patient.rate_hz, "leads": patient.leads, "gain_uv": patient.gain_uv}
    write({"label": "signal", "sample": patient.position, **signal})
    for step in steps:
        for label in patient.labels_from(patient.position - step.count):
            write(as_json(label))
        yield step
