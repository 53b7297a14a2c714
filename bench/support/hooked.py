"""A server for benchmarks: what vital.asgi serves, and requests by which a benchmark steers it.

`/bench/hold` keeps every viewer at what streams come as, so that what is offered stays more than a narrow
link carries; `/bench/alarm` sends a CRITICAL message to every viewer now, with the machine's monotonic time;
`/bench/snapshots` takes a metrics snapshot every second from now on, and the next time no more.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vital.settings")
django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402  (needs the app registry)
from django.conf import settings  # noqa: E402

from streaming.core.strict_json import to_json  # noqa: E402
from streaming.guard import Guard  # noqa: E402
from streaming.routing import websocket_urlpatterns  # noqa: E402
from streaming.subscriber import Subscriber  # noqa: E402
from vital.lifecycle import Lifecycle  # noqa: E402

Scope = dict[str, Any]
NOTE = "x" * 160
"""As long as what an alarm says."""


def _hold(_: Scope) -> None:
    def choose_nothing(_subscriber: Subscriber) -> bool:
        return False

    Subscriber.choose = choose_nothing  # type: ignore[method-assign, assignment]


def _alarm(scope: Scope) -> None:
    text = to_json({"type": "alarm", "at": time.monotonic(), "note": NOTE})
    for viewer in scope["vital"].hub.subscribers():
        viewer.tell(text)


_taking: set[asyncio.Task[None]] = set()


def _snapshots(scope: Scope) -> None:
    if _taking:
        _taking.pop().cancel()
        return

    async def take() -> None:
        while True:
            scope["vital.snapshots"].take()
            await asyncio.sleep(1.0)

    _taking.add(asyncio.create_task(take()))


_HOOKS: dict[str, Callable[[Scope], None]] = {
    "/bench/hold": _hold,
    "/bench/alarm": _alarm,
    "/bench/snapshots": _snapshots,
}


async def hooked(scope: Scope, receive: Any, send: Any) -> None:
    """Django's pages, and the hooks."""
    hook = _HOOKS.get(scope["path"])
    if hook is None:
        await django_application(scope, receive, send)
        return
    hook(scope)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


lifecycle = Lifecycle(ProtocolTypeRouter({"http": hooked, "websocket": URLRouter(websocket_urlpatterns)}))
application = Guard(
    lifecycle,
    allowed_hosts=settings.ALLOWED_HOSTS,
    trusted_origins=settings.CSRF_TRUSTED_ORIGINS,
    trusted_proxies=settings.VITAL_TRUSTED_PROXIES,
)
lifecycle.hook_into_daphne()
