"""Each user's arrangement of the ward: kept apart, checked whole, and never in the way of the page."""

from __future__ import annotations

from typing import Any

import pytest

from streaming.exceptions import LayoutError
from streaming.models_layout import BedOrder, WardLayout
from streaming.store import layouts
from streaming.store.layouts import MAX_PINNED, Layout
from tests.store.people import Hospital

STREAMS = ["aaaaaaaaaaa2", "aaaaaaaaaaa3"]


@pytest.mark.django_db
def test_it_is_kept_for_its_user_alone(place: Hospital) -> None:
    nurse, other = place.user("nurse", "a"), place.user("other", "a")
    assert layouts.load(nurse.pk) == Layout()
    layout = Layout(BedOrder.ALARM, tuple(STREAMS))
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
        ([], "order and pinned"),
        ({"order": "bed"}, "order and pinned"),
        ({"order": "bed", "pinned": [], "more": 1}, "nothing else"),
        ({"order": "sideways", "pinned": []}, "one of ward, bed, alarm"),
        ({"order": ["bed"], "pinned": []}, "one of"),
        ({"order": "bed", "pinned": "aaaaaaaaaaa2"}, "a list"),
        ({"order": "bed", "pinned": [STREAMS[0]] * (MAX_PINNED + 1)}, "at most"),
        ({"order": "bed", "pinned": ["../../etc"]}, "no id"),
        ({"order": "bed", "pinned": [7]}, "no id"),
        ({"order": "bed", "pinned": [STREAMS[0]] * 2}, "twice"),
    ],
)
def test_what_is_wrong_with_one_is_said(value: Any, why: str) -> None:
    with pytest.raises(LayoutError, match=why):
        Layout.read(value)


def test_it_comes_back_as_it_was() -> None:
    layout = Layout(BedOrder.BED, tuple(STREAMS))
    assert Layout.read(layout.as_json()) == layout
