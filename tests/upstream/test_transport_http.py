"""What a caller hands to the transport arrives as it is, and nothing is added on the way."""

from __future__ import annotations

import httpx2
import pytest

from app.upstream.transport import AiohttpTransport
from tests.support.fault_server import Fault, FaultServer


@pytest.fixture
async def client():
    """Build a client over our transport."""
    transport = AiohttpTransport(max_connections=10, keepalive_s=30)
    async with httpx2.AsyncClient(transport=transport, timeout=5, trust_env=False) as client:
        yield client


async def test_a_request_arrives_as_it_was_built(client):
    """Method, escaped path, query, repeated headers and body pass through byte for byte."""
    async with FaultServer() as server:
        request = client.build_request(
            "POST",
            f"{server.url}/%41/a%2Fb?q=1+2&q=%26",
            content=b'{"prompt": "a cat"}',
            headers=[("X-Twice", "one"), ("X-Twice", "two"), ("Authorization", "Bearer made-up")],
        )

        await client.send(request)

    seen = server.seen[0]
    assert seen.line == "POST /%41/a%2Fb?q=1+2&q=%26 HTTP/1.1"
    assert sorted(seen.headers) == sorted((k.decode(), v.decode()) for k, v in request.headers.raw)
    assert seen.body == b'{"prompt": "a cat"}'


async def test_a_read_has_neither_body_nor_framing(client):
    """A GET carries the headers it was built with: no Content-Length, no Transfer-Encoding."""
    async with FaultServer() as server:
        await client.get(server.url)

    names = {name.lower() for name, _ in server.seen[0].headers}
    assert names == {"host", "accept", "accept-encoding", "connection", "user-agent"}


async def test_an_empty_post_says_that_it_is_empty(client):
    """A POST without a body is framed as one, so that no server waits for more."""
    async with FaultServer() as server:
        await client.post(server.url)

    assert ("Content-Length", "0") in server.seen[0].headers


async def test_a_body_of_unknown_length_is_sent_in_chunks(client):
    """A streamed body arrives whole, without being collected first."""

    async def pieces():
        yield b"first, "
        yield b"second"

    async with FaultServer() as server:
        await client.post(server.url, content=pieces())

    assert ("Transfer-Encoding", "chunked") in server.seen[0].headers
    assert server.seen[0].body == b"first, second"


async def test_user_and_password_of_an_address_become_a_header(client):
    """Credentials in an address are sent once, as httpx2 does it."""
    async with FaultServer() as server:
        await client.get(server.url.replace("://", "://user:word@"))

    assert ("Authorization", "Basic dXNlcjp3b3Jk") in server.seen[0].headers
    assert ("Host", f"127.0.0.1:{server.port}") in server.seen[0].headers


async def test_an_answer_comes_back_as_it_was_sent(client):
    """Status, reason, version and repeated headers are the server's; a redirect is not followed."""
    async with FaultServer(Fault.REDIRECT) as server:
        answer = await client.get(server.url)

    assert answer.status_code == 302
    assert answer.reason_phrase == "Found"
    assert answer.http_version == "HTTP/1.1"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert len(server.seen) == 1


async def test_the_transport_keeps_no_cookies():
    """A cookie is the client's business: one transport may serve many keys."""
    transport = AiohttpTransport(max_connections=10, keepalive_s=30)
    async with FaultServer(Fault.REDIRECT) as server, transport:
        for _ in range(2):
            answer = await transport.handle_async_request(httpx2.Request("GET", server.url))
            await answer.aread()
            await answer.aclose()

    assert "cookie" not in {name.lower() for name, _ in server.seen[1].headers}


async def test_what_is_no_http_address_is_refused(client):
    """An address of another kind is an error of its own, not a connect error."""
    with pytest.raises(httpx2.UnsupportedProtocol):
        await client.get("ftp://vendor.example.com/")
