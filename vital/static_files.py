"""The application's own static files as browsers get them: in memory, without comments, by version.

`/static/<version>/js/main.js` never changes, so a browser keeps it and asks no more; modules import each
other by relative names, so no two versions can meet. The version is a digest of all that is served.
docs/adr/0025-versions-in-addresses.md says why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseNotModified,
)
from django.utils.cache import patch_cache_control
from django.utils.decorators import sync_and_async_middleware
from whitenoise.media_types import MediaTypes

from vital.lean import lean
from vital.modules import needed_by

FOREVER_S = 10 * 365 * 24 * 60 * 60
VENDOR = "vendor/"
_CUT = frozenset({".css", ".js"})


@dataclass(frozen=True, slots=True)
class StaticFiles:
    """All files of some folders by their names from there, and the version that they are together."""

    version: str
    contents: dict[str, bytes]

    @classmethod
    def of(cls, folders: Iterable[Path]) -> StaticFiles:
        """Read the folders; a name that several have is the first one's, as with Django's finders."""
        contents: dict[str, bytes] = {}
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    name = path.relative_to(folder).as_posix()
                    contents.setdefault(name, _as_served(name, path.read_bytes()))
        digest = hashlib.sha256()
        for name, content in sorted(contents.items()):
            digest.update(b"%s\0%d\0%s" % (name.encode(), len(content), content))
        return cls(digest.hexdigest()[:10], contents)

    def modules_of(self, *entries: str) -> list[str]:
        """The modules and all that they need before they can start."""
        sources = {name: text.decode() for name, text in self.contents.items() if name.endswith(".js")}
        return needed_by(entries, sources)


def _as_served(name: str, content: bytes) -> bytes:
    suffix = Path(name).suffix
    if suffix not in _CUT or name.startswith(VENDOR):
        return content
    return lean(content.decode(), suffix).encode()


@cache
def static_files() -> StaticFiles:
    """The files of this process, as they were when it first asked."""
    return StaticFiles.of(map(Path, settings.STATICFILES_DIRS))


@cache
def modules_of(*entries: str) -> list[str]:
    """The names of the modules that this process serves for these entries."""
    return static_files().modules_of(*entries)


class VersionedStorage(StaticFilesStorage):
    """Addresses for `{% static %}`: with the version where the file is ours; of sources with VITAL_DEBUG."""

    def url(self, name: str | None) -> str:
        """The address of a file."""
        if name and not settings.DEBUG and name in static_files().contents:
            return super().url(f"{static_files().version}/{name}")
        return super().url(name)


@sync_and_async_middleware
def versioned_files(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware that answers for the files of this version; WhiteNoise has what else is static."""
    held = _Held(static_files())

    if iscoroutinefunction(get_response):

        async def awaited(request: HttpRequest) -> HttpResponseBase:
            response: HttpResponseBase = held.answer(request) or await get_response(request)
            return response

        return awaited

    def called(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = held.answer(request) or get_response(request)
        return response

    return called


class _Held:
    def __init__(self, files: StaticFiles) -> None:
        root = f"{settings.STATIC_URL}{files.version}/"
        self._contents = {root + name: content for name, content in files.contents.items()}
        self._etag = f'"{files.version}"'
        self._types = MediaTypes()

    def answer(self, request: HttpRequest) -> HttpResponse | None:
        content = self._contents.get(request.path_info)
        if content is None:
            return None
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        answer: HttpResponse
        if request.headers.get("If-None-Match") == self._etag:
            answer = HttpResponseNotModified()
        else:
            kind = self._types.get_type(request.path_info)
            charset = "; charset=utf-8" if kind.startswith("text/") else ""
            answer = HttpResponse(content, content_type=kind + charset)
        answer["ETag"] = self._etag
        patch_cache_control(answer, max_age=FOREVER_S, public=True, immutable=True)
        return answer
