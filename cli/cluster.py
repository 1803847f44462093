"""cluster init, join, leave, forget, run: this host, and others, as members of a cluster."""

from __future__ import annotations

from functools import partial

from ocinet.base.address import Subnet
from ocinet.base.errors import OcinetError, RequestError
from ocinet.base.names import check_network, is_hostname
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_switch, add_text
from ocinet.watcher.logs import FORMATS, LEVELS, make_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from typing import TypeVar

    from ocinet.cli.console import Console
    from ocinet.cluster.access import Access
    from ocinet.cluster.model import Cluster, Pool

    T = TypeVar("T")

_START = "systemctl enable --now ocinet-cluster"
_USUAL_LENGTHS = {4: 24, 6: 64}
_LEAST_BITS = 4  # of a pool that is smaller than such shares: 16 hosts
_LONGEST_OF_IPV4 = 32


def add_access(parser: Parser, default: str) -> None:
    """Add how etcd is reached.

    Args:
        parser: of the command.
        default: what is so where no endpoint is said.
    """
    group = parser.add_argument_group("etcd")
    says = f"endpoint, as https://10.0.0.1:2379 (default: {default})"
    add_text(group, "--etcd", metavar="URL", says=says, several=True)
    says = "certificates by which etcd's is judged (default: the system's)"
    add_text(group, "--ca", metavar="FILE", says=says)
    add_text(group, "--cert", metavar="FILE", says="certificate of this host (default: none)")
    says = "key of that certificate (default: in the same file)"
    add_text(group, "--key", metavar="FILE", says=says)
    add_text(group, "--user", metavar="NAME", says="user of etcd's (default: none)")
    says = "file whose first line is that user's password; it is read again each time"
    add_text(group, "--password-file", metavar="FILE", says=says)


def read_access(arguments: Namespace) -> Access | None:
    """Return how etcd is reached; None if nothing is said of it.

    Raises:
        RequestError: what is said makes no sense.
    """
    from ocinet.cluster.access import Access, Endpoint

    texts = [part for text in arguments.etcd for part in text.split(",")]
    access = Access(
        tuple(_within("--etcd", Endpoint.parse, text) for text in texts),
        arguments.ca or "", arguments.cert or "", arguments.key or "", arguments.user or "",
        arguments.password_file or "",
    )  # fmt: skip
    if not texts and access == Access(()):
        return None
    access.check()
    return access


def _configure_init(parser: Parser) -> None:
    parser.add_argument(
        "cluster", metavar="CLUSTER", help="its name: lower-case letters, digits, _.-"
    )
    says = "addresses of all its containers, IPv4 or IPv6; one for each family, or more"
    add_text(parser, "--pool", metavar="SUBNET", says=says, several=True)
    says = "prefix length of a host's share, up to 32 of IPv4, above of IPv6 (default: 24, 64)"
    add_text(parser, "--share-length", metavar="BITS", says=says, several=True)
    says = "how packets get from host to host (default: vxlan)"
    parser.add_argument("--backend", choices=("vxlan", "routes", "wireguard"), help=says)
    says = "number of the VXLAN, 1 to 16777215 (default: 4242)"
    add_text(parser, "--vni", metavar="NUMBER", says=says)
    says = "UDP port between hosts (default: 4789 of vxlan, 51820 of wireguard)"
    add_text(parser, "--port", metavar="PORT", says=says)
    says = "MTU of containers, in bytes (default: what each host's underlay leaves)"
    add_text(parser, "--mtu", metavar="BYTES", says=says)
    add_access(parser, "none: it has to be said")
    parser.examples(
        "ocinet cluster init prod --pool 10.42.0.0/16 --etcd http://10.0.0.1:2379",
        "ocinet cluster init prod --pool 10.42.0.0/16 --pool fd42::/48 --share-length 26 --etcd …",
    )


def _init(arguments: Namespace, console: Console) -> None:
    from ocinet.cluster.etcd import Etcd
    from ocinet.cluster.ownership import init
    from ocinet.cluster.plane.planes import plane_of

    with _acting("make", arguments.cluster):
        access = _needed(read_access(arguments))
        cluster = _read_cluster(arguments)
        plane_of(cluster, console.paths)  # or nobody could join it
        store = Etcd(access)
        try:
            init(store, cluster)
        finally:
            store.close()
    console.print(arguments.cluster)


def _configure_join(parser: Parser) -> None:
    parser.add_argument("cluster", metavar="CLUSTER", help="its name")
    says = "address or device by which other hosts reach this one (default: as etcd is reached)"
    add_text(parser, "--underlay", metavar="ADDRESS|DEVICE", says=says)
    says = "what this host is called (default: its hostname)"
    add_text(parser, "--name", metavar="NAME", says=says)
    says = "prefix length of this host's share, up to 32 of IPv4 (default: the cluster's)"
    add_text(parser, "--share-length", metavar="BITS", says=says, several=True)
    says = "have the smallest share, for no containers: this host reaches those of the others"
    add_switch(parser, "--no-containers", says=says)
    add_access(parser, "as this host joined before")
    parser.examples(
        "ocinet cluster join prod --etcd http://10.0.0.1:2379",
        "ocinet cluster join prod --underlay eth1 --share-length 26 --etcd https://10.0.0.1:2379,"
        "https://10.0.0.2:2379 --ca /etc/etcd/ca.pem",
    )


def _join(arguments: Namespace, console: Console) -> None:
    from ocinet.cluster.bulletin import rouse
    from ocinet.cluster.etcd import Etcd
    from ocinet.cluster.membership import Membership, Wishes
    from ocinet.cluster.underlay import check_underlay

    with _acting("join", arguments.cluster):
        underlay = arguments.underlay or ""
        if arguments.no_containers and arguments.share_length:
            raise RequestError("--share-length", "without containers a host has the smallest share",
                               "leave one of the two out")  # fmt: skip
        if underlay:
            _within("--underlay", check_underlay, underlay)
        wishes = Wishes(
            access=read_access(arguments),
            name=_within("--name", _check_name, arguments.name or ""),
            underlay=underlay,
            lengths=_read_lengths(arguments.share_length),
            containers=not arguments.no_containers,
        )
        kept = Membership(console.paths, Etcd).join(_check_cluster(arguments.cluster), wishes)
    for share in kept.shares:
        console.print(str(share))
    for endpoint in kept.access.open_to_all:
        console.say(f"ocinet: the password of {kept.access.user} goes to {endpoint} for all on the"
                    " way to read (hint: an etcd with TLS, and --etcd https://…)")  # fmt: skip
    if not rouse(console.paths.run):
        console.say(f"ocinet: nobody makes the ways to other hosts yet (hint: {_START})")


def _configure_leave(parser: Parser) -> None:
    says = "the cluster (default: the one that this host is in)"
    parser.add_argument("cluster", metavar="CLUSTER", nargs="?", help=says)
    says = "also if containers run on its share, or etcd does not answer"
    add_switch(parser, "--force", says=says)
    parser.examples("ocinet cluster leave", "ocinet cluster leave prod --force")


def _leave(arguments: Namespace, console: Console) -> None:
    from ocinet.cluster.bulletin import rouse
    from ocinet.cluster.etcd import Etcd
    from ocinet.cluster.membership import Membership

    with _acting("leave", arguments.cluster or ""):
        left = Membership(console.paths, Etcd).leave(arguments.cluster, force=arguments.force)
    rouse(console.paths.run)
    if left.unwritten:
        console.say(f"ocinet: in etcd its share stays this host's: {left.unwritten}"
                    " (hint: ocinet cluster forget, on another host)")  # fmt: skip
    for network in left.networks:
        console.say(f"ocinet: network {network} is closed; its containers run on addresses which go"
                    " to another host (hint: ocinet network rm, when they have ended)")  # fmt: skip


def _configure_forget(parser: Parser) -> None:
    says = "its name, its id, or the beginning of that"
    parser.add_argument("host", metavar="HOST", help=says)
    says = "the cluster (default: the one that this host is in)"
    add_text(parser, "--cluster", metavar="CLUSTER", says=says)
    add_switch(parser, "--force", says="also if it is heard, or nothing stands of it")
    add_access(parser, "as this host joined")
    parser.examples("ocinet cluster forget db3", "ocinet cluster forget 6f1c0a52")


def _forget(arguments: Namespace, console: Console) -> None:
    from ocinet.cluster.etcd import Etcd
    from ocinet.cluster.identity import host_id
    from ocinet.cluster.kept import Keeping
    from ocinet.cluster.ownership import forget

    try:
        access, name = read_access(arguments), arguments.cluster
        if access is None or name is None:
            kept = Keeping(console.paths).get(name)
            access, name = access or kept.access, kept.cluster.name
        store = Etcd(access)
        try:
            called = forget(store, name, arguments.host, host_id(), force=arguments.force)
        finally:
            store.close()
    except OcinetError as error:
        raise error.within(f"cannot forget host {arguments.host}") from error
    console.print(called)


def _configure_run(parser: Parser) -> None:
    says = f"the least that is logged: {', '.join(LEVELS)} (default: info)"
    parser.add_argument("--log-level", choices=LEVELS, default="info", metavar="LEVEL", help=says)
    says = "how it is logged: auto (console on a terminal, else json), console, json"
    parser.add_argument("--log-format", choices=FORMATS, default="auto", metavar="FORM", help=says)
    parser.examples("ocinet cluster run", "ocinet cluster run --log-level debug")


def _run(arguments: Namespace, console: Console) -> None:
    from ocinet.cluster.agent import Agent

    log = make_log(arguments.log_level, arguments.log_format, environment=console.environment)
    Agent(console.paths, log).run()


class _acting:  # noqa: N801  # reads as what it is: with _acting("join", name)
    """Says of an error what was to be done to which cluster."""

    def __init__(self, act: str, name: str) -> None:
        self._what = f"cannot {act} cluster {name}" if name else f"cannot {act} the cluster"

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OcinetError):
            raise error.within(self._what) from error


def _needed(access: Access | None) -> Access:
    if access is None:
        raise RequestError(
            "", "it has to be said where etcd is", "say --etcd https://10.0.0.1:2379"
        )
    return access


def _read_cluster(arguments: Namespace) -> Cluster:
    from ocinet.cluster.identity import host_id
    from ocinet.cluster.model import DEFAULT_PORTS, DEFAULT_VNI, MAX_VNI, Cluster

    if not arguments.pool:
        raise RequestError("", "it has to be said of which addresses it is",
                           "say --pool 10.42.0.0/16")  # fmt: skip
    lengths = _read_lengths(arguments.share_length)
    backend = arguments.backend or "vxlan"
    number = partial(_within_numbers, arguments)
    mtu = number("mtu", 68, 65535, 0)
    pools = tuple(_within("--pool", partial(_read_pool, lengths), text) for text in arguments.pool)
    for family in lengths.keys() - {pool.prefix.family for pool in pools}:
        raise RequestError("--share-length", f"there is no pool of IPv{family}",
                           "up to 32 is IPv4's, above is IPv6's")  # fmt: skip
    return Cluster(
        name=_check_cluster(arguments.cluster),
        pools=pools,
        backend=backend,
        vni=number("vni", 1, MAX_VNI, DEFAULT_VNI),
        port=number("port", 1, 65535, DEFAULT_PORTS[backend]),
        mtu=mtu or None,
        created_by=host_id(),
    )  # fmt: skip


def _read_pool(lengths: dict[int, int], text: str) -> Pool:
    from ocinet.cluster.decode import check_length
    from ocinet.cluster.model import Pool

    prefix = Subnet.parse(text)
    usual = max(_USUAL_LENGTHS[prefix.family], prefix.prefixlen + _LEAST_BITS)
    pool = Pool(prefix, lengths.get(prefix.family, usual))
    check_length(pool, pool.share_length)
    return pool


def _read_lengths(texts: list[str]) -> dict[int, int]:
    lengths: dict[int, int] = {}
    for text in [part for each in texts for part in each.split(",")]:
        number = text.removeprefix("/")
        if not (number.isascii() and number.isdigit() and 0 < int(number[:4]) <= 128):
            raise RequestError("--share-length", f"{text!r} is no prefix length", "as in 26")
        family = 4 if int(number) <= _LONGEST_OF_IPV4 else 6
        if family in lengths:
            raise RequestError("--share-length", f"there are two of IPv{family}",
                               "up to 32 is IPv4's, above is IPv6's")  # fmt: skip
        lengths[family] = int(number)
    return lengths


def _within_numbers(arguments: Namespace, flag: str, first: int, last: int, default: int) -> int:
    text = getattr(arguments, flag)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and first <= int(text[:9]) <= last):
        raise RequestError(f"--{flag}", f"{text!r} is no number from {first} to {last}")
    return int(text)


def _check_cluster(name: str) -> str:
    try:
        return check_network(name)
    except RequestError as error:
        why = f"{name[:80]!r} is no name of a cluster"
        raise RequestError("", why, error.hint) from error


def _check_name(name: str) -> str:
    if name and not is_hostname(name):
        raise RequestError("", f"{name!r} is no hostname")
    return name


def _within(flag: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except RequestError as error:
        raise error.within(flag) from error


COMMANDS = {
    "cluster init": Command(_configure_init, _init),
    "cluster join": Command(_configure_join, _join),
    "cluster leave": Command(_configure_leave, _leave),
    "cluster forget": Command(_configure_forget, _forget),
    "cluster run": Command(_configure_run, _run),
}
