"""What a network's name server is told, as values and as the lines of its files.

The server is aardvark-dns, of podman's, from 1.4 on. It reads a file for each network:

    10.9.0.1,fd00:9::1 192.0.2.53            where it listens; whom it asks all else
    @lan 10.9.0.1 fd00:9::1 host.ocinet.internal
    4f0c… 10.9.0.2 fd00:9::2 web,4f0c91d1f1aa 192.0.2.54
    ID    IPv4[,…] IPv6[,…]  name[,…]        whom it asks for that container

What is not there is an empty word. A line that it can't read ends 1.4, so nothing gets in
that is not an address, an id or a label.
"""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.value import Value
from ocinet.engine.model.name_holders import OWN_END

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

HOST_NAME = "host.ocinet.internal"
SEARCH_DOMAIN = ".dns.ocinet.internal"  # web.dns.ocinet.internal is web, and never asked elsewhere
_PREFIX = "net-"  # a network could be called as the server calls the file with its process's id
_INTERNAL = "%int"  # from 1.11 on the server asks nobody else for who is on such networks alone
# Before, it has to be told somebody: a datagram to this one is refused by the kernel at once, for
# the socket may not broadcast (EACCES), so no packet leaves.
NOBODY = Address(4, 0xFFFF_FFFF)
_HOST_MARK = "@"  # no container's id begins so
ELSEWHERE = "~"  # nor so: what a container on another host is known by; see `elsewhere`


class ServedNetwork(Value):
    """A network whose names are served.

    Attributes:
        name: its.
        gateways: the host's addresses there, which the server listens on; at least one.
        upstreams: who is asked for all other names; none: whom the host asks.
        internal: nobody is asked.
        host: whether those on it reach the host, so that it has a name.
    """

    name: str
    gateways: tuple[Address, ...]
    upstreams: tuple[Address, ...] = ()
    internal: bool = False
    host: bool = True

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{_PREFIX}{self.name}{_INTERNAL if self.internal else ''}"

    @property
    def head(self) -> str:
        """What its file begins with: a line, or two."""
        asked = (NOBODY,) if self.internal else self.upstreams
        words = [_listed(self.gateways), _listed(asked)]
        lines = " ".join(filter(None, words)) + "\n"
        if self.host:
            own = ServedContainer(f"{_HOST_MARK}{self.name}", self.gateways, (HOST_NAME,))
            lines += own.line
        return lines


class ServedContainer(Value):
    """A container on such a network.

    Attributes:
        id: whole.
        addresses: its own there; at least one.
        names: labels in lower case; of who has none, a name that nobody can ask for.
        upstreams: who is asked for all other names of those that it looks up, instead of
            the network's.
    """

    id: str
    addresses: tuple[Address, ...]
    names: tuple[str, ...]
    upstreams: tuple[Address, ...] = ()

    @property
    def line(self) -> str:
        """Its line of the network's file."""
        v4 = _listed(address for address in self.addresses if address.family == 4)
        v6 = _listed(address for address in self.addresses if address.family == 6)
        words = [self.id, v4, v6, ",".join(self.names or (OWN_END,))]
        if self.upstreams:
            words.append(_listed(self.upstreams))
        return " ".join(words) + "\n"


class ServerState(Value):
    """The name server, as it was seen.

    Attributes:
        program: its path; "" where it is not installed.
        pid: of the process; 0 if none runs.
        starting: one was started a moment ago, and is not to be seen yet.
        stopped: it runs, and does nothing: by SIGSTOP, or a debugger.
        stale: the host asks others by now than it was told.
        unheard: gateways of networks that are served, at which it does not listen, each with
            who has taken its port, or ""; all of them where it does not run.
    """

    program: str = ""
    pid: int = 0
    starting: bool = False
    stopped: bool = False
    stale: bool = False
    unheard: tuple[tuple[Address, str], ...] = ()


def gateways_of(text: str) -> tuple[Address, ...]:
    """Return where the server is to listen, by a file's text."""
    first = text.partition("\n")[0].partition(" ")[0]
    return tuple(map(Address.parse, first.split(","))) if first else ()


def network_of(file: str) -> str:
    """Return whose a file is by its name; "" if it is no network's."""
    if not file.startswith(_PREFIX):
        return ""
    return file.removeprefix(_PREFIX).removesuffix(_INTERNAL)


def with_line(text: str, head: str, line: str) -> str:
    r"""Return a file's text with a container's line in it, and a head; what is so already stays.

    >>> with_line("10.9.0.1\nid 10.9.0.2  web\n", "10.9.0.1\n", "db 10.9.0.3  db\n")
    '10.9.0.1\nid 10.9.0.2  web\ndb 10.9.0.3  db\n'

    Args:
        text: of before; "" if there was no file.
        head: what it is to begin with.
        line: the container's, whose former one goes.
    """
    if text.startswith(head) and f"\n{line}" in text:
        return text
    lines = without_line(text, line.partition(" ")[0])
    return f"{head}{lines[len(head_of(lines)) :]}{line}"


def without_line(text: str, container_id: str) -> str:
    """Return a file's text without the lines of a container."""
    start = f"\n{container_id} "
    while (begin := text.find(start)) >= 0:
        end = text.find("\n", begin + 1)
        text = text[: begin + 1] + text[end + 1 :] if end >= 0 else text[: begin + 1]
    return text


def has_containers(text: str) -> bool:
    """Tell whether a file has more than its head, and those on other hosts: the last line tells."""
    last = text.rfind("\n", 0, -1) + 1
    return len(text) > len(head_of(text)) and not text.startswith(ELSEWHERE, last)


def has_elsewhere(text: str) -> bool:
    """Tell whether a file has lines of containers on other hosts."""
    return f"\n{ELSEWHERE}" in text


def lines_by_id(text: str) -> dict[str, str]:
    """Return the lines of containers here, each with its line feed, by the containers' ids."""
    lines = text[len(head_of(text)) :].splitlines(keepends=True)
    return {line.partition(" ")[0]: line for line in lines if line[0] != ELSEWHERE}


def head_of(text: str) -> str:
    """Return what a file begins with: a line, or two."""
    first = text.find("\n") + 1
    if text.startswith(_HOST_MARK, first):
        first = text.find("\n", first) + 1
    return text[:first]


def _listed(addresses: Iterable[Address | str]) -> str:
    return ",".join(map(str, addresses))
