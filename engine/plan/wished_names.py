"""What a container's user wishes of resolvers and names, as lines of its two files.

Apart from `name_files`, for most containers have no such wish. What an engine has in its
own `/etc/resolv.conf` of a container is kept there as comments, so that it can come back.
"""

from __future__ import annotations

from ocinet.engine.model.resolution import NO_SEARCH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocinet.base.address import Address
    from ocinet.engine.model.naming import FoundFiles
    from ocinet.engine.model.resolution import Resolution

_KEPT = "# kept: "


def added_lines(wishes: Resolution, host: tuple[Address, ...]) -> Iterator[str]:
    """Yield a hosts file's lines of the names that were added.

    Args:
        wishes: the user's.
        host: the host's own addresses, as the container reaches it.
    """
    for added in wishes.hosts:
        for address in (added.address,) if added.address else host:
            yield f"{address}\t{added.name}\n"


def changed(directives: Mapping[str, list[str]], wishes: Resolution) -> dict[str, list[str]]:
    """Return a resolv.conf's directives with what is wished in the place of what there was.

    >>> from ocinet.engine.model.resolution import Resolution
    >>> changed({"search": ["a"], "nameserver": ["192.0.2.1"]}, Resolution(search=("b", "c")))
    {'search': ['b', 'c'], 'options': [], 'nameserver': ['192.0.2.1']}
    """
    search = [] if wishes.search == (NO_SEARCH,) else list(wishes.search)
    return {
        "search": search if wishes.search else directives.get("search", []),
        "options": list(wishes.options) or directives.get("options", []),
        "nameserver": [str(server) for server in wishes.servers]
        or directives.get("nameserver", []),
    }


def kept(text: str) -> str:
    """Return what an engine's file said before we had it say something else."""
    lines = [line for line in text.splitlines(keepends=True) if line.startswith(_KEPT)]
    return "".join(line.removeprefix(_KEPT) for line in lines) if lines else text


def keep(text: str) -> str:
    """Return an engine's lines as the comments from which `kept` has them back."""
    return "".join(f"{_KEPT}{line}\n" for line in text.splitlines())


def flaws(
    wishes: Resolution,
    found: FoundFiles,
    *,
    host: tuple[Address, ...],
    families: frozenset[int],
) -> Iterator[str]:
    """Yield what is wished and does not come to be, or leads nowhere.

    Args:
        wishes: the user's.
        found: what there is.
        host: the host's own addresses, as the container reaches it.
        families: that the container has addresses of.
    """
    if wishes.hosts and found.hosts.state == "left":
        yield "/etc/hosts of the container is its user's own, so what add-host says is not in it"
    if wishes.links and found.hosts.state == "left":
        yield "/etc/hosts of the container is its user's own, so what link says is not in it"
    if found.resolv_conf.state == "left" and (wishes.servers or wishes.search or wishes.options):
        yield "/etc/resolv.conf of the container is its user's own, so no dns key counts for it"
    if not host and any(added.address is None for added in wishes.hosts):
        yield "the host has no address on the container's first network for host-gateway"
    for server in wishes.servers:
        if server.family not in families and not server.is_loopback:
            yield (
                f"the resolver {server} is of IPv{server.family}, of which the container has no"
                " address"
            )
