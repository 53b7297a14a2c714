"""Which view answers which path."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("streaming.urls")),
    path("admin/", admin.site.urls),
]
