"""Which resolved addresses may be called: the whole table, its neighbours, and chance."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.targets import TargetPolicy, check_target, why_denied
from app.errors import InvalidRequest
from tests.outbound.forbidden import (
    CALLED_GLOBAL_BY_PYTHON,
    FORBIDDEN,
    FORBIDDEN_V4,
    PUBLIC,
    disguised,
    embeddings,
    shown,
    written_out,
)
from tests.support.properties import checked

STRICT = TargetPolicy()
GENERATED = 10_000

# First and last address of what is closed, from the registries at IANA; written out once more and
# as plain numbers, so that a slip in the program's table cannot hide in this one.
CLOSED_V4 = [
    (0x00000000, 0x00FFFFFF),
    (0x0A000000, 0x0AFFFFFF),
    (0x64400000, 0x647FFFFF),
    (0x7F000000, 0x7FFFFFFF),
    (0xA83F8110, 0xA83F8110),
    (0xA9FE0000, 0xA9FEFFFF),
    (0xAC100000, 0xAC1FFFFF),
    (0xC0000000, 0xC00000FF),
    (0xC0000200, 0xC00002FF),
    (0xC0586300, 0xC05863FF),
    (0xC0A80000, 0xC0A8FFFF),
    (0xC6120000, 0xC613FFFF),
    (0xC6336400, 0xC63364FF),
    (0xCB007100, 0xCB0071FF),
    (0xE0000000, 0xFFFFFFFF),
]
# The same of IPv6, by the first 32 bits: only 2000::/3 is open, and not all of it.
CLOSED_V6 = [
    (0x00000000, 0x1FFFFFFF),
    (0x20010000, 0x200101FF),
    (0x20010DB8, 0x20010DB8),
    (0x20020000, 0x2002FFFF),
    (0x3FFF0000, 0x3FFF0FFF),
    (0x40000000, 0xFFFFFFFF),
]


def is_closed(address: IPv4Address | IPv6Address) -> bool:
    """Tell by plain numbers whether an address must be refused."""
    if isinstance(address, IPv4Address):
        return any(first <= int(address) <= last for first, last in CLOSED_V4)
    begins, ends = int(address) >> 96, int(address) >> 32 & 0xFDFFFFFF
    return ends == 0x5EFE or any(first <= begins <= last for first, last in CLOSED_V6)


@pytest.mark.parametrize("address", FORBIDDEN)
def test_a_forbidden_address_is_refused(address: str) -> None:
    """Resolved or written out."""
    assert why_denied(address, 443, STRICT)
    with pytest.raises(InvalidRequest):
        check_target(f"https://{shown(address)}/", STRICT, param="url")


def test_what_python_calls_global_is_refused() -> None:
    """Fifteen addresses show why the table is our own."""
    assert [each for each in CALLED_GLOBAL_BY_PYTHON if not why_denied(each, 443, STRICT)] == []


def test_every_address_in_every_disguise_is_refused() -> None:
    """Other bases, short forms, IPv4 inside IPv6, zone ids, foreign digits, user names, ports."""
    urls = [*written_out(), *disguised()]

    taken = []
    for url in urls:
        try:
            target = check_target(url, STRICT, param="url")
        except InvalidRequest:
            continue
        taken.append((url, target))

    assert len(urls) >= 400
    assert taken == []


@pytest.mark.parametrize("address", FORBIDDEN_V4)
def test_an_ipv4_address_inside_an_ipv6_one_is_refused(address: str) -> None:
    """Mapped, translated, compatible, NAT64, 6to4, Teredo, ISATAP."""
    assert [each for each in embeddings(address) if not why_denied(each, 443, STRICT)] == []


def test_public_addresses_are_not_refused() -> None:
    """Neither well-known ones nor the neighbours of the forbidden networks."""
    assert len(PUBLIC) >= 50
    assert {each: why_denied(each, 443, STRICT) for each in PUBLIC} == dict.fromkeys(PUBLIC)
    for address in PUBLIC:
        check_target(f"https://{shown(address)}/", STRICT, param="url")


@checked
@given(st.ip_addresses())
def test_the_verdict_is_the_registries(address: IPv4Address | IPv6Address) -> None:
    """Addresses of special networks come up often here, and so do their edges."""
    assert bool(why_denied(str(address), 443, STRICT)) == is_closed(address)


def test_ten_thousand_addresses_are_judged_as_the_registries_say() -> None:
    """Half of them at the edges, where one bit decides."""
    chance = random.Random(7)
    edges = [each for pair in CLOSED_V4 for each in pair]
    edges_v6 = [each << 96 for pair in CLOSED_V6 for each in pair]
    wrong = []
    for _ in range(GENERATED // 4):
        near = chance.choice(edges) + chance.randint(-2, 2)
        near_v6 = chance.choice(edges_v6) + (chance.randint(-2, 2) << chance.choice([0, 32, 96]))
        for address in (
            IPv4Address(min(max(near, 0), 2**32 - 1)),
            IPv4Address(chance.getrandbits(32)),
            IPv6Address(min(max(near_v6, 0), 2**128 - 1)),
            IPv6Address(1 << 125 | chance.getrandbits(125)),
        ):
            if bool(why_denied(str(address), 443, STRICT)) != is_closed(address):
                wrong.append(address)

    assert wrong == []


@pytest.mark.parametrize("text", ["", "localhost", "fe80::1%eth0", "2606:4700::1%1", "10.1", "::g"])
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    """A resolver may answer with anything, and an address of one link is another on the next."""
    assert why_denied(text, 443, TargetPolicy.parse("0.0.0.0/0,::/0", allow_http=True))


@pytest.mark.parametrize("port", [1, 22, 25, 80, 442, 444, 6379, 8080, 8443, 65535])
def test_outside_allowed_networks_a_scheme_has_one_port(port: int) -> None:
    """A public address is no way into the services beside its web server."""
    assert why_denied("8.8.8.8", port, STRICT)
    assert why_denied("8.8.8.8", 443, STRICT, scheme="http")
    assert why_denied("8.8.8.8", 80, STRICT, scheme="http") is None


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "::1", "fd00::1", "169.254.169.254"])
def test_an_allowed_network_is_open_on_every_port(address: str) -> None:
    """The operator's word stands over the table, for that network."""
    policy = TargetPolicy.parse(address, allow_http=False)

    assert why_denied(address, 6379, policy) is None
    for other in FORBIDDEN:
        if ip_address(other) != ip_address(address):
            assert why_denied(other, 443, policy), other


def test_an_allowed_nat64_prefix_opens_public_addresses_only() -> None:
    """What lies behind it is judged as if it had been named itself."""
    policy = TargetPolicy.parse("64:ff9b::/96,10.0.0.0/8", allow_http=False)

    assert why_denied("64:ff9b::808:808", 443, policy) is None
    assert why_denied("64:ff9b::808:808", 8443, policy)
    assert why_denied("64:ff9b::a00:1", 8443, policy) is None
    assert "link-local" in str(why_denied("64:ff9b::a9fe:a9fe", 443, policy))
    assert "loopback" in str(why_denied("64:ff9b::7f00:1", 443, policy))
