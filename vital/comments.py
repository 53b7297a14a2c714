"""Sources without the comments that only their readers need."""

from __future__ import annotations

import re

_BLOCK = r"^[ \t]*/\*(?:(?!\*/)[\s\S])*\*/[ \t]*$"
_WHOLE_LINES = {
    ".css": re.compile(_BLOCK, re.MULTILINE),
    ".js": re.compile(rf"{_BLOCK}|^[ \t]*//.*$", re.MULTILINE),
}


def without_comments(source: str, suffix: str) -> str:
    """The source of a `.js` or `.css` file with empty lines in place of comments that fill whole lines.

    Every other line stays where it was, to the character, so that what a browser reports is found in the
    source. A line that begins like a comment inside a string or a template literal would be taken for one: no
    file may have such a line, and the tests compare the tokens of every file before and after.
    """
    return _WHOLE_LINES[suffix].sub(lambda comment: "\n" * comment[0].count("\n"), source)
