"""The netlink socket that rtnetlink, nfnetlink and sock_diag share.

The kernel works a request off within `sendmsg`, so whatever it has to say is
queued when that returns; only a dump goes on while it is read. One message of
several that fails does not stop the later ones (rtnetlink), so every answer is
read before the first failure is raised.
"""

from __future__ import annotations

from _socket import AF_NETLINK, MSG_DONTWAIT, MSG_TRUNC, SO_RCVTIMEO, SOCK_RAW, SOL_SOCKET, socket
from _struct import Struct
from errno import EAGAIN, EINTR, ENOBUFS, ENOPROTOOPT, EPERM

from ocinet.base.errors import KernelError, SystemFailure
from ocinet.engine.netlink.framing import NLMSG_DONE, NLMSG_ERROR, Answer, Refusal, refusal, split

NETLINK_ROUTE = 0
NETLINK_SOCK_DIAG = 4
NETLINK_NETFILTER = 12
_NLM_F_DUMP_INTR = 0x10
_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_NETLINK_GET_STRICT_CHK = 12
_TIMEVAL = Struct("@ll")
_CAP_NET_ADMIN = 12  # capabilities(7)
_PRIVILEGE = "CAP_NET_ADMIN is missing: run it as root, with that capability"
_BUFFER = 1 << 16  # the kernel sizes a dump's parts by it, up to 32 KiB
# For an answer that will never come: however slow the machine, the kernel has answered when
# the send returns. As long as the longest operation.
_TIMEOUT_S = 20
_DUMP_TRIES = 8


class NetlinkSocket:
    """A netlink socket in the network namespace of the thread that makes it.

    It stays in that namespace wherever the thread goes. Not for several threads
    at once.

    Args:
        protocol: `NETLINK_ROUTE`, `NETLINK_NETFILTER`, …
        strict: whether the kernel filters dumps by the request's fields and
            refuses fields that it does not know (Linux 4.20).

    Raises:
        KernelError: it can't be made.
    """

    def __init__(self, protocol: int, *, strict: bool = False) -> None:
        try:
            self._socket = socket(AF_NETLINK, SOCK_RAW, protocol)
        except OSError as error:
            raise _failure("cannot open a netlink socket", error) from error
        self._unread = False  # a request was cut short: its answers may still be queued
        # With a refusal come the kernel's own words; of the message that is answered, the
        # header alone, so that the answers to many messages fit the socket's buffer.
        options = [_NETLINK_EXT_ACK, _NETLINK_CAP_ACK]
        if strict:
            options.append(_NETLINK_GET_STRICT_CHK)
        try:
            for option in options:
                self._enable(option)
            self._socket.setsockopt(SOL_SOCKET, SO_RCVTIMEO, _TIMEVAL.pack(_TIMEOUT_S, 0))
        except OSError as error:
            self.close()
            raise _failure("cannot open a netlink socket", error) from error

    def _enable(self, option: int) -> None:
        try:
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        except OSError as error:
            if error.errno != ENOPROTOOPT:  # an older kernel: we only lose what it adds
                raise

    def set_option(self, level: int, option: int, value: int) -> None:
        """Set an option of the socket; see socket(7).

        Raises:
            KernelError: it can't be set.
        """
        try:
            self._socket.setsockopt(level, option, value)
        except OSError as error:
            raise _failure("cannot set a netlink socket's option", error) from error

    def close(self) -> None:
        """Close it.

        After deletes on a netfilter socket, this waits for the kernel (16 ms).
        """
        self._socket.close()

    def __enter__(self) -> NetlinkSocket:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close it."""
        self.close()

    def request(self, messages: bytes, acks: int) -> None:
        """Send messages in one go and wait until all are worked off.

        Args:
            messages: encoded, one after the other.
            acks: how many of them have `NLM_F_ACK`; at most 100 or so, for the
                answers must fit into the socket's buffer.

        Raises:
            KernelError: the first refusal, after all answers have been read. In
                an nfnetlink batch nothing has changed then; with rtnetlink, all
                messages that were not refused have been done.
        """
        _answers, refusals = self.ask(messages, acks)
        if refusals:
            raise refusals[0].error()

    def ask(self, messages: bytes, acks: int) -> tuple[list[Answer], list[Refusal]]:
        """Send messages in one go and return all that the kernel says.

        Args:
            messages: encoded; no dump among them.
            acks: how many of them have `NLM_F_ACK`.

        Returns:
            The answers that carry data, and the refusals, in order.

        Raises:
            KernelError: the socket failed, or not every ACK came.
        """
        return self._exchange(messages, acks, each_once=False)

    def look_up(self, questions: bytes, count: int) -> tuple[list[Answer], list[Refusal]]:
        """Send messages that are answered once each, and return those answers.

        So it is with a get that asks for no ACK: it finds something, or is
        refused; and with any other message that asks for one.

        Args:
            questions: encoded; no dump among them.
            count: how many they are.

        Returns:
            As `ask`.

        Raises:
            KernelError: the socket failed, or not every answer came.
        """
        return self._exchange(questions, count, each_once=True)

    def _exchange(
        self, messages: bytes, count: int, *, each_once: bool
    ) -> tuple[list[Answer], list[Refusal]]:
        self._send(messages)
        answers: list[Answer] = []
        refusals: list[Refusal] = []
        missing = count
        flags = 0
        while missing > 0 or (refusals and not each_once):
            received = self._receive(flags)
            if received is None:
                break
            for answer in received:
                if answer.kind != NLMSG_ERROR:
                    answers.append(answer)
                    missing -= each_once
                    continue
                missing -= 1
                refused = refusal(answer)
                # nfnetlink answers the first message so, and throws all the others away.
                if refused and refused.errno == EPERM and missing > 0:
                    raise _refused(refused)
                if refused:
                    refusals.append(refused)
                    if not each_once:
                        flags = MSG_DONTWAIT  # how many more there are is not known now
        if missing > 0 and (each_once or not refusals):
            raise KernelError("cannot read netlink", f"{missing} of {count} answers did not come",
                              errno=EAGAIN, is_lost=True)  # fmt: skip
        self._unread = False
        return answers, refusals

    def dump(self, messages: bytes) -> list[bytes]:
        """Send one dump request and return the bodies of all its parts.

        What was interrupted by a change is asked for again, 8 times at most.

        Raises:
            KernelError: it was refused, or never came out whole.
        """
        for _try in range(_DUMP_TRIES):
            bodies, interrupted, refused = self._dump_once(messages)
            if refused and refused.errno != EINTR:
                raise _refused(refused)
            if not (interrupted or refused):
                return bodies
        raise KernelError("cannot read netlink", f"a list changed {_DUMP_TRIES} times while it"
                          " was read", errno=EINTR)  # fmt: skip

    def _dump_once(self, messages: bytes) -> tuple[list[bytes], bool, Refusal | None]:
        self._send(messages)
        bodies: list[bytes] = []
        interrupted = False
        while True:
            received = self._receive()
            if received is None:
                raise KernelError("cannot read netlink", "a list did not end", errno=EAGAIN)
            for answer in received:
                interrupted = interrupted or bool(answer.flags & _NLM_F_DUMP_INTR)
                if answer.kind in (NLMSG_DONE, NLMSG_ERROR):
                    self._unread = False
                    return bodies, interrupted, refusal(answer)
                bodies.append(answer.body)

    def _send(self, messages: bytes) -> None:
        while self._unread:  # left by a request that was cut short, as by a signal's handler
            try:
                self._unread = self._receive(MSG_DONTWAIT) is not None
            except KernelError as error:
                self._unread = error.errno == ENOBUFS
        self._unread = True
        try:
            self._socket.send(messages)
        except OSError as error:
            raise _failure("cannot send to netlink", error) from error

    def _receive(self, flags: int = 0) -> list[Answer] | None:
        """Receive one datagram of the kernel's; None if there is none in time."""
        while True:
            try:
                datagram, _ancillary, seen, address = self._socket.recvmsg(_BUFFER, 0, flags)
            except BlockingIOError:
                return None
            except OSError as error:
                raise _failure("cannot read netlink", error, is_lost=True) from error
            if address[0] != 0:  # any process may send to our port; only port 0 is the kernel
                continue
            if seen & MSG_TRUNC:
                raise SystemFailure("cannot read netlink", f"an answer exceeds {_BUFFER} bytes")
            return split(datagram)


def _refused(refused: Refusal) -> KernelError:
    """Return a refusal as an error, which names the capability that is missing if one is."""
    lacks = refused.errno == EPERM and not _may_administer()
    return refused.error("the kernel refused", _PRIVILEGE if lacks else "")


def _may_administer() -> bool:
    """Tell whether this process has CAP_NET_ADMIN, as far as /proc says."""
    try:
        with open("/proc/self/status", "rb", buffering=0) as status:
            effective = int(status.readall().partition(b"CapEff:")[2].split(None, 1)[0], 16)
    except (OSError, ValueError, IndexError):
        return True
    return bool(effective >> _CAP_NET_ADMIN & 1)


def _failure(what: str, error: OSError, *, is_lost: bool = False) -> KernelError:
    why = error.strerror or str(error)
    return KernelError(what, why, errno=error.errno or 0, is_lost=is_lost)
