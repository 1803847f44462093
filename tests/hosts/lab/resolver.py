"""A resolver for a lab, as the house or the Internet has one: over UDP and TCP, with EDNS.

Run as a script with a JSON object: for each name a list of addresses, `*` being any other
name. It prints `ready`, and then each name that it is asked for.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import struct
import sys
import threading

_A, _AAAA, _OPT = 1, 28, 41
_TTL_S = 60
_PLAIN = 512  # bytes, of an answer over UDP to who has not said more (RFC 1035)


def _answer(query: bytes, known: dict[str, list[str]], most: int = 0) -> bytes:
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += query[at] + 1
    question = query[12 : at + 5]
    kind = int.from_bytes(query[at + 1 : at + 3], "big")
    print(".".join(labels), flush=True)  # noqa: T201  -- stdout is this program's record
    found = known.get(".".join(labels).lower(), known.get("*"))
    data = [each for word in found or () if (each := _data(word, kind))]
    answers = b"".join(
        struct.pack(">HHHIH", 0xC00C, kind, 1, 60, len(each)) + each for each in data
    )
    more = query[at + 5 :]
    has_edns = more[:3] == bytes((0, 0, _OPT))
    room = max(_PLAIN, int.from_bytes(more[3:5], "big")) if has_edns else _PLAIN
    opt = bytes((0, 0, _OPT, 16, 0, 0, 0, 0, 0, 0, 0)) if has_edns else b""
    cut = bool(most) and len(question + answers + opt) + 12 > min(room, most)
    code = 0 if found is not None else 3
    flags = 0x8180 | code | (0x200 if cut else 0)
    counts = (1, 0 if cut else len(data), 0, bool(opt))
    head = query[:2] + struct.pack(">5H", flags, *counts)
    return head + question + (b"" if cut else answers) + opt


def _data(word: str, kind: int) -> bytes:
    address = ipaddress.ip_address(word)
    return address.packed if kind == {4: _A, 6: _AAAA}[address.version] else b""


def _stream(peer: socket.socket, known: dict[str, list[str]]) -> None:
    with peer, peer.makefile("rb") as asked:
        while head := asked.read(2):
            answer = _answer(asked.read(int.from_bytes(head, "big")), known)
            peer.sendall(len(answer).to_bytes(2, "big") + answer)


def _streams(listening: socket.socket, known: dict[str, list[str]]) -> None:
    while True:
        threading.Thread(target=_stream, args=(listening.accept()[0], known), daemon=True).start()


def main() -> None:
    """Answer until it is killed."""
    known = json.loads(sys.argv[1])
    listening = socket.create_server(("", 53))
    threading.Thread(target=_streams, args=(listening, known), daemon=True).start()
    with socket.socket(type=socket.SOCK_DGRAM) as asked:
        asked.bind(("", 53))
        print("ready", flush=True)  # noqa: T201  -- as above
        while True:
            query, peer = asked.recvfrom(4096)
            asked.sendto(_answer(query, known, 4096), peer)


if __name__ == "__main__":
    main()
