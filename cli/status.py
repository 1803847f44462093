"""status: the doors, the networks, the containers, and what went wrong, on one screen."""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.cli.command_tree import Command
from ocinet.cli.containers import STRANDED, status_of
from ocinet.cli.parser import Parser, add_format, add_switch
from ocinet.cli.printing import Table, age, show_json
from ocinet.picture.failures import read_failures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ocinet.cli.console import Console
    from ocinet.engine.engine import Engine
    from ocinet.watcher.bulletin import News

    Json = dict[str, Any]

_MOST_ERRORS = 5
_NO_DOOR = (
    "nothing is registered, and nobody watches: "
    "ocinet hooks install --podman, ocinet runtime install --docker, or ocinet watch"
)
_NO_WATCHER = "not running"


def _configure(parser: Parser) -> None:
    says = "do not compare what is recorded with the kernel, which takes longest"
    add_switch(parser, "--no-check", says=says)
    add_format(parser, heading=False)
    parser.examples("ocinet status", "ocinet status --format json | jq .containers")


def _status(arguments: Namespace, console: Console) -> None:
    failures = read_failures(console.paths.run)
    with console.engine() as engine:
        networks = _networks(engine)
        containers = _containers(engine, len(failures), check=not arguments.no_check)
        names = _names(engine)
    shown = {
        "doors": _doors([network["name"] for network in networks], console),
        "watcher": _watcher(console),
        "networks": networks,
        "names": names,
        "containers": containers,
        "errors": [
            {"container": failure.container, "name": failure.name, **failure.encode()}
            for failure in failures.values()
        ],
    }
    if arguments.format == "json":
        show_json(console, shown)
    else:
        _print(shown, console)


def _doors(networks: list[str], console: Console) -> list[Json]:
    from ocinet.hooks.registration.doors import registered_doors

    return [
        {
            "kind": door.kind,
            "place": door.place,
            "flaws": [{"what": flaw.what, "hint": flaw.hint} for flaw in door.flaws],
        }
        for door in registered_doors(networks, console.environment)
    ]


def _watcher(console: Console) -> Json:
    from ocinet.watcher.bulletin import read_news

    try:
        news = read_news(console.paths.run)
    except OcinetError as error:
        return {"state": "unknown", "error": str(error), "engines": []}
    if news is None:
        return {"state": _NO_WATCHER, "error": None, "engines": []}
    if not news.is_alive:
        why = f"process {news.pid} has ended without a word; start it again: ocinet watch"
        return {"state": _NO_WATCHER, "error": why, "engines": []}
    return {
        "state": "ready" if news.ready else "starting",
        "error": None,
        "pid": news.pid,
        "started": news.started,
        "page": _page(news.page, console),
        "engines": _engines(news),
    }


def _page(place: str, console: Console) -> str | None:
    """Return the whole address of the watcher's page, with what lets one in; None: there is none.

    That is for root alone: nobody else could read what lets one in.
    """
    if not place:
        return None
    from ocinet.engine.model.loopback import LoopbackPlace
    from ocinet.watcher.page.token import read_token, whole_url

    try:
        return whole_url(LoopbackPlace.parse(place), read_token(console.paths.run))
    except OcinetError:
        return f"http://{place}/"


def _engines(news: News) -> list[Json]:
    return [
        {
            "socket": engine.socket,
            "kind": engine.kind or None,
            "state": engine.state,
            "error": engine.error or None,
            "since": engine.since,
            "heard": engine.heard or None,
        }
        for engine in news.engines.values()
    ]


def _networks(engine: Engine) -> list[Json]:
    networks: list[Json] = [
        {
            "name": network.name,
            "bridge": network.device,
            "error": None,
            "pools": [
                {
                    "subnet": str(usage.pool.subnet),
                    "allocatable": usage.allocatable,
                    "held": usage.held,
                    "reserved": usage.reserved,
                }
                for usage in engine.addresses.leases.usage(network.name, network.pools)
            ],
        }
        for network in engine.networks.readable()
    ]
    return networks + [
        {"name": name, "bridge": None, "error": why, "pools": []}
        for name, why in engine.networks.unreadable()
    ]


def _containers(engine: Engine, failed: int, *, check: bool) -> Json:
    states = [status_of(engine, record) for record in engine.containers.all()]
    counted: Json = {
        state: states.count(state) for state in ("alive", "attaching", "left", STRANDED, "dead")
    }
    counted["failed"] = failed
    findings = (*engine.check(), *engine.shadowed()) if check else ()
    leftovers = engine.gc(dry_run=True)
    return {
        **counted,
        "drifted": [{"container": each.container, "what": each.what} for each in findings]
        if check
        else None,
        "leftover": [
            {"kind": leftover.kind, "name": leftover.name, "why": leftover.why}
            for leftover in leftovers
        ],
    }


def _names(engine: Engine) -> Json:
    """Return how names fare; see `engine.names_report`."""
    from ocinet.engine.names_report import report_names

    try:
        report = report_names(engine.operation, engine.machine, engine.records)
    except OcinetError as error:
        return {"state": "unknown", "error": str(error), "flaws": []}
    return {
        "state": report.state,
        "error": None,
        "program": report.program or None,
        "version": report.version or None,
        "pid": report.pid or None,
        "flaws": [{"network": name, "why": why} for name, why in report.flaws],
    }


def _print_names(names: Json, console: Console) -> None:
    if names["error"]:
        console.print(f"  names: {names['error']}")
    elif names["flaws"]:
        for flaw in names["flaws"]:
            console.print(f"  names of {flaw['network']} are not served: {flaw['why']}")
    elif names["state"] == "missing":
        console.print("  names are not served: apt-get install aardvark-dns")
    elif names["state"] == "serving":
        console.print(f"  names: aardvark-dns {names['version']}, process {names['pid']}")


def _print(shown: Json, console: Console) -> None:
    console.print("DOORS")
    _print_doors(shown["doors"], shown["watcher"], console)
    console.print("NETWORKS")
    _print_networks(shown["networks"], console)
    _print_names(shown["names"], console)
    console.print("CONTAINERS")
    _print_containers(shown["containers"], console)
    errors = shown["errors"][-_MOST_ERRORS:]
    console.print("LAST ERRORS" if errors else "LAST ERRORS\n  none")
    for error in errors:
        name = error["name"] or error["container"]
        console.print(f"  {age(error['time'])} ago  {name}: {error['error']}")


def _print_doors(doors: list[Json], watcher: Json, console: Console) -> None:
    table = Table("KIND", "PLACE", "STATE")
    for door in doors:
        table.add(door["kind"], door["place"], "BAD" if door["flaws"] else "ok")
    place = f"process {watcher['pid']}" if "pid" in watcher else "-"
    running = f" for {age(watcher['started'])}" if "pid" in watcher else ""
    table.add("watcher", place, watcher["state"] + running)
    for engine in watcher["engines"]:
        heard = f", heard {age(engine['heard'])} ago" if engine["heard"] else ""
        told = f"{engine['state']} for {age(engine['since'])}{heard}"
        table.add(engine["kind"] or "engine", engine["socket"], told)
    _print_table(table, console)
    troubles = [
        f"{flaw['what']} (hint: {flaw['hint']})" for door in doors for flaw in door["flaws"]
    ]
    for each in (watcher, *watcher["engines"]):
        troubles += [each["error"]] if each["error"] else []
    if watcher.get("page"):
        console.print(f"  page: {watcher['page']}")
    if not doors and "pid" not in watcher:
        troubles.append(_NO_DOOR)
    for trouble in troubles:
        console.print(f"  {trouble}")


def _print_table(table: Table, console: Console) -> None:
    for line in table.lines():
        console.print(f"  {line}")


def _print_networks(networks: list[Json], console: Console) -> None:
    table = Table("NAME", "BRIDGE", "SUBNET", "ALLOCATABLE", "HELD", "RESERVED")
    for network in networks:
        for pool in network["pools"]:
            numbers = [str(pool[key]) for key in ("allocatable", "held", "reserved")]
            table.add(network["name"], network["bridge"], pool["subnet"], *numbers)
    if networks:
        _print_table(table, console)
    else:
        console.print("  none yet: the first attach makes one")
    for network in networks:
        if network["error"]:
            console.print(f"  {network['name']} can't be read: {network['error']}")


def _print_containers(containers: Json, console: Console) -> None:
    drifted, leftover = containers["drifted"], containers["leftover"]
    numbers = [f"{containers['alive']} attached"]
    numbers += [
        f"{containers[state]} {state}"
        for state in ("attaching", "left", STRANDED, "dead", "failed")
        if containers[state]
    ]
    if drifted is not None:
        numbers.append(f"{len(drifted)} drifted")
    numbers.append(f"{len(leftover)} left over")
    console.print(f"  {', '.join(numbers)}")
    for each in drifted or ():
        console.print(f"    {each['container'] or 'all'}: {each['what']}")
    if drifted:
        console.print("    hint: ocinet check --repair")
    for each in leftover:
        console.print(f"    {each['kind']} {each['name']}: {each['why']}")
    if leftover:
        console.print("    hint: ocinet gc")


COMMANDS = {"status": Command(_configure, _status)}
