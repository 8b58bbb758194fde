"""Over TLS the line between not sent and in doubt runs in the same place."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import httpx2
import pytest

from app.upstream.failure import surely_not_sent
from app.upstream.transport import AiohttpTransport
from tests.support.fault_server import AFTER_READING, Fault, FaultServer

NAME = "vendor.example.com"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for `NAME` that signs itself, key and all in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "vendor.pem"
    subject = ("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    subprocess.run(
        [openssl, "req", "-x509", *key, *subject, "-keyout", path, "-out", f"{path}.crt"],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """The server's side."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusting(certificate: Path) -> AiohttpTransport:
    """Build a transport that trusts the server's certificate and no other."""
    context = ssl.create_default_context(cafile=f"{certificate}.crt")
    return AiohttpTransport(verify=context, max_connections=10, keepalive_s=30)


async def post(
    transport: AiohttpTransport, url: str, *, name: str = NAME, read_s: float = 10
) -> httpx2.Response:
    """POST to `url`, asking for the certificate of `name`."""
    limits = httpx2.Timeout(10, read=read_s)
    async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
        return await client.post(url, json={}, timeout=limits, extensions={"sni_hostname": name})


async def test_a_trusted_server_is_answered_from(trusting, tls):
    """The certificate is checked against the name asked for, wherever the address points."""
    async with FaultServer(tls=tls) as server:
        answer = await post(trusting, server.url)

    assert answer.json() == {"request": 1}


async def test_an_untrusted_certificate_is_refused_before_anything_is_sent(tls):
    """A server the system's trust store does not know sees no request."""
    transport = AiohttpTransport(max_connections=10, keepalive_s=30)
    async with FaultServer(tls=tls) as server:
        with pytest.raises(httpx2.ConnectError) as caught:
            await post(transport, server.url)

    assert surely_not_sent(caught.value)
    assert server.requests_begun == 0


async def test_a_certificate_for_another_name_is_refused(trusting, tls):
    """Trust in a certificate is trust in its name."""
    async with FaultServer(tls=tls) as server:
        with pytest.raises(httpx2.ConnectError) as caught:
            await post(trusting, server.url, name="other.example.com")

    assert surely_not_sent(caught.value)
    assert server.requests_begun == 0


async def test_verification_can_be_switched_off(tls):
    """For a vendor on the operator's own machine."""
    transport = AiohttpTransport(verify=False, max_connections=10, keepalive_s=30)
    async with FaultServer(tls=tls) as server:
        answer = await post(transport, server.url, name="other.example.com")

    assert answer.status_code == 200


@pytest.mark.parametrize("fault", [*AFTER_READING, Fault.HANG_UP_UNREAD], ids=lambda it: it.name)
async def test_a_post_that_was_read_is_in_doubt(trusting, tls, fault):
    """Whatever happens after the handshake happened to a request that may have arrived."""
    async with FaultServer(fault, tls=tls) as server:
        with pytest.raises(httpx2.TransportError) as caught:
            await post(trusting, server.url, read_s=0.1 if fault is Fault.HANG else 10)

    assert not surely_not_sent(caught.value)
    assert server.requests_begun == 1
    assert trusting.in_flight == 0


async def test_a_server_that_wants_a_certificate_of_ours(trusting, tls, certificate):
    """TLS 1.3 reports this only after our half of the handshake: the request may be under way."""
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(f"{certificate}.crt")
    async with FaultServer(tls=tls) as server:
        with pytest.raises(httpx2.TransportError) as caught:
            await post(trusting, server.url)

    assert not surely_not_sent(caught.value)
    assert server.requests_begun == 0
