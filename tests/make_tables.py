"""Make static/js/ecg/ecg1-tables.js: what training found for `ecg1`, as the page's decoder reads it.

`python -m tests.make_tables` writes the file anew, after each training.
"""

from __future__ import annotations

from streaming.ecg.ecg1 import trained
from tests.servers import ROOT

TABLES = ROOT / "static" / "js" / "ecg" / "ecg1-tables.js"

_HEAD = """// @ts-check
/** What training found for ECG1, weights of filters and lengths of codes: made by tests/make_tables.py. */
"""


def main() -> None:
    """Write the file."""
    TABLES.write_text(tables())


def tables() -> str:
    """The content of the file."""
    parts = [
        _HEAD,
        _list("FIRST_WEIGHTS", trained.FIRST_WEIGHTS.tolist()),
        _list("SECOND_WEIGHTS", trained.SECOND_WEIGHTS.tolist()),
        "// A hexadecimal digit for each symbol, a line for each table, one set after the other.\n"
        + _text("LENGTHS", trained.LENGTHS),
        "// A line for each set.\n" + _text("RUN_LENGTHS", trained.RUN_LENGTHS),
    ]
    return "\n".join(parts)


def _list(name: str, rows: list[list[int]]) -> str:
    return f"export const {name} = [\n" + "".join(f"  {row},\n" for row in rows) + "];\n"


def _text(name: str, lines: str) -> str:
    return f"export const {name} = `\n" + "\n".join(lines.split()) + "\n`;\n"


if __name__ == "__main__":
    main()
