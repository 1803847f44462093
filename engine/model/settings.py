"""The operator's settings, as values; `records.settings` reads them."""

from __future__ import annotations

from ocinet.base.address import Subnet
from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal


class Settings(Value):
    """What the operator may decide; every field is a key of `ocinet.toml`.

    Attributes:
        pools: where automatic subnets are taken from, in order: a /24 of an
            IPv4 pool, a /64 of an IPv6 pool. The defaults are of each private
            range what is in nobody's way: `docs/settings.md` says whose. Without
            an IPv6 pool, IPv6 subnets come from a unique local /48 that is
            derived from the machine's id.
        ipv6: whether networks with automatic subnets have IPv6 too.
        select: which `--net=none` containers the watcher wires: `all`, or only
            those `labelled` with an `ocinet.*` key.
        trust_annotations: whether keys may choose networks, ways and addresses, publish
            ports and share sandboxes even where the image could have set them.
        forward_accept: whether another firewall's dropping FORWARD chain gets
            an accept rule for our bridges; if not, it is explained instead.
        manage_sysctls: whether forwarding and its like are switched on where a
            network needs them; if not, it is explained instead.
        guard_forwarding: whether what is neither from nor to a bridge of a network is
            still dropped where forwarding was switched on so.
        close_bridges: whether nothing new reaches those on a bridge of ours while our
            table is not there.
        names: whether containers are found by their names on networks, by a name server.
        hold_ports: whether the watcher holds what is published, so that a service of the
            host that binds it later gets EADDRINUSE.
        lock_timeout_s: seconds that a command waits for other processes' locks;
            the hook has a deadline of its own.
        engines: paths of the sockets that the watcher listens on, as
            `/run/docker.sock`; one that is not there is waited for.
        early_attach: whether the watcher wires Docker's containers before their
            entrypoint runs, and not only when Docker says that they run.
        rejoin: whether the watcher restarts members of a sandbox whose owner has come back
            in another one, of those as well that do not say so themselves.
        reconcile_interval_s: seconds after which the watcher compares all of
            an engine's containers with what is wired, whatever it was told.
        web: where the watcher shows its page, as `127.0.0.1:4900`: an address of this
            machine alone, and a port; empty means nowhere.
        metrics: where the watcher's figures are scraped, as `unix:/run/ocinet/metrics.sock`
            or `127.0.0.1:9690`; empty means nowhere.
        metrics_group: whose members may do so at a socket; empty: root alone.
        max_networks: that one container may be on.
        max_addresses: that one container may have, on all of its networks.
        max_ports: that one container may publish.
    """

    pools: tuple[Subnet, ...] = (
        Subnet(4, 10 << 24 | 72 << 16, 13),
        Subnet(4, 172 << 24 | 16 << 16, 16),
        Subnet(4, 192 << 24 | 168 << 16 | 192 << 8, 18),
    )
    ipv6: bool = False
    select: Literal["all", "labelled"] = "all"
    trust_annotations: bool = False
    forward_accept: bool = True
    manage_sysctls: bool = True
    guard_forwarding: bool = True
    close_bridges: bool = True
    names: bool = True
    hold_ports: bool = True
    lock_timeout_s: float = 10.0
    engines: tuple[str, ...] = ("/run/docker.sock", "/run/podman/podman.sock")
    early_attach: bool = True
    rejoin: bool = False
    reconcile_interval_s: float = 300.0
    web: str = ""
    metrics: str = ""
    metrics_group: str = ""
    max_networks: int = 16
    max_addresses: int = 32
    max_ports: int = 1024
