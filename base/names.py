"""Which names are legal, and what was probably meant by one that is not known.

Names become parts of paths, so they are matched in full before anything else
is done with them. Written out by hand because importing `re` costs 6 ms.
"""

from __future__ import annotations

from ocinet.base.errors import RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_ALNUM = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_IFNAME_MAX = 15
SHOWN_ID = 12  # characters of a container's id that engines show, and give it for a hostname
# What resolvers answer themselves, to each machine with itself or with its own gateway
# (RFC 6761 6.3, nss-myhostname(8), /etc/hosts as distributions ship it), or what engines call
# the host in their containers.
TAKEN_NAMES = frozenset({
    "localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback",
    "localhost4", "localhost4.localdomain4", "localhost6", "localhost6.localdomain6",
    "_gateway", "_outbound", "_localdnsstub", "_localdnsproxy",
    "host.docker.internal", "gateway.docker.internal", "host.containers.internal",
})  # fmt: skip
RESERVED_NETWORKS = ("host", "none", "container", "default")


def _legal(name: str, first: frozenset[str], rest: frozenset[str], longest: int) -> bool:
    return 0 < len(name) <= longest and name[0] in first and rest.issuperset(name[1:])


def check_container(name: str, what: str = "container id") -> str:
    """Return a container's id or name that is safe as a file name.

    Raises:
        RequestError: it does not match `[A-Za-z0-9][A-Za-z0-9_.+-]{0,199}`.
    """
    if not _legal(name, _ALNUM, _ALNUM | frozenset("_.+-"), 200):
        raise RequestError(
            "", f"{name[:220]!r} is no {what}", "use letters, digits and _.+-, 200 at most"
        )
    return name


def is_hostname(name: str) -> bool:
    """Tell whether a name may stand in a hosts file: a hostname, or what engines take for one."""
    return _legal(name, _ALNUM, _ALNUM | frozenset("_.-"), 253)


def check_network(name: str) -> str:
    """Return a network's name that is legal and not reserved.

    Raises:
        RequestError: it does not match `[a-z0-9][a-z0-9_.-]{0,62}`, or means a mode.
    """
    if not _legal(name, _LOWER, _LOWER | frozenset("_.-"), 63):
        raise RequestError(
            "",
            f"{name[:80]!r} is no network name",
            "use lower-case letters, digits and _.-, 63 at most",
        )
    if name in RESERVED_NETWORKS:
        raise RequestError("", f"the network name {name!r} is reserved for a mode")
    return name


def check_ifname(name: str) -> str:
    """Return an interface name that the kernel takes (dev_valid_name).

    Raises:
        RequestError: it is empty, too long, `.`, `..`, `lo`, or has a `/`, `:`,
            blank or character outside ASCII; or a `%`, for the kernel takes
            `eth%d` for a pattern and makes up a name of its own; or a `"`, `*` or
            backslash, which nft's language has no way to write.
    """
    bad = (
        not 0 < len(name) <= _IFNAME_MAX
        # The last two stand beside links in /proc/sys/net/ipv4/conf, and are none.
        or name in (".", "..", "lo", "all", "default")
        or not name.isascii()
        or any(letter in '/:%"*\\' or letter <= " " or letter == "\x7f" for letter in name)
    )
    if bad:
        raise RequestError(
            "",
            f"{name[:40]!r} is no interface name",
            f'use {_IFNAME_MAX} characters at most, no blank or any of /:%*"\\',
        )
    return name


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known words, or "" if none is near."""
    from difflib import get_close_matches

    near = get_close_matches(name, list(dict.fromkeys(known)), 3, 0.6)
    return f"did you mean {' or '.join(near)}?" if near else ""
