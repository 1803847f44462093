"""What a container's `/etc/hosts` and `/etc/resolv.conf` are to hold.

As podman has it on networks of its own: both are made anew and cover the image's; the
resolvers are the host's, but for those that only the host itself can reach. A file that
the engine has mounted for the container is the engine's: there its own lines stay, and
`/etc/resolv.conf` as a whole, unless the user wishes other resolvers. One that the
container's user has mounted is the user's.
"""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.errors import RequestError
from ocinet.base.value import Value
from ocinet.engine.model.naming import HOSTS, RESOLV_CONF, FoundFile, FoundFiles, NameFile, Place
from ocinet.engine.plan.name_steps import WriteNames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.model.resolution import Resolution

_LOCALHOST = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
_HEAD = "# From here on by ocinet, which makes it anew.\n"
_OTHERS = "# Others "
_AS_BY_NOW = ", as ocinet finds them by now.\n"
BY_LINKS = "by links"
# Docker's, where the host asks itself alone.
_NOBODYS_CHOICE = frozenset(("8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844"))
_LOCAL = frozenset({"localhost", "ip6-localhost", "ip6-loopback"})


class Named(Value):
    """What names are made of.

    Attributes:
        place: whose files they are.
        endpoints: of the container, or of the one whose sandbox it shares.
        internal: whether nothing outside can be reached by them.
        wishes: of the container's user.
        host: the host's own addresses, as the container reaches it.
        others: lines of those that it has links to.
        resolvers: name servers of its networks, which know who is on them, and ask others.
    """

    place: Place
    endpoints: tuple[Endpoint, ...]
    internal: bool = False
    wishes: Resolution | None = None
    host: tuple[Address, ...] = ()
    others: tuple[str, ...] = ()
    resolvers: tuple[Address, ...] = ()


def plan_name_files(
    named: Named, found: FoundFiles
) -> tuple[tuple[WriteNames, ...], tuple[str, ...]]:
    """Return the step that writes what is not so already, and what is to be told."""
    told = [flaw.why for flaw in (found.hosts, found.resolv_conf) if flaw.why]
    is_theirs = found.hosts.state == "left" or is_filled_later(found)
    files = () if is_theirs else _hosts(named, found.hosts)
    if found.resolv_conf.state in ("free", "ours"):
        files += _resolv_conf(named, found, told)
    elif found.resolv_conf.state == "engine":
        files += _engines_resolv_conf(named, found)
    if named.wishes:
        from ocinet.engine.plan.wished_names import flaws

        told += flaws(
            named.wishes,
            found,
            host=named.host,
            families=families_of(named.endpoints),
        )
    steps = (WriteNames(named.place, files),) if files else ()
    return steps, tuple(told)


def is_filled_later(found: FoundFiles, *, refilled: bool = False) -> bool:
    """Tell a hosts file that its engine has yet to write, so that what were in it would be gone.

    podman 5.4 does so after its hooks, with the container's own name at 127.0.0.1. Docker 26
    writes it anew between create and start.

    Args:
        found: what there is.
        refilled: whether it is known that an engine's file is written once more.
    """
    return found.hosts.state == "engine" and (refilled or not found.hosts.text)


def _hosts(named: Named, found: FoundFile) -> tuple[NameFile, ...]:
    addresses = tuple(
        str(held.address) for endpoint in named.endpoints for held in endpoint.addresses
    )
    names = tuple(name for name in named.place.names if name not in _LOCAL)
    added: Iterable[str] = ()
    if named.wishes:
        from ocinet.engine.plan.wished_names import added_lines

        added = added_lines(named.wishes, named.host)
    former, others = _parted(found.text)
    text = hosts_text(former, names, addresses, added)
    if named.endpoints:
        text = with_others(text + others, BY_LINKS, named.others)
    return _changed(HOSTS, text, _LOCALHOST, found)


def _resolv_conf(named: Named, found: FoundFiles, told: list[str]) -> tuple[NameFile, ...]:
    wishes = named.wishes
    directives = _directives(found.behind_stub or found.resolvers)
    servers = _reachable(directives["nameserver"], families_of(named.endpoints))
    asked = wishes.servers if wishes else ()
    if not servers and not asked and not named.internal and not named.resolvers:
        told.append(
            "the host's /etc/resolv.conf has no resolver that the container could reach, so it"
            " resolves no names: name one by ocinet.dns"
        )
    directives["nameserver"] = [] if named.internal else list(servers)
    if wishes:
        from ocinet.engine.plan.wished_names import changed

        directives = changed(directives, wishes)
    if named.resolvers:
        directives = _by_server(directives, named, found)
    return _changed(RESOLV_CONF, resolv_text(directives), _HEAD, found.resolv_conf)


def _by_server(
    directives: dict[str, list[str]], named: Named, found: FoundFiles
) -> dict[str, list[str]]:
    """Return a resolv.conf's directives with the name servers of networks for those to ask.

    Names are asked for as they are before any domain of the search list is put behind them
    (ndots:0), as Docker has it: else somebody who makes web.corp.example would be asked for
    first by who means the container web (CVE-2025-8283). A user who says ndots has his way.

    On an internal network nobody knows the domains of the host's search list; and aardvark-dns
    before 1.11 says nothing to what it may ask nobody for, which a libc waits for: glibc ten
    seconds for each unknown name, measured, and two of this.
    """
    wishes = named.wishes
    search = directives.get("search", [])
    ours = {"ndots": "ndots:0"}
    if named.internal:
        ours["timeout"] = "timeout:1"
        if not (wishes and wishes.search) and search in _of_host("search", found):
            search = []
    for option in wishes.options if wishes else ():
        if _kind(option) in ours:
            ours[_kind(option)] = option
    others = [each for each in directives.get("options", []) if _kind(each) not in ours]
    return {
        **directives,
        "search": search,
        "options": [*ours.values(), *others],
        "nameserver": [str(server) for server in named.resolvers],
    }


def _kind(option: str) -> str:
    return option.partition(":")[0]


def _engines_resolv_conf(named: Named, found: FoundFiles) -> tuple[NameFile, ...]:
    """Have an engine's file say what is wished, or what it said before it was."""
    wishes, file = named.wishes, found.resolv_conf
    said = wishes and (wishes.servers or wishes.search or wishes.options)
    if not said and not named.resolvers and _HEAD not in file.text:
        return ()
    from ocinet.engine.plan.wished_names import changed, keep, kept

    text = before = kept(file.text)
    directives = _directives(before)
    served = bool(named.resolvers) and (
        bool(wishes and wishes.servers) or _are_hosts(directives["nameserver"], found)
    )
    if wishes and said:
        directives = changed(directives, wishes)
    if served:
        directives = _by_server(directives, named, found)
    if said or served:
        text = resolv_text(directives) + keep(before)
    return _changed(RESOLV_CONF, text, _HEAD, file)


def _are_hosts(servers: list[str], found: FoundFiles) -> bool:
    """Tell whether an engine has a container ask whom the host asks, or whom nobody chose.

    Others are its user's, as by `docker run --dns`, or its administrator's.
    """
    hosts = frozenset().union(*_of_host("nameserver", found))
    return set(servers) <= hosts | _NOBODYS_CHOICE


def _of_host(keyword: str, found: FoundFiles) -> list[list[str]]:
    """Return what the host's own files say by a keyword, each."""
    return [_directives(text).get(keyword, []) for text in (found.resolvers, found.behind_stub)]


def _changed(path: str, text: str, bare: str, found: FoundFile) -> tuple[NameFile, ...]:
    """Return a file as it is to be, if it is not so; bare: what it goes back to if it is new."""
    if text == found.text:
        return ()
    return (NameFile(path, text, found.text or bare, found.state == "free" or found.fixed),)


def hosts_text(
    others: str, names: tuple[str, ...], addresses: tuple[str, ...], added: Iterable[str] = ()
) -> str:
    r"""Return a hosts file in which a container has its own addresses.

    >>> hosts_text("127.0.0.1 localhost\n127.0.0.1 4f0c web\n", ("4f0c", "web"), ("10.9.0.2",))
    '127.0.0.1 localhost\n# From here on by ocinet, which makes it anew.\n10.9.0.2\t4f0c web\n'

    Args:
        others: the lines of an engine, which stay but for those that name the container,
            as podman's of a container without a network do, at 127.0.0.1.
        names: the container's; none are wanted if it has no address.
        addresses: the container's.
        added: lines of other names.
    """
    own = frozenset(names)
    above, _, below = others.partition(_HEAD)
    head = [line for line in above.splitlines() if not _is_of(line, own)]
    text = "".join(f"{line}\n" for line in head) or _LOCALHOST
    lines = [f"{address}\t{' '.join(names)}\n" for address in addresses if names]
    # Whoever shares a sandbox has the same file from Docker and podman: each adds its own names.
    lines += [
        f"{line}\n"
        for line in below.splitlines()
        if line.partition("\t")[0] in addresses and not _is_of(line, own)
    ]
    lines += added
    return f"{text}{_HEAD}{''.join(dict.fromkeys(lines))}" if lines else text


def with_others(text: str, topic: str, lines: tuple[str, ...]) -> str:
    r"""Return a hosts file with lines of other containers at its end, in the place of former ones.

    >>> text = with_others("::1 localhost", "by links", ("10.9.0.2\tdb\n",))
    >>> with_others(text, "on lan", ("10.9.0.3\tweb\n",)).endswith("\n10.9.0.3\tweb\n")
    True
    >>> with_others(text, "by links", ())
    '::1 localhost\n'

    Args:
        text: with those of other topics, which stay.
        topic: `BY_LINKS`, or `on NETWORK`.
        lines: none takes the topic away.
    """
    own, others = _parted(text)
    own += "" if own.endswith("\n") or not own else "\n"
    title = f"{_OTHERS}{topic}{_AS_BY_NOW}"
    before, _, rest = others.partition(title)
    after = _parted(rest)[1]
    return f"{own}{before}{title if lines else ''}{''.join(dict.fromkeys(lines))}{after}"


def lines_of(text: str, topic: str) -> str:
    r"""Return the lines of others that a hosts file has for a topic.

    >>> lines_of(with_others("", "by links", ("10.9.0.2\tdb\n",)), "by links")
    '10.9.0.2\tdb\n'
    """
    rest = _parted(text)[1].partition(f"{_OTHERS}{topic}{_AS_BY_NOW}")[2]
    return _parted(rest)[0]


def _parted(text: str) -> tuple[str, str]:
    """Return what a hosts file has before the lines of others, and these."""
    at = 0 if text.startswith(_OTHERS) else text.find(f"\n{_OTHERS}") + 1
    return (text, "") if not at and not text.startswith(_OTHERS) else (text[:at], text[at:])


def _is_of(line: str, own: frozenset[str]) -> bool:
    """Tell whether a line of a hosts file names a container, and nobody else."""
    words = line.partition("#")[0].split()
    return len(words) > 1 and own.issuperset(words[1:]) and not _LOCAL.intersection(words)


def resolv_text(directives: Mapping[str, list[str]]) -> str:
    """Return a resolv.conf: a search list, options, and the servers that are asked."""
    lines = [_HEAD.rstrip()]
    for keyword in ("search", "options"):
        if directives.get(keyword):
            lines.append(f"{keyword} {' '.join(directives[keyword])}")
    lines += [f"nameserver {server}" for server in directives.get("nameserver", ())]
    return "\n".join(lines) + "\n"


def _directives(text: str) -> dict[str, list[str]]:
    """Return what a resolv.conf says, by keyword: servers, search list and options."""
    directives: dict[str, list[str]] = {"nameserver": []}
    for words in _lines(text):
        if words[0] == "nameserver":
            directives["nameserver"] += words[1:2]
        elif len(words) > 1:
            # The last line of each kind counts: resolv.conf(5). `domain` is a search list of one.
            keyword = "search" if words[0] == "domain" else words[0]
            directives[keyword] = words[1:]
    return directives


def _reachable(resolvers: Iterable[str], families: frozenset[int]) -> tuple[str, ...]:
    """Return those of the host's resolvers that a container can ask, each once, in their order.

    Not those at a loopback address, which would be the container's own, nor those on one
    of the host's links (`fe80::1%eth0`), nor those of a family that it has no address of.
    """
    servers: dict[str, None] = {}
    for text in resolvers:
        try:
            address = Address.parse(text)
        except RequestError:
            continue
        near = address.is_loopback or address.is_link_local
        if not near and address.family in families:
            servers[str(address)] = None
    return tuple(servers)


def families_of(endpoints: tuple[Endpoint, ...]) -> frozenset[int]:
    """Return the families that a container has addresses of."""
    return frozenset(
        interface.address.family for endpoint in endpoints for interface in endpoint.addresses
    )


def _lines(text: str) -> list[list[str]]:
    lines = (line.split() for line in text.splitlines() if line[:1] not in "#;")
    return [words for words in lines if words]
