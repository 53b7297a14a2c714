"""Who may read the metrics: whoever comes from a network that is listed, or shows a token."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

REFUSAL = (
    "403: metrics are for those who come from a network of VITAL_METRICS_NETWORKS, or send\n"
    "`Authorization: Bearer` with a token of VITAL_METRICS_TOKEN. See docs/operations.md, Metrics.\n"
)


@dataclass(frozen=True, slots=True)
class ScrapeRule:
    """`networks` are believed by their address alone; `tokens` are secrets, and each of them opens."""

    networks: tuple[IPv4Network | IPv6Network, ...]
    tokens: tuple[bytes, ...]

    @classmethod
    def of(cls, networks: Sequence[str], tokens: Sequence[str]) -> Self:
        """As the settings have it. Raises ValueError for what is no network."""
        return cls(tuple(map(ip_network, networks)), tuple(token.encode() for token in tokens))

    def admits(self, address: str | None, authorization: str) -> bool:
        """Whether a request may read, by its client's address (None where that is not known) and header."""
        return self._is_listed(address) or self._is_known(authorization)

    def _is_listed(self, address: str | None) -> bool:
        try:
            parsed = ip_address(address or "")
        except ValueError:  # such as none at all, of a Unix socket
            return False
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self.networks)

    def _is_known(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return False
        # All of them, each in constant time: how long the answer takes says nothing about any.
        secret = given.strip().encode()
        return sum(hmac.compare_digest(secret, token) for token in self.tokens) > 0
