"""The laws that tie the twelve leads together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.ecg.leads import DOWER, LIMB, TWELVE_LEADS, derive_leads, measured_leads

samples = st.integers(-10_000, 10_000)


def test_every_lead_is_measured_or_derived() -> None:
    assert set(TWELVE_LEADS) == DOWER.keys() | LIMB.keys()
    assert not DOWER.keys() & LIMB.keys()


@pytest.mark.parametrize(
    ("leads", "measured"),
    [
        (("V1", "II"), ("II", "V1")),
        (("III",), ("I", "II")),
        (("aVF", "V2"), ("I", "II", "V2")),
        (TWELVE_LEADS, tuple(DOWER)),
    ],
)
def test_derived_leads_need_one_and_two(leads: tuple[str, ...], measured: tuple[str, ...]) -> None:
    assert measured_leads(leads) == measured


def test_unknown_lead_is_named() -> None:
    with pytest.raises(ValueError, match="MCL9"):
        measured_leads(("II", "MCL9"))


@settings(max_examples=50)
@given(st.lists(st.tuples(samples, samples), min_size=1, max_size=20))
def test_einthoven_holds_to_the_last_bit(pairs: list[tuple[int, int]]) -> None:
    measured = np.array(pairs, np.int16).T
    one, two, three = derive_leads(("I", "II", "III"), ("I", "II"), measured)
    assert np.array_equal(one + three, two)


@settings(max_examples=50)
@given(st.lists(st.tuples(samples, samples), min_size=1, max_size=20))
def test_augmented_leads_cancel_within_their_rounding(pairs: list[tuple[int, int]]) -> None:
    measured = np.array(pairs, np.int16).T
    augmented = derive_leads(("aVR", "aVL", "aVF"), ("I", "II"), measured)
    assert np.all(np.abs(augmented.sum(axis=0)) <= 1.5)


def test_augmented_lead_in_numbers() -> None:
    measured = np.array([[100], [260]], np.int16)
    leads = derive_leads(("aVR", "aVL", "aVF", "III"), ("I", "II"), measured)
    assert leads[:, 0].tolist() == [-180, -30, 210, 160]


def test_leads_come_in_the_order_asked_for() -> None:
    measured = np.array([[1, 2], [30, 40], [500, 600]], np.int16)
    leads = derive_leads(("V1", "III", "I"), ("I", "II", "V1"), measured)
    assert leads.tolist() == [[500, 600], [29, 38], [1, 2]]


def test_derived_lead_beyond_16_bits_stays_at_the_rail() -> None:
    measured = np.array([[-30_000], [30_000]], np.int16)
    assert derive_leads(("III",), ("I", "II"), measured).tolist() == [[32767]]
