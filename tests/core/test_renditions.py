"""In which qualities a stream is shown, and how many bytes that takes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.renditions import LADDER, VITALS_BYTES_PER_S, Quality, Rendition, bytes_per_s, frame_bytes


def test_qualities_come_best_first() -> None:
    assert [*Quality] == ["lossless", "diagnostic", "display", "overview", "vitals"]


def test_the_ladder_has_every_quality_best_first() -> None:
    assert list(dict.fromkeys(rendition.quality for rendition in LADDER)) == list(Quality)
    assert LADDER[0] == Rendition(Quality.LOSSLESS, 0.1)


@given(st.integers(3, 16), st.floats(250, 2000))
def test_each_needs_less_than_the_one_above(leads: int, rate_hz: float) -> None:
    needs = [bytes_per_s(rendition, leads=leads, rate_hz=rate_hz) for rendition in LADDER]
    assert all(above > below for above, below in pairwise(needs))


@pytest.mark.parametrize(
    ("quality", "saved"), [(Quality.LOSSLESS, 0.792), (Quality.DIAGNOSTIC, 0.874), (Quality.DISPLAY, 0.917)]
)
def test_a_second_of_twelve_leads_saves_what_was_measured(quality: Quality, saved: float) -> None:
    headers = 15 + 12 * 1.1
    size = frame_bytes(Rendition(quality, 1.0), leads=12, rate_hz=500) - headers
    assert 1 - size / 12_000 == pytest.approx(saved)


def test_an_overview_is_one_lead_at_100_hz_or_more() -> None:
    overview = Rendition(Quality.OVERVIEW, 1.0)
    assert frame_bytes(overview, leads=12, rate_hz=500) == frame_bytes(overview, leads=1, rate_hz=100)
    assert frame_bytes(overview, leads=1, rate_hz=360) == frame_bytes(overview, leads=1, rate_hz=120)
    assert frame_bytes(overview, leads=1, rate_hz=50) < frame_bytes(overview, leads=1, rate_hz=100)


def test_vitals_have_no_waveform() -> None:
    assert bytes_per_s(LADDER[-1], leads=12, rate_hz=500) == VITALS_BYTES_PER_S
