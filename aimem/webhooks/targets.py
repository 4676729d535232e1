"""Which addresses a webhook may lead to.

An address is read by the parser of the client that will connect, and by rules of ours that allow nothing on which two
parsers could disagree: what one took for the host, another might take for a user's name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, TypeAlias

import httpx
from msgspec import Struct

from aimem.errors import Code, InvalidRequest

URL_MAX_CHARS: Final = 2048
_AUTHORITY = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)(?::(?P<port>[0-9]{1,5}))?", re.ASCII
)
_URL = re.compile(r"(?P<scheme>[A-Za-z]+)://(?P<authority>[^/?#\\]*)(?P<rest>(?:[/?][!-~]*)?)", re.ASCII)
_NUMERIC_LABEL = re.compile(r"(?:[0-9]+|0[xX][0-9A-Fa-f]*)", re.ASCII)
_Refuse: TypeAlias = Callable[[str], InvalidRequest]
_PORTS: Final = {"http": 80, "https": 443}


class Reach(StrEnum):
    """How far webhooks may lead: to the public network alone, or to loopback and private addresses too."""

    PUBLIC = "public"
    PRIVATE = "private"


class Target(Struct, frozen=True, kw_only=True):
    """An address that was read.

    Attributes:
      host: in lower case, without brackets: a name or an address.
      path: with the query; never empty.
      is_literal: whether the host is an address.
    """

    scheme: str
    host: str
    port: int
    path: str
    is_literal: bool

    @property
    def authority(self) -> str:
        """What the header Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def at(self, address: str) -> str:
        """The URL by which one of its addresses is reached."""
        host = f"[{address}]" if ":" in address else address
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def parse_target(url: str, reach: Reach, *, field: str = "url") -> Target:
    """Read an address that a webhook is to be delivered to.

    Raises: InvalidRequest(webhook_url) that says what is wrong with it.
    """

    def refuse(why: str) -> InvalidRequest:
        return InvalidRequest(f"{field} {why}", code=Code.WEBHOOK_URL, field=field)

    if not 0 < len(url) <= URL_MAX_CHARS:
        raise refuse(f"has {len(url)} characters; 1 to {URL_MAX_CHARS} are allowed")
    found = _URL.fullmatch(url)
    if found is None:
        raise refuse("is no address; wanted is https://HOST[:PORT]/PATH in plain ASCII, without blanks and fragment")
    scheme = found["scheme"].lower()
    if scheme not in _PORTS:
        raise refuse(f"has the scheme {scheme[:16]}; allowed is https")
    if "@" in found["authority"]:
        raise refuse("names a user before its host; put no credentials into it, deliveries are signed instead")
    authority = _AUTHORITY.fullmatch(found["authority"])
    if authority is None:
        raise refuse("names no host, or none that every program reads alike; wanted is HOST or HOST:PORT")
    host, is_literal = _host(authority["host"], refuse)
    port = int(authority["port"] or _PORTS[scheme])
    if not 0 < port < 65_536:
        raise refuse(f"has the port {port}; allowed are 1 to 65535")
    if "#" in found["rest"] or "\\" in found["rest"]:
        raise refuse("has a fragment or a backslash; leave it out")
    _check_reach(scheme, host, reach, is_literal=is_literal, refuse=refuse)
    target = Target(
        scheme=scheme, host=host, port=port, is_literal=is_literal,
        path=found["rest"] if found["rest"].startswith("/") else "/" + found["rest"],
    )
    if not _is_read_alike(url, target):
        raise refuse("is read in different ways by different programs; write it plainly")
    return target


def _host(text: str, refuse: _Refuse) -> tuple[str, bool]:
    host = text.lower()
    if host.startswith("["):
        try:
            return str(IPv6Address(host[1:-1])), True
        except ValueError:
            raise refuse("has an IPv6 address that cannot be read") from None
    bare = host.removesuffix(".")
    if _NUMERIC_LABEL.fullmatch(bare.rpartition(".")[2]):
        try:
            # Only the plain form: 2130706433, 0x7f.1 and 0177.0.0.1 are one address to some programs, none to others.
            return str(IPv4Address(host)), True
        except ValueError:
            raise refuse("ends in a number and is no plain IPv4 address (four decimal numbers)") from None
    if len(bare) > 253 or any(not 0 < len(label) <= 63 or label.endswith("-") for label in bare.split(".")):
        raise refuse("has a host that no name service knows: labels have 1 to 63 characters")
    return host, False


def _check_reach(scheme: str, host: str, reach: Reach, *, is_literal: bool, refuse: _Refuse) -> None:
    is_loopback = is_loopback_name(host) or (is_literal and ipaddress.ip_address(host).is_loopback)
    if is_loopback and reach is Reach.PUBLIC:
        raise refuse("leads to this machine itself; set webhooks.allow_private if that is meant")
    if scheme == "http" and not is_loopback:
        raise refuse("is plain http, which anybody on the way can read and change; use https")
    if is_literal and (why := refusal_of(host, reach)):
        raise refuse(f"leads to {host}: {why}")


def is_loopback_name(host: str) -> bool:
    """Whether a name means the machine itself wherever it is asked for."""
    bare = host.removesuffix(".")
    return bare in ("localhost", "localhost.localdomain") or bare.endswith(".localhost")


def _is_read_alike(url: str, target: Target) -> bool:
    try:
        seen = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    port = seen.port or _PORTS.get(seen.scheme)
    host = seen.raw_host.decode()
    if target.is_literal and ":" in target.host:
        try:
            host = str(IPv6Address(host))
        except ValueError:
            return False
    return (seen.scheme, host, port, seen.userinfo) == (target.scheme, target.host, target.port, b"")


def refusal_of(address: str, reach: Reach) -> str:
    """Why nothing may be sent to an address; empty if it may.

    Only what is public by the registries of special addresses (RFC 6890 and its heirs) is allowed; with a reach of
    private also loopback, private, shared and unique local ones. Addresses that carry another within them (mapped ones
    aside, which are judged by the one within) are refused: whoever translates them decides where they lead.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "it is no address"
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    table = _V4 if isinstance(found, IPv4Address) else _V6
    for network, what, is_private in table:
        if found in network:
            return "" if is_private and reach is Reach.PRIVATE else f"{what} addresses are not delivered to"
    if isinstance(found, IPv6Address) and found not in _GLOBAL_V6:
        return "it is no public address"
    return ""


_GLOBAL_V6: Final = IPv6Network("2000::/3")
_V4: Final[tuple[tuple[IPv4Network, str, bool], ...]] = tuple(
    (IPv4Network(text), what, is_private)
    for text, what, is_private in (
        ("0.0.0.0/8", "unspecified", False),
        ("10.0.0.0/8", "private", True),
        ("100.64.0.0/10", "shared (carrier-grade NAT)", True),
        ("127.0.0.0/8", "loopback", True),
        ("169.254.0.0/16", "link-local", False),
        ("172.16.0.0/12", "private", True),
        ("192.0.0.0/24", "protocol", False),
        ("192.0.2.0/24", "documentation", False),
        ("192.31.196.0/24", "protocol", False),
        ("192.52.193.0/24", "protocol", False),
        ("192.88.99.0/24", "6to4 relay", False),
        ("192.168.0.0/16", "private", True),
        ("192.175.48.0/24", "protocol", False),
        ("198.18.0.0/15", "benchmark", False),
        ("198.51.100.0/24", "documentation", False),
        ("203.0.113.0/24", "documentation", False),
        ("224.0.0.0/4", "multicast", False),
        ("240.0.0.0/4", "reserved", False),
    )
)
_V6: Final[tuple[tuple[IPv6Network, str, bool], ...]] = tuple(
    (IPv6Network(text), what, is_private)
    for text, what, is_private in (
        ("::/128", "unspecified", False),
        ("::1/128", "loopback", True),
        ("::/96", "IPv4-compatible", False),
        ("64:ff9b::/96", "NAT64", False),
        ("64:ff9b:1::/48", "NAT64", False),
        ("100::/64", "discard", False),
        ("2001::/23", "protocol", False),
        ("2001:db8::/32", "documentation", False),
        ("2002::/16", "6to4", False),
        ("3fff::/20", "documentation", False),
        ("5f00::/16", "segment routing", False),
        ("fc00::/7", "unique local", True),
        ("fe80::/10", "link-local", False),
        ("fec0::/10", "site-local", False),
        ("ff00::/8", "multicast", False),
    )
)
