"""Words of docker, podman, ip and CNI that ocinet has not got, each with what it has instead.

An edit distance would answer `--publish-all` by `--publish`, which is another thing. What
stands here is told in the hint of the error; `docs/words.md` has the whole comparison.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

_NOT_OURS = "ocinet starts no containers: start it without a network, as docker run --net=none, \
podman run --network=none; then ocinet attach NAME, or a door does it: see ocinet status"
_ONE_HOST = "networks are this host's alone: leave it out"
_OWN_ADDRESSES = "ocinet gives addresses itself: see --subnet, --ip-range, and ocinet ipam ls"
_INSIDE = "ocinet exec NAME -- ip"

# By the flag that was typed: ours for it, where the command has it; else what to do.
FLAGS: dict[str, tuple[tuple[str, ...], str]] = {
    "--mac": (("--mac-address",), ""),
    "--mac-addr": (("--mac-address",), ""),
    "--address": (("--ip", "--subnet"), ""),
    "--ip-address": (("--ip",), ""),
    "--ipv4": (("--ip",), ""),
    "--ip4": (("--ip",), ""),
    "--ipv6": (("--ip6",), ""),
    "--ipv6-address": (("--ip6",), ""),
    "--iface": (("--ifname", "--bridge"), ""),
    "--interface": (("--ifname", "--bridge"), ""),
    "--interface-name": (("--ifname", "--bridge"), ""),
    "--dev": (("--ifname", "--bridge"), ""),
    "--bridge-name": (("--bridge",), ""),
    "--gw": (("--gateway",), ""),
    "--via": (("--route",), ""),
    "--cidr": (("--subnet",), ""),
    "--port": (("--publish",), "ocinet publish NAME PORT"),
    "--ports": (("--publish",), "ocinet publish NAME PORT"),
    "--expose": (("--publish",), "ocinet publish NAME PORT"),
    "-P": (
        ("--publish",),
        "ocinet attach -P, once it runs; a watcher and the wrapper read docker's",
    ),
    "--publish-all": (
        ("--publish",),
        "ocinet attach -P, once it runs; a watcher and the wrapper read docker's",
    ),
    "--dns-opts": (("--dns-option",), ""),
    "--hosts": (("--add-host",), ""),
    "--no-hosts": ((), "podman's own keeps its /etc/hosts away: ocinet's is in its place then"),
    "--disable-dns": ((), "there is none to disable: leave it out"),
    "--net-alias": (("--network-alias",), ""),
    "--gw-priority": (
        ("--no-default-route",),
        "the first network has the default route; --no-default-route for one has it not",
    ),
    "--driver-opt": (("--opt",), "options are a network's: ocinet network create -o KEY=VALUE"),
    "--options": (("--opt",), ""),
    "--attachable": ((), _ONE_HOST),
    "--scope": ((), _ONE_HOST),
    "--ingress": ((), _ONE_HOST),
    "--config-from": ((), _ONE_HOST),
    "--config-only": ((), _ONE_HOST),
    "--aux-address": ((), "ocinet reservation add NETWORK NAME --ip ADDRESS keeps it free"),
    "--ipam-driver": ((), _OWN_ADDRESSES),
    "--ipam-opt": ((), _OWN_ADDRESSES),
    "--isolate": (("--isolate-ports",), "networks are apart from each other in any case"),
    "--icc": (("--isolate-ports",), ""),
    "--ip-masq": (("--no-masquerade",), "addresses are masqueraded unless --no-masquerade says no"),
    "--no-masq": (("--no-masquerade",), ""),
    "--parent": (("--opt",), "ocinet network create -d macvlan -o parent=eth0 NETWORK"),
    "--route": (("--route",), "for one container: attach --route, for all: network create"),
    "--tail": (("--lines",), ""),
    "--last": (("--lines",), ""),
    "--no-stream": ((), "leave --follow out"),
    "--no-heading": (("--noheading",), ""),
    "--notrunc": (("--no-trunc",), ""),
    "--all": (("--filter",), "ocinet ps --quiet lists them all, for xargs"),
    "--time": ((), "nothing is waited for: leave it out"),
    "--pid": ((), "a process is a TARGET: pid:N"),
    "--netns": ((), "a namespace is a TARGET: netns:PATH"),
    "--verbose": ((), "OCINET_DEBUG=1 in the environment shows the trace of a fault"),
    "--debug": ((), "OCINET_DEBUG=1 in the environment shows the trace of a fault"),
    "--dry-run": ((), "ocinet plan NAME shows what ocinet attach would do"),
}

VERBS: dict[str, str] = {
    **dict.fromkeys(("run", "create", "start", "stop", "kill", "restart", "rm"), _NOT_OURS),
    "connect": "ocinet network connect NETWORK NAME",
    "disconnect": "ocinet network disconnect NETWORK NAME",
    "net": "ocinet network ls",
    "networks": "ocinet network ls",
    "network add": "ocinet network create NETWORK",
    "network new": "ocinet network create NETWORK",
    "network del": "ocinet network rm NETWORK",
    "network show": "ocinet network inspect NETWORK",
    "network attach": "ocinet network connect NETWORK NAME",
    "network detach": "ocinet network disconnect NETWORK NAME",
    "link create": "ocinet link add A B",
    "link del": "ocinet link rm LINK",
    "link show": "ocinet link inspect LINK",
    "link set": "ocinet link rm LINK, and add it anew",
    "link install": "ocinet links install, which keeps networkd and NetworkManager off ocinet's",
    "link uninstall": "ocinet links uninstall",
    "links add": "ocinet link add A B, which links two containers",
    "links ls": "ocinet link ls",
    "links rm": "ocinet link rm LINK",
    "links inspect": "ocinet link inspect LINK",
    "network update": "what containers stand on is not changed: ocinet network rm NETWORK, and \
ocinet network create it anew",
    "bridge": "ocinet network ls",
    "bridges": "ocinet network ls",
    "container": "the word is left out: ocinet ps, ocinet inspect NAME",
    "containers": "ocinet ps",
    "pod": "a pod is its members' sandbox: ocinet ps, ocinet attach NAME",
    "show": "ocinet ps, or ocinet inspect NAME",
    "up": "ocinet attach NAME",
    "add": "ocinet attach NAME",
    "join": "ocinet attach NAME --net container:OTHER",
    "down": "ocinet detach NAME",
    "del": "ocinet detach NAME",
    "delete": "ocinet detach NAME",
    "remove": "ocinet detach NAME",
    "expose": "ocinet publish NAME PORT",
    "unexpose": "ocinet unpublish NAME PORT",
    "ports": "ocinet port NAME",
    "logs": "ocinet events --filter container=NAME",
    "log": "ocinet events",
    "monitor": "ocinet events --follow",
    "stats": "ocinet top",
    "system": "ocinet status, ocinet gc, ocinet network prune",
    "prune": "ocinet gc for what nobody holds, ocinet network prune for networks",
    "clean": "ocinet gc",
    "reload": "ocinet network reload",
    "repair": "ocinet check --repair",
    "addr": f"{_INSIDE} addr, or ocinet ipam ls NETWORK",
    "address": f"{_INSIDE} addr, or ocinet ipam ls NETWORK",
    "route": f"{_INSIDE} route",
    "neigh": f"{_INSIDE} neigh",
    "rule": f"{_INSIDE} rule",
    "netns": "ocinet exec NAME -- COMMAND; sandboxes have their names in ip netns",
    "unshare": "ocinet exec NAME -- COMMAND",
    "nsenter": "ocinet exec NAME -- COMMAND",
    "trace": "ocinet explain FROM TO",
    "ping": "ocinet explain FROM TO",
    "diagnose": "ocinet doctor",
    "debug": "ocinet doctor",
    "daemon": "ocinet watch",
    "watcher": "ocinet watch",
    "serve": "ocinet watch",
    "service": "ocinet watch",
    "install": "ocinet hooks install --podman, ocinet runtime install --docker",
    "register": "ocinet hooks install --podman, ocinet runtime install --docker",
    "ipam add": "ocinet reservation add NETWORK NAME --ip ADDRESS",
    "ipam rm": "ocinet reservation rm NETWORK NAME, or ocinet ipam release NETWORK ADDRESS",
    "reservation create": "ocinet reservation add NETWORK NAME",
    "hooks rm": "ocinet hooks remove BUNDLE",
    "hooks create": "ocinet hooks add BUNDLE",
    "hooks check": "ocinet hooks verify BUNDLE",
}

DRIVERS = {
    "ipvlan": "for the LAN: -d macvlan -o parent=eth0, or -d bridge --unmanaged --bridge br0",
    "overlay": "networks are this host's alone",
    "host": "it is a mode, and needs no network: ocinet hooks add BUNDLE --net host",
    "none": "it is a mode, and needs no network: --net none",
    "null": "it is a mode, and needs no network: --net none",
}


def flag_hint(flag: str, own: Container[str]) -> str:
    """Return what to say instead of a flag that a command has not got; "" if none is known.

    Args:
        flag: as it was typed.
        own: the command's flags.
    """
    ours, otherwise = FLAGS.get(flag, ((), ""))
    for name in ours:
        if name in own:
            more = f"; {otherwise}" if otherwise else ""
            return f"here it is {name}{more}"
    return otherwise


def verb_hint(words: str) -> str:
    """Return what to say instead of a command that there is not; "" if none is known.

    Args:
        words: as "network update".
    """
    return VERBS.get(words, "")


def driver_hint(message: str) -> str:
    """Return what there is instead of a driver that an error of argparse's names; or ""."""
    if "--driver" not in message:
        return ""
    return next((hint for name, hint in DRIVERS.items() if f"'{name}'" in message), "")
