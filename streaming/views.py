"""The pages that Django renders: the ward's one page, a refused login, and the probes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any

from channels.db import DatabaseSyncToAsync
from channels.layers import get_channel_layer
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from streaming import command_line
from streaming.core.overload import OverloadState
from streaming.runtime import Runtime
from streaming.store import layouts
from streaming.store.readiness import database_fault

PROBE_DEADLINE_S = 2.0

logger = logging.getLogger(__name__)


@login_required
@require_safe
def app(request: HttpRequest, stream: str = "") -> HttpResponse:
    """The ward, or one patient: the same page.

    Which streams there are comes over the WebSocket, checked there; an id that is unknown and one that is
    forbidden therefore give the same page here.
    """
    told = {
        "stream": stream,
        "simulate": _simulate_command(request),
        "layout": layouts.load(request.user.pk or 0).as_json(),
        "lab": settings.VITAL_LAB,
        "time_zone": settings.VITAL_TIME_ZONE,
    }
    return render(request, "app.html", told)


@login_required
@require_safe
def patient_parts(request: HttpRequest) -> HttpResponse:
    """The templates of a patient's page, of whichever patient, for a ward's page that goes to one."""
    return render(request, "patient.html")


def _simulate_command(request: HttpRequest) -> str:
    """What fills an empty ward, with this server's own address where that is not the usual one."""
    url = f"ws://{request.META['SERVER_NAME']}:{request.META['SERVER_PORT']}"
    elsewhere = () if url == command_line.SERVED_AT else ("--url", url)
    return command_line.in_project("manage.py", "simulate", "--patients", "8", *elsewhere)


def admin_login(request: HttpRequest) -> HttpResponse:
    """The admin has no login form of its own: one form, one throttle."""
    if request.user.is_authenticated:
        raise PermissionDenied
    return redirect_to_login(request.GET.get("next") or reverse("admin:index"))


def throttled(request: HttpRequest, *_args: Any) -> HttpResponse:
    """429: too many failed logins of one name from one address."""
    cooloff: timedelta = settings.AXES_COOLOFF_TIME
    minutes = round(cooloff.total_seconds() / 60)
    response = render(request, "registration/throttled.html", {"minutes": minutes}, status=429)
    response["Retry-After"] = str(round(cooloff.total_seconds()))
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """500, with the notice: Django's own handler renders its template without a context."""
    return render(request, "500.html", status=500)


@require_safe
async def healthz(_request: HttpRequest) -> JsonResponse:
    """200 while the process answers; asks nobody else."""
    return JsonResponse({"status": "ok"})


@require_safe
async def readyz(request: ASGIRequest) -> JsonResponse:
    """200 when the process has started, and the database and the channel layer serve; else 503 with reasons.

    Database and layer are asked now, each with a deadline; the layer must also carry what this process
    joined. What costs no live sample is told under `degraded`, and the answer stays 200; so does that of a
    process with too much to do, which serves, and sheds. The log is told of each change, and of no probe.
    """
    answers = await asyncio.gather(*(question.ask() for question in _QUESTIONS.values()))
    faults = {name: fault for name, fault in zip(_QUESTIONS, answers, strict=True) if fault}
    runtime: Runtime | None = request.scope.get("vital")
    if runtime is None:
        faults["process"] = "starting"
    elif runtime.stopping:
        faults["process"] = "stopping"
    elif not runtime.hub.link.healthy:
        faults.setdefault("layer", "failed this process, which tries again")
    _readiness.note(faults)
    if faults:
        return JsonResponse({"status": "unavailable", "reasons": faults}, status=503)
    told = _overload_of(runtime)
    if runtime is not None:
        costs = {"history": runtime.recorder.degraded, "alarms": runtime.care.degraded}
        if degraded := {name: fault for name, fault in costs.items() if fault}:
            told["degraded"] = degraded
    return JsonResponse({"status": "ok"} | told)


def _overload_of(runtime: Runtime | None) -> dict[str, Any]:
    overload = None if runtime is None else runtime.hub.overload
    if overload is None or overload.state is OverloadState.NORMAL:
        return {}
    lag_ms, queued = round(1000 * overload.lag_s), overload.queued_bytes
    return {"overload": {"state": overload.state, "lag_ms": lag_ms, "queued_bytes": queued}}


class _Readiness:
    """What was last answered, so that the log has each change once, however often it is asked for."""

    def __init__(self) -> None:
        self._lacks: frozenset[str] = frozenset()

    def note(self, faults: Mapping[str, str]) -> None:
        """These are the reasons now, none when the process is ready."""
        before, self._lacks = self._lacks, frozenset(faults)
        if self._lacks == before:
            return
        if faults:
            logger.warning("not ready: %s", "; ".join(f"{name}: {fault}" for name, fault in faults.items()))
        else:
            logger.warning("ready again")


class _Question:
    """Asked by one task at a time, however many wait for the answer, and never waited for too long.

    What hangs must not pile up: neither threads in a database that does not answer, nor subscriptions in a
    layer that is gone.
    """

    def __init__(self, find_fault: Callable[[], Coroutine[Any, Any, str | None]]) -> None:
        self._find_fault = find_fault
        self._asking: asyncio.Task[str | None] | None = None

    async def ask(self) -> str | None:
        """The fault, or None when there is none."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._find_fault())
        done, _ = await asyncio.wait({self._asking}, timeout=PROBE_DEADLINE_S)
        if not done:
            return f"no answer within {PROBE_DEADLINE_S:g} s"
        return self._asking.result()


async def _database_fault() -> str | None:
    # A thread of its own: a database that hangs must not block the thread that all other views share.
    fault: str | None = await DatabaseSyncToAsync(database_fault, thread_sensitive=False)()
    return fault


async def _layer_fault() -> str | None:
    """Send one message through the layer to ourselves."""
    layer = get_channel_layer()
    try:
        async with asyncio.timeout(PROBE_DEADLINE_S):
            channel = await layer.new_channel("probe")
            await layer.send(channel, {"type": "probe"})
            await layer.receive(channel)
    except TimeoutError:
        return f"no round trip within {PROBE_DEADLINE_S:g} s"
    except Exception as error:  # noqa: BLE001  # each layer raises what its own client raises
        return f"unreachable ({type(error).__name__})"
    # Layers have no call to give a channel back: they forget it when a `receive` on it is cancelled.
    leftover = asyncio.ensure_future(layer.receive(channel))
    await asyncio.sleep(0)
    leftover.cancel()
    await asyncio.wait({leftover})
    return None


_readiness = _Readiness()
_QUESTIONS = {"database": _Question(_database_fault), "layer": _Question(_layer_fault)}
