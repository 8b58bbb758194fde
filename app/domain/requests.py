"""The request body of a create: checked against the catalogue before any money is touched."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from app.domain import strict_json
from app.domain.catalogue import Catalogue, FieldRule, Model
from app.errors import InvalidRequest

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

MAX_CHARS: Final = {"media_url": 8192, "time_points": 1000}
"""Longest value of each format: no rule may be made to cost much."""


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A checked create: its model, what goes to the vendor, and what makes it the same again."""

    model: Model
    vendor_body: str
    fingerprint: str


def check_create(raw: bytes, catalogue: Catalogue) -> CreateRequest:
    """Read and check a create body; unknown fields are kept, null means absent.

    Raises:
        MalformedJson: the body is not strict JSON.
        InvalidRequest: a field breaks a rule; `param` names it.
        ModelNotFound: the catalogue does not hold the model.
    """
    body = strict_json.parse_object(raw)
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise InvalidRequest(
            "model is required: name a model, such as sora-character", param="model"
        )
    model = catalogue.model(name)
    if body.get("callback_url") is not None:
        raise InvalidRequest(
            "callback_url is not served by this version: leave it out and read the task",
            param="callback_url",
        )
    for field, rule in model.fields.items():
        _check_field(field, body.get(field), rule)
    forwarded = {field: value for field, value in body.items() if field != "callback_url"}
    return CreateRequest(model, strict_json.dump(forwarded), strict_json.fingerprint(body))


def _check_field(field: str, value: Any, rule: FieldRule) -> None:
    if value is None:
        if rule.required:
            raise InvalidRequest(f"{field} is required", param=field)
        return
    if not isinstance(value, str):
        raise InvalidRequest(f"{field} must be a string", param=field)
    try:
        if len(value) > MAX_CHARS[rule.format]:
            raise ValueError(f"it has more than {MAX_CHARS[rule.format]} characters")  # noqa: TRY301
        _FORMATS[rule.format](value, rule)
    except ValueError as broken:
        raise InvalidRequest(f"Invalid {field} parameter: {broken}", param=field) from broken


def _check_media_url(value: str, rule: FieldRule) -> None:
    """A URL the vendor can fetch: http(s), public host, a listed extension in any case, or none."""
    if _UNSAFE_IN_URL.search(value):
        raise ValueError("it holds a blank, backslash or control character: percent-encode it")
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
    _check_extension(parts, rule)


def _check_extension(parts: SplitResult, rule: FieldRule) -> None:
    name = unquote(parts.path).rpartition("/")[2]
    stem, _, ending = name.rpartition(".")
    if stem and ending and f".{ending.lower()}" not in rule.extensions:
        raise ValueError(f"its path must end in {', '.join(rule.extensions)}, or have no extension")


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


def _check_time_points(value: str, rule: FieldRule) -> None:
    """Comma separated seconds whose largest and smallest lie within the span, reckoned exactly."""
    points = [point.strip(" \t") for point in value.split(",")]
    if not all(_NUMBER.fullmatch(point) for point in points):
        raise ValueError("write seconds as plain numbers separated by commas, such as 1,3")
    if any(len(point) > strict_json.MAX_NUMBER_CHARS for point in points):
        raise ValueError(f"a number has more than {strict_json.MAX_NUMBER_CHARS} characters")
    seconds = [Fraction(point) for point in points]
    if max(seconds) - min(seconds) > Fraction(rule.max_span_s):
        raise ValueError(f"the points must lie within {rule.max_span_s} seconds of each other")


_FORMATS: Final[dict[str, Callable[[str, FieldRule], None]]] = {
    "media_url": _check_media_url,
    "time_points": _check_time_points,
}
