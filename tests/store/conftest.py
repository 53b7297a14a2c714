"""Fixtures of the store's tests."""

from __future__ import annotations

import pytest

from streaming.store import audit
from tests.store.people import Hospital, hospital


@pytest.fixture(autouse=True)
def fresh_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins a chain of its own: what it wrote is rolled back, and the writer would not know."""
    monkeypatch.setattr(audit, "_writer", audit.AuditWriter())
    monkeypatch.setattr(audit, "_refusals", audit.Repeats())


@pytest.fixture
def place(db: None) -> Hospital:
    """Two wards with patients and staff."""
    return hospital()
