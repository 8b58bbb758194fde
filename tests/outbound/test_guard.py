"""No address that a tenant gives leads inside: neither written, nor resolved, nor redirected.

Canaries listen on every address of the machine, and every connect of the process is on record.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import pytest

from app.domain.targets import TargetPolicy
from app.outbound.guard import AddressRefused, Guard, NotResolved
from app.outbound.sender import Sender
from tests.outbound.forbidden import (
    FORBIDDEN,
    FORBIDDEN_V4,
    PUBLIC,
    disguised,
    embeddings,
    shown,
    written_out,
)
from tests.outbound.receiver import Canaries, Receiver, dialled, own_addresses

URL = "https://hooks.example.com/hook"
FLIPS = 1000
ENOUGH = 10
SAFE, EVIL = "127.0.0.2", "127.0.0.1"
ONE_HOST = TargetPolicy.parse(SAFE, allow_http=True)


class Answers:
    """A resolver that answers from a list, over and over, and counts."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = answers
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the next answer, whatever the name."""
        self.asked += 1
        return self.answers[(self.asked - 1) % len(self.answers)]


@pytest.fixture
def canaries() -> Iterator[Canaries]:
    """Listeners that must stay alone."""
    with Canaries(443, 80) as listening:
        yield listening
        assert listening.visitors() == []


@pytest.fixture
async def open_sender() -> AsyncIterator[Callable[..., Sender]]:
    """Build senders whose names resolve as told."""
    opened: list[Sender] = []

    def build(*answers: Sequence[str], policy: TargetPolicy = TargetPolicy()) -> Sender:  # noqa: B008
        opened.append(Sender(policy, timeout_s=5, ca_file=None, resolver=Answers(*answers)))
        return opened[-1]

    yield build
    for each in opened:
        await each.aclose()


async def unrefused(sender: Sender, urls: Sequence[str]) -> list[tuple[str, object]]:
    """Send to each, and return the first that were not refused before anything was dialled."""
    found = []
    for url in urls:
        with dialled() as addresses:
            attempted = await sender.post(url, headers={}, body=b"{}")
        if (attempted.outcome, attempted.peer, addresses) != ("refused_address", "", []):
            found.append((url, attempted))
        if len(found) == ENOUGH:
            break
    return found


async def test_no_address_written_out_is_dialled(canaries, open_sender):
    """Every forbidden address, in every spelling, alone and behind a user name or a port."""
    urls = [*written_out(), *disguised()]

    assert len(urls) >= 400
    assert await unrefused(open_sender(["8.8.8.8"]), urls) == []


async def test_no_name_leads_to_a_forbidden_address(canaries, open_sender):
    """An A or AAAA answer that is one, in any embedding, ends the send."""
    addresses = [*FORBIDDEN, *(each for v4 in FORBIDDEN_V4 for each in embeddings(v4))]
    sender = open_sender(*([each] for each in addresses))

    assert len(addresses) >= 300
    assert await unrefused(sender, [URL] * len(addresses)) == []


async def test_one_bad_answer_among_good_ones_refuses_all(canaries, open_sender):
    """First, last or in the middle: the good ones are not dialled either."""
    good, good_v6 = "8.8.8.8", "2606:4700:4700::1111"
    answers = [
        mixed
        for bad in FORBIDDEN
        for mixed in ([bad, good], [good, bad], [good_v6, bad, good], [good] * 20 + [bad])
    ]

    assert await unrefused(open_sender(*answers), [URL] * len(answers)) == []


@pytest.mark.parametrize(
    "answer", ["fe80::1%eth0", "::1%lo", "localhost", "127.1", "", "8.8.8.8\n"]
)
async def test_an_answer_that_is_no_plain_address_is_refused(canaries, open_sender, answer):
    """Whoever wrote the resolver: what is not understood is not dialled."""
    assert await unrefused(open_sender([answer]), [URL]) == []


async def test_no_name_reaches_this_machine(canaries, open_sender):
    """Not by any address of its own that the table knows, link-local ones with their zone too."""
    own = own_addresses()
    answers = [[each] for each in own] + [[f"{each}%lo"] for each in own if ":" in each]

    assert await unrefused(open_sender(*answers), [URL] * len(answers)) == []


async def test_no_other_port_of_a_public_address_is_dialled(canaries, open_sender):
    """What a name leads to is judged together with the port."""
    policy = TargetPolicy.parse("10.0.0.0/8", allow_http=True)
    sender = open_sender(["8.8.8.8"], ["10.0.0.1", "8.8.8.8"], policy=policy)
    urls = [f"https://hooks.example.com:{port}/" for port in (22, 25, 80, 6379, 8080, 8443, 65535)]
    urls += [f"http://hooks.example.com:{port}/" for port in (22, 25, 443, 6379, 8080, 65535)]

    assert await unrefused(sender, urls * 2) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_redirect_is_followed(canaries, open_sender, status, scheme):
    """A receiver that is allowed cannot send us on to one that is not."""
    async with Receiver(host=EVIL) as elsewhere:
        goal = f"{scheme}://{EVIL}:{elsewhere.port}/"
        head = f"HTTP/1.1 {status} Moved\r\nLocation: {goal}\r\nRefresh: 0; url={goal}\r\n"
        answer = f"{head}Content-Length: 0\r\n\r\n".encode()
        async with Receiver(answer, host=SAFE) as receiver:
            with dialled() as addresses:
                attempted = await open_sender(policy=ONE_HOST).post(
                    receiver.url, headers={}, body=b"{}"
                )

    assert (attempted.status, attempted.outcome, attempted.peer) == (status, "answered", SAFE)
    assert addresses == [(SAFE, receiver.port)]
    assert elsewhere.connections == 0


async def test_a_name_that_flips_between_check_and_dial_gets_nowhere(open_sender):
    """The address that is judged is the address that is dialled, each time anew."""
    chance = random.Random(11)
    answers = [[chance.choice([SAFE, EVIL])] for _ in range(FLIPS)]
    resolver = Answers(*answers)
    sender = Sender(ONE_HOST, timeout_s=5, ca_file=None, resolver=resolver)
    async with Receiver(host=SAFE) as receiver, Receiver(host=EVIL, port=receiver.port) as canary:
        with dialled() as addresses:
            results = [
                await sender.post(
                    f"http://rebind.example.com:{receiver.port}/", headers={}, body=b"{}"
                )
                for _ in range(FLIPS)
            ]
    await sender.aclose()

    expected = [
        ("answered", SAFE) if each == [SAFE] else ("refused_address", "") for each in answers
    ]
    assert [(each.outcome, each.peer) for each in results] == expected
    assert set(addresses) == {(SAFE, receiver.port)}
    assert {(each.at, each.headers["host"]) for each in receiver.received} == {
        (SAFE, f"rebind.example.com:{receiver.port}")
    }
    assert canary.connections == 0
    assert resolver.asked == FLIPS


async def test_an_address_that_the_operator_allows_is_reached(open_sender):
    """The control: by name and written out, the very listener that the others must not reach."""
    async with Receiver(host=SAFE) as receiver:
        sender = open_sender([SAFE], policy=ONE_HOST)
        by_name = await sender.post(
            f"http://hooks.example.com:{receiver.port}/", headers={}, body=b"{}"
        )
        written = await sender.post(receiver.url, headers={}, body=b"{}")

    assert [(each.status, each.peer) for each in (by_name, written)] == [(200, SAFE)] * 2
    assert [each.at for each in receiver.received] == [SAFE, SAFE]


async def test_a_target_is_judged_by_the_policy_of_the_send(open_sender):
    """An address that was taken while its network was allowed is refused once it is not."""
    async with Receiver(host=SAFE) as receiver:
        attempted = await open_sender([SAFE]).post(receiver.url, headers={}, body=b"{}")

    assert (attempted.status, attempted.outcome) == (None, "refused_address")
    assert "https" in attempted.why
    assert receiver.connections == 0


async def test_public_addresses_pass_the_guard():
    """All of them, and in the order of the answer; a few are handed on to be dialled."""
    for address in PUBLIC:
        checked = await Guard(TargetPolicy(), Answers([address])).admit(URL)
        assert checked.addresses == (address,)
        written = await Guard(TargetPolicy(), Answers()).admit(f"https://{shown(address)}/")
        assert written.addresses == (address,)

    many = await Guard(TargetPolicy(), Answers(PUBLIC)).admit(URL)
    assert many.addresses == PUBLIC[:4]


async def test_an_address_written_out_is_never_looked_up():
    """No resolver gets to say what 8.8.8.8 is."""
    resolver = Answers(["10.0.0.1"])

    await Guard(TargetPolicy(), resolver).admit("https://8.8.8.8/")

    assert resolver.asked == 0


async def test_what_was_refused_is_said():
    """The sentence names the host and the kind of address, not the address."""
    with pytest.raises(AddressRefused) as caught:
        await Guard(TargetPolicy(), Answers(["10.9.8.7"])).admit(URL)

    assert "hooks.example.com" in str(caught.value)
    assert "a private network (RFC 1918)" in str(caught.value)
    assert "10.9.8.7" not in str(caught.value)


async def test_a_name_without_addresses_is_not_resolved():
    """Nothing to judge is nothing to dial."""
    with pytest.raises(NotResolved):
        await Guard(TargetPolicy(), Answers([])).admit(URL)
