"""What every page of the admin must keep to: nothing inline that the content security policy refuses."""

from __future__ import annotations

from html.parser import HTMLParser

_EXECUTED = {"", "text/javascript", "module"}
"""Script types that run; any other is a block of data."""


class _Inline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        runs = tag == "script" and (values.get("type") or "") in _EXECUTED
        if tag == "style" or (runs and "src" not in values):
            self.found.append(f"<{tag}>")
        self.found += [f"<{tag} {name}>" for name in values if name == "style" or name.startswith("on")]


def inline_code(html: str) -> list[str]:
    """Inline styles, scripts and handlers of a page; there must be none."""
    parser = _Inline()
    parser.feed(html)
    return parser.found
