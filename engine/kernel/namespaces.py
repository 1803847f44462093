"""The network namespaces of a host that processes are in, and what of links leads into them.

Reads only. Cold: for who has lost what was on record.
"""

from __future__ import annotations

import posix

from ocinet.base.clock import Process
from ocinet.base.errors import OcinetError
from ocinet.base.value import Value
from ocinet.engine.kernel.links import list_addresses, list_links
from ocinet.engine.kernel.sandbox import Sandbox, entered
from ocinet.engine.netlink.socket import NETLINK_ROUTE, NetlinkSocket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocinet.base.address import Interface


class FarEnd(Value):
    """An interface in a sandbox that is one end of a pair.

    Attributes:
        ifname: the interface.
        peer: the index of the other end, in its own namespace.
        addresses: all of them.
        sandbox: the namespace as `DEV:INODE`.
        process: one that is in it.
    """

    ifname: str
    peer: int
    addresses: tuple[Interface, ...]
    sandbox: str
    process: Process


def far_ends() -> Iterator[FarEnd]:
    """Find the veths of every namespace but this one that a process is in.

    Those of namespaces that nobody is in, or that can't be entered, are not found.
    """
    seen = {_namespace_of("self")}
    for pid in sorted(int(name) for name in posix.listdir("/proc") if name.isdecimal()):
        namespace = _namespace_of(str(pid))
        if namespace in seen:
            continue
        seen.add(namespace)
        try:
            process = Process.of(pid)
            if process:
                yield from _in_namespace_of(process)
        except OcinetError:
            continue  # it has just ended, or is nobody's to enter


def _namespace_of(pid: str) -> str:
    try:
        return posix.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""


def _in_namespace_of(process: Process) -> Iterator[FarEnd]:
    with Sandbox.open_process(process) as sandbox:
        with entered(sandbox):
            socket = NetlinkSocket(NETLINK_ROUTE, strict=True)
        with socket:
            links, addresses = list_links(socket), list_addresses(socket, 0)
        for link in links:
            if link.kind == "veth" and link.peer:
                held = tuple(interface for at, interface in addresses if at == link.ifindex)
                yield FarEnd(link.ifname, link.peer, held, sandbox.identity, process)
