"""Addresses that nobody may have us call, and the many ways to write or hide one."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

FORBIDDEN_V4 = (
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.254", "100.64.0.1", "100.100.100.200"),  # noqa: S104
    *("100.127.255.254", "127.0.0.1", "127.0.0.53", "127.255.255.254", "168.63.129.16"),
    *("169.254.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.254"),
    *("192.0.0.1", "192.0.0.8", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1"),
    *("192.168.255.254", "198.18.0.1", "198.19.255.254", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
)
FORBIDDEN_V6 = (
    *("::", "::1", "::2", "::127.0.0.1", "::a9fe:a9fe", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe"),
    *("::ffff:8.8.8.8", "::ffff:0:7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1"),
    *("64:ff9b::808:808", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:ffff::1", "100::1", "100:0:0:1::1"),
    *("2001::1", "2001:0:7f00:1::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1"),
    *("2002:7f00:1::1", "2002:a9fe:a9fe::", "2002:808:808::1", "3fff::1", "3fff:fff::1"),
    *("5f00::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fe80::a9fe:a9fe"),
    *("febf::1", "fec0::1", "feff::1", "ff02::1", "ff05::1:3", "1fff::1", "4000::1", "8000::1"),
    *("2a00:1450::5efe:7f00:1", "2a00:1450::200:5efe:a00:1", "fe80::5efe:a00:1"),
)
FORBIDDEN = FORBIDDEN_V4 + FORBIDDEN_V6

CALLED_GLOBAL_BY_PYTHON = (
    *("192.0.0.192", "192.88.99.1", "224.0.0.1", "168.63.129.16", "::127.0.0.1", "::a9fe:a9fe"),
    *("64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b:1::a9fe:a9fe", "2002:7f00:1::1"),
    *("2002:a9fe:a9fe::", "fec0::1", "ff02::1", "3fff::1", "5f00::1"),
)
"""What `ipaddress.is_global` of CPython 3.11.7 lets through."""

PUBLIC = (
    *("1.0.0.1", "1.1.1.1", "8.8.4.4", "8.8.8.8", "9.9.9.9", "9.255.255.255", "11.0.0.0"),
    *("23.185.0.4", "31.13.72.36", "45.33.32.156", "52.95.110.1", "54.239.28.85"),
    *("64.233.160.1", "76.76.21.21", "93.184.215.14", "100.63.255.255", "100.128.0.0"),
    *("104.16.132.229", "126.255.255.255", "128.0.0.0", "140.82.112.3", "142.250.74.46"),
    *("151.101.1.69", "168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0"),
    *("172.15.255.255", "172.32.0.0", "172.217.16.142", "185.199.108.153", "191.255.255.255"),
    *("192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255"),
    *("192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0"),
    *("203.0.112.255", "203.0.114.0", "208.67.222.222", "216.58.214.14", "223.255.255.255"),
    *("2001:200::1", "2001:4860:4860::8888", "2003::1", "2400:cb00::1", "2404:6800:4003::64"),
    *("2600:1f18::1", "2606:4700:4700::1111", "2620:fe::fe", "2800:3f0::1", "2a00:1450:4001::65"),
    *("2a03:2880:f12f:83::1", "2c0f:fb50::1", "3ffe:ffff::1", "2001:db7:ffff::1", "2001:db9::1"),
)
"""Addresses of the public internet, among them the neighbours of every forbidden network."""


def spellings(address: str) -> Iterator[str]:
    """Write an IPv4 address as some parser or resolver somewhere would understand it."""
    number = int(IPv4Address(address))
    a, b, c, d = IPv4Address(address).packed
    yield from (str(number), hex(number), hex(number).upper(), f"0{number:o}", f"0x{number:016x}")
    yield from (f"{a}.{number & 0xFFFFFF}", f"{a}.{b}.{number & 0xFFFF}")
    yield ".".join(hex(part) for part in (a, b, c, d))
    yield ".".join(f"0{part:o}" for part in (a, b, c, d))
    yield f"{a:03}.{b:03}.{c:03}.{d:03}"
    yield from (f"0x{a:x}.{b}.0{c:o}.{d}", f"{address}.", f"{address}..", f".{address}")
    yield from (f"{address}%00", f"{address}%20", f"{address}\t", f"\n{address}", f" {address}")
    yield "".join(f"%{ord(letter):02x}" for letter in address)
    yield address.translate({ord(str(n)): chr(0xFF10 + n) for n in range(10)})
    yield address.replace(".", "\u3002")
    yield address.replace("1", "\u2460").replace("2", "\u2461")
    yield from (f"[{address}]", f"[::{address}%25lo]", f"[v1.{address}]", f"{address}\\")


def embeddings(address: str) -> Iterator[str]:
    """Write the IPv6 addresses that lead on to an IPv4 address."""
    number = int(IPv4Address(address))
    for prefix in ("::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::", "64:ff9b:1:2:3:4::"):
        yield str(IPv6Address(int(IPv6Address(prefix)) | number))
    yield str(IPv6Address(int(IPv6Address("::")) | number))
    yield str(IPv6Address(int(IPv6Address("2002::1")) | number << 80))
    yield str(IPv6Address(int(IPv6Address("2001:0:a00:1::")) | number ^ 0xFFFFFFFF))
    yield str(IPv6Address(int(IPv6Address("2a00:1450::5efe:0:0")) | number))


def shown(address: str) -> str:
    """Write an address as it stands in a URL."""
    return f"[{address}]" if ":" in address else address


def written_out() -> Iterator[str]:
    """Write URLs whose host is, or hides, a forbidden address."""
    for address in FORBIDDEN:
        yield f"https://{shown(address)}/hook"
    for address in FORBIDDEN_V4:
        yield from (f"https://{spelling}/hook" for spelling in spellings(address))
        yield from (f"https://[{embedded}]/hook" for embedded in embeddings(address))
        yield f"https://[::ffff:{address}]/hook"
    for address in FORBIDDEN_V6:
        bare = str(IPv6Address(address))
        yield from (f"https://[{bare}%25eth0]/hook", f"https://[{bare}%eth0]/", f"https://{bare}/")
        yield from (f"https://[{bare}].example.com/", f"https://[[{bare}]]/", f"https://[{bare}")


def disguised() -> Iterator[str]:
    """Write URLs that say one host to one reader and a forbidden one to another."""
    for address in (shown(each) for each in FORBIDDEN):
        for around in (
            *("https://hooks.example.com@{}/", "https://{}@hooks.example.com/"),
            *("https://user:secret@{}/", "https://{}:443@hooks.example.com/"),
            *("https://hooks.example.com\\@{}/", "https://hooks.example.com#@{}/"),
            *("https://hooks.example.com:443@{}:443/", "https://{}#hooks.example.com"),
            *("https://{}:80/", "https://{}:8443/", "https://{}:0443/", "https://{}:/"),
            *("http://{}/", "http://{}:443/", "HTTPS://{}/", "https:/{}/", "https:{}", "//{}/"),
            *("ftp://{}/", "gopher://{}:443/_", "file://{}/etc/passwd", "https://{}:443:443/"),
        ):
            yield around.format(address)
