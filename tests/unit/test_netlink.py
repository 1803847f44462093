"""The framing, and what the socket makes of every kind of answer."""

from __future__ import annotations

import errno
import os
from struct import pack
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocinet.base.errors import KernelError, SystemFailure
from ocinet.engine.netlink import framing
from ocinet.engine.netlink.framing import Answer, Refusal
from ocinet.engine.netlink.socket import NETLINK_ROUTE, NetlinkSocket

if TYPE_CHECKING:
    from collections.abc import Iterator

MSG_DONTWAIT = 0x40
MSG_TRUNC = 0x20
KERNEL = (0, 0)
CAPPED, ACK_TLVS, DUMP_INTR, MULTI = 0x100, 0x200, 0x10, 0x2


def answer(kind: int, body: bytes, *, sequence: int = 1, flags: int = 0) -> bytes:
    raw = pack("=IHHII", 16 + len(body), kind, flags, sequence, 99) + body
    return raw + b"\0" * (-len(raw) & 3)


def ack(sequence: int = 1, code: int = 0, text: str = "", *, capped: bool = True) -> bytes:
    request = pack("=IHHII", 24, 16, 5, sequence, 0)
    body = pack("=i", -code) + request + (b"" if capped else b"\xff" * 8)
    flags = CAPPED if capped else 0
    if text:
        flags |= ACK_TLVS
        body += framing.attribute(1, text.encode() + b"\0")
    return answer(2, body, sequence=sequence, flags=flags)


def done(code: int = 0, flags: int = MULTI) -> bytes:
    return answer(3, pack("=i", -code), flags=flags)


class ScriptedSocket:
    """Stands in for the C socket: plays datagrams and errors, in order."""

    def __init__(self) -> None:
        self.script: list[bytes | OSError | tuple[bytes, int, tuple[int, int]]] = []
        self.sent: list[bytes] = []
        self.flags: list[int] = []

    def send(self, messages: bytes) -> int:
        """Take it all."""
        self.sent.append(messages)
        return len(messages)

    def recvmsg(
        self, size: int, _ancillary: int, flags: int
    ) -> tuple[bytes, list[object], int, tuple[int, int]]:
        """Play the next step; after the last, nothing comes in time."""
        assert size >= 32768
        self.flags.append(flags)
        if not self.script:
            raise BlockingIOError(errno.EAGAIN, "nothing")
        step = self.script.pop(0)
        if isinstance(step, OSError):
            raise step
        data, seen, address = step if isinstance(step, tuple) else (step, 0, KERNEL)
        return data, [], seen, address

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


@pytest.fixture
def scripted() -> Iterator[tuple[NetlinkSocket, ScriptedSocket]]:
    """Yield a socket of ours over a scripted one."""
    sock = NetlinkSocket(NETLINK_ROUTE)
    sock.close()
    script = ScriptedSocket()
    sock._socket = script  # type: ignore[assignment]  # it plays the one of C
    yield sock, script
    assert not script.script, "not all answers were read"


Scripted = tuple[NetlinkSocket, ScriptedSocket]


def test_request_all_acks_sends_once_and_waits_no_more(scripted: Scripted) -> None:
    """Every ACK came: nothing more is received."""
    sock, script = scripted
    script.script = [ack(1) + ack(2), ack(3)]
    sock.request(b"messages", 3)
    assert script.sent == [b"messages"]
    assert script.flags == [0, 0]


@pytest.mark.parametrize("capped", [True, False])
def test_request_refusal_tells_errno_and_the_kernels_words(
    scripted: Scripted, capped: bool
) -> None:
    """The extended ACK is in the error, with the usual words of the errno."""
    sock, script = scripted
    script.script = [ack(1, errno.EINVAL, "No such thing", capped=capped)]
    with pytest.raises(KernelError) as caught:
        sock.request(b"x", 1)
    assert caught.value.errno == errno.EINVAL
    assert caught.value.why == "No such thing (Invalid argument)"


def test_request_refusal_without_text_tells_the_errno(scripted: Scripted) -> None:
    """Where the kernel says no more, the errno's words must do."""
    sock, script = scripted
    script.script = [ack(1, errno.EPERM)]
    with pytest.raises(KernelError, match="Operation not permitted"):
        sock.request(b"x", 1)


def test_ask_first_of_three_refused_reads_all_answers(scripted: Scripted) -> None:
    """Later messages have been worked off as well: their answers are not left behind."""
    sock, script = scripted
    script.script = [ack(1, errno.EEXIST), answer(16, b"data", sequence=2) + ack(2), ack(3, 5)]
    answers, refusals = sock.ask(b"x", 3)
    assert answers == [Answer(16, 2, 0, b"data")]
    assert refusals == [Refusal(1, errno.EEXIST, ""), Refusal(3, 5, "")]
    assert script.flags[0] == 0
    assert script.flags[1:] == [MSG_DONTWAIT] * 3


def test_ask_refusals_beyond_the_acks_are_read(scripted: Scripted) -> None:
    """In a batch of nfnetlink, messages without an ACK are refused all the same."""
    sock, script = scripted
    script.script = [ack(1, errno.ENOENT), ack(2, errno.EEXIST), ack(3)]
    _answers, refusals = sock.ask(b"x", 1)
    assert [refusal.errno for refusal in refusals] == [errno.ENOENT, errno.EEXIST]


def test_look_up_reads_one_answer_for_each_question(scripted: Scripted) -> None:
    """Found or refused, each is answered once, so nothing is waited for after the last."""
    sock, script = scripted
    script.script = [answer(16, b"data", sequence=1), ack(2, errno.ENODEV), ack(3, errno.ENOENT)]
    answers, refusals = sock.look_up(b"x", 3)
    assert answers == [Answer(16, 1, 0, b"data")]
    assert [refusal.sequence for refusal in refusals] == [2, 3]
    assert script.flags == [0, 0, 0]


def test_look_up_with_an_answer_missing_fails(scripted: Scripted) -> None:
    """Also after a refusal, which is no more than one of the answers."""
    sock, script = scripted
    script.script = [ack(1, errno.ENODEV)]
    with pytest.raises(KernelError, match="1 of 2 answers did not come"):
        sock.look_up(b"x", 2)


def test_last_ack_is_the_only_one() -> None:
    """The other messages are as they were, but for that flag."""
    one, two = (framing.message(16, framing.NLM_F_ACK | 0x400, n, b"data") for n in (1, 2))
    assert framing.with_last_ack([one, two]) == framing.message(16, 0x400, 1, b"data") + two
    assert framing.with_last_ack([two]) == two


def test_request_missing_ack_fails_and_does_not_hang(scripted: Scripted) -> None:
    """The time to receive is over: an error, with EAGAIN."""
    sock, script = scripted
    script.script = [ack(1)]
    with pytest.raises(KernelError, match="1 of 2 answers did not come") as caught:
        sock.request(b"x", 2)
    assert caught.value.errno == errno.EAGAIN


def test_request_after_one_cut_short_drops_the_old_answers(scripted: Scripted) -> None:
    """A signal's handler may raise between send and receive; undo uses the same socket."""
    sock, script = scripted
    script.script = [OSError(errno.EBADMSG, "cut short")]
    with pytest.raises(KernelError):
        sock.request(b"x", 1)
    script.script = [ack(7, errno.EEXIST), OSError(errno.ENOBUFS, "overrun"), ack(8)]

    late = [ack(1)]

    def send(messages: bytes) -> int:
        script.sent.append(messages)
        script.script += late
        return len(messages)

    script.send = send  # type: ignore[method-assign]  # the answer comes after the request
    sock.request(b"y", 1)
    assert script.flags[-1] == 0


def test_receive_from_another_process_is_ignored(scripted: Scripted) -> None:
    """Any process may send to our port; only port 0 is the kernel."""
    sock, script = scripted
    script.script = [(ack(1, errno.EPERM), 0, (4711, 0)), ack(1)]
    sock.request(b"x", 1)


def test_receive_cut_off_answer_fails(scripted: Scripted) -> None:
    """Half of an answer is none."""
    sock, script = scripted
    script.script = [(ack(1), MSG_TRUNC, KERNEL)]
    with pytest.raises(SystemFailure, match="exceeds"):
        sock.request(b"x", 1)


def test_receive_impossible_length_fails(scripted: Scripted) -> None:
    """A message that says to be longer than what came is refused."""
    sock, script = scripted
    script.script = [pack("=IHHII", 400, 2, 0, 1, 0)]
    with pytest.raises(SystemFailure, match="cut off"):
        sock.request(b"x", 1)


def test_receive_overrun_fails_with_its_errno(scripted: Scripted) -> None:
    """ENOBUFS: answers were lost, and nobody knows which."""
    sock, script = scripted
    script.script = [OSError(errno.ENOBUFS, "No buffer space available")]
    with pytest.raises(KernelError) as caught:
        sock.request(b"x", 1)
    assert caught.value.errno == errno.ENOBUFS


def test_dump_several_datagrams_gives_all_bodies(scripted: Scripted) -> None:
    """A dump ends with NLMSG_DONE, wherever that is."""
    sock, script = scripted
    part = answer(16, b"one.", flags=MULTI)
    script.script = [part + part, answer(16, b"two.", flags=MULTI) + done()]
    assert sock.dump(b"x") == [b"one.", b"one.", b"two."]


def test_dump_interrupted_is_asked_for_again(scripted: Scripted) -> None:
    """A list that changed while it was read may miss what was there all the time."""
    sock, script = scripted
    script.script = [
        answer(16, b"old.", flags=MULTI | DUMP_INTR),
        done(),
        done(errno.EINTR),
        answer(16, b"new.", flags=MULTI),
        done(),
    ]
    assert sock.dump(b"x") == [b"new."]
    assert len(script.sent) == 3


def test_dump_interrupted_at_its_end_is_asked_for_again(scripted: Scripted) -> None:
    """The flag may come with NLMSG_DONE only."""
    sock, script = scripted
    script.script = [done(flags=MULTI | DUMP_INTR), done()]
    assert sock.dump(b"x") == []
    assert len(script.sent) == 2


def test_dump_always_interrupted_gives_up(scripted: Scripted) -> None:
    """It is bounded: 8 tries."""
    sock, script = scripted
    script.script = [done(flags=MULTI | DUMP_INTR)] * 8
    with pytest.raises(KernelError, match="8 times") as caught:
        sock.dump(b"x")
    assert caught.value.errno == errno.EINTR
    assert len(script.sent) == 8


@pytest.mark.parametrize("last", [done(errno.EPERM), ack(1, errno.EPERM)])
def test_dump_refused_raises(scripted: Scripted, last: bytes) -> None:
    """The refusal comes as an NLMSG_ERROR, or in the NLMSG_DONE."""
    sock, script = scripted
    script.script = [last]
    with pytest.raises(KernelError) as caught:
        sock.dump(b"x")
    assert caught.value.errno == errno.EPERM


def test_dump_without_end_fails_and_does_not_hang(scripted: Scripted) -> None:
    """The time to receive is over."""
    sock, script = scripted
    script.script = [answer(16, b"one.", flags=MULTI)]
    with pytest.raises(KernelError, match="did not end"):
        sock.dump(b"x")


def test_socket_closed_by_its_block_leaves_no_descriptor() -> None:
    """The block closes it, after an error as well."""
    before = os.listdir("/proc/self/fd")

    def fail() -> None:
        with NetlinkSocket(NETLINK_ROUTE, strict=True):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert os.listdir("/proc/self/fd") == before


def test_socket_unknown_protocol_is_refused() -> None:
    """The kernel's errno is in the error."""
    with pytest.raises(KernelError) as caught:
        NetlinkSocket(31)
    assert caught.value.errno == errno.EPROTONOSUPPORT


@pytest.mark.parametrize(("size", "fits"), [(65531, True), (65532, False), (65536, False)])
def test_attribute_length_that_would_wrap_is_refused(size: int, fits: bool) -> None:
    """A 16-bit length that wraps smuggles attributes in (CVE-2021-43784)."""
    if fits:
        raw = framing.attribute(3, bytes(size))
        assert raw[:2] == b"\xff\xff"
        assert len(raw) % 4 == 0
    else:
        with pytest.raises(SystemFailure, match="too long"):
            framing.attribute(3, bytes(size))


@given(st.dictionaries(st.integers(0, 0x3FFF), st.binary(max_size=40), max_size=8), st.booleans())
def test_attributes_any_reads_back(wanted: dict[int, bytes], nested: bool) -> None:
    """What was encoded is found, flag bits aside."""
    flag = framing.NLA_F_NESTED if nested else 0
    raw = b"".join(framing.attribute(kind | flag, value) for kind, value in wanted.items())
    assert framing.attributes(b"head" + raw, 4) == wanted


@given(st.binary(max_size=200))
def test_attributes_any_bytes_end(raw: bytes) -> None:
    """No length, zero among them, makes it read for ever or beyond the end."""
    for value in framing.attributes(raw).values():
        assert value in raw


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=30)), max_size=6))
def test_split_any_messages_read_back(wanted: list[tuple[int, bytes]]) -> None:
    """Messages are padded to 4 bytes, and their bodies are not."""
    raw = b"".join(answer(kind, body) for kind, body in wanted)
    assert [(answer.kind, answer.body) for answer in framing.split(raw)] == wanted


@given(st.binary(max_size=200))
def test_split_and_refusal_any_bytes_end(raw: bytes) -> None:
    """What the kernel would never send is refused, not believed."""
    try:
        found = framing.split(raw)
    except SystemFailure:
        return
    for answer in found:
        refused = framing.refusal(answer)
        assert refused is None or refused.errno > 0
