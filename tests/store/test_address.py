"""Redis addresses: what is wrong is refused, and nothing of a login is ever shown."""

from __future__ import annotations

import pytest

from app.store.connect import connect, redacted


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h:6379",
        "http://u:hunter2@h",
        "redis://u:hunter2@",
        "redis://u:hunter2@h:port",
        "redis://u:hunter2@h:0",
        "redis://u:hunter2@h:65536",
        "redis://u:hunter2@h:1,i:2",
        "redis://u:hunter2@h/name",
        "redis://u:hunter2/x@h:1/0",
        "redis://u:hunter2#x@h:1/0",
        "redis://u:hunter2?x@h:1/0",
        "redis://u:1hunter2 x@h:1/0",
        "redis://u:hunter2@h?retry_on_timeout=1",
        "redis://u:hunter2@h?socket_timeout=0",
        "redis://u:hunter2@::1:6379",
        "unix://hunter2/s",
        "unix://u:hunter2@",
        "redis+sentinel://u:hunter2@h:1",
        "redis+sentinel://u:hunter2@h:1/",
        "redis+sentinel://u:12/hunter2@h:1/main",
        "redis+cluster://u:hunter2@h:1/0",
        "redis+cluster://u:hunter2@h:1,",
        "redis+cluster://u:hunter2@h:1?db=0",
    ],
)
def test_a_bad_address_is_refused_without_showing_it(url: str) -> None:
    """The message names the setting, the rule and the form, and nothing that was in the address."""
    with pytest.raises(ValueError, match=r"^REELGATE_REDIS_URL: .*://") as refusal:
        connect(url)

    assert "hunter2" not in f"{refusal.value!r} {refusal.value.__cause__!r}"
    assert refusal.value.__context__ is None
    assert "hunter2" not in redacted(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://u:p@h", "redis://h/0"),
        ("rediss://:p@[::1]:7/3?ssl_keyfile=k", "rediss://[::1]:7/3"),
        ("unix://u:p@/run/s?db=1", "unix:///run/s"),
        ("redis+sentinel://u:p@h:1,i:2/main?sentinel_password=s", "redis+sentinel://h:1,i:2/main"),
        ("redis+cluster://u:p@h:1,i:2", "redis+cluster://h:1,i:2"),
    ],
)
def test_a_log_shows_where_but_not_as_whom(url: str, shown: str) -> None:
    """What is left is enough to find the server and holds no login."""
    assert redacted(url) == shown
