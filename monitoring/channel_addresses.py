"""Where messages about alerts may go: which addresses are well formed, and which hosts may be asked."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Self
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

MOST_RECIPIENTS = 20
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""Addresses that a translator turns into the IPv4 address in their last 32 bits (RFC 6052)."""
_COMPATIBLE = IPv6Network("::/96")
"""The same of no translator, and of no use (RFC 4291)."""


class AddressError(ValueError):
    """An address that is not used; its words say why, and quote nothing but the host."""


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook's address, taken apart. Raises AddressError for what is never asked."""

    secure: bool
    host: str
    port: int
    path: str
    is_listed: bool

    @classmethod
    def of(cls, address: str, listed: Collection[str]) -> Self:
        """`listed` are hosts, or hosts with ports, that the deployment allows whatever they are."""
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError:
            raise AddressError("This is no address of a web server: the port has to be a number.") from None
        if any(not 32 < ord(each) < 127 for each in address):
            raise AddressError(
                "An address has no blanks, line breaks or letters beyond ASCII: write them as %20 etc."
            )
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise AddressError("A webhook wants an address like https://alerts.example.org/vital.")
        if "@" in parts.netloc:
            raise AddressError("Leave out name and password: the signature proves who sends.")
        if parts.fragment:
            raise AddressError("Leave out what follows the #: it is not sent to a server.")
        secure = parts.scheme == "https"
        port = port if port is not None else (443 if secure else 80)
        is_listed = bool({parts.hostname, f"{parts.hostname}:{port}"} & {each.lower() for each in listed})
        if not secure and not is_listed:
            raise AddressError(
                f"Use https://, or have {parts.hostname} named in VITAL_WEBHOOK_HOSTS if it has to be http://."
            )
        path = parts.path or "/"
        return cls(secure, parts.hostname, port, f"{path}?{parts.query}" if parts.query else path, is_listed)

    def resolve(self) -> str:
        """The IP address to connect to. Blocks. Raises AddressError, or OSError where there is none.

        The name is looked up once, and what was looked at is what is connected to: a name that leads
        elsewhere the next moment gains nothing.
        """
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        return self.first_allowed(str(each[4][0]) for each in found)

    def first_allowed(self, addresses: Iterable[str]) -> str:
        """The first of them; AddressError if any is one of this machine, of a private network or of none."""
        found = list(addresses)
        if not self.is_listed and any(not _is_public(each) for each in found):
            raise AddressError(
                f"{self.host} is in a private network: have it named in VITAL_WEBHOOK_HOSTS if that is meant."
            )
        return found[0]


def recipients(address: str) -> list[str]:
    """The e-mail addresses of a channel."""
    return [each.strip() for each in address.split(",") if each.strip()]


def fault_of_address(kind: str, address: str) -> str:
    """What is wrong with a channel's address; empty where nothing is. Looks up no name."""
    if kind == "webhook":
        try:
            Target.of(address, settings.VITAL_WEBHOOK_HOSTS)
        except AddressError as error:
            return str(error)
        return ""
    found = recipients(address)
    if not 1 <= len(found) <= MOST_RECIPIENTS:
        return f"One to {MOST_RECIPIENTS} e-mail addresses, separated by commas."
    for each in found:
        try:
            validate_email(each)
        except ValidationError:
            return f"{each} is no e-mail address."
    return ""


def _is_public(address: str) -> bool:
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        if parsed.is_site_local or parsed in _COMPATIBLE:
            return False
        parsed = _within(parsed)
    return parsed.is_global and not parsed.is_multicast


def _within(address: IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that one of IPv6 leads to, where it is made of one; else itself."""
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
