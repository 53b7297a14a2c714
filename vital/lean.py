"""Sources without what only their readers need."""

from __future__ import annotations

import re

_BLOCK = r"^[ \t]*/\*(?:(?!\*/)[\s\S])*\*/[ \t]*$"
_COMMENTS = {
    ".css": re.compile(_BLOCK, re.MULTILINE),
    ".js": re.compile(rf"{_BLOCK}|^[ \t]*//.*$", re.MULTILINE),
}
_INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)


def lean(source: str, suffix: str) -> str:
    """A `.js` or `.css` file without indentation, and with empty lines for comments that fill whole lines.

    What is left stays in its line, so that what a browser reports is found in the source. Inside a string or
    a template literal a line must neither be indented nor begin like a comment: the tests compare the tokens
    of every file before and after.
    """
    uncommented = _COMMENTS[suffix].sub(lambda comment: "\n" * comment[0].count("\n"), source)
    return _INDENTATION.sub("", uncommented)
