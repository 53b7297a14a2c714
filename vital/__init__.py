"""The project's wiring: settings, URLs, the ASGI application, and the life of its background work."""
