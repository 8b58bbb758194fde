"""Addresses that tenants give: one strict grammar, and a reason with a remedy for the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.targets import MAX_URL_CHARS, Target, TargetPolicy, check_target
from app.errors import InvalidRequest
from tests.support.properties import checked

STRICT = TargetPolicy()
INSIDE = TargetPolicy.parse("10.0.0.0/8, 127.0.0.0/8, fd00::/8", allow_http=True)


def refusal(url: object, policy: TargetPolicy = STRICT) -> str:
    """Return what a tenant is told about an address that is not taken."""
    with pytest.raises(InvalidRequest) as caught:
        check_target(url, policy, param="callback_url")
    assert caught.value.param == "callback_url"
    return caught.value.message


@pytest.mark.parametrize(
    ("url", "host", "origin"),
    [
        ("https://example.com", "example.com", "https://example.com:443"),
        ("https://example.com/hook", "example.com", "https://example.com:443"),
        ("HTTPS://Hooks.Example.COM:443/A", "hooks.example.com", "https://hooks.example.com:443"),
        ("https://a-b.c_d.example.com?x", "a-b.c_d.example.com", "https://a-b.c_d.example.com:443"),
        (
            "https://xn--bcher-kva.example",
            "xn--bcher-kva.example",
            "https://xn--bcher-kva.example:443",
        ),
        ("https://8.8.8.8/hook", "8.8.8.8", "https://8.8.8.8:443"),
        ("https://[2606:4700:0::1111]/", "2606:4700::1111", "https://[2606:4700::1111]:443"),
    ],
)
def test_a_public_address_over_https_is_taken(url: str, host: str, origin: str) -> None:
    """Two spellings of one origin come out as one."""
    target = check_target(url, STRICT, param="url")

    assert (target.scheme, target.host, target.port, target.origin) == ("https", host, 443, origin)


@pytest.mark.parametrize(
    ("url", "rest"),
    [
        ("https://EXAMPLE.com", "/"),
        ("https://example.com?sig=a%2Fb", "/?sig=a%2Fb"),
        ("https://example.com/?", "/?"),
        ("https://example.com/A//b/../c;d?x[]=1&x[]=2&sig=+/=%zz&&", None),
        ("https://example.com/a?next=https://10.0.0.1/@b:c", None),
        ("https://example.com:443/%41?{\"a\":'b'}|^`<>", None),
    ],
)
def test_path_and_query_stay_as_they_are(url: str, rest: str | None) -> None:
    """Clients sign their own address, so not one byte behind the host may change."""
    target = check_target(url, STRICT, param="url")

    assert target.rest == (rest or url.removeprefix("https://example.com").removeprefix(":443"))
    assert target.url == url.replace("EXAMPLE", "example")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (None, "must be a string"),
        (7, "must be a string"),
        (b"https://example.com", "must be a string"),
        ("", "must be an absolute https URL"),
        ("example.com/hook", "must be an absolute https URL"),
        ("/hook", "must be an absolute https URL"),
        ("//example.com/hook", "must be an absolute https URL"),
        ("https:example.com", "must be an absolute https URL"),
        ("https:/example.com", "must be an absolute https URL"),
        ("ftp://example.com", "must be an https URL"),
        ("http://example.com", "http is allowed only where the operator says so"),
        ("https://", "has no host"),
        ("https:///hook", "has no host"),
        ("https://:443/", "has no host"),
        ("https://u:p@example.com", "user name or password"),
        ("https://@example.com", "user name or password"),
        ("https://u%40example.com", "percent sign"),
        ("https://[fe80::1%25eth0]/", "percent sign"),
        ("https://example.com#part", "fragment"),
        ("https://example.com/a b", "percent-encode"),
        ("https://example.com/\\", "percent-encode"),
        ("https://example.com/\x00", "percent-encode"),
        ("https://example.com/\r\nHost: x", "percent-encode"),
        ("https://example.com/hook\n", "percent-encode"),
        ("https://bücher.example/", "punycode"),
        ("https://example.com/ü", "percent-encode"),
        ("https://\uff11\uff12\uff17.0.0.1/", "punycode"),
        ("https://example.com.", "trailing dot"),
        ("https://example..com", "labels of 1 to 63"),
        ("https://.example.com", "labels of 1 to 63"),
        ("https://-a.example.com", "labels of 1 to 63"),
        (f"https://{'a' * 64}.example.com", "labels of 1 to 63"),
        (f"https://{'a.' * 126}ab", "labels of 1 to 63"),
        ("https://127.1", "number in another base"),
        ("https://2130706433", "number in another base"),
        ("https://0x7f000001", "number in another base"),
        ("https://a.0x7f", "number in another base"),
        ("https://1.2.3.4.5", "number in another base"),
        ("https://example.com:", "host or port is malformed"),
        ("https://example.com:0443", "host or port is malformed"),
        ("https://example.com:0", "host or port is malformed"),
        ("https://example.com:+443", "host or port is malformed"),
        ("https://example.com:443:443", "host or port is malformed"),
        ("https://example.com:65536", "65535 is the highest"),
        ("https://2606:4700::1111/", "host or port is malformed"),
        ("https://[2606:4700::1111/", "host or port is malformed"),
        ("https://[2606::4700::1111]/", "no IPv6 address"),
        ("https://[8.8.8.8]/", "no IPv6 address"),
        ("https://example.com:8443", "its port must be 443"),
        ("https://8.8.8.8:8443", "port 8443 is open in allowed networks only"),
        ("https://10.0.0.1", "a private network (RFC 1918)"),
        ("https://[::1]", "loopback"),
        ("https://localhost/", "not a name of the public internet"),
        ("https://receiver/", "not a name of the public internet"),
        ("https://a.localhost/", "not a name of the public internet"),
        ("https://printer.local/", "not a name of the public internet"),
        ("https://metadata.google.internal/", "not a name of the public internet"),
    ],
)
def test_what_breaks_a_rule_is_told_which(url: object, says: str) -> None:
    """The message names the parameter and the rule."""
    message = refusal(url)

    assert message.startswith("Invalid callback_url parameter: ")
    assert says in message


def test_an_address_is_as_long_as_the_vendor_allows() -> None:
    """2,048 characters, and not one more."""
    url = "https://example.com/".ljust(MAX_URL_CHARS, "a")

    assert check_target(url, STRICT, param="url").url == url
    assert "2049 characters" in refusal(f"{url}a")


def test_what_the_operator_could_open_is_said_to_be_the_operators() -> None:
    """A tenant learns whom to ask."""
    for url in ("https://10.0.0.1", "https://receiver/", "https://example.com:8443"):
        assert "ask the operator of this gateway to allow its network" in refusal(url)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://10.1.2.3:8080/hook", "http://10.1.2.3:8080"),
        ("https://10.1.2.3:8443/hook", "https://10.1.2.3:8443"),
        ("http://127.0.0.1/hook", "http://127.0.0.1:80"),
        ("https://[fd00::7]:9443/hook", "https://[fd00::7]:9443"),
        ("http://receiver:8000/hook", "http://receiver:8000"),
        ("https://localhost/", "https://localhost:443"),
        ("http://hooks.team.internal:9000/", "http://hooks.team.internal:9000"),
        ("http://example.com/", "http://example.com:80"),
    ],
)
def test_networks_that_the_operator_allows_are_open(url: str, origin: str) -> None:
    """Any port, http if that is allowed too, and names, which are judged when they are called."""
    assert check_target(url, INSIDE, param="url").origin == origin


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://192.168.0.1:8080/", "a private network"),
        ("https://8.8.8.8:8443/", "port 8443"),
        ("http://8.8.8.8:443/", "port 443"),
        ("https://8.8.8.8:80/", "port 80"),
        ("https://u:p@10.1.2.3/", "user name"),
        ("http://10.1:8080/", "number in another base"),
        ("http://[::ffff:10.1.2.3]:8080/", "mapped into IPv6"),
    ],
)
def test_an_allowed_network_opens_nothing_else(url: str, says: str) -> None:
    """Grammar, ports and the rest of the table hold as before."""
    assert says in refusal(url, INSIDE)


def test_http_needs_its_own_permission() -> None:
    """Also within an allowed network."""
    policy = TargetPolicy.parse("10.0.0.0/8", allow_http=False)

    assert "http is allowed only" in refusal("http://10.0.0.1/", policy)
    assert check_target("https://10.0.0.1:8443/", policy, param="url").port == 8443


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "10.0.0.0/33", "intranet", "10.0.0.0-10.0.0.9"])
def test_a_bad_network_is_named(entry: str) -> None:
    """The operator reads which of the entries is meant."""
    with pytest.raises(ValueError, match=f"'{entry}' is not a network"):
        TargetPolicy.parse(f"192.168.0.0/16,{entry}", allow_http=False)


def test_no_networks_are_allowed_unless_named() -> None:
    """An empty setting, or one of blanks and commas, opens nothing."""
    for setting in ("", " ", ",", " , ,"):
        assert TargetPolicy.parse(setting, allow_http=False) == STRICT


@checked
@given(st.text() | st.from_regex(r"https?://[ -~]*", fullmatch=True))
def test_any_text_is_a_target_or_a_refusal(text: str) -> None:
    """Nothing else can come of it, and what is taken is taken again in its own spelling."""
    try:
        target = check_target(text, INSIDE, param="url")
    except InvalidRequest:
        return

    assert check_target(target.url, INSIDE, param="url") == target
    assert isinstance(target, Target)
    assert text.endswith(target.rest.removeprefix("/"))
