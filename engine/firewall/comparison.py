"""What our table lacks: compared with the same text, loaded where nobody else is.

nft prints what it has in its own words, which change with its version. So what is expected
is put into an empty network namespace for a moment and printed by the same nft: two lists
that can be compared as they are. Cold: imported where it is needed, off the hook's path.
"""

from __future__ import annotations

import json
from typing import Any

from ocinet.base.errors import SystemFailure
from ocinet.engine.firewall import programs
from ocinet.engine.ruleset.nft import rebuild_text
from ocinet.engine.ruleset.tables import FAMILY, TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.clock import Deadline
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.forward_guard import ForwardGuard
    from ocinet.engine.model.network import NetworkRules
    from ocinet.engine.ruleset.elements import Element

    # By what they are called: what they are, and what is in them, in nft's words.
    Listing = dict[str, tuple[object, list[str]]]

_LONGEST = 1 << 26  # bytes: some hundred thousand ports


def flaws(
    networks: tuple[NetworkRules, ...],
    ports: tuple[PortRule, ...],
    guards: tuple[ForwardGuard, ...],
    access: tuple[Element, ...],
    deadline: Deadline | None,
) -> tuple[str, ...]:
    """Return what our table lacks of networks and ports, and what of it is otherwise, by line.

    Elements that it has besides are none: somebody may just have entered them.

    Args:
        networks: that are to be in.
        ports: that are to be in.
        guards: that are to be in.
        access: elements of who may talk to whom, that are to be in.
        deadline: of the operation.

    Effects: runs `nft`, once in a network namespace that is gone afterwards.

    Raises:
        NotFoundError: nft or unshare is not installed.
        SystemFailure: one of them failed, or the table is not there.
    """
    nft = programs.find("nftables", "nft")
    listing = f"{nft} --json list table {FAMILY} {TABLE}"
    there = programs.run(tuple(listing.split()), "", deadline, longest=_LONGEST)
    scratch = (programs.find("util-linux", "unshare"), "--net", "/bin/sh", "-c")
    script = f"{nft} -f - && {listing}"
    expected = programs.run(
        (*scratch, script),
        rebuild_text(networks, ports, guards, access),
        deadline,
        longest=_LONGEST,
    )
    return tuple(_compare(_listed(expected), _listed(there)))


def _listed(text: str) -> Listing:
    """Return sets with their elements, and chains with their rules."""
    found: Listing = {}
    try:
        for entry in json.loads(text)["nftables"]:
            [(kind, what)] = entry.items()
            if kind in ("set", "map", "chain"):
                elements = [_in_order(element) for element in what.pop("elem", ())]
                what.pop("handle")
                found[f"{'chain' if kind == 'chain' else kind} {what['name']}"] = what, elements
            elif kind == "rule":
                rules = found[f"chain {what['chain']}"][1]
                rules.append(_in_order([what["expr"], what.get("comment")]))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise SystemFailure("cannot read what nft lists", repr(error)) from error
    return found


def _in_order(what: Any) -> str:
    return json.dumps(what, sort_keys=True)


def _compare(expected: Listing, there: Listing) -> list[str]:
    lines = []
    for name, (kind, wanted) in expected.items():
        if name not in there:
            lines.append(f"{name} is gone")
            continue
        kind_there, content = there[name]
        if name.startswith("chain "):
            if (kind, wanted) != (kind_there, content):
                lines.append(f"{name} has been changed")
            continue
        missing = len(set(wanted) - set(content))
        if kind != kind_there:
            lines.append(f"{name} has been changed")
        elif missing:
            lines.append(f"{name} lacks {missing} element{'' if missing == 1 else 's'}")
    return [f"in the table {FAMILY} {TABLE}, {line}" for line in lines]
