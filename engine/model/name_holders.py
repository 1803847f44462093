"""Who has which name on a network: judged by the lines that its name server is fed with.

    ID    IPv4[,…] IPv6[,…] name[,…][ …]

A container's own names, what it calls itself and the start of its id, stand first in its line,
the last of them the start of its id; what follows are aliases. Where that start is not its own,
as another one is called so or it is no label, `OWN_END` stands behind them. So whose a name is,
and what for, the line tells, and no record is read. Rules:

    a name that is another's own      stays that one's: the first who has it keeps it
    an own name, another's alias      goes over: what a container is called is known by all
    an alias, others' alias           all of them answer
"""

from __future__ import annotations

from ocinet.base.names import SHOWN_ID
from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Between own names and aliases. Longer than a label may be: so no container can have it, nobody can
# ask for it, and aardvark-dns leaves it out where it tells an address's names (1.4, 1.14, 1.17).
OWN_END = "own-names-end".ljust(64, "-")
_NAMES = 3  # the fourth word of a line


class Contested(Value):
    """A name that two containers of a network want.

    Attributes:
        name: as it is asked for.
        holder: the id of the one that has it now.
        loser: the id of the one that has it not.
    """

    name: str
    holder: str
    loser: str


class Holding(Value):
    """What a container gets of the names that it is to have.

    Attributes:
        text: the lines, without what others have to give up.
        names: that it gets, in their order, as in a line.
        contested: those that it does not get, and those that others give up.
    """

    text: str
    names: tuple[str, ...]
    contested: tuple[Contested, ...] = ()


def settle_names(
    text: str, container_id: str, names: tuple[str, ...], taken: tuple[str, ...] = ()
) -> Holding:
    r"""Return which of its names a container gets on a network.

    >>> settle_names("10.9.0.1\nid1 10.9.0.2  web,id1,db\n", "id2", ("db", "id2", "web"))
    ... # doctest: +NORMALIZE_WHITESPACE
    Holding(text='10.9.0.1\nid1 10.9.0.2  web,id1\n', names=('db', 'id2'),
            contested=(Contested(name='db', holder='id2', loser='id1'),
                       Contested(name='web', holder='id1', loser='id2')))

    Args:
        text: the network's lines, its head among them.
        container_id: whole.
        names: that it is to have, as `in_line` returns them.
        taken: names that are the host's.
    """
    own = own_part(container_id, names)
    got: list[str] = []
    contested: list[Contested] = []
    for name in names:
        if name == OWN_END:
            continue
        if name in taken:
            contested.append(Contested(name, "", container_id))
            continue
        others = [line for line in _lines_with(text, name) if _id_of(line) != container_id]
        holder = next((line for line in others if name in _own_of(line)), "")
        if holder:
            contested.append(Contested(name, _id_of(holder), container_id))
            continue
        got.append(name)
        for line in others if name in own else ():
            contested.append(Contested(name, container_id, _id_of(line)))
            text = text.replace(line, _without(line, name), 1)
    got_own = tuple(name for name in got if name in own)
    return Holding(text, in_line(container_id, got_own, tuple(got)), tuple(contested))


def in_line(container_id: str, own: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names as they stand in a line: so that `own_part` finds out which are the own ones.

    >>> in_line("web-prod-1-of-2", ("web",), ("web", "db"))
    ('web', 'own-names-end---------------------------------------------------', 'db')

    Args:
        container_id: whole.
        own: those that are its own.
        names: all, its own first.
    """
    if own_part(container_id, names) == own:
        return names
    return (*own, OWN_END, *names[len(own) :])


def own_part(container_id: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of a line's names that are its container's own.

    Of a line of ocinet's before there was `OWN_END`, none where the start of its id was not its.
    """
    if OWN_END in names:
        return names[: names.index(OWN_END)]
    short = container_id[:SHOWN_ID].lower()
    return names[: names.index(short) + 1] if short in names else ()


def _lines_with(text: str, name: str) -> Iterator[str]:
    """Yield the lines in which a name stands, each with its line feed."""
    # Looked for as a text: of a thousand lines, few are taken apart.
    at = text.find(name)
    while at >= 0:
        begin, end = text.rfind("\n", 0, at) + 1, text.find("\n", at) + 1 or len(text)
        line = text[begin:end]
        if begin and name in _names_of(line):
            yield line
        at = text.find(name, end)


def _names_of(line: str) -> tuple[str, ...]:
    words = line.rstrip("\n").split(" ")
    return tuple(words[_NAMES].split(",")) if len(words) > _NAMES else ()


def _own_of(line: str) -> tuple[str, ...]:
    return own_part(_id_of(line), _names_of(line))


def _id_of(line: str) -> str:
    return line.partition(" ")[0]


def _without(line: str, name: str) -> str:
    """Return a line without an alias; who has no name any more has its line still, to ask by."""
    words = line.rstrip("\n").split(" ")
    left = [each for each in words[_NAMES].split(",") if each != name]
    words[_NAMES] = ",".join(left) or OWN_END
    return " ".join(words) + "\n"
