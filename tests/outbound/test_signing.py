"""Signatures as Standard Webhooks asks for them, held against other people's code.

The official library verifies them here, and so do two that share no line with it: Node's crypto
module and openssl.
"""

from __future__ import annotations

import base64
import json
import random
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.clock import StoreClock
from app.domain.delivery import envelope
from app.domain.ids import mint_webhook_secret
from app.outbound.signing import NotSignable, signed_headers
from tests.support.scale import scaled

ALPHABETS = ('abc {}":,\\', "äöüß€", "汉字かな", "🎬👩‍👩‍👧", "\u0000\u001f\u007f\u2028", "é\u0301")

GUIDE = Path(__file__).parents[2] / "docs" / "webhooks.md"
DIGEST = ("dgst", "-sha256", "-binary", "-mac", "HMAC")

NODE = """
const crypto = require('crypto'), lines = require('fs').readFileSync(0, 'utf8').trim().split('\\n');
let bad = 0;
for (const line of lines) {
  const {secret, headers, body} = JSON.parse(line);
  const key = Buffer.from(secret.slice(6), 'base64');
  const text = Buffer.concat([
    Buffer.from(headers['webhook-id'] + '.' + headers['webhook-timestamp'] + '.'),
    Buffer.from(body, 'base64'),
  ]);
  const mine = 'v1,' + crypto.createHmac('sha256', key).update(text).digest('base64');
  if (!headers['webhook-signature'].split(' ').includes(mine)) bad += 1;
}
console.log(JSON.stringify({checked: lines.length, bad}));
"""


def bodies(count: int) -> Iterator[bytes]:
    """Return bodies from nothing to 20 kB, of every alphabet."""
    draw = random.Random(11)
    yield b""
    yield b"a" * 20_000
    for _ in range(count - 2):
        letters, size = draw.choice(ALPHABETS), draw.choice((1, 10, 100, 3000))
        yield "".join(draw.choices(letters, k=size)).encode()


def now_ms() -> int:
    """Return the present instant: the reference verifier looks at the clock."""
    return StoreClock().now_ms()


def fresh() -> str:
    """Return a new secret."""
    return mint_webhook_secret(secrets.token_bytes(32))


def program(name: str) -> str:
    """Return where a program is; a test without it is skipped, which CI forbids."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def test_the_official_library_verifies_every_body() -> None:
    """Unicode, nothing at all, and 20 kB."""
    secret = fresh()
    count = 0
    for body in bodies(scaled(10_000)):
        headers = signed_headers("msg_x", body, [secret], now_ms=now_ms())

        Webhook(secret).verify(body, headers, json_parse=False)
        count += 1
    assert count == scaled(10_000)


def test_node_verifies_every_body(tmp_path: Path) -> None:
    """By its own crypto module, from what stands in the headers alone."""
    lines = []
    for body in bodies(scaled(10_000)):
        secret = fresh()
        headers = signed_headers("msg_x", body, [secret], now_ms=now_ms())
        told = {"secret": secret, "headers": headers, "body": base64.b64encode(body).decode()}
        lines.append(json.dumps(told))
    script = tmp_path / "verify.js"
    script.write_text(NODE, "utf-8")

    done = subprocess.run(
        [program("node"), str(script)],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert json.loads(done.stdout) == {"checked": scaled(10_000), "bad": 0}


@pytest.mark.parametrize("body", list(bodies(5)), ids=["empty", "20 kB", "1", "2", "3"])
def test_openssl_reckons_the_same(body: bytes) -> None:
    """From the key in hexadecimal, the id, the timestamp and the body."""
    key = secrets.token_bytes(32)
    headers = signed_headers("msg_x", body, [mint_webhook_secret(key)], now_ms=now_ms())
    signed = f"msg_x.{headers['webhook-timestamp']}.".encode() + body

    done = subprocess.run(
        [program("openssl"), *DIGEST, "-macopt", f"hexkey:{key.hex()}"],
        input=signed,
        capture_output=True,
        timeout=10,
        check=True,
    )

    assert headers["webhook-signature"] == "v1," + base64.b64encode(done.stdout).decode()


def test_the_documented_command_reckons_the_same() -> None:
    """Whoever verifies by hand as `docs/webhooks.md` says gets the signature of the header."""
    program("openssl")
    (command,) = re.findall(r"```sh\n(KEY=.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    secret = fresh()
    headers = signed_headers("msg_x", b'{"a":1}', [secret], now_ms=now_ms())
    told = {"SECRET": secret, "ID": "msg_x", "TIMESTAMP": headers["webhook-timestamp"]}
    lines = [f"{name}='{value}'" for name, value in {**told, "BODY": '{"a":1}'}.items()]

    done = subprocess.run(
        ["/bin/sh", "-euc", "\n".join([*lines, command])],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )

    assert headers["webhook-signature"] == f"v1,{done.stdout.strip()}"


def test_one_bit_more_or_less_is_refused() -> None:
    """Wherever it is: in the body, the id, the timestamp or the signature."""
    secret, body = fresh(), envelope("task.completed", 1_790_000_000_000, b'{"a":1}')
    headers = signed_headers("msg_x", body, [secret], now_ms=now_ms())
    verifier = Webhook(secret)
    verifier.verify(body, headers)

    for place in range(len(body)):
        for bit in (1, 2, 64):
            tampered = bytes([*body[:place], body[place] ^ bit, *body[place + 1 :]])
            with pytest.raises(WebhookVerificationError):
                verifier.verify(tampered, headers, json_parse=False)
    for name in ("webhook-id", "webhook-timestamp"):
        changed = {**headers, name: headers[name][:-1] + chr(ord(headers[name][-1]) ^ 1)}
        with pytest.raises(WebhookVerificationError):
            verifier.verify(body, changed)
    signature = base64.b64decode(headers["webhook-signature"][3:])
    for place in range(len(signature)):
        other = bytes([*signature[:place], signature[place] ^ 1, *signature[place + 1 :]])
        changed = {**headers, "webhook-signature": "v1," + base64.b64encode(other).decode()}
        with pytest.raises(WebhookVerificationError):
            verifier.verify(body, changed)


def test_while_a_rotation_overlaps_old_and_new_verify() -> None:
    """A receiver may have either; a third secret is refused."""
    latest, old = fresh(), fresh()
    headers = signed_headers("msg_x", b"{}", [latest, old], now_ms=now_ms())

    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (latest, old):
        assert Webhook(secret).verify(b"{}", headers) == {}
    with pytest.raises(WebhookVerificationError):
        Webhook(fresh()).verify(b"{}", headers)


def test_a_notice_that_is_sent_once_more_after_five_minutes_is_refused() -> None:
    """By the reference verifier, whoever has caught it; within the time it is not."""
    secret = fresh()
    for age_s, refused in ((0, False), (295, False), (301, True), (3600, True)):
        headers = signed_headers("msg_x", b"{}", [secret], now_ms=now_ms() - age_s * 1000)
        try:
            Webhook(secret).verify(b"{}", headers)
        except WebhookVerificationError:
            assert refused, age_s
        else:
            assert not refused, age_s


def test_nothing_is_signed_with_a_secret_that_is_too_short() -> None:
    """A thousand secrets from nothing to 64 bytes: those of less than 24 sign nothing."""
    draw = random.Random(5)
    signed, refused = 0, 0
    for _ in range(1000):
        key = draw.randbytes(draw.randrange(0, 65))
        spoilt = draw.choice((mint_webhook_secret(key), base64.b64encode(key).decode(), "whsec_"))
        try:
            headers = signed_headers("msg_x", b"{}", [spoilt], now_ms=now_ms())
        except NotSignable:
            refused += 1
        else:
            assert len(key) >= 24
            assert spoilt.startswith("whsec_")
            Webhook(spoilt).verify(b"{}", headers)
            signed += 1
    assert min(signed, refused) > 100


def test_a_short_secret_does_not_spoil_a_good_one() -> None:
    """Nor does one that is given twice sign twice."""
    good = fresh()

    headers = signed_headers("msg_x", b"{}", [good, "whsec_YQ==", good], now_ms=now_ms())

    assert len(headers["webhook-signature"].split(" ")) == 1
    assert Webhook(good).verify(b"{}", headers) == {}


def test_the_headers_are_those_of_the_standard() -> None:
    """And say who sends, and what."""
    headers = signed_headers("msg_x", b"{}", [fresh()], now_ms=1_790_000_000_999)

    assert headers.keys() == {
        "content-type",
        "user-agent",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    }
    assert headers["webhook-timestamp"] == "1790000000"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("Reelgate/")
