"""Which ES modules a module needs before it can start."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping

_STATIC_IMPORT = re.compile(r"""^(?:import|export)\b[\w\s{},*$]*?["'](\.{1,2}/[^"']+)["']""", re.MULTILINE)


def imports(name: str, source: str) -> list[str]:
    """The names of the modules that this one imports statically; `name` is its own, from the root of all."""
    folder = posixpath.dirname(name)
    return [posixpath.normpath(posixpath.join(folder, path)) for path in _STATIC_IMPORT.findall(source)]


def needed_by(entries: Iterable[str], sources: Mapping[str, str]) -> list[str]:
    """The entries and all that they import, however far, each once, in the order of discovery."""
    found = list(entries)
    for name in found:  # grows meanwhile
        found += dict.fromkeys(path for path in imports(name, sources[name]) if path not in found)
    return found
