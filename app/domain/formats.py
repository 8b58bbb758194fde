"""Strings with a grammar: addresses and points in time. Each check says what is wrong."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from fractions import Fraction
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from app.domain import strict_json

MAX_MEDIA_URL_CHARS: Final = 8192
MAX_TIME_POINTS_CHARS: Final = 1000
"""Longest values that are looked into: no check may be made to cost much."""

_PRIVATE_SUFFIXES: Final = (
    ".localhost",
    ".local",
    ".localdomain",
    ".localdomain6",
    ".internal",
    ".lan",
    ".home.arpa",
)
_PUBLIC_IPV6: Final = ipaddress.IPv6Network("2000::/3")
_NOT_SO_PUBLIC_IPV6: Final = (
    ipaddress.IPv6Network("2001::/23"),  # protocol assignments, Teredo among them
    ipaddress.IPv6Network("2001:db8::/32"),  # documentation
    ipaddress.IPv6Network("2002::/16"),  # 6to4: an IPv4 address inside
    ipaddress.IPv6Network("3fff::/20"),  # documentation
)
"""RFC 6890 and its registry: the one range of global unicast, and what lies in it but is not."""
_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]*[a-z0-9]"
)
_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_UNSAFE_IN_URL: Final = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
_URI: Final = re.compile(r"https?://[^/?#]|(?!https?:)[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def check_uri(value: str) -> None:
    """Accept any absolute URI, such as a URL, a `data:` URI or an asset name of the vendor.

    Not by the library's parser, which keeps what it has parsed: these may be megabytes long.

    Raises:
        ValueError: it has no scheme, no host where one is needed, or unsafe characters.
    """
    _refuse_unsafe(value)
    if _URI.match(value) is None:
        raise ValueError("it must be an absolute URL, such as https://example.com/a.jpg")


def check_media_url(value: str, extensions: Collection[str]) -> None:
    """Accept what the vendor can fetch: http(s), public host, a listed extension or none.

    Raises:
        ValueError: it is something else.
    """
    _refuse_longer(value, MAX_MEDIA_URL_CHARS)
    _refuse_unsafe(value)
    try:
        parts = urlsplit(value)
        host = parts.hostname
        _ = parts.port
    except ValueError as failure:
        raise ValueError("it is not a URL") from failure
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("it must be an absolute http or https URL")
    if not _is_public(host, bracketed="[" in parts.netloc):
        raise ValueError("its host is not public: the video service must be able to fetch it")
    _check_extension(parts, extensions)


def check_time_points(value: str, max_span_s: str) -> None:
    """Accept comma separated seconds that lie within the span of each other, reckoned exactly.

    Raises:
        ValueError: they do not, or are no plain numbers.
    """
    _refuse_longer(value, MAX_TIME_POINTS_CHARS)
    points = [point.strip(" \t") for point in value.split(",")]
    if not all(_NUMBER.fullmatch(point) for point in points):
        raise ValueError("write seconds as plain numbers separated by commas, such as 1,3")
    if any(len(point) > strict_json.MAX_NUMBER_CHARS for point in points):
        raise ValueError(f"a number has more than {strict_json.MAX_NUMBER_CHARS} characters")
    seconds = [Fraction(point) for point in points]
    if max(seconds) - min(seconds) > Fraction(max_span_s):
        raise ValueError(f"the points must lie within {max_span_s} seconds of each other")


def _refuse_longer(value: str, most: int) -> None:
    if len(value) > most:
        raise ValueError(f"it has more than {most} characters: shorten it")


def _refuse_unsafe(value: str) -> None:
    if _UNSAFE_IN_URL.search(value):
        raise ValueError("it holds a blank, backslash or control character: percent-encode it")


def _check_extension(parts: SplitResult, extensions: Collection[str]) -> None:
    name = unquote(parts.path).rpartition("/")[2]
    stem, _, ending = name.rpartition(".")
    if stem and ending and f".{ending.lower()}" not in extensions:
        raise ValueError(f"its path must end in {', '.join(extensions)}, or have no extension")


def _is_public(host: str, *, bracketed: bool) -> bool:
    """Return whether a host name or address literal can belong to the public internet."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return not bracketed and _is_public_name(host)
    if isinstance(address, ipaddress.IPv6Address):
        return _is_public_ipv6(address)
    return address.is_global and not address.is_multicast


def _is_public_ipv6(address: ipaddress.IPv6Address) -> bool:
    if address.ipv4_mapped is not None:
        return _is_public(str(address.ipv4_mapped), bracketed=False)
    return (
        address.scope_id is None
        and address in _PUBLIC_IPV6
        and not any(address in network for network in _NOT_SO_PUBLIC_IPV6)
    )


def _is_public_name(host: str) -> bool:
    try:
        name = host.removesuffix(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        return False
    return bool(_HOST_NAME.fullmatch(name)) and not f".{name}".endswith(_PRIVATE_SUFFIXES)
