"""A server that tells each client whom it sees, and a client that shows it.

Run as a program in the namespace where it shall listen or connect:

    python3 -I -S peer.py serve tcp '' 80 web
    python3 -I -S peer.py ask tcp 192.0.2.1 80 1.0 '' 0

The server answers `{"server": "web", "peer": ["10.0.0.2", 4711], "local": […]}`
and prints the same line for itself. Only the standard library: it runs under
the bare interpreter.
"""

from __future__ import annotations

import errno
import json
import selectors
import socket
import sys

_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
_BACKLOG = 64
_MAX_DATAGRAM = 2048


def _plain(address: str) -> str:
    return address.removeprefix("::ffff:").partition("%")[0]


def _listen(protocol: str, address: str, port: int) -> socket.socket:
    family = socket.AF_INET if "." in address else socket.AF_INET6
    server = socket.socket(family, _TYPES[protocol])
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    if protocol == "tcp":
        server.listen(_BACKLOG)
    return server


def _told(name: str, peer: tuple[str, int], local: tuple[str, int]) -> bytes:
    seen = {
        "server": name,
        "peer": [_plain(peer[0]), peer[1]],
        "local": [_plain(local[0]), local[1]],
    }
    line = json.dumps(seen)
    print(line, flush=True)  # noqa: T201  -- stdout is this program's record
    return line.encode()


def _answer_datagram(server: socket.socket, name: str) -> None:
    # A wildcard socket must answer from the address that it was asked on, or
    # the answer does not match the question's connection.
    _, told_by, _, peer = server.recvmsg(_MAX_DATAGRAM, 128)
    asked = [
        (level, kind, data)
        for level, kind, data in told_by
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO
    ]
    local = server.getsockname()[:2]
    if asked:
        address = socket.inet_ntop(socket.AF_INET6, asked[0][2][:16])
        local = (address, local[1])
    server.sendmsg([_told(name, peer[:2], local)], asked, 0, peer)


def serve(protocol: str, address: str, port: int, name: str) -> None:
    """Listen and answer until killed; print `ready` once clients may come."""
    server = _listen(protocol, address, port)
    print("ready", flush=True)  # noqa: T201  -- the starter waits for it
    with selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        while True:
            selector.select()
            if protocol == "udp":
                _answer_datagram(server, name)
                continue
            client, peer = server.accept()
            with client:
                client.sendall(_told(name, peer[:2], client.getsockname()[:2]))


def ask(protocol: str, target: tuple[str, int], timeout_s: float, source: tuple[str, int]) -> str:
    """Return what a server at the target says of us.

    Raises:
        OSError: nobody answered.
    """
    family = socket.AF_INET if "." in target[0] else socket.AF_INET6
    with socket.socket(family, _TYPES[protocol]) as client:
        client.settimeout(timeout_s)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if source != ("", 0):
            client.bind(source)
        client.connect(target)
        if protocol == "udp":
            client.send(b"who am I?")
            return client.recv(_MAX_DATAGRAM).decode()
        return b"".join(iter(lambda: client.recv(_MAX_DATAGRAM), b"")).decode()


def _run(words: list[str]) -> str:
    verb, protocol, address, port, *rest = words
    if verb == "serve":
        serve(protocol, address, int(port), rest[0])
    timeout, source, source_port = rest
    return ask(protocol, (address, int(port)), float(timeout), (source, int(source_port)))


if __name__ == "__main__":
    try:
        print(_run(sys.argv[1:]))  # noqa: T201  -- stdout is the answer
    except TimeoutError:
        sys.exit("ETIMEDOUT")
    except OSError as error:
        sys.exit(errno.errorcode.get(error.errno or 0, str(error)))
