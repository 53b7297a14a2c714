"""In which language a page answers: the user's choice, else the browser's; the admin in English alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.middleware.locale import LocaleMiddleware
from django.utils import translation

if TYPE_CHECKING:
    from django.http import HttpRequest


class Language(LocaleMiddleware):
    """Django's, but for the admin: our texts there are English, and a page of two languages helps nobody."""

    def process_request(self, request: HttpRequest) -> None:
        """Choose for this request."""
        if request.path_info.startswith("/admin/"):
            translation.activate("en")
            request.LANGUAGE_CODE = "en"
        else:
            super().process_request(request)
