"""Whether the trails are what was written: chains, checkpoints, the file beside them, and what is open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from streaming.models_chain import ChainedRow, CheckpointKind
from streaming.store import chain, checkpoints, open_alarms
from streaming.store.chain import Head
from streaming.store.head_log import HeadLog, Statement
from streaming.store.trails import ALARMS, TRAILS, Trail

ATTEMPTS = 3
"""Of a trail that is pruned while it is read."""
LOG = "log"
"""In the place of a trail's name: the file of checkpoints itself."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where: an entry of a chain of a trail, as far as it is about one."""

    trail: str
    writer: str
    seq: int
    text: str

    def __str__(self) -> str:
        place = f" {self.writer}/{self.seq}" if self.writer else ""
        return f"{self.trail}{place}: {self.text}"


@dataclass(slots=True)
class Checked:
    """What was looked at of one trail."""

    entries: int = 0
    chains: int = 0
    checkpoints: int = 0
    unmarked: int = 0
    """Entries behind the last checkpoint of their chain: if they were cut off, nothing would tell."""


@dataclass(slots=True)
class Report:
    """What was found."""

    faults: list[Fault] = field(default_factory=list)
    trails: dict[str, Checked] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)
    """Files of other hosts, or other var directories, that have checkpoints of these trails."""


def verify(log: HeadLog, trails: Sequence[Trail] = TRAILS) -> Report:
    """Read all of the trails and the file, and say what is missing or altered; blocks for a minute a million.

    Servers may go on meanwhile. Raises django.db.Error or OSError.
    """
    report = Report()
    before = {trail.name: checkpoints.statements(trail) for trail in trails}
    content = log.read()
    report.faults += [Fault(LOG, "", 0, f"{log.name}: {fault}") for fault in content.faults]
    names = {log.name, *(statement.log for statement in content.statements)}
    for trail in trails:
        of_log = [statement for statement in content.statements if statement.trail == trail.name]
        stored = before[trail.name]
        report.faults += _forged(stored)
        report.faults += _missing_in_database(of_log, checkpoints.statements(trail))
        genuine = [statement for statement in stored if statement.is_genuine()]
        report.faults += _missing_in_log(genuine, of_log, log.name, names)
        faults, checked = _read(trail, [*genuine, *of_log])
        report.faults += faults
        report.trails[trail.name] = checked
        if trail is ALARMS:
            report.faults += [Fault(trail.name, "", 0, str(each)) for each in open_alarms.differences()]
        report.elsewhere += sorted({statement.log for statement in genuine} - names)
    report.elsewhere = sorted(set(report.elsewhere))
    return report


def verify_chains(trail: Trail, writers: Collection[str], known: Iterable[Head] = ()) -> list[Fault]:
    """The same for some chains, by the database's checkpoints and by heads that somebody knows; blocks."""
    stored = checkpoints.statements(trail, writers)
    faults, _checked = _read(trail, [s for s in stored if s.is_genuine()], writers, known)
    return [*_forged(stored), *faults]


def _read(
    trail: Trail,
    statements: Sequence[Statement],
    writers: Collection[str] | None = None,
    known: Iterable[Head] = (),
) -> tuple[list[Fault], Checked]:
    """Read the rows, and once more when some of them were pruned meanwhile."""
    known = list(known)
    faults, checked = _read_once(trail, statements, writers, known)
    for _attempt in range(1, ATTEMPTS):
        begins = [s for s in checkpoints.statements(trail) if s.kind is CheckpointKind.BEGIN]
        fresh = [s for s in begins if s not in statements and s.is_genuine()]
        if not faults or not fresh:
            break
        statements = [*statements, *fresh]
        faults, checked = _read_once(trail, statements, writers, known)
    return faults, checked


def _read_once(
    trail: Trail, statements: Sequence[Statement], writers: Collection[str] | None, known: Iterable[Head]
) -> tuple[list[Fault], Checked]:
    witnesses: dict[str, dict[int, tuple[str, str]]] = defaultdict(dict)
    begins: dict[str, Head] = {}
    for head in known:
        witnesses[head.writer][head.seq] = (head.hash, "this process")
    for statement in statements:
        head = statement.head
        witnesses[head.writer][head.seq] = (head.hash, f"the checkpoint of {statement.at:%Y-%m-%d %H:%M:%S}")
        if statement.kind is CheckpointKind.BEGIN and head.seq >= begins.get(head.writer, head).seq:
            begins[head.writer] = head
    rows = trail.rows._default_manager.order_by("writer", "seq")
    if writers is not None:
        rows = rows.filter(writer__in=list(writers))
    checked = Checked(checkpoints=len(statements))
    ends: dict[str, int] = {}
    others: list[Fault] = []

    def watched(found: Iterable[ChainedRow]) -> Iterator[ChainedRow]:
        for row in found:
            checked.entries += 1
            ends[row.writer] = row.seq
            named, by = witnesses.get(row.writer, {}).get(row.seq, (row.hash, ""))
            if named != row.hash:
                others.append(Fault(trail.name, row.writer, row.seq, f"is not the one that {by} names"))
            yield row

    problems = chain.problems(watched(rows.iterator(chunk_size=2000)), begins)
    faults = [Fault(trail.name, problem.writer, problem.seq, problem.fault) for problem in problems]
    for writer, named in witnesses.items():
        last = max(named)
        begun = begins[writer].seq if writer in begins else 0
        if last > max(ends.get(writer, 0), begun):
            text = f"the end of the chain is missing: {named[last][1]} names entry {last}"
            faults.append(Fault(trail.name, writer, ends.get(writer, begun) + 1, text))
    checked.chains = len(ends)
    checked.unmarked = sum(max(0, seq - max(witnesses.get(writer, (0,)))) for writer, seq in ends.items())
    return [*faults, *others], checked


def _forged(stored: Iterable[Statement]) -> Iterator[Fault]:
    for statement in stored:
        if not statement.is_genuine():
            text = "its checkpoint is altered, or signed with a key that is not listed"
            yield Fault(statement.trail, statement.head.writer, statement.head.seq, text)


def _missing_in_log(
    stored: Iterable[Statement], of_log: Iterable[Statement], name: str, names: Collection[str]
) -> Iterator[Fault]:
    known = {(statement.kind, statement.head) for statement in of_log}
    missing = [s for s in stored if s.log in names and (s.kind, s.head) not in known]
    yield from _by_writer(missing, f"missing in {name}")


def _missing_in_database(of_log: Iterable[Statement], stored: Iterable[Statement]) -> Iterator[Fault]:
    known = {(statement.kind, statement.head) for statement in stored}
    missing = [s for s in of_log if (s.kind, s.head) not in known]
    yield from _by_writer(missing, "missing in the database")


def _by_writer(missing: Iterable[Statement], where: str) -> Iterator[Fault]:
    """One for each chain: a file that is gone lacks thousands."""
    found: dict[str, list[Statement]] = defaultdict(list)
    for statement in missing:
        found[statement.head.writer].append(statement)
    for writer, lacking in found.items():
        last = max(lacking, key=lambda statement: statement.head.seq)
        count = "a checkpoint is" if len(lacking) == 1 else f"{len(lacking)} checkpoints are"
        text = f"{count} {where}, the last of {last.at:%Y-%m-%d %H:%M:%S}"
        yield Fault(last.trail, writer, last.head.seq, text)
