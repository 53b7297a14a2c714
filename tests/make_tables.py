"""Make what the page reads of training: static/js/ecg/ecg1-tables.js and static/js/stream/dictionary.js.

`python -m tests.make_tables` writes the files anew, after each training.
"""

from __future__ import annotations

import textwrap

from streaming.core.dictionary import DICTIONARY
from streaming.ecg.ecg1 import trained
from tests.servers import ROOT

TABLES = ROOT / "static" / "js" / "ecg" / "ecg1-tables.js"
DICTIONARY_MODULE = ROOT / "static" / "js" / "stream" / "dictionary.js"

_HEAD = """// @ts-check
/** What training found for ECG1, weights of filters and lengths of codes: made by tests/make_tables.py. */
"""


def main() -> None:
    """Write the files."""
    TABLES.write_text(tables())
    DICTIONARY_MODULE.write_text(dictionary())


def tables() -> str:
    """The content of the file of ECG1."""
    parts = [
        _HEAD,
        _list("FIRST_WEIGHTS", trained.FIRST_WEIGHTS.tolist()),
        _list("SECOND_WEIGHTS", trained.SECOND_WEIGHTS.tolist()),
        "// A hexadecimal digit for each symbol, a line for each table, one set after the other.\n"
        + _text("LENGTHS", trained.LENGTHS),
        "// A line for each set.\n" + _text("RUN_LENGTHS", trained.RUN_LENGTHS),
    ]
    return "\n".join(parts)


def dictionary() -> str:
    """The content of the file of the dictionary."""
    lines = textwrap.wrap(DICTIONARY.decode(), 100, break_on_hyphens=False, drop_whitespace=False)
    return _DICTIONARY.format(lines="\n".join(lines))


_DICTIONARY = """// @ts-check
/** What JSON frames are deflated behind by flag: made by tests/make_tables.py. */

const TEXT = `
{lines}
`;

export const DICTIONARY = new TextEncoder().encode(TEXT.replaceAll("\\n", ""));
"""


def _list(name: str, rows: list[list[int]]) -> str:
    return f"export const {name} = [\n" + "".join(f"  {row},\n" for row in rows) + "];\n"


def _text(name: str, lines: str) -> str:
    return f"export const {name} = `\n" + "\n".join(lines.split()) + "\n`;\n"


if __name__ == "__main__":
    main()
