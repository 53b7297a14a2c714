"""Which view answers which path."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from streaming.views import admin_login

urlpatterns = [
    path("", include("streaming.urls")),
    path("", include("monitoring.urls")),
    path("admin/login/", admin_login),
    path("admin/", admin.site.urls),
]

handler500 = "streaming.views.server_error"
