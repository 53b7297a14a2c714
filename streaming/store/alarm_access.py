"""Who may do what about alarms: acknowledge, pause their sound, switch a patient's off, set their limits."""

from __future__ import annotations

from enum import StrEnum

from streaming.exceptions import ForbiddenError
from streaming.store import access, audit
from streaming.store.access import Principal


class AlarmRight(StrEnum):
    """What a user may be allowed to do, by the name under which its page is told."""

    ACKNOWLEDGE = "acknowledge"
    PAUSE_AUDIO = "pause_audio"
    SWITCH_OFF = "switch_off"
    SET_LIMITS = "set_limits"


_PERMISSIONS = {
    AlarmRight.ACKNOWLEDGE: "streaming.acknowledge_alarms",
    AlarmRight.PAUSE_AUDIO: "streaming.pause_alarm_audio",
    AlarmRight.SWITCH_OFF: "streaming.switch_off_alarms",
    AlarmRight.SET_LIMITS: "streaming.set_alarm_limits",
}
_NOT_ALLOWED = {
    AlarmRight.ACKNOWLEDGE: "you may not acknowledge alarms",
    AlarmRight.PAUSE_AUDIO: "you may not pause the sound",
    AlarmRight.SWITCH_OFF: "you may not switch alarms off or on",
    AlarmRight.SET_LIMITS: "you may not change alarm limits",
}


def rights(principal: Principal) -> frozenset[AlarmRight]:
    """What the principal's user may do; nothing for who is no user any more. Three queries at most."""
    user = access.user_in_force(principal)
    if user is None:
        return frozenset()
    return frozenset(right for right, permission in _PERMISSIONS.items() if user.has_perm(permission))


def authorize(
    principal: Principal, right: AlarmRight, stream: str | None, *, refusal: str | None = None, **detail: str
) -> str:
    """The name of the user, who may do this about `stream` (None: about no stream in particular); audited.

    Raises ForbiddenError, also for a stream that the user cannot see, and with `refusal` for what cannot be
    done by whoever may. Five queries at most.
    """
    user = access.user_in_force(principal)
    about = "alarms" if stream is None else f"stream:{stream}"
    if user is None or not user.has_perm(_PERMISSIONS[right]):
        audit.record(principal.actor, f"alarm.{right}", about, "denied", **detail)
        raise ForbiddenError(_NOT_ALLOWED[right])
    if stream is not None and not access.visible_admissions(principal).filter(pk=stream).exists():
        audit.record(principal.actor, f"alarm.{right}", about, "denied", **detail)
        raise ForbiddenError("the patient is not one of yours")
    if refusal is not None:
        audit.record(principal.actor, f"alarm.{right}", about, "refused", **detail)
        raise ForbiddenError(refusal)
    audit.record(principal.actor, f"alarm.{right}", about, "allowed", **detail)
    return str(user.get_username())
