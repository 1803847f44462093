"""Links between two sandboxes, made from the host, which sees nothing of them."""

from __future__ import annotations

from _blake2 import blake2s
from errno import EBADF, EBUSY, EEXIST

from ocinet.base.errors import KernelError
from ocinet.engine.kernel import link_messages
from ocinet.engine.kernel.links import find_link
from ocinet.engine.kernel.sandbox import entered
from ocinet.engine.model.link import Pair
from ocinet.engine.netlink.socket import NETLINK_ROUTE, NetlinkSocket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.kernel.sandbox import OpenNamespace
    from ocinet.engine.model.cable import Cable, CableEnd


_FIRST_INDEX = 1 << 20  # far from those that the kernel gives by itself


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
    ends = (one.ifname, one.mac, near.fd), (other.ifname, other.mac, far.fd)
    # Two ends with one index, as two sandboxes that are alike have it: the kernel takes them for
    # no pair, and is in no hurry to find that they have a carrier: for up to a second nothing is
    # sent (linkwatch_urgent_event).
    index = _FIRST_INDEX + 2 * int(blake2s(cable.name.encode(), digest_size=2).hexdigest(), 16)
    refusals = host.ask(link_messages.new_cable(1, *ends, mtu=cable.mtu, index=index), 1)[1]
    if refusals and refusals[0].errno == EBUSY:  # another link's, by chance
        refusals = host.ask(link_messages.new_cable(1, *ends, mtu=cable.mtu, index=0), 1)[1]
    for refused in refusals:
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
