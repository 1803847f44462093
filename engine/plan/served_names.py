"""By which names a container is found on a network: what the network's name server answers to.

Each is in lower case, as a resolver asks for it. What a container calls itself, its name and
its hostname, counts where it is one label: with a dot it could stand for a name of the
public's. An alias is its user's word, and may have dots.
"""

from __future__ import annotations

from ocinet.base.names import SHOWN_ID, TAKEN_NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment

_LABEL_MAX = 63  # RFC 1035
_FIRST = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_REST = _FIRST | frozenset("-_")


def served_names(record: Attachment, network: str) -> tuple[str, ...]:
    """Return the names that a container is served by on one of its networks, each once.

    None, if it is not on that network. The first one is what an address is told to be. Its
    own come first, what follows are aliases.

    Args:
        record: of the sandbox; its owner's names are the sandbox's.
        network: its name.
    """
    if all(endpoint.network != network for endpoint in record.endpoints):
        return ()
    return tuple(dict.fromkeys((*own_names(record), *aliases_on(record, network))))


def own_names(record: Attachment) -> tuple[str, ...]:
    """Return what a container calls itself, as far as it can be served; the id's start last."""
    container, wished = record.container, record.resolution
    hostname = wished.hostname if wished else ""
    candidates = (label(container.name), label(hostname), label(container.id[:SHOWN_ID]))
    return tuple(dict.fromkeys(filter(None, candidates)))


def aliases_on(record: Attachment, network: str) -> tuple[str, ...]:
    """Return what a container's user has it called on a network besides."""
    wished = record.resolution
    if wished is None:
        return ()
    return tuple(alias.name for alias in wished.aliases if alias.network in ("", network))


def unserved_names(record: Attachment) -> tuple[str, ...]:
    """Tell what a container calls itself and is not found by, with what to do."""
    wished = record.resolution
    told = []
    for what, name in (("name", record.container.name), ("hostname", wished and wished.hostname)):
        if name and not label(name):
            why = "has a dot, and may be a public one" if "." in name else "is none in the DNS"
            told.append(
                f"nobody finds it by its {what} {name}, which {why}: say it by ocinet.alias,"
                " as far as it is legal there"
            )
    return tuple(told)


def label(name: str) -> str:
    """Return a name as one label that can be served; "" if it is none.

    >>> label("Web_1"), label("web.example"), label("-x"), label("localhost")
    ('web_1', '', '', '')
    """
    low = name.lower()
    legal = (
        name.isascii()  # the sign of kelvin in lower case is a k
        and 0 < len(low) <= _LABEL_MAX
        and low[0] in _FIRST
        and _REST.issuperset(low)
        and low not in TAKEN_NAMES  # it would be another thing to whoever asks
    )
    return low if legal else ""
