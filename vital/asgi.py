"""The application as an ASGI server sees it: guard, lifecycle, then Django and the two WebSockets."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vital.settings")
django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402  (needs the app registry)
from django.conf import settings  # noqa: E402

from monitoring import routing as monitoring_routing  # noqa: E402
from streaming import routing as streaming_routing  # noqa: E402
from streaming.guard import Guard  # noqa: E402
from vital.lifecycle import Lifecycle  # noqa: E402

# Last what streaming has: it refuses what nobody knows.
websockets = URLRouter([*monitoring_routing.websocket_urlpatterns, *streaming_routing.websocket_urlpatterns])
lifecycle = Lifecycle(ProtocolTypeRouter({"http": django_application, "websocket": websockets}))
application = Guard(
    lifecycle,
    allowed_hosts=settings.ALLOWED_HOSTS,
    trusted_origins=settings.CSRF_TRUSTED_ORIGINS,
    trusted_proxies=settings.VITAL_TRUSTED_PROXIES,
)
lifecycle.hook_into_daphne()
