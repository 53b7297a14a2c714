"""Each user's arrangement of the ward: kept apart, checked whole, and never in the way of the page."""

from __future__ import annotations

from typing import Any

import pytest

from streaming.exceptions import LayoutError
from streaming.models_layout import BedOrder, BedsPerPage, WardLayout
from streaming.store import layouts
from streaming.store.layouts import MAX_PINNED, Layout
from tests.store.people import Hospital

STREAMS = ["aaaaaaaaaaa2", "aaaaaaaaaaa3"]


@pytest.mark.django_db
def test_it_is_kept_for_its_user_alone(place: Hospital) -> None:
    nurse, other = place.user("nurse", "a"), place.user("other", "a")
    assert layouts.load(nurse.pk) == Layout()
    layout = Layout(BedOrder.ALARM, tuple(STREAMS), BedsPerPage.MANY)
    layouts.save(nurse.pk, Layout(BedOrder.BED))
    layouts.save(nurse.pk, layout)
    assert layouts.load(nurse.pk) == layout
    assert layouts.load(other.pk) == Layout()


@pytest.mark.django_db
def test_one_that_cannot_be_is_as_if_it_were_not_there(place: Hospital) -> None:
    nurse = place.user("nurse", "a")
    WardLayout.objects.create(user=nurse, order="bed", pinned=[1])
    assert layouts.load(nurse.pk) == Layout()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([], "order, pinned and per_page"),
        ({"order": "bed"}, "order, pinned and per_page"),
        ({"order": "bed", "pinned": [], "more": 1}, "nothing else"),
        ({"order": "sideways", "pinned": []}, "one of ward, bed, alarm"),
        ({"order": ["bed"], "pinned": []}, "one of"),
        ({"order": "bed", "pinned": "aaaaaaaaaaa2"}, "a list"),
        ({"order": "bed", "pinned": [STREAMS[0]] * (MAX_PINNED + 1)}, "at most"),
        ({"order": "bed", "pinned": ["../../etc"]}, "no id"),
        ({"order": "bed", "pinned": [7]}, "no id"),
        ({"order": "bed", "pinned": [STREAMS[0]] * 2}, "twice"),
        ({"order": "bed", "pinned": [], "per_page": 17}, "one of 16, 32"),
        ({"order": "bed", "pinned": [], "per_page": [16]}, "one of 16, 32"),
    ],
)
def test_what_is_wrong_with_one_is_said(value: Any, why: str) -> None:
    with pytest.raises(LayoutError, match=why):
        Layout.read(value)


def test_it_comes_back_as_it_was() -> None:
    layout = Layout(BedOrder.BED, tuple(STREAMS), BedsPerPage.MANY)
    assert Layout.read(layout.as_json()) == layout


def test_what_a_page_of_before_does_not_name_stays() -> None:
    said = {"order": "bed", "pinned": []}
    assert Layout.read(said).per_page == BedsPerPage.FEW
    assert Layout.read(said, Layout(per_page=BedsPerPage.MANY)) == Layout(
        BedOrder.BED, per_page=BedsPerPage.MANY
    )
