"""Names of a network that lead to containers on other hosts, beside those of the containers here.

In the name server's file of a network they stand behind its head, before all lines of containers
here, which are added at the end:

    10.9.0.1
    @lan 10.9.0.1  host.ocinet.internal
    ~host2/4f0c… 10.9.1.2  web,4f0c91d1f1aa,own-names-end---…
    77b1… 10.9.0.2  db,77b100000000

Who has a name that one here and one elsewhere want: by the rules of `name_holders`, and of two
who are both called so already, as after both hosts were cut off from each other, the one that
came first. Both hosts find the same, each by the same lines.
"""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.dns_names import MOST_OF_LABEL, dns_name, is_taken
from ocinet.base.errors import RequestError
from ocinet.base.names import check_container
from ocinet.base.value import Value
from ocinet.engine.model.access import LAST_PORT, Allowance
from ocinet.engine.model.name_holders import OWN_END, Contested, in_line, own_part
from ocinet.engine.model.request import PROTOCOLS
from ocinet.engine.model.served import ELSEWHERE, ServedContainer, head_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MOST_NAMES = 64  # of a container
_NONE = "-"  # no name in the DNS begins so
_NAMES = 3  # the fourth word of a line


class Elsewhere(Value):
    """A container of a network that is on another host.

    Attributes:
        where: the host's name, for people, and for nobody else's.
        id: whole.
        addresses: its own on the network; at least one.
        own: what it calls itself, in lower case.
        aliases: what its user has it called besides.
        since: RFC 3339, when it came there.
        allow: to whom by name its user says that it may connect, where containers are kept apart.
        expose: who by name may connect to it there.
    """

    where: str
    id: str
    addresses: tuple[Address, ...]
    own: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    since: str = ""
    allow: tuple[Allowance, ...] = ()
    expose: tuple[Allowance, ...] = ()

    @property
    def key(self) -> str:
        """What stands for its id in a line: no container here is called so."""
        return f"{ELSEWHERE}{self.where}/{self.id}"

    @property
    def rank(self) -> tuple[str, str, str]:
        """Who has the lower one has the names that both want."""
        return (self.since, self.where, self.id)

    def check(self) -> Elsewhere:
        """Return it, or refuse it: what is said of other hosts comes from there.

        Raises:
            RequestError: a name is none that a container may have, or an id or a host is none.
        """
        check_container(self.where, "host")
        check_container(self.id)
        names = (*self.own, *self.aliases)
        if not self.addresses or not 0 < len(names) <= MOST_NAMES:
            raise RequestError("", f"{self.id} has no address, or not 1 to {MOST_NAMES} names")
        for name in names:
            # What a container calls itself may be digits alone, as the start of its id.
            is_legal = _is_label(name) if name in self.own else dns_name(name) == name
            if not is_legal or is_taken(name):
                raise RequestError("", f"{name[:80]!r} is no name of a container")
        if not set(self.since) <= _OF_TIMES or len(self.since) > len("2026-01-01T00:00:00.000Z"):
            raise RequestError("", f"{self.since[:40]!r} is no time")
        for wish in (*self.allow, *self.expose):
            _check_wish(wish)
        return self


class Merged(Value):
    """What a name server's file becomes.

    Attributes:
        text: with the lines of elsewhere, and without names that those here lose.
        contested: those names; the losers are here.
    """

    text: str
    contested: tuple[Contested, ...] = ()


_OF_LABELS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
_OF_TIMES = frozenset("0123456789-:.TZ")


def is_elsewhere(container_id: str) -> bool:
    """Tell whether an id in a line stands for a container on another host."""
    return container_id.startswith(ELSEWHERE)


def shown_elsewhere(key: str) -> str:
    """Return such an id for people.

    >>> shown_elsewhere("~host2/4f0c91d1f1aa2b")
    '4f0c91d1f1aa on host2'
    """
    where, _, container_id = key[len(ELSEWHERE) :].partition("/")
    return f"{container_id[:12]} on {where}"


def spelled(there: Iterable[Elsewhere]) -> str:
    """Return containers as they are kept, a line each; `read_elsewhere` reads them again."""
    return "".join(
        f"{each.where} {each.id} {_words(map(str, each.addresses))} {_words(each.own)}"
        f" {_words(each.aliases)} {each.since or _NONE}"
        f" {_words(map(str, each.allow))} {_words(map(str, each.expose))}\n"
        for each in there
    )


def read_elsewhere(text: str) -> tuple[Elsewhere, ...]:
    r"""Return what `spelled` wrote; a line that is none is left out.

    >>> read_elsewhere("h2 4f0c 10.9.1.2 web,4f0c - - db:5432/tcp -\nhalf of a l")[0].key
    '~h2/4f0c'
    """
    found = []
    for line in text.splitlines():
        words = ["" if word == _NONE else word for word in line.split(" ")]
        try:
            where, container_id, addresses, own, aliases, since, allow, expose = words
            at = tuple(map(Address.parse, addresses.split(",")))
            wishes = [tuple(map(read_wish, _listed(said))) for said in (allow, expose)]
        except (ValueError, RequestError):
            continue
        names = _listed(own), _listed(aliases)
        found.append(Elsewhere(where, container_id, at, *names, since, *wishes))
    return tuple(found)


def with_elsewhere(
    text: str,
    there: Iterable[Elsewhere],
    taken: Iterable[str] = (),
    came: Callable[[str], tuple[str, str, str]] | None = None,
) -> Merged:
    r"""Return a file's text with exactly these lines of elsewhere.

    >>> with_elsewhere("10.9.0.1\nid1 10.9.0.2  web,id1,db\n",
    ...     [Elsewhere("h2", "id2", (Address.parse("10.9.1.2"),), ("db",))]).text.splitlines()
    ['10.9.0.1', '~h2/id2 10.9.1.2  db,own-names-end-...', 'id1 10.9.0.2  web,id1']

    Args:
        text: of before, with a head.
        there: all on other hosts.
        taken: names that are the host's.
        came: returns the rank of a container here; None: who is here came first.
    """
    head = head_of(text)
    lines = [line for line in text[len(head) :].splitlines(keepends=True) if line[:1] != ELSEWHERE]
    here = _Here(lines)
    ordered = sorted(there, key=lambda each: each.rank)
    own = {each.key: here.settle_own(each, frozenset(taken), came) for each in ordered}
    far = "".join(_line(each, own[each.key], here.owners, taken) for each in ordered)
    return Merged(f"{head}{far}{here.text()}", tuple(here.contested))


class _Here:
    """The lines of who is here, as they lose names."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = {line.partition(" ")[0]: line for line in lines}
        self._lost: dict[str, set[str]] = {}
        self._ids = frozenset(self._lines)
        self.owners: dict[str, str] = {}
        self.contested: list[Contested] = []
        self._aliases: dict[str, list[str]] = {}
        for container_id, line in self._lines.items():
            names = _names_of(line)
            own = own_part(container_id, names)
            self.owners.update((name, container_id) for name in own)
            for name in names[len(own) :]:
                self._aliases.setdefault(name, []).append(container_id)

    def settle_own(
        self,
        each: Elsewhere,
        taken: frozenset[str],
        came: Callable[[str], tuple[str, str, str]] | None,
    ) -> tuple[str, ...]:
        """Return the own names that one elsewhere gets, having taken them from those here."""
        got = []
        for name in each.own:
            holder = self.owners.get(name, "")
            if name in taken or (holder and not self._came_later(holder, each, came)):
                continue
            for loser in filter(None, (holder, *self._aliases.pop(name, ()))):
                self._lost.setdefault(loser, set()).add(name)
                self.contested.append(Contested(name, each.key, loser))
            self.owners[name] = each.key
            got.append(name)
        return tuple(got)

    def _came_later(
        self, holder: str, each: Elsewhere, came: Callable[[str], tuple[str, str, str]] | None
    ) -> bool:
        return came is not None and holder in self._ids and came(holder) > each.rank

    def text(self) -> str:
        """Return the lines as they are by now."""
        return "".join(
            _without(line, self._lost[container_id]) if container_id in self._lost else line
            for container_id, line in self._lines.items()
        )


def _line(
    each: Elsewhere, own: tuple[str, ...], owners: Mapping[str, str], taken: Iterable[str]
) -> str:
    aliases = (name for name in each.aliases if name not in owners and name not in taken)
    names = tuple(dict.fromkeys((*own, *aliases)))
    if not names:
        return ""
    return ServedContainer(each.key, each.addresses, in_line(each.key, own, names)).line


def _names_of(line: str) -> tuple[str, ...]:
    words = line.rstrip("\n").split(" ")
    return tuple(words[_NAMES].split(",")) if len(words) > _NAMES else ()


def _without(line: str, lost: set[str]) -> str:
    """Return a line without some names; what has no name at all is no line."""
    words = line.rstrip("\n").split(" ")
    names = tuple(words[_NAMES].split(","))
    own = tuple(name for name in own_part(words[0], names) if name not in lost)
    left = tuple(name for name in names if name not in lost and name != OWN_END)
    words[_NAMES] = ",".join(in_line(words[0], own, left))
    return " ".join(words) + "\n" if left else ""


def read_wish(text: str) -> Allowance:
    """Read one thing that is allowed with somebody by name.

    >>> str(read_wish("web:80-90/tcp")), read_wish("web").last
    ('web:80-90/tcp', 65535)

    Raises:
        RequestError: it is none.
    """
    name, _, ports = text.partition(":")
    if not ports:
        return Allowance(name)
    ports, _, protocol = ports.partition("/")
    first, _, last = ports.partition("-")
    if not (first.isdecimal() and (last or first).isdecimal() and len(ports) <= len("65535-65535")):
        raise RequestError("", f"{text[:80]!r} has no ports")
    return Allowance(name, None, protocol, int(first), int(last or first))


def _is_label(name: str) -> bool:
    """Tell whether it is one as `plan.served_names.label` returns them."""
    return 0 < len(name) <= MOST_OF_LABEL and name[0] not in "-_" and _OF_LABELS.issuperset(name)


def _check_wish(wish: Allowance) -> None:
    check_container(wish.name, "name of a container")
    everything = (wish.first, wish.last) == (0, LAST_PORT)
    if wish.subnet or not (everything if not wish.protocol else wish.protocol in PROTOCOLS):
        raise RequestError("", f"{str(wish)[:80]!r} is nothing that is allowed by name")
    if not 0 <= wish.first <= wish.last <= LAST_PORT:
        raise RequestError("", f"{str(wish)[:80]!r} has no ports")


def _words(words: Iterable[str]) -> str:
    return ",".join(words) or _NONE


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()
