"""How a container shall find others by name, where its user says more than nothing.

Loaded by who has such a wish alone: most containers have none.
"""

from __future__ import annotations

from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address

NO_SEARCH = "."  # as docker and podman have it: a search list of the root alone is none


class AddedHost(Value):
    """A name that a container is to find in its `/etc/hosts`.

    Attributes:
        name: a host's.
        address: None means the host's own, as the container reaches it.
    """

    name: str
    address: Address | None


class Resolution(Value):
    """What a container's user wishes of its resolvers and names; what is empty is not said.

    Attributes:
        servers: asked instead of the host's resolvers, in this order.
        search: instead of the host's search list; `NO_SEARCH` alone for none.
        options: of resolv.conf(5), instead of the host's.
        hosts: found in `/etc/hosts` besides the container itself.
    """

    servers: tuple[Address, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    hosts: tuple[AddedHost, ...] = ()

    def over(self, before: Resolution | None) -> Resolution:
        """Return these wishes, and of an earlier one's those that these say nothing of."""
        if before is None:
            return self
        said = {name: wish for name, wish in vars(self).items() if wish}
        return before.replace(**said)
