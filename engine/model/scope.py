"""What of ours is to be looked at, because others may have touched it."""

from __future__ import annotations

from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Scope(Value):
    """What is looked at.

    Attributes:
        table: our table, which takes as long as nft does.
        networks: bridges, and what they need of the host.
        containers: ids of those whose own wiring is; None: of all.
        inside: whether sandboxes are entered, to look at what is in them.
    """

    table: bool = True
    networks: bool = True
    containers: tuple[str, ...] | None = None
    inside: bool = True

    def __bool__(self) -> bool:
        """Tell whether there is anything to look at."""
        return self.table or self.networks or self.containers != ()

    def __or__(self, other: Scope) -> Scope:
        """Return both."""
        if self.containers is None or other.containers is None:
            containers = None
        else:
            containers = tuple(dict.fromkeys((*self.containers, *other.containers)))
        return Scope(
            table=self.table or other.table,
            networks=self.networks or other.networks,
            containers=containers,
            inside=self.inside or other.inside,
        )


EVERYTHING = Scope()
NOTHING = Scope(table=False, networks=False, containers=(), inside=False)
TABLE = NOTHING.replace(table=True)
NETWORKS = NOTHING.replace(networks=True)
HOST_ENDS = NOTHING.replace(containers=None)


def of_container(container_id: str, *, inside: bool) -> Scope:
    """Return what is one container's own, and whether inside of its sandbox as well."""
    return NOTHING.replace(containers=(container_id,), inside=inside)


def united(scopes: Iterable[Scope]) -> Scope:
    """Return all of them; there may be thousands, of a container each."""
    united, containers, inside = NOTHING, dict[str, None](), False
    for scope in scopes:
        if scope.containers and not (scope.table or scope.networks):
            containers.update(dict.fromkeys(scope.containers))
            inside = inside or scope.inside
        elif scope:
            united |= scope
    return united | NOTHING.replace(containers=tuple(containers), inside=inside)
