"""Origins of web pages: how an operator may write one, and the one form that browsers send.

A browser names the origin of a page as `scheme://host[:port]`: in lower case, a foreign script as
punycode, without the scheme's own port. What is stored has that form, so that a request's header is
only ever compared, never interpreted.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final

from pydantic import AfterValidator

MAX_ORIGINS: Final = 50
"""Of one tenant; each is sent to nobody, but all are looked through."""

_PORTS: Final = {"http": 80, "https": 443}
_SHAPE: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(\[[^\]/]*\]|[^\[\]:/]*)(?::(.*))?", re.S)
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_READ_TWO_WAYS: Final = frozenset("ß\u03c2\u200c\u200d")
"""Characters that older and newer rules turn into different names."""

_FORM: Final = "an origin is scheme://host or scheme://host:port, such as https://app.example.com"
_MOST_CHARACTERS: Final = 300
_MOST_OF_HOST: Final = 253
_LAST_PORT: Final = 65_535


def read_origin(text: str) -> str:
    """Return an origin in the form that browsers send it.

    Capitals, the scheme's own port and a foreign script are accepted and brought into that form.

    Raises:
        ValueError: it is none, or one that no browser would send; the message says why.
    """
    if text in ("null", "*") or len(text) > _MOST_CHARACTERS:
        raise ValueError(f"it must name one site: {_FORM}")
    match = _SHAPE.fullmatch(text)
    if match is None or match[1].lower() not in _PORTS:
        raise ValueError(
            f"it must begin with https:// or http:// and end before the path, without '/': {_FORM}"
        )
    scheme, host, port = match[1].lower(), _read_host(match[2]), match[3]
    if port is None:
        return f"{scheme}://{host}"
    if _PORT.fullmatch(port) is None or int(port) > _LAST_PORT:
        raise ValueError(f"its port must be a number from 1 to 65535, and nothing follows: {_FORM}")
    return f"{scheme}://{host}" + ("" if int(port) == _PORTS[scheme] else f":{port}")


def _read_host(text: str) -> str:
    if text.startswith("["):
        return _read_ipv6(text[1:-1])
    labels = (text.lower() if text.isascii() else _punycode(text)).split(".")
    if (
        not all(_LABEL.fullmatch(label) for label in labels)
        or len(".".join(labels)) > _MOST_OF_HOST
    ):
        raise ValueError(f"its host is not one: {_FORM}")
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        return _read_ipv4(".".join(labels))
    return ".".join(labels)


def _punycode(host: str) -> str:
    """Write a name in a foreign script as it is sent, if all browsers agree how."""
    if not _READ_TWO_WAYS & set(host):
        try:
            return host.encode("idna").decode("ascii").lower()
        except UnicodeError:
            pass
    raise ValueError("its host has characters that are read in more than one way: write it as xn--")


def _read_ipv4(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise ValueError("its host is not an IPv4 address of four numbers") from None


def _read_ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise ValueError("its host is not an IPv6 address in brackets") from None
    if address.scope_id is not None:
        raise ValueError("its host must not name a network interface")
    if address.ipv4_mapped is None:
        return f"[{address.compressed}]"
    # Browsers write the IPv4 part in hexadecimal too, which not every Python does.
    high, low = divmod(int(address.ipv4_mapped), 1 << 16)
    return f"[::ffff:{high:x}:{low:x}]"


OriginText = Annotated[str, AfterValidator(read_origin)]
"""An origin as an operator or a tenant writes it, normalised."""
