"""What Python and JavaScript share of ECG1: payloads and their samples, and the trained tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streaming.ecg.codec import decode, read_header
from streaming.ecg.ecg1 import codes
from streaming.exceptions import ProtocolError
from tests import make_ecg1_vectors, make_tables

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "ecg1.json").read_text())


@pytest.mark.parametrize("case", VECTORS["valid"], ids=lambda case: case["name"])
def test_decodes_the_vectors(case: dict[str, Any]) -> None:
    payload = bytes.fromhex(case["hex"])
    samples = decode(payload)
    assert samples.shape == (case["leads"], case["samples"])
    assert (read_header(payload).leads, read_header(payload).samples) == samples.shape
    assert 8 * samples.dtype.itemsize == case["bits"]
    assert make_ecg1_vectors.crc(samples) == case["crc"]


@pytest.mark.parametrize("case", VECTORS["malformed"], ids=lambda case: case["name"])
def test_refuses_malformed_payloads(case: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        decode(bytes.fromhex(case["hex"]))


def test_the_vectors_have_every_case() -> None:
    assert {part: [c["name"] for c in cases] for part, cases in make_ecg1_vectors.vectors().items()} == {
        part: [c["name"] for c in cases] for part, cases in VECTORS.items()
    }


def test_the_tables_of_the_page_are_those_of_the_last_training() -> None:
    assert make_tables.TABLES.read_text() == make_tables.tables(), "run: python -m tests.make_tables"


@pytest.mark.parametrize("lengths", [codes.LENGTHS, codes.RUN_LENGTHS], ids=["residuals", "runs"])
def test_the_codes_of_a_table_are_all_bits_there_are(lengths: Any) -> None:
    assert np.all((2.0 ** -lengths.astype(float)).sum(axis=-1) == 1)
