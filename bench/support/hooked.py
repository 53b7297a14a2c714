"""The server of bench/slow_client: what vital.asgi serves, and two requests by which a benchmark steers it.

`/bench/hold` keeps every viewer at what streams come as, so that what is offered stays more than a narrow
link carries; `/bench/alarm` sends a CRITICAL message to every viewer now, with the machine's monotonic time.
"""

from __future__ import annotations

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

NOTE = "x" * 160
"""As long as what an alarm says."""


def _hold(_: Any) -> None:
    def choose_nothing(_subscriber: Subscriber) -> bool:
        return False

    Subscriber.choose = choose_nothing  # type: ignore[method-assign, assignment]


def _alarm(runtime: Any) -> None:
    text = to_json({"type": "alarm", "at": time.monotonic(), "note": NOTE})
    for viewer in runtime.hub.subscribers():
        viewer.tell(text)


_HOOKS: dict[str, Callable[[Any], None]] = {"/bench/hold": _hold, "/bench/alarm": _alarm}


async def hooked(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Django's pages, and the hooks."""
    hook = _HOOKS.get(scope["path"])
    if hook is None:
        await django_application(scope, receive, send)
        return
    hook(scope["vital"])
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
