"""The tree of commands: names, one line about each, and the module that has it.

Plain strings, so that `ocinet --help` imports nothing else.
"""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.base.names import did_you_mean
from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from ocinet.cli.console import Console
    from ocinet.cli.parser import Parser


class Command(Value):
    """What a command does with its arguments.

    Attributes:
        configure: declares them.
        run: does it; returns the exit code, or None for 0.
    """

    configure: Callable[[Parser], None]
    run: Callable[[Namespace, Console], int | None]


class Entry(Value):
    """One command as help shows it.

    Attributes:
        words: as "network create".
        module: under `ocinet.cli`; its `COMMANDS` has the words' last one.
        summary: one line.
    """

    words: str
    module: str
    summary: str


ENTRIES = (
    Entry("attach", "attach", "Give a running container a network"),
    Entry("detach", "attach", "Take a container's wiring down"),
    Entry("plan", "attach", "Show what attach would do, as ip and nft commands"),
    Entry("plan link", "link", "Show what link add would do, as ip and sysctl commands"),
    Entry("ps", "listing", "List the containers that ocinet wired"),
    Entry("inspect", "containers", "Show a container's record, and what its kernel has"),
    Entry("exec", "execute", "Run a command in a container's network"),
    Entry("port", "listing", "Show at which host ports a container is published"),
    Entry("publish", "attach", "Publish ports of a running container"),
    Entry("unpublish", "attach", "Take published ports back"),
    Entry("network create", "network_create", "Define a network"),
    Entry("network connect", "connection", "Put a running container on a network, too"),
    Entry("network disconnect", "connection", "Take a running container off a network"),
    Entry("network ls", "network", "List networks"),
    Entry("network inspect", "network", "Show networks and who is on them"),
    Entry("network rm", "network", "Remove networks that nobody is on"),
    Entry("network exists", "network", "Exit with 0 if a network is defined, with 1 if not"),
    Entry("network reload", "network", "Put right all that is on networks, whatever became of it"),
    Entry("network prune", "network", "Remove all networks that nobody is on"),
    Entry("link add", "link", "Link two containers with each other, past every bridge"),
    Entry("link ls", "link", "List such links, and how they are"),
    Entry("link inspect", "link", "Show links, their two ends, and what is wrong with them"),
    Entry("link rm", "link", "Remove links, and take them down"),
    Entry("ipam ls", "addresses", "Show how full networks are, and whose each address is"),
    Entry("ipam release", "addresses", "Free an address whose lease can't be read"),
    Entry("reservation add", "addresses", "Keep an address for a container's name"),
    Entry("reservation ls", "addresses", "List reservations"),
    Entry("reservation rm", "addresses", "Give a reserved address up"),
    Entry("reservation add-port", "kept_ports", "Keep host ports for a container's name"),
    Entry("reservation ports", "kept_ports", "List the host ports that are kept"),
    Entry("reservation rm-port", "kept_ports", "Give kept host ports up"),
    Entry("hooks add", "hooks", "Add ocinet to a bundle's config.json"),
    Entry("hooks remove", "hooks", "Take ocinet out of a bundle's config.json"),
    Entry("hooks ls", "hooks_list", "List where ocinet is registered, and what is wrong there"),
    Entry("hooks install", "hooks", "Register ocinet with podman or CRI-O"),
    Entry("hooks uninstall", "hooks", "Take that registration back"),
    Entry("hooks verify", "hooks", "Run the registered hook as a runtime would"),
    Entry("runtime ls", "hooks_list", "List the runtimes that network containers"),
    Entry("runtime install", "runtime", "Make a runtime that networks containers, and register it"),
    Entry("runtime uninstall", "runtime", "Take that runtime back"),
    Entry("links install", "links", "Keep networkd and NetworkManager off ocinet's links"),
    Entry("links uninstall", "links", "Take that back"),
    Entry("firewalld install", "firewalld", "Give firewalld a zone for ocinet's bridges"),
    Entry("firewalld uninstall", "firewalld", "Take that back"),
    Entry("cluster init", "cluster", "Make a cluster in etcd, of which hosts can be members"),
    Entry("cluster join", "cluster", "Make this host a member, with a share of the addresses"),
    Entry("cluster leave", "cluster", "Give this host's share back"),
    Entry("cluster forget", "cluster", "Give back the share of a host that is dead"),
    Entry("cluster status", "cluster_status", "Show this host, all others, and how etcd is"),
    Entry("cluster run", "cluster", "Be the agent: make the ways to other hosts, and keep them"),
    Entry("watch", "watch", "Be the watcher: wire Docker's and Podman's containers"),
    Entry("wait", "wait", "Wait until containers are wired, or print what waits inside one"),
    Entry("hook", "hooks", "Be the hook: for runtimes, state JSON on stdin"),
    Entry("status", "status", "Show doors, networks, containers and errors on one screen"),
    Entry("topology", "topology", "Draw networks and containers, and what is wrong with them"),
    Entry("top", "top", "Show what passes containers' interfaces each second"),
    Entry("metrics", "metrics", "Print figures for Prometheus, or put them in a file"),
    Entry("doctor", "doctor", "Say what stops containers' traffic, and what helps"),
    Entry("explain", "explain", "Follow a packet from one end to another, rule by rule"),
    Entry("check", "check", "Compare what is recorded with what is there, and repair it"),
    Entry("gc", "gc", "Remove what nobody holds any more"),
    Entry("uninstall", "uninstall", "Take back all that ocinet has registered, made and kept"),
    Entry("events", "events", "Show what was done, failed and repaired"),
    Entry("version", "version", "Show the version"),
)

GROUPS = {
    "network": "Define, list and remove networks",
    "link": "Link two containers with each other",
    "ipam": "See which address is whose",
    "reservation": "Keep addresses and host ports for containers' names",
    "hooks": "Register ocinet with runtimes",
    "runtime": "Have a runtime of Docker's give containers networks",
    "links": "Keep networkd and NetworkManager off ocinet's interfaces",
    "cluster": "Have containers of many hosts reach each other, by etcd",
    "firewalld": "Have firewalld let ocinet's bridges pass",
}

ALIASES = {
    "list": "ps",
    "ls": "ps",
    "info": "status",
    "reserve": "reservation",
    "network list": "network ls",
    "network remove": "network rm",
    "network delete": "network rm",
    "link list": "link ls",
    "link remove": "link rm",
    "link delete": "link rm",
    "reservation list": "reservation ls",
    "reservation remove": "reservation rm",
    "reservation delete": "reservation rm",
    "ipam list": "ipam ls",
    "hooks list": "hooks ls",
    "runtime list": "runtime ls",
}

EVERYONES = ("version", "hook")  # need no root: a hook has its own way to tell of it

EXIT_CODES = (
    (0, "done"),
    (1, "the kernel, a file or a tool failed"),
    (2, "the request or the command line is wrong"),
    (3, "a container, network or the like is not there"),
    (4, "an address, port or name is another one's"),
    (5, "no address or port is left"),
    (6, "a lock, or what was waited for, was not had in time"),
    (130, "interrupted"),
    (141, "the reader of the output went away"),
)


def resolve(arguments: list[str]) -> tuple[Entry | str, list[str]]:
    """Find the command that the first words name.

    Returns:
        The command and its arguments; or, where no command follows, a group's
        name ("" for all) and what stands there instead: `--help`, or nothing.

    Raises:
        RequestError: there is no such command; tells the nearest.
    """
    rest = [*arguments[1:], "--help"] if arguments[:1] == ["help"] else list(arguments)
    words = ""
    while rest and rest[0] not in ("-h", "--help"):
        word = rest.pop(0)
        longer = f"{words} {word}".strip()
        longer = ALIASES.get(longer, longer)
        known = {entry.words: entry for entry in ENTRIES}
        # Of `plan` and `plan link` the longer one; a container called link: plan -- link
        if longest := known.get(f"{longer} {rest[0]}" if rest else ""):
            return longest, rest[1:]
        if longer in known:
            return known[longer], rest
        if longer not in GROUPS:
            from ocinet.cli.words import verb_hint  # for who is told no

            program = f"ocinet {words}".strip()
            hint = verb_hint(longer) or did_you_mean(word, _below(words))
            hint = hint or f"see: {program} --help"
            raise RequestError("", f"there is no command '{program} {word}'", hint)
        words = longer
    return words, rest


def _below(group: str) -> list[str]:
    """Return the words that may follow a group's name, aliases left out."""
    if not group:
        return list(dict.fromkeys(entry.words.partition(" ")[0] for entry in ENTRIES))
    prefix = f"{group} "
    return [entry.words[len(prefix) :] for entry in ENTRIES if entry.words.startswith(prefix)]


def help_text(group: str) -> str:
    """Return the help of all commands ("") or of a group."""
    words = _below(group)
    program = f"ocinet {group}".strip()
    summaries = {entry.words: entry.summary for entry in ENTRIES} | GROUPS
    title = GROUPS.get(group, "Give a network to containers that have none of their own")
    lines = [f"Usage: {program} COMMAND", "", f"{title}.", "", "Commands:"]
    width = max(len(word) for word in words) + 2
    lines += [f"  {word:<{width}}{summaries[f'{group} {word}'.strip()]}" for word in words]
    if not group:
        lines += ["", "Exit codes:"]
        lines += [f"  {code:<{width}}{meaning}" for code, meaning in EXIT_CODES]
        lines += ["", "Examples:"]
        lines += [f"  {example}" for example in _EXAMPLES]
    lines += ["", f"Try '{program} COMMAND --help'."]
    return "\n".join(lines) + "\n"


_EXAMPLES = (
    "ocinet network create --subnet 10.9.0.0/24 lan",
    "ocinet hooks add /run/bundles/web --net lan -p 8080:80",
    "ocinet attach pid:4711 --name web --net lan:ip=10.9.0.5",
    "ocinet ps",
)
