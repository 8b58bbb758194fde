"""Origins: what may be written, and the one form in which browsers send it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.origins import read_origin

SENT = (
    "https://app.example.com",
    "http://localhost",
    "http://localhost:3000",
    "https://app.example.com:8443",
    "http://app.example.com:443",
    "https://app.example.com:80",
    "https://xn--bcher-kva.example",
    "https://a-b.c-d.example",
    "http://192.0.2.7:8080",
    "http://[::1]:8080",
    "https://[2001:db8::1]",
    "http://[::ffff:c000:207]",
    "https://" + ".".join(["a" * 63] * 3 + ["b" * 61]),
)
"""As browsers send them."""


@pytest.mark.parametrize("origin", SENT)
def test_what_browsers_send_is_taken_as_it_stands(origin: str) -> None:
    """Reading it once or twice makes no difference."""
    assert read_origin(origin) == origin


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("HTTPS://App.Example.COM", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://app.example.com:80", "http://app.example.com"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example:443", "https://xn--bcher-kva.example"),
        ("https://例え.jp", "https://xn--r8jz45g.jp"),
        ("http://[0:0:0:0:0:0:0:1]:80", "http://[::1]"),
        ("http://[2001:DB8:0:0::1]", "http://[2001:db8::1]"),
        ("http://[::ffff:192.0.2.7]", "http://[::ffff:c000:207]"),
    ],
)
def test_what_means_the_same_is_brought_into_that_form(written: str, sent: str) -> None:
    """Capitals, the scheme's own port, a foreign script, long forms of addresses."""
    assert read_origin(written) == sent


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "*", "https://", "https", "://", "app.example.com", "//app.example.com"),
        *("https:app.example.com", "https:/app.example.com", "ftp://app.example.com"),
        *("wss://app.example.com", "file:///x", "chrome-extension://abc", "javascript:alert(1)"),
        *("https://app.example.com/", "https://app.example.com/x", "https://app.example.com?x"),
        *("https://app.example.com#x", "https://app.example.com\\x", "https://app.example.com "),
        *(" https://app.example.com", "https://app.example.com\n", "https://app.example.com\x00"),
        *(
            "https://user@app.example.com",
            "https://u:p@app.example.com",
            "https://@app.example.com",
        ),
        *("https://app.example.com.", "https://.example.com", "https://app..example.com"),
        *("https://*.example.com", "https://*", "https://-app.example.com", "https://app-.example"),
        *("https://app_x.example.com", "https://app%2eexample.com", "https://app,example.com"),
        *("https://app.example.com:", "https://app.example.com:0", "https://app.example.com:65536"),
        *("https://app.example.com:0443", "https://app.example.com:+443", "https://a.example:x"),
        *("https://app.example.com:443:443", "https://app.example.com:44 3", "https://:443"),
        *("https://192.0.2", "https://192.0.2.256", "https://192.0.2.07", "https://3221225991"),
        *("https://0xc0000207", "https://192.0.2.7.", "https://1.2.3.4.5"),
        *("https://[::1", "https://::1", "https://[]", "https://[::g]", "https://[fe80::1%eth0]"),
        *("https://faß.example", "https://ς.example", "https://a\u200db.example"),
        *("https://" + "a" * 64 + ".example", "https://" + "a." * 130 + "example"),
    ],
)
def test_what_no_browser_would_send_is_refused(text: str) -> None:
    """With a message for people; nothing of it is guessed."""
    with pytest.raises(ValueError, match=r"^it"):
        read_origin(text)


@given(st.text(max_size=40) | st.from_regex(r"https?://.{1,30}", fullmatch=True))
def test_whatever_is_taken_is_a_form_that_stays(text: str) -> None:
    """ASCII without capitals and without a path, and read again it is itself."""
    try:
        origin = read_origin(text)
    except ValueError:
        return

    assert read_origin(origin) == origin
    assert origin.isascii()
    assert origin == origin.lower()
    assert origin.partition("://")[0] in ("http", "https")
    assert not set(origin.partition("://")[2]) & set("/?#@\\* \t\r\n,_%")
