"""Which ES modules a module needs before it can start."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

_STATIC_IMPORT = re.compile(r"""^(?:import|export)\b[\w\s{},*$]*?["'](\.{1,2}/[^"']+)["']""", re.MULTILINE)


def imports(name: str, source: str) -> list[str]:
    """The names of the modules that this one imports statically; `name` is its own, from the root of all."""
    folder = posixpath.dirname(name)
    return [posixpath.normpath(posixpath.join(folder, path)) for path in _STATIC_IMPORT.findall(source)]


def needed_by(entry: str, sources: Mapping[str, str]) -> list[str]:
    """The entry and all that it imports, however far, each once, in the order of discovery."""
    found = [entry]
    for name in found:  # grows meanwhile
        found += dict.fromkeys(path for path in imports(name, sources[name]) if path not in found)
    return found
