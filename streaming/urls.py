"""The pages, the login, and the probes."""

from __future__ import annotations

from django.contrib.auth import views as auth_views
from django.urls import path, re_path
from django.views.i18n import set_language

from streaming import export_view, page_api, views

urlpatterns = [
    path("", views.app, name="ward"),
    re_path(r"^patients/(?P<stream>[a-z2-7]{12})/$", views.app, name="patient"),
    re_path(r"^patients/(?P<stream>[a-z2-7]{12})/limits/$", page_api.patient_limits, name="limits"),
    path("patients/parts/", views.patient_parts, name="patient_parts"),
    path("layout/", page_api.layout, name="layout"),
    re_path(r"^patients/(?P<stream>[a-z2-7]{12})/review/(?:\d{1,13}/)?$", views.app, name="review"),
    re_path(r"^patients/(?P<stream>[a-z2-7]{12})/export/$", export_view.export, name="export"),
    path(
        "accounts/login/",
        auth_views.LoginView.as_view(redirect_authenticated_user=True),
        name="login",
    ),
    path("accounts/logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("language/", set_language, name="set_language"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
]
