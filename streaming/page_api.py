"""What the page says and asks beside its socket: the user's arrangement of the ward, a patient's limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from typing import Any

from django.db import Error as DatabaseFault
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_http_methods

from streaming.ecg.alarm_limits import BOUNDS, AlarmLimits
from streaming.exceptions import ForbiddenError, LayoutError, LimitsConflictError, LimitsError
from streaming.store import layouts, limits
from streaming.store.access import Principal, PrincipalKind

MAX_BODY_BYTES = 8192
_DIGITS = 1
"""Of a second; rates are whole."""
_GREATEST = 1e9
"""Far beyond every bound of a limit."""
View = Callable[..., JsonResponse]


def _for_who_is_signed_in(view: View) -> View:
    """A page's script is told 401; a browser would be sent to the login."""

    @wraps(view)
    def answer(request: HttpRequest, **values: Any) -> JsonResponse:
        if not request.user.is_authenticated:
            return _fault("you are signed out", 401)
        try:
            return view(request, **values)
        except ForbiddenError as error:
            return _fault(error.reason, 403)
        except DatabaseFault:
            return _fault("the database does not answer, try again", 503)

    return answer


@require_http_methods(["PUT"])
@_for_who_is_signed_in
def layout(request: HttpRequest) -> JsonResponse:
    """The user's arrangement of the ward is this one from now on."""
    user_id = _principal_of(request).user_id or 0
    try:
        wanted = layouts.Layout.read(_body(request), layouts.load(user_id))
    except (LayoutError, ValueError) as error:
        return _fault(str(error), 400)
    layouts.save(user_id, wanted)
    return JsonResponse(wanted.as_json())


@require_http_methods(["GET", "PUT"])
@_for_who_is_signed_in
def patient_limits(request: HttpRequest, stream: str) -> JsonResponse:
    """A patient's alarm limits, and what there is to know of them; with PUT, set them first."""
    principal = _principal_of(request)
    if request.method == "PUT":
        try:
            body = _body(request)
            seen, wanted = _numbers(body, "seen"), _numbers(body, "limits")
            limits.set_limits(principal, stream, seen, wanted)
        except LimitsConflictError as error:
            return _fault(str(error), 409)
        except LimitsError as error:
            return JsonResponse({"fault": str(error), "fields": error.fields}, status=400)
        except ValueError as error:
            return _fault(str(error), 400)
    return JsonResponse(_told(limits.limits_of(principal, stream)))


def _told(known: limits.PatientLimits) -> dict[str, Any]:
    return {
        "limits": dict(known.limits),
        "defaults": asdict(AlarmLimits()),
        "bounds": dict(BOUNDS),
        "may": known.may,
        "changes": [
            {"at_ms": 1000 * change.at.timestamp(), "by": change.by, "changed": dict(change.changed)}
            for change in known.changes
        ],
    }


def _body(request: HttpRequest) -> Any:
    """Raises ValueError for what is no JSON, or too much of it."""
    body = request.body
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(f"more than {MAX_BODY_BYTES} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON") from None


def _numbers(body: Any, name: str) -> dict[str, float]:
    """Every limit once. Raises ValueError."""
    values = body.get(name) if isinstance(body, dict) else None
    if not isinstance(values, dict) or set(values) != set(limits.NAMES):
        raise ValueError(f"{name} has to give each of {', '.join(limits.NAMES)}")
    if not all(_is_number(value) for value in values.values()):
        raise ValueError(f"{name} has what is no number")
    return {name: _as_stored(name, value) for name, value in values.items()}


def _is_number(value: Any) -> bool:
    """JSON of a careless program also has NaN, Infinity, and integers that no float can be."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _GREATEST


def _as_stored(name: str, value: float) -> float:
    """Raises ValueError for a rate that is not whole, or a number that is none."""
    if name.endswith("_s"):
        return round(float(value), _DIGITS)
    if value != int(value):
        raise ValueError(f"{name} is a whole number")
    return int(value)


def _principal_of(request: HttpRequest) -> Principal:
    return Principal(PrincipalKind.SESSION, user_id=request.user.pk, session_key=request.session.session_key)


def _fault(reason: str, status: int) -> JsonResponse:
    return JsonResponse({"fault": reason}, status=status)
