"""cluster status: this host, the others, and what waits for etcd."""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_format
from ocinet.cli.printing import Table, age, show_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ocinet.cli.console import Console
    from ocinet.cluster.bulletin import News
    from ocinet.cluster.kept import Kept

    Json = dict[str, Any]

_NO_AGENT = "not running"
_START = "systemctl start ocinet-cluster"
_ID_SHOWN = 8


def _configure(parser: Parser) -> None:
    says = "the cluster (default: the one that this host is in)"
    parser.add_argument("cluster", metavar="CLUSTER", nargs="?", help=says)
    add_format(parser)
    parser.examples("ocinet cluster status", "ocinet cluster status --format json | jq .peers")


def _status(arguments: Namespace, console: Console) -> int:
    from ocinet.cluster.bulletin import read
    from ocinet.cluster.kept import Keeping

    kept = Keeping(console.paths).get(arguments.cluster)
    shown = _shown(kept, read(console.paths.run))
    if arguments.format == "json":
        show_json(console, shown)
    else:
        _print(shown, console, heading=not arguments.noheading)
    return 0 if shown["state"] == "member" else 1


def _shown(kept: Kept, news: News | None) -> Json:
    """Return all that is known, of this host and by its agent or, without one, by etcd."""
    from ocinet.cluster.model import CONTAINERS

    host, cluster = kept.host, kept.cluster
    told = _of_agent(news) if news else _of_etcd(kept)
    return {
        "cluster": cluster.name,
        "backend": cluster.backend,
        "pools": [
            {"prefix": str(pool.prefix), "share_length": pool.share_length}
            for pool in cluster.pools
        ],
        "host": {
            "name": host.name,
            "id": host.id,
            "underlay": list(map(str, host.underlay)),
            "shares": list(map(str, kept.shares)),
            "containers": CONTAINERS in host.roles,
        },
        **told,
    }


def _of_agent(news: News) -> Json:
    return {
        "agent": {"state": "running", "pid": news.pid},
        "state": news.state,
        "why": news.why or None,
        "hint": news.hint or None,
        "since": news.since,
        "etcd": {**news.etcd, "error": news.etcd.get("error") or None},
        "plane": {
            "error": news.plane or None,
            "unreached": news.unreached,
            "applied": news.applied or None,
        },
        "peers": news.peers,
        "flaws": news.flaws,
    }


def _of_etcd(kept: Kept) -> Json:
    from ocinet.cluster.bulletin import shown
    from ocinet.cluster.etcd import Etcd
    from ocinet.cluster.ownership import census_of

    store = Etcd(kept.access)
    peers, flaws, error = [], [], None
    try:
        found, flawed = census_of(store, kept.cluster.name).peers(kept.mine)
        flaws = list(flawed)
        peers = list(map(shown, found))
    except OcinetError as failure:
        error = failure.why
    finally:
        store.close()
    return {
        "agent": {"state": _NO_AGENT, "pid": None},
        "state": "leaving" if kept.state == "leaving" else _NO_AGENT,
        "why": "its leaving was interrupted" if kept.state == "leaving" else
               "nobody follows the other hosts, nor tells them of this one",
        "hint": "ocinet cluster leave" if kept.state == "leaving" else _START,
        "since": None,
        "etcd": {"endpoint": store.endpoint, "error": error, "since": None},
        "plane": {"error": None, "unreached": [], "applied": None},
        "peers": peers,
        "flaws": flaws,
    }  # fmt: skip


def _print(shown: Json, console: Console, *, heading: bool) -> None:
    host, etcd = shown["host"], shown["etcd"]
    pools = ", ".join(f"{pool['prefix']} in /{pool['share_length']}" for pool in shown["pools"])
    away = etcd["error"]
    without = [] if host["containers"] else ["without containers"]
    since = f", for {age(etcd['since'])}" if etcd["since"] else ""
    facts = [
        ("cluster", f"{shown['cluster']}: {pools}, by {shown['backend']}"),
        ("host", f"{host['name']} ({host['id'][:_ID_SHOWN]}) at {', '.join(host['underlay'])}"),
        ("share", ", ".join([*host["shares"], *without])),
        ("state", shown["state"] + (f": {shown['why']}" if shown["why"] else "")),
        ("etcd", f"{etcd['endpoint']}{since}" if not away else
                 f"{away}{since}; only joining, leaving and news of others wait for it"),
    ]  # fmt: skip
    if shown["hint"]:
        facts.append(("hint", shown["hint"]))
    if shown["plane"]["error"] and shown["plane"]["error"] not in str(shown["why"]):
        facts.append(("ways", shown["plane"]["error"]))
    for name, fact in facts:
        console.print(f"{name:<9}{fact}")
    if shown["peers"]:
        console.print("")
        table = Table("host", "id", "underlay", "share", "heard")
        for peer in shown["peers"]:
            table.add(
                peer["name"], peer["id"][:_ID_SHOWN], ", ".join(peer["underlay"]),
                ", ".join(peer["shares"]) or "-", "yes" if peer["heard"] else "no",
            )  # fmt: skip
        for line in table.lines(heading=heading):
            console.print(line)
    for flaw in shown["flaws"]:
        console.say(f"ocinet: in etcd, not obeyed: {flaw}")
    for line in shown["plane"]["unreached"]:
        console.say(f"ocinet: not reached: {line}")


COMMANDS = {"cluster status": Command(_configure, _status)}
