"""A stretch of stored ECG as a download: who may have it, how much of it, and at what pace it is made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from channels.db import database_sync_to_async
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpResponse, HttpResponseBadRequest, StreamingHttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from streaming.core.overload import OverloadState
from streaming.export.archive import ExportFormat, pieces
from streaming.store import access
from streaming.store import export as stored
from streaming.store.reading_thread import ReadingThread

PERMISSION = "streaming.export_history"
MOST_AT_ONCE = 2
"""Exports of one process: each may take half a core."""
_RETRY_AFTER_S = 30


@login_required
@require_GET
@never_cache
async def export(request: ASGIRequest, stream: str) -> HttpResponse | StreamingHttpResponse:
    """A zip file of `format`, from `from_ms` to `to_ms`; needs the right to export, and to see the stream.

    400 for what is asked wrongly, 403 without the right, 404 for a stream that the user may not see, 503
    while other exports run or the process has too much to do. Allowed or not, it is in the audit trail.
    """
    asked = _asked(request)
    if isinstance(asked, str):
        return HttpResponseBadRequest(asked, content_type="text/plain; charset=utf-8")
    as_format, since, until = asked
    user = await request.auser()
    principal = access.principal_from_session(request.session.session_key, user)
    detail = {"format": as_format.value, "since": since.isoformat(), "until": until.isoformat()}
    note = partial(stored.record, principal.actor, stream, **detail)
    may_export = await user.ahas_perm(PERMISSION)
    may_see = await database_sync_to_async(access.may_see)(principal, stream)
    if not (may_export and may_see):
        await database_sync_to_async(note)("denied")
        if may_see:
            raise PermissionDenied
        raise Http404
    if _Export.running >= MOST_AT_ONCE or _is_overloaded(request):
        busy = "The server has too much to do for an export now; try again in half a minute.\n"
        response = HttpResponse(busy, status=503, content_type="text/plain; charset=utf-8")
        response["Retry-After"] = str(_RETRY_AFTER_S)
        return response
    download = _Export(pieces(stored.recordings(stream, since, until), as_format), note)
    try:
        await database_sync_to_async(note)("allowed")
    except BaseException:
        download.close()
        raise
    answer = StreamingHttpResponse(download, content_type="application/zip")
    name = f"vital-{stream}-{since:%Y%m%dT%H%M%SZ}-{as_format.value}.zip"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


class _Export:
    """A download that is being made; it counts from before its answer begins until it is closed."""

    running = 0

    def __init__(self, made: Iterator[bytes], note: Any) -> None:
        self._made = made
        self._note = note
        self._counts = True
        _Export.running += 1

    def close(self) -> None:
        """Others may come; Django calls this for an answer that was never read as well."""
        _Export.running -= self._counts
        self._counts = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Piece by piece, each made in a thread, and as long a pause behind it: others run as well."""
        thread = ReadingThread(name="vital-export")
        outcome, size_bytes = "broken off", 0
        try:
            while (piece := await thread.run(partial(_timed_next, self._made))) is not None:
                data, took_s = piece
                if data:
                    size_bytes += len(data)
                    yield data
                await asyncio.sleep(took_s)
            outcome = "done"
        finally:
            self.close()
            thread.close()
            note_end = partial(self._note, outcome, bytes=size_bytes)
            # Whoever breaks it off does not keep the entry from being written.
            await asyncio.shield(database_sync_to_async(note_end)())


def _timed_next(made: Iterator[bytes]) -> tuple[bytes, float] | None:
    began = time.monotonic()
    piece = next(made, None)
    return None if piece is None else (piece, time.monotonic() - began)


def _asked(request: ASGIRequest) -> tuple[ExportFormat, datetime, datetime] | str:
    """What is asked for, or what is wrong with it."""
    try:
        as_format = ExportFormat(request.GET.get("format", ""))
    except ValueError:
        return f"format is one of {', '.join(ExportFormat)}\n"
    times = [request.GET.get(name, "") for name in ("from_ms", "to_ms")]
    if not all(text.isascii() and text.isdigit() and len(text) <= 13 for text in times):
        return "from_ms and to_ms are whole milliseconds since 1970\n"
    since, until = (datetime.fromtimestamp(int(text) / 1000, UTC) for text in times)
    if not since < until <= since + stored.LONGEST:
        return f"to_ms is up to {stored.LONGEST.total_seconds() / 3600:.0f} hours behind from_ms\n"
    return as_format, since, until


def _is_overloaded(request: ASGIRequest) -> bool:
    runtime = request.scope.get("vital")
    return runtime is not None and runtime.hub.overload.state is not OverloadState.NORMAL
