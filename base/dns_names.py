"""Which names of containers are legal in the DNS, and what they are there.

Names are input: labels, flags and hostnames are written by whoever starts containers, and
what is served stands in files whose lines are made of words. So what comes out of here is
of lower-case letters, digits, `-`, `_` and dots alone.
"""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.base.names import TAKEN_NAMES

MOST, MOST_OF_LABEL = 253, 63  # RFC 1035 2.3.4: of a name without its last dot, of a label
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
_HEX = frozenset("0123456789abcdef")
# Below these: of the host, and what name servers answer to besides; and the asking machine itself.
_TAKEN_DOMAINS = (".ocinet.internal", ".localhost", ".localhost.localdomain")


def dns_name(text: str, what: str = "name of a host") -> str:
    r"""Return a name as it is asked for: in lower case, without a last dot, as A-labels.

    >>> dns_name("DB"), dns_name("db.Example."), dns_name("b\u00fccher")
    ('db', 'db.example', 'xn--bcher-kva')

    Args:
        text: as somebody wrote it.
        what: it is to be, for the error.

    Raises:
        RequestError: it is empty, too long, has a character or a label that no name has, or
            would be read as an address.
    """
    name = text.removesuffix(".")
    name = name.lower() if name.isascii() else _to_ascii(name, text, what)
    labels = name.split(".")
    if len(name) > MOST or any(len(label) > MOST_OF_LABEL for label in labels):
        raise _refused(
            text, what, f"use {MOST_OF_LABEL} characters between dots at most, and {MOST} in all"
        )
    if not all(label and _LETTERS.issuperset(label) and label[0] != "-" for label in labels):
        raise _refused(text, what, "use letters, digits, -, _ and dots between them")
    if _is_number(labels[-1]):
        raise _refused(text, what, "its last part is a number, so it would be read as an address")
    return name


def check_given(name: str) -> str:
    """Return a name that a container may be given by its user.

    Args:
        name: as `dns_name` returns it.

    Raises:
        RequestError: it means the host, or a machine itself, wherever it is asked for.
    """
    if is_taken(name):
        raise RequestError("", f"{name} means the host or the asking machine itself",
                           "take another name")  # fmt: skip
    return name


def is_taken(name: str) -> bool:
    """Tell a name that no container may have, whatever the host is called.

    What that is called is judged where a name is served (`hostname.names_of_host`), for it may
    change.

    >>> is_taken("localhost"), is_taken("db.localhost"), is_taken("ocinet.internal")
    (True, True, True)

    Args:
        name: as `dns_name` returns it.
    """
    return name in TAKEN_NAMES or f".{name}".endswith(_TAKEN_DOMAINS)


def _is_number(label: str) -> bool:
    """Tell what inet_aton(3), and with it getaddrinfo, takes for the end of an address."""
    return label.isdigit() or (label[:2] == "0x" and _HEX.issuperset(label[2:]))


def _to_ascii(name: str, text: str, what: str) -> str:
    if len(text) > MOST:  # nameprep takes its time over thousands of characters
        raise _refused(text, what, f"use {MOST} characters at most")
    # With its tables, stringprep and unicodedata, for those alone who need it.
    import encodings.idna  # noqa: F401  # by the codec below

    try:
        return name.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise _refused(text, what, "it has no form in the DNS (IDNA)") from error


def _refused(text: str, what: str, hint: str) -> RequestError:
    shown = text if len(text) <= 60 else f"{text[:60]}…"
    return RequestError("", f"{shown!r} is no {what}", hint)
