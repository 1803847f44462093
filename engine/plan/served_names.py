"""By which names a container is found on a network: what the network's name server answers to.

Each is one label, in lower case, as a resolver asks for it: one with a dot could stand
for a name of the public's, and what is no label could not be asked for.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment

_ID_SHOWN = 12  # of an id, what engines show, and have for a hostname
_LABEL_MAX = 63  # RFC 1035
_FIRST = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_REST = _FIRST | frozenset("-_")
# A resolver answers these itself, to whoever asks: a container that had one would be another
# thing to each (RFC 6761).
_NOBODYS = frozenset(("localhost",))


def served_names(record: Attachment, network: str) -> tuple[str, ...]:
    """Return the names that a container is served by on one of its networks, each once.

    None, if it is not on that network. The first one is what an address is told to be.

    Args:
        record: of the sandbox; its owner's names are the sandbox's.
        network: its name.
    """
    if all(endpoint.network != network for endpoint in record.endpoints):
        return ()
    container = record.container
    candidates = (label(container.name), label(container.id[:_ID_SHOWN]))
    return tuple(dict.fromkeys(filter(None, candidates)))


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
        and low not in _NOBODYS
    )
    return low if legal else ""
