"""How our table is made, but for its elements: a digest of what the kernel has of it.

The same text makes the same chains, rules and sets each time; handles, counts of users and
what newer kernels add are left out. So a table that has the digest that it had when it was
made, or was last compared by nft, is as it was made: four questions tell, where nft takes
100 ms. Cold: for who finds that others have changed something.
"""

from __future__ import annotations

from _blake2 import blake2s

from ocinet.engine.firewall.nfnetlink import FAMILY_HEADER_SIZE, NFPROTO, family_header
from ocinet.engine.netlink.framing import NLM_F_DUMP, attribute, attributes, message
from ocinet.engine.ruleset.nft import table_text
from ocinet.engine.ruleset.tables import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.firewall.netfilter import NetfilterSocket

_GETCHAIN, _GETRULE, _GETSET = (10 << 8 | kind for kind in (4, 7, 10))
_TABLE = 1
# What is kept of each, of NFTA_CHAIN_*, NFTA_RULE_* and NFTA_SET_*: name, hook, policy, type and
# flags; chain and expressions; name, flags, the key's and the data's type and length, and what
# they are put together of. The first one says whether it is ours.
_KEPT = (
    (_GETCHAIN, (3, 4, 5, 7, 10)),
    (_GETRULE, (2, 4)),
    (_GETSET, (2, 3, 4, 5, 6, 7, 9)),
)


def shape_of(socket: NetfilterSocket, table: str = TABLE, text: str = "") -> str:
    """Return the digest of our table; of one that is not there, that of nothing.

    Args:
        socket: to ask through.
        table: another one of the family inet.
        text: that makes that one.

    Raises:
        KernelError: the kernel refused to answer.
    """
    digest = blake2s(digest_size=16)
    ours = _names(text or table_text())
    name = table.encode() + b"\0"
    for kind, kept in _KEPT:
        body = family_header(NFPROTO["inet"]) + attribute(_TABLE, name)
        for answer in socket.dump(message(kind, NLM_F_DUMP, 0, body)):
            found = attributes(answer, FAMILY_HEADER_SIZE)
            # Chains are told of all tables of the family; and what is there besides is no flaw.
            if found.get(_TABLE) != name or found.get(kept[0]) not in ours:
                continue
            for which in kept:
                value = found.get(which, b"")
                digest.update(b"%d %d %d:" % (kind, which, len(value)) + value)
    return digest.hexdigest()


def _names(text: str) -> frozenset[bytes]:
    """Return what the chains, sets and maps are called that a text makes."""
    heads = (line.split() for line in text.splitlines() if line[:1] == "\t")
    return frozenset(
        head[1].encode() + b"\0" for head in heads if head[:1] in (["chain"], ["set"], ["map"])
    )


def text_digest() -> str:
    """Return which text makes our table now: that of another version makes another one."""
    return blake2s(table_text().encode(), digest_size=16).hexdigest()
