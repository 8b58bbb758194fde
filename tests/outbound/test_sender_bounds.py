"""A receiver cannot exhaust us: neither by bytes, nor by time, nor by numbers."""

from __future__ import annotations

import asyncio
import gc
import gzip
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.outbound.connection import MAX_HEADERS
from app.outbound.sender import MAX_ANSWER_BYTES, MAX_KEPT_BYTES, Attempted, Sender
from tests.outbound.conftest import LOOPBACK
from tests.outbound.receiver import Receiver

# These take a second each.
ON_ONE_LOOP = pytest.mark.asyncio(loop_factories=["uvloop"])

DEADLINE_S = 1.5
PATIENCE_S = 20.0
AT_ONCE = 100
GROWTH_BYTES = 8 * 1024 * 1024
HEAD = b"HTTP/1.1 200 OK\r\n"
PIECE = bytes(64 * 1024)
GIB = 1024**3

HOSTILE = """
import asyncio, gzip, socket

HEAD = b"HTTP/1.1 200 OK\\r\\n"
BOMB = gzip.compress(bytes(50_000_000))

async def flood(writer):
    writer.write(HEAD + b"Content-Length: %d\\r\\n\\r\\n" % 1024**3)
    while True:
        writer.write(bytes(65536))
        await writer.drain()

async def trickle(writer):
    writer.write(HEAD + b"\\r\\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)

async def trickle_head(writer):
    for letter in HEAD + b"X-Slow: " + b"x" * 1000:
        writer.write(bytes([letter]))
        await writer.drain()
        await asyncio.sleep(0.05)

async def bomb(writer):
    writer.write(HEAD + b"Content-Encoding: gzip\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(BOMB))
    writer.write(BOMB)
    await writer.drain()

async def headers(writer):
    writer.write(HEAD + b"".join(b"X-%d: %d\\r\\n" % (n, n) for n in range(10_000)) + b"\\r\\n")
    await writer.drain()

async def long_line(writer):
    writer.write(HEAD + b"X: ")
    while True:
        writer.write(bytes(b"x" * 65536))
        await writer.drain()

async def hints(writer):
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\\r\\nLink: </a>\\r\\n\\r\\n" * 100)
        await writer.drain()

async def serve(reader, writer):
    try:
        name = (await reader.readuntil(b"\\r\\n\\r\\n")).split()[1].decode()[1:]
        await globals()[name](writer)
        await reader.read()
    except OSError:
        pass
    finally:
        writer.transport.abort()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def hostile() -> Iterator[str]:
    """A hostile receiver in a process of its own, so that its memory is not counted as ours."""
    with subprocess.Popen([sys.executable, "-c", HOSTILE], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


async def post_at_once(url: str, times: int, timeout_s: float) -> tuple[list[Attempted], int]:
    """Send `times` at once; return what came of them, and by how many bytes memory rose."""
    sender = Sender(LOOPBACK, timeout_s=timeout_s, ca_file=None)
    await sender.post(f"{url.rpartition('/')[0]}/flood", headers={}, body=b"{}")
    gc.collect()
    before = highest = psutil.Process().memory_info().rss
    async with asyncio.TaskGroup() as group:
        sends = [group.create_task(sender.post(url, headers={}, body=b"{}")) for _ in range(times)]
        while not all(each.done() for each in sends):
            highest = max(highest, psutil.Process().memory_info().rss)
            await asyncio.sleep(0.005)
    await sender.aclose()
    return [each.result() for each in sends], highest - before


@ON_ONE_LOOP
@pytest.mark.parametrize(
    ("what", "outcome", "status"),
    [
        ("flood", "answered", 200),
        ("trickle", "answered", 200),
        ("bomb", "answered", 200),
        ("trickle_head", "timed_out", None),
        ("headers", "malformed", None),
        ("long_line", "malformed", None),
    ],
)
async def test_a_hundred_hostile_answers_at_once_cost_little(hostile, what, outcome, status):
    """Each is over within the deadline, and together they take at most 8 MiB."""
    timeout_s = DEADLINE_S if what.startswith("trickle") else PATIENCE_S
    results, growth = await post_at_once(f"{hostile}/{what}", AT_ONCE, timeout_s)

    assert {each.outcome for each in results} == {outcome}
    assert {each.status for each in results} == {status}
    assert max(len(each.answer) for each in results) <= MAX_KEPT_BYTES
    # A hundred sends end in one moment, on however many cores there are.
    assert max(each.took_ms for each in results) <= timeout_s * 1000 + 1500
    assert growth <= GROWTH_BYTES


@ON_ONE_LOOP
async def test_early_hints_without_end_are_bounded_too(hostile):
    """Small heads by the thousand are the dearest to parse."""
    results, growth = await post_at_once(f"{hostile}/hints", AT_ONCE // 4, PATIENCE_S)

    assert {each.outcome for each in results} == {"malformed"}
    assert growth <= 3 * GROWTH_BYTES


async def test_heads_without_end_are_cut(sender):
    """Early hints, one after the other, until the limit and no longer."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 20_000
    async with Receiver(hints) as receiver:
        attempted = await sender.post(receiver.url, headers={}, body=b"{}")

    assert attempted.outcome == "malformed"
    assert attempted.why == "the answer's head is too long"
    assert attempted.took_ms < 1000


async def test_no_more_of_an_answer_is_read_than_the_limit(sender):
    """What the receiver got rid of is 64 KiB and what the buffers on the way hold."""
    written = 0

    async def flood(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % GIB)
        for _ in range(GIB // len(PIECE)):
            writer.write(PIECE)
            await writer.drain()
            written += len(PIECE)

    async with Receiver(flood) as receiver:
        attempted = await sender.post(receiver.url, headers={}, body=b"{}")

    assert attempted.status == 200
    assert written <= 8 * MAX_ANSWER_BYTES


async def test_nothing_is_decoded():
    """What claims to be compressed is kept as it came."""
    bomb = gzip.compress(bytes(10_000_000))
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    sender = Sender(LOOPBACK, timeout_s=5, ca_file=None)
    async with Receiver(head + bomb) as receiver:
        attempted = await sender.post(receiver.url, headers={}, body=b"{}")
    await sender.aclose()

    assert attempted.answer == bomb[:MAX_KEPT_BYTES]


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        (b"X: 1\r\n" * (MAX_HEADERS - 1), "answered"),
        (b"X: 1\r\n" * (MAX_HEADERS + 1), "malformed"),
        (b"X: " + b"1" * 8000 + b"\r\n", "answered"),
        (b"X: " + b"1" * 9000 + b"\r\n", "malformed"),
    ],
)
async def test_heads_have_a_limit(sender, headers, outcome):
    """So many headers, and each so long; more is not waited for."""
    async with Receiver(HEAD + headers + b"\r\n") as receiver:
        attempted = await sender.post(receiver.url, headers={}, body=b"{}")

    assert attempted.outcome == outcome


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    answer=st.binary(max_size=60)
    | st.builds(bytes.__add__, st.just(HEAD), st.binary(max_size=60))
    | st.builds(
        lambda name, value: HEAD + name + b": " + value + b"\r\n\r\nbody",
        st.sampled_from([b"Content-Length", b"Transfer-Encoding", b"Set-Cookie", b"Location"]),
        st.sampled_from([b"-1", b"9" * 30, b"chunked", b"chunked, chunked", b"gzip", b"a=b\xff"])
        | st.binary(max_size=10),
    )
)
def test_no_answer_makes_the_sender_fail(answer):
    """Whatever bytes come back, what came of the send is told in a word of the list."""

    async def send() -> Attempted:
        sender = Sender(LOOPBACK, timeout_s=2, ca_file=None)
        async with Receiver(answer) as receiver:
            attempted = await sender.post(receiver.url, headers={}, body=b"{}")
        await sender.aclose()
        return attempted

    attempted = asyncio.run(send())

    assert attempted.outcome in ("answered", "malformed", "broken_off")
    assert (attempted.status is not None) == (attempted.outcome == "answered")
