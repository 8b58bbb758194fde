"""The address is dialled, the name is asked for: whose certificate is good, and for whom."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from app.domain.targets import TargetPolicy
from app.outbound.connection import trust
from app.outbound.sender import Attempted, Sender
from tests.support.fault_server import FaultServer

NAME = "hooks.example.com"
INSIDE = TargetPolicy.parse("127.0.0.0/8", allow_http=False)


async def at_loopback(host: str, port: int) -> Sequence[str]:
    """Resolve every name to loopback."""
    return ["127.0.0.1"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for `NAME` and 127.0.0.1 that signs itself, and its key beside it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "receiver.pem"
    names = ("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    subprocess.run(
        [openssl, "req", "-x509", *key, *names, "-keyout", f"{path}.key", "-out", path],
        check=True,
        capture_output=True,
    )
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """The receiver's side; it notes which name it was asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, f"{certificate}.key")
    return context


@pytest.fixture
async def post(certificate: Path) -> AsyncIterator[Callable[..., object]]:
    """Send by a sender that trusts the certificate, its names resolving to loopback."""
    opened: list[Sender] = []

    async def sent(url: str, *, ca_file: Path | None = certificate) -> Attempted:
        opened.append(Sender(INSIDE, timeout_s=3, ca_file=ca_file, resolver=at_loopback))
        return await opened[-1].post(url, headers={}, body=b"{}")

    yield sent
    for each in opened:
        await each.aclose()


async def test_the_name_is_asked_for_at_the_checked_address(post, tls):
    """SNI, certificate and Host are the name's, the socket is the address's."""
    asked: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with FaultServer(tls=tls) as server:
        attempted = await post(f"https://{NAME}:{server.port}/hook?a=b")

    assert (attempted.status, attempted.peer) == (200, "127.0.0.1")
    assert asked == [NAME]
    assert server.seen[0].line == "POST /hook?a=b HTTP/1.1"
    assert ("Host", f"{NAME}:{server.port}") in server.seen[0].headers


async def test_an_address_written_out_needs_a_certificate_for_it(post, tls):
    """An internal receiver without a name can have one."""
    async with FaultServer(tls=tls) as server:
        attempted = await post(f"https://127.0.0.1:{server.port}/")
        other = await post(f"https://127.0.0.2:{server.port}/")

    assert attempted.status == 200
    assert other.status is None


async def test_a_certificate_for_another_name_is_refused(post, tls):
    """The receiver sees no request, and its owner is told what is wrong."""
    async with FaultServer(tls=tls) as server:
        attempted = await post(f"https://other.example.com:{server.port}/")

    assert (attempted.outcome, attempted.status, attempted.peer) == ("tls_failed", None, "")
    assert "other.example.com" in attempted.why
    assert server.requests_begun == 0


async def test_a_certificate_nobody_vouches_for_is_refused(post, tls):
    """Without the operator's file the system's certificates decide."""
    async with FaultServer(tls=tls) as server:
        attempted = await post(f"https://{NAME}:{server.port}/", ca_file=None)

    assert attempted.outcome == "tls_failed"
    assert attempted.why == "the certificate is not good: self-signed certificate"
    assert server.requests_begun == 0


def test_the_operators_file_adds_to_the_systems_certificates(certificate):
    """Public receivers go on being trusted."""
    systems, more = trust(None).get_ca_certs(), trust(certificate).get_ca_certs()

    assert len(more) == len(systems) + 1
    assert all(each in more for each in systems)


async def speak_in_the_clear(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer whatever comes like a server without TLS."""
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the connection and drop it."""
    writer.close()


@pytest.mark.parametrize("server", [speak_in_the_clear, hang_up])
async def test_a_receiver_without_tls_is_refused(post, server):
    """What does not shake hands at an https address is sent nothing."""
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    async with listening:
        attempted = await post(f"https://{NAME}:{listening.sockets[0].getsockname()[1]}/")

    assert (attempted.outcome, attempted.status, attempted.peer) == ("tls_failed", None, "")
    assert attempted.why
