"""A browser without a screen: signs in, fills forms, and lends its cookie to a WebSocket."""

from __future__ import annotations

import asyncio
import re
import time
import urllib.error
import urllib.request
from html.parser import HTMLParser
from http.client import HTTPResponse
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlencode

from tests.servers import Server

Fields = dict[str, list[str]]


class Browser:
    """One person's cookies on one server."""

    def __init__(self, server: Server) -> None:
        self._url = server.url
        self._cookies = CookieJar()
        self._redirects = _Redirects()
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self._cookies), self._redirects
        )

    async def sign_in(self, name: str, password: str) -> None:
        """Through the login form."""
        form = await self.form("/accounts/login/")
        page = await self.post("/accounts/login/", form | {"username": [name], "password": [password]})
        assert "id_password" not in page, "the login was refused"

    async def form(self, path: str, wanted: str = "csrfmiddlewaretoken") -> Fields:
        """What the page's first form with a field of this name would send."""
        parser = _Forms()
        parser.feed(await self.get(path))
        return next(form for form in parser.forms if wanted in form)

    async def get(self, path: str) -> str:
        """A page; AssertionError for any status but 200."""
        return await asyncio.to_thread(self._open, path, None)

    async def post(self, path: str, fields: Fields) -> str:
        """The page that follows a form that was accepted."""
        page = await asyncio.to_thread(self._open, path, urlencode(fields, doseq=True).encode())
        assert "errorlist" not in page, re.findall(r"(?s)<ul class=.errorlist.*?</ul>", page)
        return page

    @property
    def accepted_at(self) -> float:
        """When the last form was, on the machine's monotonic clock; the page that follows takes its time."""
        return self._redirects.last_at

    @property
    def session_key(self) -> str:
        """The session's id."""
        return next(str(cookie.value) for cookie in self._cookies if cookie.name == "vital-session")

    @property
    def socket_headers(self) -> dict[str, str]:
        """What a browser sends with the handshake of a WebSocket of this site."""
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._cookies)
        return {"Origin": self._url, "Cookie": cookies}

    def _open(self, path: str, data: bytes | None) -> str:
        request = urllib.request.Request(self._url + path, data, {"Referer": self._url + path})
        try:
            response: HTTPResponse
            with self._opener.open(request, timeout=20) as response:
                return response.read().decode()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code}\n{error.read().decode()[:2000]}") from error


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and knows when the last one came."""

    def __init__(self) -> None:
        self.last_at = 0.0

    def redirect_request(self, *args: Any, **kwargs: Any) -> urllib.request.Request | None:
        self.last_at = time.monotonic()
        return super().redirect_request(*args, **kwargs)


class _Forms(HTMLParser):
    """The fields of every form, as a browser would send them untouched."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Fields] = []
        self._form: Fields = {}
        self._area = self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values: dict[str, Any] = {name: value or "" for name, value in attrs}
        name = values.get("name", "")
        if tag == "form":
            self._form = {}
            self.forms.append(self._form)
        elif tag == "textarea":
            self._area = name
            self._form.setdefault(name, [""])
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in values:
            self._form.setdefault(self._select, []).append(values["value"])
        elif tag == "input" and name:
            kind = values.get("type", "text")
            if kind in ("submit", "button", "image") or (
                kind in ("checkbox", "radio") and "checked" not in values
            ):
                return
            self._form.setdefault(name, []).append(values.get("value", "on" if kind == "checkbox" else ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = ""
        elif tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self._form[self._area] = [re.sub(r"^\n", "", data)]
