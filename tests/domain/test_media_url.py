"""video_url: what the vendor could fetch from the public internet passes, all else does not."""

from __future__ import annotations

import contextlib
import json
import time

import pytest

from app.domain.requests import check_create
from app.errors import InvalidRequest
from tests.domain.samples import CATALOGUE, REQUEST

ACCEPTED = [
    # Extensions: of the path alone, in any case, or none.
    "https://example.com/video.mp4",
    "https://example.com/video.mov",
    "https://example.com/video.webm",
    "https://example.com/video.MP4",
    "https://example.com/video.MoV",
    "https://example.com/VIDEO.WEBM",
    "https://example.com/video",
    "https://example.com/",
    "https://example.com",
    "https://example.com/v1.2/video",
    "https://example.com/a.exe/video.mp4",
    "https://example.com/two.dots.mp4",
    "https://example.com/video%2Emp4",
    "https://example.com/video.%6D%70%34",
    "https://example.com/a%20video.mp4",
    "https://example.com/видео.mp4",
    # Queries and fragments say nothing about the format.
    "https://example.com/video.mp4?name=a.exe",
    "https://example.com/video?name=a.exe",
    "https://example.com/video.mp4#a.exe",
    "https://example.com/video.mp4?next=http://127.0.0.1/",
    "https://example.com?file=video.avi",
    "https://example.com/video.mp4?a=%0d%0a&b=%5c",
    f"https://example.com/video.mp4?signature={'a' * 4000}",
    # Schemes and ports.
    "http://example.com/video.mp4",
    "HTTPS://example.com/video.mp4",
    "https://example.com:443/video.mp4",
    "https://example.com:8443/video.mp4",
    "https://example.com:65535/video.mp4",
    # Host names.
    "https://EXAMPLE.com/video.mp4",
    "https://example.com./video.mp4",
    "https://a.b.c.d.example.com/video.mp4",
    "https://my_bucket.example.com/video.mp4",
    "https://10.example.com/video.mp4",
    "https://127.0.0.1.example.com/video.mp4",
    "https://localhost.example.com/video.mp4",
    "https://notlocalhost.example.com/video.mp4",
    "https://internal.example.com/video.mp4",
    "https://xn--bcher-kva.example.com/video.mp4",
    "https://bücher.example.com/video.mp4",
    "https://example。com/video.mp4",
    f"https://{'a' * 63}.example.com/video.mp4",
    # User names: the host is what counts.
    "https://user:word@example.com/video.mp4",
    "https://localhost@example.com/video.mp4",
    "https://127.0.0.1%2f@example.com/video.mp4",
    # Public addresses.
    "http://8.8.8.8/video.mp4",
    "http://8.8.8.8:8080/video.mp4",
    "http://[2606:4700:4700::1111]/video.mp4",
    "http://[2606:4700:4700::1111]:8080/video.mp4",
    "http://[::ffff:8.8.8.8]/video.mp4",
]

SCHEMES = [
    "",
    "video.mp4",
    "/video.mp4",
    "//example.com/video.mp4",
    "example.com/video.mp4",
    "example.com:443/video.mp4",
    "https:/example.com/video.mp4",
    "https:example.com/video.mp4",
    "https://",
    "https:///video.mp4",
    "https://:443/video.mp4",
    "https://@/video.mp4",
    "https://?video.mp4",
    "ftp://example.com/video.mp4",
    "file:///etc/passwd",
    "file://example.com/video.mp4",
    "s3://example.com/video.mp4",
    "gopher://example.com/video.mp4",
    "ws://example.com/video.mp4",
    "javascript:alert(1)//example.com/video.mp4",
    "data:video/mp4;base64,AAAA",
    "blob:https://example.com/video.mp4",
    "httpss://example.com/video.mp4",
    "ht\u0074p\u0455://example.com/video.mp4",
]

LOCAL_NAMES = [
    "https://localhost/video.mp4",
    "https://LOCALHOST/video.mp4",
    "https://localhost./video.mp4",
    "https://localhost:8080/video.mp4",
    "https://foo.localhost/video.mp4",
    "https://foo.localhost./video.mp4",
    "https://localhost.localdomain/video.mp4",
    "https://localhost6.localdomain6/video.mp4",
    "https://ip6-localhost/video.mp4",
    "https://ⓛocalhost/video.mp4",
    "https://foo。localhost/video.mp4",
    "https://intranet/video.mp4",
    "https://redis:6379/video.mp4",
    "https://printer.local/video.mp4",
    "https://database.internal/video.mp4",
    "https://metadata.google.internal/video.mp4",
    "https://Metadata.Google.INTERNAL./video.mp4",
    "https://router.lan/video.mp4",
    "https://nas.home.arpa/video.mp4",
]

IPV4 = [
    "http://127.0.0.1/video.mp4",
    "http://127.0.0.1:80/video.mp4",
    "http://127.0.0.1./video.mp4",
    "http://127.1/video.mp4",
    "http://127.0.1/video.mp4",
    "http://127.0.0.01/video.mp4",
    "http://0/video.mp4",
    "http://0.0.0.0/video.mp4",
    "http://2130706433/video.mp4",
    "http://0x7f000001/video.mp4",
    "http://0x7F.0.0.1/video.mp4",
    "http://127.0.0.0x1/video.mp4",
    "http://0177.0.0.1/video.mp4",
    "http://017700000001/video.mp4",
    "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11/video.mp4",
    "http://①②⑦.⓪.⓪.①/video.mp4",
    "http://127。0。0。1/video.mp4",
    "http://10.0.0.5/video.mp4",
    "http://172.16.0.1/video.mp4",
    "http://172.31.255.255/video.mp4",
    "http://192.168.1.1/video.mp4",
    "http://169.254.169.254/latest/video.mp4",
    "http://100.64.0.1/video.mp4",
    "http://192.0.2.1/video.mp4",
    "http://198.18.0.1/video.mp4",
    "http://224.0.0.1/video.mp4",
    "http://240.0.0.1/video.mp4",
    "http://255.255.255.255/video.mp4",
    "http://256.1.1.1/video.mp4",
    "http://1.2.3/video.mp4",
    "http://3232235777/video.mp4",
    "http://8.8.8.8.8/video.mp4",
]

IPV6 = [
    "http://[::1]/video.mp4",
    "http://[::1]:80/video.mp4",
    "http://[0:0:0:0:0:0:0:1]/video.mp4",
    "http://[::]/video.mp4",
    "http://[fe80::1]/video.mp4",
    "http://[fe80::1%25eth0]/video.mp4",
    "http://[fe80::1%eth0]/video.mp4",
    "http://[2606:4700:4700::1111%25eth0]/video.mp4",
    "http://[fc00::1]/video.mp4",
    "http://[fd12:3456:789a::1]/video.mp4",
    "http://[fec0::1]/video.mp4",
    "http://[ff02::1]/video.mp4",
    "http://[2001:db8::1]/video.mp4",
    "http://[2001::1]/video.mp4",
    "http://[2001:10::1]/video.mp4",
    "http://[3fff::1]/video.mp4",
    "http://[5f00::1]/video.mp4",
    "http://[100::1]/video.mp4",
    # IPv4 inside IPv6: mapped, compatible, translated, 6to4.
    "http://[::ffff:127.0.0.1]/video.mp4",
    "http://[::ffff:7f00:1]/video.mp4",
    "http://[::FFFF:10.0.0.1]/video.mp4",
    "http://[::127.0.0.1]/video.mp4",
    "http://[::ffff:0:127.0.0.1]/video.mp4",
    "http://[64:ff9b::127.0.0.1]/video.mp4",
    "http://[64:ff9b:1::10.0.0.1]/video.mp4",
    "http://[2002:7f00:1::]/video.mp4",
    "http://::1/video.mp4",
    "http://[::1/video.mp4",
    "http://::1]/video.mp4",
    "http://[example.com]/video.mp4",
    "http://[v1.example.com]/video.mp4",
    "http://[127.0.0.1]/video.mp4",
    "http://[]/video.mp4",
]

MISLEADING = [
    "http://example.com@127.0.0.1/video.mp4",
    "http://example.com:80@localhost/video.mp4",
    "http://example.com%2f@localhost/video.mp4",
    "http://a@b@localhost/video.mp4",
    "http://127.0.0.1#@example.com/video.mp4",
    "http://127.0.0.1?@example.com/video.mp4",
    "http://127.0.0.1;@example.com:99999/video.mp4",
    "http://example.com\\@127.0.0.1/video.mp4",
    "http://127.0.0.1\\@example.com/video.mp4",
    "http:\\\\example.com\\video.mp4",
    "http://%31%32%37.0.0.1/video.mp4",
    "http://%6c%6fcalhost/video.mp4",
    "http://example%2ecom/video.mp4",
    "http://127.0.0.1%00.example.com/video.mp4",
    "http://example.com\uff0f@localhost/video.mp4",
]

HOSTS = [
    "https://a..example.com/video.mp4",
    "https://.example.com/video.mp4",
    "https://example.com../video.mp4",
    "https://./video.mp4",
    "https://-a.example.com/video.mp4",
    "https://a-.example.com/video.mp4",
    "https://example.c/video.mp4",
    "https://exa*mple.com/video.mp4",
    "https://a,b.example.com/video.mp4",
    "https://$(id).example.com/video.mp4",
    f"https://{'a' * 64}.example.com/video.mp4",
    f"https://{'a.' * 127}com/video.mp4",
    f"https://{'ü' * 64}.example.com/video.mp4",
]

PORTS = [
    "https://example.com:65536/video.mp4",
    "https://example.com:99999999/video.mp4",
    "https://example.com:-1/video.mp4",
    "https://example.com:http/video.mp4",
    "https://example.com:\uff18\uff10/video.mp4",
    "https://example.com:80:80/video.mp4",
]

EXTENSIONS = [
    "https://example.com/video.avi",
    "https://example.com/video.mkv",
    "https://example.com/video.MP3",
    "https://example.com/video.mp4.exe",
    "https://example.com/video.mp44",
    "https://example.com/video.mp",
    "https://example.com/video.m%70%33",
    "https://example.com/video%2Eexe",
    "https://example.com/index.html",
    "https://example.com/index.php?file=video.mp4",
    "https://example.com/video.exe#video.mp4",
    "https://example.com/a.mp4/b.png",
]

LETTERS = [
    " https://example.com/video.mp4",
    "https://example.com/video.mp4 ",
    "https://example.com/a video.mp4",
    "https:// example.com/video.mp4",
    "https://exa mple.com/video.mp4",
    "https://example.com/video.mp4?a= b",
    "https://example.com/video.mp4\n",
    "https://example.com/\tvideo.mp4",
    "ht\ntps://example.com/video.mp4",
    "https://exam\tple.com/video.mp4",
    "https://example.com/video.mp4\r\nHost: localhost",
    "https://example.com/\x00video.mp4",
    "https://example.com/\x1bvideo.mp4",
    "https://example.com/\x7fvideo.mp4",
    "https://example.com/\x85video.mp4",
    "https://example.com\\video.mp4",
    "https://example.com/a\\video.mp4",
    "\ufeffhttps://example.com/video.mp4",
    "\u200bhttps://example.com/video.mp4",
]


def body_with(url: str) -> bytes:
    """Return the documented request for another video."""
    return json.dumps(REQUEST | {"video_url": url}).encode()


def assert_refused(url: str) -> None:
    """Check that a URL is refused by name, in words fit to be shown."""
    with pytest.raises(InvalidRequest) as caught:
        check_create(body_with(url), CATALOGUE)

    assert (caught.value.http_status, caught.value.param) == (400, "video_url")
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("url", ACCEPTED, ids=lambda url: url[:80])
def test_a_public_video_passes_unchanged(url):
    """What was written is what the vendor is sent."""
    request = check_create(body_with(url), CATALOGUE)

    assert json.loads(request.vendor_body)["video_url"] == url


@pytest.mark.parametrize("url", SCHEMES)
def test_only_absolute_http_addresses_pass(url):
    """Scheme, two slashes and a host have to be there."""
    assert_refused(url)


@pytest.mark.parametrize("url", LOCAL_NAMES)
def test_names_of_local_networks_do_not_pass(url):
    """They mean another machine to everybody who asks."""
    assert_refused(url)


@pytest.mark.parametrize("url", IPV4)
def test_addresses_that_are_not_public_do_not_pass(url):
    """In every notation that some resolver understands."""
    assert_refused(url)


@pytest.mark.parametrize("url", IPV6)
def test_ipv6_is_no_way_around(url):
    """Neither by its own local ranges nor as a wrapping of IPv4."""
    assert_refused(url)


@pytest.mark.parametrize("url", MISLEADING)
def test_the_host_is_judged_and_not_what_looks_like_it(url):
    """User names, fragments, backslashes and escapes do not hide where a URL leads."""
    assert_refused(url)


@pytest.mark.parametrize("url", HOSTS, ids=lambda url: url[:40])
def test_a_host_name_has_the_form_of_one(url):
    """Empty, overlong and misspelt labels end here."""
    assert_refused(url)


@pytest.mark.parametrize("url", PORTS)
def test_a_port_is_a_port(url):
    """Digits from 0 to 65535."""
    assert_refused(url)


@pytest.mark.parametrize("url", EXTENSIONS)
def test_another_format_does_not_pass(url):
    """Judged by the end of the decoded path."""
    assert_refused(url)


@pytest.mark.parametrize("url", LETTERS)
def test_letters_that_readers_treat_differently_do_not_pass(url):
    """Some strip them, some split at them: where such a URL leads depends on the reader."""
    assert_refused(url)


@pytest.mark.parametrize(
    ("before", "part", "after"),
    [
        ("https://", "ü", ".example.com/video.mp4"),
        ("https://", "a.", "com/video.mp4"),
        ("https://", "a", "/video.mp4"),
        ("https://", "-a", "example.com/video.mp4"),
        ("https://", "[", "/video.mp4"),
        ("https://", "a@", "example.com/video.mp4"),
        ("https://example.com/", "%2e", "mp4"),
        ("https://example.com/", "/", "video.mp4"),
        ("https://example.com/", ".mp4", ".exe"),
        ("https://example.com/?", "&a=b", ""),
    ],
)
def test_a_url_cannot_be_made_to_cost_much(before, part, after):
    """A quarter of the largest body in one URL holds the event loop for less than a second."""
    body = body_with(before + part * (4 * 2**20 // len(part.encode())) + after)
    begun_s = time.thread_time()

    with contextlib.suppress(InvalidRequest):
        check_create(body, CATALOGUE)

    assert time.thread_time() - begun_s < 1
