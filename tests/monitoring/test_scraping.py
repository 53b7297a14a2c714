"""Metrics are for who comes from a listed network or shows a token, and for nobody else."""

from __future__ import annotations

import hmac
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer
from django.test import AsyncClient
from pytest_django import Settings

from monitoring import checks
from monitoring.scraping import ScrapeRule
from streaming.guard import Guard
from streaming.runtime import Runtime

TOKEN = "0123456789abcdef0123456789abcdef"
LOOPBACK = ["127.0.0.0/8", "::1"]


class Scraper(AsyncClient):
    """Asks from an address; `told` is what the wrappers around Django put into the scope."""

    def __init__(self, address: str | None, **told: Any) -> None:
        super().__init__()
        self._told = {"client": [address, 9] if address else None, **told}

    def _base_scope(self, **request: Any) -> Any:
        return {**super()._base_scope(**request), **self._told}  # type: ignore[misc]  # not in the stubs


def bearer(token: str) -> str:
    return f"Bearer {token}"


class TestRule:
    """The decision by itself."""

    @pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
    def test_loopback_is_listed(self, address: str) -> None:
        assert ScrapeRule.of(LOOPBACK, []).admits(address, "")

    @pytest.mark.parametrize(
        "address", ["10.0.0.1", "::2", "::ffff:10.0.0.1", "", None, "unix:", "localhost"]
    )
    def test_others_and_those_without_an_address_are_not(self, address: str | None) -> None:
        assert not ScrapeRule.of(LOOPBACK, []).admits(address, "")

    def test_a_network_holds_its_addresses(self) -> None:
        rule = ScrapeRule.of(["10.1.0.0/16", "fd00::/8"], [])
        assert rule.admits("10.1.255.255", "")
        assert rule.admits("fd12::1", "")
        assert not rule.admits("10.2.0.0", "")

    @pytest.mark.parametrize("authorization", [bearer(TOKEN), f"bearer {TOKEN}", f"BEARER  {TOKEN} "])
    def test_a_token_opens_from_anywhere(self, authorization: str) -> None:
        assert ScrapeRule.of([], [TOKEN]).admits("203.0.113.9", authorization)
        assert ScrapeRule.of([], ["former", TOKEN]).admits(None, authorization)

    @pytest.mark.parametrize(
        "authorization",
        [
            "",
            "Bearer",
            "Bearer ",
            f"Basic {TOKEN}",
            TOKEN,
            bearer(TOKEN[:-1]),
            bearer(TOKEN + "0"),
            "Bearer ünîcødé",
        ],
    )
    def test_anything_else_does_not(self, authorization: str) -> None:
        assert not ScrapeRule.of(LOOPBACK, [TOKEN]).admits("203.0.113.9", authorization)

    def test_without_tokens_no_token_opens(self) -> None:
        assert not ScrapeRule.of([], []).admits("203.0.113.9", "Bearer ")

    def test_every_token_is_compared_in_constant_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        compared: list[tuple[bytes, bytes]] = []

        def compare(given: bytes, token: bytes) -> bool:
            compared.append((given, token))
            return given == token

        monkeypatch.setattr(hmac, "compare_digest", compare)
        assert ScrapeRule.of([], ["first", "second", "third"]).admits(None, "Bearer first")
        assert compared == [(b"first", b"first"), (b"first", b"second"), (b"first", b"third")]


class TestView:
    """Over HTTP; no test here may use a database."""

    async def test_the_default_is_this_machine_alone(self) -> None:
        assert (await Scraper("127.0.0.1").get("/metrics")).status_code == 200
        refused = await Scraper("192.0.2.1").get("/metrics")
        assert (refused.status_code, refused["Content-Type"]) == (403, "text/plain; charset=utf-8")
        assert "VITAL_METRICS_NETWORKS" in refused.content.decode()
        assert "VITAL_METRICS_TOKEN" in refused.content.decode()
        assert "vital_" not in refused.content.decode()

    async def test_a_token_is_read_from_the_header_and_from_nowhere_else(self, settings: Settings) -> None:
        settings.VITAL_METRICS_TOKEN = [TOKEN]
        scraper = Scraper("192.0.2.1")
        assert (await scraper.get("/metrics", headers={"authorization": bearer(TOKEN)})).status_code == 200
        assert (await scraper.get("/metrics", headers={"authorization": bearer("no")})).status_code == 403
        assert (await scraper.get(f"/metrics?token={TOKEN}")).status_code == 403

    async def test_no_networks_leave_the_token_alone(self, settings: Settings) -> None:
        settings.VITAL_METRICS_NETWORKS, settings.VITAL_METRICS_TOKEN = [], [TOKEN]
        scraper = Scraper("127.0.0.1")
        assert (await scraper.get("/metrics")).status_code == 403
        assert (await scraper.get("/metrics", headers={"authorization": bearer(TOKEN)})).status_code == 200

    async def test_who_comes_through_a_proxy_that_nobody_vouches_for_has_no_address(self) -> None:
        assert (await Scraper("127.0.0.1", **{"vital.relayed": True}).get("/metrics")).status_code == 403

    @pytest.mark.parametrize("method", ["post", "head", "put", "delete", "options"])
    async def test_only_get_is_answered(self, method: str) -> None:
        response = await getattr(Scraper("127.0.0.1"), method)("/metrics")
        assert (response.status_code, response["Allow"]) == (405, "GET")

    async def test_https_does_not_send_a_scraper_elsewhere(self, settings: Settings) -> None:
        settings.SECURE_SSL_REDIRECT = True
        assert (await Scraper("127.0.0.1").get("/metrics")).status_code == 200

    async def test_no_cache_keeps_the_answer(self) -> None:
        assert (await Scraper("127.0.0.1").get("/metrics"))["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(
        ("accept", "content_type"),
        [
            ("", "text/plain; version=0.0.4; charset=utf-8"),
            ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
            (
                "application/openmetrics-text; version=1.0.0,text/plain;version=0.0.4;q=0.5",
                "application/openmetrics-text",
            ),
            ("application/openmetrics-text; version=x", "text/plain; version=0.0.4; charset=utf-8"),
        ],
    )
    async def test_the_format_is_what_is_asked_for(self, accept: str, content_type: str) -> None:
        scraper = Scraper("127.0.0.1", vital=Runtime(InMemoryChannelLayer()))
        response = await scraper.get("/metrics", headers={"accept": accept})
        assert response["Content-Type"].startswith(content_type)
        text = response.content.decode()
        assert text.endswith("# EOF\n") is ("openmetrics" in content_type)
        assert "# TYPE vital_build_info gauge" in text or "# TYPE vital_build info" in text


class TestGuard:
    """What the view is told of a proxy."""

    @pytest.mark.parametrize(
        ("proxies", "header", "relayed"),
        [
            ([], b"x-forwarded-for", True),
            ([], b"forwarded", True),
            ([], b"x-real-ip", True),
            ([], b"accept", False),
            (["127.0.0.1"], b"x-forwarded-for", False),
        ],
    )
    async def test_a_stranger_that_forwards_is_noticed(
        self, proxies: list[str], header: bytes, relayed: bool
    ) -> None:
        seen: list[dict[str, Any]] = []

        async def app(scope: dict[str, Any], _receive: Any, _send: Any) -> None:
            seen.append(scope)

        guard = Guard(app, allowed_hosts=["vital.example"], trusted_proxies=proxies)
        scope = {"type": "http", "client": ["127.0.0.1", 5], "headers": [(header, b"192.0.2.7")]}

        async def nothing(*_: Any) -> None:
            """Nobody says or hears anything."""

        await guard(scope, nothing, nothing)
        assert seen[0]["vital.relayed"] is relayed


class TestChecks:
    """What `manage.py check` says."""

    @pytest.mark.parametrize("network", ["10.0.0.1/8", "10.0.0.0/33", "scraper.example", ""])
    def test_a_wrong_network_is_an_error_that_names_it(self, network: str, settings: Settings) -> None:
        settings.VITAL_METRICS_NETWORKS = ["127.0.0.1", network]
        (error,) = checks.check_networks(None)
        assert error.id == "monitoring.E001"
        assert repr(network) in error.msg

    def test_right_ones_are_none(self, settings: Settings) -> None:
        settings.VITAL_METRICS_NETWORKS = ["127.0.0.0/8", "::1", "10.1.2.3"]
        assert checks.check_networks(None) == []
        assert checks.check_openness(None) == []

    @pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
    def test_metrics_for_everybody_are_warned_of(self, network: str, settings: Settings) -> None:
        settings.VITAL_METRICS_NETWORKS = [network]
        assert [warning.id for warning in checks.check_openness(None)] == ["monitoring.W001"]

    def test_a_short_token_is_warned_of(self, settings: Settings) -> None:
        settings.VITAL_METRICS_TOKEN = [TOKEN, "hunter2"]
        assert [warning.id for warning in checks.check_openness(None)] == ["monitoring.W002"]
