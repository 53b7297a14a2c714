"""What is said of an alert: the body of a webhook, an e-mail, and the signature that proves who says it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

MOST_TOLD = 50
"""Alerts in one message; of more there is only the number."""

Told = Mapping[str, Any]
"""One alert, and what became of it, as plain JSON values; see docs/operations.md."""


def body(message_id: str, kind: str, created_at: str, told: Sequence[Told]) -> bytes:
    """What a webhook is sent, the same at each attempt. `kind` is `alerts` or `test`."""
    return json.dumps(
        {
            "version": 1,
            "id": message_id,
            "kind": kind,
            "created_at": created_at,
            "alerts": list(told[:MOST_TOLD]),
            "more": max(0, len(told) - MOST_TOLD),
        },
        ensure_ascii=False,
    ).encode()


def sign(secret: str, timestamp: int, content: bytes) -> str:
    """`sha256=` and the HMAC in hex, over the timestamp in decimals, a dot, and the body.

    docs/operations.md has what a receiver does with it.
    """
    mac = hmac.new(secret.encode(), f"{timestamp}.".encode() + content, hashlib.sha256)
    return f"sha256={mac.hexdigest()}"


def subject(kind: str, told: Sequence[Told]) -> str:
    """Of an e-mail: the gravest first, in one line."""
    if kind == "test":
        return "[VITAL] test of a notification channel"
    opened = [alert for alert in told if alert["event"] == "opened"]
    first = (opened or told)[0]
    what = first["severity"] if first["event"] == "opened" else "resolved"
    more = f" and {len(told) - 1} more" if len(told) > 1 else ""
    return _line(f"[VITAL] {what}: {first['rule']}{more}")


def text(kind: str, told: Sequence[Told], notice: str) -> str:
    """Of an e-mail."""
    if kind == "test":
        lines = ["This is a test: somebody pressed the button in VITAL's admin. No alert has opened."]
    else:
        lines = [line for alert in told[:MOST_TOLD] for line in _spoken(alert)]
        if len(told) > MOST_TOLD:
            lines.append(f"And {len(told) - MOST_TOLD} more: see Alerts in the admin.")
    return "\n".join([*lines, "", "These are alerts of the system, not alarms of patients.", notice, ""])


def _spoken(alert: Told) -> list[str]:
    where = (
        f"group {alert['group']}, process {alert['process']}"
        if alert["group"]
        else f"process {alert['process']}"
    )
    lines = [
        f"{alert['event'].upper()} ({alert['severity']}): {alert['rule']}",
        f"  {alert['condition']}; now {alert['value_text']}, at worst {alert['peak_text']}",
        f"  {where}, since {alert['opened_at']}",
    ]
    if alert["resolved_at"]:
        lines.append(f"  resolved at {alert['resolved_at']}: {alert['reason']}")
    elif alert["advice"]:
        lines.append(f"  What to do: {_line(alert['advice'])}")
    return [*lines, ""]


def _line(words: str) -> str:
    """Without line breaks: a header must not go on in the next one."""
    return " ".join(words.split())
