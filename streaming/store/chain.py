"""Chains of hashes: how a row is linked to the one before it, and what is wrong with rows that are not."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from streaming.models_chain import ChainedRow

GENESIS = "0" * 64


class Head(NamedTuple):
    """The last row of a chain; written elsewhere, it proves that the chain was not cut off."""

    writer: str
    seq: int
    hash: str


NO_BEGINS: Mapping[str, Head] = {}


@dataclass(frozen=True, slots=True)
class ChainProblem:
    """What is wrong with one row of one chain."""

    writer: str
    seq: int
    fault: str


def new_head() -> Head:
    """Where a chain begins, by a writer of its own."""
    return Head(uuid.uuid4().hex, 0, GENESIS)


def link(head: Head, row: ChainedRow) -> Head:
    """Make a row, whose other fields are filled, the next one of a chain; where the chain stands with it."""
    row.writer, row.seq, row.prev_hash = head.writer, head.seq + 1, head.hash
    row.hash = row_hash(row)
    return Head(row.writer, row.seq, row.hash)


def row_hash(row: ChainedRow) -> str:
    """SHA-256 over all that a row says, with the hash of the one before it."""
    canonical = json.dumps(row.hashed_values(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def problems(rows: Iterable[ChainedRow], begins: Mapping[str, Head] = NO_BEGINS) -> Iterator[ChainProblem]:
    """What is missing or altered in rows that come by writer and sequence.

    `begins` has the last row that was pruned of each chain that does not begin at its first.
    """
    writer, seq, last_hash = "", 0, GENESIS
    for row in rows:
        if row.writer != writer:
            writer, seq, last_hash = begins.get(row.writer, Head(row.writer, 0, GENESIS))
        if row.seq <= seq:
            yield ChainProblem(writer, row.seq, "was pruned, and is there")
            continue
        if row.seq != seq + 1:
            yield ChainProblem(writer, seq + 1, "missing")
        elif row.prev_hash != last_hash:
            yield ChainProblem(writer, row.seq, "does not follow the entry before it")
        if row_hash(row) != row.hash:
            yield ChainProblem(writer, row.seq, "altered")
        seq, last_hash = row.seq, row.hash
