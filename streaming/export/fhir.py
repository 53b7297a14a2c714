"""FHIR R4: a Bundle of Observations of a minute, each lead a component with SampledData; "E" where it lacks.

https://hl7.org/fhir/R4/datatypes.html#SampledData; codes of leads are those of ISO/IEEE 11073-10101.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

from streaming.core.streams import Lead
from streaming.export.recording import NOTICE, Block, Recording

_MINUTE = 60
_MDC = "urn:oid:2.16.840.1.113883.6.24"
_UCUM = "http://unitsofmeasure.org"
_CATEGORIES = "http://terminology.hl7.org/CodeSystem/observation-category"
_LEADS = {
    "I": 131329,
    "II": 131330,
    "V1": 131331,
    "V2": 131332,
    "V3": 131333,
    "V4": 131334,
    "V5": 131335,
    "V6": 131336,
    "III": 131389,
    "aVR": 131390,
    "aVL": 131391,
    "aVF": 131392,
}


def files(recording: Recording) -> Iterator[tuple[str, Iterator[bytes]]]:
    """One file."""
    yield f"{recording.name}.fhir.json", _bundle(recording)


def _bundle(recording: Recording) -> Iterator[bytes]:
    head = {"resourceType": "Bundle", "type": "collection", "timestamp": recording.began_at.isoformat()}
    yield json.dumps(head)[:-1].encode() + b',"entry":[\n'
    blocks = recording.blocks()
    separator = b""
    for first in blocks:
        minute = list(chain([first], islice(blocks, _MINUTE - 1)))
        yield separator + json.dumps({"resource": _observation(recording, minute)}).encode()
        separator = b",\n"
    yield b"]}\n"


def _observation(recording: Recording, blocks: Sequence[Block]) -> dict[str, Any]:
    info = recording.info
    first = blocks[0].first
    stop = min(blocks[-1].first + recording.block_samples, recording.stop)
    notes = [
        f"{recording.at(note.sample).isoformat()} {note.severity} alarm: {note.text}"
        for note in recording.notes
        if first <= note.sample < stop
    ]
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": _CATEGORIES, "code": "procedure"}]}],
        "code": _coded(131328, "MDC_ECG_ELEC_POTL"),
        "subject": {"identifier": {"value": info.patient}},
        "effectivePeriod": {
            "start": recording.at(first).isoformat(),
            "end": recording.at(stop).isoformat(),
        },
        "device": {"display": f"VITAL, source {info.source.value}, stream {info.stream}, epoch {info.epoch}"},
        "note": [{"text": text} for text in [*notes, NOTICE]],
        "component": [
            {
                "code": _lead_code(lead),
                "valueSampledData": {
                    "origin": {"value": 0, "unit": "uV", "system": _UCUM, "code": "uV"},
                    "period": 1000 / info.rate_hz,
                    "factor": recording.steps_uv[row],
                    "dimensions": 1,
                    "data": _data(blocks, row, stop),
                },
            }
            for row, lead in enumerate(info.leads)
        ],
    }


def _data(blocks: Sequence[Block], row: int, stop: int) -> str:
    values: list[str] = []
    for block in blocks:
        pairs = zip(block.steps[row].tolist(), block.has.tolist(), strict=True)
        values += [str(value) if there else "E" for value, there in islice(pairs, stop - block.first)]
    return " ".join(values)


def _lead_code(lead: Lead) -> dict[str, Any]:
    code = _LEADS.get(lead.name)
    if code is None:
        return {"text": f"ECG lead {lead.name}"}
    return _coded(code, f"MDC_ECG_ELEC_POTL_{lead.name.upper()}")


def _coded(code: int, display: str) -> dict[str, Any]:
    return {"coding": [{"system": _MDC, "code": str(code), "display": display}], "text": display}
