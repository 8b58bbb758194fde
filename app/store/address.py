"""Where Redis is: REELGATE_REDIS_URL, read strictly and never quoted.

A part misread could be half a password, shown in a message or dialled as a host. So it is read by
hand: what the standard library says of a bad address quotes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import unquote

SETTING = "REELGATE_REDIS_URL"
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
# What the query may carry. Deadlines and repeats are not the address's business.
_QUERY: dict[str, tuple[str, ...]] = {
    "redis": ("db",),
    "rediss": ("db", *TLS_FILES),
    "unix": ("db",),
    "redis+sentinel": ("db", "sentinel_username", "sentinel_password"),
    "redis+cluster": (),
}
_EXAMPLE = {
    "redis": "redis://user:password@host:6379/0",
    "rediss": "rediss://user:password@host:6379/0",
    "unix": "unix:///run/redis.sock?db=0",
    "redis+sentinel": "redis+sentinel://host:26379,host:26379/name",
    "redis+cluster": "redis+cluster://host:6379,host:6379",
}
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_NUMBER = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Address:
    """An address, read and checked. `path` is the socket, the sentinels' name or the database."""

    scheme: str
    hosts: str
    nodes: tuple[tuple[str, int], ...]
    path: str
    db: int
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)
    query: dict[str, str] = field(repr=False)


def parse_address(url: str) -> Address:
    """Read an address strictly: a part misread could be half a password, shown or dialled."""
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme not in _EXAMPLE:
        raise ValueError(f"{SETTING}: it must begin with one of {'://, '.join(_EXAMPLE)}://")
    if not (rest.isascii() and rest.isprintable()) or " " in rest or "#" in rest:
        _refuse(scheme, "a character in it must be percent-encoded")
    rest, _, query_text = rest.partition("?")
    authority, _, path = rest.partition("/")
    login, _, hosts = authority.rpartition("@")
    username, _, password = login.partition(":")
    query = _read_query(scheme, query_text)
    single = scheme in ("redis", "rediss")
    db = _read_number(query.get("db") or (path if single else "") or "0", 0, 65_535)
    if db is None:
        _refuse(scheme, "the database must be a number")
    return Address(
        scheme=scheme,
        hosts=hosts,
        nodes=_read_nodes(scheme, hosts),
        path=f"/{db}" if single else _read_path(scheme, unquote(path)),
        db=db,
        username=unquote(username) or None,
        password=unquote(password) or None,
        query=query,
    )


def _read_nodes(scheme: str, hosts: str) -> tuple[tuple[str, int], ...]:
    if scheme == "unix":
        if hosts:
            _refuse(scheme, "the path of the socket must be absolute")
        return ()
    nodes = tuple(_read_node(scheme, host) for host in hosts.split(","))
    if len(nodes) > 1 and scheme in ("redis", "rediss"):
        _refuse(scheme, "several hosts need the form for sentinels or for a cluster")
    return nodes


def _read_node(scheme: str, text: str) -> tuple[str, int]:
    host, colon, port_text = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port_text = text, "26379" if scheme == "redis+sentinel" else "6379"
    if not _HOST.fullmatch(host):
        _refuse(scheme, "a host name is missing or has a character that none may have")
    port = _read_number(port_text, 1, 65_535)
    if port is None:
        _refuse(scheme, "a port must be a number from 1 to 65535")
    return host.strip("[]"), port


def _read_path(scheme: str, path: str) -> str:
    if scheme == "unix":
        if not path:
            _refuse(scheme, "the path of the socket is missing")
        return f"/{path}"
    if scheme == "redis+cluster":
        if path:
            _refuse(scheme, "a cluster has one database and no name")
        return ""
    if not _NAME.fullmatch(path):
        _refuse(scheme, "the name that the sentinels watch must follow the hosts")
    return f"/{path}"


def _read_query(scheme: str, text: str) -> dict[str, str]:
    query = {}
    for pair in text.split("&") if text else ():
        name, _, value = pair.partition("=")
        if name not in _QUERY[scheme] or not value:
            allowed = ", ".join(_QUERY[scheme]) or "nothing"
            _refuse(scheme, f"after the question mark it may carry {allowed}, with a value")
        query[name] = unquote(value)
    return query


def _read_number(text: str, low: int, high: int) -> int | None:
    number = int(text) if _NUMBER.fullmatch(text) else -1
    return number if low <= number <= high else None


def _refuse(scheme: str, rule: str) -> NoReturn:
    raise ValueError(
        f"{SETTING}: {rule}; the form is {_EXAMPLE[scheme]}, with special characters in user,"
        " password and path percent-encoded"
    )
