"""How a container shall find others by name, and be found, where its user says more than nothing.

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


class Alias(Value):
    """One more name by which others find a container.

    Attributes:
        name: as `base.dns_names.dns_name` returns it.
        network: where they do; "" means on each of its networks.
    """

    name: str
    network: str = ""


class LinkedName(Value):
    """A name by which one container alone finds another.

    Attributes:
        target: the other's name or id.
        name: by which it is found, as `base.dns_names.dns_name` returns it.
    """

    target: str
    name: str


class Resolution(Value):
    """What a container's user wishes of its resolvers and names; what is empty is not said.

    Attributes:
        servers: asked instead of the host's resolvers, in this order.
        search: instead of the host's search list; `NO_SEARCH` alone for none.
        options: of resolv.conf(5), instead of the host's.
        hosts: found in `/etc/hosts` besides the container itself.
        hostname: that it calls itself, as `base.dns_names.dns_name` returns it.
        aliases: by which others find it besides.
        links: by which it alone finds others.
    """

    servers: tuple[Address, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    hosts: tuple[AddedHost, ...] = ()
    hostname: str = ""
    aliases: tuple[Alias, ...] = ()
    links: tuple[LinkedName, ...] = ()

    @property
    def in_files(self) -> bool:
        """Whether it says anything that stands in files of the container's own."""
        said = self.servers or self.search or self.options or self.hosts or self.links
        return bool(said or self.hostname)

    def over(self, before: Resolution | None) -> Resolution:
        """Return these wishes, and of an earlier one's those that these say nothing of.

        Aliases are said of a network at a time.
        """
        if before is None:
            return self
        said = {name: wish for name, wish in vars(self).items() if wish}
        if self.aliases:
            networks = {alias.network for alias in self.aliases}
            stay = [alias for alias in before.aliases if alias.network not in networks]
            said["aliases"] = (*stay, *self.aliases)
        return before.replace(**said)
