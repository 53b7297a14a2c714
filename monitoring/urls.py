"""What is read by machines."""

from __future__ import annotations

from django.urls import path

from monitoring import views

urlpatterns = [path("metrics", views.metrics, name="metrics")]
