"""`python -m tests.chaos`: as many alarms and kills as asked for, and what became of them.

    python -m tests.chaos [--alarms N] [--kills N] [--devices N] [--seed N] [--minutes N] [--json]

Devices raise alarms at two servers, viewers show them, and the servers, Valkey and the viewers are killed
(SIGKILL) in an order and at moments that the seed chooses; each starts again at once.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from bench.support.report import Figure, at_least, at_most, parser, report
from tests.chaos.run import Outcome, Wanted, chaos
from tests.servers import migrated

EXAMPLES = 5
"""Of what went wrong, so many are named."""


def main(wanted: Wanted) -> list[Figure]:
    """One run in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="vital-chaos-") as directory:
        home = Path(directory)
        return list(figures(chaos(wanted, migrated(home / "migrated"), home, say), wanted))


def figures(outcome: Outcome, wanted: Wanted) -> Iterator[Figure]:
    """What the run came to, against what was asked for."""
    verdict, book = outcome.verdict, outcome.book
    of = (
        f"{len(book.raised)} alarms of {wanted.devices} devices in {outcome.took_s:.0f} s, seed {wanted.seed}"
    )
    kills = ", ".join(f"{part} {count}" for part, count in sorted(outcome.kills.items()))
    yield at_least("alarms raised", len(book.raised), wanted.alarms, "", against=of)
    yield at_least("kill -9", outcome.kills.total(), wanted.kills, "", against=kills)
    yield at_most("alarms lost", verdict.lost, 0, "", against=of)
    yield at_most("alarms shown twice, or after they were over", verdict.duplicates, 0, "", against=of)
    for name, value in asdict(verdict).items():
        count = value if isinstance(value, int) else len(value)
        examples = "" if isinstance(value, int) else ", ".join(value[:EXAMPLES])
        yield at_most(name.replace("_", " "), count, 0, "", against=examples)
    yield Figure("sent again by devices", outcome.resends, "")
    yield Figure("told again to viewers", book.told_again, "")
    yield Figure("longest time from raised to shown", book.longest_s, "s")
    yield Figure("rate", len(book.raised) / outcome.took_s, "/s")


def say(text: str) -> None:
    """How far it is, for whoever waits."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    options = parser("Alarms while all is killed: none is lost, none is shown twice.")
    options.add_argument("--alarms", type=int, default=100_000)
    options.add_argument("--kills", type=int, default=60)
    options.add_argument("--devices", type=int, default=8)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--minutes", type=float, default=60.0, help="after which no more alarms are raised")
    arguments = options.parse_args()
    asked = Wanted(arguments.alarms, arguments.kills, arguments.devices, arguments.seed, arguments.minutes)
    sys.exit(report(main(asked), as_json=arguments.json))
