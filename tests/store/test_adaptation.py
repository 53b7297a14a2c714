"""What was learned goes to the database and comes back, newest first to last, and not for ever."""

from __future__ import annotations

import pytest
from django.utils import timezone

from streaming.models_adaptation import AdaptationState
from streaming.store import adaptation

pytestmark = pytest.mark.django_db


def test_a_fresh_database_has_learned_nothing() -> None:
    assert adaptation.load() == {}


def test_states_come_back_by_group() -> None:
    states = {"control": {"version": 1, "kinds": {}}, "ecg.a": {"version": 1, "kinds": {"text": [0.5]}}}
    adaptation.save(states)
    assert adaptation.load() == states
    assert [str(row) for row in AdaptationState.objects.all()] == ["control", "ecg.a"]


def test_the_last_to_write_a_group_wins() -> None:
    adaptation.save({"control": {"version": 1}, "ecg.a": {"version": 1}})
    adaptation.save({"control": {"version": 2}})
    assert adaptation.load() == {"control": {"version": 2}, "ecg.a": {"version": 1}}


def test_what_nobody_wrote_for_a_month_is_neither_read_nor_kept() -> None:
    adaptation.save({"ecg.old": {}})
    AdaptationState.objects.update(updated_at=timezone.now() - adaptation.KEPT * 1.01)
    assert adaptation.load() == {}
    adaptation.save({"control": {}})
    assert AdaptationState.objects.count() == 1
