"""The chain: whole, broken in each way it can be, and safe between threads and transactions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, InterfaceError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoCaptureOnCommitCallbacks

from streaming.exceptions import AuthenticationError
from streaming.models import AuditEntry, Ward
from streaming.store import access, audit
from streaming.store.audit import AuditWriter, Refusal
from streaming.store.chain import GENESIS, Head, link, row_hash
from streaming.store.trails import AUDIT
from streaming.store.verification import Fault, verify_chains
from tests.store.tampering import TRIGGERS, remove, tamper


def problem(writer: str, seq: int, text: str) -> Fault:
    return Fault("audit", writer, seq, text)


def faults() -> list[Fault]:
    """What is wrong with all chains."""
    return verify_chains(AUDIT, set(AuditEntry.objects.values_list("writer", flat=True)))


def write(writer: AuditWriter, count: int) -> None:
    """Append some entries."""
    for number in range(count):
        writer.append("user:1", "stream.subscribe", f"stream:{number}", "allowed", {"n": number})


@pytest.fixture
def chain(db: None) -> AuditWriter:
    """Five entries."""
    writer = AuditWriter()
    write(writer, 5)
    return writer


def test_untouched_chain_is_whole(chain: AuditWriter) -> None:
    assert faults() == verify_chains(AUDIT, [chain.head().writer]) == []


def test_entries_are_numbered_and_linked(chain: AuditWriter) -> None:
    entries = list(AuditEntry.objects.order_by("seq"))
    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.prev_hash for entry in entries] == [GENESIS, *(entry.hash for entry in entries[:-1])]
    assert chain.head() == Head(entries[0].writer, 5, entries[-1].hash)


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "user:2"},
        {"action": "roster.view"},
        {"object": "stream:other"},
        {"outcome": "denied"},
        {"detail": {"n": 99}},
        {"hash": "f" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
def test_altered_entry_is_found(change: dict[str, Any], chain: AuditWriter) -> None:
    tamper(3, **change)
    assert problem(chain.head().writer, 3, "altered") in faults()


def test_altered_time_is_found(chain: AuditWriter) -> None:
    at = AuditEntry.objects.get(seq=3).at
    tamper(3, at=at.replace(microsecond=(at.microsecond + 1) % 1_000_000))
    assert faults() == [problem(chain.head().writer, 3, "altered")]


def test_entry_forged_with_a_right_hash_of_its_own_is_found(chain: AuditWriter) -> None:
    entry = AuditEntry.objects.get(seq=3)
    entry.outcome = "denied"
    tamper(3, outcome="denied", hash=row_hash(entry))
    assert faults() == [problem(chain.head().writer, 4, "does not follow the entry before it")]


def test_missing_entry_is_found(chain: AuditWriter) -> None:
    remove(3)
    assert faults() == [problem(chain.head().writer, 3, "missing")]


def test_missing_first_entry_is_found(chain: AuditWriter) -> None:
    remove(1)
    assert faults() == [problem(chain.head().writer, 1, "missing")]


def test_cut_off_end_is_found_by_a_head_that_somebody_knows(chain: AuditWriter) -> None:
    known = chain.head()
    assert verify_chains(AUDIT, [known.writer], [known]) == []
    remove(5)
    assert verify_chains(AUDIT, [known.writer]) == []
    (fault,) = verify_chains(AUDIT, [known.writer], [known])
    assert (
        str(fault) == f"audit {known.writer}/5: the end of the chain is missing: this process names entry 5"
    )


def test_chains_of_several_processes_stand_side_by_side(chain: AuditWriter) -> None:
    other = AuditWriter()
    write(other, 2)
    write(chain, 1)
    remove(3)
    assert verify_chains(AUDIT, [other.head().writer]) == []
    assert [fault.seq for fault in faults()] == [3]


def test_hash_is_of_everything_and_stays_what_it_was() -> None:
    """A trail that was written years ago verifies by it."""
    at = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    entry = AuditEntry(at=at, actor="user:1", action="a", object="o", outcome="done", detail={"n": [1, "é"]})
    assert link(Head("w", 6, GENESIS), entry) == Head(
        "w", 7, "30cc8a71c38d48c90e4b4e23f7398ca5f0364dd2a84d35649c221441ba06199e"
    )


def test_child_of_a_fork_begins_its_own_chain(chain: AuditWriter) -> None:
    before = chain.head()
    chain.restart()
    assert chain.head().writer != before.writer
    assert chain.head()[1:] == (0, GENESIS)


def test_head_is_told_during_an_insert(chain: AuditWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    inserted, told = AuditEntry.save, []

    def save(entry: AuditEntry, *args: Any, **kwargs: Any) -> None:
        asking = threading.Thread(target=lambda: told.append(chain.head().seq), daemon=True)
        asking.start()
        asking.join(timeout=10)
        inserted(entry, *args, **kwargs)

    monkeypatch.setattr(AuditEntry, "save", save)
    write(chain, 1)
    assert told == [5]


@pytest.mark.parametrize("fault", [DatabaseError, InterfaceError])
def test_failed_write_is_raised_and_begins_a_new_chain(
    fault: type[Exception], chain: AuditWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise fault

    before = chain.head()
    with monkeypatch.context() as patch:
        patch.setattr(AuditEntry, "save", fail)
        with pytest.raises(fault):
            write(chain, 1)
    write(chain, 1)
    assert chain.head().writer != before.writer
    assert faults() == []


def refusal(address: str, target: str = "user:7") -> Refusal:
    return Refusal("user.login", target, "denied", address)


class TestRepeats:
    """What anybody can bring about is counted."""

    def test_first_is_recorded_and_those_of_the_next_minute_are_counted(self) -> None:
        now = [0.0]
        repeats = audit.Repeats(60.0, clock=lambda: now[0])
        assert repeats.note(refusal("a")) == [(refusal("a"), 1)]
        now[0] = 59.0
        assert [repeats.note(refusal("a")) for _ in range(5)] == [[]] * 5
        assert repeats.due() == []
        now[0] = 60.0
        assert repeats.note(refusal("a")) == [(refusal("a"), 5)]
        now[0] = 120.0
        assert repeats.due() == [(refusal("a"), 1)]
        now[0] = 1000.0
        assert repeats.due() == []
        assert repeats.note(refusal("a")) == [(refusal("a"), 1)]

    def test_what_was_counted_is_told_though_nothing_follows_it(self) -> None:
        now = [0.0]
        repeats = audit.Repeats(60.0, clock=lambda: now[0])
        for _ in range(8):
            repeats.note(refusal("a"))
        assert repeats.due() == []
        assert repeats.due(ending=True) == [(refusal("a"), 7)]
        assert repeats.due(ending=True) == []

    def test_kinds_are_counted_apart(self) -> None:
        repeats = audit.Repeats(60.0, clock=lambda: 0.0)
        kinds = [refusal("a"), refusal("b"), refusal("a", "user:8"), refusal("a")]
        assert [repeats.note(kind) for kind in kinds] == [[(kind, 1)] for kind in kinds[:3]] + [[]]

    def test_no_number_of_addresses_and_names_makes_more_rows_and_all_are_counted(self) -> None:
        now = [0.0]
        repeats = audit.Repeats(60.0, max_kinds=32, clock=lambda: now[0])
        rows = [row for at in range(1000) for row in repeats.note(refusal(str(at), f"user:{at}"))]
        assert [count for _, count in rows] == [1] * 33
        others = refusal("others", "user")
        assert rows[-1] == (others, 1)
        now[0] = 60.0
        assert repeats.due() == [(others, 1000 - 33)]
        now[0] = 120.0
        assert repeats.due() == []
        assert repeats.note(refusal("new")) == [(refusal("new"), 1)]

    def test_refusals_without_end_are_one_row_a_minute(
        self,
        db: None,
        monkeypatch: pytest.MonkeyPatch,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        now = [0.0]
        monkeypatch.setattr(audit, "_refusals", audit.Repeats(clock=lambda: now[0]))
        with django_capture_on_commit_callbacks(execute=True):
            for at in range(61):
                now[0] = float(at)
                with pytest.raises(AuthenticationError):
                    access.authenticate_device("vtd_wrong")
                with pytest.raises(AuthenticationError):
                    access.authenticate_viewer_token("vta_wrong")
        rows = AuditEntry.objects.order_by("seq").values_list("actor", "action", "outcome", "detail")
        assert list(rows) == [
            ("anonymous", f"{kind}.authenticate", "denied", {"count": count})
            for count in (1, 59)
            for kind in ("device", "viewer")
        ]


class TestRecord:
    """What the program calls."""

    def test_entry_waits_for_the_commit(
        self, db: None, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            audit.record("user:1", "token.issue", "device:2", "done", token=3)
            assert not AuditEntry.objects.exists()
        entry = AuditEntry.objects.get()
        assert (entry.actor, entry.action, entry.object, entry.outcome) == (
            "user:1",
            "token.issue",
            "device:2",
            "done",
        )
        assert entry.detail == {"token": 3}

    @pytest.mark.django_db(transaction=True)
    def test_rolled_back_action_leaves_no_entry(self) -> None:
        with transaction.atomic():
            audit.record("user:1", "token.issue", "device:2", "done")
            transaction.set_rollback(True)
        assert not AuditEntry.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_threads_share_one_unbroken_chain(self) -> None:
        def work(number: int) -> None:
            for _ in range(10):
                audit.record(f"user:{number}", "stream.subscribe", "streams", "allowed")
            connection.close()

        threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert audit.head().seq == AuditEntry.objects.count() == 40
        assert faults() == []

    @pytest.mark.parametrize("value", [1.5, b"bytes", object()], ids=["float", "bytes", "object"])
    def test_values_that_may_come_back_changed_are_refused(self, value: object) -> None:
        with pytest.raises(TypeError):
            audit.record("user:1", "test", "stream:1", "done", value=value)


_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcxyz", max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # the database is shared between examples, which is meant: the chain only grows
@given(detail=st.dictionaries(st.text("abcxyz", min_size=1, max_size=5), _plain, max_size=4))
def test_whatever_is_stored_verifies(detail: dict[str, Any], db: None) -> None:
    writer = AuditWriter()
    writer.append("user:1", "test", "stream:1", "done", detail)
    assert verify_chains(AUDIT, [writer.head().writer]) == []


class TestAppendOnly:
    """Rows that exist stay as they are."""

    def test_entry_cannot_be_saved_again(self, chain: AuditWriter) -> None:
        entry = AuditEntry.objects.get(seq=3)
        entry.outcome = "denied"
        with pytest.raises(PermissionDenied):
            entry.save()

    def test_entry_cannot_be_deleted(self, chain: AuditWriter) -> None:
        with pytest.raises(PermissionDenied):
            AuditEntry.objects.get(seq=3).delete()

    def test_database_refuses_to_change_rows(self, chain: AuditWriter) -> None:
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            AuditEntry.objects.filter(seq=3).update(outcome="denied")

    def test_database_refuses_to_delete_rows(self, chain: AuditWriter) -> None:
        if connection.vendor == "sqlite":  # the test database goes without this one, to be emptied
            with connection.cursor() as cursor:
                cursor.execute(TRIGGERS.SQLITE[1])
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            AuditEntry.objects.filter(seq=3).delete()


@pytest.mark.django_db(transaction=True)
class TestRecording:
    """What is done and its entry are committed together."""

    def done(self, writer: AuditWriter, *, what: Callable[[], object] = lambda: None) -> None:
        with writer.recording("user:1", "ward.make", "ward:1", "done", {}):
            Ward.objects.create(name="made")
            what()

    def left(self, writer: AuditWriter) -> tuple[int, int, int]:
        """Wards, entries, and where the chain stands; it is whole."""
        assert faults() == verify_chains(AUDIT, [writer.head().writer], [writer.head()]) == []
        return Ward.objects.count(), AuditEntry.objects.count(), writer.head().seq

    def test_both_are_there_and_the_chain_goes_on(self) -> None:
        writer = AuditWriter()
        write(writer, 2)
        self.done(writer)
        write(writer, 1)
        assert self.left(writer) == (1, 4, 4)

    def test_neither_is_there_when_the_entry_cannot_be_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_args: object, **_fields: object) -> None:
            raise InterfaceError("gone")

        writer = AuditWriter()
        write(writer, 2)
        with monkeypatch.context() as patch:
            patch.setattr(AuditEntry, "save", fail)
            with pytest.raises(InterfaceError):
                self.done(writer)
        assert self.left(writer) == (0, 2, 0)
        self.done(writer)
        assert self.left(writer) == (1, 3, 1)

    def test_neither_is_there_when_the_commit_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> None:
            raise DatabaseError("database is locked")

        writer = AuditWriter()
        write(writer, 2)
        with monkeypatch.context() as patch:
            patch.setattr(connection, "_commit", fail)
            with pytest.raises(DatabaseError):
                self.done(writer)
        assert self.left(writer) == (0, 2, 0)

    def test_neither_is_there_when_it_cannot_be_done(self) -> None:
        writer = AuditWriter()
        write(writer, 2)
        with pytest.raises(Ward.DoesNotExist):
            self.done(writer, what=lambda: Ward.objects.get(name="unknown"))
        assert self.left(writer) == (0, 2, 2)
        self.done(writer)
        assert self.left(writer) == (1, 3, 3)

    def test_what_follows_the_commit_is_recorded_after_it(self) -> None:
        writer = AuditWriter()
        self.done(writer, what=lambda: transaction.on_commit(lambda: write(writer, 2)))
        assert self.left(writer) == (1, 3, 3)
        assert AuditEntry.objects.get(seq=1).action == "ward.make"

    def test_it_is_no_part_of_another_transaction(self) -> None:
        writer = AuditWriter()
        with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
            self.done(writer)
        assert self.left(writer) == (0, 0, 0)

    def test_another_thread_waits_until_it_is_committed(self) -> None:
        writer = AuditWriter()

        def write_one() -> None:
            write(writer, 1)
            connection.close()

        waiting = threading.Thread(target=write_one)

        def begin() -> None:
            waiting.start()
            assert AuditEntry.objects.count() == 0

        self.done(writer, what=begin)
        waiting.join(10.0)
        assert self.left(writer) == (1, 2, 2)
        assert [entry.action for entry in AuditEntry.objects.order_by("seq")] == [
            "ward.make",
            "stream.subscribe",
        ]
