"""Addresses that tenants give for webhooks: their grammar, and which of them may be called.

docs/webhooks.md says the same to tenants and operators.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, Self

from app.domain.networks import Address, Network, carried, kind_denied
from app.errors import InvalidRequest

MAX_URL_CHARS: Final = 2048
"""As the vendor allows for `callback_url`."""

PORTS: Final = {"https": 443, "http": 80}
"""The one port of each scheme outside the allowed networks."""

MAX_PORT: Final = 65_535

_ASK: Final = "or ask the operator of this gateway to allow its network"

# One pattern for the whole: a parser that repairs what it reads is how guards are led astray.
_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<authority>[^/?#]*)"
    r"(?P<rest>(?:[/?][!-~]*)?)"
)
_AUTHORITY: Final = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+))(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
# The last label begins with a letter: what ends in a number is an address in one of its older
# spellings to some resolver or other (127.1, 2130706433, 0x7f000001).
_NAME: Final = re.compile(
    rf"(?=.{{1,253}}$)(?:{_LABEL}\.)*[a-z](?:[a-z0-9_-]{{0,61}}[a-z0-9_])?", re.DOTALL
)
_UNSAFE: Final = re.compile(r"[^!-~]|[\\]")
# Names that never belong to a host of the public internet (RFC 6761, 6762, 8375, 9476; ICANN
# keeps `internal` for private use).
_INSIDE: Final = (".localhost", ".local", ".internal", ".home.arpa", ".lan", ".localdomain")


@dataclass(frozen=True, slots=True)
class TargetPolicy:
    """What the operator allows beyond public addresses over https."""

    networks: tuple[Network, ...] = ()
    allow_http: bool = False

    @classmethod
    def parse(cls, networks: str, *, allow_http: bool) -> Self:
        """Read a comma separated list of networks such as `10.0.0.0/8, fd00::/8`.

        Raises:
            ValueError: an entry is no network; the message names it.
        """
        entries = [entry.strip() for entry in networks.split(",")]
        return cls(tuple(_network(entry) for entry in entries if entry), allow_http)

    def allows(self, address: Address) -> bool:
        """Return whether the address lies in a network that the operator allows."""
        return any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class Target:
    """A checked address: `url` as given with scheme and host in lower case, and its parts."""

    url: str
    scheme: str
    host: str
    """A name, or an address without brackets."""
    port: int
    origin: str
    """`scheme://host:port`, always with the port."""

    @property
    def is_literal(self) -> bool:
        """Whether the host is an address written out, and not a name."""
        return ":" in self.host or _is_ipv4(self.host)

    @property
    def rest(self) -> str:
        """Path and query, byte for byte as given; at least a slash."""
        rest = self.url[len(self.scheme) + 3 :]
        begin = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
        return rest[begin:] if rest[begin : begin + 1] == "/" else f"/{rest[begin:]}"


def check_target(text: object, policy: TargetPolicy, *, param: str) -> Target:
    """Check an address that a tenant gives for its webhooks.

    Pure: it judges the grammar, the port, and an address written out. What a name leads to is
    judged at each send, and only then.

    Raises:
        InvalidRequest: it cannot be called; the message says by which rule and what to do.
    """
    if not isinstance(text, str):
        raise InvalidRequest(f"Invalid {param} parameter: it must be a string", param=param)
    try:
        return _target(text, policy)
    except ValueError as broken:
        raise InvalidRequest(f"Invalid {param} parameter: {broken}", param=param) from broken


def why_denied(
    address: str, port: int, policy: TargetPolicy, *, scheme: str = "https"
) -> str | None:
    """Return why a resolved address must not be called on this port, or None if it may be.

    In an allowed network every port may be. An IPv6 address there that leads on to an IPv4
    address is judged by that one: who allows a NAT64 prefix has not allowed all behind it.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return "it is not an IP address"
    if isinstance(found, IPv6Address) and found.scope_id is not None:
        return "it is an address of one link only (RFC 4007)"
    inner = carried(found)
    if policy.allows(found):
        return None if inner is None else why_denied(str(inner[0]), port, policy, scheme=scheme)
    kind = inner[1] if inner else kind_denied(found)
    if kind is not None:
        return f"it is {kind}"
    if port != PORTS[scheme]:
        return f"port {port} is open in allowed networks only, elsewhere {PORTS[scheme]} is"
    return None


def _target(text: str, policy: TargetPolicy) -> Target:
    scheme, authority, rest = _split(text)
    if scheme != "https" and not (scheme == "http" and policy.allow_http):
        raise ValueError(
            "it must be an https URL"
            + (": http is allowed only where the operator says so" if scheme == "http" else "")
        )
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise ValueError(_why_no_authority(authority))
    port = int(parts["port"] or PORTS[scheme])
    if port > MAX_PORT:
        raise ValueError(f"{port} is no port: {MAX_PORT} is the highest")
    host = _ipv6(parts["ipv6"]) if parts["ipv6"] else parts["host"].lower()
    _judge_host(host, port, policy, scheme)
    shown = f"[{host}]" if ":" in host else host
    written = f"{shown}:{port}" if parts["port"] else shown
    return Target(
        url=f"{scheme}://{written}{rest}",
        scheme=scheme,
        host=host,
        port=port,
        origin=f"{scheme}://{shown}:{port}",
    )


def _split(text: str) -> tuple[str, str, str]:
    if len(text) > MAX_URL_CHARS:
        raise ValueError(f"it has {len(text)} characters, at most {MAX_URL_CHARS} are allowed")
    if _UNSAFE.search(text):
        raise ValueError(
            "it holds a blank, a backslash, a control character or one outside ASCII:"
            " percent-encode it, and write an international host name as punycode (xn--…)"
        )
    if "#" in text:
        raise ValueError("it has a fragment, which is never sent: leave out # and what follows")
    parts = _URL.fullmatch(text)
    if parts is None:
        raise ValueError("it must be an absolute https URL, such as https://example.com/hook")
    return parts["scheme"].lower(), parts["authority"], parts["rest"]


def _why_no_authority(authority: str) -> str:
    if "@" in authority:
        return "it holds a user name or password: leave them out, each message is signed"
    if "%" in authority:
        return "its host holds a percent sign: no zone id and no encoded letters"
    if not authority or authority.startswith(":"):
        return "it has no host"
    return "its host or port is malformed: write host or host:port, IPv6 in brackets"


def _ipv6(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except AddressValueError as failure:
        raise ValueError("the brackets hold no IPv6 address") from failure


def _judge_host(host: str, port: int, policy: TargetPolicy, scheme: str) -> None:
    if ":" in host or _is_ipv4(host):
        if why := why_denied(host, port, policy, scheme=scheme):
            raise ValueError(f"{host} must not be called, {why}: give a public address, {_ASK}")
        return
    if _NAME.fullmatch(host) is None:
        raise ValueError(
            "its host is neither a name nor an address in its one spelling, such as 203.0.114.7:"
            " no trailing dot, no number in another base, labels of 1 to 63 characters"
        )
    if policy.networks:
        return
    if "." not in host or f".{host}".endswith(_INSIDE):
        raise ValueError(f"{host} is not a name of the public internet: give one that is, {_ASK}")
    if port != PORTS[scheme]:
        raise ValueError(f"its port must be {PORTS[scheme]}: use that one, {_ASK}")


def _is_ipv4(host: str) -> bool:
    try:
        IPv4Address(host)
    except AddressValueError:
        return False
    return True


def _network(entry: str) -> Network:
    try:
        return ip_network(entry)
    except ValueError as failure:
        raise ValueError(f"{entry!r} is not a network such as 10.0.0.0/8: {failure}") from failure
