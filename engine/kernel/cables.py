"""Links between two sandboxes, made from the host, which sees nothing of them."""

from __future__ import annotations

from errno import EBADF, EEXIST

from ocinet.base.errors import KernelError
from ocinet.engine.kernel import link_messages
from ocinet.engine.kernel.links import find_link
from ocinet.engine.kernel.sandbox import entered
from ocinet.engine.model.link import LINK_GROUP, Pair
from ocinet.engine.netlink.socket import NETLINK_ROUTE, NetlinkSocket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.kernel.sandbox import OpenNamespace
    from ocinet.engine.model.cable import Cable, CableEnd


def lay_cable(
    host: NetlinkSocket, near: OpenNamespace, far: OpenNamespace, cable: Cable
) -> tuple[Pair, Pair]:
    """Make a veth pair with an end in each of two sandboxes, both down, and with an alias.

    Args:
        host: a socket of any namespace: both ends are told by their sandboxes.
        near: where the first end goes.
        far: where the second one goes.
        cable: the link's definition.

    Raises:
        SystemFailure: a sandbox could not be entered.
        KernelError: it could not be made, and nothing is left of it.
    """
    one, other = cable.ends
    create = link_messages.new_cable(
        1,
        (one.ifname, one.mac, near.fd),
        (other.ifname, other.mac, far.fd),
        mtu=cable.mtu,
        group=LINK_GROUP,
    )
    for refused in host.ask(create, 1)[1]:
        what = f"cannot make the link {cable.name}"
        if refused.errno == EBADF:
            raise KernelError(what, "a sandbox is gone", errno=EBADF)
        if refused.errno == EEXIST:
            raise _taken(what, (near, far), cable)
        raise refused.error(what)
    return _finish(near, one, cable.name), _finish(far, other, cable.name)


def _taken(what: str, sandboxes: tuple[OpenNamespace, OpenNamespace], cable: Cable) -> KernelError:
    """Say in whose sandbox an interface has the name of an end; the kernel does not."""
    for sandbox, end in zip(sandboxes, cable.ends, strict=True):
        with entered(sandbox):
            socket = NetlinkSocket(NETLINK_ROUTE, strict=True)
        with socket:
            if find_link(socket, end.ifname):
                why = f"{end.container} has an interface {end.ifname} already"
                hint = f"ocinet link rm {cable.name}, and add it with another --ifname"
                return KernelError(what, why, hint, errno=EEXIST)
    return KernelError(what, "an interface of that name was there until now", errno=EEXIST)


def _finish(sandbox: OpenNamespace, end: CableEnd, name: str) -> Pair:
    """Give an end its alias, which a link that is being made can't have; return it."""
    with entered(sandbox):
        socket = NetlinkSocket(NETLINK_ROUTE, strict=True)
    with socket:
        link = find_link(socket, end.ifname)
        if link is None:
            raise KernelError(f"cannot make the link {name}", f"{end.ifname} is gone again")
        socket.ask(link_messages.set_alias(1, link.ifindex, f"ocinet:link/{name}"), 1)
    return Pair(0, link.ifindex, 0, end.mac)
