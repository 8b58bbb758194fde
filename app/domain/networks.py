"""Addresses that no tenant may have us call: which they are, and what each is.

The table is our own because `ipaddress.is_global` calls many of them global; see
docs/adr/0010-own-table-of-denied-addresses.md.
"""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The registries of special-purpose addresses at IANA (RFC 6890 and its updates), and the two
# addresses at which clouds serve their machines without the registry knowing.
_DENIED: Final[tuple[tuple[Network, str], ...]] = tuple(
    (ip_network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "this host (RFC 1122)"),
        ("10.0.0.0/8", "a private network (RFC 1918)"),
        ("100.64.0.0/10", "the network behind a carrier's NAT (RFC 6598)"),
        ("127.0.0.0/8", "loopback (RFC 1122)"),
        ("168.63.129.16/32", "a cloud's own host"),
        ("169.254.0.0/16", "link-local, where clouds serve their metadata (RFC 3927)"),
        ("172.16.0.0/12", "a private network (RFC 1918)"),
        ("192.0.0.0/24", "protocol assignments and a cloud's metadata (RFC 6890)"),
        ("192.0.2.0/24", "documentation (RFC 5737)"),
        ("192.88.99.0/24", "6to4 relay (RFC 7526)"),
        ("192.168.0.0/16", "a private network (RFC 1918)"),
        ("198.18.0.0/15", "benchmarking (RFC 2544)"),
        ("198.51.100.0/24", "documentation (RFC 5737)"),
        ("203.0.113.0/24", "documentation (RFC 5737)"),
        ("224.0.0.0/4", "multicast (RFC 5771)"),
        ("240.0.0.0/4", "reserved (RFC 1112)"),
        ("::/128", "this host (RFC 4291)"),
        ("::1/128", "loopback (RFC 4291)"),
        ("100::/64", "discard-only (RFC 6666)"),
        ("2001::/23", "protocol assignments (RFC 2928)"),
        ("2001:db8::/32", "documentation (RFC 3849)"),
        ("3fff::/20", "documentation (RFC 9637)"),
        ("5f00::/16", "segment routing (RFC 9602)"),
        ("fc00::/7", "a private network (RFC 4193)"),
        ("fe80::/10", "link-local (RFC 4291)"),
        ("fec0::/10", "site-local (RFC 3879)"),
        ("ff00::/8", "multicast (RFC 4291)"),
    )
)

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
"""The one range of IPv6 from which public addresses are given out (RFC 4291)."""

# Network, and how far to the right in it the IPv4 address ends.
_CARRIERS: Final[tuple[tuple[IPv6Network, int, str], ...]] = tuple(
    (IPv6Network(network), shift, kind)
    for network, shift, kind in (
        ("::ffff:0:0/96", 0, "an IPv4 address mapped into IPv6 (RFC 4291)"),
        ("::ffff:0:0:0/96", 0, "an IPv4 address translated into IPv6 (RFC 7915)"),
        ("64:ff9b::/96", 0, "an IPv4 address behind NAT64 (RFC 6052)"),
        ("64:ff9b:1::/48", 0, "an IPv4 address behind a local NAT64 (RFC 8215)"),
        ("2001::/32", 0, "an IPv4 address behind Teredo (RFC 4380)"),
        ("2002::/16", 80, "an IPv4 address behind 6to4 (RFC 3056)"),
        ("::/96", 0, "an IPv4-compatible IPv6 address (RFC 4291)"),
    )
)
_TEREDO: Final = IPv6Network("2001::/32")
_NAMELESS: Final = frozenset((IPv6Address("::"), IPv6Address("::1")))
_ISATAP: Final = frozenset((0x0000_5EFE, 0x0200_5EFE))
_LAST_32: Final = 0xFFFF_FFFF


def kind_denied(address: Address) -> str | None:
    """Return what kind of address this is, or None for one of the public internet."""
    for network, kind in _DENIED:
        if address in network:
            return kind
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return "not an address of the public internet (RFC 4291)"
    return None


def carried(address: Address) -> tuple[IPv4Address, str] | None:
    """Return the IPv4 address that an IPv6 one leads to, and in which form, or None.

    A prefix that a network chose for its own NAT64 (RFC 6052, 2.2) cannot be known here.
    """
    if not isinstance(address, IPv6Address) or address in _NAMELESS:
        return None
    for network, shift, kind in _CARRIERS:
        if address in network:
            inner = int(address) >> shift & _LAST_32
            return IPv4Address(inner ^ _LAST_32 if network == _TEREDO else inner), kind
    if int(address) >> 32 & _LAST_32 in _ISATAP:
        return IPv4Address(int(address) & _LAST_32), "an IPv4 address behind ISATAP (RFC 5214)"
    return None
