"""Which processes run under which settings, as each of them wrote it."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from streaming.models_processes import ServerProcess
from streaming.store import processes
from streaming.store.processes import FORGOTTEN_AFTER, GONE_AFTER, Refusal

pytestmark = pytest.mark.django_db


def silent_for(process: str, time: timedelta) -> None:
    ServerProcess.objects.filter(pk=process).update(seen_at=Now() - time)


def test_process_is_known_by_its_last_word() -> None:
    processes.report("a", 3, None)
    processes.report("a", 4, Refusal(5, "profile ecg.a: bad"))
    (known,) = processes.known()
    assert (known.name, known.version, known.pid) == ("a", 4, os.getpid())
    assert known.refusal == Refusal(5, "profile ecg.a: bad")
    assert not known.is_gone
    processes.report("a", 6, None)
    (known,) = processes.known()
    assert (known.version, known.refusal) == (6, None)


def test_process_that_ends_is_no_more() -> None:
    processes.report("a", 3, None)
    processes.report("b", 3, None)
    processes.leave("a")
    assert [known.name for known in processes.known()] == ["b"]


def test_silent_process_is_gone_and_then_forgotten() -> None:
    processes.report("a", 3, None)
    silent_for("a", GONE_AFTER + timedelta(seconds=2))
    (known,) = processes.known()
    assert known.is_gone
    assert known.silent_s > GONE_AFTER.total_seconds()
    silent_for("a", FORGOTTEN_AFTER + timedelta(seconds=2))
    assert processes.known() == []
    processes.report("b", 3, None)
    assert list(ServerProcess.objects.values_list("pk", flat=True)) == ["b"]


def test_word_is_one_statement_and_known_too(django_assert_num_queries: object) -> None:
    processes.report("a", 3, None)
    with django_assert_num_queries(1):  # type: ignore[operator]
        processes.report("a", 4, None)
    with django_assert_num_queries(1):  # type: ignore[operator]
        processes.known()


def test_reason_comes_with_a_version() -> None:
    processes.report("a", 3, None)
    with pytest.raises(IntegrityError, match="process_refuses_a_version"), transaction.atomic():
        ServerProcess.objects.update(refusal="bad", settings_version=F("settings_version"))
